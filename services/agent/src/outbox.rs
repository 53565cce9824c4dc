//! The outbox: what the triggers wrote inside the practice's transactions, in the order of commit.

use std::collections::BTreeSet;

use rusqlite::{Connection, Row};

use crate::error::{Act, StationError};
use crate::rows::lossy_text;
use crate::triggers::OUTBOX_ROWS_MAX;

/// The gate's limit may lag this far behind: a request need not write it each time.
const ROWS_BEHIND: i64 = 1_000;

/// One captured change.
#[derive(Debug, Clone, PartialEq)]
pub struct Captured {
    /// Its number in the outbox.
    pub id: i64,
    /// What happened to the row.
    pub change: Change,
    /// The table.
    pub table: String,
    /// The row's key, a JSON array.
    pub key: String,
    /// The request that caused it.
    pub request_id: Option<String>,
    /// The trace of that request.
    pub traceparent: Option<String>,
    /// When it happened, by the clinic's clock, in milliseconds since 1970; none where an older
    /// trigger wrote it.
    pub at_ms: Option<i64>,
}

/// What happened to a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It is new.
    Inserted {
        /// Its mapped columns, a JSON object.
        image: String,
    },
    /// It has other values.
    Updated {
        /// Its mapped columns, a JSON object.
        image: String,
    },
    /// It is gone.
    Deleted,
}

/// Reads up to `limit` rows in order, without those in `drained`, and none above `up_to`.
///
/// # Errors
/// The clinic database is busy.
pub fn read(
    conn: &Connection,
    drained: &BTreeSet<i64>,
    up_to: i64,
    limit: usize,
) -> Result<Vec<Captured>, StationError> {
    let read = || {
        let mut statement = conn.prepare_cached(
            "SELECT id, op, tbl, key, image, request_id, traceparent, at FROM arteria_outbox
             WHERE id <= ?1 ORDER BY id LIMIT ?2",
        )?;
        let mut rows = statement.query((up_to, (limit + drained.len()) as i64))?;
        let mut captured = Vec::new();
        while let Some(row) = rows.next()? {
            if captured.len() < limit && !drained.contains(&row.get(0)?) {
                captured.push(captured_row(row)?);
            }
        }
        Ok(captured)
    };
    read().clinic("reading the outbox")
}

fn captured_row(row: &Row<'_>) -> rusqlite::Result<Captured> {
    let text = |column: usize| -> rusqlite::Result<Option<String>> {
        Ok(lossy_text(row.get_ref(column)?))
    };
    let image = text(4)?.unwrap_or_default();
    let change = match text(1)?.as_deref() {
        Some("I") => Change::Inserted { image },
        Some("U") => Change::Updated { image },
        _ => Change::Deleted,
    };
    Ok(Captured {
        id: row.get(0)?,
        change,
        table: text(2)?.unwrap_or_default(),
        key: text(3)?.unwrap_or_default(),
        request_id: text(5)?,
        traceparent: text(6)?,
        at_ms: row.get_ref(7)?.as_i64().ok(),
    })
}

/// Deletes rows, and lets the outbox grow by about its full size above the greatest of them.
///
/// # Errors
/// The clinic database is busy or refuses.
pub fn delete<'a>(
    conn: &Connection,
    ids: impl Iterator<Item = &'a i64>,
) -> Result<(), StationError> {
    let run = || {
        let mut statement = conn.prepare_cached("DELETE FROM arteria_outbox WHERE id = ?1")?;
        let mut greatest = None;
        for id in ids {
            statement.execute([id])?;
            greatest = Some(*id).max(greatest);
        }
        if let Some(greatest) = greatest {
            conn.prepare_cached("UPDATE arteria_gate SET closes_at = ?1 WHERE closes_at < ?2")?
                .execute((greatest + OUTBOX_ROWS_MAX, greatest + OUTBOX_ROWS_MAX - ROWS_BEHIND))?;
        }
        Ok(())
    };
    run().clinic("deleting outbox rows")
}

/// The number of the newest row ever written; it never goes back, unless the file does.
///
/// # Errors
/// The clinic database is busy.
pub fn newest_id(conn: &Connection) -> Result<i64, StationError> {
    conn.prepare_cached(
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'arteria_outbox'), 0)",
    )
    .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
    .clinic("reading the newest outbox row")
}

/// How many rows wait, at most: the distance from the oldest to the newest.
///
/// # Errors
/// The clinic database is busy.
pub fn depth(conn: &Connection) -> Result<i64, StationError> {
    conn.prepare_cached("SELECT coalesce(max(id) - min(id) + 1, 0) FROM arteria_outbox")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .clinic("measuring the outbox")
}
