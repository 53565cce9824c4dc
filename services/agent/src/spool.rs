//! The spool: the agent's own file, which holds what must outlive a crash and is not the
//! practice's.
//!
//! Numbered facts, acknowledged or not; the last published state of every row; what is
//! known of the clinic database, with the set of outbox rows that are drained but may still stand
//! there; the cursor; and small notes. One transaction moves all of them together. WAL with
//! `synchronous = FULL`, because clinics lose power; only what may be lost (acknowledgements, the
//! cursor over positions without effect, the status page) is written lazily.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use kit_event::{Observed, RequestId, Timestamp, UnitSeq};
use kit_link::{Durable, FactFrame, LogIdentity};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};
use uuid::Uuid;

use crate::error::{Act, WorkerError};
use crate::facts;
use crate::generations;
use crate::last_published;
pub use crate::naming::{Cause, Named};
use crate::truncate::truncated;

/// How long we wait for `status`, which reads the spool beside us.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Pages of the write-ahead log at which a commit also moves them into the file (16 MiB): that
/// costs a request tens of milliseconds, so it is mostly done between requests.
pub const WAL_PAGES_MAX: i64 = 4_000;
/// Statements kept prepared.
const STATEMENTS_CACHED: usize = 64;
/// Acknowledged facts are kept this long, to answer resends.
pub const ACKED_KEPT_DAYS: i64 = 4;
/// Old facts deleted at once, so that a request never waits for it.
const PRUNED_AT_ONCE: i64 = 1_000;

/// Bodies stand in tables with row ids: without them SQLite keeps a quarter of a page of a row and
/// puts the rest on a page of its own, which each look and each write then pays for. A spool that
/// an older agent made keeps its shape.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS facts (
    epoch INTEGER NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL,
    version INTEGER NOT NULL, time_ms INTEGER NOT NULL, subject TEXT, patient_id TEXT,
    causation_id TEXT, traceparent TEXT, body TEXT NOT NULL, PRIMARY KEY (epoch, seq)
);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
";

/// The spool, open.
pub struct Spool {
    conn: Connection,
    last: Cell<Option<Durable>>,
}

/// Everything that one step changes in the spool.
pub struct SpoolTx<'a> {
    tx: Transaction<'a>,
    spool: &'a Spool,
    last: Cell<Option<Durable>>,
}

impl Spool {
    /// Opens the spool, or makes an empty one, for its owner's eyes only: bodies stand in it.
    ///
    /// The file is no database.
    pub fn open(path: &Path) -> Result<Self, WorkerError> {
        // SQLite gives its own files beside it the same mode.
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(|source| WorkerError::File { path: path.to_owned(), source })?;
        let conn = Connection::open(path)
            .map_err(|source| WorkerError::Open { path: path.to_owned(), source })?;
        conn.busy_timeout(BUSY_WAIT).spool("setting the busy wait")?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
        conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
            .and_then(|()| conn.pragma_update(None, "wal_autocheckpoint", WAL_PAGES_MAX))
            .spool("setting up the connection")?;
        conn.execute_batch(SCHEMA).spool("making tables")?;
        conn.execute_batch(last_published::TABLE).spool("making the shadow")?;
        conn.execute_batch(generations::TABLE).spool("making the table of generations")?;
        let last = facts::last(&conn)?;
        Ok(Self { conn, last: Cell::new(last) })
    }

