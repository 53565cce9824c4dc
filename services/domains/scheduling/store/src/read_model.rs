//! Reading the diary. Rows that are gone or withdrawn are not there.

use kit_event::{Timestamp, UnitId};
use kit_store::read::{fresh_items, fresh_page, fresh_row, get, key_after, rows_for};
use kit_store::{Act, Fresh, Page, Row, StoreError};
use sqlx::{PgPool, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::write::{NO_START_MS, searched};

/// Which appointments to list; every condition that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppointmentFilter {
    /// Of this patient.
    pub patient_id: Option<Uuid>,
    /// With this practitioner.
    pub practitioner_id: Option<Uuid>,
    /// Beginning at this instant or later.
    pub from: Option<Timestamp>,
    /// Beginning before this instant.
    pub to: Option<Timestamp>,
    /// Of this status, letter by letter.
    pub status: Option<String>,
}

/// Which practitioners to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PractitionerFilter {
    /// Of this specialty, as the unit writes it.
    pub specialty: Option<String>,
}

/// One appointment.
///
/// # Errors
/// Postgres does not answer.
pub async fn appointment(
    pool: &PgPool,
    unit: &UnitId,
    appointment_id: Uuid,
) -> Result<Fresh<Option<Row>>, StoreError> {
    const SQL: &str =
        "select a.epoch as fresh_epoch, a.seq as fresh_seq, a.time as fresh_time, t.state, t.epoch,
                t.seq, t.stale_epoch, t.stale_seq
         from scheduling.applied a
         left join scheduling.appointment t on t.unit = a.unit and t.appointment_id = $2
              and not t.removed and not t.withdrawn
         where a.unit = $1";
    one(pool, SQL, unit, appointment_id).await
}

/// One practitioner.
///
/// # Errors
/// Postgres does not answer.
pub async fn practitioner(
    pool: &PgPool,
    unit: &UnitId,
    practitioner_id: Uuid,
) -> Result<Fresh<Option<Row>>, StoreError> {
    const SQL: &str =
        "select a.epoch as fresh_epoch, a.seq as fresh_seq, a.time as fresh_time, t.state, t.epoch,
                t.seq, t.stale_epoch, t.stale_seq
         from scheduling.applied a
         left join scheduling.practitioner t on t.unit = a.unit and t.practitioner_id = $2
              and not t.removed and not t.withdrawn
         where a.unit = $1";
    one(pool, SQL, unit, practitioner_id).await
}

/// Appointments in the order of their beginnings, a page at a time. Those without a readable
/// beginning come last, and not at all where a beginning is asked for.
///
/// # Errors
/// Postgres does not answer; [`StoreError::BadCursor`].
pub async fn appointments(
    pool: &PgPool,
    unit: &UnitId,
    filter: &AppointmentFilter,
    after: Option<&str>,
    limit: u32,
) -> Result<Fresh<Page<Row>>, StoreError> {
    let after: Option<(i64, Uuid)> = key_after(after)?;
    let mut query = appointments_where(filter);
    if let Some((starts_ms, id)) = after {
        query.push(" and (t.starts_ms, t.appointment_id) > (").push_bind(starts_ms);
        query.push(", ").push_bind(id).push(")");
    }
    query.push(" order by t.starts_ms, t.appointment_id limit ").push_bind(rows_for(limit));
    query.push(") t on true where a.unit = ").push_bind(unit.as_str());
    query.push(" order by t.starts_ms, t.appointment_id");
    let rows = query.build().fetch_all(pool).await.reading("appointments")?;
    fresh_page(&rows, "seq", limit, |row| {
        let key: (i64, Uuid) = (get(row, "starts_ms")?, get(row, "appointment_id")?);
        Ok((key, Row::from_columns(row)?))
    })
}

