//! The link against a fake edge: numbers, credits, garbage, closes, silence.

use std::time::{Duration, Instant};

use kit_event::{Timestamp, UnitSeq};
use kit_link::{CloseCode, FromAgent, FromEdge, Query};
use serde_json::json;

use crate::desk::{Folder, NOW, PATIENT};
use crate::edge::{FakeEdge, Running, request, request_id};
use crate::walkthrough::booking;

const BOOK: &str = "scheduling.book_appointment";

fn register(clinic: &Folder, count: usize) {
    let desk = clinic.desk();
    for n in 0..count {
        let sql = "INSERT INTO patients (patient_id, family_name) VALUES (?1, 'x')";
        desk.execute(sql, [format!("{PATIENT}-{n}")]).unwrap();
    }
}

#[tokio::test]
async fn hello_says_who_comes_and_where_it_stands() {
    let clinic = Folder::staffed();
    let mut edge = FakeEdge::start().await;
    let agent = Running::start(&clinic, &edge);
    let (link, hello) = edge.hello().await;
    assert_eq!(hello.versions, ["unit.v1"]);
    assert_eq!((hello.install_epoch, hello.cursor.clone()), (1, None));
    assert_eq!(hello.last.unwrap().seq, UnitSeq::new(1, 1));
    assert!(hello.request_types.contains(&BOOK.to_owned()));
    assert!(serde_json::to_string(&FromAgent::Hello(hello)).unwrap().len() < 8 * 1024);
    agent.stop().await;
    link.hung_up().await;
}

#[tokio::test]
async fn a_token_is_signed_by_the_edges_time() {
    use base64::Engine;
    let clinic = Folder::staffed();
    let mut edge = FakeEdge::start().await;
    edge.date = Some("Fri, 01 Jan 2038 10:00:00 GMT");
    let agent = Running::start(&clinic, &edge);
    let (_link, hello) = edge.hello().await;
    let claims = hello.token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    let at: Timestamp = "2038-01-01T10:00:00Z".parse().unwrap();
    let signed = claims["iat"].as_i64().unwrap() - at.unix_ms() / 1_000;
    assert!((0..10).contains(&signed), "{signed} seconds away");
    agent.stop().await;
}

#[tokio::test]
async fn a_lost_link_goes_on_where_the_log_stands_and_numbers_exactly_once() {
    let clinic = Folder::staffed();
    let mut edge = FakeEdge::start().await;
    let agent = Running::start(&clinic, &edge);
    let mut link = edge.welcome().await;
    edge.seeded(&mut link).await;
    for round in 0..3 {
        register_named(&clinic, round, 40);
        let wanted = edge.facts.len() + 15;
        edge.until(&mut link, |edge, _| edge.facts.len() >= wanted).await;
        // Lost in the middle: what was sent and not confirmed is not on the log.
        link.close(CloseCode::Resync, "{}").await;
        link = edge.welcome().await;
    }
    edge.until(&mut link, |edge, _| edge.count("patients.patient_registered") == 120).await;
    let (_, hello) = {
        link.close(CloseCode::Draining, "{}").await;
        edge.hello().await
    };
    assert_eq!(hello.last, edge.durable());
    assert_eq!(hello.facts_offset, Some(edge.facts.len() as i64));
    agent.stop().await;
    clinic.assert_numbered_without_gaps();
}

fn register_named(clinic: &Folder, round: usize, count: usize) {
    let desk = clinic.desk();
    for n in 0..count {
        let sql = "INSERT INTO patients (patient_id, family_name) VALUES (?1, 'x')";
        desk.execute(sql, [format!("{round}-{n}")]).unwrap();
    }
}

#[tokio::test]
async fn no_more_facts_are_in_flight_than_credits_allow() {
    let clinic = Folder::staffed();
    let mut edge = FakeEdge::start().await;
    edge.credits = 3;
    let agent = Running::start(&clinic, &edge);
    let mut link = edge.welcome().await;
    edge.seeded(&mut link).await;
    register(&clinic, 10);
    for _ in 0..3 {
        assert!(matches!(link.next().await, FromAgent::Fact(_)));
    }
    let more = link.next_within(Duration::from_millis(200)).await;
    assert_eq!(more, None, "nothing is acknowledged, so nothing more comes");
    agent.stop().await;
}

