//! FHIR: what becomes of each kind, and of what is missing.

use practice::Table;
use serde_json::{Value, json};

use crate::made::{
    BENEFIT, CLAIM, DOCTOR, Ground, PATIENT, VISIT, archive, benefit, bundle, claim, doctor, gzip,
    lessened, patient, role, skipped, visit, whole, with, without,
};

#[test]
fn a_bundle_becomes_rows_of_every_table() {
    let ground = Ground::new();
    ground.write("Maria_Nunez.json", bundle(&whole()));
    let report = ground.import();
    assert!(report.complete() && report.skipped.is_empty(), "{report}");
    assert_eq!(report.passed_over.get("PractitionerRole"), Some(&1));

    let person = ground.only(Table::Patients);
    let expected = json!({
        "patient_id": person["patient_id"], "mrn": "mr-7", "family_name": "Núñez",
        "given_name": "María José", "birth_date": "1937-02-13", "sex": "female", "phone": "555",
        "email": "m@example.org", "address_line": "411 Rest Apt 37", "city": "Billerica",
        "postal_code": "01821", "country": "US", "deceased_on": "2011-11-30", "active": true,
    });
    assert_eq!(person, expected);
    let who = ground.only(Table::Practitioners);
    assert_eq!(who["family_name"], "Kassulke");
    assert_eq!(who["specialty"], "General Practice");
    let seen = ground.only(Table::Appointments);
    let expected = json!({
        "appointment_id": seen["appointment_id"], "patient_id": person["patient_id"],
        "practitioner_id": who["practitioner_id"], "starts_at": "2012-01-18T07:40:05Z",
        "ends_at": "2012-01-18T07:55:05Z", "status": "fulfilled", "modality": "in-person",
        "reason": "Well child visit",
    });
    assert_eq!(seen, expected);
    let owed = ground.only(Table::Invoices);
    let expected = json!({
        "invoice_id": owed["invoice_id"], "patient_id": person["patient_id"],
        "appointment_id": seen["appointment_id"], "issued_at": "2012-01-18T07:55:05Z",
        "currency": "USD", "total_minor": 12_916, "status": "issued",
    });
    assert_eq!(owed, expected);
    let paid = ground.only(Table::Payments);
    let expected = json!({
        "payment_id": paid["payment_id"], "invoice_id": owed["invoice_id"],
        "paid_at": "2012-02-01T00:00:00Z", "currency": "USD", "amount_minor": 10_333,
        "method": "insurance", "reference": BENEFIT,
    });
    assert_eq!(paid, expected);
    let rounded = ("payments", "its amount was rounded to a minor unit", 1);
    assert_eq!(lessened(&report), [rounded]);
}

#[test]
fn importing_twice_changes_nothing_and_what_the_desk_did_since_stays() {
    let ground = Ground::new();
    ground.write("a.json", bundle(&whole()));
    let first = ground.import();
    assert_eq!(first.tally(Table::Patients).written, 1);
    let id = ground.only(Table::Patients)["patient_id"].as_str().unwrap().parse().unwrap();
    ground.desk().amend(Table::Patients, &id, &[("phone", &"999")]).unwrap();
    let before = ground.dump();
    let again = ground.import();
    assert_eq!(ground.dump(), before);
    for table in [Table::Patients, Table::Appointments, Table::Invoices, Table::Payments] {
        let tally = again.tally(table);
        assert_eq!((tally.read, tally.there, tally.written), (1, 1, 0), "{table:?}");
    }
}

#[test]
fn another_clinic_has_ids_of_its_own() {
    let ground = Ground::new();
    ground.write("a.json", bundle(&whole()));
    ground.import();
    let other = ground.clinic.with_file_name("other.db");
    practice::synthea::import(&ground.input, &other, &"hcu-0002".parse().unwrap()).unwrap();
    let rows = practice::Desk::open(&other).unwrap().rows(Table::Patients).unwrap();
    assert_ne!(rows[0]["patient_id"], ground.only(Table::Patients)["patient_id"]);
    assert_eq!(rows[0]["mrn"], ground.only(Table::Patients)["mrn"]);
}

fn conditional(token: &str, display: Option<&str>) -> Value {
    let reference = format!("Practitioner?identifier={token}");
    let individual = match display {
        Some(display) => json!({"reference": reference, "display": display}),
        None => json!({"reference": reference}),
    };
    with(visit(), "participant", json!([{"individual": individual}]))
}

