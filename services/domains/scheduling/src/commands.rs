//! What may be asked of a unit's diary. Each command reads strictly: a field that it does not know,
//! or a time in another form, refuses the whole.

use kit_event::{Rejection, Timestamp, UnitSeq};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// Asks the unit to put an appointment into a practitioner's diary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BookAppointment {
    /// Public id of the new appointment; derived from the request, so that a retry names the same.
    pub appointment_id: Uuid,
    /// Whose visit it is.
    pub patient_id: Uuid,
    /// Who sees the patient.
    pub practitioner_id: Uuid,
    /// When it begins; in the future and within working hours.
    #[schema(value_type = String, format = DateTime)]
    pub starts_at: Timestamp,
    /// When it ends; this instant is free again.
    #[schema(value_type = String, format = DateTime)]
    pub ends_at: Timestamp,
    /// How they meet, as `in-person`, `video` or `phone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modality: Option<String>,
    /// Why the patient comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Asks the unit to move a booked appointment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RescheduleAppointment {
    /// Which appointment.
    pub appointment_id: Uuid,
    /// The new beginning; in the future and within working hours.
    #[schema(value_type = String, format = DateTime)]
    pub starts_at: Timestamp,
    /// The new end.
    #[schema(value_type = String, format = DateTime)]
    pub ends_at: Timestamp,
    /// Another practitioner, where it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub practitioner_id: Option<Uuid>,
    /// The `E-S` that the appointment must still have, where the asker insists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub if_match: Option<UnitSeq>,
}

/// Asks the unit to cancel an appointment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelAppointment {
    /// Which appointment.
    pub appointment_id: Uuid,
    /// Why; no column holds it, it stands in the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The `E-S` that the appointment must still have, where the asker insists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub if_match: Option<UnitSeq>,
}

/// Says that the patient has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ArriveAppointment {
    /// Which appointment.
    pub appointment_id: Uuid,
    /// The `E-S` that the appointment must still have, where the asker insists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub if_match: Option<UnitSeq>,
}

/// Says that the visit has taken place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FulfilAppointment {
    /// Which appointment.
    pub appointment_id: Uuid,
    /// The `E-S` that the appointment must still have, where the asker insists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub if_match: Option<UnitSeq>,
}

/// Says that the patient has not come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoshowAppointment {
    /// Which appointment.
    pub appointment_id: Uuid,
    /// The `E-S` that the appointment must still have, where the asker insists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub if_match: Option<UnitSeq>,
}

/// Asks for the free slots of a practitioner: those that begin in `[from, to)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FreeSlots {
    /// Whose slots.
    pub practitioner_id: Uuid,
    /// Slots that begin at this instant or later.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Slots that begin before this instant; at most 31 days after `from`.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
}

/// A stretch of time that may be booked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Slot {
    /// When it begins.
    #[schema(value_type = String, format = DateTime)]
    pub starts_at: Timestamp,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    pub ends_at: Timestamp,
}

/// The answer to [`FreeSlots`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Slots {
    /// The slots, by their beginning.
    #[schema(inline)]
    pub items: Vec<Slot>,
    /// Where there were too many for one answer: the `from` that asks for the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next: Option<Timestamp>,
}

macro_rules! types {
    ($($command:ident = $type:literal,)+) => {
        $(impl $command {
            /// The type on the wire.
            pub const TYPE: &'static str = $type;
        })+
    };
}
types! {
    BookAppointment = "scheduling.book_appointment",
    RescheduleAppointment = "scheduling.reschedule_appointment",
    CancelAppointment = "scheduling.cancel_appointment",
    ArriveAppointment = "scheduling.arrive_appointment",
    FulfilAppointment = "scheduling.fulfil_appointment",
    NoshowAppointment = "scheduling.noshow_appointment",
    FreeSlots = "scheduling.free_slots",
}

/// Every command of this domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Put an appointment into the diary.
    Book(BookAppointment),
    /// Move it.
    Reschedule(RescheduleAppointment),
    /// Take it out.
    Cancel(CancelAppointment),
    /// The patient has come.
    Arrive(ArriveAppointment),
    /// The visit has taken place.
    Fulfil(FulfilAppointment),
    /// The patient has not come.
    Noshow(NoshowAppointment),
}

impl Command {
    /// The types on the wire.
    pub const TYPES: &'static [&'static str] = &[
        BookAppointment::TYPE,
        RescheduleAppointment::TYPE,
        CancelAppointment::TYPE,
        ArriveAppointment::TYPE,
        FulfilAppointment::TYPE,
        NoshowAppointment::TYPE,
    ];

    /// Present version of every command schema of this domain.
    pub const VERSION: u32 = 1;

    /// The appointment that the command is about.
    #[must_use]
    pub const fn appointment_id(&self) -> Uuid {
        match self {
            Self::Book(command) => command.appointment_id,
            Self::Reschedule(command) => command.appointment_id,
            Self::Cancel(command) => command.appointment_id,
            Self::Arrive(command) => command.appointment_id,
            Self::Fulfil(command) => command.appointment_id,
            Self::Noshow(command) => command.appointment_id,
        }
    }

    /// Reads the command that `type_name` names.
    ///
    /// # Errors
    /// The type is none of this domain, or the body does not read as it.
    pub fn read(type_name: &str, body: &Value) -> Result<Self, Rejection> {
        let read = match type_name {
            BookAppointment::TYPE => BookAppointment::deserialize(body).map(Self::Book),
            RescheduleAppointment::TYPE => {
                RescheduleAppointment::deserialize(body).map(Self::Reschedule)
            }
            CancelAppointment::TYPE => CancelAppointment::deserialize(body).map(Self::Cancel),
            ArriveAppointment::TYPE => ArriveAppointment::deserialize(body).map(Self::Arrive),
            FulfilAppointment::TYPE => FulfilAppointment::deserialize(body).map(Self::Fulfil),
            NoshowAppointment::TYPE => NoshowAppointment::deserialize(body).map(Self::Noshow),
            _ => return Err(Rejection::unknown_type(type_name)),
        };
        read.map_err(|error| Rejection::malformed(type_name, &error))
    }
}
