//! The tables of the diary, and what their rows are searched by.

use kit_event::Timestamp;
use kit_store::StoreError;
use kit_store::json::searchable;
use kit_store::rows::{Columns, ResourceTable, Searched, Stated, upsert};
use scheduling::{Appointment, Practitioner, WorkingHours};
use sqlx::PgConnection;

/// Characters of a searched text; an index entry has a greatest size, and nobody types more.
pub(crate) const SEARCHED_CHARS_MAX: usize = 120;
/// Where an appointment without a readable beginning stands in the order of time: last.
pub(crate) const NO_START_MS: i64 = i64::MAX;

pub(crate) const APPOINTMENT: ResourceTable = ResourceTable {
    name: "appointment",
    resource: Appointment::RESOURCE,
    key: "appointment_id",
    searched: &[
        Searched("patient_id", "uuid"),
        Searched("practitioner_id", "uuid"),
        Searched("starts_ms", "bigint"),
        Searched("status", "text"),
    ],
};

pub(crate) const PRACTITIONER: ResourceTable = ResourceTable {
    name: "practitioner",
    resource: Practitioner::RESOURCE,
    key: "practitioner_id",
    searched: &[Searched("sort_name", "text"), Searched("specialty", "text")],
};

pub(crate) const WORKING_HOURS: ResourceTable = ResourceTable {
    name: "working_hours",
    resource: WorkingHours::RESOURCE,
    key: "working_hours_id",
    searched: &[
        Searched("practitioner_id", "uuid"),
        Searched("weekday", "bigint"),
        Searched("starts", "text"),
    ],
};

pub(crate) fn searched(text: Option<&str>) -> Option<String> {
    text.map(|text| searchable(text, SEARCHED_CHARS_MAX))
}

/// Writes appointments, each of them once.
pub(crate) async fn appointments(
    connection: &mut PgConnection,
    states: &[Stated<'_, Appointment>],
) -> Result<(), StoreError> {
    let starts =
        |s: &Stated<'_, Appointment>| s.resource.starts_at.map_or(NO_START_MS, Timestamp::unix_ms);
    upsert(connection, &APPOINTMENT, &Columns::of(states)?, |query| {
        query
            .bind(states.iter().map(|s| s.resource.patient_id).collect::<Vec<_>>())
            .bind(states.iter().map(|s| s.resource.practitioner_id).collect::<Vec<_>>())
            .bind(states.iter().map(starts).collect::<Vec<_>>())
            .bind(states.iter().map(|s| searched(s.resource.status.as_deref())).collect::<Vec<_>>())
    })
    .await
}

/// Writes practitioners, each of them once.
pub(crate) async fn practitioners(
    connection: &mut PgConnection,
    states: &[Stated<'_, Practitioner>],
) -> Result<(), StoreError> {
    upsert(connection, &PRACTITIONER, &Columns::of(states)?, |query| {
        let specialties = states.iter().map(|s| searched(s.resource.specialty.as_deref()));
        query
            .bind(states.iter().map(|s| sort_name(&s.resource)).collect::<Vec<_>>())
            .bind(specialties.collect::<Vec<_>>())
    })
    .await
}

/// Writes working hours, each of them once.
pub(crate) async fn working_hours(
    connection: &mut PgConnection,
    states: &[Stated<'_, WorkingHours>],
) -> Result<(), StoreError> {
    upsert(connection, &WORKING_HOURS, &Columns::of(states)?, |query| {
        query
            .bind(states.iter().map(|s| s.resource.practitioner_id).collect::<Vec<_>>())
            .bind(states.iter().map(|s| s.resource.weekday).collect::<Vec<_>>())
            .bind(states.iter().map(|s| searched(s.resource.starts.as_deref())).collect::<Vec<_>>())
    })
    .await
}

fn sort_name(practitioner: &Practitioner) -> String {
    let family = practitioner.family_name.as_deref().unwrap_or_default();
    let given = practitioner.given_name.as_deref().unwrap_or_default();
    searchable(&format!("{family} {given}").to_lowercase(), SEARCHED_CHARS_MAX)
}
