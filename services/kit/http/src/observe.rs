//! What stands around every route: a request id, a trace, an access line, metrics, caught panics.

use std::any::Any;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, Method};
use kit_metric::{Counter, Histogram};
use kit_telemetry::{Field, Side, Step, StepName};
use tower_http::catch_panic::CatchPanicLayer;
use uuid::Uuid;

use crate::body::BODY_BYTES_MAX;
use crate::problem::{INTERNAL, METHOD_NOT_ALLOWED, NOT_FOUND, Problem, Unsigned};

/// Carries the request id both ways.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// W3C Trace Context. Behind [`dress`] it names our own step, or a caller's that reads, or is
/// absent.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The route of an address that no template matches; the address itself may hold anything.
const UNMATCHED: &str = "unmatched";

/// The id under which the log knows a call: the caller's own where it is a UUID, with or without
/// hyphens, else ours. Any other text might be a name or a number of somebody, and would stand in
/// the log. (A *request id* is something else here: the tracked command of a unit.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallId(pub String);

/// Dresses a router: answers for unknown addresses and methods, a bound on bodies, and everything
/// this module is about.
pub fn dress(routes: Router) -> Router {
    routes
        .fallback(|| async { Problem::from(NOT_FOUND) })
        .method_not_allowed_fallback(|| async { Problem::from(METHOD_NOT_ALLOWED) })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CatchPanicLayer::custom(caught))
        .layer(middleware::from_fn(observe))
}

fn caught(_panic: Box<dyn Any + Send + 'static>) -> Response {
    // What it says stays inside: the panic hook has told the log, and it may quote a record.
    Problem::from(INTERNAL).into_response()
}

async fn observe(mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = CallId::of(&request);
    let method = known_method(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
    let mut step = entered(request.headers_mut(), method, route);
    request.extensions_mut().insert(id.clone());
    let response = signed(next.run(request).await, &id);
    let status = response.status();
    answered(&mut step, status);
    let elapsed = begun.elapsed();
    let elapsed_ms = elapsed.as_secs_f64() * 1000.0;
    let (code, call_id) = (status.as_u16(), id.0.as_str());
    if status.is_server_error() {
        tracing::warn!(method, route, status = code, elapsed_ms, call_id, "call");
    } else {
        tracing::info!(method, route, status = code, elapsed_ms, call_id, "call");
    }
    count(method, route, status, elapsed.as_secs_f64());
    response
}

/// Begins the call's step and writes it into the headers, so that whoever reads the header behind
/// this point goes on from here. What came twice, or does not read, is taken out.
fn entered(headers: &mut HeaderMap, method: &'static str, route: &str) -> Step {
    let mut given = headers.get_all(TRACEPARENT).iter();
    let only = given.next().filter(|_| given.next().is_none());
    let name = StepName::of_call(method, route);
    let mut step = Step::begin(Side::Server, name, only.and_then(|value| value.to_str().ok()));
    step.says(Field::Method, method);
    step.says(Field::Route, route);
    headers.remove(TRACEPARENT);
    if let Some(own) = step.handed_on().and_then(|own| HeaderValue::from_str(&own).ok()) {
        headers.insert(TRACEPARENT, own);
    }
    step
}

fn answered(step: &mut Step, status: http::StatusCode) {
    step.counts(Field::Status, i64::from(status.as_u16()));
    if status.is_server_error() {
        step.failed("server-error");
    }
}

const REQUESTS: Counter<3> = Counter::new(
    "arteria_http_requests_total",
    "Calls answered, by their status.",
    ["route", "method", "status"],
);
const REQUEST_SECONDS: Histogram<1> = Histogram::new(
    "arteria_http_request_seconds",
    "From a call's headers to its answer's.",
    ["route"],
);

fn count(method: &'static str, route: &str, status: http::StatusCode, seconds: f64) {
    let series = [route.to_owned(), method.to_owned(), status.as_str().to_owned()];
    REQUESTS.of(series).increment(1);
    REQUEST_SECONDS.of([route.to_owned()]).record(seconds);
}

/// Describes what this module counts, and lets every route's counter begin at 0.
pub fn describe_metrics<'r>(routes: impl Iterator<Item = (&'static str, &'r str)>) {
    REQUESTS.describe();
    REQUEST_SECONDS.describe();
    for (method, route) in routes {
        REQUESTS.of([route.to_owned(), method.to_owned(), "200".to_owned()]).absolute(0);
    }
}

/// A caller can invent methods without end, and of any words; metrics, traces and the log must not
/// repeat them.
fn known_method(method: &Method) -> &'static str {
    ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"]
        .into_iter()
        .find(|known| method.as_str() == *known)
        .unwrap_or("other")
}

