//! How a domain stands with every unit at once: for the view of a whole fleet.

use std::collections::HashMap;

use kit_event::{Timestamp, UnitId, UnitSeq};
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgPool};

use crate::StoreError;
use crate::error::Act;
use crate::number::from_columns;

/// How far a domain is with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The last fact applied.
    pub applied: UnitSeq,
    /// Its time.
    pub as_of: Timestamp,
    /// The greatest number seen on the log.
    pub seen: UnitSeq,
    /// Facts that wait behind a hole.
    pub held: i64,
}

impl Standing {
    /// Whether a hole is open.
    #[must_use]
    pub fn is_on_hold(&self) -> bool {
        self.seen > self.applied || self.held > 0
    }
}

/// Every unit that `domain` has read a fact of. `domain` is a name of the code's, never a caller's.
///
/// # Errors
/// Postgres does not answer, or the domain has no tables yet.
pub async fn standings(
    pool: &PgPool,
    domain: &'static str,
) -> Result<HashMap<UnitId, Standing>, StoreError> {
    type Columns = (String, i64, i64, DateTime<Utc>, i64, i64, i64);
    let sql = format!(
        "select a.unit, a.epoch, a.seq, a.time, a.seen_epoch, a.seen_seq, coalesce(h.held, 0)
         from {domain}.applied a
         left join (select unit, count(*) as held from {domain}.held group by unit) h
         on h.unit = a.unit"
    );
    let rows: Vec<Columns> =
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(pool).await.reading("standings")?;
    let mut standings = HashMap::with_capacity(rows.len());
    for (unit, epoch, seq, time, seen_epoch, seen_seq, held) in rows {
        let unit = unit.parse().map_err(|_| StoreError::Unreadable { what: "unit id" })?;
        let standing = Standing {
            applied: from_columns(epoch, seq)?,
            as_of: Timestamp::from(time),
            seen: from_columns(seen_epoch, seen_seq)?,
            held,
        };
        standings.insert(unit, standing);
    }
    Ok(standings)
}
