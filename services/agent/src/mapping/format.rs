//! How dates and times are written in a practice's columns: a declared `format`, read and written.
//!
//! Nothing is guessed: a text of another form travels beside the empty field. A year has four
//! digits, because two of them are a guess about a century.

use std::fmt::Write as _;

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

/// A declared form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Parts in a fixed order, as `dd.mm.yyyy HH:MM`.
    Pattern(Vec<Token>),
    /// Whole seconds since 1970.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMs,
    /// Minutes since midnight.
    Minutes,
}

/// One part of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// Four digits.
    Year,
    /// Two digits.
    Month,
    /// Two digits.
    Day,
    /// Two digits, of 24.
    Hour,
    /// Two digits.
    Minute,
    /// Two digits.
    Second,
    /// Anything that stands between.
    Literal(char),
}

/// What a column that has a format holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A day.
    Date,
    /// A time of day.
    Time,
    /// Both.
    Instant,
}

/// Longest pattern; real ones have some twenty characters.
const PATTERN_CHARS_MAX: usize = 64;

impl Token {
    const fn digits(self) -> usize {
        match self {
            Self::Year => 4,
            Self::Month | Self::Day | Self::Hour | Self::Minute | Self::Second => 2,
            Self::Literal(_) => 1,
        }
    }
}

impl Format {
    /// Reads a declared format.
    ///
    /// # Errors
    /// What it lacks, for the mapping file's author.
    pub fn parse(text: &str, holds: Holds) -> Result<Self, String> {
        match (text.to_ascii_lowercase().as_str(), holds) {
            ("unix", Holds::Instant) => return Ok(Self::UnixSeconds),
            ("unix_ms", Holds::Instant) => return Ok(Self::UnixMs),
            ("minutes", Holds::Time) => return Ok(Self::Minutes),
            ("unix" | "unix_ms", _) => return Err("unix and unix_ms are for timestamps".to_owned()),
            ("minutes", _) => return Err("minutes is for the type time".to_owned()),
            _ => {}
        }
        let tokens = tokens(text)?;
        let has = |token| tokens.iter().filter(|&&it| it == token).count();
        let once: &[Token] = match holds {
            Holds::Date => &[Token::Year, Token::Month, Token::Day],
            Holds::Time => &[Token::Hour, Token::Minute],
            Holds::Instant => &[Token::Year, Token::Month, Token::Day, Token::Hour, Token::Minute],
        };
        if let Some(token) = once.iter().find(|&&token| has(token) != 1) {
            return Err(format!("a format of this type has one {token:?}").to_lowercase());
        }
        let foreign = match holds {
            Holds::Date => has(Token::Hour) + has(Token::Minute) + has(Token::Second),
            Holds::Time => has(Token::Year) + has(Token::Month) + has(Token::Day),
            Holds::Instant => 0,
        };
        if foreign > 0 || has(Token::Second) > 1 {
            return Err("the format has parts that its type does not".to_owned());
        }
        Ok(Self::Pattern(tokens))
    }

