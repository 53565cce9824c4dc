//! The one unit of each patient id.
//!
//! A registration belongs to the unit that stated it first on the log, for ever, also once it is
//! removed: tokens, links and whoever looked at it name the id. Another unit's statement of the
//! same id is refused and parked.

use std::collections::HashMap;

use kit_store::rows::Stated;
use kit_store::{Act, StoreError};
use patients::Patient;
use sqlx::PgConnection;
use uuid::Uuid;

/// The unit of each patient: its own, where no other claimed the id before on the log. A claim that
/// is read later and was made earlier takes the home over, and what the other unit had said goes.
pub(crate) async fn claim(
    connection: &mut PgConnection,
    stated: &[(usize, Stated<'_, Patient>)],
) -> Result<HashMap<Uuid, String>, StoreError> {
    let ids: Vec<Uuid> = stated.iter().map(|(_, state)| state.id).collect();
    let before = homes(connection, &ids).await?;
    let units: Vec<&str> = stated.iter().map(|(_, s)| s.entry.fact.unit.as_str()).collect();
    let logged: Vec<i64> = stated.iter().map(|(_, s)| s.entry.logged_ms).collect();
    sqlx::query(
        "insert into home as h (patient_id, unit, claimed_ms)
         select distinct on (n.patient_id) n.patient_id, n.unit, n.logged_ms
         from unnest($1::uuid[], $2::text[], $3::bigint[]) with ordinality
              as n(patient_id, unit, logged_ms, place)
         order by n.patient_id, n.logged_ms, n.place
         on conflict (patient_id) do update set unit = excluded.unit,
             claimed_ms = excluded.claimed_ms
         where excluded.claimed_ms < h.claimed_ms",
    )
    .bind(&ids)
    .bind(units)
    .bind(logged)
    .execute(&mut *connection)
    .await
    .writing("homes")?;
    let after = homes(connection, &ids).await?;
    let lost: Vec<_> =
        before.into_iter().filter(|(id, unit)| after.get(id) != Some(unit)).collect();
    if !lost.is_empty() {
        leave(connection, lost).await?;
    }
    Ok(after)
}

async fn homes(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, String>, StoreError> {
    let homes: Vec<(Uuid, String)> =
        sqlx::query_as("select patient_id, unit from home where patient_id = any($1)")
            .bind(ids)
            .fetch_all(connection)
            .await
            .reading("homes")?;
    Ok(homes.into_iter().collect())
}

/// Takes away what units said of patients who are not theirs.
async fn leave(connection: &mut PgConnection, lost: Vec<(Uuid, String)>) -> Result<(), StoreError> {
    let (ids, units): (Vec<Uuid>, Vec<String>) = lost.into_iter().unzip();
    tracing::warn!(patients = ids.len(), "patient ids went to the units that claimed them earlier");
    sqlx::query(
        "with gone as (
             delete from patient p using unnest($1::uuid[], $2::text[]) as n(patient_id, unit)
             where p.unit = n.unit and p.patient_id = n.patient_id
             returning p.unit, p.patient_id, p.sort_name, p.words)
         delete from patient_word w using gone
         where w.unit = gone.unit and w.word = any(string_to_array(gone.words, ' '))
               and w.sort_name = gone.sort_name and w.patient_id = gone.patient_id",
    )
    .bind(ids)
    .bind(units)
    .execute(connection)
    .await
    .writing("patients of other units")?;
    Ok(())
}
