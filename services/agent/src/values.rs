//! One value between a practice's column and a domain's field, both ways.
//!
//! Reading never fails: what does not read as its kind travels as text under `<field>_raw`. Writing
//! refuses what the column could not say back: a word that the practice has not, an instant that
//! its clock shows twice.

use chrono::offset::LocalResult;
use chrono::{NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use kit_event::{Date, Timestamp};
use rusqlite::types::Value as SqlValue;
use serde_json::Value;

use crate::keys;
use crate::mapping::format::Format;
use crate::mapping::{Amount, Column, Currency, Kind, Table, money};
use crate::rows::{Image, sql_value};

/// What a column's content is to a domain.
#[derive(Debug, Clone, PartialEq)]
pub enum Read {
    /// A value.
    Value(Value),
    /// A text that does not read as its kind.
    Raw(String),
    /// Empty, or nothing that the kind could say.
    Nothing,
}

/// A value that a column cannot hold, in words for who asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unwritable(pub &'static str);

/// Shorter than any step of a practice's clock; what a format cuts off is less.
const MINUTE_MS: i64 = 60_000;

/// The text of one value of an image.
#[must_use]
pub fn text_of(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => keys::shown(text),
        other => other.to_string(),
    };
    (!text.trim().is_empty()).then_some(text)
}

/// What a column holds in an image.
pub fn read(column: &Column, image: &Image) -> Read {
    let Some(text) = text_in(column, image) else {
        // An empty column may be a word of the practice too.
        return column.decoded("").cloned().map_or(Read::Nothing, Read::Value);
    };
    if !column.codes.is_empty() {
        return column.decoded(&text).cloned().map_or(Read::Raw(text), Read::Value);
    }
    let read = match column.kind {
        Kind::Text => Some(Value::String(text.clone())),
        Kind::Date => read_date(column, &text).map(|date| Value::String(date.to_string())),
        Kind::Time => read_time(column, &text).map(Value::String),
        Kind::Timestamp => {
            let at = instant(column.format.as_ref(), column.zone.unwrap_or(Tz::UTC), &text);
            at.map(|at| Value::String(at.to_string()))
        }
        Kind::Bool => read_bool(&text).map(Value::Bool),
        Kind::Integer => read_integer(&text).map(Value::from),
        Kind::Decimal => read_decimal(&text).map(Value::from),
        Kind::PartialDate => read_partial_date(&text).map(Value::from),
        Kind::Money => read_amount(column, &text, image).map(Value::from),
        Kind::Uuid => None,
    };
    match (read, column.kind) {
        (Some(value), _) => Read::Value(value),
        (None, Kind::Text | Kind::Bool | Kind::Uuid) => Read::Nothing,
        (
            None,
            Kind::Date
            | Kind::Time
            | Kind::Timestamp
            | Kind::Integer
            | Kind::Decimal
            | Kind::PartialDate
            | Kind::Money,
        ) => Read::Raw(text),
    }
}

/// The text of a column, or of the several that make one; none where the first is empty.
#[must_use]
pub fn text_in(column: &Column, image: &Image) -> Option<String> {
    if column.parts.len() < 2 {
        return text_of(image.get(&column.name).or_else(|| image.get(column.parts.first()?))?);
    }
    joined(column.parts.iter().map(|name| image.get(name).and_then(text_of)))
}

/// The text of several columns, those that are empty left out; none where the first is.
pub fn joined(mut parts: impl Iterator<Item = Option<String>>) -> Option<String> {
    let mut text = parts.next()??;
    for part in parts.flatten() {
        text.push(' ');
        text.push_str(&part);
    }
    Some(text)
}

/// A word that is in no code list is shown where the domain expects one, as open words are, unless
/// it would pass for a word of the domain that the list gives another meaning. A generic type's
/// schema says itself which words it knows, so there it is raw only.
#[must_use]
pub fn open_word(column: &Column, table: &Table, text: &str) -> Option<Value> {
    let is_open = column.kind == Kind::Text && table.facts.is_none();
    let is_taken = column.words_for(&Value::from(text)).next().is_some();
    (is_open && !is_taken).then(|| Value::from(text))
}

fn read_date(column: &Column, text: &str) -> Option<Date> {
    match &column.format {
        Some(format) => Date::from_naive(format.read(text)?.date()),
        None => text.parse().ok(),
    }
}

/// A sign, digits, a point with digits behind it: no exponent, which a float writes.
fn read_decimal(text: &str) -> Option<String> {
    let text = text.trim();
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let reads = match unsigned.split_once('.') {
        Some((whole, part)) => digits(whole) && digits(part),
        None => digits(unsigned),
    };
    reads.then(|| text.to_owned())
}

fn read_partial_date(text: &str) -> Option<String> {
    let text = text.trim();
    let full = match text.len() {
        4 => format!("{text}-01-01"),
        7 => format!("{text}-01"),
        _ => text.to_owned(),
    };
    full.parse::<Date>().ok().map(|_| text.to_owned())
}

fn read_time(column: &Column, text: &str) -> Option<String> {
    match &column.format {
        Some(format) => Some(format.read(text)?.format("%H:%M").to_string()),
        None => Some(text.to_owned()),
    }
}

