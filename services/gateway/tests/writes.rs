//! The path of a write, its headers, and every end that it can come to.

mod desk;

use std::time::Duration;

use desk::{Desk, OTHER, PATIENT, UNIT, Unit, word};
use kit_event::{RequestId, Timestamp};
use kit_request::tracked::Entry;
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
async fn a_granted_booking_is_201_with_the_record_and_its_numbers() {
    let desk = Desk::open().await;
    let answer = book(&desk, &[("idempotency-key", "k1"), ("prefer", "wait=5")]).await;
    assert_eq!(answer.status, 201);
    let id = answer.body["appointment_id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("{PATH}/{id}"));
    assert_eq!(answer.header("etag"), "\"1-41\"");
    assert_eq!(answer.header("arteria-unit-seq"), "1-42");
    assert_eq!(answer.header("preference-applied"), "wait=5");
    assert_eq!(answer.header("cache-control"), "no-store");
    let sent = &desk.published()[0];
    assert_eq!(sent.type_name, "scheduling.book_appointment");
    assert_eq!(sent.unit.as_str(), UNIT);
    assert_eq!(sent.actor, "staff:ana");
    assert_eq!(sent.reply_partition, Some(3));
    assert_eq!(sent.expires_at.unix_ms() - sent.accepted_at.unix_ms(), 24 * 3_600_000);
    let derived = kit_event::derived_id(&sent.id, "appointment");
    assert_eq!(id, derived.to_string());
}

#[tokio::test]
async fn a_refusal_is_409_under_the_units_own_name() {
    let desk = Desk::open().await;
    for (slug, status) in [
        ("slot-taken", 409),
        ("patient-unknown", 409),
        ("changed-meanwhile", 409),
        ("agent-failed", 409),
        ("idempotency-key-reused", 422),
        ("field-rules", 422),
    ] {
        desk.unit_is(Unit::Refuses(slug));
        let answer = book(&desk, &[("idempotency-key", slug)]).await;
        assert_eq!(answer.problem(), (status, slug));
        assert_eq!(answer.body["title"], "The unit said no");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!(answer.header("arteria-request").starts_with("hcu-0001."));
    }
}

#[tokio::test]
async fn a_record_in_the_address_that_the_unit_does_not_have_is_404() {
    let desk = Desk::open().await;
    desk.unit_is(Unit::Refuses("appointment-unknown"));
    let (path, key) = (format!("{PATH}/{OTHER}/cancel"), [("idempotency-key", "k")]);
    let answer = desk.call(Kind::Staff, "POST", &path, &key, None).await;
    assert_eq!(answer.problem(), (404, "appointment-unknown"));
    desk.unit_is(Unit::Refuses("patient-unknown"));
    let path = format!("/v1/units/{UNIT}/patients/{OTHER}");
    let city = Some(json!({"city": "Porto"}));
    let key = [("idempotency-key", "k2")];
    let answer = desk.call(Kind::Staff, "PATCH", &path, &key, city).await;
    assert_eq!(answer.problem(), (404, "patient-unknown"));
    assert_eq!(book(&desk, &[("idempotency-key", "b")]).await.problem(), (409, "patient-unknown"));
}

#[tokio::test]
async fn a_write_needs_one_readable_key() {
    let desk = Desk::open().await;
    assert_eq!(book(&desk, &[]).await.problem(), (400, "idempotency-key-missing"));
    let empty = book(&desk, &[("idempotency-key", "")]).await;
    assert_eq!(empty.problem(), (400, "idempotency-key-missing"));
    let long = "x".repeat(256);
    for bad in [long.as_str(), "a\tb"] {
        let answer = book(&desk, &[("idempotency-key", bad)]).await;
        assert_eq!(answer.problem(), (400, "idempotency-key-invalid"));
    }
    let twice = book(&desk, &[("idempotency-key", "a"), ("idempotency-key", "b")]).await;
    assert_eq!(twice.problem(), (400, "idempotency-key-invalid"));
    assert!(desk.published().is_empty());
}

#[tokio::test]
async fn a_retry_is_the_same_request_and_another_body_is_refused() {
    let desk = Desk::open().await;
    let first = book(&desk, &[("idempotency-key", "k")]).await;
    let again = book(&desk, &[("idempotency-key", "k")]).await;
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    assert_eq!(desk.published().len(), 1, "sent once");
    let mut other = booking();
    other["reason"] = json!("a cold");
    let answer =
        desk.call(Kind::Staff, "POST", PATH, &[("idempotency-key", "k")], Some(other)).await;
    assert_eq!(answer.problem(), (422, "idempotency-key-reused"));
    assert_eq!(desk.published().len(), 1);
    // Whatever order and spelling: the same instants are the same command.
    let mut spelt = booking();
    spelt["starts_at"] = json!("2026-03-02T10:00:00+01:00");
    spelt["modality"] = Value::Null;
    let answer =
        desk.call(Kind::Staff, "POST", PATH, &[("idempotency-key", "k")], Some(spelt)).await;
    assert_eq!(answer.status, 201);
    assert_eq!(desk.published().len(), 1);
}

#[tokio::test]
async fn a_key_belongs_to_who_used_it() {
    let desk = Desk::open().await;
    book(&desk, &[("idempotency-key", "k")]).await;
    let answer =
        desk.call(Kind::Patient, "POST", PATH, &[("idempotency-key", "k")], Some(booking())).await;
    assert_eq!(answer.status, 201);
    let ids: Vec<RequestId> = desk.published().iter().map(|sent| sent.id.clone()).collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn the_book_knows_a_key_that_this_gateway_has_forgotten() {
    let desk = Desk::open().await;
    desk.unit_is(Unit::Silent);
    let sent = book(&desk, &[("idempotency-key", "k"), ("prefer", "respond-async")]).await;
    assert_eq!(sent.status, 202);
    let request = desk.published()[0].clone();
    let mut entry = Entry::of(&request, "cluster/unit.requests/0".to_owned(), 0);
    let elsewhere = Desk::open().await;
    elsewhere.unit_is(Unit::Silent);
    elsewhere.book.entries.lock().unwrap().insert(entry.id.clone(), entry.clone());
    let key = [("idempotency-key", "k"), ("prefer", "wait=1")];
    // Open: waits without sending again; nothing comes.
    assert_eq!(book(&elsewhere, &key).await.status, 202);
    let mut other = booking();
    other["reason"] = json!("a cold");
    let answer = elsewhere.call(Kind::Staff, "POST", PATH, &key, Some(other)).await;
    assert_eq!(answer.problem(), (422, "idempotency-key-reused"));
    // The word comes into the read model while somebody waits.
    entry.take_word(&word(&request, Unit::Refuses("slot-taken")));
    let (book_of, id) = (elsewhere.book.clone(), entry.id.clone());
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        book_of.entries.lock().unwrap().insert(id, entry);
    });
    assert_eq!(book(&elsewhere, &key).await.problem(), (409, "slot-taken"));
    // Final: the stored outcome at once.
    assert_eq!(book(&elsewhere, &key).await.problem(), (409, "slot-taken"));
    assert!(elsewhere.published().is_empty(), "never sent again");
}

