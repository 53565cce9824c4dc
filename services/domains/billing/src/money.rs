//! Money: whole minor units of one currency. Nothing here divides, rounds or exchanges.

use std::fmt;
use std::str::FromStr;

/// A currency by its ISO 4217 code: three letters, told apart without case, as people type them.
/// Whether such a currency exists is not asked: codes come and go, and nothing is exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

/// A text that is no currency code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a currency is a code of three letters, as EUR")]
pub struct CurrencyError;

impl Currency {
    /// The currency that a row's text names, where it names one.
    #[must_use]
    pub fn of(text: Option<&str>) -> Option<Self> {
        text?.parse().ok()
    }
}

impl FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        let code: [u8; 3] = text.trim().as_bytes().try_into().map_err(|_| CurrencyError)?;
        if code.iter().all(u8::is_ascii_alphabetic) {
            Ok(Self(code.map(|letter| letter.to_ascii_uppercase())))
        } else {
            Err(CurrencyError)
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| write!(f, "{}", char::from(*letter)))
    }
}
