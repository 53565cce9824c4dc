//! The table between plain JSON and Avro, by example, and against Avro's own library.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use kit_body::{BodySchema, Reason};
use serde_json::{Value, json};

const EVERYTHING: &str = r#"{
  "type": "record", "name": "Everything", "namespace": "arteria.tests", "fields": [
    {"name": "yes", "type": "boolean"},
    {"name": "small", "type": "int"},
    {"name": "large", "type": "long"},
    {"name": "rough", "type": "float"},
    {"name": "fine", "type": "double"},
    {"name": "text", "type": "string"},
    {"name": "raw", "type": "bytes"},
    {"name": "on", "type": {"type": "int", "logicalType": "date"}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "maybe_at", "default": null,
     "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}]},
    {"name": "other_way_round", "type": ["string", "null"]},
    {"name": "place", "type": {"type": "record", "name": "Place", "fields": [
      {"name": "city", "type": "string"}]}},
    {"name": "places", "type": {"type": "array", "items": "Place"}},
    {"name": "notes", "type": {"type": "array", "items": ["null", "string"]}}
  ]}"#;

fn everything() -> Value {
    json!({
        "yes": true, "small": -7, "large": 9_007_199_254_740_993_i64, "rough": 0.1, "fine": 2.5,
        "text": "Zoë", "raw": "AAEC", "on": "1969-12-31", "at": "2026-03-01T09:30:00.250Z",
        "maybe_at": "2026-03-01T09:30:00Z", "other_way_round": "x", "place": {"city": "Faro"},
        "places": [{"city": "Évora"}, {"city": ""}], "notes": ["a", null],
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut body = everything();
    body[field] = value;
    body
}

fn rejection(body: &Value) -> (String, Reason) {
    let error = BodySchema::parse(EVERYTHING).unwrap().encode(body).unwrap_err();
    (error.path, error.reason)
}

#[test]
fn every_kind_reads_back_as_it_was_written() {
    let schema = BodySchema::parse(EVERYTHING).unwrap();
    let bytes = schema.encode(&everything()).unwrap();
    assert_eq!(schema.decode(&bytes).unwrap(), everything());
}

#[test]
fn avros_own_library_reads_the_same_and_writes_the_same() {
    let avro = Schema::parse_str(EVERYTHING).unwrap();
    let bytes = BodySchema::parse(EVERYTHING).unwrap().encode(&everything()).unwrap();
    let mut rest = bytes.as_slice();
    let value = GenericDatumReader::builder(&avro).build().unwrap().read_value(&mut rest).unwrap();
    assert!(rest.is_empty());
    let writer = GenericDatumWriter::builder(&avro).build().unwrap();
    let written = writer.write_value_to_vec(value).unwrap();
    assert_eq!(written, bytes);
}

#[test]
fn a_missing_nullable_field_is_null_and_a_null_one_is_left_out() {
    let schema = BodySchema::parse(EVERYTHING).unwrap();
    let mut missing = everything();
    missing.as_object_mut().unwrap().remove("maybe_at");
    let null = with("maybe_at", Value::Null);
    assert_eq!(schema.encode(&missing).unwrap(), schema.encode(&null).unwrap());
    assert_eq!(schema.decode(&schema.encode(&null).unwrap()).unwrap(), missing);
}

#[test]
fn a_refusal_names_the_path_and_the_reason() {
    let missing = {
        let mut body = everything();
        body.as_object_mut().unwrap().remove("text");
        body
    };
    assert_eq!(rejection(&missing), ("$.text".into(), Reason::Missing));
    assert_eq!(rejection(&with("mood", json!(1))), ("$.mood".into(), Reason::UnknownField));
    assert_eq!(rejection(&with("at", json!("tomorrow"))), ("$.at".into(), Reason::NotATime));
    assert_eq!(rejection(&with("on", json!("1980-02-30"))), ("$.on".into(), Reason::NotADate));
    assert_eq!(rejection(&with("raw", json!("***"))), ("$.raw".into(), Reason::NotBase64));
    let int = Reason::OutOfRange("a 32-bit integer");
    assert_eq!(rejection(&with("small", json!(1_i64 << 31))), ("$.small".into(), int));
    let long = Reason::OutOfRange("a 64-bit integer");
    assert_eq!(rejection(&with("large", json!(u64::MAX))), ("$.large".into(), long));
    let places = json!([{"city": "a"}, {"city": null}]);
    let wrong = Reason::WrongType { wanted: "a string", found: "null" };
    assert_eq!(rejection(&with("places", places)), ("$.places[1].city".into(), wrong));
    let wrong = Reason::WrongType { wanted: "a whole number", found: "a fraction" };
    assert_eq!(rejection(&with("small", json!(1.5))), ("$.small".into(), wrong));
    let wrong = Reason::WrongType { wanted: "an object", found: "another value" };
    assert_eq!(rejection(&json!([])), ("$".into(), wrong));
}

#[test]
fn a_refusal_never_shows_the_value() {
    let schema = BodySchema::parse(EVERYTHING).unwrap();
    let error = schema.encode(&with("at", json!("Maria, 12 March"))).unwrap_err();
    assert_eq!(error.to_string(), "$.at must be an RFC 3339 time, as 2026-03-01T09:30:00Z");
    assert!(!format!("{error:?}").contains("Maria"));
}

#[test]
fn a_body_beyond_the_bound_is_refused() {
    let body = with("text", json!("a".repeat(kit_body::schema::BODY_BYTES_MAX)));
    assert!(matches!(rejection(&body).1, Reason::TooLarge { .. }));
}

#[test]
fn what_the_table_does_not_take_is_refused_when_it_is_loaded() {
    for (kind, field) in [
        ("map", r#"{"type": "map", "values": "string"}"#),
        ("enum", r#"{"type": "enum", "name": "E", "symbols": ["A"]}"#),
        ("fixed", r#"{"type": "fixed", "name": "F", "size": 2}"#),
        ("decimal", r#"{"type": "bytes", "logicalType": "decimal", "precision": 4}"#),
        ("micros", r#"{"type": "long", "logicalType": "timestamp-micros"}"#),
        ("uuid", r#"{"type": "string", "logicalType": "uuid"}"#),
        ("null", r#""null""#),
        ("union", r#"["string", "int"]"#),
        ("union of three", r#"["null", "string", "int"]"#),
        ("itself", r#"["null", "R"]"#),
    ] {
        let schema =
            format!(r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":{field}}}]}}"#);
        assert!(BodySchema::parse(&schema).is_err(), "{kind}");
    }
    for bad in ["", "garbage", "\"string\"", "{}", "[1,2]"] {
        assert!(BodySchema::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn nesting_has_a_bound_even_where_names_fold_it() {
    let mut deep = r#""string""#.to_owned();
    for level in 0..40 {
        deep = format!(
            r#"{{"type":"record","name":"R{level}","fields":[{{"name":"f","type":{deep}}}]}}"#
        );
    }
    assert!(BodySchema::parse(&deep).is_err());
}

#[test]
fn the_fingerprint_is_avros_own_and_blind_to_words() {
    let one = r#"{"type":"record","name":"a.B","fields":[{"name":"f","type":"int"}]}"#;
    let two = r#"{"doc":"x","type":"record","name":"B","namespace":"a",
                  "fields":[{"type":"int","name":"f","doc":"y"}]}"#;
    let (one, two) = (BodySchema::parse(one).unwrap(), BodySchema::parse(two).unwrap());
    assert_eq!(one.fingerprint(), two.fingerprint());
    assert_eq!(one.fingerprint().len(), 16);
    assert_eq!(one.name(), "a.B");
}
