//! Why a unit refuses a command about a chart.
//!
//! The slug is the last part of a problem's `type` and never changes; the title is the same for
//! each rejection of that name; the detail says what exactly.

use kit_event::rejection::{CHANGED_MEANWHILE, FIELD_RULES, found_at};
use kit_event::{FieldProblem, Problem, Rejection, UnitSeq};
use uuid::Uuid;

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChartRejection {
    /// `patient-unknown`
    #[error("the unit has no patient {patient_id}")]
    PatientUnknown {
        /// Who was asked for.
        patient_id: Uuid,
    },
    /// `patient-merged`
    #[error("patient {patient_id} was merged into {into}")]
    PatientMerged {
        /// Who was asked for.
        patient_id: Uuid,
        /// The registration that has the chart.
        into: Uuid,
    },
    /// `patient-deceased`
    #[error("patient {patient_id} has died")]
    PatientDeceased {
        /// Who was asked for.
        patient_id: Uuid,
    },
    /// `patient-inactive`
    #[error("the unit no longer sees patient {patient_id}")]
    PatientInactive {
        /// Who was asked for.
        patient_id: Uuid,
    },
    /// `<resource>-unknown`
    #[error("the unit has no {resource} {id} of this patient")]
    RecordUnknown {
        /// Which resource.
        resource: &'static str,
        /// Which was asked for.
        id: Uuid,
    },
    /// `record-exists`
    #[error("{resource} {id} is in the chart already")]
    RecordExists {
        /// Which resource.
        resource: &'static str,
        /// Which is there already.
        id: Uuid,
    },
    /// `record-retracted`
    #[error("{resource} {id} is marked as entered in error")]
    RecordRetracted {
        /// Which resource.
        resource: &'static str,
        /// Which record.
        id: Uuid,
    },
    /// `encounter-status`
    #[error("encounter {encounter_id} is {status} and cannot be finished")]
    EncounterStatus {
        /// Which encounter.
        encounter_id: Uuid,
        /// As it stands in the row.
        status: String,
    },
    /// `in-the-future`
    #[error("{field} has not come yet")]
    InTheFuture {
        /// The field.
        field: &'static str,
    },
    /// `ends-before-start`
    #[error("the encounter would end before it begins")]
    EndsBeforeStart,
    /// `abated-before-onset`
    #[error("the condition would end before it begins")]
    AbatedBeforeOnset,
    /// `changed-meanwhile`
    #[error("the record is not at {expected} but at {}", found_at(.found))]
    ChangedMeanwhile {
        /// What the asker had seen.
        expected: UnitSeq,
        /// What stands there; none while a change is not yet numbered.
        found: Option<UnitSeq>,
    },
    /// `field-rules`
    #[error("{}", FieldProblem::sentence(.problems))]
    FieldRules {
        /// Every field that breaks a rule.
        problems: Vec<FieldProblem>,
    },
}