#[tokio::test]
async fn commands_in_flight_are_carried_out_in_order() {
    let clinic = Folder::staffed();
    let mut edge = FakeEdge::start().await;
    let agent = Running::start(&clinic, &edge);
    let mut link = edge.welcome().await;
    edge.seeded(&mut link).await;
    for n in 0..16 {
        let starts: Timestamp = "2026-03-02T08:00:00Z".parse().unwrap();
        let (from, to) = (starts.plus_ms(n * 1_800_000), starts.plus_ms((n + 1) * 1_800_000));
        let mut command = booking(&from.to_string(), &to.to_string());
        command["appointment_id"] = json!(uuid::Uuid::from_u128(n as u128 + 1));
        link.send(&FromEdge::Request(request(n * 3, &format!("{n}"), BOOK, command))).await;
    }
    edge.until(&mut link, |edge, link| {
        link.applied == Some(46) && edge.count("requests.request_done") == 16
    })
    .await;
    assert_eq!(link.replies.len(), 16);
    for (n, reply) in link.replies.iter().enumerate() {
        assert_eq!(reply.request_id, request_id(&format!("{n}")));
        assert_eq!(reply.outcome["state"], "done");
    }
    agent.stop().await;
}

#[tokio::test]
async fn a_frame_of_a_later_version_is_passed_over() {
    let clinic = Folder::staffed();
    let mut edge = FakeEdge::start().await;
    let agent = Running::start(&clinic, &edge);
    let mut link = edge.welcome().await;
    edge.seeded(&mut link).await;
    link.send_text(r#"{"frame":"dance","with":"me"}"#.to_owned()).await;
    register(&clinic, 1);
    edge.until(&mut link, |edge, _| edge.has("patients.patient_registered")).await;
    agent.stop().await;
}

#[tokio::test]
async fn garbage_ends_the_link_and_nothing_else() {
    let clinic = Folder::staffed();
    let mut edge = FakeEdge::start().await;
    let agent = Running::start(&clinic, &edge);
    let huge = format!(r#"{{"frame":"dance","x":"{}"}}"#, "x".repeat(70_000));
    for garbage in ["}{", r#"{"frame":"request","position":"first"}"#, &huge] {
        let mut link = edge.welcome().await;
        link.send_text(garbage.to_owned()).await;
        // Facts may be under way; they are not on the log, and come again.
        link.hung_up().await;
    }
    let mut link = edge.welcome().await;
    edge.seeded(&mut link).await;
    agent.stop().await;
    clinic.assert_numbered_without_gaps();
}

#[tokio::test]
async fn a_welcome_that_is_none_ends_the_link() {
    let clinic = Folder::staffed();
    let mut edge = FakeEdge::start().await;
    let agent = Running::start(&clinic, &edge);
    let (mut link, _) = edge.hello().await;
    link.send(&FromEdge::Ping(kit_link::Ping { head: 1, server_time: NOW.parse().unwrap() })).await;
    link.hung_up().await;
    let mut link = edge.welcome().await;
    edge.seeded(&mut link).await;
    agent.stop().await;
}

#[tokio::test]
async fn an_edge_that_tells_when_to_come_back_is_obeyed() {
    let clinic = Folder::staffed();
    let mut edge = FakeEdge::start().await;
    let agent = Running::start(&clinic, &edge);
    let (link, _) = edge.hello().await;
    let reason = r#"{"problem":"overloaded","detail":"full","retry_after_ms":1500}"#;
    let closed = Instant::now();
    link.close(CloseCode::Overloaded, reason).await;
    let _link = edge.welcome().await;
    let waited = closed.elapsed();
    assert!(waited >= Duration::from_millis(1_500), "{waited:?}");
    assert!(waited < Duration::from_secs(4), "{waited:?}");
    agent.stop().await;
}

#[tokio::test]
async fn a_token_that_is_refused_is_not_tried_again_at_once() {
    let clinic = Folder::staffed();
    let mut edge = FakeEdge::start().await;
    let agent = Running::start(&clinic, &edge);
    let (link, _) = edge.hello().await;
    link.close(CloseCode::BadToken, r#"{"problem":"bad-token","detail":""}"#).await;
    let again = tokio::time::timeout(Duration::from_secs(3), edge.hello()).await;
    assert!(again.is_err(), "people must look at it first");
    let left = Instant::now();
    agent.stop().await;
    assert!(left.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_dead_link_is_noticed() {
    let clinic = Folder::staffed();
    let mut edge = FakeEdge::start().await;
    edge.heartbeat_ms = 0;
    let agent = Running::start(&clinic, &edge);
    let _black_hole = edge.welcome().await;
    let silent = Instant::now();
    let again = tokio::time::timeout(Duration::from_secs(20), edge.hello()).await;
    assert!(again.is_ok(), "another connection was tried");
    assert!(silent.elapsed() >= Duration::from_millis(7_900));
    agent.stop().await;
}

#[tokio::test]
async fn an_edge_that_acknowledges_nothing_holds_nobody_up_at_the_desk() {
    let clinic = Folder::staffed();
    let mut edge = FakeEdge::start().await;
    let agent = Running::start(&clinic, &edge);
    let mut link = edge.welcome().await;
    let command = booking("2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z");
    link.send(&FromEdge::Request(request(0, "one", BOOK, command))).await;
    let reply = loop {
        if let FromAgent::Reply(reply) = link.next().await {
            break reply;
        }
    };
    assert_eq!(reply.outcome["state"], "done");
    agent.stop().await;
}

#[tokio::test]
async fn a_query_past_its_deadline_or_of_no_known_kind_changes_nothing() {
    let clinic = Folder::staffed();
    let mut edge = FakeEdge::start().await;
    let agent = Running::start(&clinic, &edge);
    let mut link = edge.welcome().await;
    edge.seeded(&mut link).await;
    let now: Timestamp = NOW.parse().unwrap();
    let query = |name: &str, type_name: &str, expires_at| {
        FromEdge::Query(Query {
            id: request_id(name),
            type_name: type_name.to_owned(),
            expires_at,
            traceparent: None,
            reply_partition: None,
            body: json!({"mood": 1}),
        })
    };
    link.send(&query("late", "scheduling.free_slots", now.plus_ms(-1))).await;
    link.send(&query("dance", "scheduling.dance", now.plus_ms(30_000))).await;
    link.send(&query("slots", "scheduling.free_slots", now.plus_ms(30_000))).await;
    let mut answers = Vec::new();
    while answers.len() < 2 {
        if let FromAgent::Answer(answer) = link.next().await {
            answers.push((answer.id, answer.reason.unwrap()));
        }
    }
    let expected = [
        (request_id("dance"), "request-type-unknown".to_owned()),
        (request_id("slots"), "request-malformed".to_owned()),
    ];
    assert_eq!(answers, expected);
    agent.stop().await;
}

#[tokio::test]
async fn a_query_while_another_program_holds_the_clinic_database_is_answered_busy() {
    let clinic = Folder::staffed();
    clinic.desk().pragma_update(None, "journal_mode", "delete").unwrap();
    let mut edge = FakeEdge::start().await;
    let agent = Running::start(&clinic, &edge);
    let mut link = edge.welcome().await;
    edge.seeded(&mut link).await;
    let desk = clinic.desk();
    desk.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let now: Timestamp = NOW.parse().unwrap();
    link.send(&FromEdge::Query(Query {
        id: request_id("slots"),
        type_name: "scheduling.free_slots".to_owned(),
        expires_at: now.plus_ms(30_000),
        traceparent: None,
        reply_partition: None,
        body: json!({}),
    }))
    .await;
    let answer = loop {
        if let FromAgent::Answer(answer) = link.next().await {
            break answer;
        }
    };
    assert_eq!(answer.reason.as_deref(), Some("unit-busy"));
    desk.execute_batch("COMMIT").unwrap();
    agent.stop().await;
}
