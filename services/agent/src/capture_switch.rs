//! The capture switch: one row in the clinic database that lets triggers write, or not.
//!
//! It closes by itself when the outbox is full, is closed by the agent when the disk is nearly
//! full, and by people with `capture off`. Whenever it opens again, rows may have changed unseen,
//! so it opens with a command to compare.

use std::path::Path;

use rusqlite::Connection;

use crate::error::{Act, WorkerError};

/// Free disk below which capture stops: the practice needs what is left more than we do.
pub const DISK_FREE_BYTES_MIN: u64 = 500 * 1024 * 1024;
/// Free disk above which it goes on, so that the capture switch does not flap.
pub const DISK_FREE_BYTES_ENOUGH: u64 = 600 * 1024 * 1024;

/// Why the capture switch is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The outbox was full.
    OutboxFull,
    /// The disk was nearly full.
    DiskFull,
    /// Somebody said `capture off`.
    Off,
    /// Somebody said `capture remove`: the triggers are gone too.
    Removed,
}

impl Closed {
    /// The word in the capture switch's row.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OutboxFull => "outbox-full",
            Self::DiskFull => "disk-full",
            Self::Off => "off",
            Self::Removed => "removed",
        }
    }

    fn parse(word: &str) -> Self {
        [Self::OutboxFull, Self::DiskFull, Self::Removed]
            .into_iter()
            .find(|closed| closed.as_str() == word)
            .unwrap_or(Self::Off)
    }
}

/// The capture switch as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureSwitch {
    /// Why it is closed; none when it is open.
    pub closed: Option<Closed>,
    /// Whether it was opened since rows were last compared.
    pub compare: bool,
}

impl CaptureSwitch {
    /// Whether triggers should stand in the practice's tables.
    #[must_use]
    pub fn wants_triggers(self) -> bool {
        self.closed != Some(Closed::Removed)
    }

    /// The word for people.
    pub fn word(self) -> &'static str {
        self.closed.map_or("open", Closed::as_str)
    }
}

/// Reads the capture switch.
///
/// The clinic database is busy.
pub fn read(conn: &Connection) -> Result<CaptureSwitch, WorkerError> {
    conn.prepare_cached("SELECT open, cause, compare FROM arteria_gate")
        .and_then(|mut statement| {
            statement.query_row([], |row| {
                let (open, cause): (bool, String) = (row.get(0)?, row.get(1)?);
                let closed = (!open).then(|| Closed::parse(&cause));
                Ok(CaptureSwitch { closed, compare: row.get(2)? })
            })
        })
        .clinic("reading the gate")
}

/// Closes the capture switch.
///
/// The clinic database is busy or refuses.
pub fn close(conn: &Connection, why: Closed) -> Result<(), WorkerError> {
    conn.execute("UPDATE arteria_gate SET open = 0, cause = ?1", [why.as_str()])
        .map(drop)
        .clinic("closing the gate")
}

/// Opens the capture switch; rows will be compared.
///
/// The clinic database is busy or refuses.
pub fn open(conn: &Connection) -> Result<(), WorkerError> {
    conn.execute("UPDATE arteria_gate SET open = 1, cause = '', compare = 1", [])
        .map(drop)
        .clinic("opening the gate")
}

/// Notes that the comparison has begun.
///
/// The clinic database is busy or refuses.
pub fn comparing(conn: &Connection) -> Result<(), WorkerError> {
    conn.execute("UPDATE arteria_gate SET compare = 0", [])
        .map(drop)
        .clinic("noting the comparison")
}

/// Free bytes on the disk that holds `dir`, for programs like ours; none where it cannot be told.
#[must_use]
pub fn disk_free_bytes(dir: &Path) -> Option<u64> {
    let disk = nix::sys::statvfs::statvfs(dir).ok()?;
    Some(disk.blocks_available() as u64 * disk.fragment_size() as u64)
}
