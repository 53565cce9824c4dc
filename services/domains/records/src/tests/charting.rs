use kit_event::{Domain, Granted, Rejection, RowOperation};
use serde_json::{Value, json};

use super::{Held, NOW, id, now};
use crate::MedicalRecords;

fn ask(type_name: &str, body: &Value, held: &Held) -> Result<Granted, Rejection> {
    MedicalRecords.decide(type_name, body, held, now())
}

fn refused(type_name: &str, body: &Value, held: &Held) -> &'static str {
    ask(type_name, body, held).unwrap_err().slug
}

fn one_patient() -> Held {
    Held::default().with("patient", id(2), json!({"patient_id": id(2), "active": true}))
}

fn pressure() -> Value {
    json!({
        "observation_id": id(1), "patient_id": id(2), "code_system": "http://loinc.org",
        "code": "85354-9", "category": "vital-signs",
        "components": [
            {"code_system": "http://loinc.org", "code": "8480-6", "value_number": "128.0",
             "value_unit": "mm[Hg]"},
            {"code_system": "http://loinc.org", "code": "8462-4", "value_number": "81",
             "value_unit": "mm[Hg]"},
        ],
    })
}

#[test]
fn a_pressure_is_entered_with_its_parts_final_and_now() {
    let granted = ask("records.record_observation", &pressure(), &one_patient()).unwrap();
    let [change] = granted.changes.as_slice() else { panic!("one row") };
    assert_eq!((change.operation, change.record.resource), (RowOperation::Insert, "observation"));
    assert_eq!(change.fields["patient_id"], json!(id(2)));
    assert_eq!(change.fields["status"], "final");
    assert_eq!(change.fields["effective_at"], NOW);
    assert_eq!(change.fields["components"][0]["value_number"], "128.0");
    assert!(!change.fields.contains_key("value_text"));
}

#[test]
fn who_is_not_there_has_no_chart_and_who_has_died_begins_no_encounter() {
    let record = "records.record_observation";
    assert_eq!(refused(record, &pressure(), &Held::default()), "patient-unknown");
    let merged = json!({"merged_into": id(9)});
    let held = Held::default().with("patient", id(2), merged);
    assert_eq!(refused(record, &pressure(), &held), "patient-merged");
    let dead = Held::default().with("patient", id(2), json!({"deceased_on": "2026-03-01"}));
    assert!(ask(record, &pressure(), &dead).is_ok());
    let encounter = json!({"encounter_id": id(1), "patient_id": id(2)});
    assert_eq!(refused("records.start_encounter", &encounter, &dead), "patient-deceased");
    let gone = Held::default().with("patient", id(2), json!({"active": false}));
    assert_eq!(refused("records.start_encounter", &encounter, &gone), "patient-inactive");
}

#[test]
fn a_reference_leads_to_the_same_patients_records() {
    let mut body = pressure();
    body["encounter_id"] = json!(id(5));
    let record = "records.record_observation";
    assert_eq!(refused(record, &body, &one_patient()), "encounter-unknown");
    let foreign = one_patient().with("encounter", id(5), json!({"patient_id": id(3)}));
    assert_eq!(refused(record, &body, &foreign), "encounter-unknown");
    let own = one_patient().with("encounter", id(5), json!({"patient_id": id(2)}));
    assert!(ask(record, &body, &own).is_ok());
}

#[test]
fn what_has_not_happened_is_not_recorded() {
    let mut body = pressure();
    body["effective_at"] = json!("2026-03-04T10:06:00Z");
    assert_eq!(refused("records.record_observation", &body, &one_patient()), "in-the-future");
    body["effective_at"] = json!("2026-03-04T10:04:00Z");
    assert!(ask("records.record_observation", &body, &one_patient()).is_ok());
    let mut condition = json!({
        "condition_id": id(1), "patient_id": id(2), "code_system": "http://snomed.info/sct",
        "code": "38341003", "onset_on": "2027",
    });
    let record = "records.record_condition";
    assert_eq!(refused(record, &condition, &one_patient()), "in-the-future");
    condition["onset_on"] = json!("2020-05");
    condition["abated_on"] = json!("2020-04-30");
    assert_eq!(refused(record, &condition, &one_patient()), "abated-before-onset");
    // A year may hold the whole of the month.
    condition["abated_on"] = json!("2020");
    assert!(ask(record, &condition, &one_patient()).is_ok());
}

