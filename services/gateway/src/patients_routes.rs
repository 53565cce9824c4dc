//! Patients at REST.

use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;
use kit_event::{Date, UnitId, derived_id};
use kit_http::problem::{INVALID_FIELDS, NOT_FOUND};
use kit_http::{JsonObject, PageQuery, Problem, QueryText, read_fields};
use patients::{Patient, RegisterPatient, UpdatePatient};
use patients_store::PatientFilter;

use crate::as_of::{self, AsOf, Kind};
use crate::caller::{Caller, InUnit};
use crate::fields::{canonical, check, refuse_set, set};
use crate::headers::{WriteHeaders, if_match};
use crate::read::id_of;
use crate::write::{App, Wish};

/// The schema of the read model.
const SCHEMA: &str = "patients";
/// What has a past here.
const PATIENT: Kind =
    Kind { thing: Patient::THING, types: "patients.patient_", shown: as_of::shown::<Patient> };
/// Where patients are found in a unit.
const COLLECTION: &str = "patients";
/// Fields of the wish to register that the gateway sets.
pub const REGISTER_SET: &[&str] = &["patient_id"];
/// Fields of the wish to change that the gateway sets.
pub const UPDATE_SET: &[&str] = &["patient_id", "if_match", "fields"];
/// Longest text that a list is searched for; no name is longer.
pub const SEARCH_CHARS_MAX: usize = 200;

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

/// Takes a text to search for.
pub fn search(query: &mut QueryText, name: &str) -> Option<String> {
    let text = query.take::<String>(name)?;
    if text.chars().count() > SEARCH_CHARS_MAX {
        query.refuse(name, format!("has at most {SEARCH_CHARS_MAX} characters"));
    }
    Some(text)
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
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut query: QueryText,
) -> Result<Response, Problem> {
    let as_of = query.take::<AsOf>("as_of");
    query.finish()?;
    let patient_id = id_of(&id)?;
    let home = patients_store::unit_of_patient(&app.pool, patient_id).await;
    let unit = home.map_err(|error| app.store_problem(&error))?.ok_or(NOT_FOUND)?;
    if !caller.verified.sees(&unit) {
        return Err(NOT_FOUND.into());
    }
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
    caller.must_see_patient(Some(patient_id))?;
    if let Some(AsOf(moment)) = as_of {
        return app.record_as_of(caller, unit, (&PATIENT, patient_id), moment, headers).await;
    }
    let read = || patients_store::patient(&app.pool, unit, patient_id);
    let found = app.fresh(unit, SCHEMA, headers, read).await?;
    app.record(unit, headers, found)
}

/// `POST /v1/units/{unit}/patients`.
///
/// # Errors
/// Headers and fields that do not read; the unit's refusal.
pub async fn register(
    State(app): State<App>,
    scope: InUnit,
    headers: HeaderMap,
    query: QueryText,
    JsonObject(mut fields): JsonObject,
) -> Result<Response, Problem> {
    query.finish()?;
    let write = WriteHeaders::read(&headers)?;
    let id = scope.caller.request_id(&scope.unit, &write.key);
    refuse_set(&fields, REGISTER_SET)?;
    set(&mut fields, "patient_id", derived_id(&id, "patient"));
    let wish: RegisterPatient = read_fields(fields)?;
    check(wish.validate())?;
    let wish = Wish {
        type_name: RegisterPatient::TYPE,
        version: patients::Command::VERSION,
        body: canonical(&wish)?,
        collection: COLLECTION,
        creates: true,
        not_there: None,
    };
    app.ask(&scope, id, write, wish).await
}

/// `PATCH /v1/units/{unit}/patients/{id}`: changes the fields that the body names, and no others.
///
/// # Errors
/// Headers and fields that do not read; the unit's refusal.
pub async fn amend(
    State(app): State<App>,
    scope: InUnit,
    Path((_, patient_id)): Path<(String, String)>,
    headers: HeaderMap,
    query: QueryText,
    JsonObject(mut fields): JsonObject,
) -> Result<Response, Problem> {
    query.finish()?;
    let patient_id = id_of(&patient_id)?;
    scope.caller.must_see_patient(Some(patient_id))?;
    let write = WriteHeaders::read(&headers)?;
    let insists = if_match(&headers)?;
    let id = scope.caller.request_id(&scope.unit, &write.key);
    refuse_set(&fields, UPDATE_SET)?;
    let mut named: Vec<String> = fields.keys().cloned().collect();
    if named.is_empty() {
        return Err(Problem::from(INVALID_FIELDS).field("", "names no field to change"));
    }
    // The same wish whatever order its fields were written in.
    named.sort_unstable();
    set(&mut fields, "patient_id", patient_id);
    if let Some(seq) = insists {
        set(&mut fields, "if_match", seq);
    }
    fields.insert("fields".to_owned(), named.into());
    let wish: UpdatePatient = read_fields(fields)?;
    check(wish.validate())?;
    let wish = Wish {
        type_name: UpdatePatient::TYPE,
        version: patients::Command::VERSION,
        body: canonical(&wish)?,
        collection: COLLECTION,
        creates: false,
        not_there: Some("patient-unknown"),
    };
    app.ask(&scope, id, write, wish).await
}
