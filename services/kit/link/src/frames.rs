//! Every frame. Each is one JSON object whose member `frame` names it; unknown members are
//! ignored, so that either end may learn a new one first.

use kit_event::{Delivery, Fact, RequestId, Timestamp, UnitId, UnitSeq};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::handshake::{Hello, Welcome};

/// Frames that an agent sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "frame", rename_all = "snake_case")]
pub enum FromAgent {
    /// The first frame, and only the first.
    Hello(Hello),
    /// The next fact of the unit, in the order of its numbers.
    Fact(FactFrame),
    /// Requests up to a position are done with; gives credits back.
    Applied(Applied),
    /// The outcome of a request, for whoever still waits.
    Reply(Reply),
    /// The answer to a query.
    Answer(Answer),
    /// The answer to a ping.
    Pong(Pong),
}

/// Frames that an edge sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "frame", rename_all = "snake_case")]
pub enum FromEdge {
    /// The answer to HELLO.
    Welcome(Welcome),
    /// A request at its place in the log.
    Request(RequestFrame),
    /// A cancel, ahead of commands (no position) or in its place.
    Cancel(Cancel),
    /// Facts from a seq on are asked for again.
    Resend(Resend),
    /// The unit must open a new epoch (a fork, or an operator's order).
    NewEpoch(NewEpoch),
    /// The present state of what a fact spoke of is asked for, as a new fact.
    Reemit(Reemit),
    /// A live question; changes nothing and moves no cursor.
    Query(Query),
    /// Facts up to a number are durable; gives credits back.
    Ack(Ack),
    /// Sent when the link was idle; moves a quiet unit's cursor to the log head.
    Ping(Ping),
    /// What was wrong with a frame that is passed over; a close may follow.
    Error(ErrorFrame),
}

/// A fact as it travels up. The unit is the credential's and stands nowhere in the frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FactFrame {
    /// Its number.
    pub seq: UnitSeq,
    /// Its id.
    pub id: Uuid,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Version of the type's schema.
    pub version: u32,
    /// When it happened (the moment of the change at the clinic), by the network's time.
    pub time: Timestamp,
    /// `<thing>/<id>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The one patient it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<Uuid>,
    /// The request that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<RequestId>,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The state, as plain JSON.
    pub body: Value,
}

impl FactFrame {
    /// The fact of `unit` that the frame carries.
    #[must_use]
    pub fn into_fact(self, unit: UnitId) -> Fact {
        Fact {
            unit,
            seq: self.seq,
            id: self.id,
            type_name: self.type_name,
            version: self.version,
            time: self.time,
            subject: self.subject,
            patient_id: self.patient_id,
            causation_id: self.causation_id,
            traceparent: self.traceparent,
            body: self.body,
        }
    }
}

impl From<Fact> for FactFrame {
    fn from(fact: Fact) -> Self {
        Self {
            seq: fact.seq,
            id: fact.id,
            type_name: fact.type_name,
            version: fact.version,
            time: fact.time,
            subject: fact.subject,
            patient_id: fact.patient_id,
            causation_id: fact.causation_id,
            traceparent: fact.traceparent,
            body: fact.body,
        }
    }
}

/// Requests below `next` are committed in the clinic (or needed no effect).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The next position that the unit has not done with.
    pub next: i64,
}

/// A request as it travels down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestFrame {
    /// Its place in the log.
    pub position: i64,
    /// Its id.
    pub id: RequestId,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Version of the command.
    pub version: u32,
    /// When the gateway took it.
    pub accepted_at: Timestamp,
    /// After this, by the network's time, the unit refuses it as `expired`.
    pub expires_at: Timestamp,
    /// Whether it was allowed to wait.
    pub delivery: Delivery,
    /// Hash of what is asked for; a ledger row with another hash is another request.
    pub command_hash: String,
    /// Who asked; opaque.
    pub actor: String,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Where the asking gateway listens; given back in the reply, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_partition: Option<i32>,
    /// The command.
    pub body: Value,
}

