//! The promises of the product, each shown on real servers.

mod away;
mod bad_input;
mod booking;
mod desk;
mod kills;
mod synthea;
mod tokens;
mod topics;
