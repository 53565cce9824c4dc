//! Tracked requests: shown, awaited, listed.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use kit_event::RequestId;
use kit_http::problem::NOT_FOUND;
use kit_http::{PageQuery, Problem, QueryText};
use kit_policy::{Caller, Denied, Resource, Sight};
use kit_request::ports::RequestQuery;
use kit_request::tracked::{Entry, TrackedRequest};
use kit_rest::guard::{Who, out_of_reach};
use kit_rest::headers::{PREFERENCE_APPLIED, Prefer, UNIT_SEQ, put};
use kit_rest::read::List;
use kit_rest::{App, InUnit, Rest};
use kit_store::Fresh;
use requests::{FinalState, Shown};

/// The schema of the read model.
const SCHEMA: &str = "requests";
/// `GET /v1/requests/{id}`.
///
/// # Errors
/// 404; the read model's errors.
pub async fn one(
    State(app): State<App>,
    Who(caller): Who,
    Path(id): Path<String>,
    headers: HeaderMap,
    query: QueryText,
) -> Result<Response, Problem> {
    query.finish()?;
    let prefer = Prefer::read(&headers);
    let (mut entry, sight) = reachable(&app, &caller, &id).await?;
    if entry.word.is_none() {
        entry = ended_within(&app, entry, prefer.wait(0)).await?;
    }
    let mut response = shown(&app, sight, entry).into_response();
    if let Some(applied) = prefer.applied() {
        response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
    Ok(response)
}

/// A request as the caller may see it.
pub fn shown(app: &Rest, sight: Sight, entry: Entry) -> Response {
    let unit = entry.id.unit();
    let seq = entry.word.as_ref().and_then(|spoken| spoken.unit_seq);
    let tracked = seen(sight, app.requests.show(entry));
    let mut response = Json(tracked).into_response();
    if let Some(seq) = seq {
        put(response.headers_mut(), UNIT_SEQ, &seq.to_string());
    }
    app.put_fresh(response.headers_mut(), &unit, None);
    response
}

/// As much of a request as the caller may see.
pub fn seen(sight: Sight, tracked: TrackedRequest) -> TrackedRequest {
    match sight {
        Sight::Whole => tracked,
        Sight::Envelope => tracked.envelope(),
    }
}

/// Whether the caller may do what it is about to do to a request, and how much of it that shows. A
/// request is its maker's own, and the patient's whom it concerns.
fn authorize(caller: &Caller, entry: &Entry) -> Result<Sight, Denied> {
    let (unit, actor) = (entry.id.unit(), caller.verified.actor());
    let made_it = entry.is_of(&actor, None);
    let resource = Resource::of(&unit).about(entry.patient_id).with_envelope();
    caller.authorize(&resource.made_by(made_it.then_some(actor.as_str())))
}

/// `GET /v1/units/{unit}/requests`.
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
    let state = query.take::<String>("state");
    if state.as_deref().is_some_and(|state| !is_state(state)) {
        query.refuse("state", format!("is one of {}", states().join(", ")));
    }
    query.finish()?;
    let own = scope.caller.confine().map_err(out_of_reach)?;
    let own = own.map(|own| (own.actor, own.patient));
    let applied = app.requests.presence.applied(&scope.unit);
    let asked = RequestQuery { state, applied, own, after: page.after, limit: page.limit };
    let (unit, now) = (&scope.unit, app.requests.clock.now());
    let read = || app.requests.book.requests(unit, &asked, now);
    let Fresh { freshness, value } = app.fresh(unit, SCHEMA, &headers, read).await?;
    let list = List::of(value, |entry| {
        let sight = authorize(&scope.caller, &entry).unwrap_or(Sight::Envelope);
        seen(sight, app.requests.show(entry))
    });
    Ok(app.list(unit, freshness, list))
}

fn states() -> Vec<&'static str> {
    let open = [Shown::Accepted, Shown::Delivered, Shown::Overdue].map(Shown::as_str);
    open.into_iter().chain(FinalState::ALL.iter().map(|state| state.as_str())).collect()
}

fn is_state(text: &str) -> bool {
    states().contains(&text)
}

/// The request of that id, and how much of it the caller may see.
///
/// # Errors
/// 404; the read model's errors.
pub async fn reachable(app: &Rest, caller: &Caller, id: &str) -> Result<(Entry, Sight), Problem> {
    let id: RequestId = id.parse().map_err(|_| NOT_FOUND)?;
    if !caller.verified.sees(&id.unit()) {
        return Err(NOT_FOUND.into());
    }
    let found = app.requests.find(&id, |entry| authorize(caller, entry).ok()).await;
    found.map_err(|error| app.not_sent(&error))?.ok_or_else(|| NOT_FOUND.into())
}

/// The request once its unit has spoken, or as it stands when the time is up.
///
/// # Errors
/// The read model's errors.
pub async fn ended_within(app: &Rest, entry: Entry, wait: Duration) -> Result<Entry, Problem> {
    if wait.is_zero() {
        return Ok(entry);
    }
    let id = entry.id.clone();
    let awaited = app.requests.await_final(&id, entry, wait).await;
    awaited.map_err(|error| app.not_sent(&error))
}
