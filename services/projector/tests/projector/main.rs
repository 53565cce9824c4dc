//! The projector on a real log, a real registry and a real Postgres: each test has topics and a
//! database of its own, and speaks as a unit by putting raw facts on the log.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test says what it expects and goes on, and its numbers are small"
)]

mod claims;
mod epochs;
mod holes;
mod load;
mod money;
mod network;
mod outages;
mod poison;
mod readers;
mod reads;
mod rebuilds;
mod replays;
mod sharing;
mod tracked;
mod unit;

pub use network::{Network, SOON, eventually};
pub use unit::Unit;
