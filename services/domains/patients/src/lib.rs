//! Patients: the registrations of one unit, what may be asked about them, and what happened.
//!
//! A patient here is *one registration in one unit*; a person with several is somebody else's
//! business. The crate is pure: [`observe`] names what happened between two versions of a row,
//! whoever wrote it, and [`registration::decide`] grants or refuses a command against the records
//! as they stand. It must never know SQL, sockets, Kafka, the time, or how an id is made: records,
//! now and ids are arguments.
//!
//! | module | what it holds |
//! |---|---|
//! | [`patient`] | [`Patient`], the thing, and [`observe`] |
//! | [`facts`] | [`Fact`]: what can have happened |
//! | [`commands`] | [`RegisterPatient`], [`UpdatePatient`], and [`Command`], their only list |
//! | [`rules`] | what a field obeys by itself |
//! | [`registration`], [`merge`] | `gather` and `decide` |
//! | [`public`] | what analysts and integrators learn |
//! | [`rejection`] | [`PatientRejection`] and [`PROBLEMS`] |
#![deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)]

pub mod commands;
pub mod facts;
pub mod merge;
pub mod patient;
pub mod public;
pub mod registration;
pub mod rejection;
pub mod rules;

pub use commands::{Command, RegisterPatient, UpdatePatient};
pub use facts::{Fact, PatientFact};
pub use merge::MergePatients;
pub use patient::{Patient, observe};
pub use rejection::{PROBLEMS, PatientRejection};

use kit_event::{
    Domain, Granted, Observed, PublicEvent, Records, Rejection, SchemaSource, Timestamp,
};
use serde::Deserialize;
use serde_json::Value;
use utoipa::PartialSchema;

/// The domain, as hosts hold it.
#[derive(Debug, Clone, Copy)]
pub struct Patients;

impl Domain for Patients {
    fn name(&self) -> &'static str {
        "patients"
    }

    fn resources(&self) -> &'static [&'static str] {
        &[Patient::RESOURCE]
    }

    fn identifying(&self, resource: &str) -> &'static [&'static str] {
        match resource {
            Patient::RESOURCE => &["family_name", "given_name", "birth_date"],
            _ => &[],
        }
    }

    fn observe(
        &self,
        resource: &str,
        before: Option<&Value>,
        after: Option<&Value>,
    ) -> Result<Vec<Observed>, serde_json::Error> {
        if resource != Patient::RESOURCE {
            return Ok(vec![]);
        }
        let before = before.map(Patient::deserialize).transpose()?;
        let after = after.map(Patient::deserialize).transpose()?;
        observe(before.as_ref(), after.as_ref()).iter().map(Fact::observed).collect()
    }

    fn snapshot(&self, resource: &str, state: &Value) -> Result<Observed, serde_json::Error> {
        if resource != Patient::RESOURCE {
            return Err(serde::de::Error::custom(format!("patients knows no thing {resource}")));
        }
        Fact::Patient(PatientFact::Snapshot, Patient::deserialize(state)?).observed()
    }

    fn commands(&self) -> &'static [&'static str] {
        Command::TYPES
    }

    fn decide(
        &self,
        type_name: &str,
        body: &Value,
        records: &dyn Records,
        now: Timestamp,
    ) -> Result<Granted, Rejection> {
        let command = Command::read(type_name, body)?;
        let register = registration::gather(&command, records)?;
        Ok(registration::decide(&command, &register, now)?)
    }

    fn schemas(&self) -> Vec<SchemaSource> {
        let facts = PatientFact::ALL.iter().map(|kind| SchemaSource {
            type_name: kind.type_name(),
            version: kind.version(),
            doc: kind.doc(),
            schema: Patient::schema(),
        });
        let command = |type_name, doc, schema| SchemaSource {
            type_name,
            version: Command::VERSION,
            doc,
            schema,
        };
        facts
            .chain([
                command(
                    RegisterPatient::TYPE,
                    "Asks the unit to register a patient.",
                    RegisterPatient::schema(),
                ),
                command(
                    UpdatePatient::TYPE,
                    "Asks the unit to change named fields of a registration.",
                    UpdatePatient::schema(),
                ),
                command(
                    MergePatients::TYPE,
                    "Asks the unit to merge a registration into another of the same person.",
                    MergePatients::schema(),
                ),
            ])
            .collect()
    }

    fn publish(&self, fact: &kit_event::Fact) -> Result<Option<PublicEvent>, serde_json::Error> {
        let Some(known) = Fact::read(&fact.type_name, &fact.body)? else { return Ok(None) };
        let body = serde_json::to_value(public::of(&known, fact.time))?;
        Ok(Some(PublicEvent { version: public::VERSION, body }))
    }

    fn public_schemas(&self) -> Vec<SchemaSource> {
        public::schemas()
    }
}

#[cfg(test)]
mod tests;
