//! The ledger: one row in the clinic database for each request that the unit has spoken on.
//!
//! The row commits together with the request's effect, so a request that comes again is answered
//! and never repeated, even when the spool is lost. It is captured like any table, and so becomes
//! the outcome fact.

use kit_event::Timestamp;
use requests::RequestOutcome;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use serde_json::Value;

use crate::error::{Act, WorkerError};
use crate::mapping::Table;
use crate::rows::{Image, selected_row, sql_value};

/// The ledger's table. `log` names the log that `position` is of.
pub const TABLE: &str = "
CREATE TABLE IF NOT EXISTS arteria_applied (
    request_id TEXT PRIMARY KEY, type TEXT, command_hash TEXT, state TEXT NOT NULL, reason TEXT,
    title TEXT, detail TEXT, record_thing TEXT, record_id TEXT, record_json TEXT, patient_id TEXT,
    accepted_at TEXT, expires_at TEXT, delivery TEXT, actor TEXT, decided_at TEXT,
    position INTEGER, log TEXT);
";

/// Rows live this long; a request that comes again later is a new one.
pub const KEPT_DAYS: i64 = 30;
/// Old rows deleted at once: well under the time that we may hold the clinic database.
const PRUNED_AT_ONCE: i64 = 500;

/// What the ledger says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Hash of what was asked; none for one cancelled before it was seen.
    pub command_hash: Option<String>,
    /// The state's word.
    pub state: String,
}

/// Looks a request up.
///
/// # Errors
/// The clinic database is busy.
pub fn find(conn: &Connection, request_id: &str) -> Result<Option<Entry>, WorkerError> {
    conn.prepare_cached("SELECT command_hash, state FROM arteria_applied WHERE request_id = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([request_id], |row| {
                    Ok(Entry { command_hash: row.get(0)?, state: row.get(1)? })
                })
                .optional()
        })
        .clinic("looking into the ledger")
}

/// A row as an image shows it: key and image.
///
/// # Errors
/// The clinic database is busy.
pub fn row(
    conn: &Connection,
    table: &Table,
    request_id: &str,
) -> Result<Option<(String, Image)>, WorkerError> {
    conn.prepare_cached(&format!(
        "SELECT {} FROM arteria_applied WHERE request_id = ?1",
        table.selected
    ))
    .and_then(|mut statement| {
        statement.query_row([request_id], |row| selected_row(table, row)).optional()
    })
    .clinic("reading a ledger row")
}

/// Writes the unit's word on a request.
///
/// # Errors
/// The clinic database refuses.
pub fn insert(conn: &Connection, outcome: &RequestOutcome, log: &str) -> Result<(), WorkerError> {
    let fields = outcome_fields(outcome);
    insert_fields(conn, &fields, Some(log))
}

/// Writes back a row that a restore lost, as the spool remembers it.
///
/// # Errors
/// The clinic database refuses.
pub fn insert_fields(
    conn: &Connection,
    fields: &serde_json::Map<String, Value>,
    log: Option<&str>,
) -> Result<(), WorkerError> {
    let names: Vec<&str> = fields.keys().map(String::as_str).chain(["log"]).collect();
    let marks: Vec<String> = (1..=names.len()).map(|n| format!("?{n}")).collect();
    let sql = format!(
        "INSERT OR IGNORE INTO arteria_applied ({}) VALUES ({})",
        names.join(", "),
        marks.join(", ")
    );
    let log = log.map_or(Value::Null, |log| Value::String(log.to_owned()));
    let values = fields.values().chain([&log]).map(sql_value);
    conn.prepare_cached(&sql)
        .and_then(|mut statement| statement.execute(params_from_iter(values)))
        .map(drop)
        .clinic("writing the ledger")
}

/// The columns of an outcome, by name: its fields, which are named alike.
fn outcome_fields(outcome: &RequestOutcome) -> serde_json::Map<String, Value> {
    match serde_json::to_value(outcome) {
        Ok(Value::Object(fields)) => fields,
        // An outcome is texts and numbers in a flat struct: it always has an object's form.
        Ok(_) | Err(_) => serde_json::Map::new(),
    }
}

/// The log and the position that follows the last row written at its place in a log.
///
/// # Errors
/// The clinic database is busy.
pub fn cursor(conn: &Connection) -> Result<Option<(String, i64)>, WorkerError> {
    conn.prepare_cached(
        "SELECT log, position + 1 FROM arteria_applied
         WHERE position IS NOT NULL AND log IS NOT NULL ORDER BY rowid DESC LIMIT 1",
    )
    .and_then(|mut statement| {
        statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    })
    .clinic("reading the ledger's last position")
}

/// Whether a row is older than [`KEPT_DAYS`]; asking takes no lock that keeps others out.
///
/// # Errors
/// The clinic database is busy.
pub fn is_prunable(conn: &Connection, now: Timestamp) -> Result<bool, WorkerError> {
    conn.prepare_cached("SELECT 1 FROM arteria_applied WHERE decided_at < ?1 LIMIT 1")
        .and_then(|mut statement| statement.exists([kept_since(now)]))
        .clinic("looking for old ledger rows")
}

fn kept_since(now: Timestamp) -> String {
    now.plus_ms(-KEPT_DAYS * 24 * 60 * 60 * 1000).to_string()
}

/// Deletes some rows older than [`KEPT_DAYS`]; zero when none are left.
///
/// # Errors
/// The clinic database is busy or refuses.
pub fn prune(conn: &Connection, now: Timestamp) -> Result<usize, WorkerError> {
    conn.prepare_cached(
        "DELETE FROM arteria_applied WHERE rowid IN
         (SELECT rowid FROM arteria_applied WHERE decided_at < ?1 LIMIT ?2)",
    )
    .and_then(|mut statement| statement.execute((kept_since(now), PRUNED_AT_ONCE)))
    .clinic("pruning the ledger")
}
