//! What fails at the log's border, and what a caller may do about it.

use kit_body::{BodyError, RegistryError};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::config::Topic;

/// How long a schema id may be unknown before the record that bears it is at fault. Ids are given
/// out before the first record bears them, so only a registry whose nodes trail each other is
/// waited for.
pub const UNKNOWN_ID_MS_MAX: u64 = 2_000;

/// The log could not be reached or read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BusError {
    /// A client could not be made from the configuration.
    #[error("preparing the Kafka client {client}")]
    Client {
        /// Which client.
        client: String,
        /// Why.
        #[source]
        source: KafkaError,
    },
    /// The brokers did not answer in time.
    #[error("asking the brokers at {brokers} for their topics")]
    Metadata {
        /// Which brokers.
        brokers: String,
        /// Why.
        #[source]
        source: KafkaError,
    },
    /// The brokers did not say which cluster they are.
    #[error("asking the brokers at {brokers} for the id of their cluster")]
    ClusterId {
        /// Which brokers.
        brokers: String,
    },
    /// Topics are not there; `arteria topics apply` creates them.
    #[error("topics are missing: {}; create them with `arteria topics apply`", names.join(", "))]
    TopicsMissing {
        /// Which ones.
        names: Vec<String>,
    },
    /// A topic's partition count is not the one that is set; it is frozen at creation.
    #[error("topic {name} has {found} partitions, the setting asks for {wanted}")]
    Partitions {
        /// Which topic.
        name: String,
        /// What it has.
        found: i32,
        /// What is set.
        wanted: i32,
    },
    /// A partition that the topic does not have.
    #[error("{topic:?} has no partition {partition}")]
    NoSuchPartition {
        /// Which topic.
        topic: Topic,
        /// Which partition.
        partition: i32,
    },
    /// A topic could not be created or described.
    #[error("creating or describing topic {name}")]
    Admin {
        /// Which topic.
        name: String,
        /// Why.
        #[source]
        source: KafkaError,
    },
    /// The ends of a partition could not be asked for.
    #[error("asking for the ends of {topic:?} partition {partition}")]
    Watermarks {
        /// Which topic.
        topic: Topic,
        /// Which partition.
        partition: i32,
        /// Why.
        #[source]
        source: KafkaError,
    },
    /// The ends of a topic could not be asked for.
    #[error("asking for the ends of {topic:?}")]
    Ends {
        /// Which topic.
        topic: Topic,
        /// Why.
        #[source]
        source: KafkaError,
    },
    /// Partitions could not be given to a reader, or taken from it.
    #[error("assigning partitions of {topic:?} to reader {reader}")]
    Assign {
        /// Which reader.
        reader: String,
        /// Which topic.
        topic: Topic,
        /// Why.
        #[source]
        source: KafkaError,
    },
    /// A reader that tells the ends of partitions can read one topic at a time only, because the
    /// client names a partition's end without its topic.
    #[error("reader {reader} reads another topic than {topic:?} already")]
    MixedTopics {
        /// Which reader.
        reader: String,
        /// Which topic.
        topic: Topic,
    },
    /// Reading failed. librdkafka goes on by itself where `fatal` is not set.
    #[error("reading as {reader}")]
    Read {
        /// Which reader.
        reader: String,
        /// Whether the reader is of no further use.
        fatal: bool,
        /// Why.
        #[source]
        source: KafkaError,
    },
    /// The thread of a reader could not be started.
    #[error("starting the thread of reader {reader}")]
    Thread {
        /// Which reader.
        reader: String,
    },
    /// A blocking call did not come back in its time, or the runtime is shutting down.
    #[error("{what} did not finish in time")]
    Deadline {
        /// Which call.
        what: &'static str,
    },
    /// The schema registry's client could not be made.
    #[error("preparing the schema registry")]
    Registry(#[from] RegistryError),
}

/// A record could not be put on the log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PublishError {
    /// The schema refuses the body, and always will.
    #[error("{type_name} v{version}: the body does not fit its schema")]
    Body {
        /// Which type.
        type_name: String,
        /// Which version.
        version: u32,
        /// Where and why.
        #[source]
        source: BodyError,
    },
    /// The broker will not take this record, however often it is sent.
    #[error("the broker refuses a record of {type_name}")]
    Refused {
        /// Which type.
        type_name: String,
        /// Why.
        #[source]
        source: KafkaError,
    },
    /// The schema is not at hand.
    #[error("finding the schema of {type_name} v{version}")]
    Schema {
        /// Which type.
        type_name: String,
        /// Which version.
        version: u32,
        /// Why.
        #[source]
        source: RegistryError,
    },
    /// The schema has not been asked for yet; `seal_fact` asks.
    #[error("the schema of {type_name} v{version} is not held yet")]
    SchemaNotHeld {
        /// Which type.
        type_name: String,
        /// Which version.
        version: u32,
    },
    /// The producer's queue is full: the brokers are slower than we are, or away.
    #[error("the producer's queue is full")]
    QueueFull,
    /// The broker did not confirm the record in time. It may be on the log or not; within this
    /// producer's life it is never there twice.
    #[error("delivering a record of {type_name}")]
    Undelivered {
        /// Which type.
        type_name: String,
        /// Why.
        #[source]
        source: KafkaError,
    },
    /// The producer is going away.
    #[error("the producer is gone")]
    Gone,
}

