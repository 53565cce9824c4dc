//! How a patient stands, who is another domain's: no more of the registration is read.

use kit_event::{Records, Rejection};
use serde_json::Value;
use uuid::Uuid;

/// Whether a patient is there, and is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patient {
    /// The records hold nobody of that id.
    #[default]
    Unknown,
    /// The registration was merged into another, which has the chart now.
    Merged {
        /// The other.
        into: Uuid,
    },
    /// The record holds a date of death, or a text in its place.
    Deceased,
    /// The record says `active: false`.
    Inactive,
    /// The record says nothing against it.
    Active,
}

/// Reads how a patient stands.
///
/// # Errors
/// The clinic database did not answer.
pub(crate) fn read(records: &dyn Records, id: Uuid) -> Result<Patient, Rejection> {
    let Some(stored) = records.get("patient", &id)? else { return Ok(Patient::Unknown) };
    let state = &stored.state;
    let into = state["merged_into"].as_str().and_then(|text| text.parse().ok());
    Ok(match into.filter(|into| *into != id) {
        Some(into) => Patient::Merged { into },
        None if has_died(state) => Patient::Deceased,
        None if state["active"] == Value::Bool(false) => Patient::Inactive,
        None => Patient::Active,
    })
}

/// A text that is no date still says that somebody died (`March 2026`), unless it stands for an
/// empty field (`-`, `0000-00-00`).
fn has_died(state: &Value) -> bool {
    let says_so = |text: &str| text.chars().any(|sign| sign.is_alphanumeric() && sign != '0');
    state["deceased_on"].is_string() || state["deceased_on_raw"].as_str().is_some_and(says_so)
}