#[test]
fn fields_obey_their_rules_and_say_which_does_not() {
    for (field, value, told) in [
        ("code_system", json!("loinc"), "code_system is a URI"),
        ("code", json!(" 8480-6"), "code is a code"),
        ("value_number", json!("12,5"), "value_number is a decimal number"),
        ("value_number", json!("1e5"), "value_number is a decimal number"),
        ("status", json!("done"), "status is one of registered"),
        ("components", json!([{"code": "a", "value_number": "x"}]), "components[0].value_number"),
    ] {
        let mut body = pressure();
        body[field] = value;
        let rejection = ask("records.record_observation", &body, &one_patient()).unwrap_err();
        assert_eq!(rejection.slug, "field-rules", "{field}");
        assert!(rejection.detail.contains(told), "{}", rejection.detail);
    }
    let mut body = pressure();
    body["components"] = json!([{"code": "a", "colour": "red"}]);
    assert_eq!(refused("records.record_observation", &body, &one_patient()), "request-malformed");
}

#[test]
fn only_named_fields_change_and_only_in_the_state_that_was_seen() {
    let held = one_patient().with(
        "allergy",
        id(1),
        json!({"allergy_id": id(1), "patient_id": id(2), "code": "91936005"}),
    );
    let mut body = json!({
        "allergy_id": id(1), "if_match": "1-7", "fields": ["criticality", "reaction"],
        "criticality": "high",
    });
    let granted = ask("records.update_allergy", &body, &held).unwrap();
    let change = &granted.changes[0];
    assert_eq!(change.operation, RowOperation::Update);
    assert_eq!(json!(change.fields), json!({"criticality": "high", "reaction": null}));
    body["if_match"] = json!("1-6");
    assert_eq!(refused("records.update_allergy", &body, &held), "changed-meanwhile");
    let code = json!({"allergy_id": id(1), "fields": ["code"]});
    assert_eq!(refused("records.update_allergy", &code, &held), "field-rules");
    let other = json!({"allergy_id": id(8), "fields": ["reaction"]});
    assert_eq!(refused("records.update_allergy", &other, &held), "allergy-unknown");
}

#[test]
fn what_was_taken_back_stays_taken_back() {
    let state = json!({"patient_id": id(2), "verification_status": "entered-in-error"});
    let held = one_patient().with("condition", id(1), state);
    let body = json!({"condition_id": id(1), "fields": ["verification_status"],
                      "verification_status": "confirmed"});
    assert_eq!(refused("records.update_condition", &body, &held), "record-retracted");
}

#[test]
fn an_encounter_ends_once_and_after_it_began() {
    let open = json!({"patient_id": id(2), "status": "in-progress",
                      "starts_at": "2026-03-04T09:00:00Z"});
    let held = one_patient().with("encounter", id(1), open);
    let mut body = json!({"encounter_id": id(1)});
    let granted = ask("records.finish_encounter", &body, &held).unwrap();
    assert_eq!(json!(granted.changes[0].fields), json!({"status": "finished", "ends_at": NOW}));
    body["ends_at"] = json!("2026-03-04T08:00:00Z");
    assert_eq!(refused("records.finish_encounter", &body, &held), "ends-before-start");
    let over = one_patient().with("encounter", id(1), json!({"status": "finished"}));
    let body = json!({"encounter_id": id(1)});
    assert_eq!(refused("records.finish_encounter", &body, &over), "encounter-status");
}

#[test]
fn the_same_id_is_not_used_for_two_records() {
    let held = one_patient().with("observation", id(1), json!({"patient_id": id(2)}));
    assert_eq!(refused("records.record_observation", &pressure(), &held), "record-exists");
}
