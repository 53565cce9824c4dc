//! Text and times as a clinic's software takes them in: short, printable, in one form.

use chrono::NaiveTime;
use kit_event::{Date, Timestamp};

/// The longest text of a column. Names and reasons are far shorter; what is longer is no name.
const TEXT_CHARS_MAX: usize = 200;

/// What a person might have typed: no control characters, no blanks at the ends, not endless;
/// nothing where nothing is left.
pub(super) fn clean(text: &str) -> Option<String> {
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let short: String = printable.take(TEXT_CHARS_MAX).collect();
    let trimmed = short.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

/// [`clean`] of text that may be missing.
pub(super) fn cleaned(text: Option<&str>) -> Option<String> {
    text.and_then(clean)
}

/// A FHIR dateTime with a zone, or the first moment (UTC) of one that is a date.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let of_date = || {
        let date: Date = text.parse().ok()?;
        Some(Timestamp::from(date.to_naive().and_time(NaiveTime::MIN).and_utc()))
    };
    text.parse().ok().or_else(of_date)
}

/// The first of these that is a moment.
pub(super) fn first_instant(texts: &[Option<&str>]) -> Option<Timestamp> {
    texts.iter().flatten().find_map(|text| instant(text))
}

/// The name of a file or a kind of resource, fit to be printed: no escape sequence of somebody's
/// making, and no longer than a line.
pub(super) fn printable(name: &str) -> String {
    const NAME_CHARS_MAX: usize = 120;
    name.chars().take(NAME_CHARS_MAX).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_made_short_and_printable() {
        assert_eq!(clean(" Núñez\u{0}\n").as_deref(), Some("Núñez"));
        assert_eq!(clean("\u{1b}\t "), None);
        assert_eq!(clean(&"é".repeat(100_000)).unwrap().chars().count(), TEXT_CHARS_MAX);
        assert_eq!(printable("a\u{1b}[2Jb"), "a?[2Jb");
    }

    #[test]
    fn moments_are_read_whatever_their_offset() {
        let at = |text| instant(text).map(|at| at.to_string());
        assert_eq!(at("2012-01-18T08:40:05+01:00").as_deref(), Some("2012-01-18T07:40:05Z"));
        assert_eq!(at("2012-01-18").as_deref(), Some("2012-01-18T00:00:00Z"));
        assert!(
            ["2012", "2012-13-01", "2012-1-1", "yesterday", "", "-9999-01-01"]
                .iter()
                .all(|t| at(t).is_none())
        );
    }
}
