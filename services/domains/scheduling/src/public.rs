//! What analysts and integrators learn of a diary.
//!
//! Ids and times pass as they are, closed words only where they are such a word: whatever a
//! practice's software or a person wrote in their place (a reason, a time in words, a name in the
//! column of the status) stays in the house.

use kit_event::{SchemaSource, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use crate::facts::{AppointmentFact, Fact, PractitionerFact, WorkingHoursFact};
use crate::hours::minute_of_day;
use crate::rules::MODALITIES;
use crate::{Appointment, Practitioner, WorkingHours};

/// Present version of every public schema of this domain.
pub const VERSION: u32 = 1;

/// The word for a status that is none of the five.
const OTHER: &str = "other";

/// Fields of medicine by which units can be compared. What else a unit writes may be a sentence, or
/// the name of the one person who does it, and is not told.
const SPECIALTIES: [&str; 32] = [
    "anaesthesiology",
    "cardiology",
    "dentistry",
    "dermatology",
    "emergency medicine",
    "endocrinology",
    "family medicine",
    "gastroenterology",
    "general practice",
    "general surgery",
    "geriatrics",
    "gynaecology",
    "haematology",
    "infectious diseases",
    "internal medicine",
    "midwifery",
    "nephrology",
    "neurology",
    "nursing",
    "nutrition",
    "obstetrics",
    "oncology",
    "ophthalmology",
    "orthopaedics",
    "otorhinolaryngology",
    "paediatrics",
    "physiotherapy",
    "psychiatry",
    "psychology",
    "pulmonology",
    "rheumatology",
    "urology",
];

/// An appointment, without why the patient comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicAppointment {
    /// Opaque id; the same in every event about this appointment.
    pub appointment_id: Uuid,
    /// Opaque id of the patient, as in `domain.patients`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<Uuid>,
    /// Opaque id of the practitioner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub practitioner_id: Option<Uuid>,
    /// When it begins; absent where the unit's record is no instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub starts_at: Option<Timestamp>,
    /// When it ends; absent where the unit's record is no instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ends_at: Option<Timestamp>,
    /// FHIR AppointmentStatus: `booked`, `arrived`, `fulfilled`, `cancelled` or `noshow`; `other`
    /// for a word of the practice's own; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// How they meet: `in-person`, `video` or `phone`; absent for any other word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modality: Option<String>,
}

/// Somebody who sees patients, without a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicPractitioner {
    /// Opaque id; the same in every event about this practitioner.
    pub practitioner_id: Uuid,
    /// Field of medicine in lower case, one of a closed list (`general practice`, `cardiology`,
    /// ...); absent for any other word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specialty: Option<String>,
    /// Whether patients can be booked with this practitioner.
    pub active: bool,
}

/// A stretch of a practitioner's week, in wall time of the unit's zone (see `domain.units`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicWorkingHours {
    /// Opaque id; the same in every event about this stretch.
    pub working_hours_id: Uuid,
    /// Opaque id of the practitioner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub practitioner_id: Option<Uuid>,
    /// ISO weekday, 1 (Monday) to 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekday: Option<i64>,
    /// Beginning, as `HH:MM`; absent where the unit's record is no time of day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<String>,
    /// End, as `HH:MM`; `24:00` is the end of the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<String>,
    /// Length of one slot, in minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_min: Option<i64>,
}

/// What may be told of a fact.
pub(crate) fn of(fact: &Fact) -> Result<Value, serde_json::Error> {
    match fact {
        Fact::Appointment(_, it) => serde_json::to_value(appointment(it)),
        Fact::Practitioner(_, it) => serde_json::to_value(practitioner(it)),
        Fact::WorkingHours(_, it) => serde_json::to_value(working_hours(it)),
    }
}

/// What the public forms promise.
pub(crate) fn schemas() -> Vec<SchemaSource> {
    let form = |type_name, doc, schema| SchemaSource { type_name, version: VERSION, doc, schema };
    let appointments = AppointmentFact::ALL
        .iter()
        .map(|kind| form(kind.public_type(), kind.doc(), PublicAppointment::schema()));
    let practitioners = PractitionerFact::ALL
        .iter()
        .map(|kind| form(kind.public_type(), kind.doc(), PublicPractitioner::schema()));
    let hours = WorkingHoursFact::ALL
        .iter()
        .map(|kind| form(kind.public_type(), kind.doc(), PublicWorkingHours::schema()));
    appointments.chain(practitioners).chain(hours).collect()
}

