//! What can have happened to a unit's invoices and payments, and how it is named.

use kit_event::Observed;
use serde::Deserialize;
use serde_json::Value;

use crate::{Invoice, Payment};

kit_event::fact_kinds! {
    /// What happened to an invoice.
    InvoiceFact {
        #[doc = "An invoice was issued."]
        Issued = "billing.invoice_issued",
        #[doc = "It is no longer owed; what was paid for it is to be given back."]
        Voided = "billing.invoice_voided",
        #[doc = "It is owed again after another status."]
        Reinstated = "billing.invoice_reinstated",
        #[doc = "Some other field changed, or a status came that has no fact of its own."]
        Amended = "billing.invoice_amended",
        #[doc = "The row is gone, or is now another patient's; the state is the last one it had."]
        Removed = "billing.invoice_removed",
        #[doc = "The state as a new epoch found it; nothing has happened to the invoice."]
        Snapshot = "billing.invoice_snapshot",
    }
}

kit_event::fact_kinds! {
    /// What happened to a payment.
    PaymentFact {
        #[doc = "Money came in for an invoice, at the desk or by a request."]
        Received = "billing.payment_received",
        #[doc = "Money went back: a payment with an amount below zero."]
        Refunded = "billing.payment_refunded",
        #[doc = "Some field changed, or a payment came whose amount does not read."]
        Amended = "billing.payment_amended",
        #[doc = "The row is gone, or is now another patient's; the state is the last one it had."]
        Removed = "billing.payment_removed",
        #[doc = "The state as a new epoch found it; nothing has happened to the payment."]
        Snapshot = "billing.payment_snapshot",
    }
}

/// A fact of this domain: what happened, and the state after it.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// About an invoice.
    Invoice(InvoiceFact, Invoice),
    /// About a payment.
    Payment(PaymentFact, Payment),
}

impl Fact {
    /// Reads a fact from its type and body; none for a type that is not of this domain.
    ///
    /// # Errors
    /// The body does not read as the thing that the type is about.
    pub fn read(type_name: &str, body: &Value) -> Result<Option<Self>, serde_json::Error> {
        if let Some(kind) = InvoiceFact::parse(type_name) {
            return Ok(Some(Self::Invoice(kind, Invoice::deserialize(body)?)));
        }
        if let Some(kind) = PaymentFact::parse(type_name) {
            return Ok(Some(Self::Payment(kind, Payment::deserialize(body)?)));
        }
        Ok(None)
    }

    /// Its type on the wire.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Invoice(kind, _) => kind.type_name(),
            Self::Payment(kind, _) => kind.type_name(),
        }
    }

    /// Present version of its schema.
    #[must_use]
    pub const fn version(&self) -> u32 {
        match self {
            Self::Invoice(kind, _) => kind.version(),
            Self::Payment(kind, _) => kind.version(),
        }
    }

    /// Whether the thing is gone after it.
    #[must_use]
    pub const fn removes(&self) -> bool {
        match self {
            Self::Invoice(kind, _) => match kind {
                InvoiceFact::Removed => true,
                InvoiceFact::Issued
                | InvoiceFact::Voided
                | InvoiceFact::Reinstated
                | InvoiceFact::Amended
                | InvoiceFact::Snapshot => false,
            },
            Self::Payment(kind, _) => match kind {
                PaymentFact::Removed => true,
                PaymentFact::Received
                | PaymentFact::Refunded
                | PaymentFact::Amended
                | PaymentFact::Snapshot => false,
            },
        }
    }

    /// The fact as hosts carry it, before it has a number.
    ///
    /// # Errors
    /// Never for a state that was read from JSON.
    pub fn observed(&self) -> Result<Observed, serde_json::Error> {
        let (subject, patient_id, body) = match self {
            Self::Invoice(_, it) => (
                format!("{}/{}", Invoice::RESOURCE, it.invoice_id),
                it.patient_id,
                serde_json::to_value(it)?,
            ),
            Self::Payment(_, it) => (
                format!("{}/{}", Payment::RESOURCE, it.payment_id),
                it.patient_id,
                serde_json::to_value(it)?,
            ),
        };
        let (type_name, version) = (self.type_name(), self.version());
        Ok(Observed { type_name, version, subject, patient_id, body })
    }
}
