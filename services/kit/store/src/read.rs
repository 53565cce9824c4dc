//! What reads of every domain share: rows, pages, and how fresh an answer is.

use kit_event::{Timestamp, UnitId, UnitSeq};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgPool, Row as _, ValueRef as _};

use crate::StoreError;
use crate::error::Act;
use crate::number::from_columns;

/// The most items of one page, whatever is asked for.
pub const PAGE_ITEMS_MAX: u32 = 500;

/// A thing as a read model knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its state, as the unit last stated it.
    pub state: Value,
    /// The number of the fact that stated it: its ETag.
    pub seq: UnitSeq,
    /// A newer fact about it could not be taken up; the state is that old.
    pub stale_since: Option<UnitSeq>,
}

impl Row {
    /// Takes the columns `state, epoch, seq, stale_epoch, stale_seq` of a row.
    ///
    /// # Errors
    /// A column is missing, or holds what no version wrote.
    pub fn from_columns(row: &PgRow) -> Result<Self, StoreError> {
        let stale: (Option<i64>, Option<i64>) = (get(row, "stale_epoch")?, get(row, "stale_seq")?);
        let stale_since = match stale {
            (Some(epoch), Some(seq)) => Some(from_columns(epoch, seq)?),
            _ => None,
        };
        Ok(Self { state: get(row, "state")?, seq: seq_of(row, "epoch", "seq")?, stale_since })
    }
}

/// How far a read model has come with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// The last fact applied.
    pub seq: UnitSeq,
    /// That fact's time.
    pub as_of: Timestamp,
}

/// An answer, and how fresh it is: both of one snapshot of the database.
#[derive(Debug, Clone, PartialEq)]
pub struct Fresh<T> {
    /// None while no fact of the unit was applied.
    pub freshness: Option<Freshness>,
    /// The answer.
    pub value: T,
}

/// Some items in order, and where the next page goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The key of the last item, where more follow.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of up to `limit + 1` rows with their keys: one more than asked for tells that
    /// another page follows.
    ///
    /// # Errors
    /// Never for keys that are numbers and texts.
    pub fn of<K: Serialize>(mut rows: Vec<(K, T)>, limit: u32) -> Result<Self, StoreError> {
        let limit = page_limit(limit) as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = match rows.last() {
            Some((key, _)) if more => Some(
                serde_json::to_string(key)
                    .map_err(|_| StoreError::Unreadable { what: "page key" })?,
            ),
            Some(_) | None => None,
        };
        Ok(Self { items: rows.into_iter().map(|(_, item)| item).collect(), next })
    }
}

/// Takes an answer apart: how fresh it is, and its items. An answer without items is one row that
/// tells only how fresh it is, and whose column `present` is null.
///
/// # Errors
/// A column is missing, or holds what no version wrote.
pub fn fresh_items<T>(
    rows: &[PgRow],
    present: &'static str,
    item: impl Fn(&PgRow) -> Result<T, StoreError>,
) -> Result<Fresh<Vec<T>>, StoreError> {
    let mut value = Vec::with_capacity(rows.len());
    for row in rows {
        if !row.try_get_raw(present).reading(present)?.is_null() {
            value.push(item(row)?);
        }
    }
    Ok(Fresh { freshness: freshness_of(rows)?, value })
}

/// As [`fresh_items`], for a page of up to `limit` items with their keys.
///
/// # Errors
/// As [`fresh_items`].
pub fn fresh_page<K: Serialize, T>(
    rows: &[PgRow],
    present: &'static str,
    limit: u32,
    item: impl Fn(&PgRow) -> Result<(K, T), StoreError>,
) -> Result<Fresh<Page<T>>, StoreError> {
    let Fresh { freshness, value } = fresh_items(rows, present, item)?;
    Ok(Fresh { freshness, value: Page::of(value, limit)? })
}

/// As [`fresh_items`], for the one thing that was asked for.
///
/// # Errors
/// As [`fresh_items`].
pub fn fresh_row(rows: &[PgRow]) -> Result<Fresh<Option<Row>>, StoreError> {
    let Fresh { freshness, value } = fresh_items(rows, "seq", Row::from_columns)?;
    Ok(Fresh { freshness, value: value.into_iter().next() })
}

/// The key that a page's `next` holds.
///
/// # Errors
/// [`StoreError::BadCursor`].
pub fn key_after<K: DeserializeOwned>(after: Option<&str>) -> Result<Option<K>, StoreError> {
    after.map(serde_json::from_str).transpose().map_err(|_| StoreError::BadCursor)
}

/// How many rows to read for a page of `limit` items.
#[must_use]
pub fn rows_for(limit: u32) -> i64 {
    i64::from(page_limit(limit)) + 1
}

/// A limit within its bounds.
#[must_use]
pub fn page_limit(limit: u32) -> u32 {
    limit.clamp(1, PAGE_ITEMS_MAX)
}

/// Takes the columns `fresh_epoch, fresh_seq, fresh_time` of the rows of one answer, which all
/// carry the same; none where there is no row, or no progress of the unit.
///
/// # Errors
/// A column is missing, or holds what no version wrote.
fn freshness_of(rows: &[PgRow]) -> Result<Option<Freshness>, StoreError> {
    let Some(row) = rows.first() else { return Ok(None) };
    let Some(as_of) = get::<Option<DateTime<Utc>>>(row, "fresh_time")? else { return Ok(None) };
    let seq = seq_of(row, "fresh_epoch", "fresh_seq")?;
    Ok(applied_freshness(seq, as_of))
}

/// How far the slowest of some domains has come with a unit; none while one of them has applied
/// nothing of it. One index entry for each domain: cheap enough to ask every 20 ms.
///
/// # Errors
/// Postgres does not answer.
pub async fn freshness(
    pool: &PgPool,
    unit: &UnitId,
    schemas: &[&'static str],
) -> Result<Option<Freshness>, StoreError> {
    let parts: Vec<String> = schemas
        .iter()
        .map(|schema| format!("select epoch, seq, time from {schema}.applied where unit = $1"))
        .collect();
    let rows = sqlx::query(AssertSqlSafe(parts.join(" union all ")))
        .bind(unit.as_str())
        .fetch_all(pool)
        .await
        .reading("applied")?;
    if rows.len() < schemas.len() {
        return Ok(None);
    }
    let mut slowest: Option<Freshness> = None;
    for row in &rows {
        let seq = seq_of(row, "epoch", "seq")?;
        let Some(one) = applied_freshness(seq, get(row, "time")?) else { return Ok(None) };
        slowest = match slowest {
            Some(other) if other.seq <= one.seq => Some(other),
            _ => Some(one),
        };
    }
    Ok(slowest)
}

/// One column of a row.
///
/// # Errors
/// It is missing, or of another type.
pub fn get<'r, T>(row: &'r PgRow, column: &'static str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(column).reading(column)
}

/// A unit's number in two columns of a row.
///
/// # Errors
/// One is missing, or they hold none.
pub fn seq_of(row: &PgRow, epoch: &'static str, seq: &'static str) -> Result<UnitSeq, StoreError> {
    from_columns(get(row, epoch)?, get(row, seq)?)
}

/// A unit may have a row before its first fact is applied: then all that came is held.
fn applied_freshness(seq: UnitSeq, as_of: DateTime<Utc>) -> Option<Freshness> {
    (seq > UnitSeq::ZERO).then(|| Freshness { seq, as_of: Timestamp::from(as_of) })
}
