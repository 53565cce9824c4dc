//! The statements that open and end requests. A row is ended by the greatest fact that speaks of
//! it, and what one log does not tell of it, the other fills in.

use kit_event::{Fact, Rejection, RequestId, Timestamp};
use kit_store::json::storable;
use kit_store::number::to_columns;
use kit_store::{Act, Asked, Gap, StoreError};
use requests::{FinalState, RangeLapsed, RequestOutcome, RequestRejection};
use serde_json::{Value, json};
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::read_model::{ACCEPTED, actor_key};

/// The unit's word on a request.
pub(crate) struct Ended<'a> {
    pub fact: &'a Fact,
    pub outcome: RequestOutcome,
    pub state: FinalState,
}

/// The unit's word on a stretch of the log.
pub(crate) struct Lapsed<'a> {
    pub fact: &'a Fact,
    pub range: RangeLapsed,
}

/// Expires what is open in a stretch that never reached its unit.
macro_rules! expire_sql {
    ($condition:literal) => {
        concat!(
            "update request r set state = $3, epoch = l.epoch, seq = l.seq,
                 outcome = $4 || jsonb_build_object('request_id', r.request_id, 'decided_at',
                     to_char(l.time at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'))
             from lapsed l
             where r.state = $2 and l.unit = r.unit and l.log = r.log
                 and r.position >= l.from_position and r.position < l.to_position and ",
            $condition
        )
    };
}

/// Opens requests, in log order and each once; one that ended already stays so.
pub(crate) async fn open(
    connection: &mut PgConnection,
    asked: &[&Asked],
) -> Result<(), StoreError> {
    let ids: Vec<&str> = asked.iter().map(|a| a.request.id.as_str()).collect();
    sqlx::query(
        "insert into request as t (request_id, unit, state, type, command_hash, accepted_ms,
             accepted_at, expires_at, delivery, actor, patient_id, log, position)
         select n.id, n.unit, $1, n.type, n.hash, n.accepted_ms, n.accepted_at, n.expires_at,
                n.delivery, n.actor, n.patient_id, n.log, n.position
         from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
                     $7::timestamptz[], $8::timestamptz[], $9::text[], $10::text[], $11::uuid[],
                     $12::text[], $13::bigint[])
              as n(id, unit, type, hash, accepted_ms, accepted_at, expires_at, delivery, actor,
                   patient_id, log, position)
         on conflict (request_id) do update set type = coalesce(t.type, excluded.type),
             command_hash = coalesce(t.command_hash, excluded.command_hash),
             accepted_ms = excluded.accepted_ms, accepted_at = excluded.accepted_at,
             expires_at = coalesce(t.expires_at, excluded.expires_at),
             delivery = coalesce(t.delivery, excluded.delivery),
             actor = coalesce(t.actor, excluded.actor),
             patient_id = coalesce(t.patient_id, excluded.patient_id),
             log = excluded.log, position = excluded.position
         where t.log is null",
    )
    .bind(ACCEPTED)
    .bind(&ids)
    .bind(asked.iter().map(|a| a.request.unit.as_str()).collect::<Vec<_>>())
    .bind(asked.iter().map(|a| plain(&a.request.type_name)).collect::<Vec<_>>())
    .bind(asked.iter().map(|a| plain(&a.request.command_hash)).collect::<Vec<_>>())
    .bind(asked.iter().map(|a| a.request.accepted_at.unix_ms()).collect::<Vec<_>>())
    .bind(asked.iter().map(|a| a.request.accepted_at.to_utc()).collect::<Vec<_>>())
    .bind(asked.iter().map(|a| a.request.expires_at.to_utc()).collect::<Vec<_>>())
    .bind(asked.iter().map(|a| a.request.delivery.as_str()).collect::<Vec<_>>())
    .bind(asked.iter().map(|a| actor_key(&a.request.actor)).collect::<Vec<_>>())
    .bind(asked.iter().map(|a| patient_of(&a.request.body)).collect::<Vec<_>>())
    .bind(asked.iter().map(|a| a.log.as_str()).collect::<Vec<_>>())
    .bind(asked.iter().map(|a| a.position).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await
    .writing("open requests")?;
    sqlx::query(expire_sql!("r.request_id = any($1)"))
        .bind(&ids)
        .bind(ACCEPTED)
        .bind(FinalState::Expired.as_str())
        .bind(lapsed_outcome())
        .execute(connection)
        .await
        .writing("lapsed requests")?;
    Ok(())
}

/// Ends requests, each once, as their units said.
pub(crate) async fn end(
    connection: &mut PgConnection,
    ended: &[Ended<'_>],
) -> Result<(), StoreError> {
    let (mut epochs, mut seqs) = (Vec::new(), Vec::new());
    for one in ended {
        let (epoch, seq) = to_columns(one.fact.seq)?;
        epochs.push(epoch);
        seqs.push(seq);
    }
    let at = |time: Option<Timestamp>| time.map(Timestamp::to_utc);
    sqlx::query(
        "insert into request as t (request_id, unit, epoch, seq, state, type, command_hash,
             accepted_ms, accepted_at, expires_at, delivery, actor, patient_id, outcome)
         select * from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[],
             $6::text[], $7::text[], $8::bigint[], $9::timestamptz[], $10::timestamptz[],
             $11::text[], $12::text[], $13::uuid[], $14::jsonb[])
         on conflict (request_id) do update set epoch = excluded.epoch, seq = excluded.seq,
             state = excluded.state, type = coalesce(t.type, excluded.type),
             command_hash = coalesce(t.command_hash, excluded.command_hash),
             accepted_at = coalesce(t.accepted_at, excluded.accepted_at),
             expires_at = coalesce(t.expires_at, excluded.expires_at),
             delivery = coalesce(t.delivery, excluded.delivery),
             actor = coalesce(t.actor, excluded.actor),
             patient_id = coalesce(excluded.patient_id, t.patient_id),
             outcome = excluded.outcome
         where (t.epoch, t.seq) < (excluded.epoch, excluded.seq)",
    )
    .bind(ended.iter().map(|e| e.outcome.request_id.as_str()).collect::<Vec<_>>())
    .bind(ended.iter().map(|e| e.fact.unit.as_str()).collect::<Vec<_>>())
    .bind(epochs)
    .bind(seqs)
    .bind(ended.iter().map(|e| e.state.as_str()).collect::<Vec<_>>())
    .bind(ended.iter().map(|e| e.outcome.type_name.as_deref().map(plain)).collect::<Vec<_>>())
    .bind(ended.iter().map(|e| e.outcome.command_hash.as_deref().map(plain)).collect::<Vec<_>>())
    .bind(ended.iter().map(accepted_ms).collect::<Vec<_>>())
    .bind(ended.iter().map(|e| at(e.outcome.accepted_at)).collect::<Vec<_>>())
    .bind(ended.iter().map(|e| at(e.outcome.expires_at)).collect::<Vec<_>>())
    .bind(ended.iter().map(|e| e.outcome.delivery.as_deref().map(plain)).collect::<Vec<_>>())
    .bind(ended.iter().map(|e| e.outcome.actor.as_deref().map(actor_key)).collect::<Vec<_>>())
    .bind(ended.iter().map(|e| e.outcome.patient_id).collect::<Vec<_>>())
    .bind(ended.iter().map(|e| Json(storable(&e.fact.body))).collect::<Vec<_>>())
    .execute(connection)
    .await
    .writing("ended requests")?;
    Ok(())
}

