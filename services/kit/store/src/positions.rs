//! How far read models have come with many units at once, for those who wait for news of them.

use std::collections::HashMap;

use kit_event::{UnitId, UnitSeq};
use sqlx::{AssertSqlSafe, PgPool};

use crate::StoreError;
use crate::error::Act;
use crate::read::{get, seq_of};

/// The last fact that the slowest of some domains has applied, for each of `units` of which all of
/// them have applied one. One index entry for each unit and domain.
///
/// # Errors
/// Postgres does not answer.
pub async fn positions(
    pool: &PgPool,
    units: &[UnitId],
    schemas: &[&'static str],
) -> Result<HashMap<UnitId, UnitSeq>, StoreError> {
    let parts: Vec<String> = schemas
        .iter()
        .map(|schema| format!("select unit, epoch, seq from {schema}.applied where unit = any($1)"))
        .collect();
    let names: Vec<&str> = units.iter().map(UnitId::as_str).collect();
    let rows = sqlx::query(AssertSqlSafe(parts.join(" union all ")))
        .bind(names)
        .fetch_all(pool)
        .await
        .reading("applied of units")?;
    let mut slowest: HashMap<UnitId, (usize, UnitSeq)> = HashMap::with_capacity(units.len());
    for row in &rows {
        let unit: String = get(row, "unit")?;
        let unit = unit.parse().map_err(|_| StoreError::Unreadable { what: "unit id" })?;
        let seq = seq_of(row, "epoch", "seq")?;
        let (told, at) = slowest.entry(unit).or_insert((0, seq));
        *told += 1;
        *at = seq.min(*at);
    }
    let whole = slowest.into_iter().filter(|(_, (told, _))| *told == schemas.len());
    Ok(whole.map(|(unit, (_, seq))| (unit, seq)).collect())
}
