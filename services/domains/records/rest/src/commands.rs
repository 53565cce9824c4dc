//! The commands of charts, as they are submitted at REST.

use kit_rest::command::{Creates, read};
use kit_rest::{CommandDef, Whose};
use records::{Allergy, Condition, Encounter, Immunization, Observation};
use records::{
    Command, FinishEncounter, RecordAllergy, RecordCondition, RecordImmunization,
    RecordObservation, StartEncounter, UpdateAllergy, UpdateCondition, UpdateImmunization,
    UpdateObservation,
};
use records_store::patient;

/// One line for each resource that is recorded and amended at REST.
macro_rules! recorded {
    ($($record:ident = $record_type:ident, $record_set:ident,
       $update:ident = $update_type:ident, $update_set:ident
       of $resource:ident $kind:literal $id:literal $collection:literal $unknown:literal;)+) => {
        $(
        /// Fields of the command to record that the server sets.
        pub const $record_set: &[&str] = &[$id, "patient_id"];
        /// Fields of the command to amend that the server sets.
        pub const $update_set: &[&str] = &[$id, "if_match", "fields"];

        #[doc = concat!("Record: ", $kind, ".")]
        pub static $record: CommandDef = CommandDef {
            type_name: $record_type::TYPE,
            version: Command::VERSION,
            collection: $collection,
            creates: Some(Creates { field: $id, kind: $kind }),
            addressed: Some("patient_id"),
            if_match: false,
            names_fields: false,
            not_found: Some("patient-unknown"),
            set_by_server: $record_set,
            whose: Whose::Address,
            read: |fields| {
                read(fields, |it: &$record_type| Command::from(it.clone()).validate())
            },
        };

        #[doc = concat!("Amend: ", $kind, ".")]
        pub static $update: CommandDef = CommandDef {
            type_name: $update_type::TYPE,
            version: Command::VERSION,
            collection: $collection,
            creates: None,
            addressed: Some($id),
            if_match: true,
            names_fields: true,
            not_found: Some($unknown),
            set_by_server: $update_set,
            whose: Whose::Record(|pool, unit, id| Box::pin(patient::<$resource>(pool, unit, id))),
            read: |fields| {
                read(fields, |it: &$update_type| Command::from(it.clone()).validate())
            },
        };
        )+
    };
}
recorded! {
    RECORD_OBSERVATION = RecordObservation, RECORD_OBSERVATION_SET,
    UPDATE_OBSERVATION = UpdateObservation, UPDATE_OBSERVATION_SET
        of Observation "observation" "observation_id" "observations" "observation-unknown";
    RECORD_CONDITION = RecordCondition, RECORD_CONDITION_SET,
    UPDATE_CONDITION = UpdateCondition, UPDATE_CONDITION_SET
        of Condition "condition" "condition_id" "conditions" "condition-unknown";
    RECORD_ALLERGY = RecordAllergy, RECORD_ALLERGY_SET,
    UPDATE_ALLERGY = UpdateAllergy, UPDATE_ALLERGY_SET
        of Allergy "allergy" "allergy_id" "allergies" "allergy-unknown";
    RECORD_IMMUNIZATION = RecordImmunization, RECORD_IMMUNIZATION_SET,
    UPDATE_IMMUNIZATION = UpdateImmunization, UPDATE_IMMUNIZATION_SET
        of Immunization "immunization" "immunization_id" "immunizations" "immunization-unknown";
}

/// Fields of the command to begin an encounter that the server sets.
pub const START_SET: &[&str] = &["encounter_id"];
/// Fields of the command to end one that the server sets.
pub const FINISH_SET: &[&str] = &["encounter_id", "if_match"];

/// Begin an encounter.
pub static START_ENCOUNTER: CommandDef = CommandDef {
    type_name: StartEncounter::TYPE,
    version: Command::VERSION,
    collection: "encounters",
    creates: Some(Creates { field: "encounter_id", kind: "encounter" }),
    addressed: None,
    if_match: false,
    names_fields: false,
    not_found: None,
    set_by_server: START_SET,
    whose: Whose::Field("patient_id"),
    read: |fields| read(fields, |it: &StartEncounter| Command::from(it.clone()).validate()),
};

/// End an encounter.
pub static FINISH_ENCOUNTER: CommandDef = CommandDef {
    type_name: FinishEncounter::TYPE,
    version: Command::VERSION,
    collection: "encounters",
    creates: None,
    addressed: Some("encounter_id"),
    if_match: true,
    names_fields: false,
    not_found: Some("encounter-unknown"),
    set_by_server: FINISH_SET,
    whose: Whose::Record(|pool, unit, id| Box::pin(patient::<Encounter>(pool, unit, id))),
    read: |fields| read(fields, |it: &FinishEncounter| Command::from(it.clone()).validate()),
};
