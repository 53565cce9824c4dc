//! Tracked requests: shown, awaited, overdue, cancelled.

mod desk;

use std::time::{Duration, Instant};

use desk::{Desk, OTHER, PATIENT, UNIT, Unit, word};
use kit_event::Timestamp;
use kit_token::Kind;
use serde_json::{Value, json};

const PATH: &str = "/v1/units/hcu-0001/appointments";

fn booking() -> Value {
    json!({
        "patient_id": PATIENT, "practitioner_id": OTHER,
        "starts_at": "2026-03-02T09:00:00Z", "ends_at": "2026-03-02T09:30:00Z",
        "reason": "a cough",
    })
}

async fn book(desk: &Desk, headers: &[(&str, &str)]) -> desk::Answer {
    desk.call(Kind::Staff, "POST", PATH, headers, Some(booking())).await
}

#[tokio::test]
async fn a_silent_unit_is_202_with_the_tracked_request() {
    let desk = Desk::open().await;
    desk.unit_is(Unit::Silent);
    let begun = Instant::now();
    let answer = book(&desk, &[("idempotency-key", "a"), ("prefer", "respond-async")]).await;
    assert!(begun.elapsed() < Duration::from_millis(500));
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("preference-applied"), "respond-async");
    let location = answer.header("location").to_owned();
    assert_eq!(location, format!("/v1/requests/{}", answer.body["request_id"].as_str().unwrap()));
    assert_eq!(answer.body["state"], "accepted");
    assert_eq!(answer.body["type"], "scheduling.book_appointment");
    assert_eq!(answer.body["patient_id"], PATIENT);
    let shown = desk.call(Kind::Staff, "GET", &location, &[], None).await;
    assert_eq!((shown.status.as_u16(), &shown.body["state"]), (200, &json!("accepted")));
    desk.place(UNIT, Some("edge-1"), 1);
    let shown = desk.call(Kind::Staff, "GET", &location, &[], None).await;
    assert_eq!(shown.body["state"], "delivered");
    let begun = Instant::now();
    let waited = book(&desk, &[("idempotency-key", "b"), ("prefer", "wait=1")]).await;
    assert_eq!(waited.status, 202);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    // A patient sees what concerns it, whoever asked; a partner sees no requests at all.
    let own = desk.call(Kind::Patient, "GET", &location, &[], None).await;
    assert_eq!(own.status, 200);
    assert_eq!(desk.call(Kind::Partner, "GET", &location, &[], None).await.status, 404);
    let envelope = desk.call(Kind::Admin, "GET", &location, &[], None).await;
    assert_eq!(envelope.body["state"], "delivered");
    assert_eq!(envelope.body["patient_id"], Value::Null);
}

#[tokio::test]
async fn past_its_deadline_a_request_is_overdue_not_failed() {
    let desk = Desk::open().await;
    desk.unit_is(Unit::Silent);
    let headers = [("idempotency-key", "a"), ("prefer", "respond-async"), ("arteria-expires", "1")];
    let answer = book(&desk, &headers).await;
    let location = answer.header("location").to_owned();
    desk.clock.set(Timestamp::from_unix_ms(desk.clock.now().unix_ms() + 1_001));
    let shown = desk.call(Kind::Staff, "GET", &location, &[], None).await;
    assert_eq!(shown.body["state"], "overdue");
}

#[tokio::test]
async fn a_cancel_is_the_units_to_grant() {
    let desk = Desk::open().await;
    desk.unit_is(Unit::Silent);
    let headers = [("idempotency-key", "a"), ("prefer", "respond-async")];
    let location = book(&desk, &headers).await.header("location").to_owned();
    let asked = desk.call(Kind::Staff, "DELETE", &location, &[], None).await;
    assert_eq!((asked.status.as_u16(), &asked.body["state"]), (202, &json!("accepted")));
    assert_eq!(asked.header("location"), location);
    let control = desk.published()[1].clone();
    assert_eq!(control.type_name, "control.cancel");
    assert_eq!(format!("/v1/requests/{}", control.body["request_id"].as_str().unwrap()), location);
    desk.unit_is(Unit::Grants);
    let done = desk.call(Kind::Staff, "DELETE", &location, &[("prefer", "wait=2")], None).await;
    assert_eq!((done.status.as_u16(), &done.body["state"]), (200, &json!("cancelled")));
    // Again: it has what it wants. The first asker hears it too, at its next try.
    assert_eq!(desk.call(Kind::Staff, "DELETE", &location, &[], None).await.status, 200);
    let retried = book(&desk, &[("idempotency-key", "a")]).await;
    assert_eq!(retried.problem(), (409, "cancelled"));
    let granted = book(&desk, &[("idempotency-key", "b")]).await;
    let request = granted.header("arteria-request").to_owned();
    let path = format!("/v1/requests/{request}");
    let late = desk.call(Kind::Staff, "DELETE", &path, &[], None).await;
    assert_eq!(late.problem(), (409, "too-late"));
}

#[tokio::test]
async fn who_waits_for_a_request_hears_the_word_when_it_comes() {
    let desk = Desk::open().await;
    desk.unit_is(Unit::Silent);
    let headers = [("idempotency-key", "a"), ("prefer", "respond-async")];
    let location = book(&desk, &headers).await.header("location").to_owned();
    let (asked, request) = (desk.log.asked.clone(), desk.published()[0].clone());
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        asked.hear(word(&request, Unit::Refuses("slot-taken")));
    });
    let begun = Instant::now();
    let shown = desk.call(Kind::Staff, "GET", &location, &[("prefer", "wait=10")], None).await;
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(shown.body["state"], "rejected");
    assert_eq!(shown.body["reason"], "slot-taken");
    assert_eq!(shown.header("preference-applied"), "wait=10");
    assert_eq!(shown.header("arteria-unit-seq"), "1-42");
}

#[tokio::test]
async fn requests_that_do_not_exist_are_404() {
    let desk = Desk::open().await;
    for id in ["x", "hcu-0001.00", "hcu-0002.0123456789abcdef0123456789abcdef"] {
        let path = format!("/v1/requests/{id}");
        assert_eq!(desk.call(Kind::Staff, "GET", &path, &[], None).await.status, 404, "{id}");
        assert_eq!(desk.call(Kind::Staff, "DELETE", &path, &[], None).await.status, 404, "{id}");
    }
}
