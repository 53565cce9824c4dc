//! Reading Synthea's bundles: small ones made here, and all of them where `ARTERIA_SYNTHEA` says
//! where they are.

use std::path::Path;

use practice::{Desk, Population, Table, seed, synthea};
use serde_json::{Value, json};

const ID: &str = "43b6ae50-2cca-4934-ad38-282f8934b770";

fn patient(id: &str) -> Value {
    json!({
        "resourceType": "Patient", "id": id, "gender": "female", "birthDate": "1937-02-13",
        "deceasedDateTime": "2011-11-30T23:10:00-05:00",
        "identifier": [
            {"system": "a", "value": "not this"},
            {"type": {"coding": [{"code": "MR"}]}, "value": "mr-7"},
        ],
        "name": [
            {"use": "maiden", "family": "Arredondo", "given": ["X"]},
            {"use": "official", "family": "Núñez", "given": ["María", "José"]},
        ],
        "telecom": [
            {"system": "email", "value": "m@example.org"}, {"system": "phone", "value": "555"},
        ],
        "address": [{"line": ["411 Rest", "Apt 37"], "city": "Billerica", "postalCode": "01821",
                     "country": "US"}],
    })
}

fn bundle(resources: &[Value]) -> String {
    let entries: Vec<_> = resources.iter().map(|r| json!({"resource": r})).collect();
    json!({"resourceType": "Bundle", "entry": entries}).to_string()
}

fn write_archive(path: &Path, name: &str, content: &str) {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, content.as_bytes()).unwrap();
    let plain = tar.into_inner().unwrap();
    std::fs::write(path, zstd::encode_all(plain.as_slice(), 3).unwrap()).unwrap();
}

#[test]
fn a_patient_becomes_a_row_and_what_is_skipped_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let without = |field: &str, id: &str| {
        let mut patient = patient(id);
        patient.as_object_mut().unwrap().remove(field);
        patient
    };
    let all = [
        json!({"resourceType": "Encounter"}),
        patient(ID),
        without("birthDate", "00000000-0000-0000-0000-000000000001"),
        without("name", "00000000-0000-0000-0000-000000000002"),
        patient("not-a-uuid"),
    ];
    std::fs::write(dir.path().join("one.json"), bundle(&all)).unwrap();
    std::fs::write(dir.path().join("README.md"), "no bundle").unwrap();
    let other = "00000000-0000-0000-0000-000000000003";
    let archived = bundle(&[patient(ID), patient(other)]);
    write_archive(&dir.path().join("two.tar.zst"), "two/x.json", &archived);

    let found = synthea::patients(dir.path()).unwrap();
    let ids: Vec<_> = found.patients.iter().map(|p| p.patient_id.to_string()).collect();
    assert_eq!(ids, [ID, other]);
    let skipped: Vec<_> = found.skipped.iter().map(|(reason, count)| (*reason, *count)).collect();
    let expected = [
        ("a patient met before", 1),
        ("a patient whose id is no UUID", 1),
        ("a patient without a birth date", 1),
        ("a patient without a name", 1),
        ("a resource that is not a Patient", 1),
    ];
    assert_eq!(skipped, expected);
    let first = &found.patients[0];
    assert_eq!(first.mrn.as_deref(), Some("mr-7"));
    assert_eq!(first.family_name, "Núñez");
    assert_eq!(first.given_name.as_deref(), Some("María José"));
    assert_eq!(first.address_line.as_deref(), Some("411 Rest Apt 37"));
    assert_eq!(first.deceased_on.as_deref(), Some("2011-11-30"));
    assert_eq!(
        (first.phone.as_deref(), first.email.as_deref()),
        (Some("555"), Some("m@example.org"))
    );
}

#[test]
fn a_damaged_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("cut.json"), "{\"entry\": [").unwrap();
    let error = synthea::patients(dir.path()).unwrap_err();
    assert_eq!(error.to_string(), "parsing cut.json");
    std::fs::remove_file(dir.path().join("cut.json")).unwrap();
    std::fs::write(dir.path().join("cut.tar.zst"), "no archive").unwrap();
    assert!(synthea::patients(dir.path()).unwrap_err().to_string().ends_with("cut.tar.zst"));
}

#[test]
fn every_patient_of_the_given_folder_fits_a_clinic() {
    let Some(dir) = std::env::var_os("ARTERIA_SYNTHEA") else {
        println!("ARTERIA_SYNTHEA is not set: no Synthea patients are read");
        return;
    };
    let found = synthea::patients(Path::new(&dir)).unwrap();
    println!("{} patients; passed over: {:?}", found.patients.len(), found.skipped);
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(practice::CLINIC_DB);
    let nobody = Population { patients: 0, ..Population::default() };
    seed(&path, 1, &nobody, "2026-03-18T10:00:00Z".parse().unwrap()).unwrap();
    let mut desk = Desk::open(&path).unwrap();
    desk.register_all(&found.patients).unwrap();
    assert_eq!(desk.count(Table::Patients).unwrap(), found.patients.len() as u64);
    assert!(!found.patients.is_empty());
    let unread = ["a patient without a name", "a patient without a birth date"];
    assert!(unread.iter().all(|reason| !found.skipped.contains_key(reason)), "{:?}", found.skipped);
    for row in desk.patients().unwrap() {
        assert!(!row.contains_key("birth_date_raw") && row.contains_key("mrn"), "{row:?}");
    }
}
