//! Reading a unit's records into the things of this domain.

use chrono_tz::Tz;
use kit_event::{Records, Refusal};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

/// Whether somebody whom a wish names is there, and is to be booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// The records hold nobody of that id.
    #[default]
    Unknown,
    /// The record says `active: false`.
    Inactive,
    /// The record says nothing against it.
    Active,
}

/// How the thing with this id stands. Of a patient, who is another domain's, no more is read.
///
/// # Errors
/// The clinic database did not answer.
pub(crate) fn standing(records: &dyn Records, thing: &str, id: Uuid) -> Result<Standing, Refusal> {
    Ok(match records.get(thing, &id)? {
        None => Standing::Unknown,
        Some(stored) if stored.state["active"] == Value::Bool(false) => Standing::Inactive,
        Some(_) => Standing::Active,
    })
}

/// Reads a state as its thing. The mapping made it, so that a failure is a defect of the mapping;
/// the state itself stays out of the message.
pub(crate) fn read<T: DeserializeOwned>(thing: &str, state: &Value) -> Result<T, Refusal> {
    T::deserialize(state)
        .map_err(|_| Refusal::agent_failed(format!("a record does not read as {thing}")))
}

/// The unit's zone.
pub(crate) fn zone(records: &dyn Records) -> Result<Tz, Refusal> {
    let name = records.time_zone();
    name.parse()
        .map_err(|_| Refusal::agent_failed(format!("{name} is no time zone of the IANA database")))
}
