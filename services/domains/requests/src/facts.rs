//! What a unit's word on its requests can be, and how it is named.

use kit_event::{Observed, SchemaSource};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};

use crate::outcome::{FinalState, RequestOutcome};

kit_event::fact_kinds! {
    /// The unit's word on one request.
    RequestFact {
        #[doc = "The unit granted the request and committed it."]
        Done = "requests.request_done",
        #[doc = "The unit refused the request."]
        Rejected = "requests.request_rejected",
        #[doc = "The request's deadline had passed when the unit came to it."]
        Expired = "requests.request_expired",
        #[doc = "The request was cancelled before the unit came to it."]
        Cancelled = "requests.request_cancelled",
        #[doc = "The request was done, and then the clinic was restored to a time before it."]
        Undone = "requests.request_undone",
        #[doc = "The ledger row as a new epoch found it; nothing has happened to the request."]
        Snapshot = "requests.request_snapshot",
    }
}

impl RequestFact {
    /// The fact of a ledger row in `state`. A state that this version does not know claims nothing,
    /// and still travels.
    #[must_use]
    pub const fn of(state: Option<FinalState>) -> Self {
        match state {
            Some(FinalState::Done) => Self::Done,
            Some(FinalState::Rejected) => Self::Rejected,
            Some(FinalState::Expired) => Self::Expired,
            Some(FinalState::Cancelled) => Self::Cancelled,
            Some(FinalState::Undone) => Self::Undone,
            None => Self::Snapshot,
        }
    }
}

/// Positions `from..to` of a log of requests never reached the unit: what waited there has expired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RangeLapsed {
    /// The first position that is missing.
    pub from: i64,
    /// The first position that is there again.
    pub to: i64,
    /// The log, `<cluster>/<topic>/<partition>`; positions of another are not meant.
    pub log: String,
}

impl RangeLapsed {
    /// The type on the wire.
    pub const TYPE: &'static str = "requests.range_lapsed";
    /// The promise of its public form.
    pub const PUBLIC_TYPE: &'static str = "public.requests.range_lapsed";
    /// Present version of its schema.
    pub const VERSION: u32 = 1;
    pub(crate) const DOC: &'static str =
        "A stretch of the log of requests never reached the unit: what waited there has expired.";

    /// Whether the request at `position` of `log` is one of those that expired.
    #[must_use]
    pub fn names(&self, log: &str, position: i64) -> bool {
        self.log == log && (self.from..self.to).contains(&position)
    }
}

/// A fact of this domain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "read one by one, and nearly all are requests")]
pub enum Fact {
    /// The unit's word on one request.
    Request(RequestFact, RequestOutcome),
    /// The unit's word on a stretch of the log.
    RangeLapsed(RangeLapsed),
}

impl Fact {
    /// Reads a fact from its type and body; none for a type that is not of this domain.
    ///
    /// # Errors
    /// The body does not read as its type.
    pub fn read(type_name: &str, body: &Value) -> Result<Option<Self>, serde_json::Error> {
        if type_name == RangeLapsed::TYPE {
            return Ok(Some(Self::RangeLapsed(RangeLapsed::deserialize(body)?)));
        }
        let Some(kind) = RequestFact::parse(type_name) else { return Ok(None) };
        Ok(Some(Self::Request(kind, RequestOutcome::deserialize(body)?)))
    }

    /// Its type on the wire.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Request(kind, _) => kind.type_name(),
            Self::RangeLapsed(_) => RangeLapsed::TYPE,
        }
    }

    /// Present version of its schema.
    #[must_use]
    pub const fn version(&self) -> u32 {
        match self {
            Self::Request(kind, _) => kind.version(),
            Self::RangeLapsed(_) => RangeLapsed::VERSION,
        }
    }

    /// The fact as hosts carry it, before it has a number.
    ///
    /// # Errors
    /// Never: ids, numbers and text have a JSON form.
    pub fn observed(&self) -> Result<Observed, serde_json::Error> {
        let (subject, patient_id, body) = match self {
            Self::Request(_, it) => (
                format!("{}/{}", RequestOutcome::RESOURCE, it.request_id),
                it.patient_id,
                serde_json::to_value(it)?,
            ),
            Self::RangeLapsed(it) => {
                (format!("requests/{}-{}", it.from, it.to), None, serde_json::to_value(it)?)
            }
        };
        let (type_name, version) = (self.type_name(), self.version());
        Ok(Observed { type_name, version, subject, patient_id, body })
    }
}

/// What the facts promise.
pub(crate) fn schemas() -> Vec<SchemaSource> {
    let promise =
        |type_name, version, doc, schema| SchemaSource { type_name, version, doc, schema };
    let mut all: Vec<_> = RequestFact::ALL
        .iter()
        .map(|kind| promise(kind.type_name(), kind.version(), kind.doc(), RequestOutcome::schema()))
        .collect();
    let version = RangeLapsed::VERSION;
    all.push(promise(RangeLapsed::TYPE, version, RangeLapsed::DOC, RangeLapsed::schema()));
    all
}
