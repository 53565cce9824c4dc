//! The protocol document and the frame schema say what the code does.

use std::fs;
use std::path::PathBuf;

use jsonschema::Validator;
use kit_event::{Delivery, RequestId, Timestamp, UnitId, UnitSeq};
use kit_link::{
    Ack, Answer, Applied, Cancel, CloseCode, Cursor, Durable, ErrorFrame, FactFrame, FromAgent,
    FromEdge, Hello, LogIdentity, NewEpoch, Obey, Ping, Pong, Query, Reemit, Reply, RequestFrame,
    Resend, Resume, Welcome, limits,
};
use serde_json::{Value, json};
use uuid::Uuid;

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn promises(name: &str) -> String {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../proto-schemas");
    fs::read_to_string(dir.join(name)).unwrap()
}

fn schema(of: &str) -> Validator {
    let mut schema: Value = serde_json::from_str(&promises("unit.v1.schema.json")).unwrap();
    let root = schema.as_object_mut().unwrap();
    root.remove("oneOf");
    root.insert("$ref".to_owned(), json!(format!("#/$defs/{of}")));
    jsonschema::validator_for(&schema).unwrap()
}

fn at() -> Timestamp {
    "2026-03-01T09:30:00.250Z".parse().unwrap()
}

fn unit() -> UnitId {
    "hcu-0001".parse().unwrap()
}

fn id() -> RequestId {
    RequestId::derive(&unit(), "iss", "sub", "key")
}

fn seq() -> UnitSeq {
    UnitSeq::new(1, 42)
}

fn log() -> LogIdentity {
    LogIdentity("c/unit.requests/3".to_owned())
}

/// One of each, with every optional member or with none.
fn from_agent(full: bool) -> Vec<FromAgent> {
    let durable = Durable { seq: seq(), id: Uuid::new_v4() };
    vec![
        FromAgent::Hello(Hello {
            token: "a.b.c".to_owned(),
            versions: vec!["unit.v1".to_owned()],
            agent_version: "0.1.0".to_owned(),
            request_types: vec!["scheduling.book_appointment".to_owned()],
            net_changes_only: full,
            install_epoch: 0,
            last: full.then_some(durable),
            facts_offset: full.then_some(7),
            cursor: full.then(|| Cursor { log: log(), next: 3 }),
        }),
        FromAgent::Fact(FactFrame {
            seq: seq(),
            id: Uuid::new_v4(),
            type_name: "scheduling.appointment_booked".to_owned(),
            version: 1,
            time: at(),
            subject: full.then(|| "appointment/1".to_owned()),
            patient_id: full.then(Uuid::new_v4),
            causation_id: full.then(id),
            traceparent: full.then(|| TRACEPARENT.to_owned()),
            body: json!({"status": "booked"}),
        }),
        FromAgent::Applied(Applied { next: 3 }),
        FromAgent::Reply(Reply {
            request_id: id(),
            reply_partition: full.then_some(3),
            last_seq: full.then(seq),
            record_seq: full.then(seq),
            traceparent: full.then(|| TRACEPARENT.to_owned()),
            outcome: json!({"state": "done"}),
        }),
        FromAgent::Answer(Answer {
            id: id(),
            reply_partition: full.then_some(3),
            traceparent: full.then(|| TRACEPARENT.to_owned()),
            body: full.then(|| json!({"items": []})),
            reason: (!full).then(|| "practitioner-unknown".to_owned()),
            detail: (!full).then(|| "no such practitioner".to_owned()),
        }),
        FromAgent::Pong(Pong {
            next: 3,
            last_seq: UnitSeq::ZERO,
            spool_facts: full.then_some(4),
            oldest_unsent_ms: full.then_some(1_500),
            paused_tables: full.then_some(0),
        }),
    ]
}

