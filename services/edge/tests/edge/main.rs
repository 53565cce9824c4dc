//! The edge against a real Kafka and a real registry, with a hand-written WebSocket client as the
//! agent. Two edges run for all tests; each test owns its units.

#![expect(
    clippy::disallowed_methods,
    clippy::unused_self,
    reason = "a test says what it expects and goes on, and its numbers are small"
)]

mod agent;
mod bad_input;
mod facts;
mod network;
mod presence;
mod registry_gate;
mod requests;
mod withheld;
