//! The registry of units as it is read: time zone, agent, epoch, and how far each has come.
//!
//! The crate is the only writer and reader of the tables of schema `units`. Who is connected where
//! is not here: that is presence, which whoever shows it folds from its own topic.
//!
//! | module | what it holds |
//! |---|---|
//! | [`projection`] | [`Units`], which fills the table from facts |
//! | [`read_model`] | [`unit`], [`units`] |
#![deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)]

pub mod projection;
pub mod read_model;

pub use projection::Units;
pub use read_model::{UnitRow, unit, units};
