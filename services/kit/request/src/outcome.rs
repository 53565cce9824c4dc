//! What asking a unit came to, in types: each face makes its own answer of it.

use kit_event::{RequestId, UnitSeq};
use requests::FinalState;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::tracked::{Spoken, TrackedRequest, record};

/// What became of a command by the time that its caller is answered.
#[derive(Debug)]
pub enum Outcome {
    /// The unit did it.
    Done(Granted),
    /// The unit rejected it, or it ended in another way without being done.
    Rejected(Rejection),
    /// It is tracked, and the unit's outcome is still out.
    Accepted(Box<TrackedRequest>),
}

/// The record that a command left.
#[derive(Debug)]
pub struct Granted {
    /// The request.
    pub id: RequestId,
    /// The record's id.
    pub record_id: Uuid,
    /// The record; none where the outcome had no room for it.
    pub record: Option<Box<RawValue>>,
    /// The last fact that the request led to.
    pub seq: Option<UnitSeq>,
    /// The fact that holds the record.
    pub record_seq: Option<UnitSeq>,
}

/// Why a command was not carried out.
#[derive(Debug, Clone)]
pub struct Rejection {
    /// The request.
    pub id: RequestId,
    /// The reason's name, as `slot-taken`; where the unit gave none, what became of the request.
    pub reason: String,
    /// The reason in one short sentence, where the unit gave one.
    pub title: Option<String>,
    /// What exactly.
    pub detail: Option<String>,
    /// The last fact that the request led to.
    pub seq: Option<UnitSeq>,
}

/// Why nothing was sent, or why nothing can be said of what was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// The request id stands for another command.
    #[error("the idempotency key was used for another command")]
    KeyReused,
    /// Too many callers wait here.
    #[error("too many callers wait")]
    Busy,
    /// The unit is not connected, and the caller does not want to wait for it.
    #[error("the unit is not connected")]
    NotConnected,
    /// Too many requests wait for the unit.
    #[error("the unit's queue is full")]
    QueueFull,
    /// This caller asks for too much.
    #[error("{0}")]
    TooMany(&'static str),
    /// The log did not confirm the request: it may stand there or not.
    #[error("the log did not confirm the request")]
    LogAway,
    /// A read model did not answer.
    #[error("a read model did not answer")]
    StoreAway,
    /// The unit did not answer a live query in time.
    #[error("the unit did not answer in time")]
    Unanswered,
    /// The fault is ours.
    #[error("an internal error")]
    Internal,
}

/// An outcome from wherever it is known.
pub(crate) fn outcome(id: &RequestId, spoken: &Spoken) -> Result<Outcome, NotSent> {
    match spoken.state {
        FinalState::Done => granted(id, spoken).map(Outcome::Done),
        FinalState::Rejected | FinalState::Expired | FinalState::Cancelled | FinalState::Undone => {
            Ok(Outcome::Rejected(rejection(id, spoken)))
        }
    }
}

fn granted(id: &RequestId, spoken: &Spoken) -> Result<Granted, NotSent> {
    let outcome = spoken.outcome.as_ref();
    let record = outcome.and_then(|o| record(o.record_json.as_deref()));
    let record_id = outcome.and_then(|o| o.record_id);
    let Some(record_id) = record_id else {
        tracing::error!(request = %id, "a request was done and its outcome names no record");
        return Err(NotSent::Internal);
    };
    let (seq, record_seq) = (spoken.unit_seq, spoken.record_seq);
    Ok(Granted { id: id.clone(), record_id, record, seq, record_seq })
}

fn rejection(id: &RequestId, spoken: &Spoken) -> Rejection {
    let outcome = spoken.outcome.as_ref();
    let reason = outcome.and_then(|o| o.reason.clone());
    Rejection {
        id: id.clone(),
        reason: reason.unwrap_or_else(|| spoken.state.as_str().to_owned()),
        title: outcome.and_then(|o| o.title.clone()),
        detail: outcome.and_then(|o| o.detail.clone()),
        seq: spoken.unit_seq,
    }
}
