//! Scheduling: the diary of one unit, what may be asked of it, and what happened in it.
//!
//! A diary is appointments, practitioners and their weekly hours. The crate is pure: `observe`
//! names what happened between two versions of a row, whoever wrote it; [`booking::decide`] grants
//! or refuses a command against the diary as it stands; [`slots::free`] says what could be booked.
//! It must never know SQL, sockets, Kafka, the time, or how an id is made: records, now and ids are
//! arguments. Of patients, who are another domain's, it reads only whether they are active.
//!
//! | module | what it holds |
//! |---|---|
//! | [`appointment`], [`practitioner`], [`working_hours`] | the things, each with its `observe` |
//! | [`facts`] | [`Fact`]: what can have happened |
//! | [`commands`] | what may be asked, and [`Command`], the only list |
//! | [`rules`] | what a field obeys by itself |
//! | [`interval`], [`hours`], [`diary`] | time worked and time taken |
//! | [`booking`] | `gather` and `decide` |
//! | [`slots`] | free slots |
//! | [`public`] | what analysts and integrators learn |
//! | [`rejection`] | [`BookingRejection`] and [`PROBLEMS`] |

#![cfg_attr(
    test,
    expect(
        clippy::cast_possible_truncation,
        clippy::unnecessary_wraps,
        reason = "numbers of a test are small"
    )
)]
#![deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)]

pub mod appointment;
pub mod booking;
pub mod commands;
pub mod diary;
pub mod facts;
pub mod hours;
pub mod interval;
pub mod practitioner;
pub mod public;
pub mod reading;
pub mod rejection;
pub mod rules;
mod schemas;
pub mod slots;
pub mod working_hours;

pub use appointment::{Appointment, Status};
pub use commands::{
    ArriveAppointment, BookAppointment, CancelAppointment, Command, FreeSlots, FulfilAppointment,
    NoshowAppointment, RescheduleAppointment, Slot, Slots,
};
pub use facts::{AppointmentFact, Fact, PractitionerFact, WorkingHoursFact};
pub use practitioner::Practitioner;
pub use rejection::{BookingRejection, PROBLEMS};
pub use working_hours::WorkingHours;

use kit_event::{
    Answer, Domain, Granted, Observed, PublicEvent, Records, Rejection, SchemaSource, Timestamp,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The domain, as hosts hold it.
#[derive(Debug, Clone, Copy)]
pub struct Scheduling;

impl Domain for Scheduling {
    fn name(&self) -> &'static str {
        "scheduling"
    }

    fn resources(&self) -> &'static [&'static str] {
        &[Practitioner::RESOURCE, WorkingHours::RESOURCE, Appointment::RESOURCE]
    }

    fn identifying(&self, resource: &str) -> &'static [&'static str] {
        match resource {
            Appointment::RESOURCE => &["patient_id", "practitioner_id", "starts_at"],
            Practitioner::RESOURCE => &["family_name", "given_name"],
            _ => &[],
        }
    }

    fn observe(
        &self,
        resource: &str,
        before: Option<&Value>,
        after: Option<&Value>,
    ) -> Result<Vec<Observed>, serde_json::Error> {
        let facts = match resource {
            Appointment::RESOURCE => {
                appointment::observe(row(before)?.as_ref(), row(after)?.as_ref())
            }
            Practitioner::RESOURCE => {
                practitioner::observe(row(before)?.as_ref(), row(after)?.as_ref())
            }
            WorkingHours::RESOURCE => {
                working_hours::observe(row(before)?.as_ref(), row(after)?.as_ref())
            }
            _ => vec![],
        };
        facts.iter().map(Fact::observed).collect()
    }

    fn snapshot(&self, resource: &str, state: &Value) -> Result<Observed, serde_json::Error> {
        let fact = match resource {
            Appointment::RESOURCE => {
                Fact::Appointment(AppointmentFact::Snapshot, Appointment::deserialize(state)?)
            }
            Practitioner::RESOURCE => {
                Fact::Practitioner(PractitionerFact::Snapshot, Practitioner::deserialize(state)?)
            }
            WorkingHours::RESOURCE => {
                Fact::WorkingHours(WorkingHoursFact::Snapshot, WorkingHours::deserialize(state)?)
            }
            other => {
                let unknown = format!("scheduling knows no thing {other}");
                return Err(serde::de::Error::custom(unknown));
            }
        };
        fact.observed()
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
        let state = booking::gather(&command, records)?;
        Ok(booking::decide(&command, &state, now)?)
    }

    fn queries(&self) -> &'static [&'static str] {
        &[FreeSlots::TYPE]
    }

    fn answer(
        &self,
        type_name: &str,
        body: &Value,
        records: &dyn Records,
        now: Timestamp,
    ) -> Answer {
        if type_name != FreeSlots::TYPE {
            return Err(Rejection::unknown_type(type_name));
        }
        let query = FreeSlots::deserialize(body)
            .map_err(|error| Rejection::malformed(type_name, &error))?;
        // Before the records are read: a range without bound would read the whole diary.
        query.validate().map_err(|problems| BookingRejection::FieldRules { problems })?;
        let day = slots::gather(&query, records)?;
        let slots = slots::free(&query, &day, now)?;
        serde_json::to_value(slots).map_err(|error| Rejection::agent_failed(error.to_string()))
    }

    fn schemas(&self) -> Vec<SchemaSource> {
        schemas::all()
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

fn row<T: DeserializeOwned>(state: Option<&Value>) -> Result<Option<T>, serde_json::Error> {
    state.map(T::deserialize).transpose()
}

#[cfg(test)]
mod tests;
