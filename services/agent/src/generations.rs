//! Generations of keys: which of the resources that had a key one after another a row is.
//!
//! SQLite gives the number of a removed row to the next one, unless a table says AUTOINCREMENT, and
//! people give numbers again too. A public id that follows from the key alone would then lead
//! requests and tokens of one person to another. So the agent remembers which keys were removed; a
//! key that comes back begins a new generation, which is part of its id. A UUID that stands in the
//! row names what it names, and a key of several parts says what the row is: neither has any.
//!
//! A row that was removed and made again, as some programs save, is the same resource if what
//! identifies it is whole and the same ([`proof`]). Of a row that was replaced where it stands
//! nobody saw a removal: it is another resource only if nothing that identifies it has stayed
//! ([`is_another`]). A plain UPDATE changes no generation.
//!
//! The spool keeps them; the clinic database has a copy for the day on which the spool is lost. The
//! copy is written in the transactions that clear the outbox, so what it lacks the outbox still
//! holds.

use kit_event::Domain;
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::Value;

use crate::domains;
use crate::error::{Act, WorkerError};
use crate::identity::Ids;
use crate::mapping::Table;
use crate::spool::{SpoolTx, read_note};

/// Their table in the spool.
pub const TABLE: &str = "
CREATE TABLE IF NOT EXISTS generations (
    space TEXT NOT NULL, key TEXT NOT NULL, number INTEGER NOT NULL, salt TEXT NOT NULL,
    proof TEXT, living INTEGER NOT NULL, change INTEGER NOT NULL,
    PRIMARY KEY (space, key, number)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS generations_by_change ON generations (change);
";
/// Their copy in the clinic database.
pub const COPY: &str = "
CREATE TABLE IF NOT EXISTS arteria_generations (
    space TEXT NOT NULL, key TEXT NOT NULL, number INTEGER NOT NULL, salt TEXT NOT NULL,
    proof TEXT, living INTEGER NOT NULL, change INTEGER NOT NULL,
    PRIMARY KEY (space, key, number)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS arteria_generations_by_change ON arteria_generations (change);
";
/// Rows copied in one transaction of ours: twice as many as outbox rows that it may clear, for each
/// of those changes at most two.
const COPIED_AT_ONCE: u32 = 1_000;
/// The note with the salt of generations that begin.
const SALT: &str = "generation_salt";
/// Fields that must be there before and after, to say that nothing of a row has stayed.
const FIELDS_MIN: usize = 2;

/// One resource that had a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Counts from 0, the first that was known.
    pub number: u32,
    /// Random, so that two lives of a clinic that was restored never make the same id.
    pub salt: String,
    /// By which it is known again; none where too little identified it.
    pub proof: Option<String>,
    /// Whether it stands under the key now.
    pub living: bool,
}

/// Every generation of a key, oldest first; none for a key that was never removed.
///
/// # Errors
/// The spool refuses.
pub fn of(spool: &Connection, space: &str, key: &str) -> Result<Vec<Generation>, WorkerError> {
    let read = || -> rusqlite::Result<Vec<Generation>> {
        spool
            .prepare_cached(
                "SELECT number, salt, proof, living FROM generations
                 WHERE space = ?1 AND key = ?2 ORDER BY number",
            )?
            .query_map((space, key), generation)?
            .collect()
    };
    read().spool("reading generations of a key")
}

fn generation(row: &Row<'_>) -> rusqlite::Result<Generation> {
    Ok(Generation {
        number: row.get(0)?,
        salt: row.get(1)?,
        proof: row.get(2)?,
        living: row.get(3)?,
    })
}

/// The one that would begin now.
///
/// # Errors
/// The spool refuses.
pub fn next(spool: &Connection, known: &[Generation]) -> Result<Generation, WorkerError> {
    let number = known.last().map_or(0, |last| last.number.saturating_add(1));
    let salt = read_note(spool, SALT)?.unwrap_or_default();
    Ok(Generation { number, salt, proof: None, living: true })
}

/// From now on generations begin with another salt.
///
/// # Errors
/// The spool refuses.
pub fn draw_salt(tx: &SpoolTx<'_>) -> Result<(), WorkerError> {
    tx.set_note(SALT, &uuid::Uuid::new_v4().simple().to_string())
}

/// The row under a key is gone.
///
/// # Errors
/// The spool refuses.
pub fn end(
    spool: &Connection,
    space: &str,
    key: &str,
    proof: Option<String>,
) -> Result<(), WorkerError> {
    let known = of(spool, space, key)?;
    let ended = match known.into_iter().find(|it| it.living) {
        Some(living) => Generation { proof: proof.or(living.proof.clone()), ..living },
        None if of(spool, space, key)?.is_empty() => {
            Generation { number: 0, salt: String::new(), proof, living: true }
        }
        None => return Ok(()),
    };
    store(spool, space, key, &Generation { living: false, ..ended })
}

/// This one stands under a key now.
///
/// # Errors
/// The spool refuses.
pub fn begin(
    spool: &Connection,
    space: &str,
    key: &str,
    generation: Generation,
) -> Result<(), WorkerError> {
    store(spool, space, key, &Generation { living: true, ..generation })
}

fn store(spool: &Connection, space: &str, key: &str, it: &Generation) -> Result<(), WorkerError> {
    spool
        .prepare_cached(
            "INSERT OR REPLACE INTO generations VALUES (?1, ?2, ?3, ?4, ?5, ?6,
                 (SELECT coalesce(max(change), 0) + 1 FROM generations))",
        )
        .and_then(|mut statement| {
            statement.execute((space, key, it.number, &it.salt, &it.proof, it.living))
        })
        .map(drop)
        .spool("storing a generation")
}

