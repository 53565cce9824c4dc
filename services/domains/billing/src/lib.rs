//! Billing: what a unit's patients owe it, what was paid, and what may be asked about either.
//!
//! The crate is pure: `observe` names what happened between two versions of an invoice or a
//! payment, whoever wrote it; [`balance::Balance`] says what is still owed, and what could not be
//! counted; [`payments::decide`] takes a payment or gives one back against the rows as they stand.
//! It must never know SQL, sockets, Kafka, the time, or how an id is made: records, now and ids are
//! arguments. It changes no money from one currency to another, and knows no payment provider.
//!
//! | module | what it holds |
//! |---|---|
//! | [`money`] | [`Currency`]; amounts are whole minor units of one |
//! | [`invoice`], [`payment`] | the things, each with its `observe` |
//! | [`facts`] | [`Fact`]: what can have happened |
//! | [`balance`] | [`Tally`], [`Balance`], [`Statement`]: paid, owed, not counted |
//! | [`commands`] | what may be asked, and [`Command`], the only list |
//! | [`rules`] | what a field obeys by itself |
//! | [`payments`] | `gather` and `decide` |
//! | [`public`] | what analysts and integrators learn |
//! | [`rejection`] | [`BillingRejection`] and [`PROBLEMS`] |
#![deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)]

pub mod balance;
pub mod commands;
pub mod facts;
pub mod invoice;
pub mod money;
pub mod payment;
pub mod payments;
pub mod public;
pub mod rejection;
pub mod rules;
mod schemas;

pub use balance::{Balance, Statement, Tally, Uncounted};
pub use commands::{Command, RecordPayment, RefundPayment};
pub use facts::{Fact, InvoiceFact, PaymentFact};
pub use invoice::{Invoice, Status};
pub use money::Currency;
pub use payment::Payment;
pub use rejection::{BillingRejection, PROBLEMS};

use kit_event::{
    Domain, Granted, Observed, PublicEvent, Records, Rejection, SchemaSource, Timestamp,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The domain, as hosts hold it.
#[derive(Debug, Clone, Copy)]
pub struct Billing;

impl Domain for Billing {
    fn name(&self) -> &'static str {
        "billing"
    }

    fn resources(&self) -> &'static [&'static str] {
        &[Invoice::RESOURCE, Payment::RESOURCE]
    }

    fn observe(
        &self,
        resource: &str,
        before: Option<&Value>,
        after: Option<&Value>,
    ) -> Result<Vec<Observed>, serde_json::Error> {
        let facts = match resource {
            Invoice::RESOURCE => invoice::observe(row(before)?.as_ref(), row(after)?.as_ref()),
            Payment::RESOURCE => payment::observe(row(before)?.as_ref(), row(after)?.as_ref()),
            _ => vec![],
        };
        facts.iter().map(Fact::observed).collect()
    }

    fn snapshot(&self, resource: &str, state: &Value) -> Result<Observed, serde_json::Error> {
        let fact = match resource {
            Invoice::RESOURCE => Fact::Invoice(InvoiceFact::Snapshot, Invoice::deserialize(state)?),
            Payment::RESOURCE => Fact::Payment(PaymentFact::Snapshot, Payment::deserialize(state)?),
            other => {
                return Err(serde::de::Error::custom(format!("billing knows no thing {other}")));
            }
        };
        fact.observed()
    }

    fn commands(&self) -> &'static [&'static str] {
        Command::TYPES
    }

    fn decide(
        &self,
        type_name: &str,
        body: &Value,
        records: &dyn Records,
        now: Timestamp,
    ) -> Result<Granted, Rejection> {
        let command = Command::read(type_name, body)?;
        let held = payments::gather(&command, records)?;
        Ok(payments::decide(&command, &held, now)?)
    }

    fn schemas(&self) -> Vec<SchemaSource> {
        schemas::all()
    }

    fn publish(&self, fact: &kit_event::Fact) -> Result<Option<PublicEvent>, serde_json::Error> {
        let Some(known) = Fact::read(&fact.type_name, &fact.body)? else { return Ok(None) };
        let body = public::of(&known)?;
        Ok(Some(PublicEvent { version: public::VERSION, body }))
    }

    fn public_schemas(&self) -> Vec<SchemaSource> {
        public::schemas()
    }
}

fn row<T: DeserializeOwned>(state: Option<&Value>) -> Result<Option<T>, serde_json::Error> {
    state.map(T::deserialize).transpose()
}

#[cfg(test)]
mod tests;
