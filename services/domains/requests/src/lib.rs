//! Requests: the tracked life of a command, whatever it asks for.
//!
//! A request is a record on the log, and then the unit's word on it: a row of the unit's ledger,
//! captured like any table and numbered like any fact. Everything else that a request shows is
//! derived ([`life`]). The crate holds the shapes of that word and of what travels beside commands
//! (controls, replies). It must never know what a command is about, and no socket, SQL or clock.
//!
//! | module | what it holds |
//! |---|---|
//! | [`outcome`] | [`RequestOutcome`], the ledger row; [`FinalState`]; [`observe`] |
//! | [`facts`] | [`RequestFact`], [`RangeLapsed`], and [`Fact`], their only list |
//! | [`life`] | [`Tracked`] and [`view`]: accepted, delivered, overdue, final |
//! | [`control`] | what the centre tells an agent beside commands |
//! | [`reply`] | [`Reply`], [`Answer`]: shortcuts back to the waiting gateway |
//! | [`public`] | what analysts and integrators learn |
//! | [`rejection`] | [`RequestRejection`] and [`PROBLEMS`] |

#![cfg_attr(test, expect(clippy::unnecessary_wraps, reason = "a test spells what it gives"))]
#![deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)]

pub mod control;
pub mod facts;
pub mod life;
pub mod outcome;
pub mod public;
pub mod rejection;
pub mod reply;

pub use facts::{Fact, RangeLapsed, RequestFact};
pub use life::{AppliedCursor, Shown, Tracked, Word, view};
pub use outcome::{FinalState, RequestOutcome, observe};
pub use rejection::{PROBLEMS, RequestRejection};
pub use reply::{Answer, Reply};

use kit_event::{
    Domain, Granted, Observed, PublicEvent, Records, Rejection, SchemaSource, Timestamp,
};
use serde::Deserialize;
use serde_json::Value;

/// Characters of an actor that are stored and compared; an index entry has a greatest size. OpenID
/// Connect allows a subject 255.
pub const ACTOR_CHARS_MAX: usize = 300;

/// The domain, as hosts hold it. It grants no command: every command is another domain's.
#[derive(Debug, Clone, Copy)]
pub struct Requests;

impl Domain for Requests {
    fn name(&self) -> &'static str {
        "requests"
    }

    fn resources(&self) -> &'static [&'static str] {
        &[RequestOutcome::RESOURCE]
    }

    fn observe(
        &self,
        resource: &str,
        before: Option<&Value>,
        after: Option<&Value>,
    ) -> Result<Vec<Observed>, serde_json::Error> {
        if resource != RequestOutcome::RESOURCE {
            return Ok(vec![]);
        }
        let before = before.map(RequestOutcome::deserialize).transpose()?;
        let after = after.map(RequestOutcome::deserialize).transpose()?;
        observe(before.as_ref(), after.as_ref()).iter().map(Fact::observed).collect()
    }

    fn snapshot(&self, resource: &str, state: &Value) -> Result<Observed, serde_json::Error> {
        if resource != RequestOutcome::RESOURCE {
            return Err(serde::de::Error::custom(format!("requests knows no thing {resource}")));
        }
        Fact::Request(RequestFact::Snapshot, RequestOutcome::deserialize(state)?).observed()
    }

    fn commands(&self) -> &'static [&'static str] {
        &[]
    }

    fn decide(
        &self,
        type_name: &str,
        _body: &Value,
        _records: &dyn Records,
        _now: Timestamp,
    ) -> Result<Granted, Rejection> {
        Err(Rejection::unknown_type(type_name))
    }

    fn schemas(&self) -> Vec<SchemaSource> {
        [facts::schemas(), control::schemas(), reply::schemas()].into_iter().flatten().collect()
    }

    fn publish(&self, fact: &kit_event::Fact) -> Result<Option<PublicEvent>, serde_json::Error> {
        let Some(known) = Fact::read(&fact.type_name, &fact.body)? else { return Ok(None) };
        let body = public::of(known)?;
        Ok(Some(PublicEvent { version: public::VERSION, body }))
    }

    fn public_schemas(&self) -> Vec<SchemaSource> {
        public::schemas()
    }
}

#[cfg(test)]
mod tests;
