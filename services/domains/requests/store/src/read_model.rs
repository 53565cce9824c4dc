//! Reading requests, and counting what is open before another one is taken.

use kit_event::{RequestId, Timestamp, UnitId, UnitSeq};
use kit_store::json::comparable;
use kit_store::read::{fresh_page, get, key_after, rows_for, seq_of};
use kit_store::{Act, Fresh, Page, StoreError};
use requests::{FinalState, RequestOutcome};
use serde::Deserialize;
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{PgPool, Postgres, QueryBuilder};
use uuid::Uuid;

/// The state of a request that no fact has ended.
pub const ACCEPTED: &str = "accepted";
/// What a list may be asked for beside states: still open, and passed by its unit.
pub const DELIVERED: &str = "delivered";
/// Likewise: still open, and past the deadline.
pub const OVERDUE: &str = "overdue";

/// A request as a read model knows it. What no log has told is none.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestRow {
    /// Its id.
    pub request_id: RequestId,
    /// Whom it is for.
    pub unit: UnitId,
    /// What was asked, as `scheduling.book_appointment`.
    pub type_name: Option<String>,
    /// [`ACCEPTED`], or the unit's word.
    pub state: String,
    /// Hash of what was asked.
    pub command_hash: Option<String>,
    /// When a gateway took it.
    pub accepted_at: Option<Timestamp>,
    /// Its deadline.
    pub expires_at: Option<Timestamp>,
    /// `queue` or `online-only`.
    pub delivery: Option<String>,
    /// Who asked; opaque.
    pub actor: Option<String>,
    /// The one patient whom it concerns.
    pub patient_id: Option<Uuid>,
    /// The log that it stands on.
    pub log: Option<String>,
    /// Its position there.
    pub position: Option<i64>,
    /// Somebody wants it ended; that ends nothing.
    pub cancel_asked: bool,
    /// The fact that ended it.
    pub seq: Option<UnitSeq>,
    /// The rejection's name.
    pub reason: Option<String>,
    /// The rejection in one sentence.
    pub title: Option<String>,
    /// The rejection in detail.
    pub detail: Option<String>,
    /// The kind of thing that was written.
    pub record_thing: Option<String>,
    /// Its id.
    pub record_id: Option<Uuid>,
    /// Its state after the request, as JSON text.
    pub record_json: Option<String>,
    /// When the unit spoke.
    pub decided_at: Option<Timestamp>,
}

impl RequestRow {
    /// Whether no fact has ended it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == ACCEPTED
    }

    /// The unit's word, where it has spoken.
    #[must_use]
    pub fn word(&self) -> Option<FinalState> {
        FinalState::parse(&self.state)
    }
}

/// Which requests to list; every condition that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Shown as this: [`ACCEPTED`], [`DELIVERED`], [`OVERDUE`] or a final state.
    pub state: Option<String>,
    /// How far the unit is, where that is known: what parts the delivered from the accepted.
    pub applied: Option<Applied>,
    /// Asked by this actor, or concerning this patient.
    pub actor_or_patient: Option<(String, Uuid)>,
}

/// How far a unit is in a log of requests, as whoever lists them knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The log.
    pub log: String,
    /// The unit has done with every position below this.
    pub next: i64,
}

/// An actor as it is stored and compared.
#[must_use]
pub fn actor_key(actor: &str) -> String {
    comparable(actor, requests::ACTOR_CHARS_MAX)
}

/// What is known before a request is taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Admission {
    /// The request, where the read model holds its id already.
    pub known: Option<RequestRow>,
    /// Open requests of the unit before their deadline, counted up to one more than are allowed.
    pub open: u32,
    /// Those of them that the asking actor made.
    pub open_own: u32,
}

/// A request that is about to be taken.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// Its id, which names its unit.
    pub id: &'a RequestId,
    /// Who asks.
    pub actor: &'a str,
    /// Requests to the unit that the asking gateway published a moment ago: those that the table
    /// does not hold yet count too.
    pub unseen: &'a [RequestId],
    /// Those of them that the same actor made.
    pub unseen_own: &'a [RequestId],
    /// Open requests that the unit may have.
    pub open_max: u32,
}

