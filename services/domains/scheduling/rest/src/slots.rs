//! Free slots: a live question to the unit itself, because only its own database knows now.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::HeaderValue;
use kit_event::Timestamp;
use kit_http::problem::{INTERNAL, INVALID_PARAMETER, NOT_FOUND};
use kit_http::{Limit, PageQuery, Problem, QueryText, cursor_text};
use kit_request::query::Query;
use kit_rest::fields::canonical;
use kit_rest::headers::{
    ONLINE_SECONDS_MAX, Prefer, UNIT_ONLINE, WAIT_SECONDS_DEFAULT, traceparent,
};
use kit_rest::problems::rejection_status;
use kit_rest::read::{Instanted, List};
use kit_rest::{App, InUnit};
use requests::Answer;
use scheduling::{Command, FreeSlots, Slot, Slots};

/// `GET /v1/units/{unit}/slots`.
///
/// # Errors
/// Parameters that do not read; a unit that is away or silent, or that refuses.
pub async fn free(
    State(app): State<App>,
    scope: InUnit,
    headers: HeaderMap,
    mut query: QueryText,
) -> Result<Response, Problem> {
    let limit = query.take::<Limit>("limit");
    let question = question(&mut query);
    query.finish()?;
    // Without an error in the query, all three are there.
    let question = question.ok_or(INVALID_PARAMETER)?;
    check(&question)?;
    let answer = ask(&app, &scope, &headers, &question).await?;
    let Some(text) = &answer.body_json else { return Err(rejection(&app, &answer)) };
    let slots: Slots = serde_json::from_str(text).map_err(|error| {
        // What serde says may quote the answer.
        let (line, column) = (error.line(), error.column());
        tracing::error!(line, column, "an answer with free slots does not read");
        Problem::from(INTERNAL)
    })?;
    let mut response = Json(page(slots, limit)).into_response();
    // It has answered a moment ago.
    response.headers_mut().insert(UNIT_ONLINE, HeaderValue::from_static("true"));
    Ok(response)
}

/// A month of slots is one page, unless the caller wants less.
fn page(slots: Slots, limit: Option<Limit>) -> List<Slot> {
    let Slots { mut items, mut next } = slots;
    let most = limit.and_then(|limit| usize::try_from(limit.0).ok()).unwrap_or(usize::MAX);
    if let Some(first_left_out) = items.get(most) {
        next = Some(first_left_out.starts_at);
        items.truncate(most);
    }
    List { items, next: next.map(|from| cursor_text(&from.to_string())) }
}

/// Takes the parameters. A cursor stands for a later `from`.
fn question(query: &mut QueryText) -> Option<FreeSlots> {
    let page = PageQuery::take(query);
    let practitioner_id = query.require_id("practitioner_id");
    let from = query.require::<Instanted>("from").map(Timestamp::from);
    let to = query.require::<Instanted>("to").map(Timestamp::from);
    let from = match page.after.map(|key| key.parse()) {
        None => from,
        Some(Ok(later)) => Some(later),
        Some(Err(_)) => {
            query.refuse("cursor", "is no cursor that this list gave");
            None
        }
    };
    Some(FreeSlots { practitioner_id: practitioner_id?, from: from?, to: to? })
}

fn check(question: &FreeSlots) -> Result<(), Problem> {
    let Err(broken) = question.validate() else { return Ok(()) };
    let problem = Problem::from(INVALID_PARAMETER);
    Err(broken.into_iter().fold(problem, |problem, it| problem.field(it.field, it.reason)))
}

async fn ask(
    app: &App,
    scope: &InUnit,
    headers: &HeaderMap,
    question: &FreeSlots,
) -> Result<Arc<Answer>, Problem> {
    let prefer = Prefer::read(headers);
    // A question that is not waited for has no answer, so `respond-async` means nothing here.
    let seconds = prefer.wait_seconds.unwrap_or(WAIT_SECONDS_DEFAULT).clamp(1, ONLINE_SECONDS_MAX);
    let query = Query {
        type_name: FreeSlots::TYPE,
        version: Command::VERSION,
        body: canonical(question)?,
        wait: Duration::from_secs(seconds),
        traceparent: traceparent(headers),
    };
    let answer = app.requests.query(&scope.caller, &scope.unit, query).await;
    answer.map_err(|error| app.not_sent(&error))
}

/// The unit's rejection of a question: what is not there is 404 here as everywhere.
fn rejection(app: &App, answer: &Answer) -> Problem {
    let slug = answer.reason.as_deref().unwrap_or("agent-failed");
    if slug.ends_with("-unknown") && slug != "request-type-unknown" {
        return detailed(NOT_FOUND.into(), answer);
    }
    let title = app.title_of(slug, "The unit refused the question");
    detailed(Problem::named(slug, title, rejection_status(slug)), answer)
}

fn detailed(problem: Problem, answer: &Answer) -> Problem {
    match &answer.detail {
        Some(detail) => problem.detail(detail.clone()),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_cuts_the_month_and_the_cursor_goes_on() {
        let slot = |hour: u32| Slot {
            starts_at: format!("2026-03-02T{hour:02}:00:00Z").parse().unwrap(),
            ends_at: format!("2026-03-02T{hour:02}:30:00Z").parse().unwrap(),
        };
        let slots = || Slots { items: vec![slot(8), slot(9), slot(10)], next: None };
        let cut = page(slots(), Some(Limit(2)));
        assert_eq!(cut.items.len(), 2);
        assert_eq!(cut.next.unwrap(), cursor_text("2026-03-02T10:00:00Z"));
        assert!(page(slots(), Some(Limit(3))).next.is_none());
        assert_eq!(page(slots(), None).items.len(), 3);
    }

    #[test]
    fn what_is_wrong_with_a_question_is_named() {
        let id = "7f4df1a5-1111-4111-8111-111111111111";
        for (text, field) in [
            ("from=2026-03-01T10:00:00Z&to=2026-03-02T10:00:00Z".to_owned(), "practitioner_id"),
            (format!("practitioner_id={id}&to=2026-03-02T10:00:00Z"), "from"),
            (format!("practitioner_id={id}&from=now&to=2026-03-02T10:00:00Z"), "from"),
            ("practitioner_id=7&from=2026-03-01T10:00:00Z&to=x".to_owned(), "practitioner_id"),
        ] {
            let mut query = QueryText::parse(&text).unwrap();
            assert!(question(&mut query).is_none());
            let problem = query.finish().unwrap_err();
            assert_eq!(problem.errors()[0].field, field, "{text}");
        }
        let text =
            format!("practitioner_id={id}&from=2026-03-02T10:00:00Z&to=2026-03-01T10:00:00Z");
        let mut query = QueryText::parse(&text).unwrap();
        assert_eq!(check(&question(&mut query).unwrap()).unwrap_err().errors()[0].field, "to");
    }
}
