//! Bytes that nobody of ours wrote: an error, never a panic, never a large allocation.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test says what it expects and goes on, and its numbers are small"
)]

use kit_body::{BodySchema, Reason};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const SCHEMA: &str = r#"{
  "type": "record", "name": "R", "namespace": "arteria.tests", "fields": [
    {"name": "id", "type": "string"},
    {"name": "count", "type": "long"},
    {"name": "share", "type": "double"},
    {"name": "yes", "type": "boolean"},
    {"name": "raw", "type": "bytes"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "items", "type": {"type": "array", "items": {"type": "record", "name": "I", "fields": [
      {"name": "on", "type": ["null", {"type": "int", "logicalType": "date"}], "default": null},
      {"name": "tags", "type": {"type": "array", "items": ["null", "string"]}}]}}},
    {"name": "note", "type": ["null", "string"], "default": null},
    {"name": "last", "type": ["null", "long"], "default": null}
  ]}"#;

fn schema() -> BodySchema {
    BodySchema::parse(SCHEMA).unwrap()
}

fn date() -> impl Strategy<Value = Value> {
    (1_u32..=9999, 1_u32..=12, 1_u32..=28)
        .prop_map(|(year, month, day)| json!(format!("{year:04}-{month:02}-{day:02}")))
}

fn item() -> impl Strategy<Value = Value> {
    let tag = prop_oneof![Just(Value::Null), any::<String>().prop_map(Value::from)];
    (proptest::option::of(date()), vec(tag, 0..4)).prop_map(|(on, tags)| {
        let mut item = Map::new();
        item.extend(on.map(|on| ("on".to_owned(), on)));
        item.insert("tags".to_owned(), tags.into());
        Value::Object(item)
    })
}

fn body() -> impl Strategy<Value = Value> {
    let numbers = (any::<i64>(), -1.0e300..1.0e300_f64, any::<bool>());
    let texts = (any::<String>(), vec(any::<u8>(), 0..40), 0_i64..253_402_300_799_999);
    let rest = (vec(item(), 0..4), proptest::option::of(any::<String>()));
    (numbers, texts, rest, proptest::option::of(any::<i64>())).prop_map(
        |((count, share, yes), (id, raw, ms), (items, note), last)| {
            use base64::Engine as _;
            let raw = base64::engine::general_purpose::STANDARD.encode(raw);
            let at = kit_event::Timestamp::from_unix_ms(ms).to_string();
            let mut body = json!({"id": id, "count": count, "share": share, "yes": yes,
                "raw": raw, "at": at, "items": items});
            let fields = body.as_object_mut().unwrap();
            fields.extend(note.map(|note| ("note".to_owned(), json!(note))));
            fields.extend(last.map(|last| ("last".to_owned(), json!(last))));
            body
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_body_reads_back(body in body()) {
        let schema = schema();
        let bytes = schema.encode(&body).unwrap();
        prop_assert_eq!(schema.decode(&bytes).unwrap(), body);
    }

    #[test]
    fn a_cut_body_is_never_whole(body in body(), at in any::<prop::sample::Index>()) {
        let schema = schema();
        let bytes = schema.encode(&body).unwrap();
        let cut = &bytes[..at.index(bytes.len())];
        prop_assert!(schema.decode(cut).is_err());
    }

    #[test]
    fn trailing_bytes_are_refused(body in body(), more in vec(any::<u8>(), 1..20)) {
        let schema = schema();
        let mut bytes = schema.encode(&body).unwrap();
        let count = more.len();
        bytes.extend(more);
        let error = schema.decode(&bytes).unwrap_err();
        prop_assert_eq!(error.reason, Reason::Trailing { count });
    }

    #[test]
    fn a_changed_byte_gives_another_body_or_an_error(
        body in body(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let schema = schema();
        let mut bytes = schema.encode(&body).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = schema.decode(&bytes) {
            // Whatever was read is a body that can be written again.
            prop_assert!(schema.encode(&read).is_ok());
        }
    }

    #[test]
    fn any_bytes_at_all_give_a_body_or_an_error(bytes in vec(any::<u8>(), 0..400)) {
        let _ = schema().decode(&bytes);
    }

    #[test]
    fn any_text_at_all_is_a_schema_or_an_error(text in ".{0,200}") {
        let _ = BodySchema::parse(&text);
    }
}

/// A schema of one array, and bytes that claim `count` items.
fn claim(items: &str, count: i64, tail: &[u8]) -> Result<Value, kit_body::BodyError> {
    let schema = format!(
        r#"{{"type":"record","name":"R","fields":[
            {{"name":"f","type":{{"type":"array","items":{items}}}}}]}}"#
    );
    let mut bytes = Vec::new();
    let mut rest = ((count << 1) ^ (count >> 63)) as u64;
    while rest > 0x7f {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes.extend_from_slice(tail);
    BodySchema::parse(&schema).unwrap().decode(&bytes)
}

#[test]
fn a_huge_count_costs_nothing() {
    for count in [1 << 20, 1 << 40, i64::MAX, i64::MIN, -(1 << 40)] {
        assert!(claim("\"long\"", count, &[]).is_err(), "{count}");
        assert!(claim("\"string\"", count, &[2, b'a']).is_err(), "{count}");
    }
}

#[test]
fn items_without_bytes_have_a_bound() {
    let empty = r#"{"type":"record","name":"E","fields":[]}"#;
    assert!(claim(empty, 3, &[0]).is_ok());
    let error = claim(empty, i64::MAX, &[0]).unwrap_err();
    assert_eq!(error.reason, Reason::TooManyValues);
}

#[test]
fn an_array_in_blocks_with_sizes_is_read() {
    // Two blocks: one item after a negative count and its size, then one plain item.
    let read = claim("\"int\"", -1, &[2, 14, 2, 16, 0]).unwrap();
    assert_eq!(read, json!({"f": [7, 8]}));
}

#[test]
fn a_length_beyond_the_bytes_is_a_cut() {
    let schema = r#"{"type":"record","name":"R","fields":[{"name":"f","type":"bytes"}]}"#;
    let schema = BodySchema::parse(schema).unwrap();
    let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_eq!(schema.decode(&huge).unwrap_err().reason, Reason::Cut);
    assert_eq!(schema.decode(&[0x01]).unwrap_err().reason, Reason::BadLength);
    assert_eq!(schema.decode(&[0xff; 12]).unwrap_err().reason, Reason::Overlong);
}