/// Practitioners in the order of their names, a page at a time.
///
/// # Errors
/// Postgres does not answer; [`StoreError::BadCursor`].
pub async fn practitioners(
    pool: &PgPool,
    unit: &UnitId,
    filter: &PractitionerFilter,
    after: Option<&str>,
    limit: u32,
) -> Result<Fresh<Page<Row>>, StoreError> {
    let after: Option<(String, Uuid)> = key_after(after)?;
    let mut query = QueryBuilder::<Postgres>::new(
        "select a.epoch as fresh_epoch, a.seq as fresh_seq, a.time as fresh_time, t.*
         from scheduling.applied a left join lateral (
             select t.practitioner_id, t.sort_name, t.state, t.epoch, t.seq, t.stale_epoch,
                    t.stale_seq
             from scheduling.practitioner t
             where t.unit = a.unit and not t.removed and not t.withdrawn",
    );
    if let Some(specialty) = searched(filter.specialty.as_deref()) {
        query.push(" and t.specialty = ").push_bind(specialty);
    }
    if let Some((sort_name, id)) = after {
        query.push(" and (t.sort_name, t.practitioner_id) > (").push_bind(sort_name);
        query.push(", ").push_bind(id).push(")");
    }
    query.push(" order by t.sort_name, t.practitioner_id limit ").push_bind(rows_for(limit));
    query.push(") t on true where a.unit = ").push_bind(unit.as_str());
    query.push(" order by t.sort_name, t.practitioner_id");
    let rows = query.build().fetch_all(pool).await.reading("practitioners")?;
    fresh_page(&rows, "seq", limit, |row| {
        let key: (String, Uuid) = (get(row, "sort_name")?, get(row, "practitioner_id")?);
        Ok((key, Row::from_columns(row)?))
    })
}

/// The weekly hours of a practitioner, in the order of the week.
///
/// # Errors
/// Postgres does not answer.
pub async fn working_hours(
    pool: &PgPool,
    unit: &UnitId,
    practitioner_id: Uuid,
) -> Result<Fresh<Vec<Row>>, StoreError> {
    let rows = sqlx::query(
        "select a.epoch as fresh_epoch, a.seq as fresh_seq, a.time as fresh_time, t.state, t.epoch,
                t.seq, t.stale_epoch, t.stale_seq
         from scheduling.applied a
         left join scheduling.working_hours t on t.unit = a.unit and t.practitioner_id = $2
              and not t.removed and not t.withdrawn
         where a.unit = $1
         order by t.weekday, t.starts, t.working_hours_id",
    )
    .bind(unit.as_str())
    .bind(practitioner_id)
    .fetch_all(pool)
    .await
    .reading("working hours")?;
    fresh_items(&rows, "seq", Row::from_columns)
}

async fn one(
    pool: &PgPool,
    sql: &'static str,
    unit: &UnitId,
    id: Uuid,
) -> Result<Fresh<Option<Row>>, StoreError> {
    let rows = sqlx::query(sql)
        .bind(unit.as_str())
        .bind(id)
        .fetch_all(pool)
        .await
        .reading("one of the diary")?;
    fresh_row(&rows)
}

/// The statement up to the keyset; each condition that is not set is not in it, so that each
/// combination has a plan of its own.
fn appointments_where(filter: &AppointmentFilter) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        "select a.epoch as fresh_epoch, a.seq as fresh_seq, a.time as fresh_time, t.*
         from scheduling.applied a left join lateral (
             select t.appointment_id, t.starts_ms, t.state, t.epoch, t.seq, t.stale_epoch,
                    t.stale_seq
             from scheduling.appointment t
             where t.unit = a.unit and not t.removed and not t.withdrawn",
    );
    if let Some(patient_id) = filter.patient_id {
        query.push(" and t.patient_id = ").push_bind(patient_id);
    }
    if let Some(practitioner_id) = filter.practitioner_id {
        query.push(" and t.practitioner_id = ").push_bind(practitioner_id);
    }
    if let Some(from) = filter.from {
        query.push(" and t.starts_ms >= ").push_bind(from.unix_ms());
    }
    if filter.from.is_some() || filter.to.is_some() {
        let end = filter.to.map_or(NO_START_MS, Timestamp::unix_ms);
        query.push(" and t.starts_ms < ").push_bind(end);
    }
    if let Some(status) = searched(filter.status.as_deref()) {
        query.push(" and t.status = ").push_bind(status);
    }
    query
}
