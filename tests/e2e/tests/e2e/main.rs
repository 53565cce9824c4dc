//! The promises of the product, each shown on real servers.

#![expect(
    clippy::disallowed_methods,
    clippy::unused_async,
    reason = "a test says what it expects and goes on, and its numbers are small"
)]

mod analysts;
mod away;
mod bad_input;
mod billing;
mod booking;
mod canary;
mod charts;
mod desk;
mod fleet;
mod foreign;
mod kills;
mod ops;
mod paying;
mod poison;
mod rebuild;
mod streams;
mod synthea;
mod tokens;
mod topics;
mod tracing;
mod voip;
