//! What can have happened in a unit's diary, and how it is named.

use kit_event::Observed;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{Appointment, Practitioner, WorkingHours};

kit_event::fact_kinds! {
    /// What happened to an appointment.
    AppointmentFact {
        #[doc = "An appointment was booked, at the desk or by a request."]
        Booked = "scheduling.appointment_booked",
        #[doc = "Its beginning, its end or its practitioner changed."]
        Rescheduled = "scheduling.appointment_rescheduled",
        #[doc = "It will not take place; its time is free again."]
        Cancelled = "scheduling.appointment_cancelled",
        #[doc = "The patient has come."]
        Arrived = "scheduling.appointment_arrived",
        #[doc = "The visit has taken place."]
        Fulfilled = "scheduling.appointment_fulfilled",
        #[doc = "The patient has not come."]
        Noshow = "scheduling.appointment_noshow",
        #[doc = "It is booked again after another status."]
        Reinstated = "scheduling.appointment_reinstated",
        #[doc = "Some other field changed, or a status came that has no fact of its own."]
        Amended = "scheduling.appointment_amended",
        #[doc = "The row is gone, or is now another patient's; the state is the last one it had."]
        Removed = "scheduling.appointment_removed",
        #[doc = "The state as a new epoch found it; nothing has happened to the appointment."]
        Snapshot = "scheduling.appointment_snapshot",
    }
}

kit_event::fact_kinds! {
    /// What happened to a practitioner.
    PractitionerFact {
        #[doc = "A practitioner joined the unit."]
        Added = "scheduling.practitioner_added",
        #[doc = "Some field changed, other than whether the practitioner is active."]
        Amended = "scheduling.practitioner_amended",
        #[doc = "The practitioner can no longer be booked."]
        Deactivated = "scheduling.practitioner_deactivated",
        #[doc = "The practitioner can be booked again."]
        Reactivated = "scheduling.practitioner_reactivated",
        #[doc = "The row is gone; the state is the last one it had."]
        Removed = "scheduling.practitioner_removed",
        #[doc = "The state as a new epoch found it; nothing has happened to the practitioner."]
        Snapshot = "scheduling.practitioner_snapshot",
    }
}

kit_event::fact_kinds! {
    /// What happened to a stretch of working hours.
    WorkingHoursFact {
        #[doc = "A practitioner has new weekly hours."]
        Added = "scheduling.working_hours_added",
        #[doc = "The end of the hours or their slots changed."]
        Amended = "scheduling.working_hours_amended",
        #[doc = "The hours are gone; the state is the last one they had."]
        Removed = "scheduling.working_hours_removed",
        #[doc = "The state as a new epoch found it; nothing has happened to the hours."]
        Snapshot = "scheduling.working_hours_snapshot",
    }
}

/// A fact of this domain: what happened, and the state after it.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// About an appointment.
    Appointment(AppointmentFact, Appointment),
    /// About a practitioner.
    Practitioner(PractitionerFact, Practitioner),
    /// About working hours.
    WorkingHours(WorkingHoursFact, WorkingHours),
}

impl Fact {
    /// Reads a fact from its type and body; none for a type that is not of this domain.
    ///
    /// # Errors
    /// The body does not read as the thing that the type is about.
    pub fn read(type_name: &str, body: &Value) -> Result<Option<Self>, serde_json::Error> {
        if let Some(kind) = AppointmentFact::parse(type_name) {
            return Ok(Some(Self::Appointment(kind, Appointment::deserialize(body)?)));
        }
        if let Some(kind) = PractitionerFact::parse(type_name) {
            return Ok(Some(Self::Practitioner(kind, Practitioner::deserialize(body)?)));
        }
        if let Some(kind) = WorkingHoursFact::parse(type_name) {
            return Ok(Some(Self::WorkingHours(kind, WorkingHours::deserialize(body)?)));
        }
        Ok(None)
    }

    /// Its type on the wire.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Appointment(kind, _) => kind.type_name(),
            Self::Practitioner(kind, _) => kind.type_name(),
            Self::WorkingHours(kind, _) => kind.type_name(),
        }
    }

    /// Present version of its schema.
    #[must_use]
    pub const fn version(&self) -> u32 {
        match self {
            Self::Appointment(kind, _) => kind.version(),
            Self::Practitioner(kind, _) => kind.version(),
            Self::WorkingHours(kind, _) => kind.version(),
        }
    }

    /// Whether the thing is gone after it.
    #[must_use]
    pub const fn removes(&self) -> bool {
        match self {
            Self::Appointment(kind, _) => match kind {
                AppointmentFact::Removed => true,
                AppointmentFact::Booked
                | AppointmentFact::Rescheduled
                | AppointmentFact::Cancelled
                | AppointmentFact::Arrived
                | AppointmentFact::Fulfilled
                | AppointmentFact::Noshow
                | AppointmentFact::Reinstated
                | AppointmentFact::Amended
                | AppointmentFact::Snapshot => false,
            },
            Self::Practitioner(kind, _) => match kind {
                PractitionerFact::Removed => true,
                PractitionerFact::Added
                | PractitionerFact::Amended
                | PractitionerFact::Deactivated
                | PractitionerFact::Reactivated
                | PractitionerFact::Snapshot => false,
            },
            Self::WorkingHours(kind, _) => match kind {
                WorkingHoursFact::Removed => true,
                WorkingHoursFact::Added
                | WorkingHoursFact::Amended
                | WorkingHoursFact::Snapshot => false,
            },
        }
    }

    /// The fact as hosts carry it, before it has a number.
    ///
    /// # Errors
    /// Never for a state that was read from JSON.
    pub fn observed(&self) -> Result<Observed, serde_json::Error> {
        let (subject, patient_id, body) = match self {
            Self::Appointment(_, it) => (
                subject(Appointment::RESOURCE, &it.appointment_id),
                it.patient_id,
                serde_json::to_value(it)?,
            ),
            Self::Practitioner(_, it) => (
                subject(Practitioner::RESOURCE, &it.practitioner_id),
                None,
                serde_json::to_value(it)?,
            ),
            Self::WorkingHours(_, it) => (
                subject(WorkingHours::RESOURCE, &it.working_hours_id),
                None,
                serde_json::to_value(it)?,
            ),
        };
        let (type_name, version) = (self.type_name(), self.version());
        Ok(Observed { type_name, version, subject, patient_id, body })
    }
}

fn subject(resource: &str, id: &Uuid) -> String {
    format!("{resource}/{id}")
}
