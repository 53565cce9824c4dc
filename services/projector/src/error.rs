//! Why a domain's session ended, and what follows from it.

use kit_bus::{BusError, OpenError, PublishError, Topic};
use kit_store::StoreError;
use sqlx::migrate::MigrateError;

/// A session's end that nobody asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("working with Postgres")]
    Store(#[from] StoreError),
    #[error("reading the log")]
    Bus(#[from] BusError),
    #[error("parking the record at {topic:?} {partition}/{offset}")]
    Park {
        topic: Topic,
        partition: i32,
        offset: i64,
        // Boxed because every result of a session would be as large as its rarest end.
        #[source]
        source: Box<PublishError>,
    },
    #[error("{act} took longer than {within_s} s")]
    Stalled { act: &'static str, within_s: u64 },
    #[error("the log's reader ended")]
    ReaderEnded,
    #[error("waiting for the schema registry")]
    RegistryAway(#[source] OpenError),
    #[error("the schema registry is not the one that the log was written with")]
    OtherRegistry(#[source] OpenError),
    #[error("{topic:?} {partition} has offsets {low} to {high}, and {offset} is the next to read")]
    OutOfRange { topic: Topic, partition: i32, offset: i64, low: i64, high: i64 },
}

/// What to do after a session's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Begin another session at once: another copy of the tables is the live one.
    Follow,
    /// Begin another session, after a pause: something is away and will come back.
    Again,
    /// Read nothing more until people have looked; other domains go on.
    Halt,
    /// End the process: another one does this work, or this one cannot.
    Stop,
}

impl SessionError {
    pub(crate) fn fate(&self) -> Fate {
        match self {
            Self::Store(error) if error.is_foreign_owner() => Fate::Stop,
            Self::Store(StoreError::OtherCopy) => Fate::Follow,
            Self::Store(StoreError::OtherLog { .. }) => Fate::Halt,
            Self::Store(StoreError::Url(_)) => Fate::Stop,
            Self::Store(StoreError::Migrate { source, .. }) => match source {
                MigrateError::Execute(_) | MigrateError::ExecuteMigration(..) => Fate::Again,
                _ => Fate::Stop,
            },
            Self::Store(_)
            | Self::Bus(_)
            | Self::Park { .. }
            | Self::Stalled { .. }
            | Self::ReaderEnded
            | Self::RegistryAway(_)
            | Self::OtherRegistry(_) => Fate::Again,
            Self::OutOfRange { .. } => Fate::Halt,
        }
    }
}

/// What a record that does not open means for its reader.
pub(crate) enum Unopened {
    /// The record is at fault: it counts as not received.
    Unreadable(OpenError),
    /// The session cannot go on.
    Session(SessionError),
}

impl From<OpenError> for Unopened {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::OtherRegistry { .. } => Self::Session(SessionError::OtherRegistry(error)),
            _ if error.is_registry_away() => Self::Session(SessionError::RegistryAway(error)),
            // Here an id that the registry does not know is no reason to wait, for all units would:
            // a fact's number stays open until the unit sends it again.
            _ => Self::Unreadable(error),
        }
    }
}
