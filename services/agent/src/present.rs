//! What the outbox holds, together with the rows as they stand, read in one transaction.
//!
//! A practice's own triggers fire in any order, so the image that was written last need not be the
//! last state of its row. Where it is not, the row is the last image.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use serde_json::Value;

use crate::drain::DRAINED_AT_ONCE;
use crate::error::{Act, WorkerError, is_lasting};
use crate::keys::{self, KeyPart};
use crate::mapping::Table;
use crate::outbox::{self, BYTES_AT_ONCE, Captured, Change};
use crate::rows::{Image, key_expression, quoted, selected_row};
use crate::stores::Stores;

/// Rows that wait to be held against their images until the outbox was read to its end. Beyond
/// that every row is compared.
const UNSURE_MAX: usize = 10_000;

/// A table and a key.
pub type RowName = (String, String);

/// Rows whose last image may lie further on in the outbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unsure {
    rows: BTreeSet<RowName>,
    too_many: bool,
}

/// One reading of the outbox.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Its rows, in order.
    pub rows: Vec<Captured>,
    /// Rows as they stand whose images were in an earlier batch; they have no number.
    pub standing: Vec<Captured>,
    /// Whether the outbox holds more.
    pub more: bool,
}

impl Batch {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.standing.is_empty()
    }
}

impl Unsure {
    /// A batch was recorded; whether all rows have to be compared.
    pub(crate) fn recorded(&mut self, batch: &Batch) -> bool {
        if !batch.more {
            return std::mem::take(self).too_many;
        }
        self.rows.extend(batch.rows.iter().map(|row| (row.table.clone(), row.key.clone())));
        if self.rows.len() > UNSURE_MAX {
            self.rows.clear();
            self.too_many = true;
        }
        false
    }
}

impl Stores {
    /// Reads what the outbox holds, on a connection that stands in a transaction.
    ///
    /// # Errors
    /// The clinic database is busy.
    pub(crate) fn read_outbox(&self, conn: &Connection) -> Result<Batch, WorkerError> {
        let mut batch = Batch {
            rows: outbox::read(conn, &self.drained, i64::MAX, DRAINED_AT_ONCE)?,
            ..Batch::default()
        };
        if let Some(last) = batch.rows.last() {
            let bytes: usize = batch.rows.iter().map(Captured::bytes).sum();
            let is_full = batch.rows.len() >= DRAINED_AT_ONCE || bytes >= BYTES_AT_ONCE;
            batch.more = is_full && outbox::goes_on(conn, &self.drained, last.id)?;
        }
        if !batch.more {
            self.hold_against_rows(conn, &mut batch)?;
        }
        for row in batch.rows.iter_mut().chain(&mut batch.standing) {
            self.look_values_up(conn, row)?;
        }
        Ok(batch)
    }

    fn hold_against_rows(&self, conn: &Connection, batch: &mut Batch) -> Result<(), WorkerError> {
        let mut images: BTreeMap<RowName, Vec<usize>> = BTreeMap::new();
        for (n, row) in batch.rows.iter().enumerate() {
            images.entry((row.table.clone(), row.key.clone())).or_default().push(n);
        }
        for name in &self.unsure.rows {
            images.entry(name.clone()).or_default();
        }
        for ((name, key), places) in images {
            let Some(table) = self.captured_named(&name) else { continue };
            let stands = match row_by_key(conn, table, &key) {
                // The practice dropped the table a moment ago, and the next look will tell; or
                // nobody but its own program can read it, and the triggers' images must do.
                Err(WorkerError::Clinic { source, .. }) if is_lasting(&source) => continue,
                stands => stands?,
            };
            if !put_in_order(&mut batch.rows, &places, table, stands.as_ref()) {
                batch.standing.push(Captured::standing(&name, &key, as_change(stands)));
            }
        }
        Ok(())
    }

    fn captured_named(&self, name: &str) -> Option<&Table> {
        self.installed.tables.iter().find(|table| table.name == name)
    }
}

