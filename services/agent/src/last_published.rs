//! The last published state of every mapped row, by which a change is named, a row is found from
//! its public id, and a restore is healed.

use kit_event::UnitSeq;
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::Value;

use crate::error::{Act, WorkerError};

/// The last published state's table in the spool.
pub const TABLE: &str = "
CREATE TABLE IF NOT EXISTS shadow (
    thing TEXT NOT NULL, key TEXT NOT NULL, public_id TEXT NOT NULL, epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL, state TEXT NOT NULL, PRIMARY KEY (thing, key));
CREATE INDEX IF NOT EXISTS shadow_by_id ON shadow (thing, public_id);
";

/// One row as it was last published.
#[derive(Debug, Clone, PartialEq)]
pub struct LastPublished {
    /// Its key, a JSON array.
    pub key: String,
    /// Its public id.
    pub public_id: String,
    /// The number of the fact that last spoke of it.
    pub seq: UnitSeq,
    /// Its state.
    pub state: Value,
}

/// The row of this key.
///
/// # Errors
/// The spool refuses.
pub fn get(
    conn: &Connection,
    resource: &str,
    key: &str,
) -> Result<Option<LastPublished>, WorkerError> {
    one(
        conn,
        "SELECT key, public_id, epoch, seq, state FROM shadow WHERE thing = ?1 AND key = ?2",
        (resource, key),
    )
}

/// The row of this public id.
///
/// # Errors
/// The spool refuses.
pub fn find(
    conn: &Connection,
    resource: &str,
    id: &str,
) -> Result<Option<LastPublished>, WorkerError> {
    // Named, because SQLite would rather scan the whole thing by its primary key.
    one(
        conn,
        "SELECT key, public_id, epoch, seq, state FROM shadow INDEXED BY shadow_by_id
         WHERE thing = ?1 AND public_id = ?2",
        (resource, id),
    )
}

/// Whether the row of this key has another key too: the same public id under both.
///
/// # Errors
/// The spool refuses.
pub fn stands_elsewhere(conn: &Connection, resource: &str, key: &str) -> Result<bool, WorkerError> {
    conn.prepare_cached(
        "SELECT 1 FROM shadow one JOIN shadow other INDEXED BY shadow_by_id
             ON other.thing = one.thing AND other.public_id = one.public_id AND other.key <> one.key
         WHERE one.thing = ?1 AND one.key = ?2",
    )
    .and_then(|mut statement| statement.exists((resource, key)))
    .spool("looking for a row's other key")
}

/// Up to `limit` rows of a thing after a key, in the order of keys as texts.
///
/// # Errors
/// The spool refuses.
pub fn after(
    conn: &Connection,
    resource: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<LastPublished>, WorkerError> {
    let read = || -> rusqlite::Result<Vec<LastPublished>> {
        conn.prepare_cached(
            "SELECT key, public_id, epoch, seq, state FROM shadow
             WHERE thing = ?1 AND key > ?2 ORDER BY key LIMIT ?3",
        )?
        .query_map((resource, after, i64::try_from(limit).unwrap_or(i64::MAX)), last_published)?
        .collect()
    };
    read().spool("walking the shadow")
}

/// Stores what was published.
///
/// # Errors
/// The spool refuses.
pub fn put(conn: &Connection, resource: &str, row: &LastPublished) -> Result<(), WorkerError> {
    conn.prepare_cached("INSERT OR REPLACE INTO shadow VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
        .and_then(|mut statement| {
            statement.execute((
                resource,
                &row.key,
                &row.public_id,
                row.seq.epoch,
                row.seq.seq,
                row.state.to_string(),
            ))
        })
        .map(drop)
        .spool("writing the shadow")
}

/// Forgets a row that is gone.
///
/// # Errors
/// The spool refuses.
pub fn delete(conn: &Connection, resource: &str, key: &str) -> Result<(), WorkerError> {
    conn.prepare_cached("DELETE FROM shadow WHERE thing = ?1 AND key = ?2")
        .and_then(|mut statement| statement.execute((resource, key)))
        .map(drop)
        .spool("forgetting a row of the shadow")
}

fn one(
    conn: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<Option<LastPublished>, WorkerError> {
    conn.prepare_cached(sql)
        .and_then(|mut statement| statement.query_row(params, last_published).optional())
        .spool("reading the shadow")
}

fn last_published(row: &Row<'_>) -> rusqlite::Result<LastPublished> {
    let state: String = row.get(4)?;
    Ok(LastPublished {
        key: row.get(0)?,
        public_id: row.get(1)?,
        seq: UnitSeq::new(row.get(2)?, row.get(3)?),
        // A state that does not read compares as unlike any row, and is published anew.
        state: serde_json::from_str(&state).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_long_state_takes_no_page_of_its_own() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(TABLE).unwrap();
        let rows = 400;
        for n in 0..rows {
            let row = LastPublished {
                key: json!([n]).to_string(),
                public_id: n.to_string(),
                seq: UnitSeq::new(1, n),
                state: json!({ "record_json": "x".repeat(1_500) }),
            };
            put(&conn, "requests", &row).unwrap();
        }
        let pages: u64 = conn.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        assert!(pages < rows, "{pages} pages");
        assert!(find(&conn, "requests", "7").unwrap().is_some());
    }
}