/// By what a row is known again after it was removed; none where too little identifies it.
#[must_use]
pub fn proof(ids: &Ids, table: &Table, state: &Value) -> Option<String> {
    let fields = identifying(table);
    let words = if fields.is_empty() {
        let mut rest = state.as_object()?.clone();
        rest.remove(&table.id);
        Value::Object(rest)
    } else {
        let values = fields.iter().map(|field| state.get(*field).cloned());
        Value::Array(values.collect::<Option<Vec<Value>>>()?)
    };
    Some(ids.proof(&table.ids_of, &words.to_string()))
}

/// Whether nothing that identifies a row has stayed between two states.
#[must_use]
pub fn is_another(table: &Table, before: &Value, after: &Value) -> bool {
    let both = identifying(table)
        .iter()
        .filter_map(|field| Some((before.get(*field)?, after.get(*field)?)));
    let both: Vec<_> = both.collect();
    both.len() >= FIELDS_MIN && both.iter().all(|(before, after)| before != after)
}

fn identifying(table: &Table) -> &'static [&'static str] {
    let domain = domains::of_resource(&table.resource).filter(|_| table.facts.is_none());
    domain.map_or(&[], |domain: &dyn Domain| domain.identifying(&table.resource))
}

/// Takes from the clinic's copy what a spool that was lost or put back does not know.
///
/// # Errors
/// A file refuses.
pub fn take_back(tx: &SpoolTx<'_>, clinic: &Connection) -> Result<(), WorkerError> {
    let spool = tx.conn();
    let known = newest(spool, "generations").spool("reading generations")?;
    let read = || -> rusqlite::Result<Vec<Copied>> {
        clinic
            .prepare_cached(
                "SELECT space, key, number, salt, proof, living, change
                 FROM arteria_generations WHERE change > ?1 ORDER BY change",
            )?
            .query_map([known], copied)?
            .collect()
    };
    for row in read().clinic("reading the copy of generations")? {
        spool
            .prepare_cached("INSERT OR REPLACE INTO generations VALUES (?1,?2,?3,?4,?5,?6,?7)")
            .and_then(|mut statement| statement.execute(row))
            .spool("taking generations back")?;
    }
    Ok(())
}

/// Brings the clinic's copy up to date, in a transaction of ours there.
///
/// # Errors
/// A file refuses.
pub fn copy(spool: &Connection, clinic: &Connection) -> Result<(), WorkerError> {
    let newest_here = newest(spool, "generations").spool("reading generations")?;
    if newest_here == 0 {
        return Ok(());
    }
    let known = newest(clinic, "arteria_generations").clinic("reading the copy of generations")?;
    let read = || -> rusqlite::Result<Vec<Copied>> {
        spool
            .prepare_cached(
                "SELECT space, key, number, salt, proof, living, change
                 FROM generations WHERE change > ?1 ORDER BY change LIMIT ?2",
            )?
            .query_map((known, COPIED_AT_ONCE), copied)?
            .collect()
    };
    for row in read().spool("reading generations")? {
        clinic
            .prepare_cached(
                "INSERT OR REPLACE INTO arteria_generations VALUES (?1,?2,?3,?4,?5,?6,?7)",
            )
            .and_then(|mut statement| statement.execute(row))
            .clinic("copying generations")?;
    }
    Ok(())
}

type Copied = (String, String, u32, String, Option<String>, bool, i64);

fn copied(row: &Row<'_>) -> rusqlite::Result<Copied> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
}

fn newest(conn: &Connection, table: &str) -> rusqlite::Result<i64> {
    conn.prepare_cached(&format!("SELECT max(change) FROM {table}"))?
        .query_row([], |row| row.get::<_, Option<i64>>(0))
        .optional()
        .map(|newest| newest.flatten().unwrap_or(0))
}
