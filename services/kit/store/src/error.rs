//! What can go wrong between a reader and its tables.

use kit_event::UnitSeq;
use sqlx::migrate::MigrateError;

/// A failed act on Postgres; the caller learns from [`StoreError::is_refused_data`] and
/// [`StoreError::is_foreign_owner`] whether to wait, to set a fact aside, or to stop.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL is no Postgres URL.
    #[error("reading the Postgres URL")]
    Url(#[source] sqlx::Error),
    /// No connection.
    #[error("connecting to Postgres as {application}")]
    Connect {
        /// The name that Postgres shows for the connection.
        application: String,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// No connection in time.
    #[error("connecting to Postgres as {application} took longer than {within_s} s")]
    ConnectTimeout {
        /// The name that Postgres shows for the connection.
        application: String,
        /// The limit.
        within_s: u64,
    },
    /// The schema could not be created under its lock.
    #[error("creating schema {schema}")]
    CreateSchema {
        /// Which.
        schema: String,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// A migration failed, or one that was applied has changed since.
    #[error("migrating schema {schema}")]
    Migrate {
        /// Which.
        schema: String,
        /// Why.
        #[source]
        source: MigrateError,
    },
    /// A statement that reads failed.
    #[error("reading {what}")]
    Read {
        /// What was read.
        what: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// A statement that writes failed.
    #[error("writing {what}")]
    Write {
        /// What was written.
        what: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// A stored value is not what this version wrote.
    #[error("a stored {what} does not read back")]
    Unreadable {
        /// Which value.
        what: &'static str,
    },
    /// A position is not the one that this reader wrote last.
    #[error("{moved} of {wanted} positions stood where this reader left them: it is not alone")]
    ForeignOwner {
        /// Positions that were moved.
        moved: u64,
        /// Positions that should have been.
        wanted: u64,
    },
    /// The tables under the domain's name are another copy: it was rebuilt, or went back.
    #[error("the tables are no longer those that this reader began with")]
    OtherCopy,
    /// The rows came from another log than the one at hand.
    #[error("the tables hold what the log of Kafka cluster {stored} told, and this is {found}")]
    OtherLog {
        /// The cluster that the rows came from.
        stored: String,
        /// The cluster that would be read now.
        found: String,
    },
    /// A page's cursor is not one that the page before gave.
    #[error("the cursor is not one that a page gave")]
    BadCursor,
    /// A number too great to be stored.
    #[error("the number {0} is too great")]
    NumberTooGreat(UnitSeq),
}

impl StoreError {
    /// Whether Postgres refused the data itself (classes 22, 23 and 54: a value out of range, a
    /// constraint, an index entry too long). Another try gives the same; another fact may pass.
    #[must_use]
    pub fn is_refused_data(&self) -> bool {
        let (Self::Write { source, .. } | Self::Read { source, .. }) = self else { return false };
        let code = source.as_database_error().and_then(sqlx::error::DatabaseError::code);
        code.is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
    }

    /// Whether a lock was not to be had in time, because somebody else held one.
    #[must_use]
    pub fn is_locked_out(&self) -> bool {
        let (Self::Write { source, .. } | Self::Read { source, .. }) = self else { return false };
        let code = source.as_database_error().and_then(sqlx::error::DatabaseError::code);
        // lock_not_available, and query_canceled by the statement's own time-out.
        code.is_some_and(|code| code == "55P03" || code == "57014")
    }

    /// Whether somebody else reads for the same domain.
    #[must_use]
    pub fn is_foreign_owner(&self) -> bool {
        matches!(self, Self::ForeignOwner { .. })
    }
}

/// Names the act of a failed statement.
pub trait Act<T> {
    /// The statement was reading `what`.
    ///
    /// # Errors
    /// The statement's error under that name.
    fn reading(self, what: &'static str) -> Result<T, StoreError>;
    /// The statement was writing `what`.
    ///
    /// # Errors
    /// The statement's error under that name.
    fn writing(self, what: &'static str) -> Result<T, StoreError>;
}

impl<T> Act<T> for Result<T, sqlx::Error> {
    fn reading(self, what: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Read { what, source })
    }

    fn writing(self, what: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Write { what, source })
    }
}
