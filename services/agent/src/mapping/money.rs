//! Amounts of money: from the decimals of a practice's column to minor units of a currency, exactly
//! or not at all.

use rust_decimal::Decimal;

/// Currencies whose minor unit is not a hundredth (ISO 4217, exponents).
const EXPONENTS: &[(&str, u32)] = &[
    ("BIF", 0),
    ("CLP", 0),
    ("DJF", 0),
    ("GNF", 0),
    ("ISK", 0),
    ("JPY", 0),
    ("KMF", 0),
    ("KRW", 0),
    ("PYG", 0),
    ("RWF", 0),
    ("UGX", 0),
    ("VND", 0),
    ("VUV", 0),
    ("XAF", 0),
    ("XOF", 0),
    ("XPF", 0),
    ("BHD", 3),
    ("IQD", 3),
    ("JOD", 3),
    ("KWD", 3),
    ("LYD", 3),
    ("OMR", 3),
    ("TND", 3),
];

/// Currencies of two decimals (ISO 4217).
const HUNDREDTHS: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL \
                          BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP \
                          ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS \
                          INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD \
                          MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN \
                          PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD \
                          SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES \
                          WST XCD YER ZAR ZMW";

/// Longest amount that anybody types.
const AMOUNT_CHARS_MAX: usize = 40;

/// Decimals of a currency; none where the code is no currency in use.
#[must_use]
pub fn exponent(currency: &str) -> Option<u32> {
    let odd = EXPONENTS.iter().find(|(code, _)| *code == currency);
    match odd {
        Some((_, exponent)) => Some(*exponent),
        None => HUNDREDTHS.split(' ').any(|code| code == currency).then_some(2),
    }
}

/// Blanks that people and programs put between thousands, besides the usual one.
const BLANKS: [char; 3] = [' ', '\u{a0}', '\u{202f}'];

/// The signs within an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signs {
    /// Before the decimals.
    pub point: char,
    /// Between thousands, where there may be one.
    pub thousands: Option<char>,
}

/// The minor units that a text tells; none where it is no number, or has more decimals than the
/// currency: rounding money is nobody's here.
#[must_use]
pub fn minor_units(text: &str, signs: Signs, exponent: u32) -> Option<i64> {
    let text = text.trim();
    if text.len() > AMOUNT_CHARS_MAX {
        return None;
    }
    let plain = text.strip_prefix('+').unwrap_or(text);
    let (whole, decimals) = match plain.split_once(signs.point) {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (plain, None),
    };
    let mut number = ungrouped(whole, signs.thousands)?;
    if let Some(decimals) = decimals {
        number.push('.');
        number.push_str(decimals);
    }
    let is_usual = |(at, c): (usize, char)| c.is_ascii_digit() || c == '-' && at == 0;
    let only_point = number.replacen('.', "", usize::from(decimals.is_some()));
    if number.is_empty() || !only_point.char_indices().all(is_usual) {
        return None;
    }
    let amount: Decimal = number.parse().ok()?;
    let minor = amount.normalize().checked_mul(Decimal::from(10_i64.pow(exponent)))?.normalize();
    (minor.scale() == 0).then(|| i64::try_from(minor).ok())?
}

/// The whole part without the signs between its thousands; none where they stand anywhere else, as
/// then somebody meant something else.
fn ungrouped(whole: &str, thousands: Option<char>) -> Option<String> {
    let is_sign = |c: char| match thousands {
        Some(' ') => BLANKS.contains(&c),
        sign => sign == Some(c),
    };
    let mut groups = whole.split(is_sign);
    let first = groups.next()?;
    let mut plain = first.to_owned();
    let mut is_grouped = false;
    for group in groups {
        if group.len() != 3 {
            return None;
        }
        is_grouped = true;
        plain.push_str(group);
    }
    let digits = first.trim_start_matches('-').len();
    (!is_grouped || (1..=3).contains(&digits)).then_some(plain)
}

