//! `as_of`: what the record said then, from the timeline instead of the read model.
//!
//! A fact carries the whole state of its thing, so the last fact at a moment is the answer, and
//! nothing is put together. A moment is a number, which is exact, or a time: then the last fact
//! whose own time (that of the change, by the network's clock) lies at or before it.

use std::str::FromStr;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use kit_event::{Timestamp, UnitId, UnitSeq};
use kit_http::Problem;
use kit_http::problem::{INVALID_PARAMETER, NOT_FOUND};
use kit_policy::{Caller, Resource};
use kit_store::Fresh;
use kit_store::number::to_columns;
use kit_timeline::{Moment, Said, Subject, TimelineRow};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::Rest;
use crate::guard::out_of_reach;
use crate::headers::{RECORD_SEQ, RECORD_TIME, has_already, put, put_etag};
use crate::problems::{NOT_YET_KNOWN, RECORD_REMOVED};
use crate::read::Instanted;

/// A caller's clock may be ahead of ours by so much; what lies further ahead has not been yet.
const AHEAD_MAX_MS: i64 = 60_000;
/// What the type of a fact ends with that takes its thing away.
const REMOVED: &str = "_removed";

/// The read model that a past is read from.
pub const SCHEMA: &str = "timeline";

/// What the parameter `as_of` does.
pub const SAYS: &str = "What it said then: right after a fact, E-S, or at an RFC 3339 time; \
     `Arteria-Record-Seq` and `Arteria-Record-Time` say when it had last been spoken of.";

/// The number that a text names, where a fact can have it.
#[must_use]
pub fn number(text: &str) -> Option<UnitSeq> {
    let seq: UnitSeq = text.parse().ok()?;
    to_columns(seq).ok().map(|_| seq)
}

/// A moment as an address names it.
pub struct AsOf(pub Moment);

/// A text that names no moment.
#[derive(Debug, thiserror::Error)]
#[error("is the number of a fact, as 1-42, or an RFC 3339 time")]
pub struct AsOfError;

impl FromStr for AsOf {
    type Err = AsOfError;

    fn from_str(text: &str) -> Result<Self, AsOfError> {
        if let Some(seq) = number(text) {
            return Ok(Self(Moment::Seq(seq)));
        }
        let time: Instanted = text.parse().map_err(|_| AsOfError)?;
        Ok(Self(Moment::Time(Timestamp::from(time))))
    }
}

/// A kind of record that has a past.
pub struct Kind {
    /// The thing.
    pub resource: &'static str,
    /// How the types of its facts begin.
    pub types: &'static str,
    /// A state as its read model gives it.
    pub shown: fn(Value) -> Value,
}

/// A state as its struct writes it: fields that are empty are absent. One that does not read, as of
/// a later version, is given as it stands.
#[must_use]
pub fn shown<T: Serialize + DeserializeOwned>(body: Value) -> Value {
    let read = T::deserialize(&body).ok().and_then(|resource| serde_json::to_value(resource).ok());
    read.unwrap_or(body)
}

impl Rest {
    /// What a record said at a moment.
    ///
    /// # Errors
    /// 404 where it was not known yet, was gone, or is not the caller's; `read-model-behind`; a
    /// moment that has not been yet.
    pub async fn record_as_of(
        &self,
        caller: &Caller,
        unit: &UnitId,
        (kind, id): (&Kind, Uuid),
        moment: Moment,
        headers: &HeaderMap,
    ) -> Result<Response, Problem> {
        match moment {
            Moment::Seq(seq) => self.reach_seq(unit, SCHEMA, seq).await?,
            Moment::Time(time) if time > self.requests.clock.now().plus_ms(AHEAD_MAX_MS) => {
                return Err(Problem::from(INVALID_PARAMETER).field("as_of", "lies in the future"));
            }
            Moment::Time(_) => {}
        }
        let name = format!("{}/{id}", kind.resource);
        let subject = Subject { name: &name, types: kind.types, resource: kind.resource };
        let read = || kit_timeline::said(&self.pool, unit, subject, moment);
        let Fresh { freshness, value } = self.fresh(unit, SCHEMA, headers, read).await?;
        let Some(Said { fact, withdrawn }) = value else {
            return Err(self.not_known(caller, unit, subject).await);
        };
        let said_of = Resource::of(unit).about(fact.patient_id);
        caller.authorize(&said_of).map_err(out_of_reach)?;
        if withdrawn || fact.type_name.ends_with(REMOVED) {
            let mut spoken = HeaderMap::new();
            put_spoken(&mut spoken, &fact);
            let named = spoken.into_iter().filter_map(|(name, value)| Some((name?, value)));
            return Err(named.fold(RECORD_REMOVED.into(), |p: Problem, (n, v)| p.header(n, v)));
        }
        let mut response = if has_already(headers, fact.seq) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            Json((kind.shown)(fact.body.clone())).into_response()
        };
        put_etag(response.headers_mut(), fact.seq);
        put_spoken(response.headers_mut(), &fact);
        self.put_fresh(response.headers_mut(), unit, freshness);
        Ok(response)
    }

    /// Nothing was said by then. That something was said later is for those to know who may see it.
    async fn not_known(&self, caller: &Caller, unit: &UnitId, subject: Subject<'_>) -> Problem {
        let within = |patient| caller.authorize(&Resource::of(unit).about(patient)).is_ok();
        match kit_timeline::ever_said(&self.pool, unit, subject).await {
            Ok(Some(ever)) if within(ever.patient_id) => NOT_YET_KNOWN.into(),
            Ok(_) => NOT_FOUND.into(),
            Err(error) => self.store_problem(&error),
        }
    }
}

/// Says when the record was last spoken of.
fn put_spoken(headers: &mut HeaderMap, fact: &TimelineRow) {
    put(headers, RECORD_SEQ, &fact.seq.to_string());
    put(headers, RECORD_TIME, &fact.time.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_number_or_a_time_and_nothing_else() {
        let read = |text: &str| text.parse::<AsOf>().ok().map(|as_of| as_of.0);
        assert_eq!(read("2-17"), Some(Moment::Seq(UnitSeq::new(2, 17))));
        let noon = "2026-03-02T12:00:00Z".parse().unwrap();
        for text in ["2026-03-02T12:00:00Z", "2026-03-02T13:00:00+01:00"] {
            assert_eq!(read(text), Some(Moment::Time(noon)), "{text}");
            assert_eq!(read(&text.replace('+', " ")), Some(Moment::Time(noon)), "{text}");
        }
        let long = "9".repeat(4000);
        for bad in ["", "now", "2-", "-2", "1-2-3", "2026-03-02", "2026-13-02T12:00:00Z", &long] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read("1-18446744073709551615"), None, "no fact can have it");
    }
}
