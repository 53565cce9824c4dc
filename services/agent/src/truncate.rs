//! Bodies that fit into a frame.
//!
//! A practice may paste a megabyte into a remark. Until bodies travel in chunks, such a text is cut
//! in the fact (the clinic keeps it whole): one endless remark must not hold back a whole unit.

use kit_link::limits::FRAME_BYTES_MAX;
use serde_json::Value;

/// Room for everything in a fact frame that is not its body.
const ENVELOPE_BYTES: usize = 2 * 1024;
/// A body's largest size.
pub const BODY_BYTES_MAX: usize = FRAME_BYTES_MAX - ENVELOPE_BYTES;
/// Texts are first cut to this many bytes, then to half of it, until the body fits.
const TEXT_BYTES_FIRST_CUT: usize = 8 * 1024;
/// What stands at the end of a text that was cut.
const CUT_MARK: &str = "…";

/// The body and its text: as it is where it fits, else with its longest texts cut, wherever they
/// stand in it. A text that is JSON itself (a field `<name>_json`: the record in an outcome) stays
/// JSON, its own texts cut; one that is none is left out, because half of it would say nothing.
#[must_use]
pub fn truncated(body: Value) -> (Value, String) {
    let mut body = body;
    let mut text = body.to_string();
    let mut text_bytes_max = TEXT_BYTES_FIRST_CUT;
    while text_bytes_max > CUT_MARK.len() && text.len() > BODY_BYTES_MAX {
        cut(&mut body, text_bytes_max);
        text_bytes_max /= 2;
        text = body.to_string();
    }
    (body, text)
}

/// Cuts every text in a value to so many bytes.
fn cut(value: &mut Value, bytes_max: usize) {
    match value {
        Value::String(text) => cut_text(text, bytes_max),
        Value::Array(items) => items.iter_mut().for_each(|item| cut(item, bytes_max)),
        Value::Object(fields) => fields.retain(|name, value| match value {
            Value::String(text) if name.ends_with("_json") => cut_json(text, bytes_max),
            other => {
                cut(other, bytes_max);
                true
            }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a text that should be JSON is some, cut now.
fn cut_json(text: &mut String, bytes_max: usize) -> bool {
    if text.len() <= bytes_max {
        return true;
    }
    let Ok(mut value) = serde_json::from_str(text) else { return false };
    cut(&mut value, bytes_max);
    *text = value.to_string();
    true
}

fn cut_text(text: &mut String, bytes_max: usize) {
    if text.len() <= bytes_max {
        return;
    }
    let mut end = bytes_max - CUT_MARK.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push_str(CUT_MARK);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_that_fits_stays_as_it_is() {
        let body = json!({"reason": "x".repeat(30_000), "n": 1});
        assert_eq!(truncated(body.clone()).0, body);
    }

    #[test]
    fn a_record_within_an_outcome_stays_json_with_its_texts_cut() {
        for reason in ["ü".repeat(100_000), "\u{1}\\\"".repeat(100_000)] {
            let record = json!({"appointment_id": "a", "reason": reason, "status": "cancelled",
                "lines": [{"text": reason}, {"text": "short"}]});
            let outcome = json!({"request_id": "r", "state": "done",
                "record_json": record.to_string()});
            let (truncated, text) = truncated(outcome);
            assert!(text.len() <= BODY_BYTES_MAX);
            let kept: Value =
                serde_json::from_str(truncated["record_json"].as_str().unwrap()).unwrap();
            assert_eq!(
                (&kept["appointment_id"], &kept["status"]),
                (&json!("a"), &json!("cancelled"))
            );
            assert!(kept["reason"].as_str().unwrap().ends_with(CUT_MARK));
            assert!(kept["lines"][0]["text"].as_str().unwrap().ends_with(CUT_MARK));
            assert_eq!(kept["lines"][1]["text"], "short");
        }
    }

    #[test]
    fn an_endless_text_is_cut_and_the_rest_stays() {
        let body =
            json!({"id": "a", "reason": "ü".repeat(500_000), "state_json": "[".repeat(90_000)});
        let (truncated, text) = truncated(body);
        assert!(text.len() <= BODY_BYTES_MAX);
        assert_eq!(text, truncated.to_string());
        assert_eq!(truncated["id"], "a");
        assert!(truncated["reason"].as_str().unwrap().ends_with(CUT_MARK));
        assert!(truncated.get("state_json").is_none());
    }

    #[test]
    fn many_long_texts_are_cut_until_all_fit() {
        let body: serde_json::Map<String, Value> =
            (0..30).map(|n| (format!("f{n}"), json!("\u{1}".repeat(9_000)))).collect();
        assert!(truncated(Value::Object(body)).1.len() <= BODY_BYTES_MAX);
    }
}
