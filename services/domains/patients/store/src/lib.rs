//! Patients as they are read: registrations by key, name, birth date and record number, and the map
//! from a patient to the one unit that registered it.
//!
//! The crate is the only writer and reader of the tables of schema `patients`. What a patient is,
//! and which facts there are, it learns from the domain crate; it never decides anything, and knows
//! no HTTP and no log.
//!
//! | module | what it holds |
//! |---|---|
//! | `homes` | the one unit of each patient id |
//! | [`names`] | names without case and accents, word by word |
//! | [`projection`] | [`Patients`], which fills the tables from facts |
//! | [`read_model`] | [`patient`], [`patients`], [`unit_of_patient`] |
#![deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)]

mod homes;
mod names;
pub mod projection;
pub mod read_model;

pub use projection::Patients;
pub use read_model::{PatientFilter, patient, patients, unit_of_patient};