/// The instant that a text of a column of this form tells. RFC 3339 says its offset itself,
/// whatever form the column usually has.
#[must_use]
pub fn instant(format: Option<&Format>, zone: Tz, text: &str) -> Option<Timestamp> {
    if let Ok(at) = text.trim().parse() {
        return Some(at);
    }
    let format = format?;
    // A `T` and a space between day and time say the same.
    let at = format.read(text).or_else(|| format.read(&text.replacen('T', " ", 1)))?;
    if format.is_absolute() {
        return Some(at.and_utc().into());
    }
    of_wall(zone, at)?.to_string().parse().ok()
}

/// A wall time that does not exist is no instant; one that exists twice is its first.
fn of_wall(zone: Tz, at: NaiveDateTime) -> Option<Timestamp> {
    match zone.from_local_datetime(&at) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at.to_utc().into()),
        LocalResult::None => None,
    }
}

fn read_bool(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" => Some(true),
        "false" | "f" | "no" | "n" => Some(false),
        number => number.parse::<f64>().ok().map(|number| number != 0.0),
    }
}

/// Whole numbers of 64 bits, as schemas have them; `30.0` is one.
fn read_integer(text: &str) -> Option<i64> {
    let text = text.trim();
    text.strip_suffix(".0").unwrap_or(text).parse().ok()
}

fn read_amount(column: &Column, text: &str, image: &Image) -> Option<i64> {
    let amount = column.amount.as_ref()?;
    let code = match &amount.currency {
        Currency::Always(code) => code.clone(),
        Currency::Column(name) => image.get(name).and_then(text_of)?.trim().to_ascii_uppercase(),
    };
    let exponent = money::exponent(&code)?;
    money::minor_units(text, amount.signs, exponent)
}

/// A domain's value as the column's parts hold it; ids are the caller's.
///
/// # Errors
/// The column could not say it back.
pub fn written(
    column: &Column,
    value: &Value,
    currency: Option<&str>,
) -> Result<Vec<SqlValue>, Unwritable> {
    if value.is_null() {
        let empty = column.words_for(&Value::Null).next();
        return Ok(vec![empty.map_or(SqlValue::Null, word_value); column.parts.len()]);
    }
    if !column.codes.is_empty() {
        let word = column.words_for(value).next();
        let word = word.ok_or(Unwritable("the practice's software has no word for it"))?;
        return Ok(vec![word_value(word)]);
    }
    let text = value.as_str().unwrap_or_default();
    match (column.kind, &column.format, &column.amount) {
        (Kind::Date | Kind::Time | Kind::Timestamp, Some(_), _) => written_time(column, text),
        (Kind::Money, _, Some(amount)) => {
            written_amount(amount, value, currency).map(|it| vec![SqlValue::Text(it)])
        }
        _ => Ok(vec![sql_value(value)]),
    }
}

/// A code word; one that is a number is written as one, for columns that keep numbers.
#[must_use]
pub fn word_value(word: &str) -> SqlValue {
    match word.parse::<i64>() {
        Ok(number) if number.to_string() == word => SqlValue::Integer(number),
        _ => SqlValue::Text(word.to_owned()),
    }
}

fn written_time(column: &Column, text: &str) -> Result<Vec<SqlValue>, Unwritable> {
    let unclear = Unwritable("it is no such time");
    let format = column.format.as_ref().ok_or(unclear.clone())?;
    let at = match column.kind {
        Kind::Date => {
            let date: Date = text.parse().map_err(|_| unclear)?;
            date.to_naive().and_time(chrono::NaiveTime::MIN)
        }
        Kind::Time => {
            let time = chrono::NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| unclear)?;
            chrono::NaiveDate::default().and_time(time)
        }
        _ => {
            let at: Timestamp = text.parse().map_err(|_| unclear)?;
            wall_of(column, at)?
        }
    };
    let text = format.write(at);
    if format.is_absolute() || matches!(format, Format::Minutes) {
        return Ok(vec![text.parse().map_or(SqlValue::Text(text.clone()), SqlValue::Integer)]);
    }
    let mut parts: Vec<SqlValue> =
        text.splitn(column.parts.len(), ' ').map(|part| SqlValue::Text(part.to_owned())).collect();
    parts.resize(column.parts.len(), SqlValue::Null);
    Ok(parts)
}

/// The practice's wall time of an instant, unless that wall time would be read as another one.
fn wall_of(column: &Column, at: Timestamp) -> Result<NaiveDateTime, Unwritable> {
    if column.format.as_ref().is_some_and(super::mapping::format::Format::is_absolute) {
        return Ok(at.to_utc().naive_utc());
    }
    let zone = column.zone.unwrap_or(Tz::UTC);
    let wall = at.to_utc().with_timezone(&zone).naive_local();
    match of_wall(zone, wall) {
        Some(back) if (back.unix_ms() - at.unix_ms()).abs() < MINUTE_MS => Ok(wall),
        _ => Err(Unwritable("the practice's clock shows this time twice, and keeps no offset")),
    }
}

fn written_amount(
    amount: &Amount,
    value: &Value,
    currency: Option<&str>,
) -> Result<String, Unwritable> {
    let code = match &amount.currency {
        Currency::Always(code) => Some(code.as_str()),
        Currency::Column(_) => currency,
    };
    let exponent = code.and_then(money::exponent);
    let exponent = exponent.ok_or(Unwritable("the currency of the row is not known"))?;
    let minor = value.as_i64().ok_or(Unwritable("it is no whole number of minor units"))?;
    Ok(money::amount_text(minor, amount.signs, exponent))
}
