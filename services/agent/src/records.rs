//! The clinic's records as domains see them, inside the transaction that will hold the effect.

use kit_event::{Filter, Records, RecordsError, Stored};
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, params_from_iter};
use serde_json::Value;
use uuid::Uuid;

use crate::error::StationError;
use crate::mapping::{Column, Table};
use crate::rows::{Row, RowReader, key_sql_value, quoted, selected_row, sql_value};
use crate::setup::Setup;
use crate::shadow;

/// Records of one clinic, on a connection that stands in a transaction.
pub struct ClinicRecords<'a> {
    /// The clinic database.
    pub clinic: &'a Connection,
    /// The spool, for the shadow.
    pub spool: &'a Connection,
    /// The mapping, the ids and the zone.
    pub setup: &'a Setup,
    /// The captured tables, without the columns that the database lacks.
    pub tables: &'a [Table],
}

/// Why records could not be read.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("the clinic database does not answer")]
    Clinic(#[from] rusqlite::Error),
    #[error("the spool does not answer")]
    Spool(#[from] StationError),
    #[error("no captured table holds such things")]
    NoTable,
    #[error("no column holds the field {0}")]
    NoColumn(&'static str),
}

impl ClinicRecords<'_> {
    /// The captured table whose rows are this thing.
    pub fn table(&self, thing: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.thing == thing)
    }

    /// The key under which the row of a public id stands: as the shadow knows it, else the id
    /// itself, for a row that was written a moment ago.
    ///
    /// # Errors
    /// The spool refuses.
    pub fn key_of(&self, thing: &str, id: &Uuid) -> Result<Vec<SqlValue>, StationError> {
        let id = id.to_string();
        let known = shadow::find(self.spool, thing, &id)?
            .and_then(|row| serde_json::from_str::<Vec<Value>>(&row.key).ok());
        Ok(match known {
            Some(key) => key.iter().map(key_sql_value).collect(),
            None => vec![SqlValue::Text(id)],
        })
    }

    /// A domain's value as its column holds it.
    ///
    /// # Errors
    /// The spool refuses.
    pub fn column_value(&self, column: &Column, value: &Value) -> Result<SqlValue, StationError> {
        let named = value.as_str().and_then(|text| text.parse::<Uuid>().ok());
        match (&column.of, named) {
            (Some(thing), Some(id)) => {
                let mut key = self.key_of(thing, &id)?;
                Ok(if key.len() == 1 { key.remove(0) } else { SqlValue::Text(id.to_string()) })
            }
            _ => Ok(sql_value(value)),
        }
    }

    fn read_one(&self, thing: &str, id: &Uuid) -> Result<Option<Stored>, ReadError> {
        let table = self.table(thing).ok_or(ReadError::NoTable)?;
        let key = self.key_of(thing, id)?;
        if key.len() != table.key.len() {
            return Ok(None);
        }
        let conditions: Vec<String> =
            table.key.iter().map(|name| format!("{} = ?", quoted(name))).collect();
        let rows = self.select(table, &conditions, key)?;
        let Some((key, row)) = rows.into_iter().next() else { return Ok(None) };
        if row.id != id.to_string() {
            return Ok(None);
        }
        let published = shadow::get(self.spool, thing, &key)?;
        let seq = published.filter(|shadow| shadow.state == row.state).map(|shadow| shadow.seq);
        Ok(Some(Stored { state: row.state, seq }))
    }

    fn read_all(&self, thing: &str, filters: &[Filter]) -> Result<Vec<Value>, ReadError> {
        let table = self.table(thing).ok_or(ReadError::NoTable)?;
        let column = |field: &'static str| table.column(field).ok_or(ReadError::NoColumn(field));
        let mut conditions = Vec::new();
        let mut params = Vec::new();
        for filter in filters {
            match filter {
                Filter::Equals(field, Value::Null) => {
                    conditions.push(format!("{} IS NULL", quoted(&column(field)?.name)));
                }
                Filter::Equals(field, value) => {
                    let column = column(field)?;
                    // A row may name another by its public id as well as by the key it has here.
                    conditions.push(format!("{} IN (?, ?)", quoted(&column.name)));
                    params.extend([self.column_value(column, value)?, sql_value(value)]);
                }
                Filter::TextAtLeast(field, text) => {
                    conditions.push(format!("{} >= ?", quoted(&column(field)?.name)));
                    params.push(SqlValue::Text(text.clone()));
                }
                Filter::TextBelow(field, text) => {
                    conditions.push(format!("{} < ?", quoted(&column(field)?.name)));
                    params.push(SqlValue::Text(text.clone()));
                }
            }
        }
        let rows = self.select(table, &conditions, params)?;
        Ok(rows.into_iter().map(|(_, row)| row.state).collect())
    }

    fn select(
        &self,
        table: &Table,
        conditions: &[String],
        params: Vec<SqlValue>,
    ) -> Result<Vec<(String, Row)>, ReadError> {
        let filter = if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        };
        let order: Vec<String> = table.key.iter().map(|name| quoted(name)).collect();
        let sql = format!(
            "SELECT {} FROM {}{filter} ORDER BY {}",
            table.selected,
            quoted(&table.name),
            order.join(", ")
        );
        let reader = RowReader { mapping: &self.setup.mapping, ids: &self.setup.ids };
        let mut statement = self.clinic.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(params))?;
        let mut read = Vec::new();
        while let Some(row) = rows.next()? {
            let (key, image) = selected_row(table, row)?;
            read.extend(reader.row_of(table, &key, &image).map(|row| (key, row)));
        }
        Ok(read)
    }
}

impl Records for ClinicRecords<'_> {
    fn get(&self, thing: &str, id: &Uuid) -> Result<Option<Stored>, RecordsError> {
        self.read_one(thing, id).map_err(|source| failed(thing, source))
    }

    fn find(&self, thing: &str, filters: &[Filter]) -> Result<Vec<Value>, RecordsError> {
        self.read_all(thing, filters).map_err(|source| failed(thing, source))
    }

    fn time_zone(&self) -> &str {
        &self.setup.time_zone
    }
}

fn failed(thing: &str, source: ReadError) -> RecordsError {
    RecordsError { thing: thing.to_owned(), source: Box::new(source) }
}
