//! The six resources of a chart, as rows hold them. Any program may have written a row, so that
//! only the id is certain. Names follow the reference practice schema, codes and statuses FHIR R4.

use kit_event::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The status, or verification status, of a record that should not have been made.
pub const ENTERED_IN_ERROR: &str = "entered-in-error";

/// A meeting of a patient and the unit's people.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Encounter {
    /// Public id.
    pub encounter_id: Uuid,
    /// Who was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<Uuid>,
    /// Who saw the patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub practitioner_id: Option<Uuid>,
    /// The appointment from which it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appointment_id: Option<Uuid>,
    /// HL7 ActCode: `AMB`, `IMP`, `EMER`, `VR` or `HH`; a practice may use others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// FHIR EncounterStatus, as `in-progress` or `finished`; a practice may use others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub starts_at: Option<Timestamp>,
    /// The beginning as somebody typed it, where it is no instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at_raw: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ends_at: Option<Timestamp>,
    /// The end as somebody typed it, where it is no instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at_raw: Option<String>,
    /// Why the patient came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A problem or diagnosis of a patient.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Condition {
    /// Public id.
    pub condition_id: Uuid,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<Uuid>,
    /// The encounter at which it was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encounter_id: Option<Uuid>,
    /// The system of the code, a URI, as `http://snomed.info/sct`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_system: Option<String>,
    /// The code in its system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The code in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// FHIR condition clinical status, as `active` or `resolved`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clinical_status: Option<String>,
    /// FHIR condition verification status, as `confirmed` or `entered-in-error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification_status: Option<String>,
    /// When it began: `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onset_on: Option<String>,
    /// The onset as somebody typed it, where it is no such date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onset_on_raw: Option<String>,
    /// When it ended: `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abated_on: Option<String>,
    /// The abatement as somebody typed it, where it is no such date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abated_on_raw: Option<String>,
    /// When it was entered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub recorded_at: Option<Timestamp>,
    /// The moment of entry as somebody typed it, where it is no instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_at_raw: Option<String>,
}

/// An allergy or intolerance of a patient.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Allergy {
    /// Public id.
    pub allergy_id: Uuid,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<Uuid>,
    /// The system of the code, a URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_system: Option<String>,
    /// The code of the substance, or of the allergy, in its system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The code in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// FHIR category: `food`, `medication`, `environment` or `biologic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// FHIR criticality: `low`, `high` or `unable-to-assess`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criticality: Option<String>,
    /// FHIR clinical status: `active`, `inactive` or `resolved`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clinical_status: Option<String>,
    /// FHIR verification status, as `confirmed` or `entered-in-error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification_status: Option<String>,
    /// What happens to the patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reaction: Option<String>,
    /// When it was entered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub recorded_at: Option<Timestamp>,
    /// The moment of entry as somebody typed it, where it is no instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_at_raw: Option<String>,
}

/// A measurement or finding: a vital sign, a laboratory result, a habit. One of several parts (a
/// blood pressure) has a component for each.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Observation {
    /// Public id.
    pub observation_id: Uuid,
    /// Of whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<Uuid>,
    /// The encounter at which it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encounter_id: Option<Uuid>,
    /// FHIR observation category, as `vital-signs` or `laboratory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The system of the code, a URI, as `http://loinc.org`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_system: Option<String>,
    /// What was observed: the code in its system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The code in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// The value as a decimal number, in text, as `37.2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_number: Option<String>,
    /// The value as somebody typed it, where it is no decimal number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_number_raw: Option<String>,
    /// The unit of the number, preferably UCUM, as `mm[Hg]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_unit: Option<String>,
    /// The value in words, where it is no number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_text: Option<String>,
    /// FHIR interpretation, a short code, as `H`, `L` or `N`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpretation: Option<String>,
    /// FHIR ObservationStatus, as `final` or `entered-in-error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// When it was true of the patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub effective_at: Option<Timestamp>,
    /// That moment as somebody typed it, where it is no instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_at_raw: Option<String>,
    /// Its parts, in the order of their lines.
    #[serde(default)]
    #[schema(inline)]
    pub components: Vec<Component>,
}

/// One part of an observation: a line of its own in the clinic's tables.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Component {
    /// The system of the code, a URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_system: Option<String>,
    /// What was observed: the code in its system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The code in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// The value as a decimal number, in text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_number: Option<String>,
    /// The value as somebody typed it, where it is no decimal number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_number_raw: Option<String>,
    /// The unit of the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_unit: Option<String>,
    /// The value in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_text: Option<String>,
}

/// Something that was done to or for a patient.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Procedure {
    /// Public id.
    pub procedure_id: Uuid,
    /// To whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<Uuid>,
    /// The encounter at which it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encounter_id: Option<Uuid>,
    /// The system of the code, a URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_system: Option<String>,
    /// What was done: the code in its system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The code in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// FHIR EventStatus, as `completed` or `entered-in-error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// When it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub performed_at: Option<Timestamp>,
    /// That moment as somebody typed it, where it is no instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performed_at_raw: Option<String>,
}

/// A vaccination.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Immunization {
    /// Public id.
    pub immunization_id: Uuid,
    /// Of whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<Uuid>,
    /// The encounter at which it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encounter_id: Option<Uuid>,
    /// The system of the code, a URI, as `http://hl7.org/fhir/sid/cvx`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_system: Option<String>,
    /// The vaccine: the code in its system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The code in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// FHIR immunization status: `completed`, `entered-in-error` or `not-done`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// When it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub occurred_at: Option<Timestamp>,
    /// That moment as somebody typed it, where it is no instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at_raw: Option<String>,
    /// The lot number of the vaccine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lot: Option<String>,
}
