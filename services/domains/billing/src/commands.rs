//! What may be asked about a unit's money. Each command reads strictly: a field that it does not
//! know, an amount that is no whole number, or a text where a number stands, refuses the whole.

use kit_event::Rejection;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// Asks the unit to enter a payment for an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordPayment {
    /// Public id of the new payment; derived from the request, so that a retry names the same.
    pub payment_id: Uuid,
    /// Which invoice is paid.
    pub invoice_id: Uuid,
    /// Whose invoice it must be, where the asker may pay for one patient only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<Uuid>,
    /// How much, in minor units of the currency; at least 1, at most what is still owed.
    pub amount_minor: i64,
    /// ISO 4217 code; the invoice's own.
    pub currency: String,
    /// How it was paid, as `cash`, `card` or `transfer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// What the payer or the provider noted, as a receipt's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// Asks the unit to enter that a payment was given back, wholly or in part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefundPayment {
    /// Public id of the refund, a payment of its own with an amount below zero; derived from the
    /// request, so that a retry names the same.
    pub refund_id: Uuid,
    /// Which payment is given back.
    pub payment_id: Uuid,
    /// How much goes back, in minor units of the payment's currency, above zero; all that is left
    /// of the payment where it is not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_minor: Option<i64>,
    /// A note beside it, as the receipt's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

impl RecordPayment {
    /// The type on the wire.
    pub const TYPE: &'static str = "billing.record_payment";
}

impl RefundPayment {
    /// The type on the wire.
    pub const TYPE: &'static str = "billing.refund_payment";
}

/// Every command of this domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Enter a payment.
    Record(RecordPayment),
    /// Enter that one was given back.
    Refund(RefundPayment),
}

impl Command {
    /// The types on the wire.
    pub const TYPES: &'static [&'static str] = &[RecordPayment::TYPE, RefundPayment::TYPE];

    /// Present version of every command schema of this domain.
    pub const VERSION: u32 = 1;

    /// The payment that the command makes.
    #[must_use]
    pub const fn new_payment_id(&self) -> Uuid {
        match self {
            Self::Record(command) => command.payment_id,
            Self::Refund(command) => command.refund_id,
        }
    }

    /// Reads the command that `type_name` names.
    ///
    /// # Errors
    /// The type is none of this domain, or the body does not read as it.
    pub fn read(type_name: &str, body: &Value) -> Result<Self, Rejection> {
        let read = match type_name {
            RecordPayment::TYPE => RecordPayment::deserialize(body).map(Self::Record),
            RefundPayment::TYPE => RefundPayment::deserialize(body).map(Self::Refund),
            _ => return Err(Rejection::unknown_type(type_name)),
        };
        read.map_err(|error| Rejection::malformed(type_name, &error))
    }
}
