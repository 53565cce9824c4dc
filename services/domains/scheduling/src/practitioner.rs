//! A practitioner, and what happened between two versions of the row.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::facts::{Fact, PractitionerFact};

/// Somebody who sees patients in one unit. Any program may have written the row, so that only the
/// id is certain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Practitioner {
    /// Public id.
    pub practitioner_id: Uuid,
    /// Family name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// Given name or names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// Field of medicine, as the unit writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specialty: Option<String>,
    /// Whether patients can be booked with this practitioner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
}

impl Practitioner {
    /// The thing's name in mapping files and subjects.
    pub const RESOURCE: &'static str = "practitioner";

    /// Whether patients can be booked: so they can, until somebody says no.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active != Some(false)
    }
}

/// Names what happened to a practitioner between two committed versions of the row; two facts only
/// where the row's identity itself changed.
#[must_use]
pub fn observe(before: Option<&Practitioner>, after: Option<&Practitioner>) -> Vec<Fact> {
    let fact = |kind, of: &Practitioner| Fact::Practitioner(kind, of.clone());
    match (before, after) {
        (None, None) => vec![],
        (None, Some(new)) => vec![fact(PractitionerFact::Added, new)],
        (Some(old), None) => vec![fact(PractitionerFact::Removed, old)],
        (Some(old), Some(new)) if old.practitioner_id != new.practitioner_id => {
            vec![fact(PractitionerFact::Removed, old), fact(PractitionerFact::Added, new)]
        }
        (Some(old), Some(new)) if old == new => vec![],
        (Some(old), Some(new)) => vec![fact(between(old, new), new)],
    }
}

/// Being active comes before every other field.
fn between(old: &Practitioner, new: &Practitioner) -> PractitionerFact {
    match (old.is_active(), new.is_active()) {
        (true, false) => PractitionerFact::Deactivated,
        (false, true) => PractitionerFact::Reactivated,
        (true, true) | (false, false) => PractitionerFact::Amended,
    }
}
