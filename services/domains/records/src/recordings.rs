//! Commands that record a resource of a chart, and those that amend one.
//!
//! Recording and amending the same resource name the same fields, so both commands come from one
//! list of them.

use kit_event::{Timestamp, UnitSeq};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Resource;
use crate::resources::{Allergy, Condition, Immunization, Observation};

/// A command that makes a record, of whichever resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// The resource.
    pub resource: &'static str,
    /// The new record.
    pub id: Uuid,
    /// Whose chart.
    pub patient_id: Uuid,
    /// Every field beside the ids; null where it stays empty.
    pub values: Vec<(&'static str, Value)>,
}

/// A command that changes named fields of a record, of whichever resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Amending {
    /// The resource.
    pub resource: &'static str,
    /// Which record.
    pub id: Uuid,
    /// The number that it must still have.
    pub if_match: Option<UnitSeq>,
    /// The fields to change.
    pub named: Vec<String>,
    /// The fields that can be changed.
    pub known: &'static [&'static str],
    /// Those that cannot be emptied.
    pub never_empty: &'static [&'static str],
    /// The value of every field; null where the command has none.
    pub values: Vec<(&'static str, Value)>,
}

impl Amending {
    /// Whether the field is to change.
    #[must_use]
    pub fn touches(&self, field: &str) -> bool {
        self.named.iter().any(|named| named == field)
    }
}

