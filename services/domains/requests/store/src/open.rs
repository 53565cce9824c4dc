//! What waits for each unit, over all units at once: for the view of a whole fleet.

use std::collections::HashMap;

use kit_event::{Timestamp, UnitId};
use kit_store::{Act, StoreError};
use sqlx::PgPool;
use sqlx::types::chrono::{DateTime, Utc};

/// The open requests of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenRequests {
    /// How many.
    pub open: i64,
    /// How many of them are past their deadline.
    pub overdue: i64,
    /// When the oldest was accepted.
    pub oldest: Option<Timestamp>,
}

/// Every unit with an open request.
///
/// # Errors
/// Postgres does not answer.
pub async fn open_by_unit(
    pool: &PgPool,
    now: Timestamp,
) -> Result<HashMap<UnitId, OpenRequests>, StoreError> {
    type Columns = (String, i64, i64, Option<DateTime<Utc>>);
    let rows: Vec<Columns> = sqlx::query_as(
        "select unit, count(*), count(*) filter (where expires_at <= $1), min(accepted_at)
         from requests.request where state = 'accepted' group by unit",
    )
    .bind(now.to_utc())
    .fetch_all(pool)
    .await
    .reading("open requests")?;
    rows.into_iter()
        .map(|(unit, open, overdue, oldest)| {
            let unit = unit.parse().map_err(|_| StoreError::Unreadable { what: "unit id" })?;
            Ok((unit, OpenRequests { open, overdue, oldest: oldest.map(Timestamp::from) }))
        })
        .collect()
}
