//! What Synthea writes when it is told to: other folders, both forms at once, tables without names,
//! and resources that lie apart from what they refer to.

use practice::Table;
use serde_json::{Value, json};

use crate::made::{
    BENEFIT, DOCTOR, Ground, PATIENT, VISIT, benefit, bundle, claim, doctor, gzip, lessened,
    patient, role, skipped, visit, whole, with, without,
};
use crate::sheets::{PAYMENT, tables};

fn conditional() -> Value {
    let individual =
        json!({"reference": "Practitioner?identifier=http://npi|520", "display": "Dr. June K"});
    with(visit(), "participant", json!([{"individual": individual}]))
}

#[test]
fn patients_in_folders_of_their_own_find_the_practitioners_above_them() {
    let ground = Ground::new();
    // `exporter.subfolders_by_id_substring`
    ground.write("fhir/43/43b/Ann.json", bundle(&[patient(), conditional()]));
    ground.write("fhir/practitionerInformation16.json", bundle(&[role(), doctor()]));
    let report = ground.import();
    assert!(report.lessened.is_empty() && report.skipped.is_empty(), "{report}");
    assert_eq!(ground.only(Table::Practitioners)["family_name"], "Kassulke");
}

#[test]
fn other_versions_of_fhir_and_synthea_s_own_notes_are_passed_over() {
    let ground = Ground::new();
    ground.write("output/fhir/Ann.json", bundle(&whole()));
    let other = "00000000-0000-0000-0000-000000000009";
    let again = [patient(), doctor(), with(visit(), "id", json!(other))];
    ground.write("output/fhir_stu3/Ann.json", bundle(&again));
    ground.write("output/fhir_dstu2/Ann.json", bundle(&again));
    ground.write("output/metadata/2026_run.json", "{\"seed\": 42}");
    ground.write("output/json/Ann.json", "{\"seed\": 42}");
    let report = ground.import();
    assert!(report.complete(), "{report}");
    assert_eq!(report.passed_over.get("file of FHIR's other versions"), Some(&2));
    assert_eq!(report.passed_over.get("file of Synthea's own JSON"), Some(&2));
    assert_eq!(ground.count(Table::Appointments), 1);
    let stu3 = ground.input.join("output/fhir_stu3");
    let unit = "hcu-0001".parse().unwrap();
    let report = practice::synthea::import(&stu3, &ground.clinic, &unit).unwrap();
    assert_eq!(report.unreadable[0].1, "FHIR of another version than R4");
}

/// Where Synthea 2 writes both, a visit has another id in its tables.
fn beside(name: &str, content: &str) -> String {
    let other = "00000000-0000-0000-0000-000000000009";
    if name == "csv/encounters.csv" { content.replace(VISIT, other) } else { content.to_owned() }
}

#[test]
fn what_fhir_and_tables_both_tell_is_taken_once() {
    let ground = Ground::new();
    for (name, content) in tables() {
        ground.write(name, beside(name, &content));
    }
    ground.write("fhir/Ann.json", bundle(&whole()));
    let report = ground.import();
    let told = "FHIR beside this table tells the like of its patient";
    assert_eq!(skipped(&report), [("appointments", told, 1), ("payments", told, 1)]);
    assert_eq!(report.first[&("payments", told)], "csv/claims_transactions.csv, line 5");
    let tally = |table| {
        let tally = report.tally(table);
        (tally.written, tally.there)
    };
    assert_eq!((tally(Table::Patients), tally(Table::Invoices)), ((1, 1), (1, 1)));
    // FHIR tells more of a person, and is read first.
    assert_eq!(ground.only(Table::Patients)["phone"], "555");
    assert_eq!(ground.only(Table::Payments)["reference"], BENEFIT);
    assert_eq!(ground.count(Table::Appointments), 1);
    let before = ground.dump();
    ground.import();
    assert_eq!(ground.dump(), before);
}

#[test]
fn tables_fill_in_what_fhir_was_told_to_leave_out() {
    let ground = Ground::new();
    for (name, content) in tables() {
        ground.write(name, content);
    }
    // `exporter.fhir.excluded_resources`
    ground.write("fhir/Ann.json", bundle(&[patient(), doctor()]));
    let report = ground.import();
    assert!(report.skipped.is_empty(), "{report}");
    assert_eq!((ground.count(Table::Appointments), ground.count(Table::Payments)), (1, 1));
}