const COLUMNS: &str = "r.request_id, r.unit, r.epoch, r.seq, r.state, r.type, r.command_hash,
    r.accepted_ms, r.accepted_at, r.expires_at, r.delivery, r.actor, r.patient_id, r.log,
    r.position, r.cancel_asked, r.outcome";

/// One request.
///
/// # Errors
/// Postgres does not answer.
pub async fn request(
    pool: &PgPool,
    request_id: &RequestId,
) -> Result<Option<RequestRow>, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new("select ");
    query.push(COLUMNS).push(" from requests.request r where r.request_id = ");
    query.push_bind(request_id.as_str());
    let row = query.build().fetch_optional(pool).await.reading("request")?;
    row.as_ref().map(tracked).transpose()
}

/// Requests of a unit, the newest first, a page at a time.
///
/// # Errors
/// Postgres does not answer; [`StoreError::BadCursor`].
pub async fn requests(
    pool: &PgPool,
    unit: &UnitId,
    filter: &RequestFilter,
    now: Timestamp,
    after: Option<&str>,
    limit: u32,
) -> Result<Fresh<Page<RequestRow>>, StoreError> {
    let after: Option<(i64, RequestId)> = key_after(after)?;
    let mut query = filtered(filter, unit, now);
    if let Some((accepted_ms, request_id)) = after {
        query.push(" and (r.accepted_ms, r.request_id) < (").push_bind(accepted_ms);
        query.push(", ").push_bind(String::from(request_id)).push(")");
    }
    query.push(" order by r.accepted_ms desc, r.request_id desc limit ").push_bind(rows_for(limit));
    query.push(") r on true order by r.accepted_ms desc, r.request_id desc");
    let rows = query.build().fetch_all(pool).await.reading("requests")?;
    fresh_page(&rows, "request_id", limit, |row| {
        let request = tracked(row)?;
        let key: (i64, RequestId) = (get(row, "accepted_ms")?, request.request_id.clone());
        Ok((key, request))
    })
}

/// Asks in one statement whether the id is taken, how much waits for the unit, and how much of it
/// the asking actor made.
///
/// # Errors
/// Postgres does not answer.
pub async fn admit(
    pool: &PgPool,
    asking: Asking<'_>,
    now: Timestamp,
) -> Result<Admission, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new(
        "select w.open + n.open as open, w.own + n.own as open_own, ",
    );
    query.push(COLUMNS).push(" from (select ").push_bind(asking.id.unit().as_str().to_owned());
    query.push("::text as unit, ").push_bind(actor_key(asking.actor));
    query.push(
        "::text as actor) u cross join lateral (
             select count(*) as open, count(*) filter (where o.actor = u.actor) as own
             from (select o.actor from requests.request o
                 where o.unit = u.unit and o.state = 'accepted' and o.expires_at > ",
    );
    query.push_bind(now.to_utc()).push(" limit ").push_bind(i64::from(asking.open_max) + 1);
    query.push(
        ") o) w cross join lateral (select count(*) as open, count(*) filter (where p.id = any(",
    );
    query.push_bind(texts(asking.unseen_own)).push("::text[])) as own from unnest(");
    query.push_bind(texts(asking.unseen)).push(
        "::text[]) p(id) where not exists (select from requests.request o
             where o.request_id = p.id)) n left join requests.request r on r.request_id = ",
    );
    query.push_bind(asking.id.as_str());
    let row = query.build().fetch_one(pool).await.reading("admission")?;
    let open: i64 = get(&row, "open")?;
    let known = match get::<Option<String>>(&row, "request_id")? {
        Some(_) => Some(tracked(&row)?),
        None => None,
    };
    let own: i64 = get(&row, "open_own")?;
    let count = |count| u32::try_from(count).unwrap_or(u32::MAX);
    Ok(Admission { known, open: count(open), open_own: count(own) })
}

