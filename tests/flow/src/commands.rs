//! Random commands: mostly sensible ones that compete for the same few slots, and some that name
//! nobody, the past, the night, or a version of a record that is no longer so.

use billing::{RecordPayment, RefundPayment};
use kit_event::{RequestId, Timestamp, derived_id};
use patients::{RegisterPatient, UpdatePatient};
use practice::{Desk, Interval, Table};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use scheduling::commands::{
    ArriveAppointment, BookAppointment, CancelAppointment, FulfilAppointment, NoshowAppointment,
    RescheduleAppointment,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::log::FactLog;
use crate::mischief::{id, some};
use crate::weather::chance;

const DAY_MS: i64 = 24 * 3_600_000;
const MINUTE_MS: i64 = 60_000;
/// Free slots among which people choose: few, so that they want the same.
const WANTED_SLOTS: usize = 3;
/// Invoices and payments among which people choose, for the same reason.
const WANTED_ROWS: usize = 4;

/// Whoever asks, and what they can see.
pub struct Asking<'a> {
    /// The clinic's rows; a stale view of them would only make more rejections.
    pub desk: &'a Desk,
    /// The facts, for `If-Match`.
    pub facts: &'a FactLog,
    /// The network's time.
    pub now: Timestamp,
    /// The plan's chance.
    pub rng: &'a mut StdRng,
}

