//! Schemas that an operator offers: good ones, mistakes, and hostile ones.

#![expect(
    clippy::needless_pass_by_value,
    reason = "a test says what it expects and goes on, and its numbers are small"
)]

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use kit_body::schema::SCHEMA_BYTES_MAX;
use kit_body::{Candidate, CandidateError, Promise, schemas};
use serde_json::{Value, json};

fn call(fields: Value) -> Value {
    json!({"type": "record", "name": "CallEnded", "namespace": "arteria.voip", "fields": fields})
}

fn field(field_type: Value) -> Value {
    call(json!([{"name": "a", "type": "string"}, {"name": "wrong", "type": field_type}]))
}

/// What is said of a schema that is refused, with its causes.
fn refused(text: &str) -> String {
    let error = Candidate::read(text).expect_err("it must be refused");
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(said, ": {error}").unwrap();
        cause = error.source();
    }
    said
}

#[test]
fn the_name_says_the_type_and_marks_say_what_may_leave() {
    let text = call(json!([
        {"name": "call_id", "type": "string", "arteria.public": true},
        {"name": "number", "type": ["null", "string"], "default": null, "arteria.public": false},
        {"name": "ended_at", "type": {"type": "long", "logicalType": "timestamp-millis"},
         "arteria.public": true},
    ]));
    let candidate = Candidate::read(&text.to_string()).unwrap();
    assert_eq!(candidate.type_name, "voip.call_ended");
    assert_eq!(candidate.public, ["call_id", "ended_at"]);
    assert_eq!(candidate.fields(), 3);
}

#[test]
fn what_the_table_has_no_place_for_is_named_with_its_path() {
    let all = [
        (json!("map"), "map"),
        (json!({"type": "map", "values": "string"}), "$.wrong: Map has no place in a body"),
        (
            json!({"type": "enum", "name": "E", "symbols": ["A"]}),
            "$.wrong: Enum has no place in a body",
        ),
        (
            json!({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}),
            "$.wrong: Decimal has no place in a body",
        ),
        (json!(["string", "int"]), "$.wrong: a union must be of null and one other type"),
        (json!(["null", "string", "int"]), "$.wrong: a union must be of null and one other type"),
        (json!({"type": "fixed", "name": "F", "size": 4}), "$.wrong: Fixed has no place"),
        (
            json!({"type": "array", "items": {"type": "map", "values": "int"}}),
            "$.wrong[]: Map has no place in a body",
        ),
        (
            json!({"type": "record", "name": "In", "fields": [{"name": "x", "type":
                {"type": "int", "logicalType": "time-millis"}}]}),
            "$.wrong.x: TimeMillis has no place in a body",
        ),
    ];
    for (wrong, said) in all {
        let refused = refused(&field(wrong).to_string());
        assert!(refused.contains(said), "{refused} does not say {said}");
    }
}

#[test]
fn what_is_no_schema_at_all_is_refused_in_plain_words() {
    for (text, said) in [
        ("", "the file is empty"),
        (" \n\t", "the file is empty"),
        ("{", "reading the schema: parsing an Avro schema"),
        ("not json", "parsing an Avro schema"),
        ("[]", "a union must be of null and one other type"),
        ("\"string\"", "a body's schema must be a record"),
        (r#"{"type":"record","name":"X"}"#, "parsing an Avro schema"),
        (r#"{"type":"array","items":"int"}"#, "a body's schema must be a record"),
    ] {
        let refused = refused(text);
        assert!(refused.contains(said), "{text}: {refused}");
    }
    let large = field(json!("string")).to_string() + &" ".repeat(SCHEMA_BYTES_MAX);
    assert!(refused(&large).contains("larger than"), "{}", refused(&large));
}

#[test]
fn a_name_that_says_no_type_is_refused() {
    let named = |name: &str, namespace: &str| {
        json!({"type": "record", "name": name, "namespace": namespace, "fields": []}).to_string()
    };
    for (name, namespace) in [
        ("CallEnded", "com.example"),
        ("CallEnded", "arteria"),
        ("callEnded", "arteria.voip"),
        ("Call_Ended", "arteria.voip"),
        ("CallEnded", "arteria.voip.deeper"),
        ("CallEnded", "arteria.VoIP"),
        ("CallEnded", "arteria.public.voip"),
        ("call_ended", "arteria.voip"),
    ] {
        let error = Candidate::read(&named(name, namespace)).unwrap_err();
        assert!(matches!(error, CandidateError::Name { .. }), "{namespace}.{name}: {error}");
    }
    let long = named(&"Call".repeat(60), "arteria.voip");
    assert!(matches!(Candidate::read(&long), Err(CandidateError::LongName { .. })));
}

#[test]
fn a_mark_is_true_or_false_at_whatever_depth() {
    for mark in [json!("true"), json!(1), json!(null), json!({"arteria.public": true})] {
        let text = call(json!([{"name": "a", "type": "string", "arteria.public": mark}]));
        assert!(refused(&text.to_string()).starts_with("$.a: arteria.public must be"));
        let inner = json!({"type": "array", "items": {"type": "record", "name": "In", "fields":
            [{"name": "x", "type": ["null", "string"], "arteria.public": mark}]}});
        let text = field(inner).to_string();
        assert!(refused(&text).starts_with("$.wrong[].x: arteria.public must be"));
    }
}

/// Records of ten fields, each of which is the record before: 10^12 leaves in a few kilobytes.
fn bomb(levels: usize, last: &str) -> String {
    let mut text = format!(r#"{{"type":"record","name":"R0","fields":[{last}]}}"#);
    for level in 1..=levels {
        let again = (1..10).fold(String::new(), |mut all, n| {
            write!(all, r#",{{"name":"f{n}","type":"R{}"}}"#, level - 1).unwrap();
            all
        });
        let first = format!(r#"{{"name":"f0","type":{text}}}"#);
        text = format!(r#"{{"type":"record","name":"R{level}","fields":[{first}{again}]}}"#);
    }
    let name = r#""name":"Bomb","namespace":"arteria.voip""#;
    format!(r#"{{"type":"record",{name},"fields":[{{"name":"f","type":{text}}}]}}"#)
}

#[test]
fn a_schema_that_folds_a_billion_fields_into_names_costs_nothing() {
    let begun = Instant::now();
    let (one, two) = (r#"{"name":"x","type":"int"}"#, r#"{"name":"x","type":"long"}"#);
    let candidate = Candidate::read(&bomb(12, one)).unwrap();
    candidate.schema.encode(&json!({"f": {}})).unwrap_err();
    let promise = |version, last: &str| Promise {
        type_name: "voip.bomb".to_owned(),
        version,
        text: bomb(12, last),
    };
    let said = schemas::against(&[promise(1, one)], &promise(2, two));
    assert!(said[0].ends_with(".x: changed its type"), "{said:?}");
    let said = schemas::against(&[promise(1, one)], &promise(2, one));
    assert_eq!(said.len(), 1, "both are the same");
    assert!(refused(&bomb(17, one)).contains("nested deeper"));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn nesting_without_end_is_refused_and_overflows_nothing() {
    let mut deep = json!("string");
    for _ in 0..100 {
        deep = json!({"type": "array", "items": deep});
    }
    assert!(refused(&field(deep).to_string()).contains("nested deeper"));
    let deep = "[".repeat(100_000);
    assert!(refused(&deep).contains("parsing an Avro schema"));
    let within_itself = call(json!([{"name": "a", "type": ["null", "CallEnded"]}]));
    assert!(refused(&within_itself.to_string()).contains("$.a: refers to a record"));
}
