//! The publisher on a real log, a real registry and a real Postgres, as processes that are killed
//! and as hosts inside the test. Each test has topics and a database of its own.

mod child;
mod kills;
mod network;
mod outages;
mod rules;
mod unit;

pub use child::Child;
pub use network::{Network, SOON, Tally, eventually};
pub use unit::Unit;