/// Expires what is open in stretches of the log that never reached their unit, and remembers the
/// stretches for requests that are read later.
pub(crate) async fn lapse(
    connection: &mut PgConnection,
    lapsed: &[Lapsed<'_>],
) -> Result<(), StoreError> {
    for one in lapsed {
        let (epoch, seq) = to_columns(one.fact.seq)?;
        sqlx::query(
            "insert into lapsed (unit, log, from_position, to_position, epoch, seq, time)
             values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
        )
        .bind(one.fact.unit.as_str())
        .bind(plain(&one.range.log))
        .bind(one.range.from)
        .bind(one.range.to)
        .bind(epoch)
        .bind(seq)
        .bind(one.fact.time.to_utc())
        .execute(&mut *connection)
        .await
        .writing("lapsed stretches")?;
    }
    let units: Vec<&str> = lapsed.iter().map(|one| one.fact.unit.as_str()).collect();
    sqlx::query(expire_sql!("r.unit = any($1)"))
        .bind(units)
        .bind(ACCEPTED)
        .bind(FinalState::Expired.as_str())
        .bind(lapsed_outcome())
        .execute(connection)
        .await
        .writing("lapsed requests")?;
    Ok(())
}

/// Notes that somebody wants these ended; they are not until their unit says so.
pub(crate) async fn ask_cancel(
    connection: &mut PgConnection,
    requests: &[RequestId],
) -> Result<(), StoreError> {
    let ids: Vec<&str> = requests.iter().map(RequestId::as_str).collect();
    sqlx::query("update request set cancel_asked = true where request_id = any($1)")
        .bind(ids)
        .execute(connection)
        .await
        .writing("cancels")?;
    Ok(())
}

/// Opens the requests of stretches that the log no longer has, as the live copy tells of them.
/// Their ends are not taken over: those the facts tell.
pub(crate) async fn inherit(
    connection: &mut PgConnection,
    live: &str,
    gaps: &[Gap],
) -> Result<(), StoreError> {
    let logs: Vec<&str> = gaps.iter().map(|gap| gap.log.as_str()).collect();
    sqlx::query(AssertSqlSafe(format!(
        "insert into request as t (request_id, unit, state, type, command_hash, accepted_ms,
             accepted_at, expires_at, delivery, actor, patient_id, log, position, cancel_asked)
         select r.request_id, r.unit, $1, r.type, r.command_hash, r.accepted_ms, r.accepted_at,
                r.expires_at, r.delivery, r.actor, r.patient_id, r.log, r.position, r.cancel_asked
         from {live}.request r
         join unnest($2::text[], $3::bigint[], $4::bigint[]) as g(log, since, upto)
             on r.log = g.log and r.position >= g.since and r.position < g.upto
         on conflict (request_id) do update set type = coalesce(t.type, excluded.type),
             command_hash = coalesce(t.command_hash, excluded.command_hash),
             accepted_ms = excluded.accepted_ms, accepted_at = excluded.accepted_at,
             expires_at = coalesce(t.expires_at, excluded.expires_at),
             delivery = coalesce(t.delivery, excluded.delivery),
             actor = coalesce(t.actor, excluded.actor),
             patient_id = coalesce(t.patient_id, excluded.patient_id),
             log = excluded.log, position = excluded.position,
             cancel_asked = t.cancel_asked or excluded.cancel_asked
         where t.log is null"
    )))
    .bind(ACCEPTED)
    .bind(&logs)
    .bind(gaps.iter().map(|gap| gap.from).collect::<Vec<_>>())
    .bind(gaps.iter().map(|gap| gap.to).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await
    .writing("inherited requests")?;
    sqlx::query(expire_sql!("r.log = any($1)"))
        .bind(logs)
        .bind(ACCEPTED)
        .bind(FinalState::Expired.as_str())
        .bind(lapsed_outcome())
        .execute(connection)
        .await
        .writing("lapsed requests")?;
    Ok(())
}

/// What the unit would have said of a request that never reached it.
fn lapsed_outcome() -> Value {
    let rejection = Rejection::from(RequestRejection::Lapsed);
    json!({
        "state": FinalState::Expired.as_str(),
        "reason": rejection.slug,
        "title": rejection.title,
        "detail": rejection.detail,
    })
}

/// The one patient whom a command concerns, where it names one.
fn patient_of(command: &Value) -> Option<Uuid> {
    command.get("patient_id")?.as_str()?.parse().ok()
}

/// A word on a request that was never seen open has at least its own time.
fn accepted_ms(ended: &Ended<'_>) -> i64 {
    let known = ended.outcome.accepted_at.or(ended.outcome.decided_at);
    known.unwrap_or(ended.fact.time).unix_ms()
}

/// Text from outside, as Postgres can hold it; see [`storable`].
fn plain(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}
