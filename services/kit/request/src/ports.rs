//! What the host gives: the log, the read models, and who is connected. Tests stand in for each.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use kit_bus::{Bus, Placed, PublishError, Topic};
use kit_event::{Request, RequestId, Timestamp, UnitId, UnitSeq};
use kit_store::{Fresh, Page, Row, StoreError};
use requests::AppliedCursor;
use uuid::Uuid;

use crate::tracked::Entry;

/// What a port gives, some time later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The log of requests.
pub trait RequestLog: Send + Sync {
    /// Puts a request on the log; returns after the broker confirmed it.
    fn publish<'a>(&'a self, request: &'a Request) -> Later<'a, Result<Placed, PublishError>>;

    /// The identity of the log that a position in `partition` belongs to.
    fn identity(&self, partition: i32) -> String;
}

impl RequestLog for Bus {
    fn publish<'a>(&'a self, request: &'a Request) -> Later<'a, Result<Placed, PublishError>> {
        Box::pin(self.publish_request(request))
    }

    fn identity(&self, partition: i32) -> String {
        self.log_identity(Topic::Requests, partition)
    }
}

/// What the book says of a request that is about to be sent.
#[derive(Debug, Clone)]
pub struct Admission {
    /// The request of this id, where there is one already.
    pub known: Option<Entry>,
    /// Open requests of the unit, counted up to one more than are allowed.
    pub open: u32,
    /// Those of them that the asking caller made.
    pub open_own: u32,
}

/// A request that is about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// Its id.
    pub id: &'a RequestId,
    /// Who asks.
    pub actor: &'a str,
    /// Requests to the unit that the read model may not hold yet.
    pub unseen: &'a [RequestId],
    /// Those of them that the same caller made.
    pub unseen_own: &'a [RequestId],
    /// Open requests that the unit may have.
    pub open_max: u32,
}

/// Which requests to list.
#[derive(Debug, Clone, Default)]
pub struct RequestQuery {
    /// Only those in this state.
    pub state: Option<String>,
    /// How far the unit is, where that is known: what is delivered depends on it.
    pub applied: Option<Applied>,
    /// Only those that this actor asked for or that concern this patient.
    pub own: Option<(String, Uuid)>,
    /// Sort key after which the page begins.
    pub after: Option<String>,
    /// Most items.
    pub limit: u32,
}

/// Whose requests facts may speak of.
#[derive(Debug, Clone, Copy)]
pub struct OfPatient<'a> {
    /// The patient whom they concern.
    pub patient: Uuid,
    /// Who made them, where those are meant too.
    pub actor: Option<&'a str>,
    /// The cluster whose logs the read model follows.
    pub cluster: &'a str,
}

/// The facts that speak of a patient's requests without naming the patient, as far as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// Up to this number every such fact is known.
    pub upto: UnitSeq,
    /// By number, the requests of which the fact speaks.
    pub of: BTreeMap<UnitSeq, Vec<RequestId>>,
}

/// A request whose deadline passed without its unit's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// Which.
    pub request_id: RequestId,
    /// The one patient whom it concerns, where the command names it.
    pub patient: Option<Uuid>,
    /// Its deadline.
    pub expires_at: Timestamp,
}

/// The book of requests.
pub trait RequestBook: Send + Sync {
    /// All that must be known before a request is sent, in one round trip.
    fn admit<'a>(
        &'a self,
        asking: Asking<'a>,
        now: Timestamp,
    ) -> Later<'a, Result<Admission, StoreError>>;

    /// One request.
    fn request<'a>(&'a self, id: &'a RequestId) -> Later<'a, Result<Option<Entry>, StoreError>>;

    /// The requests of a unit, the newest first.
    fn requests<'a>(
        &'a self,
        unit: &'a UnitId,
        query: &'a RequestQuery,
        now: Timestamp,
    ) -> Later<'a, Result<Fresh<Page<Entry>>, StoreError>>;

    /// The facts after `after` that speak of a patient's requests.
    fn words_of_patient<'a>(
        &'a self,
        unit: &'a UnitId,
        whose: OfPatient<'a>,
        after: UnitSeq,
    ) -> Later<'a, Result<Words, StoreError>>;

    /// The requests to these units whose deadline passed after the first moment and not after the
    /// second.
    fn overdue_between<'a>(
        &'a self,
        units: &'a [UnitId],
        between: (Timestamp, Timestamp),
        limit: u32,
    ) -> Later<'a, Result<Vec<Overdue>, StoreError>>;
}

/// The read models of records.
pub trait ReadModels: Send + Sync {
    /// The record of a kind, where there is a read model of that kind.
    fn record<'a>(
        &'a self,
        unit: &'a UnitId,
        kind: &'a str,
        id: Uuid,
    ) -> Later<'a, Option<Result<Fresh<Option<Row>>, StoreError>>>;

    /// Whether any fact has told of the unit.
    fn has_unit<'a>(&'a self, unit: &'a UnitId) -> Later<'a, Result<bool, StoreError>>;
}

/// How far a unit is in its log of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The log.
    pub log: String,
    /// It has done with every position below this.
    pub next: i64,
}

impl Applied {
    /// As the life of a request reads it.
    #[must_use]
    pub fn cursor(&self) -> AppliedCursor<'_> {
        AppliedCursor { log: &self.log, next: self.next }
    }
}

/// What was last heard of a unit's connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastHeard {
    /// Since when it is connected, or away.
    pub since: Timestamp,
    /// Version of its agent.
    pub agent_version: Option<String>,
    /// The last fact of the unit that the log holds.
    pub durable_seq: Option<UnitSeq>,
}

/// Who is connected.
pub trait Presence: Send + Sync {
    /// What was last heard of the unit, where it was ever connected.
    fn last(&self, unit: &UnitId) -> Option<LastHeard>;

    /// Whether a message to the unit would reach its agent now.
    fn is_online(&self, unit: &UnitId, now: Timestamp) -> bool;

    /// Whether the unit was ever connected.
    fn knows(&self, unit: &UnitId) -> bool;

    /// How far the unit is in its log of requests.
    fn applied(&self, unit: &UnitId) -> Option<Applied>;
}
