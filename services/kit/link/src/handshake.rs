//! The first frame each way: who connects and where it stands, and from where both go on.

use kit_event::{Timestamp, UnitId, UnitSeq};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A place in the log of requests: everything below `next` is done with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The log that the position is of; another log means a gap.
    pub log: LogIdentity,
    /// The next position that the unit has not done with.
    pub next: i64,
}

/// Which log: `<cluster id>/<topic>/<partition>`, compared as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogIdentity(pub String);

/// Who connects, and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// A JWT that the agent signed itself: `aud` `unit.v1`, `sub` the unit, at most 5 minutes.
    pub token: String,
    /// Protocol versions that the agent speaks, best first.
    pub versions: Vec<String>,
    /// The agent's own version, for the fleet view.
    pub agent_version: String,
    /// Request types that the agent's domains read.
    pub request_types: Vec<String>,
    /// Whether capture sees every version of a row, or only net changes.
    #[serde(default)]
    pub net_changes_only: bool,
    /// The epoch in which the agent numbers its facts; 0 when it has none yet.
    pub install_epoch: u32,
    /// The last fact in its spool, acknowledged or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Durable>,
    /// The greatest offset on `unit.facts` that an ACK told it; a scan for what is durable may
    /// begin there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts_offset: Option<i64>,
    /// Its place in the log of requests; none at the very first connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
}

/// A numbered fact, by number and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durable {
    /// Its number.
    pub seq: UnitSeq,
    /// Its id.
    pub id: Uuid,
}

/// What the edge knows and allows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version chosen.
    pub version: String,
    /// The unit, as the credential names it.
    pub unit: UnitId,
    /// This connection's number; a greater one anywhere ends it.
    pub conn_epoch: i64,
    /// Messages in flight allowed in each direction.
    pub credits: u32,
    /// Largest frame, in bytes.
    pub frame_bytes_max: usize,
    /// Silence before a ping, in milliseconds.
    pub heartbeat_ms: u64,
    /// The network's time.
    pub server_time: Timestamp,
    /// The log of requests of this unit.
    pub log: LogIdentity,
    /// The next position that will be written to that log.
    pub head: i64,
    /// The unit's last durable fact; none when the log holds no fact of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durable: Option<Durable>,
    /// Whether the log still holds everything from the agent's cursor on.
    pub resume: Resume,
}

/// Whether requests go on exactly where the cursor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Resume {
    /// Nothing is missing.
    Exact,
    /// Positions `from..to` are gone (or of another log); the agent states
    /// `requests.range_lapsed` and goes on at `to`.
    Gap {
        /// The cursor that was asked for.
        from: i64,
        /// The first position that is still there.
        to: i64,
    },
}
