//! Why a session ended, or a lane, and what follows from it.

use kit_body::RegistryError;
use kit_bus::{BusError, NamespaceError, OpenError, PublishError, ScanError};
use kit_store::StoreError;
use sqlx::migrate::MigrateError;

/// A session's end that nobody asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("working with Postgres")]
    Store(#[from] StoreError),
    #[error("working with the log")]
    Bus(#[from] BusError),
    #[error("reading what was told already")]
    Tail(#[from] ScanError),
    #[error("{act} took longer than {within_s} s")]
    Stalled { act: &'static str, within_s: u64 },
    #[error("the log's reader ended")]
    ReaderEnded,
    #[error("a task of the session ended")]
    TaskEnded,
    #[error("another publisher took over")]
    TakenOver,
    #[error("telling events of partition {partition}")]
    Publish {
        partition: i32,
        #[source]
        source: PublishError,
    },
}

/// What to do after a session's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Begin another session, after a pause: something is away and will come back.
    Again,
    /// End the process: another one does this work, or this one cannot.
    Stop,
}

impl SessionError {
    pub(crate) fn fate(&self) -> Fate {
        match self {
            Self::TakenOver => Fate::Stop,
            Self::Store(error) if error.is_foreign_owner() => Fate::Stop,
            Self::Store(StoreError::Url(_) | StoreError::OtherLog { .. }) => Fate::Stop,
            Self::Store(StoreError::Migrate { source, .. }) => match source {
                MigrateError::Execute(_) | MigrateError::ExecuteMigration(..) => Fate::Again,
                _ => Fate::Stop,
            },
            // What a dead producer still held is lost with it; only a new process has another.
            Self::Publish { source, .. } if source.is_fatal() => Fate::Stop,
            Self::Bus(BusError::Partitions { .. }) => Fate::Stop,
            Self::Store(_)
            | Self::Bus(_)
            | Self::Tail(_)
            | Self::Stalled { .. }
            | Self::ReaderEnded
            | Self::TaskEnded
            | Self::Publish { .. } => Fate::Again,
        }
    }
}

/// Why something cannot be told just now. It is worth waiting for, and never left out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Away {
    #[error("opening a record")]
    Open(#[source] OpenError),
    #[error("finding the public schema of {type_name}")]
    Schema {
        type_name: String,
        #[source]
        source: RegistryError,
    },
    #[error("creating the topic {topic}")]
    Topic {
        topic: &'static str,
        #[source]
        source: BusError,
    },
}

/// Why a fact will never be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("its body does not read as its type")]
    Body,
    #[error("its public form does not fit its schema")]
    Form(#[source] PublishError),
    #[error("naming its topic")]
    Namespace(#[from] NamespaceError),
}

/// Why a lane ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaneError {
    /// The session ends; the lane has nothing on its way any more.
    #[error("the session ends")]
    Over,
    /// The session cannot go on.
    #[error("the session cannot go on")]
    Session(#[from] SessionError),
}