#[test]
fn conditional_references_find_practitioners_of_a_file_that_comes_later() {
    let ground = Ground::new();
    let seen = conditional("http://npi|520", Some("Dr. June Kassulke"));
    let staff = bundle(&[role(), doctor()]);
    let people = bundle(&[seen, patient()]);
    // In the archive, too, the patient stands first.
    let files: [(&str, &[u8]); 2] = [
        ("run/Ann.json", people.as_bytes()),
        ("run/practitionerInformation16.json", staff.as_bytes()),
    ];
    ground.write("run.tar.zst", archive(&files));
    let report = ground.import();
    assert!(report.skipped.is_empty() && report.lessened.is_empty(), "{report}");
    assert_eq!(
        ground.only(Table::Appointments)["practitioner_id"],
        ground.only(Table::Practitioners)["practitioner_id"]
    );
}

#[test]
fn the_same_identifier_in_another_archive_is_somebody_else() {
    let ground = Ground::new();
    let other = "00000000-0000-0000-0000-000000000009";
    let seen = conditional("http://npi|520", Some("Dr. June Kassulke"));
    let second = [
        with(patient(), "id", json!("00000000-0000-0000-0000-000000000001")),
        with(
            with(seen.clone(), "id", json!(other)),
            "subject",
            json!({"reference": "Patient/00000000-0000-0000-0000-000000000001"}),
        ),
    ];
    let namesake = with(doctor(), "id", json!(other));
    let namesake = with(namesake, "name", json!([{"family": "Wolf", "given": ["Abe"]}]));
    let run = |people: &[Value], staff: &Value| {
        let (people, staff) = (bundle(people), bundle(std::slice::from_ref(staff)));
        archive(&[
            ("p.json", people.as_bytes()),
            ("practitionerInformation.json", staff.as_bytes()),
        ])
    };
    ground.write("one.tar.zst", run(&[patient(), seen], &doctor()));
    ground.write("two.tar.zst", run(&second, &namesake));
    ground.import();
    let visits = ground.rows(Table::Appointments);
    assert_eq!(visits.len(), 2);
    assert_ne!(visits[0]["practitioner_id"], visits[1]["practitioner_id"]);
    assert_eq!(ground.count(Table::Practitioners), 2);
}

#[test]
fn a_practitioner_whom_nobody_describes_is_made_of_the_reference_or_skipped() {
    let ground = Ground::new();
    let second = "00000000-0000-0000-0000-000000000002";
    let nameless = with(conditional("http://npi|2", None), "id", json!(second));
    ground.write(
        "a.json",
        bundle(&[patient(), conditional("http://npi|1", Some("Dr. A B")), nameless]),
    );
    let report = ground.import();
    let expected = ("practitioners", "known by a reference alone", 1);
    assert_eq!(lessened(&report), [expected]);
    assert_eq!(skipped(&report), [("appointments", "its practitioner is not known", 1)]);
    assert_eq!(ground.only(Table::Practitioners)["given_name"], "A");
    let before = ground.dump();
    ground.import();
    assert_eq!(ground.dump(), before);
}

/// An id of its own for each record that lacks something.
fn id(number: u32) -> Value {
    json!(format!("00000000-0000-0000-0000-{number:012}"))
}

fn to(number: u32) -> Value {
    json!({"reference": format!("urn:uuid:00000000-0000-0000-0000-{number:012}")})
}

/// Records that lack something, beside a patient, a doctor, a visit and a claim that lack nothing.
fn lacking() -> Vec<Value> {
    let moment = json!({"start": "2012-01-18T08:40:05Z", "end": "2012-01-18T08:40:05Z"});
    vec![
        patient(),
        doctor(),
        visit(),
        claim("10"),
        without(with(patient(), "id", id(1)), "birthDate"),
        with(with(patient(), "id", id(2)), "birthDate", json!("1937")),
        without(with(patient(), "id", id(3)), "name"),
        with(patient(), "id", json!("not-a-uuid")),
        json!({"resourceType": "Patient"}),
        without(with(doctor(), "id", id(4)), "name"),
        without(with(visit(), "id", id(5)), "participant"),
        without(with(visit(), "id", id(6)), "period"),
        without(with(visit(), "id", id(7)), "subject"),
        with(with(visit(), "id", id(8)), "status", json!("unknown")),
        with(with(visit(), "id", id(9)), "period", moment),
        without(with(claim("10"), "id", id(10)), "total"),
        without(with(claim("10"), "id", id(11)), "created"),
        with(with(claim("10"), "id", id(12)), "status", json!("draft")),
        with(with(claim("10"), "id", id(13)), "item", json!([{"encounter": [to(5)]}])),
        with(benefit("5"), "claim", to(10)),
        with(benefit("0.0"), "id", id(14)),
        without(with(benefit("5"), "id", id(15)), "payment"),
        json!({"resourceType": "Observation", "id": "1"}),
        json!({"id": "1"}),
        json!(null),
    ]
}

