//! A tracked command on its way to a unit.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{RequestId, Timestamp, UnitId};

/// What happens to a request while its unit is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// It waits on the log until its deadline.
    #[default]
    Queue,
    /// It is refused at once and nothing is sent.
    OnlineOnly,
    /// A live question: it leaves no trace in the unit and never holds its cursor.
    Query,
}

impl Delivery {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::OnlineOnly => "online-only",
            Self::Query => "query",
        }
    }

    /// The delivery that `text` names.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "queue" => Some(Self::Queue),
            "online-only" => Some(Self::OnlineOnly),
            "query" => Some(Self::Query),
            _ => None,
        }
    }
}

/// A request or control as it stands on `unit.requests`.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Whom it is for: the record's key.
    pub unit: UnitId,
    /// Its id; a control (`control.cancel`) has one of its own.
    pub id: RequestId,
    /// `<domain>.<command>`, as `scheduling.book_appointment`, or `control.<what>`.
    pub type_name: String,
    /// Version of the command's schema, from 1.
    pub version: u32,
    /// When the gateway took it.
    pub accepted_at: Timestamp,
    /// After this the unit refuses it as `expired`.
    pub expires_at: Timestamp,
    /// Whether it may wait for the unit.
    pub delivery: Delivery,
    /// [`command_hash`] of type and body.
    pub command_hash: String,
    /// Who asked, as `<kind>:<subject>`; opaque.
    pub actor: String,
    /// The partition of `unit.replies` that the asking gateway reads.
    pub reply_partition: Option<i32>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// The command, as plain JSON.
    pub body: Value,
}

/// Hashes what is asked for (RFC 8785 of type and body, SHA-256, hexadecimal), so that a retry is
/// known from a key used again for something else. Deadline, delivery and wait are no part of it.
#[must_use]
pub fn command_hash(type_name: &str, body: &Value) -> String {
    let canonical = serde_json_canonicalizer::to_vec(&json!({"type": type_name, "body": body}))
        .expect("a JSON value has a canonical form");
    hex::encode(Sha256::digest(canonical))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_members_does_not_change_the_hash() {
        let one = serde_json::from_str(r#"{"a":1,"b":[1.0,"x"]}"#).unwrap();
        let two = serde_json::from_str(r#"{"b":[1,"x"],"a":1}"#).unwrap();
        assert_eq!(command_hash("t", &one), command_hash("t", &two));
        assert_ne!(command_hash("t", &one), command_hash("u", &one));
    }
}
