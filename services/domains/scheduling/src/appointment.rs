//! An appointment, its status, and what happened between two versions of it.

use kit_event::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::facts::{AppointmentFact, Fact};

/// An entry of a practitioner's diary. Any program may have written it, so that only the id is
/// certain. Names follow the reference practice schema, codes FHIR R4 Appointment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Appointment {
    /// Public id.
    pub appointment_id: Uuid,
    /// Whose visit it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<Uuid>,
    /// Who sees the patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub practitioner_id: Option<Uuid>,
    /// When it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub starts_at: Option<Timestamp>,
    /// The beginning as somebody typed it, where it is no instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at_raw: Option<String>,
    /// When it ends; this instant is free again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ends_at: Option<Timestamp>,
    /// The end as somebody typed it, where it is no instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at_raw: Option<String>,
    /// FHIR AppointmentStatus: `booked`, `arrived`, `fulfilled`, `cancelled` or `noshow`; a
    /// practice's software may use others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// How they meet, as `in-person`, `video` or `phone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modality: Option<String>,
    /// Why the patient comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The statuses whose meaning we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Agreed; the time is taken.
    Booked,
    /// The patient is there.
    Arrived,
    /// The visit took place.
    Fulfilled,
    /// It will not take place; the time is free.
    Cancelled,
    /// The patient did not come; the time is free.
    Noshow,
}

impl Status {
    /// Every status.
    pub const ALL: &'static [Self] =
        &[Self::Booked, Self::Arrived, Self::Fulfilled, Self::Cancelled, Self::Noshow];

    /// The word in the row and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Booked => "booked",
            Self::Arrived => "arrived",
            Self::Fulfilled => "fulfilled",
            Self::Cancelled => "cancelled",
            Self::Noshow => "noshow",
        }
    }

    /// The status that `word` is, letter by letter; none for any other word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.as_str() == word)
    }

    /// Whether an appointment of this status keeps its time from others.
    #[must_use]
    pub const fn takes_time(self) -> bool {
        match self {
            Self::Booked | Self::Arrived | Self::Fulfilled => true,
            Self::Cancelled | Self::Noshow => false,
        }
    }

    /// Whether a request may ask for `next`. At the desk people correct what they like.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match (self, next) {
            (Self::Booked, Self::Arrived | Self::Cancelled | Self::Noshow)
            | (Self::Arrived, Self::Fulfilled | Self::Cancelled) => true,
            (Self::Booked, Self::Booked | Self::Fulfilled)
            | (Self::Arrived, Self::Booked | Self::Arrived | Self::Noshow)
            | (Self::Fulfilled | Self::Cancelled | Self::Noshow, _) => false,
        }
    }
}

impl Appointment {
    /// The thing's name in mapping files and subjects.
    pub const RESOURCE: &'static str = "appointment";

    /// Its status, where it is one that we know.
    pub fn status(&self) -> Option<Status> {
        self.status.as_deref().and_then(Status::parse)
    }

    /// Whether it keeps its time from others. A status that we do not know does: a slot given
    /// twice is worse than a slot not given.
    pub fn takes_time(&self) -> bool {
        self.status().is_none_or(Status::takes_time)
    }

    /// When, and with whom: what a rescheduling changes.
    fn place(&self) -> (Option<Uuid>, [Option<Timestamp>; 2], [Option<&str>; 2]) {
        (
            self.practitioner_id,
            [self.starts_at, self.ends_at],
            [self.starts_at_raw.as_deref(), self.ends_at_raw.as_deref()],
        )
    }
}

/// Names what happened to an appointment between two committed versions of its row: one fact, by
/// precedence status, then time or practitioner, then any other field.
///
/// Two facts only where the row became another appointment (its id or its patient changed): the
/// old one is gone, the new one is seen for the first time. So every fact concerns one patient.
#[must_use]
pub fn observe(before: Option<&Appointment>, after: Option<&Appointment>) -> Vec<Fact> {
    let fact = |kind, of: &Appointment| Fact::Appointment(kind, of.clone());
    match (before, after) {
        (None, None) => vec![],
        (None, Some(new)) => vec![fact(first_seen(new), new)],
        (Some(old), None) => vec![fact(AppointmentFact::Removed, old)],
        (Some(old), Some(new))
            if old.appointment_id != new.appointment_id || old.patient_id != new.patient_id =>
        {
            vec![fact(AppointmentFact::Removed, old), fact(first_seen(new), new)]
        }
        (Some(old), Some(new)) if old == new => vec![],
        (Some(old), Some(new)) => vec![fact(between(old, new), new)],
    }
}

/// A row first seen under a status gives the fact of that status, so that a visit typed in
/// afterwards as `fulfilled` counts as one. A status that we do not know claims nothing.
fn first_seen(new: &Appointment) -> AppointmentFact {
    match new.status() {
        Some(Status::Booked) => AppointmentFact::Booked,
        Some(other) => reached(other),
        None => AppointmentFact::Amended,
    }
}

/// The fact that an appointment, known before, came to `status`.
const fn reached(status: Status) -> AppointmentFact {
    match status {
        Status::Booked => AppointmentFact::Reinstated,
        Status::Arrived => AppointmentFact::Arrived,
        Status::Fulfilled => AppointmentFact::Fulfilled,
        Status::Cancelled => AppointmentFact::Cancelled,
        Status::Noshow => AppointmentFact::Noshow,
    }
}

fn between(old: &Appointment, new: &Appointment) -> AppointmentFact {
    if old.status != new.status {
        return new.status().map_or(AppointmentFact::Amended, reached);
    }
    if old.place() != new.place() {
        return AppointmentFact::Rescheduled;
    }
    AppointmentFact::Amended
}
