//! The clinic database as a file: opening it, noticing that it changed, that its schema changed, or
//! that it is another file.
//!
//! It belongs to the practice. We never change its journal mode, wait for it only briefly, and hold
//! it for less than 50 ms at a time.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};

use crate::error::{Act, StationError};
use crate::instants;
use crate::spool::WAL_PAGES_MAX;

/// How long one try waits for another program. Longer waits are made of many tries, so that the
/// thread goes on sending and acknowledging meanwhile.
pub const BUSY_WAIT: Duration = Duration::from_millis(25);
/// Statements kept prepared: a few for each mapped table.
const STATEMENTS_CACHED: usize = 64;

/// The clinic database, open for reading and writing.
pub struct Clinic {
    /// The connection.
    pub conn: Connection,
    path: PathBuf,
    file: FileIdentity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileIdentity {
    device: u64,
    inode: u64,
}

impl Clinic {
    /// Opens an existing clinic database.
    ///
    /// # Errors
    /// It is missing or is no database.
    pub fn open(path: &Path) -> Result<Self, StationError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = open_connection(path, flags)?;
        // FULL: what we acknowledge survives a power cut. Foreign keys as SQLite has them by
        // default, and as the practice's own software therefore sees them.
        conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF;")
            .clinic("setting up the connection")?;
        // Says when a commit of this connection also moves the write-ahead log into the file, where
        // the practice has one; its own connections keep their own habits.
        conn.pragma_update(None, "wal_autocheckpoint", WAL_PAGES_MAX)
            .clinic("setting up the connection")?;
        let file = identity(path).ok_or(StationError::ClinicReplaced)?;
        Ok(Self { conn, path: path.to_owned(), file })
    }

    /// Opens it for queries beside the writer.
    ///
    /// # Errors
    /// It is missing or is no database.
    pub fn open_reader(path: &Path) -> Result<Connection, StationError> {
        open_connection(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
    }

    /// A number that changes when another connection commits.
    ///
    /// # Errors
    /// The database is busy.
    pub fn data_version(&self) -> Result<i64, StationError> {
        pragma(&self.conn, "PRAGMA data_version")
    }

    /// A number that changes with the schema.
    ///
    /// # Errors
    /// The database is busy.
    pub fn schema_version(&self) -> Result<i64, StationError> {
        pragma(&self.conn, "PRAGMA schema_version")
    }

    /// Whether the path leads to another file now, or to none.
    pub fn is_replaced(&self) -> bool {
        identity(&self.path) != Some(self.file)
    }

    /// Begins a transaction that will write.
    ///
    /// # Errors
    /// The database is busy.
    pub fn begin(&self) -> Result<Transaction<'_>, StationError> {
        Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate)
            .clinic("beginning a transaction")
    }

    /// Begins a transaction that only reads, so that several reads see one state.
    ///
    /// # Errors
    /// The database is busy.
    pub fn begin_reading(&self) -> Result<Transaction<'_>, StationError> {
        Transaction::new_unchecked(&self.conn, TransactionBehavior::Deferred)
            .clinic("beginning to read")
    }
}

/// The nonce that our last transaction on this database left in it; none before the first.
///
/// # Errors
/// The database is busy.
pub fn mark(conn: &Connection) -> Result<Option<String>, StationError> {
    conn.prepare_cached("SELECT nonce FROM arteria_mark")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)).optional())
        .clinic("reading the mark")
}

/// Leaves a nonce in the database.
///
/// # Errors
/// The database is busy or refuses.
pub fn set_mark(conn: &Connection, nonce: &str) -> Result<(), StationError> {
    conn.prepare_cached("INSERT OR REPLACE INTO arteria_mark (one, nonce) VALUES (1, ?1)")
        .and_then(|mut statement| statement.execute([nonce]))
        .map(drop)
        .clinic("writing the mark")
}

fn open_connection(path: &Path, flags: OpenFlags) -> Result<Connection, StationError> {
    let conn = Connection::open_with_flags(path, flags)
        .map_err(|source| StationError::Open { path: path.to_owned(), source })?;
    conn.busy_timeout(BUSY_WAIT).clinic("setting the busy wait")?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    instants::install(&conn).clinic("adding a function to the connection")?;
    Ok(conn)
}

fn pragma(conn: &Connection, sql: &str) -> Result<i64, StationError> {
    conn.prepare_cached(sql)
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .clinic("reading a version")
}

fn identity(path: &Path) -> Option<FileIdentity> {
    let meta = std::fs::metadata(path).ok()?;
    Some(FileIdentity { device: meta.dev(), inode: meta.ino() })
}
