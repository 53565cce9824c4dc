//! Which facts of a unit speak of a patient's requests, and which of these ran out of time.

use std::collections::BTreeMap;

use kit_event::{RequestId, Timestamp, UnitId, UnitSeq};
use kit_store::number::to_columns;
use kit_store::read::{get, seq_of};
use kit_store::{Act, StoreError};
use sqlx::PgPool;
use uuid::Uuid;

use crate::read_model::actor_key;

/// The facts that speak of a patient's requests, as far as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// Up to this number every such fact is known.
    pub upto: UnitSeq,
    /// By number, the requests of which the fact speaks. A stretch of the log that lapsed speaks of
    /// every request in it.
    pub of: BTreeMap<UnitSeq, Vec<RequestId>>,
}

/// The unit's progress, where it is cut short (a stretch lapsed that this reader's own log of
/// requests has not come to the end of), and each word on a request. A position counts only within
/// the log that it belongs to, so its name is made of what the offset names.
macro_rules! words_sql {
    ($whose:literal) => {
        concat!(
            "select a.epoch as at_epoch, a.seq as at_seq, cut.epoch as cut_epoch,
                    cut.seq as cut_seq, r.epoch, r.seq, r.request_id
             from requests.applied a
             left join lateral (
                 select l.epoch, l.seq from requests.lapsed l join requests.offsets o
                     on l.log = $3 || '/' || o.topic || '/' || o.partition
                 where l.unit = a.unit and (l.epoch, l.seq) > ($4, $5)
                   and o.next_offset < l.to_position
                 order by l.epoch, l.seq limit 1) cut on true
             left join requests.request r on r.unit = a.unit and (r.epoch, r.seq) > ($4, $5) and ",
            $whose,
            " where a.unit = $1"
        )
    };
}

const WORDS_OF_PATIENT: &str = words_sql!("r.patient_id = $2");
const WORDS_OF_PATIENT_AND_ACTOR: &str = words_sql!("(r.patient_id = $2 or r.actor = $6)");

/// The facts after `after` that speak of requests which concern `patient_id`, or which `actor`
/// made.
/// `cluster` is the first part of the names of the logs that this reader follows. A patient has few
/// requests, and the index finds them.
///
/// # Errors
/// Postgres does not answer.
pub async fn words_of_patient(
    pool: &PgPool,
    unit: &UnitId,
    patient_id: Uuid,
    actor: Option<&str>,
    cluster: &str,
    after: UnitSeq,
) -> Result<Words, StoreError> {
    let (epoch, seq) = to_columns(after)?;
    let sql = if actor.is_some() { WORDS_OF_PATIENT_AND_ACTOR } else { WORDS_OF_PATIENT };
    let query = sqlx::query(sql).bind(unit.as_str()).bind(patient_id).bind(cluster);
    let query = query.bind(epoch).bind(seq);
    let query = match actor {
        Some(actor) => query.bind(actor_key(actor)),
        None => query,
    };
    let rows = query.fetch_all(pool).await.reading("words on a patient's requests")?;
    let Some(first) = rows.first() else { return Ok(Words::default()) };
    let mut words = Words { upto: seq_of(first, "at_epoch", "at_seq")?, of: BTreeMap::new() };
    if get::<Option<i64>>(first, "cut_epoch")?.is_some() {
        let cut = seq_of(first, "cut_epoch", "cut_seq")?;
        words.upto = UnitSeq::new(cut.epoch, cut.seq.saturating_sub(1));
    }
    for row in &rows {
        if let Some(id) = get::<Option<String>>(row, "request_id")? {
            let id = id.parse().map_err(|_| StoreError::Unreadable { what: "id" })?;
            words.of.entry(seq_of(row, "epoch", "seq")?).or_default().push(id);
        }
    }
    for requests in words.of.values_mut() {
        requests.sort_unstable();
    }
    Ok(words)
}

/// A request whose deadline passed without its unit's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// Which.
    pub request_id: RequestId,
    /// The one patient whom it concerns, where the command names it.
    pub patient_id: Option<Uuid>,
    /// Its deadline.
    pub expires_at: Timestamp,
}

/// The requests to some units whose deadline passed after `from` and not after `upto`, read off the
/// index of what is open.
///
/// # Errors
/// Postgres does not answer.
pub async fn overdue_between(
    pool: &PgPool,
    units: &[UnitId],
    from: Timestamp,
    upto: Timestamp,
    limit: u32,
) -> Result<Vec<Overdue>, StoreError> {
    let units: Vec<&str> = units.iter().map(UnitId::as_str).collect();
    let rows = sqlx::query(
        "select r.request_id, r.patient_id, r.expires_at
         from unnest($1::text[]) as named(unit) cross join lateral (
             select o.request_id, o.patient_id, o.expires_at from requests.request o
             where o.unit = named.unit and o.state = 'accepted'
               and o.expires_at > $2 and o.expires_at <= $3
             order by o.expires_at limit $4) r",
    )
    .bind(units)
    .bind(from.to_utc())
    .bind(upto.to_utc())
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await
    .reading("overdue requests")?;
    rows.iter()
        .map(|row| {
            let id: String = get(row, "request_id")?;
            let expires_at: sqlx::types::chrono::DateTime<sqlx::types::chrono::Utc> =
                get(row, "expires_at")?;
            Ok(Overdue {
                request_id: id.parse().map_err(|_| StoreError::Unreadable { what: "id" })?,
                patient_id: get(row, "patient_id")?,
                expires_at: Timestamp::from(expires_at),
            })
        })
        .collect()
}
