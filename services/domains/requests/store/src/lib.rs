//! The tracked life of requests, as it is read: what waits for a unit, and what the unit said.
//!
//! The crate is the only writer and reader of the tables of schema `requests`. A request is open
//! from its record on `unit.requests` until a fact of its unit ends it; a deadline that passed ends
//! nothing, because a timeout is not a refusal. The crate knows no HTTP and no presence: whether a
//! request was delivered is derived by who knows the unit's cursor.
//!
//! | module | what it holds |
//! |---|---|
//! | [`projection`] | [`Requests`], which reads both logs |
//! | [`write`] | the statements that open and end requests |
//! | [`read_model`] | [`request`], [`requests`], and [`admit`] for new ones |
#![deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)]

pub mod projection;
pub mod read_model;
mod write;

pub use projection::Requests;
pub use read_model::{
    ACCEPTED, Admission, OVERDUE, RequestFilter, RequestRow, admit, request, requests,
};
