//! The clinic is away: waiting, cancel, expiry, online-only, and the way back.

use tests_e2e::{Net, eventually};

#[tokio::test]
async fn a_booking_made_while_the_clinic_was_away_loses_to_the_desk() {
    let net = Net::shared();
    let mut unit = net.unit("loses").await;
    let slot = unit.slots(1).await.remove(0);
    unit.cut_off().await;
    let wait = [("prefer", "respond-async")];
    let path = unit.path("appointments");
    let asked = unit.rest.post_with(&path, &wait, unit.booking(&slot)).await.expect(202);
    let location = asked.must("location");
    unit.desk_takes(&slot);
    unit.connect().await;
    let settled = unit.rest.settled(&location).await;
    assert_eq!(
        (settled.text("state"), settled.text("reason")),
        ("rejected".into(), "slot-taken".into())
    );
    assert_eq!(unit.rows_at(&slot).len(), 1);
}

#[tokio::test]
async fn a_booking_made_while_the_clinic_was_away_is_made_when_it_returns() {
    let net = Net::shared();
    let mut unit = net.unit("waits").await;
    let slot = unit.slots(1).await.remove(0);
    unit.cut_off().await;
    let wait = [("prefer", "respond-async")];
    let path = unit.path("appointments");
    let asked = unit.rest.post_with(&path, &wait, unit.booking(&slot)).await.expect(202);
    let location = asked.must("location");
    eventually("the waiting request", || async {
        let answer = unit.rest.get(&location).await;
        (answer.status == 200 && answer.body["state"] == "accepted").then_some(())
    })
    .await;
    unit.connect().await;
    let settled = unit.rest.settled(&location).await;
    assert_eq!(settled.text("state"), "done");
    assert_eq!(unit.rows_at(&slot).len(), 1);
}

#[tokio::test]
async fn a_waiting_booking_that_is_cancelled_is_never_made() {
    let net = Net::shared();
    let mut unit = net.unit("cancel").await;
    let slot = unit.slots(1).await.remove(0);
    unit.cut_off().await;
    let wait = [("prefer", "respond-async")];
    let path = unit.path("appointments");
    let asked = unit.rest.post_with(&path, &wait, unit.booking(&slot)).await.expect(202);
    let location = asked.must("location");
    unit.rest.delete(&location).await.expect(202);
    unit.connect().await;
    assert_eq!(unit.rest.settled(&location).await.text("state"), "cancelled");
    assert!(unit.rows_at(&slot).is_empty());
}

#[tokio::test]
async fn a_cancel_after_the_fact_is_too_late() {
    let net = Net::shared();
    let unit = net.unit("late").await;
    let slot = unit.slots(1).await.remove(0);
    let path = unit.path("appointments");
    let made = unit.rest.post(&path, unit.booking(&slot)).await.expect(201);
    let listed = unit.path("requests?state=done");
    let request = eventually("the request's fact", || async {
        unit.rest.get(&listed).await.expect(200).items().into_iter().next()
    })
    .await;
    let id = request["request_id"].as_str().unwrap();
    unit.rest.delete(&format!("/v1/requests/{id}")).await.expect_problem(409, "too-late");
    assert_eq!(unit.rows_at(&slot)[0]["status"], "booked");
    assert_eq!(made.body["status"], "booked");
}

#[tokio::test]
async fn a_deadline_that_passes_while_the_clinic_is_away_expires_the_request() {
    let net = Net::shared();
    let mut unit = net.unit("expires").await;
    let slot = unit.slots(1).await.remove(0);
    unit.cut_off().await;
    let headers = [("prefer", "respond-async"), ("arteria-expires", "1")];
    let path = unit.path("appointments");
    let asked = unit.rest.post_with(&path, &headers, unit.booking(&slot)).await.expect(202);
    let location = asked.must("location");
    // Past the deadline without the unit's word: unknown, not failed.
    eventually("the overdue state", || async {
        let answer = unit.rest.get(&location).await;
        (answer.status == 200 && answer.body["state"] == "overdue").then_some(())
    })
    .await;
    unit.connect().await;
    assert_eq!(unit.rest.settled(&location).await.text("state"), "expired");
    assert!(unit.rows_at(&slot).is_empty());
}

#[tokio::test]
async fn online_only_and_live_queries_fail_at_once_when_the_clinic_is_away() {
    let net = Net::shared();
    let mut unit = net.unit("online").await;
    let slot = unit.slots(1).await.remove(0);
    unit.cut_off().await;
    let headers = [("arteria-delivery", "online-only")];
    let path = unit.path("appointments");
    unit.rest
        .post_with(&path, &headers, unit.booking(&slot))
        .await
        .expect_problem(503, "unit-not-connected");
    let query = format!(
        "slots?practitioner_id={}&from={}&to={}",
        slot.practitioner_id, slot.starts_at, slot.ends_at
    );
    unit.rest.get(&unit.path(&query)).await.expect_problem(503, "unit-not-connected");
    // Nothing was sent: when the clinic is back, nothing is made.
    unit.connect().await;
    let after = unit.slots(1).await.remove(0);
    assert_eq!(after.starts_at, slot.starts_at);
    let read = unit.rest.get(&unit.path("patients?limit=1")).await.expect(200);
    assert_eq!(read.must("arteria-unit-online"), "true");
}

#[tokio::test]
async fn a_retry_while_the_clinic_is_away_stays_one_request() {
    let net = Net::shared();
    let mut unit = net.unit("again").await;
    let slot = unit.slots(1).await.remove(0);
    unit.cut_off().await;
    let headers = [("idempotency-key", "one-key"), ("prefer", "respond-async")];
    let path = unit.path("appointments");
    let first = unit.rest.post_with(&path, &headers, unit.booking(&slot)).await.expect(202);
    let second = unit.rest.post_with(&path, &headers, unit.booking(&slot)).await.expect(202);
    assert_eq!(first.must("location"), second.must("location"));
    unit.connect().await;
    assert_eq!(unit.rest.settled(&first.must("location")).await.text("state"), "done");
    assert_eq!(unit.rows_at(&slot).len(), 1);
}

#[tokio::test]
async fn what_the_desk_does_while_away_arrives_when_the_clinic_returns() {
    let net = Net::shared();
    let mut unit = net.unit("offline").await;
    unit.cut_off().await;
    let before = unit.rest.get(&unit.path("patients?limit=1")).await.expect(200);
    assert_eq!(before.must("arteria-unit-online"), "false");
    let id = unit.desk().register_patient(&practice::Patient::named("Off", "Line")).unwrap();
    unit.connect().await;
    unit.rest.record(&unit.path(&format!("patients/{id}"))).await;
    let far = [("arteria-min-seq", "1-99999999")];
    unit.rest
        .get_with(&unit.path(&format!("patients/{id}")), &far)
        .await
        .expect_problem(503, "read-model-behind");
}
