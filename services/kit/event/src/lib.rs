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
//! | [`request`] | [`Request`], a tracked wish, its delivery and its command hash |
//! | [`domain`] | [`Domain`], [`Records`], [`RowChange`], [`Refusal`]: decide and observe |

pub mod domain;
pub mod fact;
pub mod ids;
pub mod request;
pub mod seq;
pub mod time;

pub use domain::{
    Answer, Domain, Filter, Granted, Observed, PublicEvent, RecordRef, Records, RecordsError,
    Refusal, RowChange, RowOperation, SchemaSource, Stored,
};
pub use fact::Fact;
pub use ids::{RequestId, UnitId, derived_id};
pub use request::{Delivery, Request, command_hash};
pub use seq::UnitSeq;
pub use time::{Date, Timestamp};
