//! End to end: real servers, real roles, real agents, and an app that knows only the contract.
//!
//! Tests share the network that `make test` runs ([`Net::shared`]) and own their units, which also
//! shows that units do not disturb each other. A test that kills roles starts roles of its own
//! under a topic prefix and in a database of its own ([`Net::own`]). Nothing here may reach into a
//! role: what is seen is seen through REST, through `clinic.db`, or on the topics.
//!
//! | module | what it holds |
//! |---|---|
//! | [`net`] | the network: addresses, tokens, own roles |
//! | [`unit`] | a clinic: its folder, its desk, its agent's process |
//! | [`rest`] | an app |
//! | [`stream`] | a live stream as an app takes it |
//! | [`collector`] | a collector of traces |
//! | [`gate`] | a server that goes away for one network |
//! | [`eventually`] | waiting for what must come |

#![expect(
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    clippy::disallowed_methods,
    clippy::unused_async,
    clippy::unused_self,
    reason = "a test says what it expects and goes on; its clients wait as long as it does"
)]

pub mod collector;
pub mod eventually;
pub mod gate;
pub mod net;
pub mod rest;
pub mod stream;
pub mod unit;

pub use collector::{Collector, Span};
pub use eventually::eventually;
pub use net::Net;
pub use rest::{Answer, Rest};
pub use stream::Stream;
pub use unit::Unit;
