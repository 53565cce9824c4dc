//! Why a unit refuses a command about its diary.
//!
//! The slug is the last part of a problem's `type` and never changes; the title is the same for
//! each rejection of that name; the detail says what exactly, and never whose time is taken.

use kit_event::rejection::{CHANGED_MEANWHILE, FIELD_RULES, found_at};
use kit_event::{FieldProblem, Problem, Rejection, Timestamp, UnitSeq};
use uuid::Uuid;

use crate::interval::Interval;

/// Why a command or a query was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookingRejection {
    /// `patient-unknown`
    #[error("the unit has no patient {patient_id}")]
    PatientUnknown {
        /// Who was asked for.
        patient_id: Uuid,
    },
    /// `patient-inactive`
    #[error("the unit no longer sees patient {patient_id}")]
    PatientInactive {
        /// Who was asked for.
        patient_id: Uuid,
    },
    /// `patient-deceased`
    #[error("patient {patient_id} has died")]
    PatientDeceased {
        /// Who was asked for.
        patient_id: Uuid,
    },
    /// `patient-merged`
    #[error("patient {patient_id} was merged into {into}")]
    PatientMerged {
        /// Who was asked for.
        patient_id: Uuid,
        /// The registration that stays.
        into: Uuid,
    },
    /// `practitioner-unknown`
    #[error("the unit has no practitioner {}", or_none(.practitioner_id.as_ref()))]
    PractitionerUnknown {
        /// Who was asked for; none where the diary names nobody.
        practitioner_id: Option<Uuid>,
    },
    /// `practitioner-inactive`
    #[error("practitioner {} cannot be booked", or_none(.practitioner_id.as_ref()))]
    PractitionerInactive {
        /// Who was asked for.
        practitioner_id: Option<Uuid>,
    },
    /// `in-the-past`
    #[error("{starts_at} is past")]
    InThePast {
        /// The beginning asked for.
        starts_at: Timestamp,
    },
    /// `outside-working-hours`
    #[error("the practitioner does not work from {} to {}", .0.starts, .0.ends)]
    OutsideWorkingHours(Interval),
    /// `slot-taken`; never by whom: that is another patient.
    #[error("the practitioner's time from {} to {} is not free", .0.starts, .0.ends)]
    SlotTaken(Interval),
    /// `appointment-unknown`
    #[error("the unit has no appointment {appointment_id}")]
    AppointmentUnknown {
        /// Which was asked for.
        appointment_id: Uuid,
    },
    /// `appointment-exists`
    #[error("appointment {appointment_id} is in the diary already")]
    AppointmentExists {
        /// Which is there already.
        appointment_id: Uuid,
    },
    /// `appointment-status`
    #[error("an appointment that is {status} cannot be {asked}")]
    AppointmentStatus {
        /// As it stands in the row.
        status: String,
        /// What was asked, as a past participle.
        asked: &'static str,
    },
    /// `changed-meanwhile`
    #[error("the appointment is not at {expected} but at {}", found_at(.found))]
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

fn or_none(id: Option<&Uuid>) -> String {
    id.map_or_else(|| "(the appointment names none)".to_owned(), ToString::to_string)
}

