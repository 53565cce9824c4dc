//! What every read shares: freshness, `Arteria-Min-Seq`, pages, bodies.

use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use kit_event::{Timestamp, UnitId, UnitSeq};
use kit_http::problem::{INVALID_PARAMETER, NOT_FOUND};
use kit_http::{Problem, QueryText, cursor_text};
use kit_store::{Fresh, Freshness, Page, Row, StoreError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Rest;
use crate::guard::InUnit;
use crate::headers::{STALE_SINCE, has_already, min_seq, put, put_etag, put_freshness};
use crate::problems::{AWAY_RETRY_SECONDS, READ_MODEL_BEHIND, retry};

/// How long a read waits for `Arteria-Min-Seq`.
const MIN_SEQ_WITHIN: Duration = Duration::from_secs(2);

/// A list at REST.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Give it back as `cursor` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> List<T> {
    /// A page, its items shown by `show`.
    pub fn of<S>(page: Page<S>, show: impl FnMut(S) -> T) -> Self {
        let next = page.next.as_deref().map(cursor_text);
        Self { items: page.items.into_iter().map(show).collect(), next }
    }
}

impl Rest {
    /// Reads, once the read model of `schema` has reached what the caller insists on.
    ///
    /// # Errors
    /// `read-model-behind`; the store's own errors.
    pub async fn fresh<T, F>(
        &self,
        unit: &UnitId,
        schema: &'static str,
        headers: &HeaderMap,
        read: impl FnOnce() -> F,
    ) -> Result<Fresh<T>, Problem>
    where
        F: Future<Output = Result<Fresh<T>, StoreError>>,
    {
        if let Some(wanted) = min_seq(headers)? {
            self.reach_seq(unit, schema, wanted).await?;
        }
        read().await.map_err(|error| self.store_problem(&error))
    }

    /// Waits until the read model of `schema` holds the fact `wanted`.
    ///
    /// # Errors
    /// `read-model-behind`.
    pub async fn reach_seq(
        &self,
        unit: &UnitId,
        schema: &'static str,
        wanted: UnitSeq,
    ) -> Result<(), Problem> {
        let at = || async {
            let freshness = kit_store::freshness(&self.pool, unit, &[schema]).await;
            freshness.map_err(|error| self.store_problem(&error))
        };
        let holds = |at: Option<Freshness>| at.is_some_and(|at| at.seq >= wanted);
        if holds(at().await?) {
            return Ok(());
        }
        tokio::select! {
            () = self.reached.wait(&self.pool, (schema, unit), wanted, MIN_SEQ_WITHIN) => {}
            () = self.requests.soft.cancelled() => {}
        }
        let freshness = at().await?;
        if holds(freshness) { Ok(()) } else { Err(self.behind(unit, freshness, wanted)) }
    }

    fn behind(&self, unit: &UnitId, freshness: Option<Freshness>, wanted: UnitSeq) -> Problem {
        let at = freshness.map_or_else(|| "nothing yet".to_owned(), |at| at.seq.to_string());
        let mut problem = retry(READ_MODEL_BEHIND.into(), AWAY_RETRY_SECONDS)
            .detail(format!("the read model holds {at}, and {wanted} was asked for"));
        let mut headers = HeaderMap::new();
        put_freshness(&mut headers, freshness, self.is_online(unit));
        for (name, value) in headers {
            if let Some(name) = name {
                problem = problem.header(name, value);
            }
        }
        problem
    }

    /// The store's error as the caller sees it.
    #[must_use]
    pub fn store_problem(&self, error: &StoreError) -> Problem {
        match error {
            StoreError::BadCursor => {
                Problem::from(INVALID_PARAMETER).field("cursor", "is no cursor that this list gave")
            }
            other => self.store_away(other),
        }
    }

    /// Answers with one record.
    ///
    /// # Errors
    /// 404 where there is none.
    pub fn record(
        &self,
        unit: &UnitId,
        asked: &HeaderMap,
        found: Fresh<Option<Row>>,
    ) -> Result<Response, Problem> {
        let Row { state, seq, stale_since } = found.value.ok_or(NOT_FOUND)?;
        let mut response = if has_already(asked, seq) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            Json(state).into_response()
        };
        let headers = response.headers_mut();
        put_etag(headers, seq);
        if let Some(since) = stale_since {
            put(headers, STALE_SINCE, &since.to_string());
        }
        self.put_fresh(headers, unit, found.freshness);
        Ok(response)
    }

    /// Answers with one record that concerns the patient whom it names, where the caller may see
    /// it.
    ///
    /// # Errors
    /// 404 where there is none, and where it is out of reach.
    pub fn record_of_patient(
        &self,
        scope: &InUnit,
        asked: &HeaderMap,
        found: Fresh<Option<Row>>,
    ) -> Result<Response, Problem> {
        scope.authorize(found.value.as_ref().and_then(patient_of))?;
        self.record(&scope.unit, asked, found)
    }

    /// Answers with a page of records.
    #[must_use]
    pub fn records(&self, unit: &UnitId, found: Fresh<Page<Row>>) -> Response {
        self.list(unit, found.freshness, List::of(found.value, |row| row.state))
    }

    /// Answers with a page of anything.
    #[must_use]
    pub fn list<T: Serialize>(
        &self,
        unit: &UnitId,
        freshness: Option<Freshness>,
        list: List<T>,
    ) -> Response {
        let mut response = Json(list).into_response();
        self.put_fresh(response.headers_mut(), unit, freshness);
        response
    }

    /// Whether a message to the unit would reach it now.
    #[must_use]
    pub fn is_online(&self, unit: &UnitId) -> bool {
        self.requests.presence.is_online(unit, self.requests.clock.now())
    }

    /// Writes how fresh a read of `unit` is.
    pub fn put_fresh(&self, headers: &mut HeaderMap, unit: &UnitId, freshness: Option<Freshness>) {
        put_freshness(headers, freshness, self.is_online(unit));
    }
}

/// Longest text that a list is searched for; no name is longer.
pub const SEARCH_CHARS_MAX: usize = 200;

/// Takes a text to search for.
pub fn search(query: &mut QueryText, name: &str) -> Option<String> {
    let text = query.take::<String>(name)?;
    if text.chars().count() > SEARCH_CHARS_MAX {
        query.refuse(name, format!("has at most {SEARCH_CHARS_MAX} characters"));
    }
    Some(text)
}

/// The patient whom a record names.
#[must_use]
pub fn patient_of(row: &Row) -> Option<uuid::Uuid> {
    row.state.get("patient_id")?.as_str()?.parse().ok()
}

/// An instant in an address, where a `+` that nobody escaped arrives as a space.
pub struct Instanted(Timestamp);

impl FromStr for Instanted {
    type Err = kit_event::time::TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().or_else(|_| text.replace(' ', "+").parse()).map(Self)
    }
}

impl From<Instanted> for Timestamp {
    fn from(instant: Instanted) -> Self {
        instant.0
    }
}

/// The id in an address; one that does not read names nothing.
///
/// # Errors
/// 404.
pub fn id_of(text: &str) -> Result<uuid::Uuid, Problem> {
    text.parse().map_err(|_| NOT_FOUND.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unescaped_plus_reads_as_what_was_meant() {
        let read = |text: &str| text.parse::<Instanted>().map(|it| it.0.to_string());
        assert_eq!(read("2026-03-01T10:00:00 01:00").unwrap(), "2026-03-01T09:00:00Z");
        assert_eq!(read("2026-03-01T10:00:00+01:00").unwrap(), "2026-03-01T09:00:00Z");
        assert!(read("2026-03-01").is_err() && read("tomorrow").is_err());
    }
}
