//! Records on `unit.replies`: shortcuts back to the gateway that waits. Nothing is true because a
//! reply says so; the fact behind it is.

use kit_event::{RequestId, SchemaSource, UnitSeq};
use serde::{Deserialize, Serialize};
use utoipa::{PartialSchema, ToSchema};

use crate::outcome::RequestOutcome;

/// The outcome of a request, on its way to whoever still waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reply {
    /// Of which request.
    #[schema(value_type = String)]
    pub request_id: RequestId,
    /// The last number that the request's facts were given; none for a reply without a fact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub last_seq: Option<UnitSeq>,
    /// The number of the fact that holds the record's state: its ETag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub record_seq: Option<UnitSeq>,
    // The unit's word. Its schema brings its own description; a second one would make it a union.
    #[schema(inline)]
    pub outcome: RequestOutcome,
}

/// The answer to a live query: `body_json`, or `reason` and `detail` of the refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Answer {
    /// Of which query.
    #[schema(value_type = String)]
    pub query_id: RequestId,
    /// The answer as JSON text; each type of query has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_json: Option<String>,
    /// The refusal's name, as `practitioner-unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The refusal in detail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Reply {
    /// The type on the wire.
    pub const TYPE: &'static str = "requests.reply";
}

impl Answer {
    /// The type on the wire.
    pub const TYPE: &'static str = "requests.answer";
}

/// What the records promise.
pub(crate) fn schemas() -> Vec<SchemaSource> {
    vec![
        SchemaSource {
            type_name: Reply::TYPE,
            version: 1,
            doc: "The outcome of a request, on its way to whoever still waits.",
            schema: Reply::schema(),
        },
        SchemaSource {
            type_name: Answer::TYPE,
            version: 1,
            doc: "The answer to a live query.",
            schema: Answer::schema(),
        },
    ]
}
