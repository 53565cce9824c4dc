//! What was paid, what is still owed, and what could not be counted.
//!
//! The rule stands here once, for the unit that decides and for the read model that shows: a
//! payment counts where its amount reads and its currency is the invoice's. Whatever does not count
//! is told beside the balance, so that nobody takes a sum for the whole truth. Sums are of 128
//! bits: no number of 64-bit amounts that a database could hold overflows them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::invoice::{Invoice, Status};
use crate::money::Currency;
use crate::payment::Payment;

/// Payments of one invoice, added up by currency.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    sums: BTreeMap<Currency, Sum>,
    without_amount: u64,
    without_currency: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sum {
    count: u64,
    minor: i128,
}

impl Tally {
    /// The payments added up.
    pub fn of<'a>(payments: impl IntoIterator<Item = &'a Payment>) -> Self {
        let mut tally = Self::default();
        for payment in payments {
            let currency = Currency::of(payment.currency.as_deref());
            tally.add(currency, 1, payment.amount_minor.map(i128::from));
        }
        tally
    }

    /// Adds `count` payments of one currency and their sum; no sum where their amounts do not read.
    pub fn add(&mut self, currency: Option<Currency>, count: u64, minor: Option<i128>) {
        match (minor, currency) {
            (None, _) => self.without_amount = self.without_amount.saturating_add(count),
            (Some(_), None) => self.without_currency = self.without_currency.saturating_add(count),
            (Some(minor), Some(currency)) => {
                let sum = self.sums.entry(currency).or_default();
                sum.count = sum.count.saturating_add(count);
                sum.minor = sum.minor.saturating_add(minor);
            }
        }
    }

    /// What came in, less what went back, in `currency`.
    #[must_use]
    pub fn paid(&self, currency: Currency) -> i128 {
        self.sums.get(&currency).map_or(0, |sum| sum.minor)
    }

    /// Whether an amount or a currency does not read, so that nobody can say what came in.
    #[must_use]
    pub const fn is_uncertain(&self) -> bool {
        self.without_amount > 0 || self.without_currency > 0
    }

    /// What does not count for an invoice in `currency`.
    fn uncounted(&self, currency: Option<Currency>) -> Vec<Uncounted> {
        let of = |reason: &str, count| Uncounted {
            reason: reason.to_owned(),
            count,
            currency: None,
            sum_minor: None,
        };
        let others = self.sums.iter().filter(|(held, _)| Some(**held) != currency);
        let mut all: Vec<Uncounted> = others
            .map(|(held, sum)| Uncounted {
                currency: Some(held.to_string()),
                sum_minor: i64::try_from(sum.minor).ok(),
                ..of(OTHER_CURRENCY, sum.count)
            })
            .collect();
        if self.without_currency > 0 {
            all.push(of(CURRENCY_UNREADABLE, self.without_currency));
        }
        if self.without_amount > 0 {
            all.push(of(AMOUNT_UNREADABLE, self.without_amount));
        }
        all
    }
}

const OTHER_CURRENCY: &str = "other-currency";
const CURRENCY_UNREADABLE: &str = "currency-unreadable";
const AMOUNT_UNREADABLE: &str = "amount-unreadable";

/// Why nobody can say what is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Missing {
    /// The invoice's currency is no code.
    Currency,
    /// Its total is no whole number.
    Total,
    /// Its status is a word that we do not know.
    Status,
}

impl Missing {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Currency => "currency",
            Self::Total => "total",
            Self::Status => "status",
        }
    }
}

/// An invoice that adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owed {
    /// The currency of everything here.
    pub currency: Currency,
    /// What came in, less what went back.
    pub paid: i128,
    /// What is still owed; below zero where more came in than is asked for.
    pub balance: i128,
}

impl Owed {
    /// What is owed of `invoice`.
    ///
    /// # Errors
    /// Why nobody can say.
    pub fn of(invoice: &Invoice, tally: &Tally) -> Result<Self, Missing> {
        let currency = Currency::of(invoice.currency.as_deref()).ok_or(Missing::Currency)?;
        let due = match invoice.status() {
            Status::Issued => i128::from(invoice.total_minor.ok_or(Missing::Total)?),
            Status::Voided => 0,
            Status::Unknown => return Err(Missing::Status),
        };
        let paid = tally.paid(currency);
        Ok(Self { currency, paid, balance: due.saturating_sub(paid) })
    }
}

/// Payments that the balance leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Uncounted {
    /// `other-currency`, `currency-unreadable` or `amount-unreadable`.
    pub reason: String,
    /// How many payments.
    pub count: u64,
    /// Their currency, where it is another than the invoice's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Their sum in minor units of that currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum_minor: Option<i64>,
}

/// What is owed, as it is shown beside an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Balance {
    /// What came in less what went back, in minor units of the invoice's currency; absent where
    /// that currency does not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_minor: Option<i64>,
    /// What is still owed, below zero where too much came in. A voided invoice owes nothing, so
    /// that what was paid for it stands here below zero. Absent where nobody can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_minor: Option<i64>,
    /// Why there is no balance: `currency`, `total` or `status` of the invoice does not read, or
    /// the sums are beyond 64 bits (`range`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_missing: Option<String>,
    /// Payments for the invoice that paid and balance leave out; absent where there are none. While
    /// an amount or a currency of one does not read, more may have been paid than is counted, and
    /// requests to pay are refused as `balance-unknown`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(inline)]
    pub not_counted: Vec<Uncounted>,
}

impl Balance {
    /// What is owed of `invoice`, whose payments are `tally`.
    pub fn of(invoice: &Invoice, tally: &Tally) -> Self {
        let currency = Currency::of(invoice.currency.as_deref());
        let paid_minor = currency.and_then(|currency| i64::try_from(tally.paid(currency)).ok());
        let not_counted = tally.uncounted(currency);
        let (balance_minor, missing) = match Owed::of(invoice, tally) {
            Ok(owed) => match i64::try_from(owed.balance) {
                Ok(balance) => (Some(balance), None),
                Err(_) => (None, Some("range")),
            },
            Err(missing) => (None, Some(missing.as_str())),
        };
        let balance_missing = missing.map(str::to_owned);
        Self { paid_minor, balance_minor, balance_missing, not_counted }
    }
}

/// An invoice as REST shows it: its state, what is owed, and its payments.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Statement {
    /// The invoice.
    #[serde(flatten)]
    #[schema(inline)]
    pub invoice: Invoice,
    /// What is owed.
    #[serde(flatten)]
    #[schema(inline)]
    pub balance: Balance,
    /// Its payments and refunds, the oldest first; only where one invoice is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(inline)]
    pub payments: Option<Vec<Payment>>,
    /// Whether there are more payments than are shown; paid and balance count all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payments_more: Option<bool>,
}