fn from_edge(full: bool) -> Vec<FromEdge> {
    let resume = if full { Resume::Gap { from: 1, to: 3 } } else { Resume::Exact };
    vec![
        FromEdge::Welcome(Welcome {
            version: "unit.v1".to_owned(),
            unit: unit(),
            conn_epoch: 5,
            credits: limits::CREDITS,
            frame_bytes_max: limits::FRAME_BYTES_MAX,
            heartbeat_ms: limits::HEARTBEAT_MS,
            server_time: at(),
            log: log(),
            head: 9,
            durable: full.then(|| Durable { seq: seq(), id: Uuid::new_v4() }),
            resume,
        }),
        FromEdge::Request(RequestFrame {
            position: 3,
            id: id(),
            type_name: "scheduling.book_appointment".to_owned(),
            version: 1,
            accepted_at: at(),
            expires_at: at(),
            delivery: if full { Delivery::OnlineOnly } else { Delivery::Queue },
            command_hash: "00".to_owned(),
            actor: "staff:1".to_owned(),
            traceparent: full.then(|| TRACEPARENT.to_owned()),
            reply_partition: full.then_some(3),
            body: json!({}),
        }),
        FromEdge::Cancel(Cancel {
            position: full.then_some(3),
            request_id: id(),
            actor: "staff:1".to_owned(),
            traceparent: full.then(|| TRACEPARENT.to_owned()),
            reply_partition: full.then_some(3),
        }),
        FromEdge::Resend(Resend { position: full.then_some(3), from: seq(), to: seq() }),
        FromEdge::NewEpoch(NewEpoch {
            position: full.then_some(3),
            above: 1,
            reason: "fork".to_owned(),
        }),
        FromEdge::Reemit(Reemit {
            position: full.then_some(3),
            seq: seq(),
            subject: full.then(|| "call/1".to_owned()),
        }),
        FromEdge::Query(Query {
            id: id(),
            type_name: "scheduling.free_slots".to_owned(),
            expires_at: at(),
            traceparent: full.then(|| TRACEPARENT.to_owned()),
            reply_partition: full.then_some(3),
            body: json!({}),
        }),
        FromEdge::Ack(Ack { durable: seq(), facts_offset: 7 }),
        FromEdge::Ping(Ping { head: 9, server_time: at() }),
        FromEdge::Error(ErrorFrame { problem: "unknown-frame".to_owned(), detail: "x".to_owned() }),
    ]
}

#[test]
fn every_frame_fits_the_schema_of_its_direction_and_of_its_name() {
    let (up, down) = (schema("from_agent"), schema("from_edge"));
    for full in [true, false] {
        let sent = from_agent(full).into_iter().map(|frame| serde_json::to_value(frame).unwrap());
        let received =
            from_edge(full).into_iter().map(|frame| serde_json::to_value(frame).unwrap());
        for (direction, frame) in
            sent.map(|frame| (&up, frame)).chain(received.map(|frame| (&down, frame)))
        {
            let name = frame["frame"].as_str().unwrap().to_owned();
            let wrong: Vec<String> =
                schema(&name).iter_errors(&frame).map(|error| error.to_string()).collect();
            assert!(wrong.is_empty(), "{name}: {wrong:?}");
            assert!(direction.is_valid(&frame), "{name} is not of its direction");
        }
    }
}

#[test]
fn the_schema_names_every_member_and_requires_what_is_always_there() {
    for full in [true, false] {
        let up = from_agent(full).into_iter().map(|frame| serde_json::to_value(frame).unwrap());
        let down = from_edge(full).into_iter().map(|frame| serde_json::to_value(frame).unwrap());
        let all: Value = serde_json::from_str(&promises("unit.v1.schema.json")).unwrap();
        for frame in up.chain(down) {
            let name = frame["frame"].as_str().unwrap();
            let described = &all["$defs"][name];
            for member in frame.as_object().unwrap().keys() {
                assert!(described["properties"].get(member).is_some(), "{name}.{member}");
            }
            for required in described["required"].as_array().unwrap() {
                assert!(frame.get(required.as_str().unwrap()).is_some(), "{name}.{required}");
            }
        }
    }
}

