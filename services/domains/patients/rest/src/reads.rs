//! Reading patients.

use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;
use kit_event::{Date, UnitId};
use kit_http::problem::NOT_FOUND;
use kit_http::{PageQuery, Problem, QueryText};
use kit_policy::{Caller, Resource};
use kit_rest::as_of::{self, AsOf, Kind};
use kit_rest::chart;
use kit_rest::guard::{Who, out_of_reach};
use kit_rest::read::{id_of, search};
use kit_rest::{App, InUnit};
use kit_store::StoreError;
use patients::Patient;
use patients_store::PatientFilter;
use serde_json::{Map, Value};

/// The schema of the read model.
const SCHEMA: &str = "patients";
/// What has a past here.
const PATIENT: Kind = Kind {
    resource: Patient::RESOURCE,
    types: "patients.patient_",
    shown: as_of::shown::<Patient>,
};

/// `GET /v1/units/{unit}/patients`.
///
/// # Errors
/// Parameters that do not read; the read model's errors.
pub async fn list(
    State(app): State<App>,
    scope: InUnit,
    headers: HeaderMap,
    mut query: QueryText,
) -> Result<Response, Problem> {
    let page = PageQuery::take(&mut query);
    let filter = PatientFilter {
        name: search(&mut query, "name"),
        birth_date: query.take::<Date>("birth_date"),
        mrn: search(&mut query, "mrn"),
    };
    query.finish()?;
    let unit = &scope.unit;
    let after = page.after.as_deref();
    let read = || patients_store::patients(&app.pool, unit, &filter, after, page.limit);
    let found = app.fresh(unit, SCHEMA, &headers, read).await?;
    Ok(app.records(unit, found))
}

/// `GET /v1/units/{unit}/patients/{id}`.
///
/// # Errors
/// 404; the read model's errors.
pub async fn one(
    State(app): State<App>,
    scope: InUnit,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
    mut query: QueryText,
) -> Result<Response, Problem> {
    let as_of = query.take::<AsOf>("as_of");
    query.finish()?;
    patient(&app, &scope.caller, &scope.unit, (&id, as_of), &headers).await
}

/// `GET /v1/patients/{id}`: finds the unit first.
///
/// # Errors
/// 404, also where the unit is not the caller's.
pub async fn anywhere(
    State(app): State<App>,
    Who(caller): Who,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut query: QueryText,
) -> Result<Response, Problem> {
    let as_of = query.take::<AsOf>("as_of");
    query.finish()?;
    let patient_id = id_of(&id)?;
    let home = patients_store::unit_of_patient(&app.pool, patient_id).await;
    let unit = home.map_err(|error| app.store_problem(&error))?.ok_or(NOT_FOUND)?;
    patient(&app, &caller, &unit, (&id, as_of), &headers).await
}

async fn patient(
    app: &App,
    caller: &Caller,
    unit: &UnitId,
    (id, as_of): (&str, Option<AsOf>),
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let patient_id = id_of(id)?;
    let resource = Resource::of(unit).about(Some(patient_id));
    caller.authorize(&resource).map_err(out_of_reach)?;
    if let Some(AsOf(moment)) = as_of {
        return app.record_as_of(caller, unit, (&PATIENT, patient_id), moment, headers).await;
    }
    let read = || patients_store::patient(&app.pool, unit, patient_id);
    let found = app.fresh(unit, SCHEMA, headers, read).await?;
    app.record(unit, headers, found)
}

/// The registration, on the first page of a chart.
pub async fn of_chart(page: chart::Page<'_>) -> Result<Option<Map<String, Value>>, StoreError> {
    let found = patients_store::patient(page.pool, page.unit, page.patient).await?;
    Ok(found.value.map(|row| Map::from_iter([("patient".to_owned(), row.state)])))
}
