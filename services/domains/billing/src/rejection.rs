//! Why a unit refuses a command about its money.
//!
//! The slug is the last part of a problem's `type` and never changes; the title is the same for
//! each rejection of that name; the detail says what exactly, and never whose invoice it is.

use kit_event::rejection::FIELD_RULES;
use kit_event::{FieldProblem, Problem, Rejection};
use uuid::Uuid;

use crate::balance::Missing;
use crate::money::Currency;

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BillingRejection {
    /// `invoice-unknown`
    #[error("the unit has no invoice {invoice_id}")]
    InvoiceUnknown {
        /// Which was asked for.
        invoice_id: Uuid,
    },
    /// `invoice-voided`
    #[error("invoice {invoice_id} is voided")]
    InvoiceVoided {
        /// Which was asked for.
        invoice_id: Uuid,
    },
    /// `balance-unknown`
    #[error("the {} of invoice {invoice_id} does not read", .missing.as_str())]
    BalanceUnknown {
        /// Which was asked for.
        invoice_id: Uuid,
        /// What keeps it from adding up.
        missing: Missing,
    },
    /// `balance-unknown`
    #[error("a payment for invoice {invoice_id} does not read")]
    PaymentUnreadable {
        /// Which was asked for.
        invoice_id: Uuid,
    },
    /// `currency-mismatch`
    #[error("the invoice is in {wanted}")]
    CurrencyMismatch {
        /// The invoice's currency.
        wanted: Currency,
    },
    /// `amount-exceeds-balance`
    #[error("{amount_minor} is more than the balance of {balance_minor} {currency} minor units")]
    AmountExceedsBalance {
        /// What was to be paid.
        amount_minor: i64,
        /// What is owed.
        balance_minor: i128,
        /// In which currency.
        currency: Currency,
    },
    /// `payment-exists`
    #[error("payment {payment_id} is there already")]
    PaymentExists {
        /// Which is there already.
        payment_id: Uuid,
    },
    /// `payment-unknown`
    #[error("the unit has no payment {payment_id}")]
    PaymentUnknown {
        /// Which was asked for.
        payment_id: Uuid,
    },
    /// `payment-not-refundable`
    #[error("payment {payment_id} is a refund itself, or does not read")]
    NotRefundable {
        /// Which was asked for.
        payment_id: Uuid,
    },
    /// `refund-exceeds-payment`
    #[error("of payment {payment_id} {left_minor} {currency} minor units can be given back")]
    RefundExceedsPayment {
        /// Which was asked for.
        payment_id: Uuid,
        /// What is left of it.
        left_minor: i128,
        /// In which currency.
        currency: Currency,
    },
    /// `field-rules`
    #[error("{}", FieldProblem::sentence(.problems))]
    FieldRules {
        /// Every field that breaks a rule.
        problems: Vec<FieldProblem>,
    },
}

const INVOICE_UNKNOWN: Problem = (
    "invoice-unknown",
    "The unit has no such invoice",
    "The request names an invoice that the unit's records do not hold, or that is not the \
     patient's who asks.",
);
const INVOICE_VOIDED: Problem = (
    "invoice-voided",
    "The invoice is voided",
    "A voided invoice owes nothing and takes no payments; what was paid for it can be refunded.",
);
const BALANCE_UNKNOWN: Problem = (
    "balance-unknown",
    "Nobody can say what is owed",
    "The invoice's total, currency or status, or the amount or currency of a payment for it, \
     is written in a way that does not read. A payment could pay the bill a second time, so none is \
     taken; the desk must correct the row first. What does not count stands in `not_counted` beside \
     the balance.",
);
const CURRENCY_MISMATCH: Problem = (
    "currency-mismatch",
    "The invoice is in another currency",
    "A payment is in the currency of its invoice; the unit exchanges none. The detail names it.",
);
const AMOUNT_EXCEEDS_BALANCE: Problem = (
    "amount-exceeds-balance",
    "The amount is more than is owed",
    "A payment may not exceed the balance of its invoice as it stands at the unit at that moment: \
     the desk, or a request before this one, may have taken a payment. Read the invoice again.",
);
const PAYMENT_EXISTS: Problem = (
    "payment-exists",
    "The payment is there already",
    "A payment under this id exists. It happens when an Idempotency-Key is used again more than \
     30 days after its first use.",
);
const PAYMENT_UNKNOWN: Problem = (
    "payment-unknown",
    "The unit has no such payment",
    "The request names a payment that the unit's records do not hold.",
);
const PAYMENT_NOT_REFUNDABLE: Problem = (
    "payment-not-refundable",
    "The payment cannot be given back",
    "It is a refund itself, or its amount, currency or invoice is written in a way that does not \
     read.",
);
const REFUND_EXCEEDS_PAYMENT: Problem = (
    "refund-exceeds-payment",
    "More would go back than came in",
    "A refund may not exceed what is left of its payment after earlier refunds, nor what came in \
     for the invoice in all. The detail names what is left.",
);

/// Every problem of this domain, for the pages at `/problems/<slug>`.
pub const PROBLEMS: &[Problem] = &[
    INVOICE_UNKNOWN,
    INVOICE_VOIDED,
    BALANCE_UNKNOWN,
    CURRENCY_MISMATCH,
    AMOUNT_EXCEEDS_BALANCE,
    PAYMENT_EXISTS,
    PAYMENT_UNKNOWN,
    PAYMENT_NOT_REFUNDABLE,
    REFUND_EXCEEDS_PAYMENT,
    FIELD_RULES,
];

impl BillingRejection {
    const fn problem(&self) -> Problem {
        match self {
            Self::InvoiceUnknown { .. } => INVOICE_UNKNOWN,
            Self::InvoiceVoided { .. } => INVOICE_VOIDED,
            Self::BalanceUnknown { .. } | Self::PaymentUnreadable { .. } => BALANCE_UNKNOWN,
            Self::CurrencyMismatch { .. } => CURRENCY_MISMATCH,
            Self::AmountExceedsBalance { .. } => AMOUNT_EXCEEDS_BALANCE,
            Self::PaymentExists { .. } => PAYMENT_EXISTS,
            Self::PaymentUnknown { .. } => PAYMENT_UNKNOWN,
            Self::NotRefundable { .. } => PAYMENT_NOT_REFUNDABLE,
            Self::RefundExceedsPayment { .. } => REFUND_EXCEEDS_PAYMENT,
            Self::FieldRules { .. } => FIELD_RULES,
        }
    }
}

impl From<BillingRejection> for Rejection {
    fn from(refused: BillingRejection) -> Self {
        Self::of(refused.problem(), refused.to_string())
    }
}