#[test]
fn a_claim_that_was_paid_in_one_form_is_not_paid_again_in_the_other() {
    for fhir_first in [true, false] {
        let ground = Ground::new();
        for (name, content) in tables() {
            ground.write(name, content);
        }
        ground.write("fhir/Ann.json", bundle(&whole()));
        let unit = "hcu-0001".parse().unwrap();
        let import = |folder: &str| {
            practice::synthea::import(&ground.input.join(folder), &ground.clinic, &unit).unwrap()
        };
        let (first, second) = if fhir_first { ("fhir", "csv") } else { ("csv", "fhir") };
        assert!(import(first).skipped.is_empty());
        let otherwise = ("payments", "its claim is paid by what Synthea's other form tells", 1);
        assert_eq!(skipped(&import(second)), [otherwise]);
        let paid = ground.only(Table::Payments);
        assert_eq!(paid["reference"], if fhir_first { BENEFIT } else { PAYMENT });
        assert_eq!(import(first).tally(Table::Payments).there, 1);
    }
}

/// The same tables as `exporter.csv.append_mode` writes them: all columns, and no names.
fn nameless() -> [(&'static str, String); 5] {
    let time = "2023-01-27T16:17:47Z,2023-01-27T16:32:47Z";
    let claim = crate::made::CLAIM;
    let line = |id: &str, kind: &str, amount: &str, method: &str, paid: &str| {
        format!(
            "{id},{claim},1,{PATIENT},{kind},{amount},{method},{time},p,1,,,1,,,,1,1,note,1,,,\
             {paid},,,0.00,{VISIT},,{PATIENT},1,{DOCTOR},{DOCTOR}\n"
        )
    };
    let id = |number: u32| format!("00000000-0000-0000-0000-{number:012}");
    let transactions = [
        line(&id(1), "CHARGE", "77.49", "", ""),
        line(&id(2), "CHARGE", "0.02", "", ""),
        line(&id(3), "TRANSFERIN", "77.49", "", ""),
        line(PAYMENT, "PAYMENT", "", "CC", "77.50"),
    ];
    let person = format!(
        "{PATIENT},2014-10-06,,999,S99,X1,Mr.,Maynard46,,\"O'Brien, Jr\",,,M,white,nonhispanic,M,\
         Boston,784 Stamm Lock,Somerville,Massachusetts,Middlesex County,25017,02155,42,-71,1,1,1\n"
    );
    let seen =
        format!("{VISIT},{time},{PATIENT},org,{DOCTOR},payer,virtual,1,Symptom,1,77.51,0,,\n");
    let owed = format!(
        "{claim},{PATIENT},{DOCTOR},i,,1,1,,,,,,,,,,{VISIT},2023-01-27T16:17:47Z,\
         2023-01-27T16:17:47Z,{DOCTOR},CLOSED,,CLOSED,0,,0,2023-01-27T16:32:47Z,,\
         2023-01-27T16:32:47Z,1,0\n"
    );
    let who =
        format!("{DOCTOR},org,Víctor493 Noriega353,M,GENERAL PRACTICE,a,b,MA,02155,1,1,2,3\n");
    [
        ("csv/claims.csv", owed),
        ("csv/claims_transactions.csv", transactions.concat()),
        ("csv/encounters.csv", seen),
        ("csv/patients.csv", person),
        ("csv/providers.csv", who),
    ]
}

#[test]
fn tables_without_a_line_of_names_are_known_by_their_cells() {
    let (named, ground) = (Ground::new(), Ground::new());
    for (name, content) in tables() {
        named.write(name, content);
    }
    for (name, content) in nameless() {
        ground.write(name, content);
    }
    named.import();
    let report = ground.import();
    assert!(report.complete() && report.skipped.is_empty(), "{report}");
    assert_eq!(ground.dump(), named.dump());
    ground.write("csv/patients.csv", format!("{PATIENT},Lee\n"));
    let why = "no line of column names, and 2 cells fit no table of Synthea";
    assert_eq!(ground.import().unreadable, [("csv/patients.csv".to_owned(), why.to_owned())]);
}

#[test]
fn lines_of_a_claim_that_are_told_twice_are_charged_once() {
    let ground = Ground::new();
    for (name, content) in tables() {
        ground.write(name, &content);
        ground.write(&format!("copy/{name}"), &content);
        let rows = content.split_once('\n').unwrap().1;
        ground.write(&format!("appended/{name}"), format!("{content}{rows}"));
    }
    let report = ground.import();
    assert!(report.complete() && report.skipped.is_empty(), "{report}");
    assert_eq!(ground.only(Table::Invoices)["total_minor"], 7_751);
    assert_eq!(ground.only(Table::Payments)["amount_minor"], 7_750);
}

#[test]
fn charges_that_are_cut_give_no_total_that_is_too_small() {
    let [_, (_, lines), ..] = tables();
    let packed = gzip(lines.as_bytes());
    // Within a packed file, within a row of a plain one, and before a row says what it is.
    let middle = lines.find("2,eb49708e").unwrap();
    let cuts: [(&str, &[u8]); 3] = [
        ("csv/claims_transactions.csv.gz", &packed[..packed.len() - 9]),
        ("csv/claims_transactions.csv", &lines.as_bytes()[..middle + 60]),
        ("csv/claims_transactions.csv", &lines.as_bytes()[..middle + 20]),
    ];
    for (name, cut) in cuts {
        let ground = Ground::new();
        for (name, content) in tables() {
            ground.write(name, content);
        }
        std::fs::remove_file(ground.input.join("csv/claims_transactions.csv")).unwrap();
        ground.write(name, cut);
        let report = ground.import();
        assert_eq!(ground.count(Table::Invoices), 0, "{report}");
        let reason = ("invoices", "its amount is none, or in no currency");
        assert_eq!(report.skipped.get(&reason), Some(&1), "{report}");
        std::fs::remove_file(ground.input.join(name)).unwrap();
        ground.write("csv/claims_transactions.csv", &lines);
        ground.import();
        assert_eq!(ground.only(Table::Invoices)["total_minor"], 7_751);
    }
}

#[test]
fn a_comma_that_was_not_quoted_puts_no_cell_under_another_name() {
    let ground = Ground::new();
    for (name, content) in tables() {
        ground.write(name, content.replace("784 Stamm Lock", "784 Stamm Lock, Apt 3"));
    }
    let report = ground.import();
    assert_eq!(ground.count(Table::Patients), 0);
    let ragged = "its row has not as many cells as the table has columns";
    assert_eq!(report.skipped.get(&("patients", ragged)), Some(&1));
    assert_eq!(report.first[&("patients", ragged)], "csv/patients.csv, line 2");
}

#[test]
fn documents_wait_for_what_they_name_in_documents_that_come_later() {
    let (apart, ground) = (Ground::new(), Ground::new());
    ground.write("a.json", bundle(&whole()));
    ground.import();
    // Each names something of the next.
    for (name, resource) in
        ["a", "b", "c", "d"].iter().zip([benefit("103.328"), claim("129.16"), visit(), patient()])
    {
        apart.write(&format!("{name}.json"), resource.to_string());
    }
    apart.write("e.json", bundle(&[role(), doctor()]));
    let report = apart.import();
    assert!(report.skipped.is_empty(), "{report}");
    assert_eq!(report.tally(Table::Appointments).read, 1);
    assert_eq!(apart.dump(), ground.dump());
}

fn doctor_without_number() -> Value {
    without(doctor(), "identifier")
}

#[test]
fn what_never_comes_is_waited_for_no_longer_than_the_import() {
    let ground = Ground::new();
    let other = "00000000-0000-0000-0000-000000000009";
    let seen = with(conditional(), "id", json!(other));
    ground.write("a.json", bundle(&[patient(), claim("7"), seen, benefit("7")]));
    ground.write("b.json", bundle(&[doctor_without_number()]));
    let report = ground.import();
    assert!(report.skipped.is_empty(), "{report}");
    let expected = [
        ("invoices", "its appointment is not in the clinic", 1),
        ("practitioners", "known by a reference alone", 1),
    ];
    assert_eq!(lessened(&report), expected);
    assert_eq!(ground.count(Table::Payments), 1);
    let before = ground.dump();
    ground.import();
    assert_eq!(ground.dump(), before);
}

#[test]
fn lines_of_every_kind_may_stand_in_any_order() {
    let ground = Ground::new();
    let mut backwards = whole();
    backwards.reverse();
    let lines: String = backwards.iter().map(|resource| format!("{resource}\r\n")).collect();
    ground.write("export-1.ndjson", format!("{lines}{{\n{}", json!({"resourceType": "Goal"})));
    let report = ground.import();
    assert!(report.skipped.is_empty() && report.lessened.len() == 1, "{report}");
    assert_eq!(report.passed_over.get("Goal"), Some(&1));
    assert_eq!(report.unreadable_count, 1);
    assert_eq!(ground.only(Table::Practitioners)["specialty"], "General Practice");
    assert_eq!(ground.count(Table::Payments), 1);
}

#[test]
fn people_are_called_by_whatever_name_has_a_family_and_die_on_as_much_of_a_day_as_is_known() {
    let ground = Ground::new();
    let id = |number: u32| json!(format!("00000000-0000-0000-0000-{number:012}"));
    let official =
        json!([{"use": "official", "given": ["A"]}, {"family": "Lee", "given": ["Ann"]}]);
    let text = json!([{"text": "Ana María Núñez"}]);
    ground.write(
        "a.json",
        bundle(&[
            with(with(patient(), "id", id(1)), "name", official),
            with(
                with(with(patient(), "id", id(2)), "name", text),
                "deceasedDateTime",
                json!("2011"),
            ),
            with(without(with(patient(), "id", id(3)), "name"), "name", json!([{"given": ["A"]}])),
        ]),
    );
    let report = ground.import();
    assert_eq!(skipped(&report), [("patients", "it has no family name", 1)]);
    assert_eq!(report.first[&("patients", "it has no family name")], "a.json, entry 3");
    let mut names: Vec<_> = ground.rows(Table::Patients);
    names.sort_by_key(|row| row["family_name"].to_string());
    assert_eq!((&names[0]["family_name"], &names[0]["given_name"]), (&"Lee".into(), &"Ann".into()));
    assert_eq!(names[0]["deceased_on"], "2011-11-30");
    assert_eq!(names[1]["given_name"], "Ana María");
    assert_eq!(names[1]["deceased_on_raw"], "2011");
}

#[test]
fn what_is_not_opened_or_not_followed_is_named() {
    let ground = Ground::new();
    assert_eq!(
        ground.import().unreadable[0].1,
        "nothing there that Synthea writes (.json, .ndjson or .csv)"
    );
    ground.write("good.JSON.GZ", gzip(bundle(&whole()).as_bytes()));
    ground.write("sample.zip", "PK");
    ground.write("sample.tar.gz", gzip(b""));
    ground.write("deep/1/2/3/4/5/6/7/8/9/a.json", "{");
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(to, ground.input.join(name)).unwrap();
    };
    link(".", "circle");
    link("nowhere.json", "gone.json");
    link("/dev/null", "null.json");
    let mut named = ground.import().unreadable;
    named.sort();
    let packed = "packed in a way that is not opened here: unpack it first";
    let expected = [
        ("circle", "a link to a folder, which is not followed"),
        ("deep/1/2/3/4/5/6/7/8", "a folder within more folders than an import looks into"),
        ("gone.json", "a link that leads nowhere"),
        ("null.json", "neither a file nor a folder"),
        ("sample.tar.gz", packed),
        ("sample.zip", packed),
    ]
    .map(|(name, why)| (name.to_owned(), why.to_owned()));
    assert_eq!(named, expected);
    assert_eq!(ground.count(Table::Patients), 1);
    let (device, unit) = (std::path::Path::new("/dev/zero"), "hcu-0001".parse().unwrap());
    let report = practice::synthea::import(device, &ground.clinic, &unit).unwrap();
    assert_eq!(report.unreadable[0].1, "neither a file nor a folder");
}

#[test]
fn whatever_a_document_is_called_it_is_not_forgotten_while_it_waits() {
    let ground = Ground::new();
    ground.write("practitionerInformation16.json", bundle(&[conditional(), claim("7")]));
    ground.write("z.json", bundle(&[patient(), doctor()]));
    let report = ground.import();
    assert!(report.skipped.is_empty() && report.lessened.is_empty(), "{report}");
    assert_eq!(ground.count(Table::Invoices), 1);
}

#[test]
fn visits_whose_costs_stand_in_no_claim_are_named() {
    let ground = Ground::new();
    for (name, content) in tables().into_iter().filter(|(name, _)| !name.contains("claims")) {
        ground.write(name, content);
    }
    let report = ground.import();
    let costs = "table of encounters' costs, without claims.csv";
    assert_eq!(report.passed_over.get(costs), Some(&1), "{report}");
    assert_eq!((ground.count(Table::Appointments), ground.count(Table::Invoices)), (1, 0));
}