/// Minor units as a text with the currency's decimals.
#[must_use]
pub fn amount_text(minor: i64, signs: Signs, exponent: u32) -> String {
    let amount = Decimal::from_i128_with_scale(i128::from(minor), exponent).to_string();
    let (whole, decimals) = match amount.split_once('.') {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (amount.as_str(), None),
    };
    let mut text = String::new();
    for (at, c) in whole.char_indices() {
        let is_between = at > 0 && (whole.len() - at) % 3 == 0 && !text.ends_with('-');
        text.extend(signs.thousands.filter(|_| is_between));
        text.push(c);
    }
    if let Some(decimals) = decimals {
        text.push(signs.point);
        text.push_str(decimals);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn bare(point: char) -> Signs {
        Signs { point, thousands: None }
    }

    #[test]
    fn decimals_become_minor_units_exactly() {
        for (text, point, exponent, minor) in [
            ("12.5", '.', 2, 1250),
            ("12,50", ',', 2, 1250),
            ("-0.01", '.', 2, -1),
            ("12", '.', 2, 1200),
            ("12.500", '.', 2, 1250),
            ("1200", '.', 0, 1200),
            ("1.234", '.', 3, 1234),
            ("0.1", '.', 2, 10),
            ("92233720368547758.07", '.', 2, i64::MAX),
        ] {
            assert_eq!(minor_units(text, bare(point), exponent), Some(minor), "{text}");
        }
        assert_eq!(amount_text(1250, bare(','), 2), "12,50");
        assert_eq!(amount_text(-1, bare('.'), 2), "-0.01");
        assert_eq!(amount_text(1200, bare('.'), 0), "1200");
    }

    #[test]
    fn signs_between_thousands_stand_where_thousands_end_or_say_nothing() {
        let dotted = Signs { point: ',', thousands: Some('.') };
        for (text, minor) in [
            ("1.234,56", 123_456),
            ("12.345.678,90", 1_234_567_890),
            ("-1.234,50", -123_450),
            ("1234,56", 123_456),
            ("999", 99_900),
            ("1.234", 123_400),
        ] {
            assert_eq!(minor_units(text, dotted, 2), Some(minor), "{text}");
        }
        for text in [
            "1.23,45",
            "12.34",
            "1234.567,00",
            ".123,00",
            "1..234",
            "1.234,5.6",
            "-.123",
            "1,234.5",
        ] {
            assert_eq!(minor_units(text, dotted, 2), None, "{text}");
        }
        let spaced = Signs { point: ',', thousands: Some(' ') };
        assert_eq!(minor_units("1\u{202f}234\u{a0}567,8", spaced, 2), Some(123_456_780));
        for (minor, text) in [
            (123_456, "1.234,56"),
            (-123_456_789, "-1.234.567,89"),
            (-12_345, "-123,45"),
            (0, "0,00"),
        ] {
            assert_eq!(amount_text(minor, dotted, 2), text);
            assert_eq!(minor_units(text, dotted, 2), Some(minor));
        }
        assert_eq!(
            amount_text(1_234_567, Signs { point: '.', thousands: Some(',') }, 0),
            "1,234,567"
        );
    }

    #[test]
    fn more_decimals_than_the_currency_has_are_not_rounded() {
        let long = "9".repeat(10_000);
        for text in [
            "12.505", "0.001", "", "12,50", "1.234,50", "1e3", "EUR 12", "--1", "NaN", "1-2",
            "1.2.3", "-", ".",
        ] {
            assert_eq!(minor_units(text, bare('.'), 2), None, "{text}");
        }
        assert_eq!(minor_units("1.234,50", bare(','), 2), None);
        assert_eq!(minor_units("92233720368547758.08", bare('.'), 2), None);
        assert_eq!(minor_units(&long, bare('.'), 2), None);
        assert_eq!(minor_units("12.5", bare('.'), 0), None);
    }

    #[test]
    fn currencies_are_those_in_use() {
        assert_eq!(
            [exponent("EUR"), exponent("JPY"), exponent("KWD")],
            [Some(2), Some(0), Some(3)]
        );
        assert_eq!([exponent("DEM"), exponent("eur"), exponent("")], [None, None, None]);
    }
}
