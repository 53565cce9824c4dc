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
pub fn exponent(currency: &str) -> Option<u32> {
    let odd = EXPONENTS.iter().find(|(code, _)| *code == currency);
    match odd {
        Some((_, exponent)) => Some(*exponent),
        None => HUNDREDTHS.split(' ').any(|code| code == currency).then_some(2),
    }
}

/// The minor units that a text tells; none where it is no number, or has more decimals than the
/// currency: rounding money is nobody's here.
pub fn minor_units(text: &str, point: char, exponent: u32) -> Option<i64> {
    let text = text.trim();
    if text.len() > AMOUNT_CHARS_MAX || (point != '.' && text.contains('.')) {
        return None;
    }
    let plain = text.strip_prefix('+').unwrap_or(text);
    let plain = plain.replace(point, ".");
    let is_usual = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
    if plain.is_empty() || !plain.chars().all(is_usual) {
        return None;
    }
    let amount: Decimal = plain.parse().ok()?;
    let minor = amount.normalize().checked_mul(Decimal::from(10_i64.pow(exponent)))?.normalize();
    (minor.scale() == 0).then(|| i64::try_from(minor).ok())?
}

/// Minor units as a text with the currency's decimals.
pub fn amount_text(minor: i64, point: char, exponent: u32) -> String {
    let amount = Decimal::from_i128_with_scale(i128::from(minor), exponent).to_string();
    if point == '.' { amount } else { amount.replace('.', &point.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(minor_units(text, point, exponent), Some(minor), "{text}");
        }
        assert_eq!(amount_text(1250, ',', 2), "12,50");
        assert_eq!(amount_text(-1, '.', 2), "-0.01");
        assert_eq!(amount_text(1200, '.', 0), "1200");
    }

    #[test]
    fn more_decimals_than_the_currency_has_are_not_rounded() {
        let long = "9".repeat(10_000);
        for text in ["12.505", "0.001", "", "12,50", "1.234,50", "1e3", "EUR 12", "--1", "NaN"] {
            assert_eq!(minor_units(text, '.', 2), None, "{text}");
        }
        assert_eq!(minor_units("1.234,50", ',', 2), None);
        assert_eq!(minor_units("92233720368547758.08", '.', 2), None);
        assert_eq!(minor_units(&long, '.', 2), None);
        assert_eq!(minor_units("12.5", '.', 0), None);
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