const PATIENT_UNKNOWN: Problem = (
    "patient-unknown",
    "The unit has no such patient",
    "The request names a patient whom the unit's records do not hold. Patients are registered in \
     each unit by itself, and a registration can be removed at the desk.",
);
const PATIENT_INACTIVE: Problem = (
    "patient-inactive",
    "The unit no longer sees this patient",
    "The patient's registration is not active. It must be set active again before a booking or a \
     rescheduling.",
);
const PATIENT_DECEASED: Problem = (
    "patient-deceased",
    "The patient has died",
    "The patient's registration holds a date of death. Nothing is booked or rescheduled for the \
     patient; what is booked already can be cancelled. A date typed by mistake is taken back in the \
     registration.",
);
const PATIENT_MERGED: Problem = (
    "patient-merged",
    "The patient's registration was merged into another",
    "The registration was found to be the same person's as another one, which stays and is named \
     in the detail. Book for that one.",
);
const PRACTITIONER_UNKNOWN: Problem = (
    "practitioner-unknown",
    "The unit has no such practitioner",
    "The request names a practitioner whom the unit's records do not hold.",
);
const PRACTITIONER_INACTIVE: Problem = (
    "practitioner-inactive",
    "The practitioner cannot be booked",
    "The practitioner is not active in this unit and takes no bookings.",
);
const IN_THE_PAST: Problem = (
    "in-the-past",
    "The time asked for is past",
    "An appointment begins after the moment at which the unit decides, by the network's time. A \
     request that waited for its unit may find its time gone by.",
);
const OUTSIDE_WORKING_HOURS: Problem = (
    "outside-working-hours",
    "The practitioner does not work then",
    "A booking lies wholly within the practitioner's working hours, which are wall time in the \
     unit's time zone; it need not sit on the grid of slots.",
);
const SLOT_TAKEN: Problem = (
    "slot-taken",
    "The time is not free",
    "Another appointment of the practitioner overlaps the time asked for: the desk, or a request \
     before this one, was first. Ask for the free slots and choose another.",
);
const APPOINTMENT_UNKNOWN: Problem = (
    "appointment-unknown",
    "The unit has no such appointment",
    "The request names an appointment that the unit's diary does not hold.",
);
const APPOINTMENT_EXISTS: Problem = (
    "appointment-exists",
    "The appointment is in the diary already",
    "An appointment under this id exists. It happens when an Idempotency-Key is used again more \
     than 30 days after its first use.",
);
const APPOINTMENT_STATUS: Problem = (
    "appointment-status",
    "The appointment's status does not allow it",
    "A booked appointment can arrive, be cancelled, be rescheduled or be a no-show; one that has \
     arrived can be fulfilled or cancelled; the others are final for requests.",
);

/// Every problem of this domain, for the pages at `/problems/<slug>`.
pub const PROBLEMS: &[Problem] = &[
    PATIENT_UNKNOWN,
    PATIENT_INACTIVE,
    PATIENT_DECEASED,
    PATIENT_MERGED,
    PRACTITIONER_UNKNOWN,
    PRACTITIONER_INACTIVE,
    IN_THE_PAST,
    OUTSIDE_WORKING_HOURS,
    SLOT_TAKEN,
    APPOINTMENT_UNKNOWN,
    APPOINTMENT_EXISTS,
    APPOINTMENT_STATUS,
    CHANGED_MEANWHILE,
    FIELD_RULES,
];

impl BookingRejection {
    const fn problem(&self) -> Problem {
        match self {
            Self::PatientUnknown { .. } => PATIENT_UNKNOWN,
            Self::PatientInactive { .. } => PATIENT_INACTIVE,
            Self::PatientDeceased { .. } => PATIENT_DECEASED,
            Self::PatientMerged { .. } => PATIENT_MERGED,
            Self::PractitionerUnknown { .. } => PRACTITIONER_UNKNOWN,
            Self::PractitionerInactive { .. } => PRACTITIONER_INACTIVE,
            Self::InThePast { .. } => IN_THE_PAST,
            Self::OutsideWorkingHours(_) => OUTSIDE_WORKING_HOURS,
            Self::SlotTaken(_) => SLOT_TAKEN,
            Self::AppointmentUnknown { .. } => APPOINTMENT_UNKNOWN,
            Self::AppointmentExists { .. } => APPOINTMENT_EXISTS,
            Self::AppointmentStatus { .. } => APPOINTMENT_STATUS,
            Self::ChangedMeanwhile { .. } => CHANGED_MEANWHILE,
            Self::FieldRules { .. } => FIELD_RULES,
        }
    }
}

impl From<BookingRejection> for Rejection {
    fn from(refused: BookingRejection) -> Self {
        Self::of(refused.problem(), refused.to_string())
    }
}
