//! Errors as callers see them (RFC 9457).

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

/// The media type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A kind of error: its name, its status, and what its page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProblemKind {
    /// The last part of `type`, and of its page's address.
    pub slug: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// One short sentence, the same for each error of this kind.
    pub title: &'static str,
    /// What the page says beside: when it happens and what to do.
    pub meaning: &'static str,
}

macro_rules! kinds {
    ($($name:ident = $status:literal $slug:literal $title:literal $meaning:literal;)+) => {
        $(#[doc = $title]
        pub const $name: ProblemKind =
            ProblemKind { slug: $slug, status: $status, title: $title, meaning: $meaning };)+

        /// The kinds that HTTP itself gives.
        pub const KINDS: &[ProblemKind] = &[$($name),+];
    };
}
kinds! {
    MALFORMED_JSON = 400 "malformed-json" "The body is not JSON"
        "The body does not read as one JSON object. The detail names line and column.";
    MALFORMED_BODY = 400 "malformed-body" "The body did not arrive whole"
        "The connection broke off, or the body's length differs from what its header says.";
    INVALID_PARAMETER = 400 "invalid-parameter" "A parameter of the address does not read"
        "A query parameter or a part of the path has another form than it must have, or is no \
         parameter of this route. `errors` names each.";
    INVALID_HEADER = 422 "invalid-header" "A header does not read"
        "A header that this route reads has another form than it must have, or lies outside its \
         bounds. `errors` names each.";
    NOT_FOUND = 404 "not-found" "There is nothing here"
        "The address is unknown, or what it names does not exist for this caller: what belongs to \
         somebody else is answered like what is not there.";
    METHOD_NOT_ALLOWED = 405 "method-not-allowed" "This address has no such method"
        "The route exists, but not for this method. `Allow` names those that it has.";
    BODY_TOO_SLOW = 408 "body-too-slow" "The body did not arrive in time"
        "A body that has begun must come whole within the time that the detail names. Nothing was \
         sent to the unit.";
    BODY_TOO_LARGE = 413 "body-too-large" "The body is too large"
        "No body of this service is larger than 64 KiB.";
    WRONG_MEDIA_TYPE = 415 "wrong-media-type" "The body must be application/json"
        "Send `Content-Type: application/json`, and no `Content-Encoding`.";
    INVALID_FIELDS = 422 "invalid-fields" "Some fields are not as they must be"
        "A field is missing, unknown, of another type, or breaks a rule of its own. `errors` names \
         each field and the reason. Nothing was sent to the unit.";
    INTERNAL = 500 "internal" "Something went wrong on our side"
        "Nothing that you sent was at fault. `instance` is what our log calls this request.";
    UNAVAILABLE = 503 "unavailable" "A part of the service is away"
        "A server that this request needs did not answer. Nothing was sent to the unit unless the \
         detail says so; a retry with the same Idempotency-Key is safe.";
}

/// A field (or parameter, or header) and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Its name, as the caller wrote or should have written it; nested ones as a path.
    pub field: String,
    /// What is wrong.
    pub reason: String,
}

/// An error on its way to the caller. Boxed, so that results which may hold one stay small.
#[derive(Debug, Clone)]
pub struct Problem(Box<Said>);

#[derive(Debug, Clone)]
struct Said {
    slug: Cow<'static, str>,
    title: Cow<'static, str>,
    status: StatusCode,
    detail: Option<String>,
    errors: Vec<FieldError>,
    headers: HeaderMap,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
}

impl From<ProblemKind> for Problem {
    fn from(kind: ProblemKind) -> Self {
        let status = StatusCode::from_u16(kind.status);
        Self::said(
            Cow::Borrowed(kind.slug),
            Cow::Borrowed(kind.title),
            status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        )
    }
}

impl Problem {
    /// An error whose kind somebody else named, as a unit does with its rejections.
    pub fn named(slug: impl Into<String>, title: impl Into<String>, status: StatusCode) -> Self {
        Self::said(Cow::Owned(slug.into()), Cow::Owned(title.into()), status)
    }

    fn said(slug: Cow<'static, str>, title: Cow<'static, str>, status: StatusCode) -> Self {
        let (detail, errors, headers) = (None, Vec::new(), HeaderMap::new());
        Self(Box::new(Said { slug, title, status, detail, errors, headers }))
    }

    /// Says what exactly.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Names a field and what is wrong with it.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, reason: impl Into<String>) -> Self {
        self.0.errors.push(FieldError { field: field.into(), reason: reason.into() });
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.append(name, value);
        self
    }

    /// The last part of its `type`.
    #[must_use]
    pub fn slug(&self) -> &str {
        &self.0.slug
    }

    /// Its HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The fields that it names.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The answer, with the id of the request that it answers where there is one.
    pub(crate) fn render(self, instance: Option<&str>) -> Response {
        let said = *self.0;
        let body = Body {
            r#type: format!("/problems/{}", said.slug),
            title: &said.title,
            status: said.status.as_u16(),
            detail: said.detail.as_deref(),
            errors: &said.errors,
            instance,
        };
        // A struct of texts and one number always has a JSON form.
        let text = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (said.status, said.headers, text).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        response
    }
}

/// Left in a response's extensions, so that the outermost layer can write the request id into the
/// body.
#[derive(Clone)]
pub(crate) struct Unsigned(pub Problem);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.clone().render(None);
        response.extensions_mut().insert(Unsigned(self));
        response
    }
}
