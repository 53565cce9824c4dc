//! Rules that a field obeys by itself, whatever the unit's rows say. The gateway checks them before
//! a request is sent (422), the unit once more as the last word.

use kit_event::FieldProblem;

use crate::commands::{Command, RecordPayment, RefundPayment};
use crate::money::Currency;

/// The greatest amount that may be asked for, in minor units. Ten trillion of a currency with two
/// decimals is more than any invoice, and every JSON reader holds it exactly (below 2^53).
pub const AMOUNT_MINOR_MAX: i64 = 1_000_000_000_000_000;
/// A method is a short code.
pub const METHOD_CHARS_MAX: usize = 32;
/// A reference is a receipt's number or a line of text; SEPA's remittance information has 140.
pub const REFERENCE_CHARS_MAX: usize = 140;

/// The methods that the network itself knows. A unit may have others, so any short code is let
/// through.
pub const METHODS: &[&str] = &["cash", "card", "transfer"];

impl Command {
    /// Checks every field by itself.
    ///
    /// # Errors
    /// Every field that breaks its rule.
    pub fn validate(&self) -> Result<(), Vec<FieldProblem>> {
        match self {
            Self::Record(command) => command.validate(),
            Self::Refund(command) => command.validate(),
        }
    }
}

impl RecordPayment {
    /// Checks every field by itself.
    ///
    /// # Errors
    /// Every field that breaks its rule.
    pub fn validate(&self) -> Result<(), Vec<FieldProblem>> {
        FieldProblem::check([
            ("amount_minor", amount(self.amount_minor)),
            ("currency", self.currency.parse::<Currency>().err().map(|_| CURRENCY.to_owned())),
            ("method", self.method.as_deref().and_then(code)),
            ("reference", self.reference.as_deref().and_then(line)),
        ])
    }
}

impl RefundPayment {
    /// Checks every field by itself.
    ///
    /// # Errors
    /// Every field that breaks its rule.
    pub fn validate(&self) -> Result<(), Vec<FieldProblem>> {
        FieldProblem::check([
            ("amount_minor", self.amount_minor.and_then(amount)),
            ("reference", self.reference.as_deref().and_then(line)),
        ])
    }
}

const CURRENCY: &str = "is an ISO 4217 code of three letters, as EUR";

fn amount(minor: i64) -> Option<String> {
    let fits = (1..=AMOUNT_MINOR_MAX).contains(&minor);
    (!fits).then(|| format!("is a whole number of minor units from 1 to {AMOUNT_MINOR_MAX}"))
}

fn code(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let fits = (1..=METHOD_CHARS_MAX).contains(&text.len()) && text.bytes().all(plain);
    (!fits).then(|| format!("is a short lower-case code, as {}", METHODS.join(", ")))
}

fn line(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        Some("must not be blank".to_owned())
    } else if text.chars().count() > REFERENCE_CHARS_MAX {
        Some(format!("has at most {REFERENCE_CHARS_MAX} characters"))
    } else if text.chars().any(char::is_control) {
        Some("must not hold control characters".to_owned())
    } else {
        None
    }
}
