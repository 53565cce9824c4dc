//! What may be asked of a unit about a chart. Each command reads strictly: a field that it does not
//! know, or a time in another form, refuses the whole.

use kit_event::{Rejection, SchemaSource, Timestamp, UnitSeq};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use crate::recordings::{
    Amending, RecordAllergy, RecordCondition, RecordImmunization, RecordObservation, Recording,
    UpdateAllergy, UpdateCondition, UpdateImmunization, UpdateObservation,
};
use crate::{Encounter, Resource};

/// Says that a patient and the unit's people meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartEncounter {
    /// Public id of the new encounter; derived from the request, so that a retry names the same.
    pub encounter_id: Uuid,
    /// Who is seen.
    pub patient_id: Uuid,
    /// Who sees the patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub practitioner_id: Option<Uuid>,
    /// The appointment from which it comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appointment_id: Option<Uuid>,
    /// HL7 ActCode: `AMB`, `IMP`, `EMER`, `VR` or `HH`; `AMB` unless it says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// When it began; now unless it says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub starts_at: Option<Timestamp>,
    /// Why the patient comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Says that an encounter is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishEncounter {
    /// Which encounter.
    pub encounter_id: Uuid,
    /// The `E-S` that the encounter must still have, where the asker insists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub if_match: Option<UnitSeq>,
    /// When it ended; now unless it says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ends_at: Option<Timestamp>,
}

impl StartEncounter {
    /// The type on the wire.
    pub const TYPE: &'static str = "records.start_encounter";

    pub(crate) fn values(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("practitioner_id", json!(self.practitioner_id)),
            ("appointment_id", json!(self.appointment_id)),
            ("class", json!(self.class)),
            ("starts_at", json!(self.starts_at)),
            ("reason", json!(self.reason)),
        ]
    }
}

impl FinishEncounter {
    /// The type on the wire.
    pub const TYPE: &'static str = "records.finish_encounter";
}

impl From<&FinishEncounter> for FinishEncounter {
    fn from(command: &FinishEncounter) -> Self {
        command.clone()
    }
}

impl From<&StartEncounter> for Recording {
    fn from(command: &StartEncounter) -> Self {
        Self {
            resource: Encounter::RESOURCE,
            id: command.encounter_id,
            patient_id: command.patient_id,
            values: command.values(),
        }
    }
}

/// A command of this domain, in the form in which it is decided.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Make a record.
    Record(Recording),
    /// Change a record.
    Amend(Amending),
    /// End an encounter.
    Finish(FinishEncounter),
}

macro_rules! all {
    ($($command:ident as $form:ident, $doc:literal;)+) => {
        impl Command {
            /// The types on the wire.
            pub const TYPES: &'static [&'static str] = &[$($command::TYPE),+];

            /// Reads the command that `type_name` names.
            ///
            /// # Errors
            /// The type is none of this domain, or the body does not read as it.
            pub fn read(type_name: &str, body: &Value) -> Result<Self, Rejection> {
                let read = match type_name {
                    $($command::TYPE => $command::deserialize(body).map(Self::from),)+
                    _ => return Err(Rejection::unknown_type(type_name)),
                };
                read.map_err(|error| Rejection::malformed(type_name, &error))
            }
        }

        $(impl From<$command> for Command {
            fn from(command: $command) -> Self {
                Self::$form((&command).into())
            }
        })+

        /// The promises of all commands.
        pub(crate) fn schemas() -> Vec<SchemaSource> {
            vec![$(SchemaSource {
                type_name: $command::TYPE,
                version: Command::VERSION,
                doc: $doc,
                schema: $command::schema(),
            }),+]
        }
    };
}
all! {
    RecordObservation as Record, "Asks the unit to enter an observation.";
    UpdateObservation as Amend, "Asks the unit to change named fields of an observation.";
    RecordCondition as Record, "Asks the unit to enter a problem or diagnosis.";
    UpdateCondition as Amend, "Asks the unit to change named fields of a condition.";
    RecordAllergy as Record, "Asks the unit to enter an allergy or intolerance.";
    UpdateAllergy as Amend, "Asks the unit to change named fields of an allergy.";
    RecordImmunization as Record, "Asks the unit to enter a vaccination.";
    UpdateImmunization as Amend, "Asks the unit to change named fields of an immunization.";
    StartEncounter as Record, "Says that a patient and the unit's people meet.";
    FinishEncounter as Finish, "Says that an encounter is over.";
}

impl Command {
    /// Present version of every command schema of this domain.
    pub const VERSION: u32 = 1;
}