impl Asking<'_> {
    /// A command of the request `id`: its type and body.
    pub fn command(&mut self, id: &RequestId) -> (&'static str, Value) {
        match self.rng.random_range(0..100) {
            0..35 => (BookAppointment::TYPE, self.book(id)),
            35..42 => (RecordPayment::TYPE, self.pay(id)),
            42..45 => (RefundPayment::TYPE, self.refund(id)),
            45..60 => (RescheduleAppointment::TYPE, self.reschedule()),
            60..68 => (CancelAppointment::TYPE, self.about_appointment()),
            68..76 => (ArriveAppointment::TYPE, self.about_appointment()),
            76..79 => (FulfilAppointment::TYPE, self.about_appointment()),
            79..82 => (NoshowAppointment::TYPE, self.about_appointment()),
            82..90 => (RegisterPatient::TYPE, self.register(id)),
            _ => (UpdatePatient::TYPE, self.update()),
        }
    }

    /// Somebody of the table, or now and then nobody that the clinic knows.
    fn someone(&mut self, table: Table) -> Uuid {
        let known = some(self.desk, self.rng, table);
        let stranger = id(self.rng);
        known.filter(|_| !chance(self.rng, 4)).unwrap_or(stranger)
    }

    fn book(&mut self, request: &RequestId) -> Value {
        let practitioner = self.someone(Table::Practitioners);
        let interval = self.interval(&practitioner);
        let mut body = json!({
            "appointment_id": derived_id(request, "appointment"),
            "patient_id": self.someone(Table::Patients),
            "practitioner_id": practitioner,
            "starts_at": interval.starts_at,
            "ends_at": interval.ends_at,
        });
        if chance(self.rng, 50) {
            body["modality"] = json!("video");
            body["reason"] = json!("dor de cabeça \u{1F915}");
        }
        body
    }

    fn reschedule(&mut self) -> Value {
        let mut body = self.about_appointment();
        let practitioner = self.someone(Table::Practitioners);
        let interval = self.interval(&practitioner);
        body["starts_at"] = json!(interval.starts_at);
        body["ends_at"] = json!(interval.ends_at);
        if chance(self.rng, 60) {
            body["practitioner_id"] = json!(practitioner);
        }
        body
    }

    /// Of the few invoices that were written last, so that people pay the same: mostly a part.
    fn pay(&mut self, request: &RequestId) -> Value {
        let invoice = self.recent(Table::Invoices);
        let amount_minor = self.rng.random_range(1..8) * 1_000;
        json!({
            "payment_id": derived_id(request, "payment"),
            "invoice_id": invoice,
            "amount_minor": amount_minor,
            "currency": if chance(self.rng, 8) { "USD" } else { "EUR" },
        })
    }

    fn refund(&mut self, request: &RequestId) -> Value {
        let mut body = json!({
            "refund_id": derived_id(request, "payment"),
            "payment_id": self.recent(Table::Payments),
        });
        if chance(self.rng, 60) {
            body["amount_minor"] = json!(self.rng.random_range(1..5) * 500);
        }
        body
    }

    /// One of the rows that were written last.
    fn recent(&mut self, table: Table) -> Uuid {
        let last = format!("1 ORDER BY rowid DESC LIMIT {WANTED_ROWS}");
        let rows = self.desk.rows_where(table, &last, &[]).expect("rows");
        let named = |row: &practice::Row| row.get(table.key())?.as_str()?.parse().ok();
        let stranger = id(self.rng);
        rows.choose(self.rng).and_then(named).unwrap_or(stranger)
    }

    fn about_appointment(&mut self) -> Value {
        let appointment = self.someone(Table::Appointments);
        let mut body = json!({"appointment_id": appointment});
        self.insist(&mut body, &format!("appointment/{appointment}"));
        body
    }

    /// Insists on a version now and then: the present one, or one before it.
    fn insist(&mut self, body: &mut Value, subject: &str) {
        if chance(self.rng, 30) {
            let versions = self.facts.about(subject);
            let back = usize::from(!chance(self.rng, 70));
            if let Some(seq) = versions.iter().rev().nth(back) {
                body["if_match"] = json!(seq);
            }
        }
    }

    /// A time: free, taken in part, past, or at no time that anybody works.
    fn interval(&mut self, practitioner: &Uuid) -> Interval {
        let day = self.now.plus_ms(self.rng.random_range(0..5) * DAY_MS);
        let roll = self.rng.random_range(0..100);
        let free = || self.desk.free_slots(practitioner, day, day.plus_ms(DAY_MS)).expect("slots");
        match roll {
            0..65 => {
                let free = free();
                let wanted = &free[..free.len().min(WANTED_SLOTS)];
                wanted.choose(self.rng).copied().unwrap_or(Interval::minutes(day, 20))
            }
            65..85 => self.taken().unwrap_or(Interval::minutes(day, 20)),
            85..92 => Interval::minutes(self.now.plus_ms(-DAY_MS), 20),
            _ => Interval::minutes(day.plus_ms(self.rng.random_range(0..96) * 15 * MINUTE_MS), 25),
        }
    }

    /// The time of some appointment, a little earlier or later.
    fn taken(&mut self) -> Option<Interval> {
        let coming = format!("starts_at > '{}' ORDER BY rowid", self.now);
        let rows = self.desk.rows_where(Table::Appointments, &coming, &[]).expect("rows");
        let row = rows.choose(self.rng)?;
        let at = |field: &str| row.get(field)?.as_str()?.parse::<Timestamp>().ok();
        let shift = self.rng.random_range(-1..=1) * 5 * MINUTE_MS;
        let (starts, ends) = (at("starts_at")?, at("ends_at")?);
        (starts < ends).then(|| Interval::new(starts.plus_ms(shift), ends.plus_ms(shift)))
    }

    fn register(&mut self, request: &RequestId) -> Value {
        let mut body = json!({
            "patient_id": derived_id(request, "patient"),
            "family_name": "Gonçalves",
            "birth_date": if chance(self.rng, 10) { "2031-01-01" } else { "1980-12-31" },
        });
        if chance(self.rng, 40) {
            body["mrn"] = json!(format!("R-{}", self.rng.random_range(0..8)));
        }
        if chance(self.rng, 40) {
            body["phone"] = json!("+351 21 000 00 00");
            body["active"] = json!(false);
        }
        body
    }

    fn update(&mut self) -> Value {
        let patient = self.someone(Table::Patients);
        let known: &[(&str, Value)] = &[
            ("phone", json!("+49 30 1234567")),
            ("city", json!("Faro")),
            ("mrn", json!(format!("R-{}", self.rng.random_range(0..8)))),
            ("deceased_on", json!("2026-03-01")),
            ("active", json!(self.rng.random_bool(0.6))),
            ("email", json!("no address")),
        ];
        let mut body = Map::new();
        let mut fields = Vec::new();
        for (field, value) in known {
            if !chance(self.rng, 30) {
                continue;
            }
            fields.push(*field);
            // A field that is named and has no value is emptied.
            if chance(self.rng, 80) {
                body.insert((*field).to_owned(), value.clone());
            }
        }
        body.insert("patient_id".to_owned(), json!(patient));
        body.insert("fields".to_owned(), json!(fields));
        let mut body = Value::Object(body);
        self.insist(&mut body, &format!("patient/{patient}"));
        body
    }
}
