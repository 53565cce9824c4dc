//! Records on `unit.presence`: which edge holds a unit's connection, and which edges are alive.
//! They are no facts of the unit: an edge writes them, and the newest of a key replaces the others.

use kit_event::{SchemaSource, Timestamp, UnitId, UnitSeq};
use serde::{Deserialize, Serialize};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

/// Where a unit's agent is connected and how far it is, as its edge last wrote it. The record's key
/// is the unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Presence {
    /// The unit.
    #[schema(value_type = String)]
    pub unit_id: UnitId,
    /// The edge that holds the connection; none when the unit is away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge_id: Option<String>,
    /// The connection's number; none in its first record, whose own offset is the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conn_epoch: Option<i64>,
    /// Since when the unit is connected, or away.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Version of its agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// The unit has done with every request of `log` below this position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_next: Option<i64>,
    /// The number of its last durable fact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub durable_seq: Option<UnitSeq>,
    /// The id of that fact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durable_id: Option<Uuid>,
    /// The offset on `unit.facts` at which that fact was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts_offset: Option<i64>,
    /// The log of requests that `applied_next` is a position of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// An edge is alive. The record's key is `edge/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EdgeLiveness {
    /// The edge.
    pub edge_id: String,
    /// When it said so, by its own clock.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl Presence {
    /// The type on the wire.
    pub const TYPE: &'static str = "units.presence";
}

impl EdgeLiveness {
    /// The type on the wire.
    pub const TYPE: &'static str = "units.edge_liveness";

    /// What the keys of edges begin with. No unit id holds a slash.
    pub const KEY_BEFORE: &'static str = "edge/";

    /// The key under which `edge_id` says that it is alive.
    #[must_use]
    pub fn key(edge_id: &str) -> String {
        format!("{}{edge_id}", Self::KEY_BEFORE)
    }
}

/// What the records promise.
pub(crate) fn schemas() -> Vec<SchemaSource> {
    vec![
        SchemaSource {
            type_name: Presence::TYPE,
            version: 1,
            doc: "Where a unit's agent is connected and how far it is.",
            schema: Presence::schema(),
        },
        SchemaSource {
            type_name: EdgeLiveness::TYPE,
            version: 1,
            doc: "An edge is alive.",
            schema: EdgeLiveness::schema(),
        },
    ]
}
