//! What travels through Arteria: ids, numbers, times, facts, requests, and the port by which a
//! domain sees a clinic's records.
//!
//! Every crate of the house agrees on these few words and on nothing else, so they are parsed once
//! at a border and trusted inside. The crate knows no domain noun (a patient is only the opaque id
//! that a record may concern), opens no socket or file, and never reads a clock: time, ids and
//! randomness are arguments.
//!
//! | module | what it holds |
//! |---|---|
//! | [`ids`] | [`UnitId`], [`RequestId`], ids derived from a request |
//! | [`seq`] | [`UnitSeq`], the number `E-S` by which everybody resumes |
//! | [`time`] | [`Timestamp`] and [`Date`] as they stand on the wire |
//! | [`fact`] | [`Fact`], a numbered event of a unit |
//! | [`request`] | [`Request`], a tracked command, its delivery and its command hash |
//! | [`kinds`] | [`fact_kinds`], by which a domain names what can happen |
//! | [`rejection`] | [`Rejection`], and the problems that any domain may have |
//! | [`rules`] | [`FieldProblem`], a field that breaks a rule of its own |
//! | [`type_name`] | the one grammar of type names |
//! | [`domain`] | [`Domain`], [`Records`], [`RowChange`]: decide and observe |

pub mod domain;
pub mod fact;
pub mod ids;
pub mod kinds;
pub mod rejection;
pub mod request;
pub mod rules;
pub mod seq;
pub mod time;
pub mod type_name;

pub use domain::{
    Answer, Domain, Filter, Granted, Observed, PublicEvent, RecordRef, Records, RecordsError,
    RowChange, RowOperation, SchemaSource, Stored,
};
pub use fact::Fact;
pub use ids::{RequestId, UnitId, derived_id};
pub use rejection::{Problem, Rejection};
pub use request::{Delivery, Request, command_hash};
pub use rules::FieldProblem;
pub use seq::UnitSeq;
pub use time::{Date, Timestamp};
