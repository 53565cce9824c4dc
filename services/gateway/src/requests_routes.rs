//! Tracked requests at REST: shown, awaited, listed, cancelled.

use std::time::{Duration, Instant};

use axum::Extension;
use axum::Json;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use kit_event::{Delivery, Request, RequestId, command_hash};
use kit_http::problem::NOT_FOUND;
use kit_http::{PageQuery, Problem, QueryText};
use kit_policy::{Caller, Reach};
use kit_request::await_final::LOOK_EVERY;
use kit_request::limits::Act;
use kit_request::ports::RequestQuery;
use kit_request::tracked::{Entry, TrackedRequest};
use kit_rest::InUnit;
use kit_rest::fields::canonical;
use kit_rest::guard::Who;
use kit_rest::headers::{
    EXPIRES_SECONDS_MAX, PREFERENCE_APPLIED, Prefer, UNIT_SEQ, put, traceparent,
};
use kit_rest::problems::TOO_LATE;
use kit_rest::read::List;
use kit_store::Fresh;
use requests::control::Cancel;
use requests::{FinalState, Shown};

use crate::{App, Gateway};

/// The schema of the read model.
const SCHEMA: &str = "requests";
/// A request whose 202 another gateway gave a moment ago may not be in the read model yet; for so
/// long it is looked for before it counts as unknown.
const SEEN_WITHIN: Duration = Duration::from_millis(1_500);
/// Version of the schema of controls.
const CONTROL_VERSION: u32 = 1;

/// `GET /v1/requests/{id}`.
///
/// # Errors
/// 404; the read model's errors.
pub async fn one(
    Extension(app): Extension<App>,
    Who(caller): Who,
    Path(id): Path<String>,
    headers: HeaderMap,
    query: QueryText,
) -> Result<Response, Problem> {
    query.finish()?;
    let prefer = Prefer::read(&headers);
    let entry = app.reachable(&caller, &id).await?;
    let id = entry.id.clone();
    let entry = match (&entry.word, prefer.wait(0)) {
        (None, wait) if !wait.is_zero() => app.await_final(&id, entry, wait).await?,
        _ => entry,
    };
    let mut response = shown(&app, &caller, entry).into_response();
    if let Some(applied) = prefer.applied() {
        response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
    Ok(response)
}

fn shown(app: &App, caller: &Caller, entry: Entry) -> Response {
    let unit = entry.id.unit();
    let seq = entry.word.as_ref().and_then(|spoken| spoken.unit_seq);
    let tracked = confined(caller, app.requests().show(entry));
    let mut response = Json(tracked).into_response();
    if let Some(seq) = seq {
        put(response.headers_mut(), UNIT_SEQ, &seq.to_string());
    }
    app.rest.put_fresh(response.headers_mut(), &unit, None);
    response
}

fn confined(caller: &Caller, tracked: TrackedRequest) -> TrackedRequest {
    match caller.reach {
        Reach::Units | Reach::Own => tracked,
        Reach::Envelope | Reach::Nothing => tracked.envelope(),
    }
}

/// `GET /v1/units/{unit}/requests`.
///
/// # Errors
/// Parameters that do not read; the read model's errors.
pub async fn list(
    Extension(app): Extension<App>,
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
    let caller = &scope.caller;
    let own = match caller.reach {
        Reach::Own => Some((caller.verified.actor(), caller.own_patient().ok_or(NOT_FOUND)?)),
        Reach::Units | Reach::Envelope | Reach::Nothing => None,
    };
    let applied = app.requests().presence.applied(&scope.unit);
    let asked = RequestQuery { state, applied, own, after: page.after, limit: page.limit };
    let (unit, now) = (&scope.unit, app.requests().clock.now());
    let read = || app.requests().book.requests(unit, &asked, now);
    let Fresh { freshness, value } = app.rest.fresh(unit, SCHEMA, &headers, read).await?;
    let list = List::of(value, |entry| confined(caller, app.requests().show(entry)));
    Ok(app.rest.list(unit, freshness, list))
}

fn states() -> Vec<&'static str> {
    let open = [Shown::Accepted, Shown::Delivered, Shown::Overdue].map(Shown::as_str);
    open.into_iter().chain(FinalState::ALL.iter().map(|state| state.as_str())).collect()
}

fn is_state(text: &str) -> bool {
    states().contains(&text)
}

