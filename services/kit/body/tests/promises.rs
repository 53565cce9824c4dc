//! Structs to schema files, and what keeps the versions of a type from parting.

#![expect(
    clippy::cast_possible_truncation,
    clippy::struct_field_names,
    reason = "a test says what it expects and goes on, and its numbers are small"
)]

use std::fs;

use kit_body::schemas::{self, SchemasError};
use kit_body::{BodySchema, derive};
use kit_event::{Date, SchemaSource, Timestamp};
use serde::Serialize;
use serde_json::json;
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

/// An appointment as it stands in the diary.
#[derive(Serialize, ToSchema)]
struct Visit {
    /// Its public id.
    visit_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_at: Option<Timestamp>,
    ended_on: Date,
    /// Closed set of words.
    #[schema(inline)]
    status: Status,
    minutes: i32,
    position: u64,
    share: Option<f32>,
    active: bool,
    tags: Vec<String>,
    maybe_tags: Option<Vec<String>>,
    #[schema(inline)]
    place: Place,
    #[schema(inline)]
    other_place: Option<Place>,
    #[schema(inline)]
    past_places: Vec<Place>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is looked at")]
enum Status {
    Booked,
    Gone,
}

/// A place.
#[derive(Serialize, ToSchema)]
struct Place {
    city: String,
    floor: Option<i64>,
}

/// A visit whose place is a component.
#[derive(Serialize, ToSchema)]
struct Referring {
    place: Place,
    other: Option<Place>,
}

fn source<T: PartialSchema>(type_name: &'static str, version: u32) -> SchemaSource {
    SchemaSource { type_name, version, doc: "A visit was made.", schema: T::schema() }
}

const EXPECTED: &str = include_str!("visit_made.avsc");

#[test]
fn a_struct_becomes_a_schema_in_the_order_of_its_fields() {
    let text = derive::avsc(&source::<Visit>("diary.visit_made", 1)).unwrap();
    assert_eq!(text, EXPECTED);
    let schema = BodySchema::parse(&text).unwrap();
    assert_eq!(schema.name(), "arteria.diary.VisitMade");
    let body = json!({
        "visit_id": "00000000-0000-0000-0000-000000000001", "ended_on": "2026-03-01",
        "status": "booked", "minutes": 20, "position": 7, "active": true, "tags": [],
        "place": {"city": "Faro"}, "past_places": [{"city": "Beja", "floor": 2}],
    });
    assert_eq!(schema.decode(&schema.encode(&body).unwrap()).unwrap(), body);
}

#[test]
fn a_component_is_found_where_it_is_given_and_named_where_it_is_not() {
    let source = source::<Referring>("diary.visit_seen", 1);
    let error = derive::avsc(&source).unwrap_err();
    assert_eq!(
        error.to_string(),
        "$.place: component Place is unknown; mark the field #[schema(inline)]"
    );
    let mut components = Vec::new();
    <Referring as ToSchema>::schemas(&mut components);
    let text = derive::avsc_with(&source, &components).unwrap();
    BodySchema::parse(&text).unwrap();
    assert!(text.contains("VisitSeenOther"), "{text}");
}

#[test]
fn a_written_file_is_released() {
    let dir = tempfile::tempdir().unwrap();
    let written = schemas::write(dir.path(), &[source::<Visit>("diary.visit_made", 1)]).unwrap();
    assert_eq!(written, [dir.path().join("diary/visit_made/v1.avsc")]);
    let again = schemas::write(dir.path(), &[source::<Visit>("diary.visit_made", 1)]).unwrap();
    assert!(again.is_empty());
    let changed = schemas::write(dir.path(), &[source::<Place>("diary.visit_made", 1)]);
    assert!(matches!(changed, Err(SchemasError::Released { version: 1, .. })));
}

#[test]
fn drift_between_structs_and_files_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let check = |sources: &[SchemaSource]| schemas::check(dir.path(), sources).unwrap();
    let one = || source::<Visit>("diary.visit_made", 1);
    assert_eq!(check(&[one()]), ["diary.visit_made: v1.avsc is missing (make schemas)"]);
    schemas::write(dir.path(), &[one()]).unwrap();
    assert!(check(&[one()]).is_empty());
    assert_eq!(check(&[]), ["diary.visit_made: schema files without a struct"]);
    let changed = check(&[source::<Place>("diary.visit_made", 1)]);
    assert!(changed[0].contains("raise the version"), "{changed:?}");
    fs::write(dir.path().join("stray.avsc"), "{}").unwrap();
    assert!(matches!(schemas::check(dir.path(), &[one()]), Err(SchemasError::Misplaced { .. })));
}

fn versions(fields: &[&str]) -> Vec<String> {
    let promise = |(index, fields): (usize, &&str)| kit_body::Promise {
        type_name: "a.b".to_owned(),
        version: index as u32 + 1,
        text: format!(
            r#"{{"type":"record","name":"B","namespace":"arteria.a","fields":[{fields}]}}"#
        ),
    };
    schemas::incompatible(&fields.iter().enumerate().map(promise).collect::<Vec<_>>())
}

#[test]
fn versions_read_each_other_both_ways_or_are_refused() {
    let a = r#"{"name":"a","type":"int"}"#;
    let b = r#"{"name":"b","type":["null","string"],"default":null}"#;
    let (ab, abc) = (format!("{a},{b}"), format!("{a},{b},{}", b.replace("\"b\"", "\"c\"")));
    assert!(versions(&[a, &ab, &abc]).is_empty());
    assert!(versions(&[&abc, a]).is_empty(), "an optional field may go again");
    for (what, later) in [
        ("a required field more", format!(r#"{a},{{"name":"b","type":"string"}}"#)),
        ("a required field less", b.to_owned()),
        ("promotion", r#"{"name":"a","type":"long"}"#.to_owned()),
        ("a narrower type", r#"{"name":"a","type":"string"}"#.to_owned()),
        ("made nullable", r#"{"name":"a","type":["null","int"],"default":null}"#.to_owned()),
        (
            "another meaning",
            r#"{"name":"a","type":{"type":"int","logicalType":"date"}}"#.to_owned(),
        ),
        ("only words", a.replace("\"a\"", "\"a\",\"doc\":\"x\"")),
    ] {
        assert_eq!(versions(&[a, &later]).len(), 1, "{what}");
        assert!(!versions(&[a, &ab, &later]).is_empty(), "{what}, against every earlier version");
    }
}

#[test]
fn a_version_may_not_be_left_out() {
    let promise = |version| kit_body::Promise {
        type_name: "a.b".to_owned(),
        version,
        text: r#"{"type":"record","name":"B","fields":[]}"#.to_owned(),
    };
    assert_eq!(schemas::incompatible(&[promise(1), promise(3)]), ["a.b: v2 is missing"]);
}
