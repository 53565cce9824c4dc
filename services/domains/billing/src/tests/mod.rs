//! Promises of the domain, kept against a clinic in memory.

mod counting;
mod observing;
mod paying;
mod refunding;

use kit_event::{Filter, Records, RecordsError, Stored};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

pub(crate) const PATIENT: Uuid = Uuid::from_u128(1);
pub(crate) const INVOICE: Uuid = Uuid::from_u128(2);
pub(crate) const PAID: Uuid = Uuid::from_u128(3);
pub(crate) const NEW: Uuid = Uuid::from_u128(4);
pub(crate) const STRANGER: Uuid = Uuid::from_u128(5);

pub(crate) fn now() -> Timestamp {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

/// A clinic as its database holds it.
#[derive(Debug, Clone)]
pub(crate) struct Clinic {
    pub(crate) rows: Vec<(&'static str, Value)>,
}

impl Clinic {
    /// One invoice of 100.00 euros, for which nothing was paid.
    pub(crate) fn open() -> Self {
        let invoice = json!({"invoice_id": INVOICE, "patient_id": PATIENT, "currency": "EUR",
            "issued_at": "2026-03-01T09:00:00Z", "total_minor": 10_000, "status": "issued"});
        Self { rows: vec![("invoice", invoice)] }
    }

    /// The same clinic, its invoice changed.
    pub(crate) fn invoice(self, field: &str, value: Value) -> Self {
        let held = self.rows.iter().find(|(resource, _)| *resource == "invoice");
        let mut invoice = held.map(|(_, row)| row.clone()).unwrap();
        invoice[field] = value;
        self.with("invoice", invoice)
    }

    pub(crate) fn with(mut self, resource: &'static str, row: Value) -> Self {
        self.rows
            .retain(|(of, held)| *of != resource || key(resource, held) != key(resource, &row));
        self.rows.push((resource, row));
        self
    }

    /// A payment for the invoice, as the desk writes it.
    pub(crate) fn desk(self, id: Uuid, amount_minor: i64, currency: &str) -> Self {
        self.with(
            "payment",
            json!({"payment_id": id, "invoice_id": INVOICE, "currency": currency,
                "amount_minor": amount_minor, "paid_at": "2026-03-02T09:00:00Z"}),
        )
    }

    pub(crate) fn decide(&self, type_name: &str, body: &Value) -> Result<Granted, Rejection> {
        Billing.decide(type_name, body, self, now())
    }

    /// The same clinic after what was granted.
    pub(crate) fn after(self, granted: &Granted) -> Self {
        let change = &granted.changes[0];
        let mut row = Value::Object(change.fields.clone());
        row["payment_id"] = json!(change.record.id);
        self.with("payment", row)
    }

    pub(crate) fn balance(&self) -> Balance {
        let of = |resource: &str| {
            let rows = self.rows.iter().filter(move |(of, _)| *of == resource);
            rows.map(|(_, row)| row.clone()).collect::<Vec<_>>()
        };
        let payments: Vec<Payment> = of("payment").iter().map(read).collect();
        Balance::of(&read(&of("invoice")[0]), &Tally::of(&payments))
    }
}

pub(crate) fn read<T: DeserializeOwned>(row: &Value) -> T {
    T::deserialize(row).unwrap()
}

fn key<'a>(resource: &str, row: &'a Value) -> &'a Value {
    &row[format!("{resource}_id")]
}

impl Records for Clinic {
    fn get(&self, resource: &str, id: &Uuid) -> Result<Option<Stored>, RecordsError> {
        let found =
            self.rows.iter().find(|(of, row)| *of == resource && key(resource, row) == &json!(id));
        Ok(found.map(|(_, state)| Stored { state: state.clone(), seq: None }))
    }

    fn find(&self, resource: &str, filters: &[Filter]) -> Result<Vec<Value>, RecordsError> {
        let passes = |row: &Value| filters.iter().all(|filter| filter.passes(row));
        let of_resource = self.rows.iter().filter(|(of, _)| *of == resource);
        Ok(of_resource.map(|(_, row)| row.clone()).filter(passes).collect())
    }

    fn time_zone(&self) -> &'static str {
        "UTC"
    }
}

#[test]
fn every_promise_is_an_object_of_documented_fields() {
    let promises = Billing.schemas();
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
    assert_eq!(names.len(), 6 + 5 + Command::TYPES.len());
}

#[test]
fn every_refusal_has_its_page_once() {
    let mut slugs: Vec<_> = PROBLEMS.iter().map(|(slug, _, _)| *slug).collect();
    slugs.sort_unstable();
    slugs.dedup();
    assert_eq!(slugs.len(), PROBLEMS.len());
}