/// Makes the command that records a resource and the one that amends it.
macro_rules! recording {
    (
        $record:ident = $record_type:literal, $record_doc:literal;
        $update:ident = $update_type:literal, $update_doc:literal;
        $resource:ident, $id:ident;
        must { $($(#[$must_meta:meta])* $must:ident: $must_ty:ty,)* }
        may { $($(#[$may_meta:meta])* $may:ident: $may_ty:ty,)* }
    ) => {
        #[doc = $record_doc]
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $record {
            /// Public id of the new record; derived from the request, so that a retry names the
            /// same.
            pub $id: Uuid,
            /// Whose chart.
            pub patient_id: Uuid,
            $($(#[$must_meta])* pub $must: $must_ty,)*
            $($(#[$may_meta])*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub $may: Option<$may_ty>,)*
        }

        impl $record {
            /// The type on the wire.
            pub const TYPE: &'static str = $record_type;

            /// Every field beside the ids; null where it stays empty.
            pub(crate) fn values(&self) -> Vec<(&'static str, Value)> {
                vec![
                    $((stringify!($must), json!(self.$must)),)*
                    $((stringify!($may), json!(self.$may)),)*
                ]
            }
        }

        #[doc = $update_doc]
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $update {
            /// Which record.
            pub $id: Uuid,
            /// The `E-S` that the record must still have, where the asker insists.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(value_type = Option<String>)]
            pub if_match: Option<UnitSeq>,
            /// Names of the fields to change; one that is named and has no value is emptied.
            pub fields: Vec<String>,
            $($(#[$must_meta])*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub $must: Option<$must_ty>,)*
            $($(#[$may_meta])*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub $may: Option<$may_ty>,)*
        }

        impl $update {
            /// The type on the wire.
            pub const TYPE: &'static str = $update_type;
            /// The fields that a record lets itself be asked to change.
            pub const FIELDS: &'static [&'static str] =
                &[$(stringify!($must),)* $(stringify!($may),)*];
            /// Those of [`Self::FIELDS`] that cannot be emptied.
            pub const NEVER_EMPTY: &'static [&'static str] = &[$(stringify!($must),)*];

            /// Every field that could be changed; null where the command has no value.
            pub(crate) fn values(&self) -> Vec<(&'static str, Value)> {
                vec![
                    $((stringify!($must), json!(self.$must)),)*
                    $((stringify!($may), json!(self.$may)),)*
                ]
            }
        }

        impl From<&$record> for Recording {
            fn from(command: &$record) -> Self {
                Self {
                    resource: $resource::RESOURCE,
                    id: command.$id,
                    patient_id: command.patient_id,
                    values: command.values(),
                }
            }
        }

        impl From<&$update> for Amending {
            fn from(command: &$update) -> Self {
                Self {
                    resource: $resource::RESOURCE,
                    id: command.$id,
                    if_match: command.if_match,
                    named: command.fields.clone(),
                    known: $update::FIELDS,
                    never_empty: $update::NEVER_EMPTY,
                    values: command.values(),
                }
            }
        }
    };
}

recording! {
    RecordObservation = "records.record_observation",
        "Asks the unit to enter an observation into a patient's chart.";
    UpdateObservation = "records.update_observation",
        "Asks the unit to change the named fields of an observation, and no others.";
    Observation, observation_id;
    must {
        /// The system of the code, a URI, as `http://loinc.org`.
        code_system: String,
        /// What was observed: the code in its system.
        code: String,
    }
    may {
        /// The encounter at which it was made.
        encounter_id: Uuid,
        /// FHIR observation category, as `vital-signs` or `laboratory`.
        category: String,
        /// The code in words.
        display: String,
        /// The value as a decimal number, in text, as `37.2`.
        value_number: String,
        /// The unit of the number, preferably UCUM.
        value_unit: String,
        /// The value in words, where it is no number.
        value_text: String,
        /// FHIR interpretation, a short code.
        interpretation: String,
        /// FHIR ObservationStatus; `final` unless it says otherwise.
        status: String,
        /// When it was true of the patient; now unless it says otherwise.
        #[schema(value_type = Option<String>, format = DateTime)]
        effective_at: Timestamp,
        /// Its parts, in order.
        #[schema(inline)]
        components: Vec<NewComponent>,
    }
}

recording! {
    RecordCondition = "records.record_condition",
        "Asks the unit to enter a problem or diagnosis into a patient's chart.";
    UpdateCondition = "records.update_condition",
        "Asks the unit to change the named fields of a condition, and no others.";
    Condition, condition_id;
    must {
        /// The system of the code, a URI.
        code_system: String,
        /// The code in its system.
        code: String,
    }
    may {
        /// The encounter at which it was found.
        encounter_id: Uuid,
        /// The code in words.
        display: String,
        /// FHIR condition clinical status; `active` unless it says otherwise.
        clinical_status: String,
        /// FHIR condition verification status; `confirmed` unless it says otherwise.
        verification_status: String,
        /// When it began: `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
        onset_on: String,
        /// When it ended: `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
        abated_on: String,
    }
}

recording! {
    RecordAllergy = "records.record_allergy",
        "Asks the unit to enter an allergy or intolerance into a patient's chart.";
    UpdateAllergy = "records.update_allergy",
        "Asks the unit to change the named fields of an allergy, and no others.";
    Allergy, allergy_id;
    must {
        /// The system of the code, a URI.
        code_system: String,
        /// The code of the substance, or of the allergy, in its system.
        code: String,
    }
    may {
        /// The code in words.
        display: String,
        /// FHIR category: `food`, `medication`, `environment` or `biologic`.
        category: String,
        /// FHIR criticality: `low`, `high` or `unable-to-assess`.
        criticality: String,
        /// FHIR clinical status; `active` unless it says otherwise.
        clinical_status: String,
        /// FHIR verification status; `confirmed` unless it says otherwise.
        verification_status: String,
        /// What happens to the patient.
        reaction: String,
    }
}

recording! {
    RecordImmunization = "records.record_immunization",
        "Asks the unit to enter a vaccination into a patient's chart.";
    UpdateImmunization = "records.update_immunization",
        "Asks the unit to change the named fields of an immunization, and no others.";
    Immunization, immunization_id;
    must {
        /// The system of the code, a URI, as `http://hl7.org/fhir/sid/cvx`.
        code_system: String,
        /// The vaccine: the code in its system.
        code: String,
    }
    may {
        /// The encounter at which it was given.
        encounter_id: Uuid,
        /// The code in words.
        display: String,
        /// FHIR immunization status; `completed` unless it says otherwise.
        status: String,
        /// When it was given; now unless it says otherwise.
        #[schema(value_type = Option<String>, format = DateTime)]
        occurred_at: Timestamp,
        /// The lot number of the vaccine.
        lot: String,
    }
}

/// One part of an observation, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewComponent {
    /// The system of the code, a URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_system: Option<String>,
    /// What was observed: the code in its system.
    pub code: String,
    /// The code in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// The value as a decimal number, in text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_number: Option<String>,
    /// The unit of the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_unit: Option<String>,
    /// The value in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_text: Option<String>,
}
