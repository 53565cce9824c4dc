//! Requests and the unit's word on them become rows.

use std::collections::HashSet;

use kit_event::{Delivery, RequestId};
use kit_store::rows::last_by;
use kit_store::{Asked, Entry, Gap, Projection, Seeded, Stale, Step, StoreError, Unapplied, Work};
use requests::control::Cancel;
use requests::{Fact, RangeLapsed, RequestFact};
use serde::Deserialize;
use sqlx::PgConnection;

use crate::write::{self, Ended, Lapsed};

/// The domain's projection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Requests;

impl Requests {
    /// The name of the schema.
    pub const SCHEMA: &'static str = "requests";
}

const STEPS: &[Step] = &[
    Step { version: 1001, name: "request", sql: include_str!("../migrations/1001_request.sql") },
    Step { version: 1002, name: "lapsed", sql: include_str!("../migrations/1002_lapsed.sql") },
    Step {
        version: 1003,
        name: "open_of_actor",
        sql: include_str!("../migrations/1003_open_of_actor.sql"),
    },
];

impl Projection for Requests {
    fn schema(&self) -> &'static str {
        Self::SCHEMA
    }

    fn steps(&self) -> &'static [Step] {
        STEPS
    }

    fn reads(&self, type_name: &str) -> bool {
        type_name == RangeLapsed::TYPE || RequestFact::parse(type_name).is_some()
    }

    fn reads_requests(&self) -> bool {
        true
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        entries: &'a [Entry],
    ) -> Work<'a, Vec<Unapplied>> {
        Box::pin(apply(connection, entries))
    }

    /// Nothing is withdrawn. The unit's ledger forgets a request after 30 days, and its word on it
    /// stands; one that a restored unit lost it names itself (`requests.request_undone`).
    fn withdraw<'a>(&'a self, _: &'a mut PgConnection, _: &'a [Seeded]) -> Work<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// A word that does not read ends nothing: the request stays open, and becomes overdue.
    fn mark_stale<'a>(&'a self, _: &'a mut PgConnection, _: &'a [Stale]) -> Work<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn accept<'a>(&'a self, connection: &'a mut PgConnection, asked: &'a [Asked]) -> Work<'a, ()> {
        Box::pin(accept(connection, asked))
    }

    /// Requests that were accepted longer ago than `unit.requests` goes back: nobody but the live
    /// copy knows of those that no fact has ended.
    fn inherit<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        live: &'a str,
        gaps: &'a [Gap],
    ) -> Work<'a, ()> {
        Box::pin(write::inherit(connection, live, gaps))
    }
}

async fn apply(
    connection: &mut PgConnection,
    entries: &[Entry],
) -> Result<Vec<Unapplied>, StoreError> {
    let mut refused = Vec::new();
    let (mut ended, mut lapsed) = (Vec::new(), Vec::new());
    let mut refuse =
        |index, cause: &str| refused.push(Unapplied { index, cause: cause.to_owned() });
    for (index, entry) in entries.iter().enumerate() {
        let fact = &entry.fact;
        match Fact::read(&fact.type_name, &fact.body) {
            Ok(Some(Fact::Request(_, outcome))) if outcome.request_id.unit() != fact.unit => {
                refuse(index, "the request belongs to another unit");
            }
            // A state of a later version ends nothing that we could name.
            Ok(Some(Fact::Request(_, outcome))) => {
                if let Some(state) = outcome.state() {
                    ended.push(Ended { fact, outcome, state });
                }
            }
            Ok(Some(Fact::RangeLapsed(range))) => lapsed.push(Lapsed { fact, range }),
            // A type of a later version of this domain: the timeline has it.
            Ok(None) => {}
            // The parser's own words may quote the body.
            Err(_) => refuse(index, "the body does not read as its type"),
        }
    }
    let ended = last_by(ended, |one| one.outcome.request_id.clone());
    if !ended.is_empty() {
        write::end(connection, &ended).await?;
    }
    if !lapsed.is_empty() {
        write::lapse(connection, &lapsed).await?;
    }
    Ok(refused)
}

/// Queries leave no trace, and of the controls only a cancel concerns a request; it ends none.
async fn accept(connection: &mut PgConnection, asked: &[Asked]) -> Result<(), StoreError> {
    let mut seen: HashSet<&RequestId> = HashSet::new();
    let mut opened = Vec::new();
    let mut cancelled = Vec::new();
    for one in asked {
        let request = &one.request;
        if request.type_name == Cancel::TYPE {
            let cancel = Cancel::deserialize(&request.body).ok();
            let own = cancel.filter(|cancel| cancel.request_id.unit() == request.unit);
            cancelled.extend(own.map(|cancel| cancel.request_id));
        } else if request.type_name.starts_with("control.") || request.delivery == Delivery::Query {
            // Nothing to track.
        } else if seen.insert(&request.id) {
            // Of several under one id the first in log order stands.
            opened.push(one);
        }
    }
    if !opened.is_empty() {
        write::open(connection, &opened).await?;
    }
    if !cancelled.is_empty() {
        write::ask_cancel(connection, &cancelled).await?;
    }
    Ok(())
}
