mod charting;
mod observing;

use std::collections::HashMap;

use kit_event::{Filter, Records, RecordsError, Stored, Timestamp, UnitSeq};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::public;
use crate::{Fact, MedicalRecords, facts};
use kit_event::Domain;

const NOW: &str = "2026-03-04T10:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// A clinic's records in memory.
#[derive(Default)]
struct Held(HashMap<(String, Uuid), Value>);

impl Held {
    fn with(mut self, resource: &str, id: Uuid, state: Value) -> Self {
        self.0.insert((resource.to_owned(), id), state);
        self
    }
}

impl Records for Held {
    fn get(&self, resource: &str, id: &Uuid) -> Result<Option<Stored>, RecordsError> {
        let state = self.0.get(&(resource.to_owned(), *id));
        Ok(state.map(|state| Stored { state: state.clone(), seq: Some(UnitSeq::new(1, 7)) }))
    }

    fn find(&self, _: &str, _: &[Filter]) -> Result<Vec<Value>, RecordsError> {
        Ok(vec![])
    }

    fn time_zone(&self) -> &'static str {
        "UTC"
    }
}

/// A state of a resource in which every text field holds a name.
fn canary(resource: &str) -> Value {
    let schema = MedicalRecords
        .schemas()
        .into_iter()
        .find(|source| source.type_name == format!("records.{resource}_snapshot"));
    let schema = serde_json::to_value(schema.unwrap().schema).unwrap();
    let mut state = json!({});
    for (field, form) in schema["properties"].as_object().unwrap() {
        state[field] = match form["format"].as_str() {
            Some("uuid") => json!(id(1)),
            Some("date-time") => json!(NOW),
            _ if field == "components" => json!([{"code": "Ann Canary", "display": "Canary"}]),
            _ => json!("Ann Canary"),
        };
    }
    state
}

#[test]
fn nothing_that_a_person_typed_freely_is_told() {
    for resource in facts::RESOURCES {
        let fact: Fact = facts::snapshot(resource, &canary(resource)).unwrap();
        let told = public::of(&fact).unwrap();
        assert!(!told.to_string().contains("anary"), "{resource}: {told}");
        assert!(told.get("patient_id").is_some());
    }
}

#[test]
fn codes_statuses_and_days_are_told_and_values_are_not() {
    let state = json!({
        "observation_id": id(1), "patient_id": id(2), "category": "vital-signs",
        "code_system": "http://loinc.org", "code": "8867-4", "display": "Heart rate",
        "value_number": "72", "value_unit": "/min", "status": "final", "effective_at": NOW,
        "components": [],
    });
    let told = public::of(&facts::snapshot("observation", &state).unwrap()).unwrap();
    assert_eq!(
        told,
        json!({
            "observation_id": id(1), "patient_id": id(2), "category": "vital-signs",
            "code_system": "http://loinc.org", "code": "8867-4", "status": "final",
            "effective_on": "2026-03-04",
        })
    );
}

#[test]
fn every_field_that_is_promised_is_documented() {
    let sources = MedicalRecords.schemas().into_iter().chain(MedicalRecords.public_schemas());
    for source in sources {
        let schema = serde_json::to_value(&source.schema).unwrap();
        for (name, field) in schema["properties"].as_object().unwrap() {
            let said = field["description"].is_string() || field["items"].is_object();
            assert!(said, "{}.{name}: {field}", source.type_name);
        }
    }
}
