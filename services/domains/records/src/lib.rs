//! Medical records: what a unit knows of its patients' health, what may be asked of it, and what
//! happened to it.
//!
//! A chart is encounters, conditions, allergies, observations with their components, procedures
//! and immunizations. The crate is pure: [`facts::Resource::observe`] names what happened between
//! two versions of a record, whoever wrote it; [`charting::decide`] grants or refuses a command
//! against the chart as it stands. It must never know SQL, sockets, Kafka, the time, or how an id
//! is made: records, now and ids are arguments. Of patients, who are another domain's, it reads
//! only whether they are there and seen.
//!
//! | module | what it holds |
//! |---|---|
//! | [`resources`] | the six resources, as rows hold them |
//! | [`facts`] | [`Resource`], and [`Fact`]: what can have happened |
//! | [`recordings`] | commands that record and amend, two from each list of fields |
//! | [`commands`] | what may be asked, and [`Command`], the only list |
//! | [`rules`] | what a field obeys by itself, and the closed sets of words |
//! | [`patient`], [`charting`] | `gather` and `decide` |
//! | [`public`] | what analysts and integrators learn |
//! | [`rejection`] | [`ChartRejection`] and [`PROBLEMS`] |

#![deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)]

pub mod charting;
pub mod commands;
pub mod facts;
pub mod patient;
pub mod public;
pub mod recordings;
pub mod rejection;
pub mod resources;
pub mod rules;

pub use commands::{Command, FinishEncounter, StartEncounter};
pub use facts::{
    AllergyFact, ConditionFact, EncounterFact, Fact, ImmunizationFact, ObservationFact,
    ProcedureFact, Resource,
};
pub use recordings::{
    RecordAllergy, RecordCondition, RecordImmunization, RecordObservation, UpdateAllergy,
    UpdateCondition, UpdateImmunization, UpdateObservation,
};
pub use rejection::{ChartRejection, PROBLEMS};
pub use resources::{
    Allergy, Component, Condition, Encounter, Immunization, Observation, Procedure,
};

use kit_event::{
    Domain, Granted, Observed, PublicEvent, Records, Rejection, SchemaSource, Timestamp,
};
use serde_json::Value;

/// The domain, as hosts hold it.
#[derive(Debug, Clone, Copy)]
pub struct MedicalRecords;

impl Domain for MedicalRecords {
    fn name(&self) -> &'static str {
        "records"
    }

    fn resources(&self) -> &'static [&'static str] {
        facts::RESOURCES
    }

    fn observe(
        &self,
        resource: &str,
        before: Option<&Value>,
        after: Option<&Value>,
    ) -> Result<Vec<Observed>, serde_json::Error> {
        facts::observe(resource, before, after)?.iter().map(Fact::observed).collect()
    }

    fn snapshot(&self, resource: &str, state: &Value) -> Result<Observed, serde_json::Error> {
        facts::snapshot(resource, state)?.observed()
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
        let chart = charting::gather(&command, records)?;
        Ok(charting::decide(&command, &chart, now)?)
    }

    fn schemas(&self) -> Vec<SchemaSource> {
        facts::schemas().into_iter().chain(commands::schemas()).collect()
    }

    fn publish(&self, fact: &kit_event::Fact) -> Result<Option<PublicEvent>, serde_json::Error> {
        let Some(known) = Fact::read(&fact.type_name, &fact.body)? else { return Ok(None) };
        let body = public::of(&known)?;
        Ok(Some(PublicEvent { version: public::VERSION, body }))
    }

    fn public_schemas(&self) -> Vec<SchemaSource> {
        public::schemas()
    }
}

#[cfg(test)]
mod tests;
