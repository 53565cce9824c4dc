//! What can have happened to a patient's registration, and how it is named.

use kit_event::Observed;
use serde::Deserialize;
use serde_json::Value;

use crate::Patient;

kit_event::fact_kinds! {
    /// What happened to a patient's registration. Since version 2 one may be merged into another.
    PatientFact version 2 {
        #[doc = "A patient was registered, at the desk or by a request."]
        Registered = "patients.patient_registered",
        #[doc = "Some field of the registration changed, other than whether it is active."]
        Amended = "patients.patient_amended",
        #[doc = "The registration was set inactive: the unit no longer sees this patient."]
        Deactivated = "patients.patient_deactivated",
        #[doc = "An inactive registration was set active again."]
        Reactivated = "patients.patient_reactivated",
        #[doc = "The registration was found to be the same person's as another, which stays."]
        Merged = "patients.patient_merged" since 2,
        #[doc = "The row is gone; the state is the last one it had."]
        Removed = "patients.patient_removed",
        #[doc = "The state as a new epoch found it; nothing has happened to the patient."]
        Snapshot = "patients.patient_snapshot",
    }
}

/// A fact of this domain: what happened, and the state after it.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// About a patient's registration.
    Patient(PatientFact, Patient),
}

impl Fact {
    /// Reads a fact from its type and body; none for a type that is not of this domain.
    ///
    /// # Errors
    /// The body does not read as the thing that the type is about.
    pub fn read(type_name: &str, body: &Value) -> Result<Option<Self>, serde_json::Error> {
        let Some(kind) = PatientFact::parse(type_name) else { return Ok(None) };
        Ok(Some(Self::Patient(kind, Patient::deserialize(body)?)))
    }

    /// Its type on the wire.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Patient(kind, _) => kind.type_name(),
        }
    }

    /// Whether the thing is gone after it.
    #[must_use]
    pub const fn removes(&self) -> bool {
        let Self::Patient(kind, _) = self;
        match kind {
            PatientFact::Removed => true,
            PatientFact::Registered
            | PatientFact::Amended
            | PatientFact::Deactivated
            | PatientFact::Reactivated
            | PatientFact::Merged
            | PatientFact::Snapshot => false,
        }
    }

    /// The fact as hosts carry it, before it has a number.
    ///
    /// # Errors
    /// Never for a state that was read from JSON.
    pub fn observed(&self) -> Result<Observed, serde_json::Error> {
        let Self::Patient(kind, patient) = self;
        Ok(Observed {
            type_name: kind.type_name(),
            version: kind.version(),
            subject: format!("{}/{}", Patient::RESOURCE, patient.patient_id),
            patient_id: Some(patient.patient_id),
            body: serde_json::to_value(patient)?,
        })
    }
}
