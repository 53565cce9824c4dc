//! The number of a fact within its unit.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `(install_epoch, seq)`, written `E-S`: a unit numbers its facts 1, 2, 3 ... without gaps within
/// an epoch, and a greater epoch is greater than every seq of a lower one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct UnitSeq {
    /// Counts the installations of the unit's agent, from 1; 0 stands before the first.
    pub epoch: u32,
    /// Counts facts within the epoch, from 1; 0 stands before the first.
    pub seq: u64,
}

/// How far ahead of all that was seen of a unit a number may lie: a hole of a million facts is no
/// hole but a wrong number.
pub const AHEAD_MAX: u64 = 1_000_000;
/// The same of epochs: each is a reinstallation or a restore.
pub const EPOCHS_AHEAD_MAX: u32 = 1_000;

impl UnitSeq {
    /// Before any fact.
    pub const ZERO: Self = Self { epoch: 0, seq: 0 };

    /// The seq `seq` of epoch `epoch`.
    #[must_use]
    pub const fn new(epoch: u32, seq: u64) -> Self {
        Self { epoch, seq }
    }

    /// Whether a unit whose greatest number so far is `seen` may well have come to this one. A
    /// record may name any number, and a reader that believed each would wait for facts that never
    /// were.
    #[must_use]
    pub const fn may_follow(self, seen: Self) -> bool {
        if self.epoch > seen.epoch {
            return self.epoch - seen.epoch <= EPOCHS_AHEAD_MAX && self.seq <= AHEAD_MAX;
        }
        self.epoch < seen.epoch || self.seq.saturating_sub(seen.seq) <= AHEAD_MAX
    }

    /// The number that follows within the same epoch. The last of all, which no unit comes to,
    /// follows itself.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { epoch: self.epoch, seq: self.seq.saturating_add(1) }
    }
}

/// A text that is not `E-S`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a unit seq is written E-S, as 1-42")]
pub struct SeqError;

impl FromStr for UnitSeq {
    type Err = SeqError;

    fn from_str(text: &str) -> Result<Self, SeqError> {
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        let (epoch, seq) = text.split_once('-').ok_or(SeqError)?;
        if !digits(epoch) || !digits(seq) {
            return Err(SeqError);
        }
        Ok(Self {
            epoch: epoch.parse().map_err(|_| SeqError)?,
            seq: seq.parse().map_err(|_| SeqError)?,
        })
    }
}

impl fmt::Display for UnitSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

impl TryFrom<String> for UnitSeq {
    type Error = SeqError;

    fn try_from(text: String) -> Result<Self, SeqError> {
        text.parse()
    }
}

impl From<UnitSeq> for String {
    fn from(seq: UnitSeq) -> String {
        seq.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses_as_e_s() {
        assert_eq!("3-42".parse::<UnitSeq>().unwrap(), UnitSeq::new(3, 42));
        assert_eq!(UnitSeq::new(3, 42).to_string(), "3-42");
        for bad in ["", "3", "3-", "-3", "+3-4", "3-4-5", "3-99999999999999999999"] {
            assert!(bad.parse::<UnitSeq>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_later_epoch_is_greater_than_any_seq() {
        assert!(UnitSeq::new(2, 1) > UnitSeq::new(1, u64::MAX));
    }
}
