//! The edge against a real Kafka and a real registry, with a hand-written WebSocket client as the
//! agent. Two edges run for all tests; each test owns its units.

mod agent;
mod bad_input;
mod facts;
mod network;
mod presence;
mod registry_gate;
mod requests;
mod withheld;