#[tokio::test]
async fn the_same_key_at_once_is_sent_once() {
    let desk = Desk::open().await;
    let key = [("idempotency-key", "k")];
    let (one, two) = tokio::join!(book(&desk, &key), book(&desk, &key));
    assert_eq!((one.status.as_u16(), two.status.as_u16()), (201, 201));
    assert_eq!(one.body, two.body);
    assert_eq!(desk.published().len(), 1);
}

#[tokio::test]
async fn online_only_needs_the_unit_now_and_sends_nothing_else() {
    let desk = Desk::open().await;
    let headers = [("idempotency-key", "a"), ("arteria-delivery", "online-only")];
    assert_eq!(book(&desk, &headers).await.status, 201);
    let sent = desk.published()[0].clone();
    assert_eq!(sent.expires_at.unix_ms() - sent.accepted_at.unix_ms(), 10_000);
    desk.cut_off(UNIT);
    let headers = [("idempotency-key", "b"), ("arteria-delivery", "online-only")];
    assert_eq!(book(&desk, &headers).await.problem(), (503, "unit-not-connected"));
    assert_eq!(desk.published().len(), 1, "nothing sent");
    // Its edge fell silent: after six seconds nobody is online there.
    desk.connect(UNIT);
    desk.clock.set(Timestamp::from_unix_ms(desk.clock.now().unix_ms() + 6_001));
    assert_eq!(book(&desk, &headers).await.problem(), (503, "unit-not-connected"));
    // Queued, the same request is taken.
    desk.unit_is(Unit::Silent);
    let headers = [("idempotency-key", "b"), ("prefer", "respond-async")];
    assert_eq!(book(&desk, &headers).await.status, 202);
}

