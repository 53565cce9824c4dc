//! The publisher on a real log, a real registry and a real Postgres, as processes that are killed
//! and as hosts inside the test. Each test has topics and a database of its own.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test says what it expects and goes on, and its numbers are small"
)]

mod child;
mod kills;
mod network;
mod outages;
mod rules;
mod unit;

pub use child::Child;
pub use network::{Network, SOON, Tally, eventually};
pub use unit::Unit;
