//! The clinic's records as domains see them, inside the transaction that will hold the effect.

use std::cell::RefCell;
use std::collections::BTreeSet;

use kit_event::{Filter, Records, RecordsError, Stored};
use requests::RequestRejection;
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, params_from_iter};
use serde_json::Value;
use uuid::Uuid;

use crate::error::WorkerError;
use crate::filters::{self, Condition, FilterError};
use crate::keys;
use crate::last_published;
use crate::mapping::{Column, Mapping, NewKey, Table};
use crate::rows::{Row, RowReader, quoted, selected_row, sql_value};
use crate::setup::Setup;

/// Records of one clinic, on a connection that stands in a transaction.
pub struct ClinicRecords<'a> {
    /// The clinic database.
    pub clinic: &'a Connection,
    /// The spool, for the last published state.
    pub spool: &'a Connection,
    /// The ids and the zone.
    pub setup: &'a Setup,
    /// Every mapped table, captured or not.
    pub mapping: &'a Mapping,
    /// The captured tables, without the columns that the database lacks.
    pub tables: &'a [Table],
    /// Optional tables that the practice does without.
    pub absent: &'a BTreeSet<String>,
    /// Rows made in this transaction, which the last published state does not know yet.
    pub fresh: RefCell<Vec<Fresh>>,
    /// A thing that was asked for and that no captured table holds.
    pub missed: RefCell<Option<String>>,
}

/// A row that a request has just made.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// The thing that it is.
    pub resource: String,
    /// A public id by which it may be asked for: the one that the command gave, or the row's own.
    pub id: Uuid,
    /// Its key.
    pub key: Vec<SqlValue>,
}

