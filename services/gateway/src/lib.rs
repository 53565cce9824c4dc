//! The gateway: the REST facade of the network.
//!
//! It composes and runs: the domains' faces (`domains/*/rest`) declare routes, `kit-rest` serves
//! them, `kit-request` asks the units. What is its own here is what belongs to no domain: the
//! timeline and its live streams, and the pages for callers.
//!
//! It must never know how a unit carries a command out, what a table looks like, or which socket a
//! unit hangs on; it writes to no table, and to no topic but `unit.requests`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`table`], [`permissions`] | the list of all routes; what the gateway's own ask for |
//! | [`replies`], [`presence`] | the two logs that the gateway listens to |
//! | [`event`], [`view`], [`events`] | a fact as shown, which are shown, the timeline at REST |
//! | [`stream`], [`sse`] | one live stream, and its text |
//! | [`streams`], [`watch`] | the places of all streams, and who wakes them |
//! | [`problems`], [`openapi`], [`answers`] | pages for callers; what is promised to them |

pub mod answers;
pub mod event;
pub mod events;
mod metrics;
pub mod openapi;
pub mod permissions;
pub mod presence;
pub mod problems;
pub mod replies;
pub mod sse;
pub mod stream;
pub mod streams;
pub mod table;
pub mod view;
pub mod watch;

mod run;

use std::sync::Arc;

use kit_request::Requests;
use kit_rest::Rest;

use crate::presence::PresenceView;
use crate::streams::Streams;

pub use run::run;
pub use table::openapi;

/// What the gateway's own handlers share beside what every handler does.
pub struct Gateway {
    /// What every handler shares.
    pub rest: Arc<Rest>,
    /// Who is connected.
    pub presence: PresenceView,
    /// Who listens.
    pub streams: Streams,
}

/// As an extension of each request.
pub type App = Arc<Gateway>;

impl Gateway {
    /// How units are asked.
    #[must_use]
    pub fn requests(&self) -> &Requests {
        &self.rest.requests
    }
}
