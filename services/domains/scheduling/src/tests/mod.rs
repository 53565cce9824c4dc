//! Promises of the domain, kept against a clinic in memory.

mod booking;
mod observing;
mod slots;

use kit_event::{Filter, Records, RecordsError, Stored, UnitSeq};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

pub(crate) const PATIENT: Uuid = Uuid::from_u128(1);
pub(crate) const DOCTOR: Uuid = Uuid::from_u128(2);
pub(crate) const VISIT: Uuid = Uuid::from_u128(3);
pub(crate) const NEW: Uuid = Uuid::from_u128(4);

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Sunday noon; the clinic opens on Monday.
pub(crate) fn now() -> Timestamp {
    at("2026-03-01T12:00:00Z")
}

/// A clinic as its database holds it: text of any form, as its software wrote it.
#[derive(Debug, Clone)]
pub(crate) struct Clinic {
    pub(crate) zone: &'static str,
    pub(crate) rows: Vec<(&'static str, Value)>,
    pub(crate) seq: Option<UnitSeq>,
}

impl Clinic {
    /// One doctor who works from 9 to 12 and from 12 to 17 on Mondays, and one patient.
    pub(crate) fn open() -> Self {
        let hours = |n: u128, starts, ends| {
            json!({"working_hours_id": Uuid::from_u128(n), "practitioner_id": DOCTOR,
                "weekday": 1, "starts": starts, "ends": ends, "slot_min": 30})
        };
        Self {
            zone: "UTC",
            rows: vec![
                ("patient", json!({"patient_id": PATIENT, "active": true})),
                ("practitioner", json!({"practitioner_id": DOCTOR, "active": true})),
                ("working_hours", hours(10, "09:00", "12:00")),
                ("working_hours", hours(11, "12:00", "17:00")),
            ],
            seq: Some(UnitSeq::new(1, 7)),
        }
    }

    pub(crate) fn with(mut self, resource: &'static str, row: Value) -> Self {
        self.rows.retain(|(_, held)| key(resource, held) != key(resource, &row));
        self.rows.push((resource, row));
        self
    }

    /// Another patient's visit with the doctor.
    pub(crate) fn visit(self, starts_at: &str, ends_at: &str, status: &str) -> Self {
        self.with(
            "appointment",
            json!({"appointment_id": VISIT, "patient_id": Uuid::from_u128(99),
                "practitioner_id": DOCTOR, "starts_at": starts_at, "ends_at": ends_at,
                "status": status}),
        )
    }

    pub(crate) fn decide(&self, type_name: &str, body: &Value) -> Result<Granted, Rejection> {
        Scheduling.decide(type_name, body, self, now())
    }
}

fn key<'a>(resource: &str, row: &'a Value) -> &'a Value {
    &row[format!("{resource}_id")]
}

impl Records for Clinic {
    fn get(&self, resource: &str, id: &Uuid) -> Result<Option<Stored>, RecordsError> {
        let found =
            self.rows.iter().find(|(of, row)| *of == resource && key(resource, row) == &json!(id));
        Ok(found.map(|(_, state)| Stored { state: state.clone(), seq: self.seq }))
    }

    fn find(&self, resource: &str, filters: &[Filter]) -> Result<Vec<Value>, RecordsError> {
        let passes = |row: &Value| filters.iter().all(|filter| filter.passes(row));
        let of_resource = self.rows.iter().filter(|(of, _)| *of == resource);
        Ok(of_resource.map(|(_, row)| row.clone()).filter(passes).collect())
    }

    fn time_zone(&self) -> &str {
        self.zone
    }
}

#[test]
fn every_promise_is_an_object_of_documented_fields() {
    let promises = Scheduling.schemas();
    let mut names: Vec<_> = promises.iter().map(|it| it.type_name).collect();
    for promise in &promises {
        assert!(!promise.doc.is_empty());
        let schema = serde_json::to_value(&promise.schema).unwrap();
        for (name, field) in schema["properties"].as_object().unwrap() {
            assert!(field["description"].is_string(), "{}.{name}: {field}", promise.type_name);
            assert!(field["type"].is_string() || field["type"].is_array(), "{name}: {field}");
        }
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 10 + 6 + 4 + Command::TYPES.len() + Scheduling.queries().len());
}

#[test]
fn every_refusal_has_its_page_once() {
    let mut slugs: Vec<_> = PROBLEMS.iter().map(|(slug, _, _)| *slug).collect();
    slugs.sort_unstable();
    slugs.dedup();
    assert_eq!(slugs.len(), PROBLEMS.len());
}
