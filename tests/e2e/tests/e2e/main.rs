//! The promises of the product, each shown on real servers.

mod analysts;
mod away;
mod bad_input;
mod billing;
mod booking;
mod canary;
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
