//! Reading charts: lists and single records of every resource by the same handlers, and the first
//! page.

use std::str::FromStr;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use kit_event::Timestamp;
use kit_http::{PageQuery, Problem, QueryText};
use kit_rest::as_of::{self, AsOf, Kind};
use kit_rest::chart;
use kit_rest::read::{Instanted, id_of, search};
use kit_rest::{App, InUnit};
use kit_store::{Row, StoreError};
use records::rules::{closed, first_day};
use records::{Allergy, Condition, Encounter, Immunization, Observation};
use records_store::{Charted, CodeFilter, Filter};
use serde_json::{Map, Value};

/// The schema of the read model.
const SCHEMA: &str = "records";
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// `GET /v1/units/{unit}/patients/{id}/<resources>`.
///
/// # Errors
/// Parameters that do not read; 404 of a patient out of reach; the read model's errors.
pub async fn list<R: Charted>(
    State(app): State<App>,
    scope: InUnit,
    Path((_, patient)): Path<(String, String)>,
    headers: HeaderMap,
    mut query: QueryText,
) -> Result<Response, Problem> {
    let page = PageQuery::take(&mut query);
    let filter = Filter {
        code: search(&mut query, "code").as_deref().map(CodeFilter::read),
        category: search(&mut query, "category"),
        from: query.take::<Moment>("from").map(|moment| moment.0),
        to: query.take::<Moment>("to").map(|moment| moment.0),
        status: search(&mut query, "status"),
        without_errors: false,
    };
    let words = closed(R::RESOURCE, R::STATUS).unwrap_or_default();
    if filter.status.as_deref().is_some_and(|status| !words.contains(&status)) {
        query.refuse("status", format!("is one of {}", words.join(", ")));
    }
    query.finish()?;
    let patient = id_of(&patient)?;
    scope.authorize(Some(patient))?;
    let (unit, after) = (&scope.unit, page.after.as_deref());
    let read = || records_store::list::<R>(&app.pool, unit, patient, &filter, after, page.limit);
    let found = app.fresh(unit, SCHEMA, &headers, read).await?;
    Ok(app.records(unit, found))
}

/// `GET /v1/units/{unit}/<resources>/{id}`.
///
/// # Errors
/// 404; the read model's errors.
pub async fn one<R: Charted>(
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
        let kind = Kind { resource: R::RESOURCE, types: R::TYPES, shown: as_of::shown::<R> };
        return app.record_as_of(&scope.caller, unit, (&kind, id), moment, &headers).await;
    }
    let read = || records_store::one::<R>(&app.pool, unit, id);
    let found = app.fresh(unit, SCHEMA, &headers, read).await?;
    app.record_of_patient(&scope, &headers, found)
}

/// `GET /v1/units/{unit}/patients/{id}/summary`.
///
/// # Errors
/// 404; `read-model-behind`; the read models' errors.
pub async fn summary(
    State(app): State<App>,
    scope: InUnit,
    Path((_, patient)): Path<(String, String)>,
    headers: HeaderMap,
    query: QueryText,
) -> Result<Response, Problem> {
    query.finish()?;
    let (members, freshness) = app.chart(&scope, id_of(&patient)?, &headers).await?;
    let mut response = Json(Value::Object(members)).into_response();
    app.put_fresh(response.headers_mut(), &scope.unit, freshness);
    Ok(response)
}

/// Of each list on the first page so many, from the newest on.
const SHOWN: u32 = 20;

/// What of charts stands on their first page: nothing that was entered in error.
pub async fn of_chart(page: chart::Page<'_>) -> Result<Option<Map<String, Value>>, StoreError> {
    let observations = |category: &str| Filter {
        category: Some(category.to_owned()),
        without_errors: true,
        ..Filter::default()
    };
    let all = Filter { without_errors: true, ..Filter::default() };
    let lists = [
        ("allergies", newest::<Allergy>(page, &all).await?),
        ("conditions", newest::<Condition>(page, &all).await?),
        ("vitals", newest::<Observation>(page, &observations("vital-signs")).await?),
        ("results", newest::<Observation>(page, &observations("laboratory")).await?),
        ("immunizations", newest::<Immunization>(page, &all).await?),
        ("encounters", newest::<Encounter>(page, &all).await?),
    ];
    Ok(Some(lists.into_iter().map(|(name, items)| (name.to_owned(), items)).collect()))
}

async fn newest<R: Charted>(page: chart::Page<'_>, filter: &Filter) -> Result<Value, StoreError> {
    let chart::Page { pool, unit, patient, .. } = page;
    let found = records_store::list::<R>(pool, unit, patient, filter, None, SHOWN).await?;
    Ok(found.value.items.into_iter().map(|Row { state, .. }| state).collect())
}

/// An instant, or the first of a day, a month or a year in UTC.
struct Moment(Timestamp);

impl FromStr for Moment {
    type Err = <Instanted as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(day) = first_day(text) {
            return Ok(Self(Timestamp::from_unix_ms(i64::from(day.unix_days()) * DAY_MS)));
        }
        text.parse::<Instanted>().map(|instant| Self(instant.into()))
    }
}