#[test]
fn whatever_is_missing_is_named_and_costs_nothing_else() {
    let ground = Ground::new();
    ground.write("a.json", bundle(&lacking()));
    let report = ground.import();
    let expected = [
        ("appointments", "it does not end after it starts", 1),
        ("appointments", "it has no start or no end", 1),
        ("appointments", "its patient is not in the clinic", 1),
        ("appointments", "its practitioner is not known", 1),
        ("appointments", "its status is unknown", 1),
        ("invoices", "it is a draft", 1),
        ("invoices", "it says no time", 1),
        ("invoices", "its amount is none, or in no currency", 1),
        ("patients", "it has no family name", 1),
        ("patients", "its id is no UUID", 2),
        ("payments", "it pays nothing", 2),
        ("payments", "its claim is not in the clinic", 1),
        ("practitioners", "it has no family name", 1),
    ];
    assert_eq!(skipped(&report), expected);
    let expected = [
        ("invoices", "its appointment is not in the clinic", 1),
        ("patients", "no date of birth", 1),
    ];
    assert_eq!(lessened(&report), expected);
    assert_eq!(report.passed_over.get("Observation"), Some(&1));
    assert_eq!(report.passed_over.get("resource without a type"), Some(&1));
    assert_eq!(report.passed_over.get("entry without a resource"), Some(&1));
    assert!(report.complete());
    assert_eq!(ground.count(Table::Patients), 3);
    let partly = ground.rows(Table::Patients);
    assert!(partly.iter().any(|row| row["birth_date_raw"] == "1937"), "{partly:?}");
    // The table as people read it names each of them.
    let text = report.to_string();
    assert!(expected.iter().all(|(_, reason, _)| text.contains(reason)), "{text}");
}

#[test]
fn packed_files_lines_and_single_files_are_read_too() {
    let ground = Ground::new();
    ground.write("a.json.gz", gzip(bundle(&[patient()]).as_bytes()));
    let lines = |resources: &[Value]| {
        resources.iter().map(|resource| format!("{resource}\n")).collect::<String>()
    };
    // A bulk export: a file for each kind, whose names are in no useful order.
    ground.write("Claim.ndjson", lines(&[claim("7.5")]));
    ground.write("Encounter.000.ndjson", lines(&[visit()]));
    ground.write("ExplanationOfBenefit.ndjson.gz", gzip(lines(&[benefit("7.5")]).as_bytes()));
    ground.write("Practitioner.ndjson", lines(&[doctor()]));
    ground.write("PractitionerRole.ndjson", format!("{}\r\n\r\n", role()));
    let report = ground.import();
    assert!(report.complete() && report.skipped.is_empty(), "{report}");
    assert_eq!(ground.only(Table::Practitioners)["specialty"], "General Practice");
    let owed = ground.only(Table::Invoices);
    assert_eq!(owed["total_minor"], 750);
    assert_eq!(ground.only(Table::Payments)["amount_minor"], 750);
    let one = crate::made::path(&ground, "a.json.gz");
    let alone = practice::synthea::import(&one, &ground.clinic, &"hcu-0001".parse().unwrap());
    assert_eq!(alone.unwrap().tally(Table::Patients).there, 1);
}

#[test]
fn a_full_url_that_differs_from_the_id_is_followed() {
    let ground = Ground::new();
    let outer = "11111111-1111-1111-1111-111111111111";
    let entry = |url: &str, resource: Value| json!({"fullUrl": url, "resource": resource});
    let seen = with(visit(), "subject", json!({"reference": format!("urn:uuid:{outer}")}));
    let document = json!({"resourceType": "Bundle", "entry": [
        entry(&format!("urn:uuid:{outer}"), patient()),
        entry(&format!("urn:uuid:{DOCTOR}"), without(doctor(), "id")),
        entry(&format!("https://a.example/Encounter/{VISIT}"), seen),
        entry(&format!("urn:uuid:{CLAIM}"),
              with(claim("1"), "patient", json!({"reference": format!("Patient/{PATIENT}")}))),
    ]});
    ground.write("a.json", document.to_string());
    let report = ground.import();
    assert!(report.skipped.is_empty(), "{report}");
    assert_eq!(ground.only(Table::Invoices)["total_minor"], 100);
}