const PATIENT_UNKNOWN: Problem = (
    "patient-unknown",
    "The unit has no such patient",
    "The request names a patient whom the unit's records do not hold. Patients are registered in \
     each unit by itself, and a registration can be removed at the desk.",
);
const PATIENT_MERGED: Problem = (
    "patient-merged",
    "The patient's registration was merged into another",
    "The registration was found to be the same person's as another one, which stays and is named \
     in the detail. That one has the chart.",
);
const PATIENT_DECEASED: Problem = (
    "patient-deceased",
    "The patient has died",
    "The patient's registration holds a date of death. No encounter begins; what happened before \
     can still be recorded.",
);
const PATIENT_INACTIVE: Problem = (
    "patient-inactive",
    "The unit no longer sees this patient",
    "The patient's registration is not active. It must be set active again before an encounter \
     begins; what happened can still be recorded.",
);
const ENCOUNTER_UNKNOWN: Problem = (
    "encounter-unknown",
    "The unit has no such encounter",
    "The request names an encounter that the patient's chart does not hold.",
);
const OBSERVATION_UNKNOWN: Problem = (
    "observation-unknown",
    "The unit has no such observation",
    "The request names an observation that the unit's charts do not hold.",
);
const CONDITION_UNKNOWN: Problem = (
    "condition-unknown",
    "The unit has no such condition",
    "The request names a condition that the unit's charts do not hold.",
);
const ALLERGY_UNKNOWN: Problem = (
    "allergy-unknown",
    "The unit has no such allergy",
    "The request names an allergy that the unit's charts do not hold.",
);
const IMMUNIZATION_UNKNOWN: Problem = (
    "immunization-unknown",
    "The unit has no such immunization",
    "The request names an immunization that the unit's charts do not hold.",
);
const PRACTITIONER_UNKNOWN: Problem = (
    "practitioner-unknown",
    "The unit has no such practitioner",
    "The request names a practitioner whom the unit's records do not hold.",
);
const APPOINTMENT_UNKNOWN: Problem = (
    "appointment-unknown",
    "The unit has no such appointment",
    "The request names an appointment that the unit's diary does not hold for this patient.",
);
const RECORD_EXISTS: Problem = (
    "record-exists",
    "The record is in the chart already",
    "A record under this id exists. It happens when an Idempotency-Key is used again more than 30 \
     days after its first use.",
);
const RECORD_RETRACTED: Problem = (
    "record-retracted",
    "The record is marked as entered in error",
    "A record that was taken back as entered in error is final for requests. Record it anew.",
);
const ENCOUNTER_STATUS: Problem = (
    "encounter-status",
    "The encounter's status does not allow it",
    "Only an encounter that is not over, cancelled or entered in error can be finished.",
);
const IN_THE_FUTURE: Problem = (
    "in-the-future",
    "The time has not come yet",
    "What is recorded has happened. A time may be ahead of the network's by five minutes at most; \
     a date has begun somewhere on earth.",
);
const ENDS_BEFORE_START: Problem =
    ("ends-before-start", "The end is before the beginning", "An encounter ends after it began.");
const ABATED_BEFORE_ONSET: Problem = (
    "abated-before-onset",
    "The condition ends before it begins",
    "The date of the end is before the date of the onset, as the record would stand after the \
     request.",
);

/// Every problem of this domain, for the pages at `/problems/<slug>`.
pub const PROBLEMS: &[Problem] = &[
    PATIENT_UNKNOWN,
    PATIENT_MERGED,
    PATIENT_DECEASED,
    PATIENT_INACTIVE,
    ENCOUNTER_UNKNOWN,
    OBSERVATION_UNKNOWN,
    CONDITION_UNKNOWN,
    ALLERGY_UNKNOWN,
    IMMUNIZATION_UNKNOWN,
    PRACTITIONER_UNKNOWN,
    APPOINTMENT_UNKNOWN,
    RECORD_EXISTS,
    RECORD_RETRACTED,
    ENCOUNTER_STATUS,
    IN_THE_FUTURE,
    ENDS_BEFORE_START,
    ABATED_BEFORE_ONSET,
    CHANGED_MEANWHILE,
    FIELD_RULES,
];

impl ChartRejection {
    fn problem(&self) -> Problem {
        match self {
            Self::PatientUnknown { .. } => PATIENT_UNKNOWN,
            Self::PatientMerged { .. } => PATIENT_MERGED,
            Self::PatientDeceased { .. } => PATIENT_DECEASED,
            Self::PatientInactive { .. } => PATIENT_INACTIVE,
            Self::RecordUnknown { resource, .. } => match *resource {
                "observation" => OBSERVATION_UNKNOWN,
                "condition" => CONDITION_UNKNOWN,
                "allergy" => ALLERGY_UNKNOWN,
                "immunization" => IMMUNIZATION_UNKNOWN,
                "practitioner" => PRACTITIONER_UNKNOWN,
                "appointment" => APPOINTMENT_UNKNOWN,
                _ => ENCOUNTER_UNKNOWN,
            },
            Self::RecordExists { .. } => RECORD_EXISTS,
            Self::RecordRetracted { .. } => RECORD_RETRACTED,
            Self::EncounterStatus { .. } => ENCOUNTER_STATUS,
            Self::InTheFuture { .. } => IN_THE_FUTURE,
            Self::EndsBeforeStart => ENDS_BEFORE_START,
            Self::AbatedBeforeOnset => ABATED_BEFORE_ONSET,
            Self::ChangedMeanwhile { .. } => CHANGED_MEANWHILE,
            Self::FieldRules { .. } => FIELD_RULES,
        }
    }
}

impl From<ChartRejection> for Rejection {
    fn from(refused: ChartRejection) -> Self {
        Self::of(refused.problem(), refused.to_string())
    }
}
