//! Row changes that a domain decided, as SQL on the practice's tables.

use kit_event::{RowChange, RowOperation};
use rusqlite::params_from_iter;
use rusqlite::types::Value as SqlValue;

use crate::error::StationError;
use crate::mapping::Table;
use crate::records::ClinicRecords;
use crate::rows::quoted;

/// Why a decided change was not written.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// No captured table holds such things.
    #[error("no captured table holds {thing} rows")]
    NoTable {
        /// Which thing.
        thing: &'static str,
    },
    /// The database has no column for a field.
    #[error("no column of {table} holds {field}")]
    NoColumn {
        /// Which table.
        table: String,
        /// Which field.
        field: String,
    },
    /// The row to update is not there, or several are.
    #[error("{rows} rows of {table} were updated, not one")]
    NotOneRow {
        /// Which table.
        table: String,
        /// How many.
        rows: usize,
    },
    /// The practice's own schema refused: a constraint, a trigger of its own.
    #[error("writing {table}")]
    Refused {
        /// Which table.
        table: String,
        /// Why; it may quote a row, so it is never shown.
        #[source]
        source: rusqlite::Error,
    },
    /// The key could not be looked up.
    #[error("looking up the row")]
    LookUp(#[from] StationError),
}

/// Writes one change.
///
/// # Errors
/// What the practice's database refused; the caller rolls back.
pub fn write(records: &ClinicRecords<'_>, change: &RowChange) -> Result<(), ChangeError> {
    let thing = change.record.thing;
    let table = records.table(thing).ok_or(ChangeError::NoTable { thing })?;
    let mut names = Vec::new();
    let mut values = Vec::new();
    for (field, value) in &change.fields {
        let column = table.column(field).ok_or_else(|| ChangeError::NoColumn {
            table: table.name.clone(),
            field: field.clone(),
        })?;
        names.push(column.name.clone());
        values.push(records.column_value(column, value)?);
    }
    match change.operation {
        RowOperation::Insert => insert(records, table, change, names, values),
        RowOperation::Update if names.is_empty() => Ok(()),
        RowOperation::Update => update(records, table, change, &names, values),
    }
}

fn insert(
    records: &ClinicRecords<'_>,
    table: &Table,
    change: &RowChange,
    mut names: Vec<String>,
    mut values: Vec<SqlValue>,
) -> Result<(), ChangeError> {
    if let Some(column) = table.column(&table.id).filter(|column| !names.contains(&column.name)) {
        names.push(column.name.clone());
        values.push(SqlValue::Text(change.record.id.to_string()));
    }
    let quoted_names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    let marks = vec!["?"; names.len()].join(", ");
    let sql = format!(
        "INSERT INTO {} ({}) VALUES ({marks})",
        quoted(&table.name),
        quoted_names.join(", ")
    );
    run(records, table, &sql, values).map(drop)
}

fn update(
    records: &ClinicRecords<'_>,
    table: &Table,
    change: &RowChange,
    names: &[String],
    mut values: Vec<SqlValue>,
) -> Result<(), ChangeError> {
    let assignments: Vec<String> =
        names.iter().map(|name| format!("{} = ?", quoted(name))).collect();
    let conditions: Vec<String> =
        table.key.iter().map(|name| format!("{} = ?", quoted(name))).collect();
    values.extend(records.key_of(change.record.thing, &change.record.id)?);
    let sql = format!(
        "UPDATE {} SET {} WHERE {}",
        quoted(&table.name),
        assignments.join(", "),
        conditions.join(" AND ")
    );
    match run(records, table, &sql, values)? {
        1 => Ok(()),
        rows => Err(ChangeError::NotOneRow { table: table.name.clone(), rows }),
    }
}

fn run(
    records: &ClinicRecords<'_>,
    table: &Table,
    sql: &str,
    values: Vec<SqlValue>,
) -> Result<usize, ChangeError> {
    records
        .clinic
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(params_from_iter(values)))
        .map_err(|source| ChangeError::Refused { table: table.name.clone(), source })
}
