//! A tracked request as it is shown, from wherever it is known.

use kit_event::{Request, RequestId, Timestamp, UnitId, UnitSeq};
use requests::{AppliedCursor, FinalState, Reply, RequestOutcome, Shown, Tracked, Word, view};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

/// How the types of facts begin that speak of one request.
pub const REQUEST_FACTS: &str = "requests.request_";

/// What is known of a request.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its id.
    pub id: RequestId,
    /// What was asked, as `scheduling.book_appointment`.
    pub type_name: Option<String>,
    /// Hash of what was asked.
    pub command_hash: Option<String>,
    /// When it was accepted.
    pub accepted_at: Option<Timestamp>,
    /// Its deadline.
    pub expires_at: Option<Timestamp>,
    /// `queue` or `online-only`.
    pub delivery: Option<String>,
    /// Who asked.
    pub actor: Option<String>,
    /// The one patient whom it concerns.
    pub patient_id: Option<Uuid>,
    /// Its log and its position there; none where only the unit's word is known.
    pub place: Option<(String, i64)>,
    /// The unit's word.
    pub word: Option<Spoken>,
}

/// A unit's word on a request, with its numbers.
#[derive(Debug, Clone)]
pub struct Spoken {
    /// What it means.
    pub state: FinalState,
    /// What it said; none where it spoke of a whole stretch of the log.
    pub outcome: Option<RequestOutcome>,
    /// The number of the last fact that the request led to.
    pub unit_seq: Option<UnitSeq>,
    /// The number of the fact that holds the record.
    pub record_seq: Option<UnitSeq>,
}

impl Entry {
    /// A request that was put on the log a moment ago, as `log` at `position`.
    pub fn of(request: &Request, log: String, position: i64) -> Self {
        let patient_id = request.body.get("patient_id").and_then(serde_json::Value::as_str);
        Self {
            id: request.id.clone(),
            type_name: Some(request.type_name.clone()),
            command_hash: Some(request.command_hash.clone()),
            accepted_at: Some(request.accepted_at),
            expires_at: Some(request.expires_at),
            delivery: Some(request.delivery.as_str().to_owned()),
            actor: Some(request.actor.clone()),
            patient_id: patient_id.and_then(|text| text.parse().ok()),
            place: Some((log, position)),
            word: None,
        }
    }

    /// Takes the unit's word. A state of a later version is no word that could be shown.
    pub fn take_word(&mut self, reply: &Reply) {
        let Some(state) = reply.outcome.state() else { return };
        self.patient_id = self.patient_id.or(reply.outcome.patient_id);
        self.word = Some(Spoken {
            state,
            outcome: Some(reply.outcome.clone()),
            unit_seq: reply.last_seq,
            record_seq: reply.record_seq,
        });
    }

    /// What it shows at `now`, where its unit has done with `applied`.
    #[must_use]
    pub fn shown(&self, applied: Option<AppliedCursor<'_>>, now: Timestamp) -> Shown {
        let (log, position) = self.place.clone().unwrap_or_default();
        let tracked = Tracked {
            log,
            position,
            expires_at: self.expires_at.unwrap_or(now),
            word: self.word.as_ref().map(|spoken| Word::Ledger(spoken.state)),
        };
        view(&tracked, applied, now)
    }

    /// Whether somebody confined to `patient`, who asks as `actor`, may see it.
    #[must_use]
    pub fn is_of(&self, actor: &str, patient: Option<Uuid>) -> bool {
        // A row holds a very long one as its key.
        let stored = |actor: &str| kit_store::json::comparable(actor, requests::ACTOR_CHARS_MAX);
        self.actor.as_deref().map(stored) == Some(stored(actor))
            || (self.patient_id.is_some() && self.patient_id == patient)
    }
}

/// A tracked request at REST.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrackedRequest {
    /// Its id.
    #[schema(value_type = String)]
    pub request_id: RequestId,
    /// The unit that it asks.
    #[schema(value_type = String)]
    pub unit_id: UnitId,
    /// What it asks, as `scheduling.book_appointment`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// `accepted`, `delivered` (the unit has it; its word is on the way), `overdue` (the deadline
    /// passed without the unit's word: unknown, not failed), or the unit's word: `done`,
    /// `rejected`, `expired`, `cancelled`, `undone`.
    pub state: &'static str,
    /// `queue` or `online-only`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// When it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub accepted_at: Option<Timestamp>,
    /// Its deadline.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When the unit spoke.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub decided_at: Option<Timestamp>,
    /// Whom it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<Uuid>,
    /// The rejection's name, as `slot-taken`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The rejection in one short sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The rejection in detail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The kind of record that it wrote, as `appointment`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_thing: Option<String>,
    /// That record's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_id: Option<Uuid>,
    /// That record as the request left it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub record: Option<Box<RawValue>>,
    /// The record's ETag, without quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub record_seq: Option<UnitSeq>,
    /// The number of the last fact that it led to, for `Arteria-Min-Seq`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub unit_seq: Option<UnitSeq>,
}

impl TrackedRequest {
    /// Shows `entry` in the state `shown`.
    #[must_use]
    pub fn new(entry: Entry, shown: Shown) -> Self {
        let spoken = entry.word.unwrap_or(Spoken {
            state: FinalState::Done,
            outcome: None,
            unit_seq: None,
            record_seq: None,
        });
        let said = spoken.outcome.as_ref();
        Self {
            unit_id: entry.id.unit(),
            request_id: entry.id,
            type_name: entry.type_name,
            state: shown.as_str(),
            delivery: entry.delivery,
            accepted_at: entry.accepted_at,
            expires_at: entry.expires_at,
            decided_at: said.and_then(|o| o.decided_at),
            patient_id: entry.patient_id,
            reason: said.and_then(|o| o.reason.clone()),
            title: said.and_then(|o| o.title.clone()),
            detail: said.and_then(|o| o.detail.clone()),
            record_thing: said.and_then(|o| o.record_thing.clone()),
            record_id: said.and_then(|o| o.record_id),
            record: said.and_then(|o| record(o.record_json.as_deref())),
            record_seq: spoken.record_seq,
            unit_seq: spoken.unit_seq,
        }
    }

    /// The same without what says something about a person.
    #[must_use]
    pub fn envelope(self) -> Self {
        Self { patient_id: None, detail: None, record_id: None, record: None, ..self }
    }
}

/// The record as JSON; text that is none is not passed on.
#[must_use]
pub fn record(text: Option<&str>) -> Option<Box<RawValue>> {
    RawValue::from_string(text?.to_owned()).ok()
}
