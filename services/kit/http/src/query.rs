//! Query parameters, taken by name.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use http::request::Parts;
use uuid::Uuid;

use crate::members::is_name;
use crate::problem::{FieldError, INVALID_PARAMETER, Problem};

/// Longest query: a cursor and a handful of ids.
const QUERY_BYTES_MAX: usize = 4096;

/// The parameters of a request. A handler takes those it knows and then calls
/// [`QueryText::finish`], which refuses what is left: a filter that is misspelt must not read as no
/// filter at all.
#[derive(Debug, Default)]
pub struct QueryText {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

struct Id(Uuid);

#[derive(Debug, thiserror::Error)]
#[error("is a UUID")]
struct IdError;

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse().map(Self).map_err(|_| IdError)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for QueryText {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

impl QueryText {
    /// Reads the part of an address after `?`.
    ///
    /// # Errors
    /// It is longer than any of ours, or is no query.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(Problem::from(INVALID_PARAMETER)
                .detail(format!("a query has at most {QUERY_BYTES_MAX} bytes")));
        }
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(text)
            .map_err(|_| Problem::from(INVALID_PARAMETER).detail("the query does not read"))?;
        let mut query = Self::default();
        for (name, value) in pairs {
            // A lenient reader makes the latter of bytes that are no text.
            let odd = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
            if name.contains(odd) || value.contains(odd) {
                query.refuse(repeatable(&name), "holds control characters or is not UTF-8");
            } else {
                query.pairs.push((name, value));
            }
        }
        Ok(query)
    }

    /// Takes a parameter that may be absent; empty counts as absent. One that does not read, or
    /// stands twice, is remembered as an error.
    pub fn take<T>(&mut self, name: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let mut found = self.take_all(name).into_iter();
        let text = found.next()?;
        if found.next().is_some() {
            self.refuse(name, "stands more than once");
            return None;
        }
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(name, error.to_string());
                None
            }
        }
    }

    /// Takes an id that may be absent. What the reader says of one that does not read quotes it.
    pub fn take_id(&mut self, name: &str) -> Option<Uuid> {
        self.take::<Id>(name).map(|id| id.0)
    }

    /// Takes an id that must be there.
    pub fn require_id(&mut self, name: &str) -> Option<Uuid> {
        self.require::<Id>(name).map(|id| id.0)
    }

    /// Takes a parameter that must be there.
    pub fn require<T>(&mut self, name: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let is_there = self.pairs.iter().any(|(key, value)| key == name && !value.is_empty());
        if !is_there && !self.errors.iter().any(|error| error.field == name) {
            self.refuse(name, "is required");
        }
        self.take(name)
    }

    /// Takes a parameter that may stand several times.
    pub fn take_all(&mut self, name: &str) -> Vec<String> {
        let (taken, left) =
            std::mem::take(&mut self.pairs).into_iter().partition(|(key, _)| key == name);
        self.pairs = left;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(_, value)| value).filter(|value| !value.is_empty()).collect()
    }

    /// Says what is wrong with a parameter.
    pub fn refuse(&mut self, name: &str, reason: impl Into<String>) {
        let error = FieldError { field: name.to_owned(), reason: reason.into() };
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// `invalid-parameter`, with everything that did not read and everything that is left over.
    pub fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in std::mem::take(&mut self.pairs) {
            self.refuse(repeatable(&name), "is no parameter of this route");
        }
        if self.errors.is_empty() {
            return Ok(());
        }
        let mut problem = Problem::from(INVALID_PARAMETER);
        for error in self.errors {
            problem = problem.field(error.field, error.reason);
        }
        Err(problem)
    }
}

/// A careless client may have made a parameter of a person's name; ours look otherwise.
fn repeatable(name: &str) -> &str {
    if is_name(name) { name } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_text_without_control_characters() {
        for (bad, field) in [
            ("name=%00", "name"),
            ("name=%ff%fe", "name"),
            ("name=a%0Ab", "name"),
            ("name=%7f", "name"),
            ("%ff=1", ""),
        ] {
            let mut query = QueryText::parse(bad).unwrap();
            assert_eq!(query.require::<String>("name"), None, "{bad}");
            let problem = query.finish().unwrap_err();
            assert_eq!(problem.slug(), "invalid-parameter", "{bad}");
            assert_eq!(problem.errors()[0].field, field, "{bad}");
        }
    }

    #[test]
    fn a_parameter_is_named_only_where_it_looks_like_one_of_ours() {
        let query = QueryText::parse("Elisabeth=1&nam=2&nam=3&Anna%20Maria=3").unwrap();
        let problem = query.finish().unwrap_err();
        let fields: Vec<_> = problem.errors().iter().map(|e| e.field.as_str()).collect();
        assert_eq!(fields, ["", "nam"]);
    }

    #[test]
    fn an_id_and_a_count_that_do_not_read_say_what_they_should_be() {
        let mut query = QueryText::parse("patient_id=Anna&limit=-1").unwrap();
        assert_eq!(query.take_id("patient_id"), None);
        assert_eq!(crate::PageQuery::take(&mut query).limit, 50);
        let problem = query.finish().unwrap_err();
        let reasons: Vec<_> = problem.errors().iter().map(|e| e.reason.as_str()).collect();
        assert_eq!(reasons, ["is a UUID", "is a whole number from 1"]);
    }

    #[test]
    fn every_parameter_that_does_not_fit_is_named() {
        let mut query =
            QueryText::parse("limit=x&from=1&from=2&patientid=7&name=&q=a%20b").unwrap();
        assert_eq!(query.take::<u32>("limit"), None);
        assert_eq!(query.take::<u32>("from"), None);
        assert_eq!(query.take::<String>("name"), None);
        assert_eq!(query.take::<String>("q").as_deref(), Some("a b"));
        assert_eq!(query.require::<u32>("to"), None);
        let problem = query.finish().unwrap_err();
        assert_eq!(problem.slug(), "invalid-parameter");
        let fields: Vec<_> = problem.errors().iter().map(|e| e.field.as_str()).collect();
        assert_eq!(fields, ["limit", "from", "to", "patientid"]);
        assert!(QueryText::parse(&"x".repeat(QUERY_BYTES_MAX + 1)).is_err());
        assert!(QueryText::parse("").unwrap().finish().is_ok());
    }
}
