//! What every link of an edge shares.

use std::sync::Arc;

use kit_bus::{Bus, Scans};
use kit_clock::Clock;
use kit_token::Verifier;
use rand::Rng;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::budget::Budgets;
use crate::facts_index::FactsIndex;
use crate::fault::Fault;

use crate::connections::ConnectionRegistry;
use crate::limits::{PAUSE_MS_MAX, PAUSE_MS_MIN};
use crate::network_time::NetworkTime;
use crate::presence::Whereabouts;
use crate::tail::Tail;

/// One edge.
pub struct Edge {
    /// Its id: the name it was given and a part drawn at start, so that a restarted edge is another
    /// one, and the presence that its predecessor left says nothing of it.
    pub id: String,
    /// The log.
    pub bus: Bus,
    /// The network's time.
    pub clock: Clock,
    /// How it is known.
    pub time: Arc<NetworkTime>,
    /// Who is believed to speak for a unit.
    pub verifier: Verifier,
    /// The live tail of requests.
    pub tail: Tail,
    /// Temporary scans.
    pub scans: Scans,
    /// What is durable of units of which nothing recent is known.
    pub facts_index: FactsIndex,
    /// Who is connected here.
    pub connections: ConnectionRegistry,
    /// Where units are, as the presence topic says.
    pub whereabouts: Whereabouts,
    /// What units may ask for in a time.
    pub budgets: Budgets,
    /// HELLOs being answered.
    pub hellos: Semaphore,
    /// Cancelled, in the sense of done, once the presence topic was read to its end.
    pub is_caught_up: CancellationToken,
}

/// Names an edge.
#[must_use]
pub fn edge_id(name: Option<&str>) -> String {
    #[expect(clippy::disallowed_methods, reason = "drawn at the border")]
    let drawn: u32 = rand::rng().random();
    format!("{}-{drawn:08x}", name.unwrap_or("edge"))
}

/// A pause for an agent that is sent away, drawn so that those sent away together do not return
/// together.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "drawn at the border")]
pub fn pause_ms() -> u64 {
    rand::rng().random_range(PAUSE_MS_MIN..=PAUSE_MS_MAX)
}

/// The end of a link for which there is no place.
#[must_use]
pub fn overloaded(detail: &str) -> Fault {
    Fault::new(kit_link::CloseCode::Overloaded, detail).retry_after_ms(pause_ms())
}

/// The end of a link while the log cannot be read or written.
#[must_use]
pub fn log_unavailable(detail: &str) -> Fault {
    Fault::new(kit_link::CloseCode::LogUnavailable, detail).retry_after_ms(pause_ms())
}

/// The end of a link when the edge goes away.
#[must_use]
pub fn draining() -> Fault {
    Fault::new(kit_link::CloseCode::Draining, "the edge is going away")
}
