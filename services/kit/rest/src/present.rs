//! What asking a unit came to, as a response or a problem.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use kit_event::{RequestId, UnitSeq};
use kit_http::Problem;
use kit_http::problem::{INTERNAL, UNAVAILABLE};
use kit_request::{Granted, NotSent, Outcome, Rejection};
use kit_store::StoreError;
use serde_json::json;

use crate::Rest;
use crate::command::CommandDef;
use crate::headers::{PREFERENCE_APPLIED, REQUEST, UNIT_SEQ, WriteHeaders, put, put_etag};
use crate::problems::{
    AWAY_RETRY_SECONDS, GATEWAY_BUSY, KEY_REUSED, TOO_MANY_REQUESTS, UNIT_NOT_CONNECTED,
    UNIT_QUEUE_FULL, UNIT_TIMEOUT, rejection_status, retry,
};

/// What a caller whose unit's queue is full should wait, in seconds: a connected unit works off
/// some hundred requests in that time.
const QUEUE_FULL_RETRY_SECONDS: &str = "5";
/// When a caller that asked for too much should try again, in seconds.
const TOO_MANY_RETRY_SECONDS: &str = "5";
impl Rest {
    /// Answers with the outcome of a command.
    ///
    /// # Errors
    /// The unit's rejection.
    pub fn present(
        &self,
        outcome: Outcome,
        write: &WriteHeaders,
        def: &CommandDef,
    ) -> Result<Response, Problem> {
        let mut response = match outcome {
            Outcome::Done(granted) => done(granted, def),
            Outcome::Accepted(tracked) => {
                let location = format!("/v1/requests/{}", tracked.request_id);
                let mut response = (StatusCode::ACCEPTED, Json(tracked)).into_response();
                put(response.headers_mut(), LOCATION, &location);
                response
            }
            Outcome::Rejected(rejection) => return Err(self.rejected(rejection, def)),
        };
        if let Some(applied) = write.prefer.applied() {
            response.headers_mut().insert(PREFERENCE_APPLIED, applied);
        }
        Ok(response)
    }

    /// The unit's rejection, or what became of the request instead.
    fn rejected(&self, rejection: Rejection, def: &CommandDef) -> Problem {
        let Rejection { id, reason, title, detail, seq } = rejection;
        let title = title.unwrap_or_else(|| self.title_of(&reason, "The unit refused the request"));
        let status = match def.not_found {
            Some(not_found) if not_found == reason => StatusCode::NOT_FOUND,
            Some(_) | None => rejection_status(&reason),
        };
        let mut problem = Problem::named(reason, title, status);
        if let Some(detail) = detail {
            problem = problem.detail(detail);
        }
        let mut numbers = HeaderMap::new();
        put_numbers(&mut numbers, &id, seq, None);
        let numbers = numbers.into_iter().filter_map(|(name, value)| Some((name?, value)));
        numbers.fold(problem, |problem, (name, value)| problem.header(name, value))
    }

    /// The title of a problem that is known here.
    #[must_use]
    pub fn title_of(&self, slug: &str, otherwise: &'static str) -> String {
        let known = self.declared.problems.iter().find(|kind| kind.slug == slug);
        known.map_or(otherwise, |kind| kind.title).to_owned()
    }

    /// Why nothing was sent.
    #[must_use]
    pub fn not_sent(&self, error: &NotSent) -> Problem {
        match error {
            NotSent::KeyReused => KEY_REUSED.into(),
            NotSent::Busy => retry(GATEWAY_BUSY.into(), AWAY_RETRY_SECONDS),
            NotSent::NotConnected => UNIT_NOT_CONNECTED.into(),
            NotSent::QueueFull => retry(UNIT_QUEUE_FULL.into(), QUEUE_FULL_RETRY_SECONDS),
            NotSent::TooMany(what) => {
                retry(Problem::from(TOO_MANY_REQUESTS).detail(*what), TOO_MANY_RETRY_SECONDS)
            }
            NotSent::LogAway => retry(UNAVAILABLE.into(), AWAY_RETRY_SECONDS).detail(
                "the log did not confirm the request in time; repeat it with the same \
                 Idempotency-Key",
            ),
            NotSent::StoreAway => retry(UNAVAILABLE.into(), AWAY_RETRY_SECONDS),
            NotSent::Unanswered => retry(UNIT_TIMEOUT.into(), AWAY_RETRY_SECONDS),
            NotSent::Internal => INTERNAL.into(),
        }
    }

    /// The read model did not answer.
    #[must_use]
    pub fn store_away(&self, error: &StoreError) -> Problem {
        self.not_sent(&kit_request::store_away(error))
    }
}

fn done(granted: Granted, def: &CommandDef) -> Response {
    let Granted { id, record_id, record, seq, record_seq } = granted;
    let status = if def.creates.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    // What was done is told as done, also where the outcome had no room for the record: it stands
    // at the location.
    let record =
        record.map_or_else(|| Json(json!({})).into_response(), |it| Json(it).into_response());
    let mut response = (status, record).into_response();
    let headers = response.headers_mut();
    let location = format!("/v1/units/{}/{}/{record_id}", id.unit(), def.collection);
    put(headers, LOCATION, &location);
    put_numbers(headers, &id, seq, record_seq);
    response
}

fn put_numbers(
    headers: &mut HeaderMap,
    id: &RequestId,
    seq: Option<UnitSeq>,
    record_seq: Option<UnitSeq>,
) {
    put(headers, REQUEST, id.as_str());
    if let Some(seq) = seq {
        put(headers, UNIT_SEQ, &seq.to_string());
    }
    if let Some(seq) = record_seq {
        put_etag(headers, seq);
    }
}
