//! Units: what a healthcare unit says of itself, and where its agent is connected.
//!
//! Two kinds of words meet here and must not be mixed. *Facts* ([`mod@unit`]) are the unit's own,
//! numbered, and kept for ever: an epoch opened, an epoch seeded, the zone or the agent changed.
//! *Presence* ([`presence`]) is what edges say about connections, is no fact of the unit, and only
//! its newest record counts. The crate is pure: it must never know a socket, a topic's reader, or
//! the time; offsets and now are arguments.
//!
//! | module | what it holds |
//! |---|---|
//! | [`mod@unit`] | [`Fact`]: epochs, amendments, facts that were withheld |
//! | [`public`] | what analysts and integrators learn |
//! | [`presence`] | [`Presence`], [`EdgeLiveness`]: records of the presence topic |
//! | [`presence_map`] | [`PresenceMap`]: who holds which unit, who is online |

#![cfg_attr(test, expect(clippy::cast_possible_wrap, reason = "numbers of a test are small"))]
#![deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)]

pub mod presence;
pub mod presence_map;
pub mod public;
pub mod unit;

pub use presence::{EdgeLiveness, Presence};
pub use presence_map::{Change, Connection, Holder, PresenceMap, PresenceRecord, online};
pub use unit::{EpochOpened, EpochSeeded, Fact, FactWithheld, UnitAmended};

use kit_event::{
    Domain, Granted, Observed, PublicEvent, Records, Rejection, SchemaSource, Timestamp,
};
use serde_json::Value;

/// The domain, as hosts hold it. It has no rows in a clinic: its facts are stated by the agent
/// itself, with [`Fact::observed`].
#[derive(Debug, Clone, Copy)]
pub struct Units;

impl Domain for Units {
    fn name(&self) -> &'static str {
        "units"
    }

    fn resources(&self) -> &'static [&'static str] {
        &[]
    }

    fn observe(
        &self,
        _resource: &str,
        _before: Option<&Value>,
        _after: Option<&Value>,
    ) -> Result<Vec<Observed>, serde_json::Error> {
        Ok(vec![])
    }

    fn snapshot(&self, resource: &str, _state: &Value) -> Result<Observed, serde_json::Error> {
        Err(serde::de::Error::custom(format!("units has no rows, so none of {resource}")))
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
        [unit::schemas(), presence::schemas()].into_iter().flatten().collect()
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
