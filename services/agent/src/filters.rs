//! A domain's filters as conditions on a practice's columns.
//!
//! What SQL can compare as the domain means it becomes a condition; an index of the practice then
//! finds the rows. The rest (amounts, dates as people write them, fields without a column) is
//! compared once rows are read, so a filter never lets through what it should not.

use kit_event::{Filter, Timestamp};
use rusqlite::types::Value as SqlValue;
use serde_json::Value;

use crate::error::WorkerError;
use crate::instants::{self, TextRange};
use crate::mapping::{Column, Kind, Table};
use crate::records::ClinicRecords;
use crate::rows::{lookup_plain, quoted, sql_value};
use crate::values::word_value;

/// A condition and its parameters.
pub type Condition = (String, Vec<SqlValue>);

/// What filters become.
#[derive(Debug, Default)]
pub struct Conditions<'f> {
    /// For the clinic database, each row of which fulfils at most one of the alternatives.
    pub alternatives: Vec<Vec<Condition>>,
    /// What is compared once rows are read.
    pub read: Vec<&'f Filter>,
}

/// Why a filter has no meaning here.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// A range over a field that no column holds: saying "none" would hide rows.
    #[error("no column holds the field {0}")]
    NoColumn(&'static str),
    /// A key could not be looked up.
    #[error("looking a key up")]
    Key(#[from] WorkerError),
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
    let mut always = Vec::new();
    let mut read = Vec::new();
    let mut ranges: Vec<Range<'_>> = Vec::new();
    for filter in filters {
        let (field, bound) = match filter {
            Filter::Equals(field, value) => {
                match table.column(field).filter(|column| is_plain(column)) {
                    Some(column) => always.push(equals(records, table, column, value)?),
                    None => read.push(filter),
                }
                continue;
            }
            Filter::NotBefore(field, at) => (field, Bound::NotBefore(*at)),
            Filter::Before(field, at) => (field, Bound::Before(*at)),
        };
        let column = table.column(field).ok_or(FilterError::NoColumn(field))?;
        match ranges.iter_mut().find(|range| range.column.field == *field) {
            Some(range) => range.bounds.push(bound),
            None => ranges.push(Range { column, bounds: vec![bound] }),
        }
        read.push(filter);
    }
    Ok(Conditions { alternatives: alternatives(always, &ranges), read })
}

/// The instants that are wanted of one column.
struct Range<'t> {
    column: &'t Column,
    bounds: Vec<Bound>,
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    NotBefore(Timestamp),
    Before(Timestamp),
}

impl Range<'_> {
    /// Exactly the rows whose column reads as such an instant.
    fn exact(&self) -> Option<Condition> {
        let instant = instants::expression(self.column)?;
        let (texts, params): (Vec<String>, Vec<SqlValue>) = self
            .bounds
            .iter()
            .map(|bound| match bound {
                Bound::NotBefore(at) => (">=", at),
                Bound::Before(at) => ("<", at),
            })
            .map(|(sign, at)| (format!("{instant} {sign} ?"), SqlValue::Integer(at.unix_ms())))
            .unzip();
        Some((texts.join(" AND "), params))
    }

    /// Texts among which the rows are, for an index.
    fn texts(&self) -> Option<[String; 3]> {
        let mut texts = TextRange::default();
        for bound in &self.bounds {
            match bound {
                Bound::NotBefore(at) => texts.not_before(*at),
                Bound::Before(at) => texts.before(*at),
            }
        }
        texts.parts(self.column)
    }
}

/// SQLite uses an index for each alternative, and mostly for none of an `OR`: so the first range
/// parts the rows, and those of the others are judged within.
fn alternatives(mut always: Vec<Condition>, ranges: &[Range<'_>]) -> Vec<Vec<Condition>> {
    let mut parting = None;
    for range in ranges {
        // The cheap look at a text comes first, reading it only where that lets it through.
        match range.texts() {
            Some(texts) if parting.is_none() => parting = Some(texts),
            Some(texts) => always.push((format!("({})", texts.join(" OR ")), Vec::new())),
            None => {}
        }
        always.extend(range.exact());
    }
    match parting {
        None => vec![always],
        Some(texts) => texts
            .into_iter()
            .map(|text| [(text, Vec::new())].into_iter().chain(always.iter().cloned()).collect())
            .collect(),
    }
}

/// Whether equal values have equal columns. A number or a time may be written in many ways.
fn is_plain(column: &Column) -> bool {
    let is_text = matches!(column.kind, Kind::Text | Kind::Uuid) && column.format.is_none();
    is_text || !column.codes.is_empty()
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
