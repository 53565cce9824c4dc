//! `traceparent` of W3C Trace Context: whose part a step is.
//!
//! The text comes from callers and agents, so it is read strictly and written anew: nothing of
//! what a stranger sent is carried on but two ids and one flag.

use std::fmt;

/// Longest text that is looked at; version 00 has 55 characters, later ones may add to it.
const CHARS_MAX: usize = 256;
/// Characters of version 00.
const CHARS: usize = 55;
/// Where the four parts stand.
const TRACE: std::ops::Range<usize> = 3..35;
const SPAN: std::ops::Range<usize> = 36..52;
const FLAGS: std::ops::Range<usize> = 53..55;
/// The only flag that we know: somebody up the line records this trace.
const SAMPLED: u8 = 1;

/// Which trace, and which step of it is the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traceparent {
    pub(crate) trace: u128,
    pub(crate) span: u64,
    pub(crate) sampled: bool,
}

impl Traceparent {
    /// Reads the text. One that does not read counts as none, as the recommendation wants it: a
    /// trace begins anew, and nobody is refused for it.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let version = bytes.get(..2)?;
        if bytes.len() > CHARS_MAX || version == b"ff" || !version.iter().copied().all(is_lower_hex)
        {
            return None;
        }
        let is_whole = match bytes.get(CHARS) {
            None => bytes.len() == CHARS,
            Some(next) => *next == b'-' && version != b"00",
        };
        let dashed = [2, 35, 52].into_iter().all(|at| bytes.get(at) == Some(&b'-'));
        if !is_whole || !dashed {
            return None;
        }
        let part = |range| text.get(range).filter(|part: &&str| part.bytes().all(is_lower_hex));
        let this = Self {
            trace: u128::from_str_radix(part(TRACE)?, 16).ok()?,
            span: u64::from_str_radix(part(SPAN)?, 16).ok()?,
            sampled: u8::from_str_radix(part(FLAGS)?, 16).ok()? & SAMPLED != 0,
        };
        (this.trace != 0 && this.span != 0).then_some(this)
    }
}

fn is_lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_reads_is_written_as_it_was() {
        assert_eq!(Traceparent::parse(GOOD).unwrap().to_string(), GOOD);
        let quiet = GOOD.replace("-01", "-00");
        assert!(!Traceparent::parse(&quiet).unwrap().sampled);
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = format!("cc{}-what-the-future-brings", &GOOD[2..]);
        assert_eq!(Traceparent::parse(&later).unwrap().to_string(), GOOD);
        let flags = GOOD.replace("-01", "-ff");
        assert_eq!(Traceparent::parse(&flags).unwrap().to_string(), GOOD);
    }

    #[test]
    fn what_does_not_read_counts_as_none() {
        let zeros = |n: usize| "0".repeat(n);
        let long = format!("01{}-{}", &GOOD[2..], "a".repeat(10_000_000));
        let bad = [
            "",
            "-",
            "00",
            "not a trace",
            "00-é",
            &format!("ff{}", &GOOD[2..]),
            &format!("0g{}", &GOOD[2..]),
            &GOOD.to_uppercase(),
            &GOOD[..54],
            &format!("{GOOD}-"),
            &format!("{GOOD}0"),
            &format!(" {GOOD}"),
            &format!("01{}x", &GOOD[2..]),
            &GOOD.replace("-b7", "_b7"),
            &GOOD.replace("0af7", "0+f7"),
            &format!("00-{}-b7ad6b7169203331-01", zeros(32)),
            &format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", zeros(16)),
            // As many bytes as there should be, and a letter across the end of a part.
            &format!("00-{}é-b7ad6b7169203331-01", "a".repeat(30)),
            &format!("00-{}é-b7ad6b716920333-01", "a".repeat(31)),
            &long,
        ];
        for text in bad {
            let shown: String = text.chars().take(80).collect();
            assert_eq!(Traceparent::parse(text), None, "{shown}");
        }
    }
}
