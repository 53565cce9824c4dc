//! The gateway: the REST facade of the network.
//!
//! A read is answered from the read models, and says how fresh it is. A write becomes a request on
//! the unit's log, and the answer is the unit's own word, heard through a reply where it comes in
//! time and through the tracked request where it does not. The gateway decides nothing about a
//! record: it settles who asks ([`caller`]), whether the request reads ([`headers`], the domains'
//! field rules) and whether it may be sent ([`write`]), and from there on the unit is the only one
//! to say yes or no.
//!
//! It must never know how a unit carries a wish out, what a table looks like, or which socket a
//! unit hangs on; it writes to no table, and to no topic but `unit.requests`. What it remembers in
//! memory ([`asked`]) is a shortcut, never the truth.
//!
//! | module | what it holds |
//! |---|---|
//! | [`permission`], [`caller`] | who may do what; the guard before each handler |
//! | [`route`], [`table`] | a route with its permission; the list of all routes |
//! | [`headers`] | the headers of the contract |
//! | [`write`], [`outcome`] | the path of a write, and the unit's word as an answer |
//! | [`asked`], [`tracked`] | what was asked a moment ago; a request as it is shown |
//! | [`book`] | the ports to the log and to the read model of requests |
//! | [`replies`], [`presence`] | the two logs that the gateway listens to |
//! | [`read`] | freshness, `Arteria-Min-Seq`, pages |
//! | [`fields`], [`own`] | fields on their way to a wish; what a patient may reach |
//! | [`patients_routes`], [`scheduling_routes`], [`slots`] | handlers of records |
//! | [`billing_routes`] | handlers of invoices and payments |
//! | [`requests_routes`], [`units_routes`], [`events`] | handlers of the network |
//! | [`stream`], [`sse`] | one live stream, and its text |
//! | [`streams`], [`watch`] | the places of all streams, and who wakes them |
//! | [`as_of`] | what a record said at some moment |
//! | [`limits`] | what one caller may ask in a while |
//! | [`counts`] | what is counted of requests |
//! | [`problems`], [`openapi`], [`answers`] | pages for callers; what is promised to them |

pub mod answers;
pub mod as_of;
pub mod asked;
pub mod billing_routes;
pub mod book;
pub mod caller;
pub mod counts;
pub mod events;
pub mod fields;
pub mod headers;
pub mod limits;
pub mod merge_routes;
pub mod openapi;
pub mod outcome;
pub mod own;
pub mod patients_routes;
pub mod permission;
pub mod presence;
pub mod problems;
pub mod read;
pub mod replies;
pub mod requests_routes;
pub mod route;
pub mod scheduling_routes;
pub mod slots;
pub mod sse;
pub mod stream;
pub mod streams;
pub mod table;
pub mod tracked;
pub mod units_routes;
pub mod watch;
pub mod write;

mod run;

use std::sync::Arc;

use kit_clock::Clock;
use kit_event::UnitId;
use kit_http::Problem;
use kit_http::problem::NOT_FOUND;
use kit_token::Verifier;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::asked::Asked;
use crate::book::{RequestBook, RequestLog};
use crate::caller::Caller;
use crate::limits::Limits;
use crate::presence::PresenceView;
use crate::streams::Streams;

pub use openapi::openapi;
pub use run::run;

/// What handlers share.
pub struct Gateway {
    /// The time.
    pub clock: Clock,
    /// Who calls.
    pub verifier: Verifier,
    /// Where requests go.
    pub log: Arc<dyn RequestLog>,
    /// The read model of requests.
    pub book: Arc<dyn RequestBook>,
    /// The other read models.
    pub pool: PgPool,
    /// Who is connected.
    pub presence: PresenceView,
    /// What was asked a moment ago.
    pub asked: Asked,
    /// Where this gateway hears replies.
    pub reply_partition: i32,
    /// Open requests of a unit before new ones are refused.
    pub unit_queue_max: u32,
    /// What callers have left.
    pub limits: Limits,
    /// Who listens.
    pub streams: Streams,
    /// Cancelled when the process drains.
    pub soft: CancellationToken,
}

/// Once the process drains, whoever waits for a unit waits this much longer: most words take a few
/// milliseconds, and the drain has 6 s in all.
const DRAIN_WAIT_MS: u64 = 2_000;

impl Gateway {
    /// The unit of that name, where it exists for this caller.
    ///
    /// # Errors
    /// 404.
    pub async fn visible(&self, caller: &Caller, name: &str) -> Result<UnitId, Problem> {
        let unit: UnitId = name.parse().map_err(|_| NOT_FOUND)?;
        if !caller.verified.sees(&unit) {
            return Err(NOT_FOUND.into());
        }
        if self.presence.knows(&unit) {
            return Ok(unit);
        }
        let registered = units_store::unit(&self.pool, &unit).await;
        match registered.map_err(|error| self.store_away(&error))? {
            Some(_) => Ok(unit),
            None => Err(NOT_FOUND.into()),
        }
    }

    /// Returns when the process drains and a last grace has passed.
    pub async fn drain_is_near(&self) {
        self.soft.cancelled().await;
        tokio::time::sleep(std::time::Duration::from_millis(DRAIN_WAIT_MS)).await;
    }
}

/// An error with its causes, for the one place that logs it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
