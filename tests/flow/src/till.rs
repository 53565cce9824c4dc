//! Invoices and payments replayed from the facts, and what they leave owed.

use std::collections::BTreeMap;

use kit_event::{Fact, RequestId};
use serde_json::Value;

/// States by subject.
#[derive(Debug, Default)]
pub struct Till {
    states: BTreeMap<String, Value>,
}

impl Till {
    /// Takes up a fact about an invoice or a payment.
    pub fn tell(&mut self, subject: &str, fact: &Fact) {
        if !subject.starts_with("invoice/") && !subject.starts_with("payment/") {
            return;
        }
        if fact.type_name.ends_with("_removed") {
            self.states.remove(subject);
        } else {
            self.states.insert(subject.to_owned(), fact.body.clone());
        }
    }

    /// What is wrong with a payment that a request has just made.
    #[must_use]
    pub fn objects(&self, cause: &RequestId, payment: &Value) -> Option<String> {
        let amount = payment["amount_minor"].as_i64()?;
        if amount < 0 {
            let before = self.paid(payment, payment);
            return (before + amount < 0)
                .then(|| format!("{cause} gave back {amount} of {before} that came in"));
        }
        let owed = self.owed(payment);
        let fits = owed.is_some_and(|owed| amount <= owed);
        (!fits).then(|| format!("{cause} paid {amount} of {owed:?} that were owed"))
    }

    /// Whether a command to pay could have been granted.
    #[must_use]
    pub fn fits(&self, command: &Value) -> bool {
        let amount = command["amount_minor"].as_i64();
        self.owed(command).zip(amount).is_some_and(|(owed, amount)| amount <= owed)
    }

    /// What is owed of the invoice of a payment, without the payment.
    fn owed(&self, payment: &Value) -> Option<i64> {
        let invoice = self.states.get(&format!("invoice/{}", payment["invoice_id"].as_str()?))?;
        let is_owed = invoice["status"].as_str().is_none_or(|status| status == "issued");
        let total = invoice["total_minor"].as_i64().filter(|_| is_owed)?;
        Some(total - self.paid(payment, invoice))
    }

    /// What was paid for the invoice of `payment` without it, in the currency of `like`.
    fn paid(&self, payment: &Value, like: &Value) -> i64 {
        let currency = |state: &Value| state["currency"].as_str().map(str::to_ascii_uppercase);
        let others = self.states.values().filter(|state| {
            state["payment_id"].is_string()
                && state["payment_id"] != payment["payment_id"]
                && state["invoice_id"] == payment["invoice_id"]
                && currency(state) == currency(like)
        });
        others.filter_map(|state| state["amount_minor"].as_i64()).sum()
    }
}
