//! Invoices and payments as they are read, with what is owed added up.
//!
//! The crate is the only writer and reader of the tables of schema `billing`. What counts towards a
//! balance is the domain's rule ([`billing::Balance`]); here sums are only fetched. It never
//! decides anything, and knows no HTTP and no log.
//!
//! | module | what it holds |
//! |---|---|
//! | [`projection`] | [`Billing`], which takes facts apart by the thing they are about |
//! | [`write`] | one statement for each table |
//! | [`read_model`] | [`invoices`], [`statement`], [`payment`], and whose they are |
#![deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)]

pub mod projection;
pub mod read_model;
mod write;

pub use projection::Billing;
pub use read_model::{
    InvoiceFilter, PAYMENTS_SHOWN_MAX, invoice_patient, invoices, payment, statement,
};
