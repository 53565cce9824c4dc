//! Bodies: bounded in size and in time, JSON, and read strictly.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use futures_util::StreamExt;
use http::HeaderMap;
use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::members::Json;
use crate::problem::{
    BODY_TOO_LARGE, BODY_TOO_SLOW, INVALID_FIELDS, MALFORMED_BODY, MALFORMED_JSON, Problem,
    WRONG_MEDIA_TYPE,
};

/// The largest body. A registration is under 2 KiB; an agent's frame holds no more than this.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// A caller that hears nothing before all is sent would find its connection broken instead of our
/// answer, so up to here a body that is too large is read and thrown away.
const BODY_READ_MAX: usize = 4 * 1024 * 1024;
/// A body that has not come whole by then holds a place among the connections for nothing: the
/// largest takes that long on a line of 3 KB a second.
pub const BODY_WITHIN: Duration = Duration::from_secs(20);

/// A JSON object as it arrived. An empty body reads as an empty object.
#[derive(Debug, Clone, Default)]
pub struct JsonObject(pub Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let media_type = request.headers().get(CONTENT_TYPE).cloned();
        foretold(request.headers())?;
        let whole = tokio::time::timeout(BODY_WITHIN, whole(request.into_body()));
        let bytes = whole.await.map_err(|_| too_slow())??;
        if bytes.is_empty() && media_type.is_none() {
            return Ok(Self::default());
        }
        let media_type = media_type.as_ref().and_then(|value| value.to_str().ok());
        if !media_type.is_some_and(is_json) {
            return Err(WRONG_MEDIA_TYPE.into());
        }
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_slice(&bytes).map_err(|error| malformed(&error))? {
            Json::Object(members) => members.into_fields().map(Self),
            Json::Other => {
                Err(Problem::from(INVALID_FIELDS).field("", "the body must be a JSON object"))
            }
        }
    }
}

/// Refuses at once what the headers say will not be read, before it is waited for.
fn foretold(headers: &HeaderMap) -> Result<(), Problem> {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > BODY_READ_MAX as u64) {
        return Err(too_large());
    }
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    if encodings.any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Problem::from(WRONG_MEDIA_TYPE).detail("a body is sent without encoding"));
    }
    Ok(())
}

/// Reads a body, and one that is too large to its end where that is near.
async fn whole(body: Body) -> Result<Vec<u8>, Problem> {
    let mut chunks = body.into_data_stream();
    let (mut bytes, mut seen) = (Vec::new(), 0_usize);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| MALFORMED_BODY)?;
        seen = seen.saturating_add(chunk.len());
        if seen <= BODY_BYTES_MAX {
            bytes.extend_from_slice(&chunk);
        } else if seen > BODY_READ_MAX {
            break;
        }
    }
    if seen > BODY_BYTES_MAX { Err(too_large()) } else { Ok(bytes) }
}

fn too_large() -> Problem {
    Problem::from(BODY_TOO_LARGE).detail(format!("a body has at most {BODY_BYTES_MAX} bytes"))
}

/// What is left of the body would be read as the next request, so the connection ends here.
fn too_slow() -> Problem {
    Problem::from(BODY_TOO_SLOW)
        .detail(format!("a body comes within {} s", BODY_WITHIN.as_secs()))
        .header(CONNECTION, HeaderValue::from_static("close"))
}

/// `application/json`, whatever its parameters.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// Says where, never what: the text around it may be somebody's name.
fn malformed(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let what = match error.classify() {
        serde_json::error::Category::Eof => "the body ends too early",
        _ if error.to_string().starts_with("recursion limit") => "the body is nested too deep",
        _ => "the body is not JSON",
    };
    Problem::from(MALFORMED_JSON).detail(format!("{what}, line {line} column {column}"))
}

/// Reads fields into a struct; the error names the field and the reason.
///
/// # Errors
/// `invalid-fields`, at the first field that does not fit.
pub fn read_fields<T: DeserializeOwned>(object: Map<String, Value>) -> Result<T, Problem> {
    serde_path_to_error::deserialize(Value::Object(object)).map_err(|error| {
        let path = error.path().to_string();
        let (field, reason) = explain(&path, &error.inner().to_string());
        Problem::from(INVALID_FIELDS).field(field, reason)
    })
}

