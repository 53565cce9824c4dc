//! Charts as they are read.
//!
//! The crate is the only writer and reader of the tables of schema `records`. It never decides
//! anything, and knows no HTTP and no log.
//!
//! | module | what it holds |
//! |---|---|
//! | [`projection`] | [`MedicalRecords`], which takes facts apart by the resource they are about |
//! | [`tables`] | one table for each resource, and where a row stands in time |
//! | [`read_model`] | [`one`], [`list`] |
#![deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)]

pub mod projection;
pub mod read_model;
pub mod tables;

pub use projection::MedicalRecords;
pub use read_model::{CodeFilter, Filter, list, one, patient};
pub use tables::Charted;
