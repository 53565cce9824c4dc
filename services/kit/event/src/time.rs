//! Instants and dates as they stand on the wire.
//!
//! An instant is RFC 3339 UTC text of at most millisecond precision, the precision of Avro's
//! `timestamp-millis`; whole seconds print without a fraction, so that what a clinic wrote reads
//! back as it was written. A date is `YYYY-MM-DD`. Text of another form is not guessed at: it
//! travels beside the empty field, under `<name>_raw`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

/// An instant in UTC, in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// A text that is not an RFC 3339 instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is RFC 3339, as 2026-03-01T09:30:00Z")]
pub struct TimestampError;

/// A text that is not a calendar date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a date is YYYY-MM-DD")]
pub struct DateError;

/// Milliseconds of 0001-01-01 and 9999-12-31: RFC 3339 has four digits for a year.
const YEAR_1_MS: i64 = -62_135_596_800_000;
const YEAR_9999_END_MS: i64 = 253_402_300_799_999;

impl Timestamp {
    /// The instant `unix_ms` milliseconds after 1970-01-01T00:00:00Z, held within years 1 to 9999.
    #[must_use]
    pub fn from_unix_ms(unix_ms: i64) -> Self {
        Self(unix_ms.clamp(YEAR_1_MS, YEAR_9999_END_MS))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    /// The instant `ms` later (earlier where negative).
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self::from_unix_ms(self.0.saturating_add(ms))
    }

    /// The same instant as chrono sees it.
    #[must_use]
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(self.0)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(at: DateTime<Utc>) -> Self {
        Self::from_unix_ms(at.timestamp_millis())
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let at = DateTime::parse_from_rfc3339(text).map_err(|_| TimestampError)?;
        let ms = at.timestamp_millis();
        if !(YEAR_1_MS..=YEAR_9999_END_MS).contains(&ms) {
            return Err(TimestampError);
        }
        Ok(Self(ms))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.to_utc();
        let form = if at.nanosecond() == 0 { SecondsFormat::Secs } else { SecondsFormat::Millis };
        f.write_str(&at.to_rfc3339_opts(form, true))
    }
}

/// A calendar date without a zone, of years 1 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date(NaiveDate);

impl Date {
    /// The date as chrono sees it.
    #[must_use]
    pub const fn to_naive(self) -> NaiveDate {
        self.0
    }

    /// Days since 1970-01-01, as Avro's `date` counts them.
    #[must_use]
    pub fn unix_days(self) -> i32 {
        let days = (self.0 - NaiveDate::default()).num_days();
        i32::try_from(days).expect("chrono's dates span fewer days")
    }

    /// The date `days` after 1970-01-01, where it lies in years 1 to 9999.
    #[must_use]
    pub fn from_unix_days(days: i32) -> Option<Self> {
        let date = NaiveDate::default().checked_add_signed(TimeDelta::days(days.into()))?;
        Self::from_naive(date)
    }

    /// The date, where its year has four digits.
    #[must_use]
    pub fn from_naive(date: NaiveDate) -> Option<Self> {
        (1..=9999).contains(&date.year()).then_some(Self(date))
    }
}

impl FromStr for Date {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        // chrono takes "2026-3-1" too; only the ten characters of ISO 8601 are a date here.
        if text.len() != 10 {
            return Err(DateError);
        }
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| DateError)?;
        Self::from_naive(date).ok_or(DateError)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%d"))
    }
}

macro_rules! wire_text {
    ($name:ident, $format:ident, $example:literal, $doc:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        impl utoipa::PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(SchemaType::Type(Type::String))
                    .format(Some(SchemaFormat::KnownFormat(KnownFormat::$format)))
                    .description(Some($doc))
                    .examples([$example])
                    .into()
            }
        }
        // Without a name in the components: the schema stands inline wherever it is used.
        impl utoipa::ToSchema for $name {}
    };
}
wire_text!(Timestamp, DateTime, "2026-03-01T09:30:00Z", "RFC 3339 instant in UTC");
wire_text!(Date, Date, "1980-12-31", "Calendar date");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_print_without_a_fraction() {
        for same in ["2026-03-01T09:30:00Z", "2026-03-01T09:30:00.250Z", "0001-01-01T00:00:00Z"] {
            assert_eq!(same.parse::<Timestamp>().unwrap().to_string(), same);
        }
        let shifted: Timestamp = "2026-03-01T10:30:00+01:00".parse().unwrap();
        assert_eq!(shifted.to_string(), "2026-03-01T09:30:00Z");
    }

    #[test]
    fn times_as_people_type_them_are_refused_not_guessed() {
        for bad in ["", "2026-03-01", "2026-03-01 9:30", "01/03/2026 09:30", "tomorrow"] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
        for bad in ["", "2026-3-1", "31/12/1980", "1980-02-30", "80-12-31", "0000-01-01"] {
            assert!(bad.parse::<Date>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_date_counts_days_as_avro_does() {
        let date: Date = "1970-01-02".parse().unwrap();
        assert_eq!(date.unix_days(), 1);
        assert_eq!(Date::from_unix_days(-1).unwrap().to_string(), "1969-12-31");
    }
}