fn texts(ids: &[RequestId]) -> Vec<String> {
    ids.iter().map(|id| id.as_str().to_owned()).collect()
}

/// The statement up to the keyset; each condition that is not set is not in it, so that each
/// combination has a plan of its own.
fn filtered(filter: &RequestFilter, unit: &UnitId, now: Timestamp) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        "select a.epoch as fresh_epoch, a.seq as fresh_seq, a.time as fresh_time, r.*
         from (select ",
    );
    // A unit may have requests before its first fact, so its progress may be missing.
    query.push_bind(unit.as_str().to_owned()).push(
        "::text as unit) u left join requests.applied a on a.unit = u.unit
         left join lateral (select ",
    );
    query.push(COLUMNS).push(" from requests.request r where r.unit = u.unit");
    match filter.state.as_deref() {
        Some(OVERDUE) => {
            query.push(" and r.state = 'accepted' and r.expires_at < ").push_bind(now.to_utc());
        }
        Some(open @ (ACCEPTED | DELIVERED)) => {
            query.push(" and r.state = 'accepted' and (r.expires_at is null or r.expires_at >= ");
            query.push_bind(now.to_utc()).push(")");
            push_passed(&mut query, filter.applied.as_ref(), open == DELIVERED);
        }
        Some(state) => {
            query.push(" and r.state = ").push_bind(state.replace('\0', ""));
        }
        None => {}
    }
    if let Some((actor, patient_id)) = &filter.actor_or_patient {
        query.push(" and (r.actor = ").push_bind(actor_key(actor));
        query.push(" or r.patient_id = ").push_bind(*patient_id).push(")");
    }
    query
}

/// Whether the unit has passed the request's place in the log.
fn push_passed(query: &mut QueryBuilder<Postgres>, applied: Option<&Applied>, passed: bool) {
    let Some(Applied { log, next }) = applied else {
        // Where nobody knows how far the unit is, it has passed none.
        query.push(if passed { " and false" } else { "" });
        return;
    };
    let is = if passed { " is true" } else { " is not true" };
    query.push(" and (r.log = ").push_bind(log.clone());
    query.push(" and r.position < ").push_bind(*next).push(")").push(is);
}

fn tracked(row: &PgRow) -> Result<RequestRow, StoreError> {
    let outcome: Option<Value> = get(row, "outcome")?;
    let word = outcome.map(RequestOutcome::deserialize).transpose();
    let word = word.map_err(|_| StoreError::Unreadable { what: "outcome" })?;
    let at = |column| -> Result<Option<Timestamp>, StoreError> {
        Ok(get::<Option<DateTime<Utc>>>(row, column)?.map(Timestamp::from))
    };
    let id = |column| -> Result<String, StoreError> { get(row, column) };
    let unreadable = |_| StoreError::Unreadable { what: "id" };
    let seq = seq_of(row, "epoch", "seq")?;
    let of = |field: fn(&RequestOutcome) -> &Option<String>| {
        word.as_ref().and_then(|w| field(w).clone())
    };
    Ok(RequestRow {
        request_id: id("request_id")?.parse().map_err(unreadable)?,
        unit: id("unit")?.parse().map_err(unreadable)?,
        type_name: get(row, "type")?,
        state: get(row, "state")?,
        command_hash: get(row, "command_hash")?,
        accepted_at: at("accepted_at")?,
        expires_at: at("expires_at")?,
        delivery: get(row, "delivery")?,
        actor: get(row, "actor")?,
        patient_id: get(row, "patient_id")?,
        log: get(row, "log")?,
        position: get(row, "position")?,
        cancel_asked: get(row, "cancel_asked")?,
        seq: (seq > UnitSeq::ZERO).then_some(seq),
        reason: of(|w| &w.reason),
        title: of(|w| &w.title),
        detail: of(|w| &w.detail),
        record_thing: of(|w| &w.record_thing),
        record_id: word.as_ref().and_then(|w| w.record_id),
        record_json: of(|w| &w.record_json),
        decided_at: word.as_ref().and_then(|w| w.decided_at),
    })
}
