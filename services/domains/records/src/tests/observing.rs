use kit_event::Domain;
use serde_json::{Value, json};

use super::{NOW, id};
use crate::MedicalRecords;

fn seen(resource: &str, before: Option<&Value>, after: Option<&Value>) -> Vec<&'static str> {
    let facts = MedicalRecords.observe(resource, before, after).unwrap();
    facts.iter().map(|fact| fact.type_name).collect()
}

fn pressure(status: &str, systolic: &str) -> Value {
    json!({
        "observation_id": id(1), "patient_id": id(2), "code": "85354-9", "status": status,
        "components": [{"code": "8480-6", "value_number": systolic}],
    })
}

#[test]
fn a_pressure_is_recorded_amended_by_a_line_and_taken_back() {
    let (first, second) = (pressure("final", "120"), pressure("final", "130"));
    assert_eq!(seen("observation", None, Some(&first)), ["records.observation_recorded"]);
    assert_eq!(seen("observation", Some(&first), Some(&first)), [] as [&str; 0]);
    assert_eq!(seen("observation", Some(&first), Some(&second)), ["records.observation_amended"]);
    let error = pressure("entered-in-error", "130");
    assert_eq!(
        seen("observation", Some(&second), Some(&error)),
        ["records.observation_entered_in_error"]
    );
    assert_eq!(seen("observation", None, Some(&error)), ["records.observation_entered_in_error"]);
    assert_eq!(seen("observation", Some(&error), None), ["records.observation_removed"]);
}

#[test]
fn a_record_that_becomes_another_patients_is_gone_for_the_first() {
    let first = json!({"allergy_id": id(1), "patient_id": id(2), "code": "a"});
    let second = json!({"allergy_id": id(1), "patient_id": id(3), "code": "a"});
    let facts = MedicalRecords.observe("allergy", Some(&first), Some(&second)).unwrap();
    let told: Vec<_> = facts.iter().map(|fact| (fact.type_name, fact.patient_id)).collect();
    assert_eq!(
        told,
        [("records.allergy_removed", Some(id(2))), ("records.allergy_recorded", Some(id(3))),]
    );
}

#[test]
fn an_end_is_said_once() {
    let open = json!({"encounter_id": id(1), "status": "in-progress", "starts_at": NOW});
    let mut over = open.clone();
    over["status"] = json!("finished");
    assert_eq!(seen("encounter", None, Some(&open)), ["records.encounter_started"]);
    assert_eq!(seen("encounter", Some(&open), Some(&over)), ["records.encounter_finished"]);
    let mut later = over.clone();
    later["reason"] = json!("cough");
    assert_eq!(seen("encounter", Some(&over), Some(&later)), ["records.encounter_amended"]);
    let active = json!({"condition_id": id(1), "clinical_status": "active"});
    let resolved = json!({"condition_id": id(1), "clinical_status": "resolved"});
    let inactive = json!({"condition_id": id(1), "clinical_status": "inactive"});
    assert_eq!(seen("condition", Some(&active), Some(&resolved)), ["records.condition_resolved"]);
    assert_eq!(seen("condition", Some(&resolved), Some(&inactive)), ["records.condition_amended"]);
}

#[test]
fn whatever_a_practice_wrote_is_a_state() {
    let odd = json!({
        "procedure_id": id(1), "status": "erledigt", "performed_at_raw": "letzten Montag",
    });
    let told = MedicalRecords.observe("procedure", None, Some(&odd)).unwrap();
    assert_eq!(told[0].type_name, "records.procedure_recorded");
    assert_eq!(told[0].body, odd);
    assert_eq!(told[0].subject, format!("procedure/{}", id(1)));
}
