//! The diary as it is read: appointments, practitioners and working hours of each unit.
//!
//! The crate is the only writer and reader of the tables of schema `scheduling`. Free slots are not
//! read here: only the unit knows them, and is asked live. It never decides anything, and knows no
//! HTTP and no log.
//!
//! | module | what it holds |
//! |---|---|
//! | [`projection`] | [`Scheduling`], which takes facts apart by the thing they are about |
//! | [`write`] | one statement for each table |
//! | [`read_model`] | [`appointments`], [`practitioners`], [`working_hours`] and single rows |
#![deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)]

pub mod projection;
pub mod read_model;
mod write;

pub use projection::Scheduling;
pub use read_model::{
    AppointmentFilter, PractitionerFilter, appointment, appointments, practitioner, practitioners,
    working_hours,
};
