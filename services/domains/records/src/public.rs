//! What analysts and integrators learn of charts: ids, codes, statuses and dates.
//!
//! Names, texts and values stay in the house. A code passes only where it is one (a system that is
//! a URI, no sentence in the place of the code), a status only where it is a word of FHIR's, a time
//! only as its day.

use kit_event::{Date, SchemaSource, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use crate::facts::{
    AllergyFact, ConditionFact, EncounterFact, Fact, ImmunizationFact, ObservationFact,
    ProcedureFact, Resource,
};
use crate::resources::{Allergy, Condition, Encounter, Immunization, Observation, Procedure};
use crate::rules::{closed, is_code, is_partial_date, is_uri};

/// Present version of every public schema of this domain.
pub const VERSION: u32 = 1;

/// The word for a status that is none of FHIR's.
const OTHER: &str = "other";

/// Makes a public form: each field, and how it is taken from the resource.
macro_rules! public {
    (
        $(#[$meta:meta])* $name:ident of $resource:ident ($it:ident) {
            $($(#[$field_meta:meta])* $field:ident: $ty:ty = $value:expr,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        pub struct $name {
            $($(#[$field_meta])*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub $field: Option<$ty>,)+
        }

        impl From<&$resource> for $name {
            fn from($it: &$resource) -> Self {
                Self { $($field: $value,)+ }
            }
        }
    };
}

public! {
    /// A meeting, without why.
    PublicEncounter of Encounter (it) {
        /// Opaque id; the same in every event about this encounter.
        encounter_id: Uuid = Some(it.encounter_id),
        /// Opaque id of the patient, as in `domain.patients`.
        patient_id: Uuid = it.patient_id,
        /// Opaque id of the practitioner, as in `domain.scheduling`.
        practitioner_id: Uuid = it.practitioner_id,
        /// Opaque id of the appointment, as in `domain.scheduling`.
        appointment_id: Uuid = it.appointment_id,
        /// HL7 ActCode: `AMB`, `IMP`, `EMER`, `VR` or `HH`; `other` for any other word.
        class: String = word(Encounter::RESOURCE, "class", it.class.as_deref()),
        /// FHIR EncounterStatus; `other` for any other word.
        status: String = word(Encounter::RESOURCE, "status", it.status.as_deref()),
        /// The day on which it began, in UTC.
        #[schema(value_type = Option<String>, format = Date)]
        starts_on: Date = day(it.starts_at),
        /// The day on which it ended, in UTC.
        #[schema(value_type = Option<String>, format = Date)]
        ends_on: Date = day(it.ends_at),
    }
}

public! {
    /// A problem or diagnosis, as its code.
    PublicCondition of Condition (it) {
        /// Opaque id; the same in every event about this condition.
        condition_id: Uuid = Some(it.condition_id),
        /// Opaque id of the patient, as in `domain.patients`.
        patient_id: Uuid = it.patient_id,
        /// Opaque id of the encounter.
        encounter_id: Uuid = it.encounter_id,
        /// The system of the code, a URI.
        code_system: String = system(it.code_system.as_deref()),
        /// The code; absent where its system is.
        code: String = code(it.code_system.as_deref(), it.code.as_deref()),
        /// FHIR condition clinical status; `other` for any other word.
        clinical_status: String =
            word(Condition::RESOURCE, "clinical_status", it.clinical_status.as_deref()),
        /// FHIR condition verification status; `other` for any other word.
        verification_status: String =
            word(Condition::RESOURCE, "verification_status", it.verification_status.as_deref()),
        /// When it began: `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
        onset_on: String = partial(it.onset_on.as_deref()),
        /// When it ended: `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
        abated_on: String = partial(it.abated_on.as_deref()),
        /// The day on which it was entered, in UTC.
        #[schema(value_type = Option<String>, format = Date)]
        recorded_on: Date = day(it.recorded_at),
    }
}

public! {
    /// An allergy or intolerance, as its code.
    PublicAllergy of Allergy (it) {
        /// Opaque id; the same in every event about this allergy.
        allergy_id: Uuid = Some(it.allergy_id),
        /// Opaque id of the patient, as in `domain.patients`.
        patient_id: Uuid = it.patient_id,
        /// The system of the code, a URI.
        code_system: String = system(it.code_system.as_deref()),
        /// The code; absent where its system is.
        code: String = code(it.code_system.as_deref(), it.code.as_deref()),
        /// FHIR category; `other` for any other word.
        category: String = word(Allergy::RESOURCE, "category", it.category.as_deref()),
        /// FHIR criticality; `other` for any other word.
        criticality: String = word(Allergy::RESOURCE, "criticality", it.criticality.as_deref()),
        /// FHIR clinical status; `other` for any other word.
        clinical_status: String =
            word(Allergy::RESOURCE, "clinical_status", it.clinical_status.as_deref()),
        /// FHIR verification status; `other` for any other word.
        verification_status: String =
            word(Allergy::RESOURCE, "verification_status", it.verification_status.as_deref()),
        /// The day on which it was entered, in UTC.
        #[schema(value_type = Option<String>, format = Date)]
        recorded_on: Date = day(it.recorded_at),
    }
}

public! {
    /// What was observed and when, without its value.
    PublicObservation of Observation (it) {
        /// Opaque id; the same in every event about this observation.
        observation_id: Uuid = Some(it.observation_id),
        /// Opaque id of the patient, as in `domain.patients`.
        patient_id: Uuid = it.patient_id,
        /// Opaque id of the encounter.
        encounter_id: Uuid = it.encounter_id,
        /// FHIR observation category, as `vital-signs`; `other` for any other word.
        category: String = category(it.category.as_deref()),
        /// The system of the code, a URI.
        code_system: String = system(it.code_system.as_deref()),
        /// The code; absent where its system is.
        code: String = code(it.code_system.as_deref(), it.code.as_deref()),
        /// FHIR ObservationStatus; `other` for any other word.
        status: String = word(Observation::RESOURCE, "status", it.status.as_deref()),
        /// The day on which it was true of the patient, in UTC.
        #[schema(value_type = Option<String>, format = Date)]
        effective_on: Date = day(it.effective_at),
    }
}

public! {
    /// What was done and when.
    PublicProcedure of Procedure (it) {
        /// Opaque id; the same in every event about this procedure.
        procedure_id: Uuid = Some(it.procedure_id),
        /// Opaque id of the patient, as in `domain.patients`.
        patient_id: Uuid = it.patient_id,
        /// Opaque id of the encounter.
        encounter_id: Uuid = it.encounter_id,
        /// The system of the code, a URI.
        code_system: String = system(it.code_system.as_deref()),
        /// The code; absent where its system is.
        code: String = code(it.code_system.as_deref(), it.code.as_deref()),
        /// FHIR EventStatus; `other` for any other word.
        status: String = word(Procedure::RESOURCE, "status", it.status.as_deref()),
        /// The day on which it was done, in UTC.
        #[schema(value_type = Option<String>, format = Date)]
        performed_on: Date = day(it.performed_at),
    }
}

public! {
    /// A vaccination, as its code.
    PublicImmunization of Immunization (it) {
        /// Opaque id; the same in every event about this immunization.
        immunization_id: Uuid = Some(it.immunization_id),
        /// Opaque id of the patient, as in `domain.patients`.
        patient_id: Uuid = it.patient_id,
        /// Opaque id of the encounter.
        encounter_id: Uuid = it.encounter_id,
        /// The system of the code, a URI.
        code_system: String = system(it.code_system.as_deref()),
        /// The vaccine's code; absent where its system is.
        code: String = code(it.code_system.as_deref(), it.code.as_deref()),
        /// FHIR immunization status; `other` for any other word.
        status: String = word(Immunization::RESOURCE, "status", it.status.as_deref()),
        /// The day on which it was given, in UTC.
        #[schema(value_type = Option<String>, format = Date)]
        occurred_on: Date = day(it.occurred_at),
    }
}

/// One line for each resource.
macro_rules! forms {
    ($($name:ident($kind:ident) = $form:ident,)+) => {
        /// What may be told of a fact.
        pub(crate) fn of(fact: &Fact) -> Result<Value, serde_json::Error> {
            match fact {
                $(Fact::$name(_, it) => serde_json::to_value($form::from(it)),)+
            }
        }

        /// What the public forms promise.
        pub(crate) fn schemas() -> Vec<SchemaSource> {
            let mut all = vec![];
            $(all.extend($kind::ALL.iter().map(|kind| SchemaSource {
                type_name: kind.public_type(),
                version: VERSION,
                doc: kind.doc(),
                schema: $form::schema(),
            }));)+
            all
        }
    };
}
forms! {
    Encounter(EncounterFact) = PublicEncounter,
    Condition(ConditionFact) = PublicCondition,
    Allergy(AllergyFact) = PublicAllergy,
    Observation(ObservationFact) = PublicObservation,
    Procedure(ProcedureFact) = PublicProcedure,
    Immunization(ImmunizationFact) = PublicImmunization,
}

/// FHIR's observation categories; another word may be a sentence.
const CATEGORIES: &[&str] = &[
    "social-history",
    "vital-signs",
    "imaging",
    "laboratory",
    "procedure",
    "survey",
    "exam",
    "therapy",
    "activity",
];

fn among(words: &[&str], text: Option<&str>) -> Option<String> {
    text.map(|text| if words.contains(&text) { text } else { OTHER }.to_owned())
}

fn word(resource: &str, field: &str, text: Option<&str>) -> Option<String> {
    among(closed(resource, field).unwrap_or(&[]), text)
}

fn category(text: Option<&str>) -> Option<String> {
    among(CATEGORIES, text)
}

fn system(text: Option<&str>) -> Option<String> {
    text.filter(|text| is_uri(text)).map(str::to_owned)
}

/// A code without a system may be anything, and codes of the great systems hold no blanks.
fn code(system: Option<&str>, code: Option<&str>) -> Option<String> {
    let plain = |code: &&str| is_code(code) && code.bytes().all(|b| b.is_ascii_graphic());
    system.filter(|system| is_uri(system))?;
    code.filter(plain).filter(|code| code.bytes().any(|b| b.is_ascii_digit())).map(str::to_owned)
}

fn partial(text: Option<&str>) -> Option<String> {
    text.filter(|text| is_partial_date(text)).map(str::to_owned)
}

fn day(at: Option<Timestamp>) -> Option<Date> {
    at.and_then(|at| Date::from_naive(at.to_utc().date_naive()))
}
