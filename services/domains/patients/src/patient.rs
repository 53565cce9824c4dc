//! A patient's registration in one unit, and what happened between two versions of it.

use kit_event::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::facts::{Fact, PatientFact};

/// One person's registration in one unit, as its practice software holds it. Any program may have
/// written it, so that only the id is certain. Names follow the reference practice schema, codes
/// FHIR R4.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Patient {
    /// Public id of the registration.
    pub patient_id: Uuid,
    /// Medical record number: the unit's own number for the patient, unique in the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mrn: Option<String>,
    /// Family name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// Given name or names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// Date of birth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub birth_date: Option<Date>,
    /// The date of birth as somebody typed it, where it is no calendar date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth_date_raw: Option<String>,
    /// FHIR AdministrativeGender: `male`, `female`, `other` or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sex: Option<String>,
    /// Telephone number, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Street and house.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_line: Option<String>,
    /// Town.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// Postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// Country, as an ISO 3166 code or as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Date of death.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub deceased_on: Option<Date>,
    /// The date of death as somebody typed it, where it is no calendar date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deceased_on_raw: Option<String>,
    /// Whether the unit still sees this patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// The registration of the same person that stays, where this one was merged into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<Uuid>,
}

impl Patient {
    /// The thing's name in mapping files and subjects.
    pub const RESOURCE: &'static str = "patient";

    /// Whether the unit still sees this patient: so it does, until somebody says no.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active != Some(false)
    }
}

/// Names what happened to a registration between two committed versions of its row.
///
/// At most one fact for one row; two only where the row's identity itself changed, which is one
/// registration gone and another one made.
#[must_use]
pub fn observe(before: Option<&Patient>, after: Option<&Patient>) -> Vec<Fact> {
    let fact = |kind, patient: &Patient| Fact::Patient(kind, patient.clone());
    match (before, after) {
        (None, None) => vec![],
        (None, Some(new)) => vec![fact(PatientFact::Registered, new)],
        (Some(old), None) => vec![fact(PatientFact::Removed, old)],
        (Some(old), Some(new)) if old.patient_id != new.patient_id => {
            vec![fact(PatientFact::Removed, old), fact(PatientFact::Registered, new)]
        }
        (Some(old), Some(new)) if old == new => vec![],
        (Some(old), Some(new)) => vec![fact(between(old, new), new)],
    }
}

/// Being merged comes before being active, and that before every other field.
fn between(old: &Patient, new: &Patient) -> PatientFact {
    if new.merged_into.is_some() && new.merged_into != old.merged_into {
        return PatientFact::Merged;
    }
    match (old.is_active(), new.is_active()) {
        (true, false) => PatientFact::Deactivated,
        (false, true) => PatientFact::Reactivated,
        (true, true) | (false, false) => PatientFact::Amended,
    }
}
