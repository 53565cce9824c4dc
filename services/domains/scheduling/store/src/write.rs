//! One statement for each table, however many rows; a row yields only to a greater number.

use kit_event::Timestamp;
use kit_store::json::searchable;
use kit_store::rows::{Columns, Stated};
use kit_store::{Act, StoreError};
use scheduling::{Appointment, Practitioner, WorkingHours};
use sqlx::PgConnection;

/// Characters of a searched text; an index entry has a greatest size, and nobody types more.
pub(crate) const SEARCHED_CHARS_MAX: usize = 120;
/// Where an appointment without a readable beginning stands in the order of time: last.
pub(crate) const NO_START_MS: i64 = i64::MAX;

pub(crate) fn searched(text: Option<&str>) -> Option<String> {
    text.map(|text| searchable(text, SEARCHED_CHARS_MAX))
}

/// Writes appointments, each of them once.
pub(crate) async fn appointments(
    connection: &mut PgConnection,
    states: &[Stated<'_, Appointment>],
) -> Result<(), StoreError> {
    let columns = Columns::of(states)?;
    let starts = states.iter().map(|s| s.thing.starts_at.map_or(NO_START_MS, Timestamp::unix_ms));
    let statuses = states.iter().map(|s| searched(s.thing.status.as_deref()));
    sqlx::query(
        "insert into appointment as t (unit, appointment_id, epoch, seq, patient_id,
                                       practitioner_id, starts_ms, status, removed, state)
         select * from unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[], $5::uuid[],
                              $6::uuid[], $7::bigint[], $8::text[], $9::bool[], $10::jsonb[])
         on conflict (unit, appointment_id) do update set
             epoch = excluded.epoch, seq = excluded.seq, patient_id = excluded.patient_id,
             practitioner_id = excluded.practitioner_id, starts_ms = excluded.starts_ms,
             status = excluded.status, removed = excluded.removed, withdrawn = false,
             stale_epoch = null, stale_seq = null, state = excluded.state
         where (t.epoch, t.seq) < (excluded.epoch, excluded.seq)",
    )
    .bind(&columns.units)
    .bind(&columns.ids)
    .bind(&columns.epochs)
    .bind(&columns.seqs)
    .bind(states.iter().map(|s| s.thing.patient_id).collect::<Vec<_>>())
    .bind(states.iter().map(|s| s.thing.practitioner_id).collect::<Vec<_>>())
    .bind(starts.collect::<Vec<_>>())
    .bind(statuses.collect::<Vec<_>>())
    .bind(&columns.removed)
    .bind(&columns.states)
    .execute(connection)
    .await
    .writing("appointments")?;
    Ok(())
}

/// Writes practitioners, each of them once.
pub(crate) async fn practitioners(
    connection: &mut PgConnection,
    states: &[Stated<'_, Practitioner>],
) -> Result<(), StoreError> {
    let columns = Columns::of(states)?;
    let specialties = states.iter().map(|s| searched(s.thing.specialty.as_deref()));
    sqlx::query(
        "insert into practitioner as t (unit, practitioner_id, epoch, seq, sort_name, specialty,
                                        removed, state)
         select * from unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[], $5::text[],
                              $6::text[], $7::bool[], $8::jsonb[])
         on conflict (unit, practitioner_id) do update set
             epoch = excluded.epoch, seq = excluded.seq, sort_name = excluded.sort_name,
             specialty = excluded.specialty, removed = excluded.removed, withdrawn = false,
             stale_epoch = null, stale_seq = null, state = excluded.state
         where (t.epoch, t.seq) < (excluded.epoch, excluded.seq)",
    )
    .bind(&columns.units)
    .bind(&columns.ids)
    .bind(&columns.epochs)
    .bind(&columns.seqs)
    .bind(states.iter().map(|s| sort_name(&s.thing)).collect::<Vec<_>>())
    .bind(specialties.collect::<Vec<_>>())
    .bind(&columns.removed)
    .bind(&columns.states)
    .execute(connection)
    .await
    .writing("practitioners")?;
    Ok(())
}

/// Writes working hours, each of them once.
pub(crate) async fn working_hours(
    connection: &mut PgConnection,
    states: &[Stated<'_, WorkingHours>],
) -> Result<(), StoreError> {
    let columns = Columns::of(states)?;
    let starts = states.iter().map(|s| searched(s.thing.starts.as_deref()));
    sqlx::query(
        "insert into working_hours as t (unit, working_hours_id, epoch, seq, practitioner_id,
                                         weekday, starts, removed, state)
         select * from unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[], $5::uuid[],
                              $6::bigint[], $7::text[], $8::bool[], $9::jsonb[])
         on conflict (unit, working_hours_id) do update set
             epoch = excluded.epoch, seq = excluded.seq,
             practitioner_id = excluded.practitioner_id, weekday = excluded.weekday,
             starts = excluded.starts, removed = excluded.removed, withdrawn = false,
             stale_epoch = null, stale_seq = null, state = excluded.state
         where (t.epoch, t.seq) < (excluded.epoch, excluded.seq)",
    )
    .bind(&columns.units)
    .bind(&columns.ids)
    .bind(&columns.epochs)
    .bind(&columns.seqs)
    .bind(states.iter().map(|s| s.thing.practitioner_id).collect::<Vec<_>>())
    .bind(states.iter().map(|s| s.thing.weekday).collect::<Vec<_>>())
    .bind(starts.collect::<Vec<_>>())
    .bind(&columns.removed)
    .bind(&columns.states)
    .execute(connection)
    .await
    .writing("working hours")?;
    Ok(())
}

fn sort_name(practitioner: &Practitioner) -> String {
    let family = practitioner.family_name.as_deref().unwrap_or_default();
    let given = practitioner.given_name.as_deref().unwrap_or_default();
    searchable(&format!("{family} {given}").to_lowercase(), SEARCHED_CHARS_MAX)
}
