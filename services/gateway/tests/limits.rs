//! No caller takes all of a unit: open requests, rates and live queries are bounded for each.

mod desk;

use desk::{Answer, Desk, OTHER, PATIENT, UNIT, Unit};
use kit_token::Kind;
use serde_json::{Value, json};

const PATH: &str = "/v1/units/hcu-0001/appointments";

async fn book(desk: &Desk, kind: Kind, key: &str) -> Answer {
    let body = json!({
        "patient_id": PATIENT, "practitioner_id": OTHER,
        "starts_at": "2026-03-02T09:00:00Z", "ends_at": "2026-03-02T09:30:00Z",
    });
    let headers = [("idempotency-key", key), ("prefer", "respond-async")];
    desk.call(kind, "POST", PATH, &headers, Some(body)).await
}

#[tokio::test]
async fn one_patient_never_locks_a_unit_out() {
    let desk = Desk::open().await;
    desk.unit_is(Unit::Silent);
    // The unit of this desk holds 10 open requests; two of them are kept for its staff.
    let mut taken = 0;
    for n in 0..12 {
        let answer = book(&desk, Kind::Patient, &format!("p{n}")).await;
        match answer.status.as_u16() {
            202 => taken += 1,
            _ => assert_eq!(answer.problem(), (429, "unit-queue-full")),
        }
    }
    assert_eq!(taken, 8);
    assert_eq!(book(&desk, Kind::Staff, "s1").await.status, 202);
    assert_eq!(book(&desk, Kind::Staff, "s2").await.status, 202);
    assert_eq!(book(&desk, Kind::Staff, "s3").await.problem(), (429, "unit-queue-full"));
}

#[tokio::test]
async fn open_requests_of_one_patient_are_bounded_however_empty_the_unit_is() {
    let desk = Desk::open_with_queue(1_000).await;
    desk.unit_is(Unit::Silent);
    for n in 0..20 {
        assert_eq!(book(&desk, Kind::Patient, &format!("k{n}")).await.status, 202, "{n}");
    }
    let more = book(&desk, Kind::Patient, "k20").await;
    assert_eq!(more.problem(), (429, "too-many-requests"));
    assert_eq!(more.header("retry-after"), "5");
    assert_eq!(desk.published().len(), 20);
    // A retry of what waits already is no new request; nobody else is touched.
    assert_eq!(book(&desk, Kind::Patient, "k3").await.status, 202);
    for n in 0..30 {
        assert_eq!(book(&desk, Kind::Staff, &format!("s{n}")).await.status, 202, "{n}");
    }
}

#[tokio::test]
async fn a_patient_whose_requests_are_decided_at_once_still_meets_a_rate() {
    let desk = Desk::open().await;
    let mut granted = 0;
    for n in 0..40 {
        let answer = book(&desk, Kind::Patient, &format!("k{n}")).await;
        if answer.problem() == (429, "too-many-requests") {
            break;
        }
        granted += 1;
        tokio::task::yield_now().await;
    }
    assert!((30..40).contains(&granted), "{granted}");
}

