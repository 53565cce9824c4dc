//! Reading a unit's records into the things of this domain.

use chrono_tz::Tz;
use kit_event::{Records, Rejection};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

/// Whether somebody whom a command names is there, and is to be booked.
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

/// Whether a patient is there, and is to be booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patient {
    /// The records hold nobody of that id.
    #[default]
    Unknown,
    /// The registration was merged into another, which stays.
    Merged {
        /// The one at the end, where a desk merged that one in turn.
        into: Uuid,
    },
    /// The record holds a date of death, or a text in its place.
    Deceased,
    /// The record says `active: false`.
    Inactive,
    /// The record says nothing against it.
    Active,
}

/// The name under which the unit's records hold patients, who are another domain's.
const PATIENT: &str = "patient";
/// Merges that are followed from one registration to the next. Requests make no chain of them, a
/// desk may, and one that leads back to its beginning too.
const MERGES_FOLLOWED_MAX: usize = 16;

/// How a patient stands; no more of the record is read.
///
/// # Errors
/// The clinic database did not answer.
pub(crate) fn patient(records: &dyn Records, id: Uuid) -> Result<Patient, Rejection> {
    let Some(stored) = records.get(PATIENT, &id)? else { return Ok(Patient::Unknown) };
    let state = &stored.state;
    Ok(match merged_into(state, id) {
        Some(next) => Patient::Merged { into: stays(records, id, next)? },
        None if has_died(state) => Patient::Deceased,
        None if state["active"] == Value::Bool(false) => Patient::Inactive,
        None => Patient::Active,
    })
}

/// The registration at the end of a chain of merges.
fn stays(records: &dyn Records, from: Uuid, first: Uuid) -> Result<Uuid, Rejection> {
    let mut last = first;
    for _ in 0..MERGES_FOLLOWED_MAX {
        let next = records.get(PATIENT, &last)?.and_then(|it| merged_into(&it.state, last));
        match next.filter(|next| *next != from) {
            Some(next) => last = next,
            None => break,
        }
    }
    Ok(last)
}

/// A practice may name the registration itself where it was merged into no other.
fn merged_into(state: &Value, own: Uuid) -> Option<Uuid> {
    state["merged_into"].as_str()?.parse().ok().filter(|into| *into != own)
}

/// A text that is no date still says that somebody died (`March 2026`), unless it stands for an
/// empty field (`-`, `0000-00-00`).
fn has_died(state: &Value) -> bool {
    let says_so = |text: &str| text.chars().any(|sign| sign.is_alphanumeric() && sign != '0');
    state["deceased_on"].is_string() || state["deceased_on_raw"].as_str().is_some_and(says_so)
}

/// How the thing with this id stands.
///
/// # Errors
/// The clinic database did not answer.
pub(crate) fn standing(
    records: &dyn Records,
    resource: &str,
    id: Uuid,
) -> Result<Standing, Rejection> {
    Ok(match records.get(resource, &id)? {
        None => Standing::Unknown,
        Some(stored) if stored.state["active"] == Value::Bool(false) => Standing::Inactive,
        Some(_) => Standing::Active,
    })
}

/// Reads a state as its thing. The mapping made it, so that a failure is a defect of the mapping;
/// the state itself stays out of the message.
pub(crate) fn read<T: DeserializeOwned>(resource: &str, state: &Value) -> Result<T, Rejection> {
    T::deserialize(state)
        .map_err(|_| Rejection::agent_failed(format!("a record does not read as {resource}")))
}

/// The unit's zone.
pub(crate) fn zone(records: &dyn Records) -> Result<Tz, Rejection> {
    let name = records.time_zone();
    name.parse().map_err(|_| {
        Rejection::agent_failed(format!("{name} is no time zone of the IANA database"))
    })
}
