//! The commands of patients, as they are submitted at REST.

use kit_rest::command::{Creates, read};
use kit_rest::{CommandDef, Whose};
use patients::{Command, MergePatients, RegisterPatient, UpdatePatient};

/// Fields of the command to register that the server sets.
pub const REGISTER_SET: &[&str] = &["patient_id"];
/// Fields of the command to change that the server sets.
pub const UPDATE_SET: &[&str] = &["patient_id", "if_match", "fields"];
/// Fields of the command to merge that the server sets.
pub const MERGE_SET: &[&str] = &["patient_id", "if_match"];

/// Register.
pub static REGISTER: CommandDef = CommandDef {
    type_name: RegisterPatient::TYPE,
    version: Command::VERSION,
    collection: "patients",
    creates: Some(Creates { field: "patient_id", kind: "patient" }),
    addressed: None,
    if_match: false,
    names_fields: false,
    not_found: None,
    set_by_server: REGISTER_SET,
    whose: Whose::Unit,
    read: |fields| read(fields, RegisterPatient::validate),
};

/// Change the fields that the body names, and no others.
pub static UPDATE: CommandDef = CommandDef {
    type_name: UpdatePatient::TYPE,
    creates: None,
    addressed: Some("patient_id"),
    if_match: true,
    names_fields: true,
    not_found: Some("patient-unknown"),
    set_by_server: UPDATE_SET,
    whose: Whose::Address,
    read: |fields| read(fields, UpdatePatient::validate),
    version: Command::VERSION,
    collection: "patients",
};

/// Merge the registration in the address into another of the same person.
pub static MERGE: CommandDef = CommandDef {
    type_name: MergePatients::TYPE,
    names_fields: false,
    set_by_server: MERGE_SET,
    read: |fields| read(fields, |_: &MergePatients| Ok(())),
    version: Command::VERSION,
    collection: "patients",
    creates: None,
    addressed: Some("patient_id"),
    if_match: true,
    not_found: Some("patient-unknown"),
    whose: Whose::Address,
};
