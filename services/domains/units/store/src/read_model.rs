//! Reading the registry.

use kit_event::{Timestamp, UnitId, UnitSeq};
use kit_store::read::{get, key_after, rows_for, seq_of};
use kit_store::{Act, Freshness, Page, StoreError};
use sqlx::postgres::PgRow;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{PgPool, Postgres, QueryBuilder};

/// A unit as it states itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitRow {
    /// The unit.
    pub unit: UnitId,
    /// Its IANA time zone.
    pub time_zone: String,
    /// Version of its agent.
    pub agent_version: String,
    /// The epoch in which it numbers its facts.
    pub epoch: u32,
    /// Whether every thing of the unit has been stated in this epoch.
    pub seeded: bool,
    /// The epoch before this one.
    pub previous: Option<u32>,
    /// Why this epoch was opened.
    pub reason: Option<String>,
    /// The number of the fact that said so.
    pub seq: UnitSeq,
    /// A newer fact about the unit could not be taken up.
    pub stale_since: Option<UnitSeq>,
    /// The last of all its facts that was applied here, whatever it was about.
    pub last: Option<Freshness>,
}

const SELECT: &str = "select u.unit, u.time_zone, u.agent_version, u.epoch, u.seq, u.seeded,
    u.previous, u.reason, u.stale_epoch, u.stale_seq, a.epoch as last_epoch, a.seq as last_seq,
    a.time as last_time
    from units.unit u left join units.applied a on a.unit = u.unit where ";

/// One unit.
///
/// # Errors
/// Postgres does not answer.
pub async fn unit(pool: &PgPool, unit: &UnitId) -> Result<Option<UnitRow>, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new(SELECT);
    query.push("u.unit = ").push_bind(unit.as_str());
    let row = query.build().fetch_optional(pool).await.reading("unit")?;
    row.as_ref().map(read).transpose()
}

/// Units in the order of their ids, a page at a time; `only` these, where some are named.
///
/// # Errors
/// Postgres does not answer; [`StoreError::BadCursor`].
pub async fn units(
    pool: &PgPool,
    only: Option<&[UnitId]>,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<UnitRow>, StoreError> {
    let after: Option<UnitId> = key_after(after)?;
    let mut query = QueryBuilder::<Postgres>::new(SELECT);
    query.push("true");
    if let Some(only) = only {
        let ids: Vec<String> = only.iter().map(UnitId::to_string).collect();
        query.push(" and u.unit = any(").push_bind(ids).push(")");
    }
    if let Some(after) = after {
        query.push(" and u.unit > ").push_bind(String::from(after));
    }
    query.push(" order by u.unit limit ").push_bind(rows_for(limit));
    let rows = query.build().fetch_all(pool).await.reading("units")?;
    let keyed = rows.iter().map(|row| read(row).map(|one| (one.unit.clone(), one)));
    Page::of(keyed.collect::<Result<_, _>>()?, limit)
}

fn read(row: &PgRow) -> Result<UnitRow, StoreError> {
    let id: String = get(row, "unit")?;
    let number = |epoch: &'static str, seq: &'static str| -> Result<_, StoreError> {
        let parts: (Option<i64>, Option<i64>) = (get(row, epoch)?, get(row, seq)?);
        match parts {
            (Some(epoch), Some(seq)) => kit_store::number::from_columns(epoch, seq).map(Some),
            (None, _) | (_, None) => Ok(None),
        }
    };
    let seq = seq_of(row, "epoch", "seq")?;
    let previous: Option<i64> = get(row, "previous")?;
    let last_time: Option<DateTime<Utc>> = get(row, "last_time")?;
    let last = number("last_epoch", "last_seq")?
        .zip(last_time)
        .map(|(seq, time)| Freshness { seq, as_of: Timestamp::from(time) });
    Ok(UnitRow {
        unit: id.parse().map_err(|_| StoreError::Unreadable { what: "unit id" })?,
        time_zone: get(row, "time_zone")?,
        agent_version: get(row, "agent_version")?,
        epoch: seq.epoch,
        seeded: get(row, "seeded")?,
        previous: previous.and_then(|epoch| u32::try_from(epoch).ok()),
        reason: get(row, "reason")?,
        seq,
        stale_since: number("stale_epoch", "stale_seq")?,
        last,
    })
}
