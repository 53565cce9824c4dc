//! Where the log is, and what its topics are called.

use crate::namespace::{self, Namespace};

/// Partitions of every topic keyed by unit, where nothing else is set. 64 partitions keep a unit's
/// neighbours few at 500 units and a scan short at 50,000, and the count is frozen once created.
pub const PARTITIONS: i32 = 64;

/// Where the log and the registry are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusConfig {
    /// Bootstrap brokers, as `127.0.0.1:9092`.
    pub brokers: String,
    /// The registry with its path, as `http://127.0.0.1:8085/apis/ccompat/v7`.
    pub registry_url: String,
    /// Stands before every topic's name (tests that own their topics); empty otherwise.
    pub topic_prefix: String,
    /// The partition count of every topic.
    pub partitions: i32,
}

/// A topic of the house.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// Requests and controls for a unit.
    Requests,
    /// Outcomes and answers, to the partition that the asking gateway named.
    Replies,
    /// The record: each unit's own numbered facts, nothing else.
    Facts,
    /// Who is connected where, and what is durable; compacted.
    Presence,
    /// Records that could not be read, with cause and origin.
    Parked,
    /// Public, minimised events of one namespace, for analysts and integrators.
    Domain(Namespace),
}

impl Topic {
    /// Every topic that is there whatever the domains are.
    pub const ALL: [Self; 5] =
        [Self::Requests, Self::Replies, Self::Facts, Self::Presence, Self::Parked];

    /// Its name without a prefix.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "unit.requests",
            Self::Replies => "unit.replies",
            Self::Facts => "unit.facts",
            Self::Presence => "unit.presence",
            Self::Parked => "parked",
            Self::Domain(namespace) => namespace.topic(),
        }
    }

    /// The topic that is called so on the broker, where it is one of the house.
    #[must_use]
    pub fn of_name(prefix: &str, name: &str) -> Option<Self> {
        let name = name.strip_prefix(prefix)?;
        let fixed = Self::ALL.into_iter().find(|topic| topic.as_str() == name);
        fixed.or_else(|| {
            let namespace = name.strip_prefix(namespace::BEFORE)?;
            namespace.parse().ok().map(Self::Domain)
        })
    }

    /// Its name on the broker.
    #[must_use]
    pub fn name(self, prefix: &str) -> String {
        format!("{prefix}{}", self.as_str())
    }
}
