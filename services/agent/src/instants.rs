//! Instants in SQL, read as the mapping reads them.
//!
//! Programs write one instant in many forms: with blanks around it, in another offset, in the
//! practice's own format. A condition in SQL must not judge a row otherwise than the mapping does,
//! so it calls `arteria_instant`, a function of our own connections that *is* the mapping's reader.
//! Nothing that is kept in the clinic database uses it: the practice's programs do not have it.

use std::str::FromStr;
use std::sync::Arc;

use chrono_tz::Tz;
use kit_event::{Date, Timestamp};
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

use crate::mapping::Column;
use crate::mapping::format::{Format, Holds};
use crate::rows::{image_value, literal, lossy_text, quoted};
use crate::values;

const FUNCTION: &str = "arteria_instant";
/// Parts a format from its zone, where SQL carries both in one text.
const SEPARATOR: char = '\n';

/// How a column's instants are written.
struct Form {
    format: Option<Format>,
    zone: Tz,
}

/// Adds the function to a connection.
///
/// # Errors
/// SQLite refuses.
pub fn install(conn: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_DIRECTONLY;
    conn.create_scalar_function(FUNCTION, -1, flags, |call| Ok(read(call)?.map(Timestamp::unix_ms)))
}

/// SQL for the instant of a column of its own table, in milliseconds since 1970; null where it
/// reads as none. None where SQL cannot tell it.
pub fn expression(column: &Column) -> Option<String> {
    if column.through.is_some() || !column.codes.is_empty() || column.parts.is_empty() {
        return None;
    }
    let zone = column.zone.unwrap_or(Tz::UTC);
    let format = column.format.as_ref().map(ToString::to_string).unwrap_or_default();
    let form = literal(&format!("{format}{SEPARATOR}{zone}"));
    let parts: Vec<String> = column.parts.iter().map(|name| image_value("", name)).collect();
    Some(format!("{FUNCTION}({form}, {})", parts.join(", ")))
}

/// The texts of an RFC 3339 column between which every instant of a range stands, unless it is
/// written in an odd form: from the first, and below the second.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextRange {
    /// A text that is above none of them.
    pub least: Option<String>,
    /// A text that is above all of them.
    pub above: Option<String>,
}

/// Offsets move the day that a text begins with by less than this.
const OFFSET_DAYS: i32 = 1;
/// Stands above every sign of a time.
const ABOVE_TIMES: char = '~';
/// Between what begins with a blank and what begins with a digit. It reads as no number: a column
/// declared `DATETIME` has numeric affinity, and would be compared with `'0'` as with 0.
const BELOW_DIGITS: &str = "/~";
/// Stands above whatever begins with a digit.
const ABOVE_DIGITS: &str = ":";

impl TextRange {
    /// Takes instants from `bound` on.
    pub fn not_before(&mut self, bound: Timestamp) {
        let day = day_from(bound, -OFFSET_DAYS);
        self.least = Some(day.map_or_else(String::new, |day| day.to_string()));
    }

    /// Takes instants before `bound`.
    pub fn before(&mut self, bound: Timestamp) {
        let day = day_from(bound, OFFSET_DAYS);
        let day = day.map_or_else(|| "9999-12-31".to_owned(), |day| day.to_string());
        self.above = Some(format!("{day}{ABOVE_TIMES}"));
    }

    /// Conditions that part a column's texts into those within the range, and those of odd forms
    /// below and above all digits; no text is in two of them. An index on the column serves each.
    #[must_use]
    pub fn parts(&self, column: &Column) -> Option<[String; 3]> {
        let [name] = column.parts.as_slice() else { return None };
        if column.format.is_some() {
            return None;
        }
        let name = quoted(name);
        let least = self.least.as_deref().filter(|text| !text.is_empty()).unwrap_or(BELOW_DIGITS);
        let above = self.above.as_deref().unwrap_or(ABOVE_DIGITS);
        Some([
            format!("{name} >= {} AND {name} < {}", literal(least), literal(above)),
            format!("{name} < '{BELOW_DIGITS}'"),
            format!("{name} >= '{ABOVE_DIGITS}'"),
        ])
    }
}

/// The day so many days from an instant, of years 1 to 9999.
fn day_from(at: Timestamp, days: i32) -> Option<Date> {
    Date::from_unix_days(i32::try_from(at.unix_ms().div_euclid(DAY_MS)).ok()?.checked_add(days)?)
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn read(call: &Context<'_>) -> rusqlite::Result<Option<Timestamp>> {
    let form: Arc<Form> =
        call.get_or_create_aux(0, |form| form.as_str().map_err(|_| FormError)?.parse())?;
    let text = values::joined((1..call.len()).map(|n| part(call.get_raw(n))));
    Ok(text.and_then(|text| values::instant(form.format.as_ref(), form.zone, &text)))
}

fn part(value: ValueRef<'_>) -> Option<String> {
    lossy_text(value).filter(|text| !text.trim().is_empty())
}

/// A form that [`expression`] did not make.
#[derive(Debug, thiserror::Error)]
#[error("no form of instants")]
struct FormError;

impl FromStr for Form {
    type Err = FormError;

    fn from_str(text: &str) -> Result<Self, FormError> {
        let (format, zone) = text.rsplit_once(SEPARATOR).ok_or(FormError)?;
        let format = match format {
            "" => None,
            format => Some(Format::parse(format, Holds::Instant).map_err(|_| FormError)?),
        };
        Ok(Self { format, zone: zone.parse().map_err(|_| FormError)? })
    }
}