/// Writes the id into the answer, and into the body of a problem.
fn signed(mut response: Response, id: &CallId) -> Response {
    if let Some(Unsigned(problem)) = response.extensions_mut().remove() {
        let mut headers = std::mem::take(response.headers_mut());
        response = problem.render(Some(&id.0));
        // What inner layers added (as `Allow`) stays; the length is of the body without the id.
        headers.remove(http::header::CONTENT_LENGTH);
        *response.headers_mut() = headers;
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Records of patients belong into no cache; pages that may be kept say so themselves.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

impl CallId {
    fn of(request: &Request) -> Self {
        let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
        match given {
            Some(text) if is_bare_uuid(text) => Self(text.to_owned()),
            _ => Self(Uuid::new_v4().simple().to_string()),
        }
    }
}

/// A UUID as 32 digits, or as 36 characters with its hyphens.
fn is_bare_uuid(text: &str) -> bool {
    matches!(text.len(), 32 | 36) && Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    fn app() -> Router {
        dress(
            Router::new()
                .route("/ok", get(|| async { "ok" }))
                .route(
                    "/trace",
                    get(|headers: HeaderMap| async move {
                        let given = headers.get_all(TRACEPARENT).iter().collect::<Vec<_>>();
                        format!("{given:?}")
                    }),
                )
                .route("/boom", get(|| async { panic!("the secret inside") as &'static str }))
                .route("/bad", get(|| async { Problem::from(crate::problem::INVALID_FIELDS) })),
        )
    }

    async fn call(method: &str, path: &str, id: Option<&str>) -> (Response<()>, String) {
        let mut request = http::Request::builder().method(method).uri(path);
        if let Some(id) = id {
            request = request.header(REQUEST_ID, id);
        }
        let response = app().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        (Response::from_parts(parts, ()), String::from_utf8(body.to_vec()).unwrap())
    }

    type Response<T> = http::Response<T>;

    const THEIRS: &str = "0af76519-16cd-43dd-8448-eb211c80319c";

    #[tokio::test]
    async fn a_problem_names_its_type_status_and_instance() {
        let (response, body) = call("GET", "/bad", Some(THEIRS)).await;
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["x-request-id"], THEIRS);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["type"], "/problems/invalid-fields");
        assert_eq!(body["status"], 422);
        assert_eq!(body["instance"], THEIRS);
    }

    #[tokio::test]
    async fn a_panic_is_a_500_without_its_words() {
        let (response, body) = call("GET", "/boom", None).await;
        assert_eq!(response.status(), 500);
        assert!(!body.contains("secret"), "{body}");
        assert_eq!(response.headers()["x-request-id"].len(), 32);
    }

    #[tokio::test]
    async fn an_unknown_address_or_method_is_a_problem_too() {
        assert_eq!(call("GET", "/none", None).await.0.status(), 404);
        let (response, body) = call("DELETE", "/ok", None).await;
        assert_eq!(response.status(), 405);
        assert!(response.headers().contains_key("allow"));
        assert!(body.contains("/problems/method-not-allowed"), "{body}");
    }

    #[tokio::test]
    async fn a_traceparent_goes_on_only_where_it_reads() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let huge = "0".repeat(20_000);
        for (given, seen) in [
            (vec![good], format!("[\"{good}\"]")),
            (vec![], "[]".to_owned()),
            (vec!["00-1-2-3"], "[]".to_owned()),
            (vec![huge.as_str()], "[]".to_owned()),
            (vec![good, good], "[]".to_owned()),
        ] {
            let mut request = http::Request::get("/trace");
            for value in given {
                request = request.header(TRACEPARENT, value);
            }
            let response = app().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            assert_eq!(String::from_utf8(body.to_vec()).unwrap(), seen);
        }
    }

    #[tokio::test]
    async fn only_a_uuid_of_the_callers_becomes_the_id_of_a_call() {
        let simple = THEIRS.replace('-', "");
        let urn = format!("urn:uuid:{THEIRS}");
        let (short, long) = ("0".repeat(31), "x".repeat(129));
        for bad in ["", "a b", "a\"b", "ü", "Maria.Silva", "19800412", &short, &long, &urn] {
            let response = call("GET", "/ok", Some(bad)).await.0;
            assert_ne!(response.headers()["x-request-id"], bad);
            assert_eq!(response.headers()["x-request-id"].len(), 32);
        }
        for good in [THEIRS, simple.as_str()] {
            assert_eq!(call("GET", "/ok", Some(good)).await.0.headers()["x-request-id"], good);
        }
    }
}
