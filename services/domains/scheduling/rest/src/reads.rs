//! Reading practitioners and appointments.

use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;
use kit_event::Timestamp;
use kit_http::{PageQuery, Problem, QueryText};
use kit_rest::as_of::{self, AsOf, Kind};
use kit_rest::chart;
use kit_rest::read::{Instanted, id_of, search};
use kit_rest::{App, InUnit};
use kit_store::StoreError;
use scheduling::{Appointment, Status};
use scheduling_store::{AppointmentFilter, PractitionerFilter};
use serde_json::{Map, Value};

/// The schema of the read model.
const SCHEMA: &str = "scheduling";
/// What has a past here.
const APPOINTMENT: Kind = Kind {
    resource: Appointment::RESOURCE,
    types: "scheduling.appointment_",
    shown: as_of::shown::<Appointment>,
};

/// `GET /v1/units/{unit}/practitioners`.
///
/// # Errors
/// Parameters that do not read; the read model's errors.
pub async fn practitioners(
    State(app): State<App>,
    scope: InUnit,
    headers: HeaderMap,
    mut query: QueryText,
) -> Result<Response, Problem> {
    let page = PageQuery::take(&mut query);
    let filter = PractitionerFilter { specialty: search(&mut query, "specialty") };
    query.finish()?;
    let (unit, after) = (&scope.unit, page.after.as_deref());
    let read = || scheduling_store::practitioners(&app.pool, unit, &filter, after, page.limit);
    let found = app.fresh(unit, SCHEMA, &headers, read).await?;
    Ok(app.records(unit, found))
}

/// `GET /v1/units/{unit}/practitioners/{id}`.
///
/// # Errors
/// 404; the read model's errors.
pub async fn practitioner(
    State(app): State<App>,
    scope: InUnit,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
    query: QueryText,
) -> Result<Response, Problem> {
    query.finish()?;
    let (unit, id) = (&scope.unit, id_of(&id)?);
    let read = || scheduling_store::practitioner(&app.pool, unit, id);
    let found = app.fresh(unit, SCHEMA, &headers, read).await?;
    app.record(unit, &headers, found)
}

/// `GET /v1/units/{unit}/appointments`.
///
/// # Errors
/// Parameters that do not read; the read model's errors.
pub async fn appointments(
    State(app): State<App>,
    scope: InUnit,
    headers: HeaderMap,
    mut query: QueryText,
) -> Result<Response, Problem> {
    let page = PageQuery::take(&mut query);
    let mut filter = AppointmentFilter {
        patient_id: query.take_id("patient_id"),
        practitioner_id: query.take_id("practitioner_id"),
        from: query.take::<Instanted>("from").map(Timestamp::from),
        to: query.take::<Instanted>("to").map(Timestamp::from),
        status: query.take("status"),
    };
    if filter.status.as_deref().is_some_and(|status| Status::parse(status).is_none()) {
        let words: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
        query.refuse("status", format!("is one of {}", words.join(", ")));
    }
    query.finish()?;
    scope.confine(&mut filter.patient_id)?;
    let (unit, after) = (&scope.unit, page.after.as_deref());
    let read = || scheduling_store::appointments(&app.pool, unit, &filter, after, page.limit);
    let found = app.fresh(unit, SCHEMA, &headers, read).await?;
    Ok(app.records(unit, found))
}

/// `GET /v1/units/{unit}/appointments/{id}`.
///
/// # Errors
/// 404; the read model's errors.
pub async fn appointment(
    State(app): State<App>,
    scope: InUnit,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
    mut query: QueryText,
) -> Result<Response, Problem> {
    let as_of = query.take::<AsOf>("as_of");
    query.finish()?;
    let (unit, id) = (&scope.unit, id_of(&id)?);
    if let Some(AsOf(moment)) = as_of {
        let which = (&APPOINTMENT, id);
        return app.record_as_of(&scope.caller, unit, which, moment, &headers).await;
    }
    let read = || scheduling_store::appointment(&app.pool, unit, id);
    let found = app.fresh(unit, SCHEMA, &headers, read).await?;
    app.record_of_patient(&scope, &headers, found)
}

/// The next appointment, on the first page of a chart.
pub async fn of_chart(page: chart::Page<'_>) -> Result<Option<Map<String, Value>>, StoreError> {
    let filter = AppointmentFilter {
        patient_id: Some(page.patient),
        from: Some(page.now),
        status: Some(Status::Booked.as_str().to_owned()),
        ..AppointmentFilter::default()
    };
    let found = scheduling_store::appointments(page.pool, page.unit, &filter, None, 1).await?;
    let next = found.value.items.into_iter().next().map(|row| row.state);
    Ok(Some(Map::from_iter([("next_appointment".to_owned(), next.unwrap_or_default())])))
}
