//! What can fail at the two files of the agent, and what the caller does about it.

use std::path::PathBuf;

use crate::failpoints::Stopped;
use crate::mapping::MappingError;

/// A failed act at the clinic database or at the spool.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A file could not be opened.
    #[error("opening {path}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rusqlite::Error,
    },
    /// The clinic database refused or failed; busy is retried.
    #[error("clinic database: {act}")]
    Clinic {
        /// What was being done.
        act: &'static str,
        /// Why it failed.
        #[source]
        source: rusqlite::Error,
    },
    /// One table of the practice cannot be read, while others can.
    #[error("clinic database: the table {table} cannot be read")]
    Unreadable {
        /// Which table.
        table: String,
        /// Why not.
        #[source]
        source: rusqlite::Error,
    },
    /// The spool failed.
    #[error("spool: {act}")]
    Spool {
        /// What was being done.
        act: &'static str,
        /// Why it failed.
        #[source]
        source: rusqlite::Error,
    },
    /// Another program stands in a transaction that a commit of ours would hurt; retried.
    #[error("another program reads the clinic database")]
    Held,
    /// Another program wrote while we read without a lock; retried.
    #[error("another program writes into the clinic database")]
    Written,
    /// What was committed could not be brought onto the disk.
    #[error("flushing {path}")]
    Flush {
        /// Which database.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A record of our own in the spool does not read; the file was damaged or edited.
    #[error("spool: {what} does not read")]
    SpoolContent {
        /// Which record.
        what: &'static str,
    },
    /// The file at the clinic database's path is another one now, or none.
    #[error("the clinic database was replaced")]
    ClinicReplaced,
    /// The clinic database went back to an earlier state while we ran.
    #[error("the clinic database went back to an earlier state")]
    ClinicWentBack,
    /// The mapping file does not read.
    #[error("reading the mapping")]
    Mapping(#[from] MappingError),
    /// A secret or lock file could not be read or made.
    #[error("reading or making {path}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A test stopped the agent here.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl WorkerError {
    /// Whether another program holds the clinic database just now: nothing is wrong, try again.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        match self {
            Self::Clinic { source, .. } => is_busy(source),
            Self::Held | Self::Written => true,
            _ => false,
        }
    }

    /// Whether only a write has to wait: another program reads, and reading beside it is free.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Held)
    }

    /// Whether the clinic side must be opened again from its files.
    #[must_use]
    pub fn wants_reopening(&self) -> bool {
        matches!(self, Self::ClinicReplaced | Self::ClinicWentBack)
    }
}

/// Whether SQLite says that another connection holds the file.
#[must_use]
pub fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
    )
}

/// Whether SQLite would say the same at the next try, while nothing is wrong with the computer.
#[must_use]
pub fn is_lasting(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{
        CannotOpen, DiskFull, NotADatabase, OperationInterrupted, OutOfMemory, PermissionDenied,
        ReadOnly, SchemaChanged, SystemIoFailure,
    };
    !is_busy(error)
        && !matches!(
            error.sqlite_error_code(),
            None | Some(
                CannotOpen
                    | DiskFull
                    | NotADatabase
                    | OperationInterrupted
                    | OutOfMemory
                    | PermissionDenied
                    | ReadOnly
                    | SchemaChanged
                    | SystemIoFailure
            )
        )
}

/// Names the act that failed, at the file where it failed.
pub trait Act<T> {
    /// At the clinic database.
    ///
    /// # Errors
    /// The failure, with the act.
    fn clinic(self, act: &'static str) -> Result<T, WorkerError>;
    /// At the spool.
    ///
    /// # Errors
    /// The failure, with the act.
    fn spool(self, act: &'static str) -> Result<T, WorkerError>;
}

impl<T> Act<T> for Result<T, rusqlite::Error> {
    fn clinic(self, act: &'static str) -> Result<T, WorkerError> {
        self.map_err(|source| WorkerError::Clinic { act, source })
    }

    fn spool(self, act: &'static str) -> Result<T, WorkerError> {
        self.map_err(|source| WorkerError::Spool { act, source })
    }
}