#[tokio::test]
async fn cancels_are_one_control_for_each_request_and_have_a_rate() {
    let desk = Desk::open().await;
    desk.unit_is(Unit::Silent);
    let location = book(&desk, Kind::Patient, "k").await.header("location").to_owned();
    let mut refused = None;
    for _ in 0..40 {
        let answer = desk.call(Kind::Patient, "DELETE", &location, &[], None).await;
        if answer.status != 202 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a rate");
    assert_eq!(refused.problem(), (429, "too-many-requests"));
    let controls = desk.published().split_off(1);
    assert!(controls.len() <= 31, "{}", controls.len());
    assert!(controls.iter().all(|control| control.id == controls[0].id), "one id for one cancel");
    assert_ne!(controls[0].id, desk.published()[0].id);
}

#[tokio::test]
async fn live_queries_of_one_patient_leave_the_agents_places_free() {
    let desk = Desk::open().await;
    desk.unit_is(Unit::Silent);
    let range = "from=2026-03-02T08:00:00Z&to=2026-03-03T08:00:00Z";
    let path = format!("/v1/units/{UNIT}/slots?practitioner_id={OTHER}&{range}");
    let ask = |kind| {
        let (desk, path) = (&desk, &path);
        async move { desk.call(kind, "GET", path, &[("prefer", "wait=1")], None).await }
    };
    let all = futures_util::future::join_all((0..6).map(|_| ask(Kind::Patient))).await;
    let of = |status| all.iter().filter(|answer| answer.status == status).count();
    assert_eq!((of(504), of(429)), (4, 2));
    assert_eq!(desk.published().len(), 4);
    desk.unit_is(Unit::Grants);
    assert_eq!(ask(Kind::Patient).await.status, 200, "the places come back");
}

#[tokio::test]
async fn what_staff_asks_about_a_patient_is_not_the_patients_to_cancel() {
    let desk = Desk::open().await;
    desk.unit_is(Unit::Silent);
    let paths =
        [(PATH.to_owned(), "POST"), (format!("/v1/units/{UNIT}/patients/{PATIENT}"), "PATCH")];
    for (n, (path, method)) in paths.iter().enumerate() {
        let body: Value = match *method {
            "PATCH" => json!({"city": "Porto"}),
            _ => json!({
                "patient_id": PATIENT, "practitioner_id": OTHER,
                "starts_at": "2026-03-02T09:00:00Z", "ends_at": "2026-03-02T09:30:00Z",
            }),
        };
        let (key, before) = (format!("s{n}"), desk.published().len());
        let headers = [("idempotency-key", key.as_str()), ("prefer", "respond-async")];
        let asked = desk.call(Kind::Staff, method, path, &headers, Some(body)).await;
        let location = asked.header("location").to_owned();
        assert_eq!(desk.call(Kind::Patient, "GET", &location, &[], None).await.status, 200);
        let refused = desk.call(Kind::Patient, "DELETE", &location, &[], None).await;
        assert_eq!(refused.problem(), (404, "not-found"));
        assert_eq!(desk.published().len(), before + 1, "nothing was sent");
        assert_eq!(desk.call(Kind::Staff, "DELETE", &location, &[], None).await.status, 202);
    }
    let own = book(&desk, Kind::Patient, "mine").await.header("location").to_owned();
    assert_eq!(desk.call(Kind::Patient, "DELETE", &own, &[], None).await.status, 202);
}

#[tokio::test]
async fn a_patient_clears_no_debt() {
    let desk = Desk::open().await;
    for method in ["cash", "card", "transfer", "online"] {
        let body = json!({
            "invoice_id": OTHER, "amount_minor": 100, "currency": "EUR", "method": method,
        });
        let path = format!("/v1/units/{UNIT}/payments");
        let key = [("idempotency-key", method)];
        let answer = desk.call(Kind::Patient, "POST", &path, &key, Some(body)).await;
        assert_eq!(answer.problem(), (404, "not-found"), "{method}");
    }
    assert!(desk.published().is_empty());
}

#[tokio::test]
async fn reads_of_one_patient_that_wait_are_bounded_and_leave_others_alone() {
    let desk = Desk::open().await;
    desk.unit_is(Unit::Silent);
    let asked = book(&desk, Kind::Patient, "open").await.header("location").to_owned();
    let wait = |kind| {
        let (desk, asked) = (&desk, &asked);
        async move { desk.call(kind, "GET", asked, &[("prefer", "wait=1")], None).await }
    };
    let many = futures_util::future::join_all((0..20).map(|_| wait(Kind::Patient)));
    let (all, staff) = tokio::join!(many, wait(Kind::Staff));
    let of = |status| all.iter().filter(|answer| answer.status == status).count();
    assert_eq!((of(200), of(429)), (16, 4));
    let refused = all.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(refused.problem(), (429, "too-many-requests"));
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(staff.status, 200, "another caller has places of its own");
    assert_eq!(wait(Kind::Patient).await.status, 200, "the places come back");
}
