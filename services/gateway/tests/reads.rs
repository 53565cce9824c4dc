//! Reads as far as they need no read model: parameters, live queries, bodies, pages for callers.

mod desk;

use desk::{Desk, OTHER, UNIT, Unit};
use kit_token::Kind;
use serde_json::json;

fn slots() -> String {
    let range = "from=2026-03-02T08:00:00Z&to=2026-03-03T08:00:00Z";
    format!("/v1/units/{UNIT}/slots?practitioner_id={OTHER}&{range}")
}

#[tokio::test]
async fn free_slots_come_from_the_unit_itself() {
    let desk = Desk::open().await;
    let answer = desk.call(Kind::Patient, "GET", &slots(), &[], None).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["items"][0]["starts_at"], "2026-03-02T09:00:00Z");
    assert_eq!(answer.header("arteria-unit-online"), "true");
    assert_eq!(desk.published()[0].delivery.as_str(), "query");
    desk.unit_is(Unit::Silent);
    let late = desk.call(Kind::Staff, "GET", &slots(), &[("prefer", "wait=1")], None).await;
    assert_eq!(late.problem(), (504, "unit-timeout"));
    desk.unit_is(Unit::Refuses("practitioner-unknown"));
    let unknown = desk.call(Kind::Staff, "GET", &slots(), &[], None).await;
    assert_eq!(unknown.status, 404);
    desk.cut_off(UNIT);
    let sent = desk.published().len();
    let away = desk.call(Kind::Staff, "GET", &slots(), &[], None).await;
    assert_eq!(away.problem(), (503, "unit-not-connected"));
    assert_eq!(desk.published().len(), sent, "nothing sent");
}

#[tokio::test]
async fn a_parameter_that_does_not_read_is_named() {
    let desk = Desk::open().await;
    for (path, field) in [
        ("patients?birth_date=31/01/1980", "birth_date"),
        ("patients?limit=0", "limit"),
        ("patients?limit=many", "limit"),
        ("patients?cursor=%21", "cursor"),
        ("patients?surname=x", "surname"),
        ("patients?name=a&name=b", "name"),
        ("appointments?status=happy", "status"),
        ("appointments?from=today", "from"),
        ("appointments?to=2026-03-01", "to"),
        ("appointments?patient_id=7", "patient_id"),
        ("appointments?practitioner_id=7", "practitioner_id"),
        ("requests?state=lost", "state"),
        ("events?after=5", "after"),
        ("events?limit=-1", "limit"),
        ("slots?practitioner_id=7", "practitioner_id"),
    ] {
        let path = format!("/v1/units/{UNIT}/{path}");
        let answer = desk.call(Kind::Staff, "GET", &path, &[], None).await;
        assert_eq!(answer.problem(), (400, "invalid-parameter"), "{path}");
        assert_eq!(answer.body["errors"][0]["field"], field, "{path}");
    }
    let path = format!("/v1/units/{UNIT}/patients");
    let headers = [("arteria-min-seq", "latest")];
    let answer = desk.call(Kind::Staff, "GET", &path, &headers, None).await;
    assert_eq!(answer.problem(), (422, "invalid-header"));
}

#[tokio::test]
async fn an_id_that_does_not_read_names_nothing() {
    let desk = Desk::open().await;
    for path in ["patients/x", "appointments/x", "practitioners/x"] {
        let path = format!("/v1/units/{UNIT}/{path}");
        assert_eq!(desk.call(Kind::Staff, "GET", &path, &[], None).await.status, 404, "{path}");
    }
    let token = desk.token(Kind::Admin, UNIT);
    let bad = desk.call_with(Some(&token), "GET", "/v1/units/Not%20A%20Unit", &[], None).await;
    assert_eq!(bad.status, 404);
}

#[tokio::test]
async fn a_read_model_that_is_away_is_503_and_says_no_more() {
    let desk = Desk::open().await;
    let path = format!("/v1/units/{UNIT}/patients");
    let answer = desk.call(Kind::Staff, "GET", &path, &[], None).await;
    assert_eq!(answer.problem(), (503, "unavailable"));
    assert_eq!(answer.header("retry-after"), "1");
    assert!(!answer.body.to_string().contains("sql"), "{}", answer.body);
}

#[tokio::test]
async fn bodies_that_are_no_json_objects_are_told_so() {
    let desk = Desk::open().await;
    let token = desk.token(Kind::Staff, UNIT);
    let path = format!("/v1/units/{UNIT}/patients");
    let key = [("idempotency-key", "k")];
    let array = desk.call_with(Some(&token), "POST", &path, &key, Some(json!([]))).await;
    assert_eq!(array.problem(), (422, "invalid-fields"));
    let none = desk.call_with(Some(&token), "POST", &path, &key, None).await;
    assert_eq!(none.problem(), (422, "invalid-fields"));
    assert_eq!(none.body["errors"][0]["reason"], "is required");
    let large = json!({"family_name": "x".repeat(70_000)});
    let answer = desk.call_with(Some(&token), "POST", &path, &key, Some(large)).await;
    assert_eq!(answer.problem(), (413, "body-too-large"));
    let typed = [("idempotency-key", "k"), ("content-type", "text/plain")];
    let answer = desk.call_with(Some(&token), "POST", &path, &typed, None).await;
    assert_eq!(answer.problem(), (415, "wrong-media-type"));
}

#[tokio::test]
async fn pages_need_no_token() {
    let desk = Desk::open().await;
    let page = desk.call_with(None, "GET", "/problems/slot-taken", &[], None).await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert_eq!(desk.call_with(None, "GET", "/problems/nothing", &[], None).await.status, 404);
    let document = desk.call_with(None, "GET", "/openapi.json", &[], None).await;
    assert_eq!(document.body["openapi"], "3.1.0");
    let unknown = desk.call_with(None, "GET", "/v2/everything", &[], None).await;
    assert_eq!(unknown.problem(), (404, "not-found"));
    let method = desk.call_with(None, "PUT", "/v1/units", &[], None).await;
    assert_eq!(method.problem(), (405, "method-not-allowed"));
}
