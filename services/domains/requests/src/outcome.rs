//! The unit's word on a request: a row of its ledger, and what happened between two versions of it.

use kit_event::{Rejection, RequestId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::facts::{Fact, RequestFact};

/// A row of the ledger `arteria_applied`: everything that a tracked request shows once the unit has
/// spoken. A request that was cancelled before the unit ever saw it has little more than its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RequestOutcome {
    /// Which request.
    #[schema(value_type = String)]
    pub request_id: RequestId,
    /// What was asked, as `scheduling.book_appointment`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// Hash of what was asked (RFC 8785 of type and body, SHA-256).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_hash: Option<String>,
    /// `done`, `rejected`, `expired`, `cancelled` or `undone`.
    pub state: String,
    /// The refusal's name, as `slot-taken`; none when done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The refusal in one short sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The refusal in detail, or what else the unit has to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The kind of thing that was written, as `appointment`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_thing: Option<String>,
    /// Its public id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_id: Option<Uuid>,
    /// Its state after the request, as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_json: Option<String>,
    /// The one patient whom the request concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<Uuid>,
    /// When the gateway took the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub accepted_at: Option<Timestamp>,
    /// Its deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// `queue` or `online-only`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// Who asked, as `<kind>:<subject>`; opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// When the unit spoke, by the network's time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub decided_at: Option<Timestamp>,
    /// The request's position in the log; none for one that the unit never saw there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
}

/// What a unit can say about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FinalState {
    /// It was granted and committed.
    Done,
    /// It was refused.
    Rejected,
    /// Its deadline had passed when the unit came to it.
    Expired,
    /// It was cancelled before the unit came to it.
    Cancelled,
    /// It was committed, and then the clinic database was restored to a time before it.
    Undone,
}

impl FinalState {
    /// Every state.
    pub const ALL: &'static [Self] =
        &[Self::Done, Self::Rejected, Self::Expired, Self::Cancelled, Self::Undone];

    /// The word in the ledger and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Undone => "undone",
        }
    }

    /// The state that `word` is; none for one of a later version.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.as_str() == word)
    }
}

impl RequestOutcome {
    /// The thing's name in mapping files and subjects.
    pub const RESOURCE: &'static str = "request";

    /// The barest word on a request; all else is filled in by who knows it.
    #[must_use]
    pub fn new(request_id: RequestId, state: FinalState, decided_at: Timestamp) -> Self {
        Self {
            request_id,
            type_name: None,
            command_hash: None,
            state: state.as_str().to_owned(),
            reason: None,
            title: None,
            detail: None,
            record_thing: None,
            record_id: None,
            record_json: None,
            patient_id: None,
            accepted_at: None,
            expires_at: None,
            delivery: None,
            actor: None,
            decided_at: Some(decided_at),
            position: None,
        }
    }

    /// The same with the words of `rejection`.
    #[must_use]
    pub fn because(mut self, rejection: &Rejection) -> Self {
        self.reason = Some(rejection.slug.to_owned());
        self.title = Some(rejection.title.to_owned());
        self.detail = Some(rejection.detail.clone());
        self
    }

    /// Its state, where it is one that we know.
    #[must_use]
    pub fn state(&self) -> Option<FinalState> {
        FinalState::parse(&self.state)
    }
}

/// Names what happened to a ledger row between two committed versions of it.
///
/// A row that goes (they live 30 days) is no news: the unit's word stands. A row that changes says
/// its word again. Two facts never.
#[must_use]
pub fn observe(before: Option<&RequestOutcome>, after: Option<&RequestOutcome>) -> Vec<Fact> {
    match after {
        Some(new) if before != Some(new) => {
            vec![Fact::Request(RequestFact::of(new.state()), new.clone())]
        }
        Some(_) | None => vec![],
    }
}
