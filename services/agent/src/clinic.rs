//! The clinic database as a file: opening it, noticing that it changed, that its schema changed, or
//! that it is another file.
//!
//! It belongs to the practice, and the practice comes first. We never change its journal mode, hold
//! it for less than 50 ms at a time, and write only while no other program stands in a transaction
//! that our commit would hurt. In a database without a write-ahead log even reading locks, so there
//! we read without a lock, and believe only what was read while nobody wrote.

use std::cell::{Cell, OnceCell};
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior,
};

use crate::disk::{Disk, Stamp};
use crate::error::{Act, WorkerError};
use crate::instants;
use crate::spool::WAL_PAGES_MAX;

/// How long one try waits for another program at the start. A running agent does not wait inside
/// SQLite, where it would keep others out; it tries again, and goes on sending meanwhile.
pub const BUSY_WAIT: Duration = Duration::from_millis(25);
/// How long a request waits for another program that reads. Whoever reads and then writes is done
/// long before; a report, or a list that a program never closed, must not stop the unit's requests.
pub const READERS_WAIT: Duration = Duration::from_secs(5);
/// Statements kept prepared: a few for each mapped table.
const STATEMENTS_CACHED: usize = 64;

/// The clinic database, open for reading and writing.
pub struct Clinic {
    /// The connection.
    pub conn: Connection,
    /// Reads without locks, where there is no write-ahead log.
    unlocked: OnceCell<Connection>,
    disk: Disk,
    path: PathBuf,
    file: FileIdentity,
    held_since: Cell<Option<Instant>>,
    /// Whether the connection is set for a write-ahead log.
    set_for_wal: Cell<Option<bool>>,
}

/// A transaction that writes.
pub struct Writing<'a> {
    tx: Transaction<'a>,
    clinic: &'a Clinic,
}

impl Deref for Writing<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.tx
    }
}

impl Writing<'_> {
    /// Commits, unless another program began to read meanwhile: then nothing is written, and the
    /// whole comes again.
    ///
    /// # Errors
    /// The database is held, or refuses.
    pub fn commit(self, act: &'static str) -> Result<(), WorkerError> {
        self.clinic.wait_for_others()?;
        self.tx.commit().clinic(act)
    }
}

/// By which a file is told from another at the same path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    device: u64,
    inode: u64,
}

