//! The two ports through which a write leaves the gateway: the log, and the book of requests that
//! the read model keeps. Tests stand in for both.

use std::future::Future;
use std::pin::Pin;

use kit_bus::{Bus, Placed, PublishError, Topic};
use kit_event::{Request, RequestId, Timestamp, UnitId};
use kit_store::{Fresh, Page, StoreError};
use requests::RequestOutcome;
use requests_store::{RequestFilter, RequestRow};
use sqlx::PgPool;

use crate::tracked::{Entry, Spoken};

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
    /// Only those that this actor asked for or that concern this patient.
    pub own: Option<(String, uuid::Uuid)>,
    /// Sort key after which the page begins.
    pub after: Option<String>,
    /// Most items.
    pub limit: u32,
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
}

/// The book in Postgres.
pub struct PgBook(pub PgPool);

impl RequestBook for PgBook {
    fn admit<'a>(
        &'a self,
        asking: Asking<'a>,
        now: Timestamp,
    ) -> Later<'a, Result<Admission, StoreError>> {
        Box::pin(async move {
            let Asking { id, actor, unseen, unseen_own, open_max } = asking;
            let asking = requests_store::Asking { id, actor, unseen, unseen_own, open_max };
            let admission = requests_store::admit(&self.0, asking, now).await?;
            let (open, open_own) = (admission.open, admission.open_own);
            Ok(Admission { known: admission.known.map(entry), open, open_own })
        })
    }

    fn request<'a>(&'a self, id: &'a RequestId) -> Later<'a, Result<Option<Entry>, StoreError>> {
        Box::pin(async move { Ok(requests_store::request(&self.0, id).await?.map(entry)) })
    }

    fn requests<'a>(
        &'a self,
        unit: &'a UnitId,
        query: &'a RequestQuery,
        now: Timestamp,
    ) -> Later<'a, Result<Fresh<Page<Entry>>, StoreError>> {
        Box::pin(async move {
            let filter =
                RequestFilter { state: query.state.clone(), actor_or_patient: query.own.clone() };
            let after = query.after.as_deref();
            let found =
                requests_store::requests(&self.0, unit, &filter, now, after, query.limit).await?;
            let Page { items, next } = found.value;
            let items = items.into_iter().map(entry).collect();
            Ok(Fresh { freshness: found.freshness, value: Page { items, next } })
        })
    }
}

/// A row of the book, as the gateway shows it.
fn entry(row: RequestRow) -> Entry {
    let word = row.word().map(|state| Spoken {
        state,
        unit_seq: row.seq,
        record_seq: None,
        outcome: Some(RequestOutcome {
            request_id: row.request_id.clone(),
            type_name: row.type_name.clone(),
            command_hash: row.command_hash.clone(),
            state: row.state.clone(),
            reason: row.reason,
            title: row.title,
            detail: row.detail,
            record_thing: row.record_thing,
            record_id: row.record_id,
            record_json: row.record_json,
            patient_id: row.patient_id,
            accepted_at: row.accepted_at,
            expires_at: row.expires_at,
            delivery: row.delivery.clone(),
            actor: row.actor.clone(),
            decided_at: row.decided_at,
            position: row.position,
        }),
    });
    Entry {
        id: row.request_id,
        type_name: row.type_name,
        command_hash: row.command_hash,
        accepted_at: row.accepted_at,
        expires_at: row.expires_at,
        delivery: row.delivery,
        actor: row.actor,
        patient_id: row.patient_id,
        place: row.log.zip(row.position),
        word,
    }
}
