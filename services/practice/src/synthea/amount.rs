//! Money out of decimals, exactly: the digits as they were written, never a floating number.
//!
//! Synthea itself computes with floating numbers, and some of its amounts show it
//! (`23278.016000000007`); others are fractions of a cent by right (80% of 652.54). What a payer
//! remits is whole cents, so such an amount is rounded half away from zero, and the report says how
//! many were.

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

/// The longest text that is an amount: more digits than any sum of money has.
const AMOUNT_CHARS_MAX: usize = 40;

/// Currencies of ISO 4217 whose minor unit is the unit itself.
const WITHOUT_MINOR: &[&str] = &[
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND",
    "VUV", "XAF", "XOF", "XPF",
];
/// Currencies of ISO 4217 with a thousand minor units.
const THOUSANDTHS: &[&str] = &["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];

/// So many minor units, and whether something finer was rounded away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Amount {
    pub minor: i64,
    pub rounded: bool,
}

/// The amount that a JSON number or a cell says, in minor units of its currency.
pub(super) fn minor(text: &str, currency: &str) -> Option<Amount> {
    let written = |b: &u8| b.is_ascii_digit() || b"+-.eE".contains(b);
    if text.is_empty() || text.len() > AMOUNT_CHARS_MAX || !text.as_bytes().iter().all(written) {
        return None;
    }
    let exact = if text.contains(['e', 'E']) {
        Decimal::from_scientific(text).ok()?
    } else {
        Decimal::from_str_exact(text).ok()?
    };
    let digits = minor_digits(currency)?;
    // Rounded before it is scaled: a product of many digits would be rounded by the library.
    let fit = exact.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero);
    let minor = fit.checked_mul(Decimal::from(10_u32.pow(digits)))?.to_i64()?;
    Some(Amount { minor, rounded: fit != exact })
}

fn minor_digits(currency: &str) -> Option<u32> {
    let code = currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase());
    match currency {
        _ if !code => None,
        one if WITHOUT_MINOR.contains(&one) => Some(0),
        one if THOUSANDTHS.contains(&one) => Some(3),
        _ => Some(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_become_minor_units_exactly() {
        let exact = |text, currency| {
            let amount = minor(text, currency).unwrap();
            assert!(!amount.rounded, "{text}");
            amount.minor
        };
        assert_eq!(exact("129.16", "USD"), 12_916);
        assert_eq!(exact("0.1", "USD") + exact("0.2", "USD"), 30);
        assert_eq!(exact("1.25E2", "USD"), 12_500);
        assert_eq!(exact("-0.05", "EUR"), -5);
        assert_eq!(exact("129", "JPY"), 129);
        assert_eq!(exact("1.234", "KWD"), 1_234);
        assert_eq!(exact("92233720368547758.07", "USD"), i64::MAX);
    }

    #[test]
    fn what_is_finer_than_a_minor_unit_is_rounded_and_said_to_be() {
        let rounded = |text| {
            let amount = minor(text, "USD").unwrap();
            assert!(amount.rounded, "{text}");
            amount.minor
        };
        assert_eq!(rounded("1.9760000000000002"), 198);
        assert_eq!(rounded("522.032"), 52_203);
        assert_eq!(rounded("0.005"), 1);
        assert_eq!(rounded("-0.005"), -1);
        assert_eq!(rounded("1.004999999999999999999999999"), 100);
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        let nines = "9".repeat(30);
        let long = "1".repeat(AMOUNT_CHARS_MAX + 1);
        let bad = ["", "x", "1,5", "1_000", "NaN", "1e9999", "--1", "\"5\"", &nines, &long];
        for text in bad {
            assert_eq!(minor(text, "USD"), None, "{text}");
        }
        assert_eq!(minor("92233720368547758.08", "USD"), None);
        assert!(["", "usd", "DOLLAR", "U$D"].iter().all(|currency| minor("1", currency).is_none()));
    }
}