/// Whether a change leaves the row as it stands.
fn says(change: &Change, table: &Table, stands: Option<&Image>) -> bool {
    let image = match change {
        Change::Deleted => return stands.is_none(),
        Change::Inserted { image } | Change::Updated { image } => image,
    };
    let Some(stands) = stands else { return false };
    // What is no object is nothing that a trigger of ours wrote.
    let Ok(image) = serde_json::from_str::<Image>(image) else { return false };
    let full = |value: Option<&Value>| value.filter(|value| !value.is_null()).cloned();
    table.images.iter().all(|name| full(image.get(name)) == full(stands.get(name)))
}

/// Brings the images of one row into the order in which they came true: what a trigger of the
/// practice does stands before what it answers to, where its trigger is newer than ours. Whether
/// the last of them is the row as it stands.
fn put_in_order(
    rows: &mut [Captured],
    places: &[usize],
    table: &Table,
    stands: Option<&Image>,
) -> bool {
    let Some((last, earlier)) = places.split_last() else { return false };
    if says(&rows[*last].change, table, stands) {
        return true;
    }
    let Some(true_last) = earlier.iter().rposition(|n| says(&rows[*n].change, table, stands))
    else {
        return false;
    };
    let is_made = matches!(rows[*last].change, Change::Inserted { .. }) && stands.is_some();
    let gone = earlier.iter().rposition(|n| rows[*n].change == Change::Deleted);
    let place = if is_made { gone.map_or(0, |gone| gone + 1) } else { true_last };
    // A row that was removed after all its images leaves no place for its making.
    for n in (place.min(true_last)..earlier.len()).rev() {
        let (from, to) = (places[n], places[n + 1]);
        let moved = rows[from].change.clone();
        rows[from].change = std::mem::replace(&mut rows[to].change, moved);
    }
    says(&rows[*last].change, table, stands)
}

fn as_change(stands: Option<Image>) -> Change {
    stands.map_or(Change::Deleted, |image| Change::Updated {
        image: Value::Object(image).to_string(),
    })
}

/// A row as it stands in the clinic; none where it is gone.
///
/// # Errors
/// The clinic database is busy.
pub fn row_by_key(
    conn: &Connection,
    table: &Table,
    key: &str,
) -> Result<Option<Image>, WorkerError> {
    let Ok(values) = serde_json::from_str::<Vec<Value>>(key) else { return Ok(None) };
    if values.len() != table.key.len() {
        return Ok(None);
    }
    let conditions: Vec<String> =
        table.key.iter().map(|name| format!("{} = ?", quoted(name))).collect();
    let params: Vec<_> = values.iter().map(keys::part).collect();
    let found = find(conn, table, &conditions.join(" AND "), params)?;
    // A key that compares alike, as `A` and `a` may, is another row.
    let found = found.filter(|(stands, _)| stands == key);
    if found.is_some() || values.iter().all(is_plain) {
        return Ok(found.map(|(_, image)| image));
    }
    let same = format!("{} = ?", key_expression(table, ""));
    let spelt = KeyPart::Plain(SqlValue::Text(key.to_owned()));
    let found = find(conn, table, &same, vec![spelt])?;
    Ok(found.map(|(_, image)| image))
}

/// Whether a part of a key compares in SQL as it stands in the key's text.
fn is_plain(part: &Value) -> bool {
    match part {
        Value::Number(_) => true,
        Value::String(text) => text.parse::<f64>().is_err(),
        _ => false,
    }
}

fn find(
    conn: &Connection,
    table: &Table,
    condition: &str,
    params: Vec<KeyPart>,
) -> Result<Option<(String, Image)>, WorkerError> {
    let (selected, from) = (&table.selected, quoted(&table.name));
    conn.prepare_cached(&format!("SELECT {selected} FROM {from} WHERE {condition}"))
        .and_then(|mut statement| {
            statement.query_row(params_from_iter(params), |row| selected_row(table, row)).optional()
        })
        .clinic("reading a row")
}