/// A cancel of a request that may lie further down the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cancel {
    /// Its place in the log; none when it travels ahead of commands and moves no cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// Which request it ends.
    pub request_id: RequestId,
    /// Who asked; opaque.
    pub actor: String,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Where the asking gateway listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_partition: Option<i32>,
}

/// The outcome of a request, sent after the commit that numbered its facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Of which request.
    pub request_id: RequestId,
    /// Where the asking gateway listens, as the request named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_partition: Option<i32>,
    /// The last number that the request's facts were given; none for a reply without a fact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seq: Option<UnitSeq>,
    /// The number of the fact that holds the record's state: its ETag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_seq: Option<UnitSeq>,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The body of the outcome fact (`requests.request_done` and its like), or of a reply that is
    /// no fact (`state` `rejected`, `reason` `idempotency-key-reused` or `too-late`).
    pub outcome: Value,
}

/// A live question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// Its id, given back in the answer.
    pub id: RequestId,
    /// Its type, as `scheduling.free_slots`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Answered after this, it is dropped. Network time.
    pub expires_at: Timestamp,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Where the asking gateway listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_partition: Option<i32>,
    /// What is asked.
    pub body: Value,
}

/// The answer to a query: `body`, or the rejection's `reason` and `detail`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Of which query.
    pub id: RequestId,
    /// Where the asking gateway listens, as the query named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_partition: Option<i32>,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// The rejection's slug.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The rejection's detail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Facts up to `durable` are on the log, confirmed by the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The last such fact.
    pub durable: UnitSeq,
    /// Its offset on `unit.facts`.
    pub facts_offset: i64,
}

/// Facts from `from` to `to` (both included) are asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resend {
    /// Its place in the log; none ahead of commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// The first.
    pub from: UnitSeq,
    /// The last, of the same epoch.
    pub to: UnitSeq,
}

/// The unit must open an epoch above `above`, unless it already has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEpoch {
    /// Its place in the log; none ahead of commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// The epoch that is over.
    pub above: u32,
    /// Why, as `fork`.
    pub reason: String,
}

/// The unit must state anew the thing that its fact `seq` spoke of, as a fact with a number of its
/// own and the thing's present state; the old one was withheld from readers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reemit {
    /// Its place in the log; none ahead of commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// The fact that was withheld.
    pub seq: UnitSeq,
    /// What it spoke of, `<thing>/<id>`, for an agent whose spool does not hold it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// An idle link's question, with the head of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// Every position below this that concerns the unit has been sent.
    pub head: i64,
    /// The network's time.
    pub server_time: Timestamp,
}

/// An idle link's answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pong {
    /// The unit's place in the log.
    pub next: i64,
    /// The last number in its spool.
    pub last_seq: UnitSeq,
    /// Facts in its spool that no ACK covers yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spool_facts: Option<u64>,
    /// How long the oldest of them has waited, in milliseconds; 0 when none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_unsent_ms: Option<u64>,
    /// Mapped tables whose capture is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_tables: Option<u32>,
}

/// What was wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorFrame {
    /// A close code's slug, `unknown-frame`, or `fact-withheld`.
    pub problem: String,
    /// What exactly; never a body or a token.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_one_object_named_by_its_member_frame() {
        let ping = FromEdge::Ping(Ping { head: 7, server_time: Timestamp::from_unix_ms(0) });
        let text = serde_json::to_string(&ping).unwrap();
        assert_eq!(text, r#"{"frame":"ping","head":7,"server_time":"1970-01-01T00:00:00Z"}"#);
        assert_eq!(serde_json::from_str::<FromEdge>(&text).unwrap(), ping);
    }

    #[test]
    fn members_of_a_later_version_are_passed_over() {
        let text = r#"{"frame":"applied","next":3,"mood":"fine"}"#;
        let frame: FromAgent = serde_json::from_str(text).unwrap();
        assert_eq!(frame, FromAgent::Applied(Applied { next: 3 }));
    }
}