impl Clinic {
    /// Opens an existing clinic database.
    ///
    /// # Errors
    /// It is missing or is no database.
    pub fn open(path: &Path) -> Result<Self, WorkerError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let file = identity(path).ok_or(WorkerError::ClinicReplaced)?;
        let failed = |source| WorkerError::File { path: path.to_owned(), source };
        let disk = Disk::open(path).map_err(failed)?;
        let conn = open_connection(path, flags)?;
        // Foreign keys as SQLite has them by default, and as the practice's own software therefore
        // sees them.
        conn.execute_batch("PRAGMA foreign_keys = OFF;").clinic("setting up the connection")?;
        // Says when a commit of this connection also moves the write-ahead log into the file, where
        // the practice has one; its own connections keep their own habits.
        conn.pragma_update(None, "wal_autocheckpoint", WAL_PAGES_MAX)
            .clinic("setting up the connection")?;
        let clinic = Self {
            conn,
            unlocked: OnceCell::new(),
            disk,
            path: path.to_owned(),
            file,
            held_since: Cell::new(None),
            set_for_wal: Cell::new(None),
        };
        clinic.set_up()?;
        Ok(clinic)
    }

    /// Without a write-ahead log a commit must flush in between, or a power cut breaks the file.
    /// With one it need not, and keeps others out for less time: [`Clinic::flush`] does it after.
    fn set_up(&self) -> Result<(), WorkerError> {
        let has_wal = self.disk.has_wal();
        if self.set_for_wal.replace(Some(has_wal)) == Some(has_wal) {
            return Ok(());
        }
        let level = if has_wal { "NORMAL" } else { "FULL" };
        self.conn.pragma_update(None, "synchronous", level).clinic("setting up the connection")
    }

    /// From now on no try waits inside SQLite.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn wait_no_more(&self) -> Result<(), WorkerError> {
        self.conn.busy_timeout(Duration::ZERO).clinic("setting the busy wait")
    }

    /// Opens it for queries beside the writer.
    ///
    /// # Errors
    /// It is missing or is no database.
    pub fn open_reader(path: &Path) -> Result<Connection, WorkerError> {
        open_connection(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
    }

    /// What every commit changes; reading it takes no lock.
    pub fn stamp(&self) -> Stamp {
        self.disk.stamp()
    }

    /// Whether commits go into a write-ahead log.
    pub fn has_wal(&self) -> bool {
        self.disk.has_wal()
    }

    /// A number that changes when another connection commits; none where it cannot be asked without
    /// a lock that keeps others out.
    ///
    /// # Errors
    /// The database is busy.
    pub fn data_version(&self) -> Result<Option<i64>, WorkerError> {
        if !self.disk.has_wal() {
            return Ok(None);
        }
        pragma(&self.conn, "PRAGMA data_version").map(Some)
    }

    /// A number that changes with the schema.
    ///
    /// # Errors
    /// The database is busy.
    pub fn schema_version(&self) -> Result<i64, WorkerError> {
        self.read(|conn| pragma(conn, "PRAGMA schema_version"))
    }

    /// Brings everything that was committed onto the disk, whoever committed it.
    ///
    /// # Errors
    /// The disk fails.
    pub fn flush(&self) -> Result<(), WorkerError> {
        self.disk.flush().map_err(|source| WorkerError::Flush { path: self.path.clone(), source })
    }

    /// Whether the path leads to another file now, or to none.
    pub fn is_replaced(&self) -> bool {
        identity(&self.path) != Some(self.file)
    }

    /// Refuses while another program stands in a transaction that a commit of ours would hurt, but
    /// not for longer than [`READERS_WAIT`].
    ///
    /// # Errors
    /// It does.
    pub fn wait_for_others(&self) -> Result<(), WorkerError> {
        if !self.disk.is_held() {
            self.held_since.set(None);
            return Ok(());
        }
        let since = self.held_since.get().unwrap_or_else(Instant::now);
        self.held_since.set(Some(since));
        if since.elapsed() < READERS_WAIT { Err(WorkerError::Held) } else { Ok(()) }
    }

    /// Begins a transaction that will write.
    ///
    /// # Errors
    /// The database is busy, or another program reads.
    pub fn begin(&self) -> Result<Writing<'_>, WorkerError> {
        self.wait_for_others()?;
        self.set_up()?;
        let tx = Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate)
            .clinic("beginning a transaction")?;
        Ok(Writing { tx, clinic: self })
    }

    /// Reads in one transaction, so that several reads see one state, and keeps nobody out.
    ///
    /// # Errors
    /// The database is busy; somebody wrote meanwhile; what `read` finds.
    pub fn read<T>(
        &self,
        read: impl Fn(&Connection) -> Result<T, WorkerError>,
    ) -> Result<T, WorkerError> {
        if self.disk.has_wal() {
            return reading(&self.conn, &read);
        }
        let began = self.disk.has_journal();
        if self.disk.is_written() {
            return Err(WorkerError::Written);
        }
        if began && self.disk.has_journal() {
            // A program died in a commit, and whoever reads next takes its half back.
            return reading(&self.conn, &read);
        }
        let before = self.disk.header();
        let told = reading(self.unlocked()?, &read);
        let ended = self.disk.header();
        if self.disk.has_journal() || self.disk.is_written() || ended != before {
            return Err(WorkerError::Written);
        }
        match told {
            // Damaged, or just in between: reading it by the rules tells.
            Err(WorkerError::Clinic { source, .. } | WorkerError::Unreadable { source, .. })
                if is_of_the_file(&source) =>
            {
                reading(&self.conn, &read)
            }
            told => told,
        }
    }

    /// The connection that takes no locks. Its end drops those of this process on the file, so it
    /// ends only with the one that writes.
    fn unlocked(&self) -> Result<&Connection, WorkerError> {
        if let Some(conn) = self.unlocked.get() {
            return Ok(conn);
        }
        let mut uri = String::from("file:");
        for byte in self.path.as_os_str().as_encoded_bytes() {
            if byte.is_ascii_alphanumeric() || b"/-_.".contains(byte) {
                uri.push(char::from(*byte));
            } else {
                uri.push_str(&format!("%{byte:02X}"));
            }
        }
        uri.push_str("?nolock=1");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = open_connection(Path::new(&uri), flags)?;
        Ok(self.unlocked.get_or_init(|| conn))
    }
}

fn is_of_the_file(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
        )
    )
}

fn reading<T>(
    conn: &Connection,
    read: &impl Fn(&Connection) -> Result<T, WorkerError>,
) -> Result<T, WorkerError> {
    let tx = Transaction::new_unchecked(conn, TransactionBehavior::Deferred)
        .clinic("beginning to read")?;
    read(&tx)
}

/// The restore marker that our last transaction on this database left in it; none before the first.
///
/// # Errors
/// The database is busy.
pub fn mark(conn: &Connection) -> Result<Option<String>, WorkerError> {
    conn.prepare_cached("SELECT nonce FROM arteria_mark")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)).optional())
        .clinic("reading the mark")
}

/// Leaves a restore marker in the database.
///
/// # Errors
/// The database is busy or refuses.
pub fn set_mark(conn: &Connection, marker: &str) -> Result<(), WorkerError> {
    conn.prepare_cached("INSERT OR REPLACE INTO arteria_mark (one, nonce) VALUES (1, ?1)")
        .and_then(|mut statement| statement.execute([marker]))
        .map(drop)
        .clinic("writing the mark")
}

fn open_connection(path: &Path, flags: OpenFlags) -> Result<Connection, WorkerError> {
    let conn = Connection::open_with_flags(path, flags)
        .map_err(|source| WorkerError::Open { path: path.to_owned(), source })?;
    conn.busy_timeout(BUSY_WAIT).clinic("setting the busy wait")?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    instants::install(&conn).clinic("adding a function to the connection")?;
    Ok(conn)
}

fn pragma(conn: &Connection, sql: &str) -> Result<i64, WorkerError> {
    conn.prepare_cached(sql)
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .clinic("reading a version")
}

/// Which file stands at a path; none where none does.
pub(crate) fn identity(path: &Path) -> Option<FileIdentity> {
    let meta = std::fs::metadata(path).ok()?;
    Some(FileIdentity { device: meta.dev(), inode: meta.ino() })
}
