//! The unit's word as an HTTP answer: the record where it said yes, a problem where it did not.

use axum::Json;
use axum::response::{IntoResponse, Response};
use billing::Payment;
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use kit_event::{RequestId, UnitId, UnitSeq};
use kit_http::Problem;
use kit_http::problem::INTERNAL;
use kit_store::Fresh;
use patients::Patient;
use requests::FinalState;
use scheduling::Appointment;
use serde_json::json;

use crate::Gateway;
use crate::asked::Word;
use crate::counts;
use crate::headers::{PREFERENCE_APPLIED, REQUEST, UNIT_SEQ, WriteHeaders, put, put_etag};
use crate::problems::refusal_status;
use crate::tracked::{Spoken, record};
use crate::write::Wish;

/// A word that came as a reply.
///
/// # Errors
/// The unit's refusal.
pub fn answer_word(
    id: &RequestId,
    word: &Word,
    headers: &WriteHeaders,
    wish: &Wish,
) -> Result<Response, Problem> {
    match word.outcome.state() {
        Some(state) => {
            let spoken = Spoken {
                state,
                outcome: Some(word.outcome.clone()),
                unit_seq: word.last_seq,
                record_seq: word.record_seq,
            };
            answer(id, &spoken, headers, wish)
        }
        // A word of a later version: what it means is for a later gateway to say.
        None => Err(Problem::named(
            word.outcome.state.clone(),
            "The unit gave a word that this gateway does not know",
            StatusCode::CONFLICT,
        )),
    }
}

/// A word from wherever it is known.
///
/// # Errors
/// The unit's refusal.
pub fn answer(
    id: &RequestId,
    spoken: &Spoken,
    headers: &WriteHeaders,
    wish: &Wish,
) -> Result<Response, Problem> {
    counts::answered(wish.type_name, spoken.state.as_str());
    match spoken.state {
        FinalState::Done => done(id, spoken, headers, wish),
        FinalState::Rejected | FinalState::Expired | FinalState::Cancelled | FinalState::Undone => {
            Err(refusal(id, spoken, wish))
        }
    }
}

fn done(
    id: &RequestId,
    spoken: &Spoken,
    headers: &WriteHeaders,
    wish: &Wish,
) -> Result<Response, Problem> {
    let outcome = spoken.outcome.as_ref();
    let record = outcome.and_then(|o| record(o.record_json.as_deref()));
    let record_id = outcome.and_then(|o| o.record_id);
    let Some(record_id) = record_id else {
        tracing::error!(request = %id, "a request was done and its outcome names no record");
        return Err(INTERNAL.into());
    };
    // What was done is told as done, also where the outcome had no room for the record: it stands
    // at the location.
    let record =
        record.map_or_else(|| Json(json!({})).into_response(), |it| Json(it).into_response());
    let status = if wish.creates { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = (status, record).into_response();
    let answered = response.headers_mut();
    let location = format!("/v1/units/{}/{}/{record_id}", id.unit(), wish.collection);
    put(answered, LOCATION, &location);
    put_numbers(answered, id, spoken);
    if let Some(applied) = headers.prefer.applied() {
        answered.insert(PREFERENCE_APPLIED, applied);
    }
    Ok(response)
}

fn put_numbers(headers: &mut HeaderMap, id: &RequestId, spoken: &Spoken) {
    put(headers, REQUEST, id.as_str());
    if let Some(seq) = spoken.unit_seq {
        put(headers, UNIT_SEQ, &seq.to_string());
    }
    if let Some(seq) = spoken.record_seq {
        put_etag(headers, seq);
    }
}

/// The unit's refusal, or what became of the request instead.
fn refusal(id: &RequestId, spoken: &Spoken, wish: &Wish) -> Problem {
    let outcome = spoken.outcome.as_ref();
    let slug =
        outcome.and_then(|o| o.reason.clone()).unwrap_or_else(|| spoken.state.as_str().to_owned());
    let title = outcome.and_then(|o| o.title.clone()).unwrap_or_else(|| title_of(&slug));
    let status = match wish.not_there {
        Some(not_there) if not_there == slug => StatusCode::NOT_FOUND,
        Some(_) | None => refusal_status(&slug),
    };
    let mut problem = Problem::named(slug, title, status);
    if let Some(detail) = outcome.and_then(|o| o.detail.clone()) {
        problem = problem.detail(detail);
    }
    let mut numbers = HeaderMap::new();
    put_numbers(&mut numbers, id, &Spoken { record_seq: None, ..spoken.clone() });
    for (name, value) in numbers {
        if let Some(name) = name {
            problem = problem.header(name, value);
        }
    }
    problem
}

fn title_of(slug: &str) -> String {
    let known = crate::problems::kinds().find(|kind| kind.slug == slug);
    known.map_or("The unit refused the request", |kind| kind.title).to_owned()
}

impl Gateway {
    /// The ETag of the record that a stored outcome made. The book does not keep it, but where the
    /// record's read model has come as far as the outcome and holds nothing later, it is the one
    /// that stands there.
    pub async fn etag_of(&self, unit: &UnitId, spoken: &Spoken) -> Option<UnitSeq> {
        let (outcome, reached) = (spoken.outcome.as_ref()?, spoken.unit_seq?);
        let id = outcome.record_id?;
        let read = match outcome.record_thing.as_deref()? {
            Patient::THING => patients_store::patient(&self.pool, unit, id).await,
            Appointment::THING => scheduling_store::appointment(&self.pool, unit, id).await,
            Payment::THING => billing_store::payment(&self.pool, unit, id).await,
            _ => return None,
        };
        // Without it the answer is still the stored outcome.
        let Fresh { freshness, value } = read.ok()?;
        let seq = value?.seq;
        (freshness?.seq >= reached && seq <= reached).then_some(seq)
    }
}
