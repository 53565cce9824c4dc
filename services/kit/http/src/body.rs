//! Bodies: bounded, JSON, and read strictly.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::problem::{
    BODY_TOO_LARGE, INVALID_FIELDS, MALFORMED_BODY, MALFORMED_JSON, Problem, WRONG_MEDIA_TYPE,
};

/// The largest body. A registration is under 2 KiB; an agent's frame holds no more than this.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// A JSON object as it arrived. An empty body reads as an empty object.
#[derive(Debug, Clone, Default)]
pub struct JsonObject(pub Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let media_type = request.headers().get(CONTENT_TYPE).cloned();
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Problem::from(BODY_TOO_LARGE)
                    .detail(format!("a body has at most {BODY_BYTES_MAX} bytes"))
            } else {
                MALFORMED_BODY.into()
            }
        })?;
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
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| malformed(&error))?;
        match value {
            Value::Object(object) => Ok(Self(object)),
            _ => Err(Problem::from(INVALID_FIELDS).field("", "the body must be a JSON object")),
        }
    }
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
    use axum::body::Body;
    use http::Request as HttpRequest;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it reads is looked at")]
    struct Wish {
        name: String,
        #[serde(default)]
        age: Option<u32>,
    }

    fn read(value: Value) -> Result<Wish, Problem> {
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
        for (media_type, body, slug) in [
            (json, "{\"a\":\n1,", "malformed-json"),
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
}