/// Turns serde's sentence into a field and a reason.
fn explain(path: &str, sentence: &str) -> (String, String) {
    let named = |prefix: &str| {
        let name = sentence.strip_prefix(prefix)?.split('`').next()?;
        // serde gives an unknown field its path already, a missing one the path of its parent.
        let within = path != "." && path != name && !path.ends_with(&format!(".{name}"));
        Some(if within { format!("{path}.{name}") } else { name.to_owned() })
    };
    if let Some(field) = named("missing field `") {
        return (field, "is required".to_owned());
    }
    if let Some(field) = named("unknown field `") {
        return (field, "is no field of this request".to_owned());
    }
    let field = if path == "." { "" } else { path };
    (field.to_owned(), kit_event::rules::unquoted(sentence))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::body::Bytes;
    use http::Request as HttpRequest;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it reads is looked at")]
    struct Command {
        name: String,
        #[serde(default)]
        age: Option<u32>,
    }

    fn read(value: Value) -> Result<Command, Problem> {
        read_fields(value.as_object().cloned().unwrap_or_default())
    }

    #[test]
    fn a_field_that_does_not_fit_is_named_with_the_reason() {
        for (value, field, reason) in [
            (json!({}), "name", "is required"),
            (json!({"name": "x", "shoe": 7}), "shoe", "is no field of this request"),
            (json!({"name": 7}), "name", "invalid type: integer, expected a string"),
            (json!({"name": "x", "age": "7"}), "age", "invalid type: string, expected u32"),
        ] {
            let problem = read(value).unwrap_err();
            assert_eq!(problem.slug(), "invalid-fields");
            assert_eq!(problem.status(), 422);
            let error = &problem.errors()[0];
            assert_eq!((error.field.as_str(), error.reason.as_str()), (field, reason));
        }
        assert!(read(json!({"name": "x", "age": 7})).is_ok());
    }

    async fn extract(media_type: Option<&str>, body: &str) -> Result<JsonObject, Problem> {
        let mut request = HttpRequest::post("/");
        if let Some(media_type) = media_type {
            request = request.header(CONTENT_TYPE, media_type);
        }
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX).apply(&mut request);
        JsonObject::from_request(request, &()).await
    }

    #[tokio::test]
    async fn a_body_is_one_json_object_of_bounded_size() {
        let json = Some("application/json; charset=utf-8");
        assert_eq!(extract(json, r#"{"a":1}"#).await.unwrap().0["a"], 1);
        assert!(extract(None, "").await.unwrap().0.is_empty());
        let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(BODY_BYTES_MAX));
        let deep = "[".repeat(100_000);
        let nested = format!("{{\"a\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
        for (media_type, body, slug) in [
            (json, "{\"a\":\n1,", "malformed-json"),
            (json, &nested, "malformed-json"),
            (json, "no", "malformed-json"),
            (json, deep.as_str(), "body-too-large"),
            (json, &deep[..1000], "malformed-json"),
            (json, "[]", "invalid-fields"),
            (json, "null", "invalid-fields"),
            (None, "{}", "wrong-media-type"),
            (Some("text/plain"), "{}", "wrong-media-type"),
            (json, large.as_str(), "body-too-large"),
        ] {
            assert_eq!(extract(media_type, body).await.unwrap_err().slug(), slug);
        }
    }

    #[tokio::test]
    async fn malformed_json_is_placed_but_not_repeated() {
        let problem = extract(Some("application/json"), "{\"name\": \"Ana\n\"").await.unwrap_err();
        let body = format!("{problem:?}");
        assert!(body.contains("line 2"), "{body}");
        assert!(!body.contains("Ana"), "{body}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for_without_end() {
        let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let request = HttpRequest::post("/").header(CONTENT_TYPE, "application/json");
        let request = request.body(Body::from_stream(never)).unwrap();
        let problem = JsonObject::from_request(request, &()).await.unwrap_err();
        assert_eq!((problem.slug(), problem.status().as_u16()), ("body-too-slow", 408));
    }

    #[tokio::test]
    async fn what_the_headers_foretell_is_refused_before_it_is_waited_for() {
        for (name, value, slug) in [
            ("content-length", "4194305", "body-too-large"),
            ("content-length", "18446744073709551615", "body-too-large"),
            ("content-encoding", "gzip", "wrong-media-type"),
        ] {
            let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
            let request = HttpRequest::post("/").header(name, value);
            let request = request.body(Body::from_stream(never)).unwrap();
            let problem = JsonObject::from_request(request, &()).await.unwrap_err();
            assert_eq!(problem.slug(), slug, "{name}: {value}");
        }
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_taken_off_the_connection_before_it_is_refused() {
        let left = Arc::new(AtomicUsize::new(32));
        let counted = left.clone();
        let chunks = futures_util::stream::iter(0..32).map(move |_| {
            counted.fetch_sub(1, Ordering::Relaxed);
            Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 64 * 1024]))
        });
        let request = HttpRequest::post("/").body(Body::from_stream(chunks)).unwrap();
        let problem = JsonObject::from_request(request, &()).await.unwrap_err();
        assert_eq!(problem.slug(), "body-too-large");
        assert_eq!(left.load(Ordering::Relaxed), 0, "all of it was read");
    }

    #[tokio::test]
    async fn a_member_is_named_only_where_its_name_looks_like_one_of_ours() {
        let json = Some("application/json");
        let long = "k".repeat(41);
        for odd in ["Elisabeth Müller", "Elisabeth", "", "a b", "<b>", "a\\u0000", "7a", &long] {
            let body = format!("{{\"name\": \"x\", \"{odd}\": 1}}");
            let problem = extract(json, &body).await.unwrap_err();
            assert_eq!(problem.slug(), "invalid-fields");
            let error = &problem.errors()[0];
            assert_eq!(error.field, "");
            assert_eq!(error.reason, "the name of member 2 is that of no field");
        }
    }

    #[tokio::test]
    async fn a_field_stands_once() {
        let body = r#"{"amount_minor": 1, "currency": "EUR", "amount_minor": 777}"#;
        let problem = extract(Some("application/json"), body).await.unwrap_err();
        let error = &problem.errors()[0];
        assert_eq!(error.field, "amount_minor");
        assert_eq!(error.reason, "stands more than once");
    }
}
