//! A payment, or one given back, and what happened between two versions of it.

use kit_event::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::facts::{Fact, PaymentFact};

/// Money that came in for an invoice, or went back (then the amount is below zero). Any program may
/// have written it, so that only the id is certain. Names follow the reference practice schema.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Payment {
    /// Public id.
    pub payment_id: Uuid,
    /// The invoice that it is for; the unit may have no such invoice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice_id: Option<Uuid>,
    /// Whose invoice it is, where the clinic could tell when the payment was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<Uuid>,
    /// When it was paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub paid_at: Option<Timestamp>,
    /// The moment of payment as somebody typed it, where it is no instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_at_raw: Option<String>,
    /// ISO 4217 code of its currency, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// How much, in minor units of the currency; below zero for a refund.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_minor: Option<i64>,
    /// The amount as somebody typed it, where it is no whole number; then it counts nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_minor_raw: Option<String>,
    /// How it was paid, as `cash`, `card` or `transfer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// What the payer or the desk noted; `refund:<payment id>` begins the reference of a refund
    /// that a request made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// What begins the reference of a refund; the id of the payment that it gives back follows. The
/// practice's table has no other place for it.
const REFUND_OF: &str = "refund:";

impl Payment {
    /// The thing's name in mapping files and subjects.
    pub const RESOURCE: &'static str = "payment";

    /// The reference of a refund of `payment_id`.
    #[must_use]
    pub fn refund_reference(payment_id: Uuid, note: Option<&str>) -> String {
        match note {
            Some(note) => format!("{REFUND_OF}{payment_id} {note}"),
            None => format!("{REFUND_OF}{payment_id}"),
        }
    }

    /// The payment that this one says it gives back.
    #[must_use]
    pub fn refunds(&self) -> Option<Uuid> {
        let named = self.reference.as_deref()?.strip_prefix(REFUND_OF)?;
        named.split_whitespace().next()?.parse().ok()
    }
}

/// Names what happened to a payment between two committed versions of its row: one fact.
///
/// Two facts only where the row became another payment (its id or its patient changed): the old one
/// is gone, the new one is seen for the first time. So every fact concerns one patient. A patient
/// who is only now known was nobody else before.
#[must_use]
pub fn observe(before: Option<&Payment>, after: Option<&Payment>) -> Vec<Fact> {
    let fact = |kind, of: &Payment| Fact::Payment(kind, of.clone());
    match (before, after) {
        (None, None) => vec![],
        (None, Some(new)) => vec![fact(first_seen(new), new)],
        (Some(old), None) => vec![fact(PaymentFact::Removed, old)],
        (Some(old), Some(new)) if is_another(old, new) => {
            vec![fact(PaymentFact::Removed, old), fact(first_seen(new), new)]
        }
        (Some(old), Some(new)) if old == new => vec![],
        (Some(_), Some(new)) => vec![fact(PaymentFact::Amended, new)],
    }
}

fn is_another(old: &Payment, new: &Payment) -> bool {
    old.payment_id != new.payment_id
        || (old.patient_id.is_some() && old.patient_id != new.patient_id)
}

/// An amount that does not read claims neither that money came in nor that it went back.
const fn first_seen(new: &Payment) -> PaymentFact {
    match new.amount_minor {
        Some(amount) if amount < 0 => PaymentFact::Refunded,
        Some(_) => PaymentFact::Received,
        None => PaymentFact::Amended,
    }
}
