//! The timeline at REST: a unit's numbered facts, of any type, as a list. As a live stream they
//! come later, under the same address and the same numbers.

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use kit_event::{RequestId, Timestamp, UnitSeq};
use kit_http::{PageQuery, Problem, QueryText};
use kit_timeline::{EventFilter, TimelineRow};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::caller::InUnit;
use crate::read::List;
use crate::write::App;

/// The schema of the read model.
const SCHEMA: &str = "timeline";
/// Types that one call may ask for; a page of every type costs the same.
const TYPES_MAX: usize = 20;

/// A fact at REST; the same members as on the link and in the log.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    /// Its number, for `after`.
    #[schema(value_type = String)]
    pub seq: UnitSeq,
    /// Its id.
    pub id: Uuid,
    /// Its type, as `scheduling.appointment_booked`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Version of the type's schema.
    pub version: u32,
    /// When the unit numbered it.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// `<thing>/<id>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The one patient it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<Uuid>,
    /// The request that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub causation_id: Option<RequestId>,
    /// The state after it of the thing it is about.
    #[schema(value_type = Object)]
    pub body: Value,
}

impl From<TimelineRow> for Event {
    fn from(row: TimelineRow) -> Self {
        Self {
            seq: row.seq,
            id: row.id,
            type_name: row.type_name,
            version: row.version,
            time: row.time,
            subject: row.subject,
            patient_id: row.patient_id,
            causation_id: row.causation_id,
            body: row.body,
        }
    }
}

/// `GET /v1/units/{unit}/events`. The cursor is the number of the last fact, so that `after` and
/// `cursor` are two names for one thing, and a reader that is up to date goes on from its own.
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
    let named = query.take::<UnitSeq>("after").unwrap_or_default();
    let after = match page.after.map(|key| key.parse::<UnitSeq>()) {
        None => named,
        Some(Ok(seq)) => seq.max(named),
        Some(Err(_)) => {
            query.refuse("cursor", "is no cursor that this list gave");
            named
        }
    };
    let types = query.take_all("type");
    if types.len() > TYPES_MAX {
        query.refuse("type", format!("stands at most {TYPES_MAX} times"));
    }
    query.finish()?;
    let unit = &scope.unit;
    let filter = EventFilter { after, types, patient_id: None };
    let read = || kit_timeline::events(&app.pool, unit, &filter, page.limit);
    let found = app.fresh(unit, SCHEMA, &headers, read).await?;
    let items: Vec<Event> = found.value.into_iter().map(Event::from).collect();
    let full = u32::try_from(items.len()).is_ok_and(|count| count >= page.limit);
    let last = items.last().filter(|_| full);
    let next = last.map(|event| kit_http::cursor_text(&event.seq.to_string()));
    Ok(app.list(unit, found.freshness, List { items, next }))
}