/// Why records could not be read.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("the clinic database does not answer")]
    Clinic(#[from] rusqlite::Error),
    #[error("the spool does not answer")]
    Spool(#[from] WorkerError),
    #[error("no captured table holds such things")]
    NoTable,
    #[error("the filter has no meaning in this clinic")]
    Filter(#[from] FilterError),
}

impl ClinicRecords<'_> {
    /// The captured table whose rows are this thing.
    pub fn table(&self, resource: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.resource == resource)
    }

    /// Why there are no rows of a thing.
    pub fn absence(&self, resource: &str) -> RequestRejection {
        let resource = resource.to_owned();
        let mapped = self.mapping.by_resource(&resource);
        if mapped.is_some_and(|table| !self.absent.contains(&table.name)) {
            RequestRejection::TablePaused { resource }
        } else {
            let why = "the unit keeps no such records";
            RequestRejection::NotWritable { resource, field: String::new(), why }
        }
    }

    /// Reads images of rows.
    pub fn reader(&self) -> RowReader<'_> {
        RowReader { mapping: self.mapping, ids: &self.setup.ids, spool: Some(self.spool) }
    }

    fn captured(&self, resource: &str) -> Result<&Table, ReadError> {
        self.table(resource).ok_or_else(|| {
            *self.missed.borrow_mut() = Some(resource.to_owned());
            ReadError::NoTable
        })
    }

    /// The key under which the row of a public id stands: as this transaction or the last published
    /// state knows it; none for an id that neither knows.
    ///
    /// # Errors
    /// The spool refuses.
    pub fn known_key(
        &self,
        resource: &str,
        id: &Uuid,
    ) -> Result<Option<Vec<SqlValue>>, WorkerError> {
        let fresh = self.fresh.borrow();
        if let Some(fresh) = fresh.iter().find(|it| it.resource == resource && it.id == *id) {
            return Ok(Some(fresh.key.clone()));
        }
        let known = last_published::find(self.spool, resource, &id.to_string())?
            .and_then(|row| serde_json::from_str::<Vec<Value>>(&row.key).ok());
        // A text that is no UTF-8 cannot be written into another row, so no request names it.
        Ok(known.and_then(|key| key.iter().map(|part| keys::part(part).plain()).collect()))
    }

    /// The key of a public id; the id itself, for a row that was written a moment ago.
    ///
    /// # Errors
    /// The spool refuses.
    pub fn key_of(&self, resource: &str, id: &Uuid) -> Result<Vec<SqlValue>, WorkerError> {
        let known = self.known_key(resource, id)?;
        Ok(known.unwrap_or_else(|| vec![SqlValue::Text(id.to_string())]))
    }

    /// A domain's value as its columns hold it in a comparison.
    ///
    /// # Errors
    /// The spool refuses.
    pub fn column_values(
        &self,
        column: &Column,
        value: &Value,
    ) -> Result<Vec<SqlValue>, WorkerError> {
        let named = value.as_str().and_then(|text| text.parse::<Uuid>().ok());
        match (&column.of, named) {
            (Some(resource), Some(id)) => self.key_of(resource, &id),
            _ => Ok(vec![sql_value(value)]),
        }
    }

    /// Whether rows of a thing have keys that are their public ids.
    pub fn keys_are_public(&self, resource: &str) -> bool {
        let table = self.table(resource);
        table.is_some_and(|table| table.new_key.unwrap_or(NewKey::PublicId) == NewKey::PublicId)
    }

    fn read_one(&self, resource: &str, id: &Uuid) -> Result<Option<Stored>, ReadError> {
        let table = self.captured(resource)?;
        let key = self.key_of(resource, id)?;
        if key.len() != table.key.len() {
            return Ok(None);
        }
        let conditions: Vec<String> =
            table.key.iter().map(|name| format!("{} = ?", quoted(name))).collect();
        let rows = self.select(table, vec![(conditions.join(" AND "), key)])?;
        let Some((key, row)) = rows.into_iter().next() else { return Ok(None) };
        let is_asked = row.id == id.to_string() || self.is_fresh(resource, id);
        if !is_asked {
            return Ok(None);
        }
        let published = last_published::get(self.spool, resource, &key)?;
        let seq = published
            .filter(|last_published| last_published.state == row.state)
            .map(|last_published| last_published.seq);
        Ok(Some(Stored { state: row.state, seq }))
    }

    fn is_fresh(&self, resource: &str, id: &Uuid) -> bool {
        self.fresh.borrow().iter().any(|fresh| fresh.resource == resource && fresh.id == *id)
    }

    fn read_all(&self, resource: &str, filters: &[Filter]) -> Result<Vec<Value>, ReadError> {
        let table = self.captured(resource)?;
        let conditions = filters::conditions(self, table, filters)?;
        let fits = |state: &Value| conditions.read.iter().all(|filter| filter.passes(state));
        let mut found = Vec::new();
        for sql in conditions.alternatives {
            let states = self.select(table, sql)?.into_iter().map(|(_, row)| row.state);
            found.extend(states.filter(fits));
        }
        Ok(found)
    }

    fn select(
        &self,
        table: &Table,
        conditions: Vec<Condition>,
    ) -> Result<Vec<(String, Row)>, ReadError> {
        let (texts, params): (Vec<String>, Vec<Vec<SqlValue>>) = conditions.into_iter().unzip();
        let filter = if texts.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", texts.join(" AND "))
        };
        let order: Vec<String> = table.key.iter().map(|name| quoted(name)).collect();
        let sql = format!(
            "SELECT {} FROM {}{filter} ORDER BY {}",
            table.selected,
            quoted(&table.name),
            order.join(", ")
        );
        let reader = self.reader();
        let mut statement = self.clinic.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(params.into_iter().flatten()))?;
        let mut read = Vec::new();
        while let Some(row) = rows.next()? {
            let (key, image) = selected_row(table, row)?;
            read.extend(reader.row_of(table, &key, &image)?.map(|row| (key, row)));
        }
        Ok(read)
    }
}

impl Records for ClinicRecords<'_> {
    fn get(&self, resource: &str, id: &Uuid) -> Result<Option<Stored>, RecordsError> {
        self.read_one(resource, id).map_err(|source| failed(resource, source))
    }

    fn find(&self, resource: &str, filters: &[Filter]) -> Result<Vec<Value>, RecordsError> {
        self.read_all(resource, filters).map_err(|source| failed(resource, source))
    }

    fn writes(&self, resource: &str, field: &str) -> bool {
        self.table(resource).is_some_and(|table| {
            !table.read_only && table.column(field).is_some_and(|column| !column.read_only)
        })
    }

    fn time_zone(&self) -> &str {
        &self.setup.time_zone
    }
}

fn failed(resource: &str, source: ReadError) -> RecordsError {
    RecordsError { resource: resource.to_owned(), source: Box::new(source) }
}