/// `DELETE /v1/requests/{id}`: asks the unit to leave it. The unit says whether it was in time;
/// until then the answer is 202.
///
/// # Errors
/// 404; `too-late` where the unit has spoken already.
pub async fn cancel(
    Extension(app): Extension<App>,
    Who(caller): Who,
    Path(id): Path<String>,
    headers: HeaderMap,
    query: QueryText,
) -> Result<Response, Problem> {
    query.finish()?;
    let prefer = Prefer::read(&headers);
    let entry = app.reachable(&caller, &id).await?;
    // Who is confined to the own records sees what others ask about them, and ends only the own.
    let own = entry.is_of(&caller.verified.actor(), None);
    if caller.reach == Reach::Own && !own {
        return Err(NOT_FOUND.into());
    }
    if entry.word.is_some() {
        return ended(&app, &caller, entry);
    }
    let spent = app.requests().limits.spend(&caller.verified, Act::Cancel, Instant::now());
    spent.map_err(|error| app.rest.not_sent(&error))?;
    let id = entry.id.clone();
    let sent = app.requests().publish(cancel_of(&app, &caller, &id, &headers)?).await;
    sent.map_err(|error| app.rest.not_sent(&error))?;
    let wait = prefer.wait(0);
    let entry = if wait.is_zero() { entry } else { app.await_final(&id, entry, wait).await? };
    let mut response = if entry.word.is_some() {
        ended(&app, &caller, entry)?
    } else {
        let tracked = confined(&caller, app.requests().show(entry));
        let mut response = (StatusCode::ACCEPTED, Json(tracked)).into_response();
        put(response.headers_mut(), LOCATION, &format!("/v1/requests/{id}"));
        response
    };
    if let Some(applied) = prefer.applied() {
        response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
    Ok(response)
}

/// A cancel of what is cancelled has what it wants; of anything else that ended it comes too late.
fn ended(app: &App, caller: &Caller, entry: Entry) -> Result<Response, Problem> {
    let state = entry.word.as_ref().map(|spoken| spoken.state);
    match state {
        Some(FinalState::Cancelled) | None => Ok(shown(app, caller, entry)),
        Some(state) => {
            Err(Problem::from(TOO_LATE)
                .detail(format!("the request is {} already", state.as_str())))
        }
    }
}

fn cancel_of(
    app: &App,
    caller: &Caller,
    id: &RequestId,
    headers: &HeaderMap,
) -> Result<Request, Problem> {
    let now = app.requests().clock.now();
    let body = canonical(&Cancel { request_id: id.clone() })?;
    let unit = id.unit();
    let expires_ms = i64::try_from(EXPIRES_SECONDS_MAX * 1000).unwrap_or(i64::MAX);
    Ok(Request {
        // The same control however often it is repeated.
        id: RequestId::derive(&unit, "cancel", id.as_str(), ""),
        unit,
        type_name: Cancel::TYPE.to_owned(),
        version: CONTROL_VERSION,
        accepted_at: now,
        expires_at: now.plus_ms(expires_ms),
        delivery: Delivery::Queue,
        command_hash: command_hash(Cancel::TYPE, &body),
        actor: caller.verified.actor(),
        reply_partition: Some(app.requests().reply_partition),
        traceparent: traceparent(headers),
        body,
    })
}

impl Gateway {
    /// The request of that id, where it is within the caller's reach.
    async fn reachable(&self, caller: &Caller, id: &str) -> Result<Entry, Problem> {
        let id: RequestId = id.parse().map_err(|_| NOT_FOUND)?;
        if !caller.verified.sees(&id.unit()) {
            return Err(NOT_FOUND.into());
        }
        let begun = Instant::now();
        let entry = loop {
            let recalled = self.requests().pending.recall(&id);
            let newest = self.requests().newest(&id, recalled).await;
            match newest.map_err(|error| self.rest.not_sent(&error))? {
                Some(entry) => break entry,
                None if begun.elapsed() >= SEEN_WITHIN => return Err(NOT_FOUND.into()),
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
        };
        let own = || entry.is_of(&caller.verified.actor(), caller.own_patient());
        let within = match caller.reach {
            Reach::Units | Reach::Envelope => true,
            Reach::Own => own(),
            Reach::Nothing => false,
        };
        if within {
            return Ok(entry);
        }
        // As long as for what is not there, so that the time does not tell the two apart.
        tokio::time::sleep(SEEN_WITHIN.saturating_sub(begun.elapsed())).await;
        Err(NOT_FOUND.into())
    }

    async fn await_final(
        &self,
        id: &RequestId,
        entry: Entry,
        wait: Duration,
    ) -> Result<Entry, Problem> {
        let awaited = self.requests().await_final(id, entry, wait).await;
        awaited.map_err(|error| self.rest.not_sent(&error))
    }
}
