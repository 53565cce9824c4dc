//! Units at REST: the registry, presence, freshness.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use kit_event::{Timestamp, UnitId, UnitSeq};
use kit_http::{PageQuery, Problem, QueryText};
use kit_rest::guard::Who;
use kit_rest::read::List;
use kit_rest::{App, InUnit};
use kit_store::{Fresh, Freshness};
use serde::Serialize;
use units_store::UnitRow;
use utoipa::ToSchema;

/// The schema of the read model.
const SCHEMA: &str = "units";

/// A unit at REST.
#[derive(Debug, Serialize, ToSchema)]
pub struct Unit {
    /// Its id.
    #[schema(value_type = String)]
    pub unit_id: UnitId,
    /// Its IANA time zone, in which working hours are wall time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Version of its agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// Whether a message would reach its agent now.
    pub online: bool,
    /// Since when it is connected, or away; absent for a unit that never was connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// The last fact of the unit that the read models hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub unit_seq: Option<UnitSeq>,
    /// When the unit numbered that fact.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub as_of: Option<Timestamp>,
    /// The last fact of the unit that the log holds, as its edge last said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub durable_seq: Option<UnitSeq>,
    /// Whether everything of the unit has been stated since its numbering last began anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeded: Option<bool>,
}

impl Unit {
    fn of(app: &App, unit: UnitId, row: Option<&UnitRow>, last: Option<Freshness>) -> Self {
        let presence = app.requests.presence.last(&unit);
        let online = app.is_online(&unit);
        let told = presence.as_ref();
        Self {
            time_zone: row.map(|row| row.time_zone.clone()),
            agent_version: told
                .and_then(|at| at.agent_version.clone())
                .or_else(|| row.map(|row| row.agent_version.clone())),
            online,
            since: told.map(|at| at.since),
            unit_seq: last.map(|at| at.seq),
            as_of: last.map(|at| at.as_of),
            durable_seq: told.and_then(|at| at.durable_seq),
            seeded: row.map(|row| row.seeded),
            unit_id: unit,
        }
    }
}

/// `GET /v1/units`.
///
/// # Errors
/// Parameters that do not read; the read model's errors.
pub async fn list(
    State(app): State<App>,
    Who(caller): Who,
    mut query: QueryText,
) -> Result<Response, Problem> {
    let page = PageQuery::take(&mut query);
    query.finish()?;
    let found =
        units_store::units(&app.pool, caller.units(), page.after.as_deref(), page.limit).await;
    let found = found.map_err(|error| app.store_problem(&error))?;
    let list = List::of(found, |row| {
        let (unit, last) = (row.unit.clone(), row.last);
        Unit::of(&app, unit, Some(&row), last)
    });
    Ok(Json(list).into_response())
}

/// `GET /v1/units/{unit}`.
///
/// # Errors
/// 404; the read model's errors.
pub async fn one(
    State(app): State<App>,
    scope: InUnit,
    headers: HeaderMap,
    query: QueryText,
) -> Result<Response, Problem> {
    query.finish()?;
    let unit = &scope.unit;
    let read = || async {
        let value = units_store::unit(&app.pool, unit).await?;
        Ok(Fresh { freshness: value.as_ref().and_then(|row| row.last), value })
    };
    let Fresh { freshness, value } = app.fresh(unit, SCHEMA, &headers, read).await?;
    let shown = Unit::of(&app, unit.clone(), value.as_ref(), freshness);
    let mut response = Json(shown).into_response();
    app.put_fresh(response.headers_mut(), unit, freshness);
    Ok(response)
}
