//! The tracked life of requests, as it is read: what waits for a unit, and what the unit said.
//!
//! The crate is the only writer and reader of the tables of schema `requests`. A request is open
//! from its record on `unit.requests` until a fact of its unit ends it; a deadline that passed ends
//! nothing, because a timeout is not a rejection. The crate knows no HTTP and no presence: whether
//! a request was delivered is derived by who knows the unit's cursor.
//!
//! | module | what it holds |
//! |---|---|
//! | [`projection`] | [`Requests`], which reads both logs |
//! | [`write`] | the statements that open and end requests |
//! | [`of_patient`] | which facts speak of a patient's requests, and which ran out of time |
//! | [`mod@open`] | what waits for each unit |
//! | [`read_model`] | [`request`], [`requests`], and [`admit`] for new ones |
#![deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)]

pub mod of_patient;
pub mod open;
pub mod projection;
pub mod read_model;
mod write;

pub use of_patient::{Overdue, Words, overdue_between, words_of_patient};
pub use open::{OpenRequests, open_by_unit};
pub use projection::Requests;
pub use read_model::{
    ACCEPTED, Admission, Applied, Asking, DELIVERED, OVERDUE, RequestFilter, RequestRow, actor_key,
    admit, request, requests,
};