    /// Opens an existing spool beside its owner.
    ///
    /// It is missing or is no database.
    pub fn open_reader(path: &Path) -> Result<Connection, WorkerError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags)
            .map_err(|source| WorkerError::Open { path: path.to_owned(), source })?;
        conn.busy_timeout(BUSY_WAIT).spool("setting the busy wait")?;
        Ok(conn)
    }

    /// The connection, for reading.
    pub fn conn(&self) -> &Connection {
        &self.conn
    }

    /// The last fact numbered.
    pub fn last(&self) -> Option<Durable> {
        self.last.get()
    }

    /// The last number given; zero before any.
    pub fn last_seq(&self) -> UnitSeq {
        self.last.get().map_or(UnitSeq::ZERO, |last| last.seq)
    }

    /// Begins a transaction that will be durable when it commits.
    ///
    /// The spool is held by another program.
    pub fn begin(&self) -> Result<SpoolTx<'_>, WorkerError> {
        let tx = Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate)
            .spool("beginning a transaction")?;
        Ok(SpoolTx { tx, spool: self, last: Cell::new(self.last.get()) })
    }

    /// Begins a transaction that only reads, so that many small reads lock the file once.
    ///
    /// The spool refuses.
    pub fn begin_reading(&self) -> Result<Transaction<'_>, WorkerError> {
        Transaction::new_unchecked(&self.conn, TransactionBehavior::Deferred)
            .spool("beginning to read")
    }

    /// Writes what may be lost in a power cut: it commits without waiting for the disk, and the
    /// next durable commit carries it along.
    ///
    /// The spool refuses.
    pub fn lazily(
        &self,
        write: impl FnOnce(&SpoolTx<'_>) -> Result<(), WorkerError>,
    ) -> Result<(), WorkerError> {
        self.conn.execute_batch("PRAGMA synchronous = NORMAL").spool("relaxing")?;
        let outcome = self.begin().and_then(|tx| {
            write(&tx)?;
            tx.commit()
        });
        self.conn.execute_batch("PRAGMA synchronous = FULL").spool("tightening")?;
        outcome
    }

    /// A note by name.
    ///
    /// The spool refuses.
    pub fn note(&self, name: &str) -> Result<Option<String>, WorkerError> {
        read_note(&self.conn, name)
    }

    /// Whether the spool holds exactly this fact.
    ///
    /// The spool refuses.
    pub fn holds(&self, fact: &Durable) -> Result<bool, WorkerError> {
        self.conn
            .prepare_cached("SELECT 1 FROM facts WHERE epoch = ?1 AND seq = ?2 AND id = ?3")
            .and_then(|mut statement| {
                statement.exists((fact.seq.epoch, fact.seq.seq, fact.id.to_string()))
            })
            .spool("looking for a fact")
    }
}

