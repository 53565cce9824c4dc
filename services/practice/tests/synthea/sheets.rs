//! Synthea's CSV.

use practice::Table;

use crate::made::{CLAIM, DOCTOR, Ground, PATIENT, VISIT, archive, lessened, skipped};

pub const PAYMENT: &str = "b66eee5a-1c8d-7cb3-fb3e-456c717b3ae6";

fn patients() -> String {
    format!(
        "\u{feff}Id,BIRTHDATE,DEATHDATE,FIRST,LAST,GENDER,ADDRESS,CITY,ZIP\n\
         {PATIENT},2014-10-06,,Maynard46,\"O'Brien, Jr\",M,784 Stamm Lock,Somerville,02155\n"
    )
}

fn transactions(payment: &str) -> String {
    format!(
        "ID,CLAIMID,TYPE,AMOUNT,METHOD,FROMDATE,TODATE,PAYMENTS\n\
         1,{CLAIM},CHARGE,77.49,,2023-01-27T16:17:47Z,2023-01-27T16:32:47Z,\n\
         2,{CLAIM},CHARGE,0.02,,2023-01-27T16:17:47Z,2023-01-27T16:32:47Z,\n\
         3,{CLAIM},TRANSFERIN,77.49,,2023-01-27T16:17:47Z,2023-01-27T16:32:47Z,\n\
         {PAYMENT},{CLAIM},PAYMENT,,CC,2023-01-27T16:17:47Z,2023-01-27T16:32:47Z,{payment}\n"
    )
}

pub fn tables() -> [(&'static str, String); 5] {
    let encounters = format!(
        "Id,START,STOP,PATIENT,PROVIDER,ENCOUNTERCLASS,DESCRIPTION\n\
         {VISIT},2023-01-27T16:17:47Z,2023-01-27T16:32:47Z,{PATIENT},{DOCTOR},virtual,Symptom\n"
    );
    let claims = format!(
        "Id,PATIENTID,APPOINTMENTID,SERVICEDATE,LASTBILLEDDATE1\n\
         {CLAIM},{PATIENT},{VISIT},2023-01-27T16:17:47Z,2023-01-27T16:32:47Z\n"
    );
    let providers = format!("Id,NAME,SPECIALITY\n{DOCTOR},Víctor493 Noriega353,GENERAL PRACTICE\n");
    [
        ("csv/claims.csv", claims),
        ("csv/claims_transactions.csv", transactions("77.50")),
        ("csv/encounters.csv", encounters),
        ("csv/patients.csv", patients()),
        ("csv/providers.csv", providers),
    ]
}

#[test]
fn tables_become_rows_joined_by_their_ids() {
    let ground = Ground::new();
    for (name, content) in tables() {
        ground.write(name, content);
    }
    ground.write("csv/observations.csv", "DATE\n");
    let report = ground.import();
    assert!(report.complete() && report.skipped.is_empty(), "{report}");
    assert_eq!(report.passed_over.get("transaction TRANSFERIN"), Some(&1));
    let person = ground.only(Table::Patients);
    assert_eq!((&person["family_name"], &person["sex"]), (&"O'Brien, Jr".into(), &"male".into()));
    assert_eq!((&person["mrn"], &person["country"]), (&PATIENT.into(), &"US".into()));
    let seen = ground.only(Table::Appointments);
    assert_eq!((&seen["modality"], &seen["status"]), (&"video".into(), &"fulfilled".into()));
    assert_eq!(seen["patient_id"], person["patient_id"]);
    assert_eq!(ground.only(Table::Practitioners)["specialty"], "general practice");
    let owed = ground.only(Table::Invoices);
    assert_eq!((&owed["total_minor"], &owed["currency"]), (&7_751.into(), &"USD".into()));
    assert_eq!(owed["appointment_id"], seen["appointment_id"]);
    let paid = ground.only(Table::Payments);
    assert_eq!((&paid["amount_minor"], &paid["method"]), (&7_750.into(), &"card".into()));
    let before = ground.dump();
    ground.import();
    assert_eq!(ground.dump(), before);
}

#[test]
fn tables_in_an_archive_are_read_in_their_own_order() {
    let ground = Ground::new();
    let tables = tables();
    let files: Vec<_> = tables.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    ground.write("csv.tar.zst", archive(&files));
    let report = ground.import();
    assert!(report.complete() && report.skipped.is_empty(), "{report}");
    assert_eq!(ground.only(Table::Payments)["amount_minor"], 7_750);
}

#[test]
fn rows_that_lack_something_are_named() {
    let ground = Ground::new();
    let two = "00000000-0000-0000-0000-000000000002";
    for (name, content) in tables() {
        let more = match name {
            "csv/patients.csv" => format!("{two},,,,,,,,\n{two},,,Ann,Lee,F,,,\nx,,,,Lee,,,,\n"),
            "csv/encounters.csv" => format!(
                "{two},2023-01-27T16:17:47Z,,{PATIENT},{DOCTOR},,\n\
                 {two},2023-01-27T16:17:47Z,2023-01-27T16:17:48Z,{two},{CLAIM},,\n\
                 {two},2023-01-27T16:17:47Z,2023-01-27T16:17:48Z,{CLAIM},{DOCTOR},,\nshort\n"
            ),
            "csv/claims.csv" => {
                format!("{two},{PATIENT},{two},2023-01-27T16:17:47Z,\n{two},{CLAIM},,,\n")
            }
            "csv/claims_transactions.csv" => format!(
                "{VISIT},{two},PAYMENT,,CASH,,2023-01-27T16:17:47Z,5\n\
                 {two},{CLAIM},PAYMENT,,CASH,,2023-01-27T16:17:47Z,five\n\
                 {two},{CLAIM},REFUND,,,,,\n{two},{CLAIM},,,,,,\n"
            ),
            _ => String::new(),
        };
        ground.write(name, content + &more);
    }
    let report = ground.import();
    assert!(report.complete(), "{report}");
    let expected = [
        ("appointments", "it has no start or no end", 1),
        ("appointments", "its patient is not in the clinic", 1),
        ("appointments", "its practitioner is not known", 1),
        ("appointments", "its row has not as many cells as the table has columns", 1),
        ("invoices", "its amount is none, or in no currency", 1),
        ("invoices", "its patient is not in the clinic", 1),
        ("patients", "it has no family name", 1),
        ("patients", "its id is no UUID", 1),
        ("payments", "its amount is none, or in no currency", 1),
        ("payments", "its claim is not in the clinic", 1),
    ];
    assert_eq!(skipped(&report), expected);
    assert_eq!(lessened(&report), [("patients", "no date of birth", 1)]);
    assert_eq!(report.passed_over.get("transaction REFUND"), Some(&1));
    assert_eq!(report.passed_over.get("transaction without a type"), Some(&1));
}

#[test]
fn a_charge_that_is_no_amount_leaves_its_claim_without_a_total() {
    let ground = Ground::new();
    for (name, content) in tables() {
        ground.write(name, content.replace("0.02", "two"));
    }
    let report = ground.import();
    assert_eq!(ground.count(Table::Invoices), 0);
    let expected = [
        ("invoices", "its amount is none, or in no currency", 1),
        ("payments", "its claim is not in the clinic", 1),
    ];
    assert_eq!(skipped(&report), expected);
}
