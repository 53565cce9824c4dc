//! A unit as the log sees it, and what of its facts must be told.

use std::collections::BTreeMap;

use kit_bus::Bus;
use kit_event::{Fact, Observed, RequestId, Timestamp, UnitId, UnitSeq};
use serde_json::json;
use uuid::Uuid;

/// The time of the first fact of every unit; each number is a second later.
const BEGAN_MS: i64 = 1_772_357_400_000;

/// One unit, which numbers its facts.
pub struct Unit {
    pub bus: Bus,
    pub id: UnitId,
    pub at: UnitSeq,
    /// What must be told, by namespace, in order.
    pub expected: BTreeMap<String, Vec<UnitSeq>>,
}

impl Unit {
    /// A unit whose first epoch is open.
    pub async fn open(bus: &Bus, id: &str) -> Self {
        let at = UnitSeq::ZERO;
        let mut unit =
            Self { bus: bus.clone(), id: id.parse().unwrap(), at, expected: BTreeMap::new() };
        unit.open_epoch(1).await;
        unit
    }

    /// The next fact of the unit, not yet on the log.
    pub fn next(&mut self, observed: Observed) -> Fact {
        self.at = self.at.next();
        let namespace = observed.type_name.split('.').next().unwrap();
        // Nothing in the schema of this one is marked.
        if namespace != "labs" {
            self.expected.entry(namespace.to_owned()).or_default().push(self.at);
        }
        Fact {
            unit: self.id.clone(),
            seq: self.at,
            id: Uuid::new_v4(),
            type_name: observed.type_name.to_owned(),
            version: observed.version,
            time: Timestamp::from_unix_ms(BEGAN_MS + 1_000 * self.at.seq as i64),
            subject: Some(observed.subject),
            patient_id: observed.patient_id,
            causation_id: None,
            traceparent: None,
            body: observed.body,
        }
    }

    pub async fn publish(&self, fact: &Fact) {
        self.bus.publish_fact(fact).await.unwrap();
    }

    pub async fn say(&mut self, observed: Observed) -> Fact {
        let fact = self.next(observed);
        self.publish(&fact).await;
        fact
    }

    pub async fn open_epoch(&mut self, epoch: u32) {
        let previous = (self.at.epoch > 0).then_some(self.at.epoch);
        self.at = UnitSeq::new(epoch, 0);
        let opened = units::Fact::EpochOpened(units::EpochOpened {
            unit_id: self.id.clone(),
            time_zone: "Europe/Lisbon".to_owned(),
            agent_version: "0.1.0".to_owned(),
            previous,
            reason: Some("first".to_owned()),
        });
        self.say(opened.observed().unwrap()).await;
    }

    /// A stretch of a working day: each domain, a type of a clinic's own, and one that is private;
    /// out of order within each seven, with a repeat.
    pub async fn work(&mut self, rounds: u64, own: &'static str) {
        let mut facts = Vec::new();
        for _ in 0..rounds {
            let n = u128::from(self.at.seq) + 1;
            facts.push(self.next(registered(n)));
            facts.push(self.next(booked(n)));
            facts.push(self.next(paid(n)));
            let done = request_done(&self.id, n);
            facts.push(self.next(done));
            facts.push(self.next(call_ended(own, n)));
            facts.push(self.next(result_filed(n)));
        }
        let mut deliveries = Vec::new();
        for stretch in facts.chunks(7) {
            for fact in stretch.iter().rev().chain(stretch.first()) {
                let sealed = self.bus.seal_fact(fact).await.unwrap();
                deliveries.push(self.bus.enqueue(sealed).unwrap());
            }
        }
        for delivery in deliveries {
            delivery.await.unwrap();
        }
    }
}

pub fn registered(n: u128) -> Observed {
    let patient = patients::Patient {
        patient_id: Uuid::from_u128(n),
        family_name: Some("Canary".to_owned()),
        given_name: Some("Nightingale".to_owned()),
        mrn: Some("Canary-7".to_owned()),
        birth_date: "1980-12-31".parse().ok(),
        country: Some("PT".to_owned()),
        postal_code: Some("1100-148".to_owned()),
        ..patients::Patient::default()
    };
    patients::Fact::Patient(patients::PatientFact::Registered, patient).observed().unwrap()
}

pub fn booked(n: u128) -> Observed {
    let appointment = scheduling::Appointment {
        appointment_id: Uuid::from_u128(n),
        patient_id: Some(Uuid::from_u128(n)),
        starts_at: "2026-03-02T10:00:00Z".parse().ok(),
        status: Some("booked".to_owned()),
        reason: Some("Canary Nightingale".to_owned()),
        ..scheduling::Appointment::default()
    };
    let kind = scheduling::facts::AppointmentFact::Booked;
    scheduling::facts::Fact::Appointment(kind, appointment).observed().unwrap()
}

fn paid(n: u128) -> Observed {
    let payment = billing::Payment {
        payment_id: Uuid::from_u128(n),
        amount_minor: Some(2_500),
        currency: Some("EUR".to_owned()),
        reference: Some("Canary Nightingale".to_owned()),
        ..billing::Payment::default()
    };
    billing::Fact::Payment(billing::PaymentFact::Received, payment).observed().unwrap()
}

fn request_done(unit: &UnitId, n: u128) -> Observed {
    let id = RequestId::derive(unit, "iss", "sub", &n.to_string());
    let at = Timestamp::from_unix_ms(BEGAN_MS);
    let outcome = requests::RequestOutcome {
        actor: Some("staff:canary".to_owned()),
        ..requests::RequestOutcome::new(id, requests::FinalState::Done, at)
    };
    requests::Fact::Request(requests::RequestFact::Done, outcome).observed().unwrap()
}

/// A fact of a type that no domain knows, of which some fields are public.
pub fn call_ended(type_name: &'static str, n: u128) -> Observed {
    Observed {
        type_name,
        version: 1,
        subject: format!("call/{n}"),
        patient_id: None,
        body: json!({"call_id": n.to_string(), "number": "Canary", "seconds": 7}),
    }
}

/// A fact of a type that no domain knows and nobody may read.
pub fn result_filed(n: u128) -> Observed {
    Observed {
        type_name: "labs.result_filed",
        version: 1,
        subject: format!("result/{n}"),
        patient_id: None,
        body: json!({"result_id": n.to_string(), "words": "Canary"}),
    }
}