impl SpoolTx<'_> {
    /// The transaction's connection, for the last published state.
    pub fn conn(&self) -> &Connection {
        &self.tx
    }

    /// The last number given so far.
    pub fn last_seq(&self) -> UnitSeq {
        self.last.get().map_or(UnitSeq::ZERO, |last| last.seq)
    }

    /// Gives a fact the next number of the epoch and stores it; `at` is when it happened.
    ///
    /// The spool refuses.
    pub fn number(
        &self,
        fact: impl Into<Named>,
        cause: &Cause,
        at: Timestamp,
    ) -> Result<FactFrame, WorkerError> {
        self.store(self.last_seq().next(), fact.into(), cause, at)
    }

    /// Stores the first fact of an epoch.
    ///
    /// The spool refuses.
    pub fn open_epoch(
        &self,
        epoch: u32,
        observed: Observed,
        now: Timestamp,
    ) -> Result<FactFrame, WorkerError> {
        self.store(UnitSeq::new(epoch, 1), observed.into(), &Cause::default(), now)
    }

    fn store(
        &self,
        seq: UnitSeq,
        fact: Named,
        cause: &Cause,
        at: Timestamp,
    ) -> Result<FactFrame, WorkerError> {
        let (body, text) = truncated(fact.body);
        let frame = FactFrame {
            seq,
            id: Uuid::new_v4(),
            type_name: fact.type_name,
            version: fact.version,
            time: at,
            subject: Some(fact.subject),
            patient_id: fact.patient_id,
            causation_id: cause.request_id.clone(),
            traceparent: cause.traceparent.clone(),
            body,
        };
        self.tx
            .prepare_cached("INSERT INTO facts VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)")
            .and_then(|mut statement| {
                statement.execute((
                    frame.seq.epoch,
                    frame.seq.seq,
                    frame.id.to_string(),
                    &frame.type_name,
                    frame.version,
                    frame.time.unix_ms(),
                    &frame.subject,
                    frame.patient_id.map(|id| id.to_string()),
                    frame.causation_id.as_ref().map(RequestId::as_str),
                    &frame.traceparent,
                    text,
                ))
            })
            .spool("storing a fact")?;
        self.last.set(Some(Durable { seq, id: frame.id }));
        Ok(frame)
    }

    /// Renames an epoch that never left the clinic: its numbers stay, its epoch becomes `to`.
    ///
    /// The spool refuses.
    pub fn rename_epoch(&self, from: u32, to: u32) -> Result<(), WorkerError> {
        for sql in [
            "UPDATE facts SET epoch = ?2 WHERE epoch = ?1",
            "UPDATE shadow SET epoch = ?2 WHERE epoch = ?1",
        ] {
            self.tx.execute(sql, (from, to)).spool("renaming an epoch")?;
        }
        if let Some(last) = self.last.get().filter(|last| last.seq.epoch == from) {
            self.last.set(Some(Durable { seq: UnitSeq::new(to, last.seq.seq), id: last.id }));
        }
        Ok(())
    }

    /// Puts another body into a fact that never left the clinic.
    ///
    /// The spool refuses.
    pub fn rewrite(&self, seq: UnitSeq, body: &serde_json::Value) -> Result<(), WorkerError> {
        self.tx
            .execute(
                "UPDATE facts SET body = ?3 WHERE epoch = ?1 AND seq = ?2",
                (seq.epoch, seq.seq, body.to_string()),
            )
            .map(drop)
            .spool("rewriting a fact")
    }

    /// Writes a note.
    ///
    /// The spool refuses.
    pub fn set_note(&self, name: &str, value: &str) -> Result<(), WorkerError> {
        self.run("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", (name, value))
    }

    /// Removes a note.
    ///
    /// The spool refuses.
    pub fn remove_note(&self, name: &str) -> Result<(), WorkerError> {
        self.run("DELETE FROM meta WHERE name = ?1", [name])
    }

    /// Deletes some facts that were acknowledged and are older than [`ACKED_KEPT_DAYS`], but never
    /// the last acknowledged one, by which a connection resumes.
    ///
    /// The spool refuses.
    pub fn prune(&self, acked: UnitSeq, now: Timestamp) -> Result<(), WorkerError> {
        let before_ms = now.plus_ms(-ACKED_KEPT_DAYS * 24 * 60 * 60 * 1000).unix_ms();
        self.run(
            "DELETE FROM facts WHERE (epoch, seq) IN
             (SELECT epoch, seq FROM facts WHERE (epoch, seq) < (?1, ?2) AND time_ms < ?3
              ORDER BY epoch, seq LIMIT ?4)",
            (acked.epoch, acked.seq, before_ms, PRUNED_AT_ONCE),
        )
    }

    /// Makes it durable.
    ///
    /// The disk refuses.
    pub fn commit(self) -> Result<(), WorkerError> {
        self.tx.commit().spool("committing")?;
        self.spool.last.set(self.last.get());
        Ok(())
    }

    fn run(&self, sql: &str, params: impl rusqlite::Params) -> Result<(), WorkerError> {
        self.tx
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params))
            .map(drop)
            .spool("writing")
    }
}

/// A note by name, on any connection to a spool.
///
/// The spool refuses.
pub fn read_note(conn: &Connection, name: &str) -> Result<Option<String>, WorkerError> {
    conn.prepare_cached("SELECT value FROM meta WHERE name = ?1")
        .and_then(|mut statement| statement.query_row([name], |row| row.get(0)).optional())
        .spool("reading a note")
}

/// A log's identity and a position, as a note holds them.
#[must_use]
pub fn cursor_note(log: &LogIdentity, next: i64) -> String {
    format!("{next} {}", log.0)
}

/// Reads [`cursor_note`] back.
#[must_use]
pub fn read_cursor_note(note: &str) -> Option<(LogIdentity, i64)> {
    let (next, log) = note.split_once(' ')?;
    Some((LogIdentity(log.to_owned()), next.parse().ok()?))
}
