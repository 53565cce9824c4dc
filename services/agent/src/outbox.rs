//! The outbox: what the triggers wrote inside the practice's transactions, in the order of commit.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::drained::Drained;
use crate::error::{Act, WorkerError};
use crate::keys;
use crate::rows::lossy_text;
use crate::triggers::OUTBOX_ROWS_MAX;

/// The capture switch's limit may lag this far behind: a request need not write it each time.
const ROWS_BEHIND: i64 = 1_000;
/// Images read at once: a row may be as large as the practice likes, and each is held twice or
/// thrice on its way into the spool. At least one row is read.
pub const BYTES_AT_ONCE: usize = 8 * 1024 * 1024;

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
    /// What stands in other tables' rows, by the column that is mapped through them.
    pub looked_up: BTreeMap<String, Value>,
}

impl Captured {
    /// A row as it stands, which no trigger told.
    #[must_use]
    pub fn standing(table: &str, key: &str, change: Change) -> Self {
        Self {
            id: 0,
            change,
            table: table.to_owned(),
            key: key.to_owned(),
            request_id: None,
            traceparent: None,
            at_ms: None,
            looked_up: BTreeMap::new(),
        }
    }

    /// How large it is, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let image = match &self.change {
            Change::Inserted { image } | Change::Updated { image } => image.len(),
            Change::Deleted => 0,
        };
        image + self.key.len() + self.table.len()
    }
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

/// The newest drained row: what it said, in short. The same number under other words shows that the
/// outbox went back and was written on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// Its number.
    pub id: i64,
    /// A hash of its moment, table and key.
    pub hash: String,
}

impl Witness {
    /// The witness that a captured row is.
    #[must_use]
    pub fn of(row: &Captured) -> Self {
        let words = format!("{:?} {} {}", row.at_ms, row.table, row.key);
        let hash = hex::encode(&Sha256::digest(words.as_bytes())[..8]);
        Self { id: row.id, hash }
    }

    /// Whether the outbox holds other words under its number. A row that is gone says nothing.
    ///
    /// # Errors
    /// The clinic database is busy.
    pub fn is_denied(&self, conn: &Connection) -> Result<bool, WorkerError> {
        let stands = between(conn, (self.id, self.id), 1)?;
        Ok(stands.first().is_some_and(|row| Self::of(row) != *self))
    }
}

/// Reads up to `limit` rows in order, without those in `drained`, and none above `up_to`.
///
/// # Errors
/// The clinic database is busy.
pub fn read(
    conn: &Connection,
    drained: &Drained,
    up_to: i64,
    limit: usize,
) -> Result<Vec<Captured>, WorkerError> {
    let mut captured = Vec::new();
    let mut bytes = 0;
    for gap in drained.gaps(up_to) {
        for row in between(conn, gap, limit - captured.len())? {
            bytes += row.bytes();
            captured.push(row);
            if bytes >= BYTES_AT_ONCE {
                return Ok(captured);
            }
        }
        if captured.len() >= limit {
            break;
        }
    }
    Ok(captured)
}

fn between(
    conn: &Connection,
    (first, last): (i64, i64),
    limit: usize,
) -> Result<Vec<Captured>, WorkerError> {
    let read = || {
        let mut statement = conn.prepare_cached(
            "SELECT id, op, tbl, key, image, request_id, traceparent, at FROM arteria_outbox
             WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3",
        )?;
        let mut rows = statement.query((first, last, i64::try_from(limit).unwrap_or(i64::MAX)))?;
        let mut captured: Vec<Captured> = Vec::new();
        let mut bytes = 0;
        while let Some(row) = rows.next()?
            && bytes < BYTES_AT_ONCE
        {
            let row = captured_row(row)?;
            bytes += row.bytes();
            captured.push(row);
        }
        Ok(captured)
    };
    read().clinic("reading the outbox")
}

/// Whether the outbox holds rows that are not drained above `after`.
///
/// # Errors
/// The clinic database is busy.
pub fn goes_on(conn: &Connection, drained: &Drained, after: i64) -> Result<bool, WorkerError> {
    let newest = newest_id(conn)?;
    for (first, last) in drained.gaps(newest) {
        let first = first.max(after.saturating_add(1));
        let any = conn
            .prepare_cached("SELECT 1 FROM arteria_outbox WHERE id BETWEEN ?1 AND ?2 LIMIT 1")
            .and_then(|mut statement| statement.exists((first, last)))
            .clinic("looking for more outbox rows")?;
        if any {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a removal waits that is not drained.
///
/// # Errors
/// The clinic database is busy.
pub fn holds_removals(conn: &Connection, drained: &Drained) -> Result<bool, WorkerError> {
    for gap in drained.gaps(newest_id(conn)?) {
        let any = conn
            .prepare_cached(
                "SELECT 1 FROM arteria_outbox WHERE id BETWEEN ?1 AND ?2 AND op = 'D' LIMIT 1",
            )
            .and_then(|mut statement| statement.exists(gap))
            .clinic("looking for removals in the outbox")?;
        if any {
            return Ok(true);
        }
    }
    Ok(false)
}

fn captured_row(row: &Row<'_>) -> rusqlite::Result<Captured> {
    let text = |column: usize| -> rusqlite::Result<Option<String>> {
        Ok(lossy_text(row.get_ref(column)?))
    };
    let image = keys::json_of(row.get_ref(4)?);
    let change = match text(1)?.as_deref() {
        Some("I") => Change::Inserted { image },
        Some("U") => Change::Updated { image },
        _ => Change::Deleted,
    };
    Ok(Captured {
        id: row.get(0)?,
        change,
        table: text(2)?.unwrap_or_default(),
        key: keys::json_of(row.get_ref(3)?),
        request_id: text(5)?,
        traceparent: text(6)?,
        at_ms: row.get_ref(7)?.as_i64().ok(),
        looked_up: BTreeMap::new(),
    })
}

/// Deletes stretches of rows, and lets the outbox grow by about its full size above them.
///
/// # Errors
/// The clinic database is busy or refuses.
pub fn delete(conn: &Connection, stretches: &[(i64, i64)]) -> Result<(), WorkerError> {
    let run = || {
        for stretch in stretches {
            conn.prepare_cached("DELETE FROM arteria_outbox WHERE id BETWEEN ?1 AND ?2")?
                .execute(*stretch)?;
        }
        if let Some((_, greatest)) = stretches.last() {
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
pub fn newest_id(conn: &Connection) -> Result<i64, WorkerError> {
    conn.prepare_cached(
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'arteria_outbox'), 0)",
    )
    .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
    .clinic("reading the newest outbox row")
}

/// The number of the oldest row, or the next one's where there is none.
///
/// # Errors
/// The clinic database is busy.
pub fn oldest_or_next_id(conn: &Connection) -> Result<i64, WorkerError> {
    let oldest = conn
        .prepare_cached("SELECT min(id) FROM arteria_outbox")
        .and_then(|mut statement| statement.query_row([], |row| row.get::<_, Option<i64>>(0)))
        .clinic("reading the oldest outbox row")?;
    oldest.map_or_else(|| newest_id(conn).map(|newest| newest + 1), Ok)
}

/// How many rows wait, at most: the distance from the oldest to the newest.
///
/// # Errors
/// The clinic database is busy.
pub fn depth(conn: &Connection) -> Result<i64, WorkerError> {
    conn.prepare_cached("SELECT coalesce(max(id) - min(id) + 1, 0) FROM arteria_outbox")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .clinic("measuring the outbox")
}