fn appointment(of: &Appointment) -> PublicAppointment {
    let status = of.status.as_ref().map(|_| of.status().map_or(OTHER, |known| known.as_str()));
    PublicAppointment {
        appointment_id: of.appointment_id,
        patient_id: of.patient_id,
        practitioner_id: of.practitioner_id,
        starts_at: of.starts_at,
        ends_at: of.ends_at,
        status: status.map(str::to_owned),
        modality: of.modality.clone().filter(|word| MODALITIES.contains(&word.as_str())),
    }
}

fn practitioner(of: &Practitioner) -> PublicPractitioner {
    let specialty = of.specialty.as_deref().map(|words| words.trim().to_lowercase());
    PublicPractitioner {
        practitioner_id: of.practitioner_id,
        specialty: specialty.filter(|words| SPECIALTIES.contains(&words.as_str())),
        active: of.is_active(),
    }
}

fn working_hours(of: &WorkingHours) -> PublicWorkingHours {
    PublicWorkingHours {
        working_hours_id: of.working_hours_id,
        practitioner_id: of.practitioner_id,
        weekday: of.weekday.filter(|day| (1..=7).contains(day)),
        starts: of.starts.as_deref().and_then(time_of_day),
        ends: of.ends.as_deref().and_then(time_of_day),
        slot_min: of.slot_min,
    }
}

/// `HH:MM`, up to `24:00`, of whatever reads as one.
fn time_of_day(text: &str) -> Option<String> {
    minute_of_day(text).map(|min| format!("{:02}:{:02}", min / 60, min % 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canary() -> Option<String> {
        Some("Canary Nightingale".to_owned())
    }

    #[test]
    fn nothing_that_a_person_typed_freely_is_told() {
        let appointment = Appointment {
            appointment_id: Uuid::from_u128(1),
            starts_at_raw: canary(),
            ends_at_raw: canary(),
            status: canary(),
            modality: canary(),
            reason: canary(),
            ..Appointment::default()
        };
        let practitioner = Practitioner {
            family_name: canary(),
            given_name: canary(),
            specialty: canary(),
            ..Practitioner::default()
        };
        let hours = WorkingHours { starts: canary(), ends: canary(), ..WorkingHours::default() };
        for fact in [
            Fact::Appointment(AppointmentFact::Booked, appointment),
            Fact::Practitioner(PractitionerFact::Added, practitioner),
            Fact::WorkingHours(WorkingHoursFact::Added, hours),
        ] {
            let text = of(&fact).unwrap().to_string();
            assert!(!text.contains("anary"), "{text}");
        }
    }

    #[test]
    fn closed_words_are_told_and_others_are_not_taken_for_them() {
        let of_status = |word: Option<&str>| {
            let status = word.map(str::to_owned);
            appointment(&Appointment { status, ..Appointment::default() }).status
        };
        assert_eq!(of_status(Some("noshow")).as_deref(), Some("noshow"));
        assert_eq!(of_status(Some("No-Show")).as_deref(), Some("other"));
        assert_eq!(of_status(None), None);
        let modality = Some("video".to_owned());
        let video = appointment(&Appointment { modality, ..Appointment::default() });
        assert_eq!(video.modality.as_deref(), Some("video"));
        let specialty = Some(" Cardiology ".to_owned());
        let heart = practitioner(&Practitioner { specialty, ..Practitioner::default() });
        assert_eq!(heart.specialty.as_deref(), Some("cardiology"));
        assert!(SPECIALTIES.is_sorted());
    }

    #[test]
    fn a_time_of_day_is_five_characters_of_a_day() {
        for good in ["00:00", "09:30", "23:59", "24:00"] {
            assert_eq!(time_of_day(good).as_deref(), Some(good));
        }
        assert_eq!(time_of_day(" 9:30:00 ").as_deref(), Some("09:30"));
        for bad in ["", "24:01", "09:60", "25:00", "ab:cd", "09:3é", "09:30 Ann"] {
            assert_eq!(time_of_day(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_public_field_is_documented() {
        for source in schemas() {
            assert!(source.type_name.starts_with("public.scheduling."), "{}", source.type_name);
            let schema = serde_json::to_value(&source.schema).unwrap();
            for (name, field) in schema["properties"].as_object().unwrap() {
                assert!(field["description"].is_string(), "{}.{name}", source.type_name);
            }
        }
    }
}
