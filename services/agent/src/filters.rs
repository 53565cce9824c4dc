//! A domain's filters as conditions on a practice's columns.
//!
//! What SQL can compare as the domain means it becomes a condition. The rest (amounts, dates as
//! people write them, fields without a column) is compared once rows are read, so a filter never
//! lets through what it should not; a condition on times may let through more, as callers expect.

use kit_event::{Date, Filter};
use rusqlite::types::Value as SqlValue;
use serde_json::Value;

use crate::error::StationError;
use crate::mapping::format::Format;
use crate::mapping::{Column, Kind, Table};
use crate::records::ClinicRecords;
use crate::rows::{lookup_plain, quoted, sql_value};
use crate::values::word_value;

/// A condition and its parameters.
pub type Condition = (String, Vec<SqlValue>);

/// What filters become.
#[derive(Debug, Default)]
pub struct Conditions<'f> {
    /// For the clinic database.
    pub sql: Vec<Condition>,
    /// Fields and the values that they must have once read.
    pub read: Vec<(&'static str, &'f Value)>,
}

/// Why a filter has no meaning here.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// A range over a field that no column holds: saying "none" would hide rows.
    #[error("no column holds the field {0}")]
    NoColumn(&'static str),
    /// A key could not be looked up.
    #[error("looking a key up")]
    Key(#[from] StationError),
}

/// Turns filters into conditions.
///
/// # Errors
/// A range over a field without a column; the spool refuses.
pub fn conditions<'f>(
    records: &ClinicRecords<'_>,
    table: &Table,
    filters: &'f [Filter],
) -> Result<Conditions<'f>, FilterError> {
    let mut conditions = Conditions::default();
    for filter in filters {
        match filter {
            Filter::Equals(field, value) => {
                let column = table.column(field).filter(|column| is_plain(column));
                match column {
                    Some(column) => conditions.sql.push(equals(records, table, column, value)?),
                    None => conditions.read.push((field, value)),
                }
            }
            Filter::TextAtLeast(field, text) => {
                let column = table.column(field).ok_or(FilterError::NoColumn(field))?;
                conditions.sql.extend(bound(column, text, Side::AtLeast));
            }
            Filter::TextBelow(field, text) => {
                let column = table.column(field).ok_or(FilterError::NoColumn(field))?;
                conditions.sql.extend(bound(column, text, Side::Below));
            }
        }
    }
    Ok(conditions)
}

/// Whether equal values have equal columns.
fn is_plain(column: &Column) -> bool {
    column.format.is_none() && column.kind != Kind::Money
}

fn equals(
    records: &ClinicRecords<'_>,
    table: &Table,
    column: &Column,
    value: &Value,
) -> Result<Condition, FilterError> {
    let expression = match &column.through {
        Some(through) => format!("({})", lookup_plain(through, &quoted(&table.name))),
        None => column.parts.first().map_or_else(String::new, |name| quoted(name)),
    };
    if !column.codes.is_empty() {
        return Ok(one_of_words(column, &expression, value));
    }
    if value.is_null() {
        return Ok((format!("{expression} IS NULL"), Vec::new()));
    }
    if column.parts.len() > 1 {
        let key = records.column_values(column, value)?;
        let parts: Vec<String> =
            column.parts.iter().map(|name| format!("{} = ?", quoted(name))).collect();
        if key.len() == parts.len() {
            return Ok((parts.join(" AND "), key));
        }
        return Ok(("0".to_owned(), Vec::new()));
    }
    // A row may name another by its public id as well as by the key it has here, and people and
    // programs write ids in capitals too. Words of a list keep the column's index in use.
    let mut params = records.column_values(column, value)?;
    params.truncate(1);
    params.push(sql_value(value));
    if let (Kind::Uuid, Some(id)) = (column.kind, value.as_str()) {
        params.push(SqlValue::Text(id.to_uppercase()));
    }
    let marks = vec!["?"; params.len()].join(", ");
    Ok((format!("{expression} IN ({marks})"), params))
}

/// Words are compared without case, as they are read; SQLite folds the case of ASCII only.
fn one_of_words(column: &Column, expression: &str, value: &Value) -> Condition {
    let mut alternatives = vec!["0".to_owned()];
    let mut params = Vec::new();
    for word in column.words_for(value) {
        alternatives.push(format!("{expression} = ?"));
        params.push(word_value(word));
        if word.is_ascii() {
            alternatives.push(format!("lower(trim({expression})) = ?"));
            params.push(SqlValue::Text(word.trim().to_lowercase()));
        }
        if word.is_empty() {
            alternatives.push(format!("{expression} IS NULL"));
        }
    }
    if value.is_null() {
        alternatives.push(format!("{expression} IS NULL"));
    }
    (format!("({})", alternatives.join(" OR ")), params)
}

/// Which side of a bound is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    AtLeast,
    Below,
}

/// A bound on times. Local times differ from UTC by less than a day, so each side gets a day more.
fn bound(column: &Column, text: &str, side: Side) -> Option<Condition> {
    let name = column.parts.first().filter(|_| column.parts.len() == 1);
    let sign = if side == Side::AtLeast { ">=" } else { "<" };
    let Some(format) = &column.format else {
        let name = quoted(name?);
        return Some((format!("{name} {sign} ?"), vec![SqlValue::Text(text.to_owned())]));
    };
    // The bound's own day counts, and one more for the zone.
    let days = if side == Side::AtLeast { -1 } else { 2 };
    let day: Date = text.get(..10)?.parse().ok()?;
    let day = day.to_naive().checked_add_signed(chrono::TimeDelta::days(days))?;
    let start = day.and_time(chrono::NaiveTime::MIN);
    match format {
        Format::UnixSeconds | Format::UnixMs => {
            let number = format.write(start).parse().ok()?;
            let sql = format!("CAST({} AS INTEGER) {sign} ?", quoted(name?));
            Some((sql, vec![SqlValue::Integer(number)]))
        }
        Format::Minutes => None,
        Format::Pattern(_) => {
            let text = joined(column);
            let (width, [year, month, month_day]) = (format.width()?, format.date_places()?);
            let iso = format!(
                "substr({text}, {year}, 4) || '-' || substr({text}, {month}, 2) || '-' || \
                 substr({text}, {month_day}, 2)"
            );
            // What is not written at full width is read, and judged then.
            let sql = format!("(({iso}) {sign} ? OR length({text}) <> {width})");
            Some((sql, vec![SqlValue::Text(day.format("%Y-%m-%d").to_string())]))
        }
    }
}

/// The text of a column, or of the several that make one.
fn joined(column: &Column) -> String {
    let parts: Vec<String> = column.parts.iter().map(|name| quoted(name)).collect();
    format!("trim({})", parts.join(" || ' ' || "))
}
