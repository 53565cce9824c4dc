//! A unit as the log sees it: facts under its numbers, in whatever order a test wants.

use kit_bus::{Bus, Placed};
use kit_event::{
    Delivery, Fact, Observed, Request, RequestId, Timestamp, UnitId, UnitSeq, command_hash,
};
use patients::{Patient, PatientFact};
use scheduling::Appointment;
use scheduling::facts::AppointmentFact;
use serde_json::json;
use units::unit::{EpochOpened, EpochSeeded, Fact as UnitFact};
use uuid::Uuid;

/// The time of the first fact of every unit; each number is a second later.
const BEGAN_MS: i64 = 1_772_357_400_000;

/// One unit, which numbers its facts.
pub struct Unit {
    bus: Bus,
    pub id: UnitId,
    pub at: UnitSeq,
}

impl Unit {
    #[must_use]
    pub fn new(bus: &Bus, id: &str) -> Self {
        Self { bus: bus.clone(), id: id.parse().unwrap(), at: UnitSeq::ZERO }
    }

    /// A unit whose first epoch is open.
    pub async fn open(bus: &Bus, id: &str) -> Self {
        let mut unit = Self::new(bus, id);
        unit.open_epoch(1).await;
        unit
    }

    /// The next fact of the unit, not yet on the log.
    pub fn next(&mut self, observed: Observed) -> Fact {
        self.at = self.at.next();
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

    pub async fn publish(&self, fact: &Fact) -> Placed {
        self.bus.publish_fact(fact).await.unwrap()
    }

    pub async fn say(&mut self, observed: Observed) -> Fact {
        let fact = self.next(observed);
        self.publish(&fact).await;
        fact
    }

    pub async fn open_epoch(&mut self, epoch: u32) {
        let previous = (self.at.epoch > 0).then_some(self.at.epoch);
        self.at = UnitSeq::new(epoch, 0);
        let opened = UnitFact::EpochOpened(EpochOpened {
            unit_id: self.id.clone(),
            time_zone: "Europe/Lisbon".to_owned(),
            agent_version: "0.1.0".to_owned(),
            previous,
            reason: Some("first".to_owned()),
        });
        self.say(opened.observed().unwrap()).await;
    }

    #[must_use]
    pub fn seeded(&self, resources: &[&str]) -> Observed {
        let seeded = UnitFact::EpochSeeded(EpochSeeded {
            unit_id: self.id.clone(),
            time_zone: "Europe/Lisbon".to_owned(),
            agent_version: "0.1.0".to_owned(),
            epoch: self.at.epoch,
            things: resources.iter().map(|resource| (*resource).to_owned()).collect(),
        });
        seeded.observed().unwrap()
    }

    /// A request for this unit about the patient `n`.
    #[must_use]
    pub fn request(&self, key: &str, n: u128) -> Request {
        let type_name = "patients.update_patient";
        let command =
            json!({"patient_id": Uuid::from_u128(n), "fields": ["city"], "city": "Porto"});
        let now = Timestamp::from_unix_ms(BEGAN_MS);
        Request {
            unit: self.id.clone(),
            id: RequestId::derive(&self.id, "iss", "sub", key),
            type_name: type_name.to_owned(),
            version: 1,
            accepted_at: now,
            expires_at: now.plus_ms(3_600_000),
            delivery: Delivery::Queue,
            command_hash: command_hash(type_name, &command),
            actor: "staff:anna".to_owned(),
            reply_partition: None,
            traceparent: None,
            body: command,
        }
    }
}

pub fn patient(n: u128, family: &str, given: &str) -> Patient {
    Patient {
        patient_id: Uuid::from_u128(n),
        family_name: Some(family.to_owned()),
        given_name: Some(given.to_owned()),
        mrn: Some(format!("M-{n}")),
        birth_date: "1980-12-31".parse().ok(),
        ..Patient::default()
    }
}

pub fn patient_fact(kind: PatientFact, patient: &Patient) -> Observed {
    patients::Fact::Patient(kind, patient.clone()).observed().unwrap()
}

pub fn registered(n: u128) -> Observed {
    patient_fact(PatientFact::Registered, &patient(n, &format!("Family {n}"), "Given"))
}

pub fn appointment(n: u128, starts_at: &str) -> Appointment {
    Appointment {
        appointment_id: Uuid::from_u128(n),
        patient_id: Some(Uuid::from_u128(1)),
        practitioner_id: Some(Uuid::from_u128(2)),
        starts_at: starts_at.parse().ok(),
        status: Some("booked".to_owned()),
        ..Appointment::default()
    }
}

pub fn appointment_fact(kind: AppointmentFact, appointment: &Appointment) -> Observed {
    scheduling::facts::Fact::Appointment(kind, appointment.clone()).observed().unwrap()
}

/// A fact of a type that no domain knows.
pub fn result_filed(n: u32) -> Observed {
    Observed {
        type_name: "labs.result_filed",
        version: 1,
        subject: format!("result/{n}"),
        patient_id: None,
        body: json!({"result_id": n.to_string(), "words": "fine"}),
    }
}
