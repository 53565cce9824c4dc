//! Bodies as jsonb.

use std::borrow::Cow;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The body as jsonb can hold it. Postgres stores no U+0000 in text; it becomes U+FFFD, the
/// character that stands for one that cannot be shown. Nearly every body has none and is borrowed.
#[must_use]
pub fn storable(body: &Value) -> Cow<'_, Value> {
    if has_nul(body) { Cow::Owned(without_nul(body)) } else { Cow::Borrowed(body) }
}

/// As [`storable`], for a searched column; cut at `chars_max` characters, because an index entry
/// has a greatest size and nobody searches for more.
#[must_use]
pub fn searchable(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).map(|c| if c == '\0' { '\u{FFFD}' } else { c }).collect()
}

/// As [`searchable`], for a column that is only compared as a whole: what is longer than
/// `chars_max` keeps its beginning and gets a hash of all of it, so that two texts that differ stay
/// different.
#[must_use]
pub fn comparable(text: &str, chars_max: usize) -> String {
    if text.chars().nth(chars_max).is_none() {
        return searchable(text, chars_max);
    }
    let hash = hex::encode(Sha256::digest(text.as_bytes()));
    searchable(text, chars_max.saturating_sub(hash.len() + 1)) + "#" + &hash
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => {
            members.iter().any(|(name, value)| name.contains('\0') || has_nul(value))
        }
    }
}

fn without_nul(value: &Value) -> Value {
    let text = |text: &str| text.replace('\0', "\u{FFFD}");
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        Value::String(inner) => Value::String(text(inner)),
        Value::Array(items) => items.iter().map(without_nul).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (text(name), without_nul(value))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_body_without_nul_is_not_copied() {
        assert!(matches!(storable(&json!({"a": ["b", 1, null]})), Cow::Borrowed(_)));
    }

    #[test]
    fn nul_becomes_the_replacement_character_wherever_it_stands() {
        let stored = storable(&json!({"a\0": ["x\0y"]})).into_owned();
        assert_eq!(stored, json!({"a\u{FFFD}": ["x\u{FFFD}y"]}));
    }

    #[test]
    fn texts_that_differ_beyond_their_greatest_length_stay_different() {
        let long = "ü".repeat(5_000);
        let [one, other] = [format!("{long}a"), format!("{long}b")].map(|it| comparable(&it, 200));
        assert_ne!(one, other);
        assert_eq!(one.chars().count(), 200);
        assert_eq!(comparable(&one, 200), one, "what was cut stays");
        assert_eq!(comparable("patient:zoe", 200), "patient:zoe");
    }

    #[test]
    fn a_searched_text_is_cut_by_characters() {
        assert_eq!(searchable("aé\0z", 3), "aé\u{FFFD}");
    }
}
