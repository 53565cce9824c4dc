//! Submitting commands and live queries to units, and awaiting what they say.
//!
//! A command becomes a request on the unit's log; its [`Outcome`] comes through a reply where that
//! is in time, and through the tracked request where it is not. The unit alone decides; here is
//! settled only whether the request may be sent ([`NotSent`] says why not), and from there on the
//! unit is the only one to say yes or no.
//!
//! The crate must never know HTTP, nor any domain but `requests`: how an outcome is told to a
//! caller is the face's business.
//!
//! | module | what it holds |
//! |---|---|
//! | [`submit`], [`query`] | a command, a live query |
//! | [`outcome`] | [`Outcome`], [`Rejection`], [`NotSent`] |
//! | [`await_final`] | what is known of a request, and the wait for its end |
//! | [`pending`], [`tracked`] | what was asked a moment ago; a request as it is shown |
//! | [`limits`] | what one caller may ask in a while |
//! | [`ports`] | the log, the read models and presence |
//! | [`counts`] | what is counted |

pub mod await_final;
pub mod counts;
pub mod limits;
pub mod outcome;
pub mod pending;
pub mod ports;
pub mod query;
pub mod submit;
pub mod tracked;

use std::sync::Arc;
use std::time::{Duration, Instant};

use kit_bus::PublishError;
use kit_clock::Clock;
use kit_event::Request;
use kit_store::StoreError;
use kit_telemetry::{Field, Side, Step, chain};
use kit_token::Verified;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

pub use outcome::{Granted, NotSent, Outcome, Rejection};
pub use submit::{Command, Terms};

use crate::limits::{Act, Limits};
use crate::pending::{Pending, Word};
use crate::ports::{Presence, ReadModels, RequestBook, RequestLog};
use crate::tracked::{Entry, TrackedRequest};

/// Once the process drains, whoever waits for a unit waits this much longer: most outcomes take a
/// few milliseconds, and the drain has 6 s in all.
const DRAIN_WAIT: Duration = Duration::from_secs(2);

/// What it takes to ask units.
pub struct Requests {
    /// The time.
    pub clock: Clock,
    /// Where requests go.
    pub log: Arc<dyn RequestLog>,
    /// The read model of requests.
    pub book: Arc<dyn RequestBook>,
    /// The read models of records.
    pub records: Arc<dyn ReadModels>,
    /// Who is connected.
    pub presence: Arc<dyn Presence>,
    /// What was asked a moment ago.
    pub pending: Pending,
    /// What callers have left.
    pub limits: Limits,
    /// Where replies are heard.
    pub reply_partition: i32,
    /// Open requests of a unit before new ones are refused.
    pub unit_queue_max: u32,
    /// Cancelled when the process drains.
    pub soft: CancellationToken,
}

/// What waiting came to.
pub(crate) enum Heard {
    /// The unit's outcome.
    Word(Word),
    /// Time is up.
    Nothing,
    /// Whoever sent the request gave it up.
    Released,
}

impl Requests {
    /// Returns when the process drains and a last grace has passed.
    pub async fn drain_is_near(&self) {
        self.soft.cancelled().await;
        tokio::time::sleep(DRAIN_WAIT).await;
    }

    /// A request as it shows now.
    pub fn show(&self, entry: Entry) -> TrackedRequest {
        let now = self.clock.now();
        let applied = self.presence.applied(&entry.id.unit());
        let shown = entry.shown(applied.as_ref().map(ports::Applied::cursor), now);
        TrackedRequest::new(entry, shown)
    }

    /// Takes one act from what the caller has left.
    ///
    /// # Errors
    /// [`NotSent::TooMany`].
    pub fn spend(&self, caller: &Verified, act: Act) -> Result<(), NotSent> {
        self.limits.spend(caller, act, Instant::now())
    }

    /// Puts a request on the log and remembers that it stands there.
    ///
    /// # Errors
    /// The log did not confirm it, so that it may stand there or not.
    pub async fn publish(&self, mut request: Request) -> Result<(), NotSent> {
        let mut step =
            Step::begin(Side::Producer, "request publish", request.traceparent.as_deref());
        step.says(Field::Unit, &request.unit);
        step.says(Field::Request, &request.id);
        step.says(Field::RequestType, &request.type_name);
        request.traceparent = step.handed_on();
        let placed = self.log.publish(&request).await.map_err(|error| {
            step.failed("log-unavailable");
            log_away(&error)
        })?;
        step.says(Field::Place, format_args!("{}/{}", placed.partition, placed.offset));
        let log = self.log.identity(placed.partition);
        self.pending.placed(Entry::of(&request, log, placed.offset));
        Ok(())
    }

    /// Waits for an outcome; shorter once the process drains, so that everybody is answered.
    pub(crate) async fn await_word(
        &self,
        receiver: &mut oneshot::Receiver<Word>,
        wait: Duration,
    ) -> Heard {
        if wait.is_zero() {
            return match receiver.try_recv() {
                Ok(word) => Heard::Word(word),
                Err(oneshot::error::TryRecvError::Empty) => Heard::Nothing,
                Err(oneshot::error::TryRecvError::Closed) => Heard::Released,
            };
        }
        tokio::select! {
            heard = receiver => heard.map_or(Heard::Released, Heard::Word),
            () = tokio::time::sleep(wait) => Heard::Nothing,
            () = self.drain_is_near() => Heard::Nothing,
        }
    }
}

/// The log did not take the request. `Display` of the error carries no body.
fn log_away(error: &PublishError) -> NotSent {
    counts::PUBLISH_FAILED.get().increment(1);
    tracing::error!(error = %chain(error), "a request could not be put on the log");
    if error.is_refused() { NotSent::Internal } else { NotSent::LogAway }
}

/// The read model did not answer.
pub fn store_away(error: &StoreError) -> NotSent {
    counts::STORE_FAILED.get().increment(1);
    tracing::error!(error = %chain(error), "the read model did not answer");
    NotSent::StoreAway
}