#[tokio::test]
async fn headers_that_do_not_read_are_named() {
    let desk = Desk::open().await;
    for (name, value, field) in [
        ("arteria-expires", "0", "Arteria-Expires"),
        ("arteria-expires", "-5", "Arteria-Expires"),
        ("arteria-expires", "604801", "Arteria-Expires"),
        ("arteria-expires", "soon", "Arteria-Expires"),
        ("arteria-delivery", "pigeon", "Arteria-Delivery"),
    ] {
        let answer = book(&desk, &[("idempotency-key", "k"), (name, value)]).await;
        assert_eq!(answer.problem(), (422, "invalid-header"), "{name}: {value}");
        assert_eq!(answer.body["errors"][0]["field"], field);
    }
    let headers =
        [("idempotency-key", "k"), ("arteria-delivery", "online-only"), ("arteria-expires", "31")];
    assert_eq!(book(&desk, &headers).await.problem(), (422, "invalid-header"));
    let path = format!("{PATH}/{OTHER}/arrive");
    let headers = [("idempotency-key", "k"), ("if-match", "\"x\"")];
    let answer = desk.call(Kind::Staff, "POST", &path, &headers, None).await;
    assert_eq!(answer.problem(), (422, "invalid-header"));
    assert!(desk.published().is_empty());
}

#[tokio::test]
async fn a_full_queue_is_429_and_says_when_to_come_again() {
    let desk = Desk::open().await;
    desk.unit_is(Unit::Silent);
    *desk.book.open.lock().unwrap() = 8;
    for n in 0..2 {
        let key = format!("k{n}");
        let headers = [("idempotency-key", key.as_str()), ("prefer", "respond-async")];
        assert_eq!(book(&desk, &headers).await.status, 202, "{n}");
    }
    let headers = [("idempotency-key", "k2"), ("prefer", "respond-async")];
    let full = book(&desk, &headers).await;
    assert_eq!(full.problem(), (429, "unit-queue-full"));
    assert_eq!(full.header("retry-after"), "5");
    assert_eq!(desk.published().len(), 2);
    // A retry of what waits already is no new request.
    let headers = [("idempotency-key", "k1"), ("prefer", "respond-async")];
    assert_eq!(book(&desk, &headers).await.status, 202);
}

#[tokio::test]
async fn a_log_that_does_not_answer_is_503_and_the_key_stays_free() {
    let desk = Desk::open().await;
    desk.unit_is(Unit::LogAway);
    let answer = book(&desk, &[("idempotency-key", "k")]).await;
    assert_eq!(answer.problem(), (503, "unavailable"));
    desk.unit_is(Unit::Grants);
    assert_eq!(book(&desk, &[("idempotency-key", "k")]).await.status, 201);
}

#[tokio::test]
async fn fields_that_do_not_fit_are_422_and_named() {
    let desk = Desk::open().await;
    let cases: [(&str, Value, &str); 8] = [
        ("starts_at", json!("tomorrow at nine"), "starts_at"),
        ("starts_at", json!(7), "starts_at"),
        ("ends_at", json!("2026-03-02T08:00:00Z"), "ends_at"),
        ("patient_id", json!("someone"), "patient_id"),
        ("practitioner_id", Value::Null, "practitioner_id"),
        ("colour", json!("red"), "colour"),
        ("appointment_id", json!(OTHER), "appointment_id"),
        ("reason", json!("x".repeat(501)), "reason"),
    ];
    for (name, value, field) in cases {
        let mut body = booking();
        body[name] = value;
        let answer =
            desk.call(Kind::Staff, "POST", PATH, &[("idempotency-key", "k")], Some(body)).await;
        assert_eq!(answer.problem(), (422, "invalid-fields"), "{name}");
        assert_eq!(answer.body["errors"][0]["field"], field, "{}", answer.body);
    }
    assert!(desk.published().is_empty());
}

#[tokio::test]
async fn a_patch_names_what_it_touches_and_insists_where_asked() {
    let desk = Desk::open().await;
    let path = format!("/v1/units/{UNIT}/patients/{PATIENT}");
    let body = json!({"phone": null, "city": "Porto", "active": false});
    let headers = [("idempotency-key", "k"), ("if-match", "\"1-7\"")];
    let answer = desk.call(Kind::Staff, "PATCH", &path, &headers, Some(body)).await;
    assert_eq!(answer.status, 200);
    let sent = desk.published()[0].body.clone();
    let expected = json!({
        "patient_id": PATIENT, "if_match": "1-7", "fields": ["active", "city", "phone"],
        "city": "Porto", "active": false,
    });
    assert_eq!(sent, expected);
    for (body, field) in [
        (json!({}), ""),
        (json!({"fields": ["city"]}), "fields"),
        (json!({"patient_id": OTHER}), "patient_id"),
        (json!({"family_name": null}), "family_name"),
        (json!({"email": "nobody"}), "email"),
        (json!({"active": "no"}), "active"),
    ] {
        let key = [("idempotency-key", "k2")];
        let answer = desk.call(Kind::Staff, "PATCH", &path, &key, Some(body.clone())).await;
        assert_eq!(answer.problem(), (422, "invalid-fields"), "{body}");
        assert_eq!(answer.body["errors"][0]["field"], field, "{body}");
    }
    assert_eq!(desk.published().len(), 1);
}