#[test]
fn the_schema_refuses_what_the_edge_refuses() {
    let up = schema("from_agent");
    for wrong in [
        json!({"frame": "applied"}),
        json!({"frame": "applied", "next": "3"}),
        json!({"frame": "pong", "next": 3, "last_seq": "3"}),
        json!({"frame": "pong", "next": 3, "last_seq": "0-0", "spool_facts": -1}),
        json!({"frame": "pong", "next": 3, "last_seq": "0-0", "paused_tables": "2"}),
        json!({"frame": "welcome"}),
        json!({"next": 3}),
    ] {
        assert!(!up.is_valid(&wrong), "{wrong}");
    }
}

#[test]
fn a_close_reason_fits_its_schema() {
    let fault = edge::fault::Fault::protocol("expected fact 1-2").retry_after_ms(5);
    let reason: Value = serde_json::from_str(&fault.reason()).unwrap();
    assert!(schema("close_reason").is_valid(&reason));
}

/// The rows of a table of the document, as cells.
fn table(name: &str) -> Vec<Vec<String>> {
    let text = promises("unit.v1.md");
    let begin = text.split(&format!("<!-- table: {name} -->")).nth(1).unwrap().to_owned();
    let rows = begin.split("<!-- end -->").next().unwrap().lines();
    let rows = rows.filter(|line| line.starts_with('|')).skip(2);
    let cells = |line: &str| line.trim_matches('|').split('|').map(clean).collect();
    rows.map(cells).collect()
}

fn clean(cell: &str) -> String {
    cell.trim().trim_matches('`').to_owned()
}

#[test]
fn the_document_lists_every_close_code() {
    let listed: Vec<(String, String)> =
        table("close codes").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let known: Vec<(String, String)> =
        CloseCode::ALL.iter().map(|c| (c.code().to_string(), c.slug().to_owned())).collect();
    assert_eq!(listed, known);
    for code in CloseCode::ALL {
        let range = match code.code() {
            4000..=4099 => Obey::Stop,
            4200..=4299 => Obey::ReconnectNow,
            _ => Obey::BackOff,
        };
        assert_eq!(Obey::of(code.code()), range);
    }
}

#[test]
fn the_document_lists_every_limit_with_its_number() {
    let known: [(&str, u64); 9] = [
        ("FRAME_BYTES_MAX", limits::FRAME_BYTES_MAX as u64),
        ("HELLO_BYTES_MAX", limits::HELLO_BYTES_MAX as u64),
        ("HELLO_WITHIN_MS", limits::HELLO_WITHIN_MS),
        ("CREDITS", limits::CREDITS.into()),
        ("HEARTBEAT_MS", limits::HEARTBEAT_MS),
        ("HEARTBEAT_GRACE_MS", limits::HEARTBEAT_GRACE_MS),
        ("QUERY_MS_MAX", limits::QUERY_MS_MAX),
        ("TOKEN_SECONDS_MAX", limits::TOKEN_SECONDS_MAX),
        ("FRAMES_BEFORE_WELCOME_MAX", limits::FRAMES_BEFORE_WELCOME_MAX.into()),
    ];
    let listed: Vec<(String, u64)> =
        table("limits").into_iter().map(|row| (row[0].clone(), row[1].parse().unwrap())).collect();
    let known: Vec<(String, u64)> =
        known.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    assert_eq!(listed, known);
    let source = fs::read_to_string(
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../kit/link/src/limits.rs"),
    );
    let names = source.unwrap().matches("pub const ").count();
    assert_eq!(names, listed.len(), "a limit of kit_link that the document does not list");
}

#[test]
fn the_document_names_every_frame_and_member() {
    let text = promises("unit.v1.md");
    let up = from_agent(true).into_iter().map(|frame| serde_json::to_value(frame).unwrap());
    let down = from_edge(true).into_iter().map(|frame| serde_json::to_value(frame).unwrap());
    for frame in up.chain(down) {
        let name = frame["frame"].as_str().unwrap();
        assert!(text.contains(&format!("`{name}")), "frame {name}");
        for member in frame.as_object().unwrap().keys() {
            assert!(text.contains(member.as_str()), "{name}.{member}");
        }
    }
}
