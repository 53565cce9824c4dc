//! Why a unit refuses a command about its patients.
//!
//! The slug is the last part of a problem's `type` and never changes; the title is the same for
//! each rejection of that name; the detail says what exactly, and never anything of another
//! patient.

use kit_event::rejection::{CHANGED_MEANWHILE, FIELD_RULES, found_at};
use kit_event::{Date, FieldProblem, Problem, Rejection, UnitSeq};
use uuid::Uuid;

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatientRejection {
    /// `patient-unknown`
    #[error("the unit has no patient {patient_id}")]
    PatientUnknown {
        /// Who was asked for.
        patient_id: Uuid,
    },
    /// `patient-exists`
    #[error("patient {patient_id} is registered already")]
    PatientExists {
        /// Who is there already.
        patient_id: Uuid,
    },
    /// `duplicate-mrn`; never whose it is.
    #[error("the mrn belongs to another patient of the unit")]
    DuplicateMrn,
    /// `birth-date-in-future`
    #[error("birth_date {birth_date} has not come yet")]
    BirthDateInFuture {
        /// The date asked for.
        birth_date: Date,
    },
    /// `deceased-on-in-future`
    #[error("deceased_on {deceased_on} has not come yet")]
    DeceasedOnInFuture {
        /// The date asked for.
        deceased_on: Date,
    },
    /// `deceased-before-birth`
    #[error("deceased_on {deceased_on} is before birth_date {birth_date}")]
    DeceasedBeforeBirth {
        /// The date of death.
        deceased_on: Date,
        /// The date of birth, as asked for or as it stands.
        birth_date: Date,
    },
    /// `changed-meanwhile`
    #[error("the patient is not at {expected} but at {}", found_at(.found))]
    ChangedMeanwhile {
        /// What the asker had seen.
        expected: UnitSeq,
        /// What stands there; none while a change is not yet numbered.
        found: Option<UnitSeq>,
    },
    /// `merge-unsupported`
    #[error("the practice's software does not keep where a registration was merged")]
    MergeUnsupported,
    /// `merge-with-itself`
    #[error("patient {patient_id} cannot be merged into itself")]
    MergeWithItself {
        /// Who was asked for, twice.
        patient_id: Uuid,
    },
    /// `merge-target-unknown`
    #[error("the unit has no patient {patient_id} to merge into")]
    MergeTargetUnknown {
        /// Who was to stay.
        patient_id: Uuid,
    },
    /// `already-merged`
    #[error("patient {patient_id} was merged into another registration before")]
    AlreadyMerged {
        /// Which of the two.
        patient_id: Uuid,
    },
    /// `too-many-merged`
    #[error("too many registrations were merged into patient {patient_id}")]
    TooManyMerged {
        /// Who was to be merged away.
        patient_id: Uuid,
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
const PATIENT_EXISTS: Problem = (
    "patient-exists",
    "The patient is registered already",
    "A registration under this id exists. It happens when an Idempotency-Key is used again more \
     than 30 days after its first use.",
);
const DUPLICATE_MRN: Problem = (
    "duplicate-mrn",
    "The medical record number belongs to another patient",
    "A medical record number is unique in its unit, inactive registrations included. Leave it out, \
     or let the desk find the registration that has it.",
);
const BIRTH_DATE_IN_FUTURE: Problem = (
    "birth-date-in-future",
    "The date of birth has not come yet",
    "A date of birth is refused when that day has begun nowhere on Earth.",
);
const DECEASED_ON_IN_FUTURE: Problem = (
    "deceased-on-in-future",
    "The date of death has not come yet",
    "A date of death is refused when that day has begun nowhere on Earth.",
);
const DECEASED_BEFORE_BIRTH: Problem = (
    "deceased-before-birth",
    "The date of death is before the date of birth",
    "Both dates are compared as they would stand after the request.",
);
const MERGE_UNSUPPORTED: Problem = (
    "merge-unsupported",
    "The unit cannot merge registrations",
    "Merging writes into the merged registration which other one stays. The practice's software \
     has no place for that, or lets no other program write it; it must be done at the desk.",
);
const MERGE_WITH_ITSELF: Problem = (
    "merge-with-itself",
    "A registration cannot be merged into itself",
    "A merge names two registrations of one person: the one that goes, and the one that stays.",
);
const MERGE_TARGET_UNKNOWN: Problem = (
    "merge-target-unknown",
    "The unit has no patient to merge into",
    "The registration that is to stay is not among the unit's records.",
);
const ALREADY_MERGED: Problem = (
    "already-merged",
    "One of the registrations was merged before",
    "A registration that was merged into another takes nobody in, and is not merged a second time. \
     Name the registration that stays.",
);

const TOO_MANY_MERGED: Problem = (
    "too-many-merged",
    "Too many registrations were merged into this one",
    "A merge takes along the registrations that were merged into the one that goes, at most 100 of \
     them. More are no one person's; let the desk look at them.",
);

/// Every problem of this domain, for the pages at `/problems/<slug>`.
pub const PROBLEMS: &[Problem] = &[
    PATIENT_UNKNOWN,
    PATIENT_EXISTS,
    DUPLICATE_MRN,
    BIRTH_DATE_IN_FUTURE,
    DECEASED_ON_IN_FUTURE,
    DECEASED_BEFORE_BIRTH,
    CHANGED_MEANWHILE,
    MERGE_UNSUPPORTED,
    MERGE_WITH_ITSELF,
    MERGE_TARGET_UNKNOWN,
    ALREADY_MERGED,
    TOO_MANY_MERGED,
    FIELD_RULES,
];

impl PatientRejection {
    const fn problem(&self) -> Problem {
        match self {
            Self::PatientUnknown { .. } => PATIENT_UNKNOWN,
            Self::PatientExists { .. } => PATIENT_EXISTS,
            Self::DuplicateMrn => DUPLICATE_MRN,
            Self::BirthDateInFuture { .. } => BIRTH_DATE_IN_FUTURE,
            Self::DeceasedOnInFuture { .. } => DECEASED_ON_IN_FUTURE,
            Self::DeceasedBeforeBirth { .. } => DECEASED_BEFORE_BIRTH,
            Self::ChangedMeanwhile { .. } => CHANGED_MEANWHILE,
            Self::MergeUnsupported => MERGE_UNSUPPORTED,
            Self::MergeWithItself { .. } => MERGE_WITH_ITSELF,
            Self::MergeTargetUnknown { .. } => MERGE_TARGET_UNKNOWN,
            Self::AlreadyMerged { .. } => ALREADY_MERGED,
            Self::TooManyMerged { .. } => TOO_MANY_MERGED,
            Self::FieldRules { .. } => FIELD_RULES,
        }
    }
}

impl From<PatientRejection> for Rejection {
    fn from(refused: PatientRejection) -> Self {
        Self::of(refused.problem(), refused.to_string())
    }
}
