//! What can go wrong at a practice, named by the failed act.

use std::path::PathBuf;

/// The one error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum PracticeError {
    /// The clinic database could not be opened or has no schema.
    #[error("opening the clinic database {}", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The database belongs to software of another kind.
    #[error("{} has tables, and none named {table}: another practice's schema", path.display())]
    AnotherSchema {
        /// Which file.
        path: PathBuf,
        /// A table that the reference schema has.
        table: &'static str,
    },
    /// A statement was refused.
    #[error("{act}")]
    Sql {
        /// What was being done.
        act: &'static str,
        /// Why it failed.
        #[source]
        source: rusqlite::Error,
    },
    /// A column that the table does not have; names of columns are never passed on to SQL unseen.
    #[error("table {table} has no column {column}")]
    UnknownColumn {
        /// The table.
        table: &'static str,
        /// The column asked for.
        column: String,
    },
    /// No row with this key.
    #[error("no row {key} in {table}")]
    NoSuchRow {
        /// The table.
        table: &'static str,
        /// The key asked for.
        key: String,
    },
    /// A folder, file or archive could not be read.
    #[error("reading {}", path.display())]
    ReadFile {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Names the act that an SQL error interrupted.
pub(crate) fn during(act: &'static str) -> impl Fn(rusqlite::Error) -> PracticeError {
    move |source| PracticeError::Sql { act, source }
}