    /// The day and the time of day that a text tells; what the format lacks is 1970 or midnight.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<NaiveDateTime> {
        let text = text.trim();
        match self {
            Self::Pattern(tokens) => read_pattern(tokens, text),
            Self::UnixSeconds => {
                let seconds = text.strip_suffix(".0").unwrap_or(text).parse().ok()?;
                Some(chrono::DateTime::from_timestamp(seconds, 0)?.naive_utc())
            }
            Self::UnixMs => {
                let ms = text.strip_suffix(".0").unwrap_or(text).parse().ok()?;
                Some(chrono::DateTime::from_timestamp_millis(ms)?.naive_utc())
            }
            Self::Minutes => {
                let minutes: u32 = text.parse().ok()?;
                let time = NaiveTime::from_hms_opt(minutes / 60, minutes % 60, 0)?;
                Some(NaiveDate::default().and_time(time))
            }
        }
    }

    /// Whether the text tells an instant by itself, whatever zone the practice is in.
    #[must_use]
    pub const fn is_absolute(&self) -> bool {
        matches!(self, Self::UnixSeconds | Self::UnixMs)
    }

    /// Whether seconds are kept.
    #[must_use]
    pub fn keeps_seconds(&self) -> bool {
        match self {
            Self::Pattern(tokens) => tokens.contains(&Token::Second),
            Self::UnixSeconds | Self::UnixMs => true,
            Self::Minutes => false,
        }
    }

    /// A day and a time of day as the format has them.
    #[must_use]
    pub fn write(&self, at: NaiveDateTime) -> String {
        match self {
            Self::Pattern(tokens) => write_pattern(tokens, at),
            Self::UnixSeconds => at.and_utc().timestamp().to_string(),
            Self::UnixMs => at.and_utc().timestamp_millis().to_string(),
            Self::Minutes => (at.hour() * 60 + at.minute()).to_string(),
        }
    }

    /// Characters of a text in this format; none where numbers vary.
    #[must_use]
    pub fn width(&self) -> Option<usize> {
        match self {
            Self::Pattern(tokens) => Some(tokens.iter().map(|token| token.digits()).sum()),
            Self::UnixSeconds | Self::UnixMs | Self::Minutes => None,
        }
    }

    /// Where year, month and day stand in a text of full width, from 1 as SQL counts.
    #[must_use]
    pub fn date_places(&self) -> Option<[usize; 3]> {
        let Self::Pattern(tokens) = self else { return None };
        let place = |wanted| {
            let at = tokens.iter().position(|&token| token == wanted)?;
            Some(1 + tokens[..at].iter().map(|token| token.digits()).sum::<usize>())
        };
        Some([place(Token::Year)?, place(Token::Month)?, place(Token::Day)?])
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tokens = match self {
            Self::Pattern(tokens) => tokens,
            Self::UnixSeconds => return f.write_str("unix"),
            Self::UnixMs => return f.write_str("unix_ms"),
            Self::Minutes => return f.write_str("minutes"),
        };
        for token in tokens {
            match token {
                Token::Year => f.write_str("yyyy")?,
                Token::Month => f.write_str("mm")?,
                Token::Day => f.write_str("dd")?,
                Token::Hour => f.write_str("HH")?,
                Token::Minute => f.write_str("MM")?,
                Token::Second => f.write_str("SS")?,
                Token::Literal(sign) => write!(f, "{sign}")?,
            }
        }
        Ok(())
    }
}

/// `mm` is the month, and behind hours the minutes; letters in either case.
fn tokens(text: &str) -> Result<Vec<Token>, String> {
    if text.chars().count() > PATTERN_CHARS_MAX {
        return Err(format!("a format has at most {PATTERN_CHARS_MAX} characters"));
    }
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let letter = chars[at].to_ascii_lowercase();
        let run = chars[at..].iter().take_while(|it| it.to_ascii_lowercase() == letter).count();
        let after_hour = tokens.contains(&Token::Hour) && !tokens.contains(&Token::Minute);
        let token = match (letter, run) {
            ('y', 4) => Token::Year,
            ('m', 2) if after_hour => Token::Minute,
            ('m', 2) => Token::Month,
            ('d', 2) => Token::Day,
            ('h', 2) => Token::Hour,
            ('s', 2) => Token::Second,
            ('y', 2) => return Err("a year has four digits, yyyy".to_owned()),
            ('t', 1) => Token::Literal('T'),
            (other, _) if other.is_alphanumeric() => {
                return Err(
                    "a format is made of yyyy, mm, dd, HH, MM, SS and signs between them, \
                            or is unix, unix_ms or minutes"
                        .to_owned(),
                );
            }
            _ => Token::Literal(chars[at]),
        };
        at += if matches!(token, Token::Literal(_)) { 1 } else { run };
        tokens.push(token);
    }
    Ok(tokens)
}

fn read_pattern(tokens: &[Token], text: &str) -> Option<NaiveDateTime> {
    let (mut year, mut month, mut day) = (1970, 1, 1);
    let (mut hour, mut minute, mut second) = (0, 0, 0);
    let mut rest = text;
    for (n, &token) in tokens.iter().enumerate() {
        if let Token::Literal(sign) = token {
            // Seconds may be left out, with the sign before them: that loses nothing.
            if rest.is_empty() && tokens[n + 1..] == [Token::Second] {
                break;
            }
            rest = rest.strip_prefix(sign)?;
            continue;
        }
        let next = tokens.get(n + 1);
        let is_free = next.is_none_or(|next| matches!(next, Token::Literal(_)));
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count().min(token.digits());
        let fits = digits == token.digits() || (token != Token::Year && is_free && digits > 0);
        if !fits {
            return None;
        }
        let number: u32 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        match token {
            Token::Year => year = i32::try_from(number).ok()?,
            Token::Month => month = number,
            Token::Day => day = number,
            Token::Hour => hour = number,
            Token::Minute => minute = number,
            Token::Second => second = number,
            Token::Literal(_) => {}
        }
    }
    if !rest.is_empty() || year < 1 {
        return None;
    }
    NaiveDate::from_ymd_opt(year, month, day)?.and_hms_opt(hour, minute, second)
}