impl PublishError {
    /// Whether the same record will never be taken; everything else is worth waiting for.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        match self {
            Self::Body { .. } | Self::Refused { .. } => true,
            Self::Schema { source, .. } => !source.is_worth_waiting(),
            Self::SchemaNotHeld { .. }
            | Self::QueueFull
            | Self::Undelivered { .. }
            | Self::Gone => false,
        }
    }

    /// Whether the producer is of no further use, so that only a new process can publish again.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Undelivered { source, .. }
            if source.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal))
    }

    pub(crate) fn delivery(type_name: &str, source: KafkaError) -> Self {
        let type_name = type_name.to_owned();
        match source.rdkafka_error_code() {
            Some(RDKafkaErrorCode::QueueFull) => Self::QueueFull,
            Some(
                RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidRecord
                | RDKafkaErrorCode::InvalidMessage
                | RDKafkaErrorCode::InvalidMessageSize
                | RDKafkaErrorCode::InvalidTimestamp
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::TopicAuthorizationFailed,
            ) => Self::Refused { type_name, source },
            _ => Self::Undelivered { type_name, source },
        }
    }
}

/// A record could not be read as what it claims to be.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// No value at all: the key was forgotten.
    #[error("the record has no value")]
    Empty,
    /// Not the Confluent wire format.
    #[error("the value does not begin with a schema id")]
    NotFramed,
    /// The schema behind the id is not at hand.
    #[error("finding the schema of id {id}")]
    Schema {
        /// Which id.
        id: u32,
        /// Why.
        #[source]
        source: RegistryError,
    },
    /// The record's headers name another schema than stands behind its id: one of the two lies, so
    /// it is decoded with neither.
    #[error("schema id {id} is {held} in the registry, but the record names {named}")]
    Mismatch {
        /// Which id.
        id: u32,
        /// What the registry holds.
        held: String,
        /// What the record names.
        named: String,
    },
    /// As [`Self::Mismatch`], where no record of the log agrees with the registry: it is another
    /// registry, or one that lost its data. Nothing of it may be believed until it is the right one
    /// again.
    #[error(
        "no record agrees with the schema registry: id {id} is {held} there, and {named} on the log"
    )]
    OtherRegistry {
        /// Which id.
        id: u32,
        /// What the registry holds.
        held: String,
        /// What the record names.
        named: String,
    },
    /// The value is sealed, and there are no keys.
    #[error("the value is sealed and no keys are at hand")]
    NoKeys,
    /// The bytes are not a body of their schema.
    #[error("the value does not fit its schema {schema}")]
    Body {
        /// Which schema.
        schema: String,
        /// Where and why.
        #[source]
        source: BodyError,
    },
    /// A header that the record cannot do without is absent or malformed.
    #[error("header {name} is absent or malformed")]
    Header {
        /// Which header.
        name: &'static str,
    },
    /// The key is not a unit.
    #[error("the key is not a unit")]
    Key,
    /// A key has one partition; on another one its records would have a second order.
    #[error("the key belongs to partition {home}, not to {partition}")]
    ForeignPartition {
        /// Where the record is.
        partition: i32,
        /// Where its key belongs.
        home: i32,
    },
}

impl OpenError {
    /// Whether the same record may well be readable later: the registry is away, or is another one
    /// just now, or was not long asked for a schema that it does not know. Everything else is the
    /// record's own fault.
    #[must_use]
    pub fn is_worth_waiting(&self) -> bool {
        match self {
            Self::Schema { source: RegistryError::Unknown { for_ms, .. }, .. } => {
                *for_ms < UNKNOWN_ID_MS_MAX
            }
            Self::OtherRegistry { .. } => true,
            _ => self.is_registry_away(),
        }
    }

    /// Whether the registry is another one than the log's.
    #[must_use]
    pub fn is_other_registry(&self) -> bool {
        matches!(self, Self::OtherRegistry { .. })
    }

    /// Whether the registry does not answer; then waiting is right, however long it takes.
    #[must_use]
    pub fn is_registry_away(&self) -> bool {
        matches!(self, Self::Schema { source: RegistryError::Away { .. }, .. })
    }
}
