//! The timeline: every fact of every unit, of whatever type, and what is wrong with a unit's
//! numbering.
//!
//! It knows no type: a new one needs a schema and nothing here. It is the one reader that keeps
//! every id, so it alone can tell a fork from a repeat, and it alone asks units for what is missing
//! ([`repair`]); otherwise each domain's reader would ask for itself.
//!
//! | module | what it holds |
//! |---|---|
//! | [`read_model`] | [`Timeline`], the writer of the table `fact`, and [`events`] |
//! | [`repair`] | holes asked for and forks found |

pub mod read_model;
pub mod repair;

pub use read_model::{EventFilter, Timeline, TimelineRow, events};