fn write_pattern(tokens: &[Token], at: NaiveDateTime) -> String {
    let mut text = String::new();
    for token in tokens {
        // Writing to a String does not fail.
        let _ = match token {
            Token::Year => write!(text, "{:04}", at.year()),
            Token::Month => write!(text, "{:02}", at.month()),
            Token::Day => write!(text, "{:02}", at.day()),
            Token::Hour => write!(text, "{:02}", at.hour()),
            Token::Minute => write!(text, "{:02}", at.minute()),
            Token::Second => write!(text, "{:02}", at.second()),
            Token::Literal(sign) => write!(text, "{sign}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(format: &str, text: &str) -> Option<String> {
        let format = Format::parse(format, Holds::Instant).unwrap();
        format.read(text).map(|at| at.format("%Y-%m-%dT%H:%M:%S").to_string())
    }

    #[test]
    fn usual_formats_read_and_write() {
        for (format, text, read) in [
            ("dd.mm.yyyy HH:MM", "31.12.2026 09:05", "2026-12-31T09:05:00"),
            ("YYYY-MM-DD HH:MM:SS", "2026-12-31 09:05:07", "2026-12-31T09:05:07"),
            ("YYYYMMDDHHMM", "202612310905", "2026-12-31T09:05:00"),
            ("mm/dd/yyyy hh:mm", "12/31/2026 09:05", "2026-12-31T09:05:00"),
            ("yyyy-mm-ddTHH:MM", "2026-12-31T09:05", "2026-12-31T09:05:00"),
            ("unix", "1798707900", "2026-12-31T09:05:00"),
            ("unix_ms", "1798707900000", "2026-12-31T09:05:00"),
        ] {
            assert_eq!(instant(format, text).as_deref(), Some(read), "{format}");
            let parsed = Format::parse(format, Holds::Instant).unwrap();
            assert_eq!(parsed.write(parsed.read(text).unwrap()), text, "{format}");
        }
        let date = Format::parse("dd.mm.yyyy", Holds::Date).unwrap();
        assert_eq!(date.read(" 1.3.1980 ").unwrap().date().to_string(), "1980-03-01");
        let minutes = Format::parse("minutes", Holds::Time).unwrap();
        assert_eq!(minutes.write(minutes.read("485").unwrap()), "485");
    }

    #[test]
    fn what_is_written_otherwise_is_not_guessed_at() {
        let date = Format::parse("dd.mm.yyyy", Holds::Date).unwrap();
        for text in ["1.3.80", "31.02.2026", "2026-03-01", "1.3.2026 x", "", "٣.3.2026", "1.3."] {
            assert_eq!(date.read(text), None, "{text}");
        }
        assert_eq!(instant("YYYY-MM-DD HH:MM:SS", "2026-12-31 24:00:00"), None);
        assert_eq!(instant("unix", "soon"), None);
        assert_eq!(instant("unix", "99999999999999999999"), None);
        // Only the seconds may be left out.
        assert!(instant("YYYY-MM-DD HH:MM:SS", "2026-12-31 09:05").is_some());
        assert_eq!(instant("YYYY-MM-DD HH:MM:SS", "2026-12-31"), None);
    }

    #[test]
    fn a_format_that_cannot_be_meant_is_refused() {
        for (format, holds) in [
            ("", Holds::Date),
            ("dd.mm.yy", Holds::Date),
            ("dd.mm", Holds::Date),
            ("dd.mm.yyyy", Holds::Instant),
            ("dd.mm.yyyy HH:MM", Holds::Date),
            ("dd.dd.mm.yyyy", Holds::Date),
            ("HH", Holds::Time),
            ("%Y-%m-%d", Holds::Date),
            ("unix", Holds::Date),
            ("minutes", Holds::Instant),
        ] {
            assert!(Format::parse(format, holds).is_err(), "{format:?}");
        }
        assert!(Format::parse(&"-".repeat(10_000), Holds::Date).is_err());
    }

    #[test]
    fn places_of_a_date_are_told_for_sql() {
        let format = Format::parse("dd.mm.yyyy HH:MM", Holds::Instant).unwrap();
        assert_eq!((format.date_places(), format.width()), (Some([7, 4, 1]), Some(16)));
    }
}
