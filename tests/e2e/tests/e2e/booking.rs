//! A booking goes down to the clinic and back.

use serde_json::{Value, json};
use tests_e2e::{Net, eventually};
use uuid::Uuid;

#[tokio::test]
async fn a_booking_is_made_in_the_clinic_and_read_back() {
    let net = Net::shared();
    let unit = net.unit("booking").await;
    let slot = unit.slots(1).await.remove(0);
    let made = unit.rest.post(&unit.path("appointments"), unit.booking(&slot)).await.expect(201);
    let id = made.text("appointment_id");
    assert_eq!(made.body["status"], "booked");
    assert_eq!(made.body["starts_at"], slot.starts_at.as_str());

    let rows = unit.rows_at(&slot);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["appointment_id"], id.as_str());
    let seq = made.must("arteria-unit-seq");
    let path = unit.path(&format!("appointments/{id}"));
    let read = unit.rest.get_with(&path, &[("arteria-min-seq", &seq)]).await.expect(200);
    assert_eq!(read.body, made.body);
    assert_eq!(read.must("etag"), made.must("etag"));

    let listed = unit
        .rest
        .get(&unit.path(&format!("appointments?practitioner_id={}", slot.practitioner_id)))
        .await
        .expect(200);
    assert!(
        listed.items().iter().any(|item| item["appointment_id"] == id.as_str())
            || listed.body["next"].is_string()
    );
}

#[tokio::test]
async fn an_appointment_lives_by_its_statuses() {
    let net = Net::shared();
    let unit = net.unit("life").await;
    let slots = unit.slots(3).await;
    let book = |n: usize| {
        let (rest, path, body) =
            (unit.rest.clone(), unit.path("appointments"), unit.booking(&slots[n]));
        async move { rest.post(&path, body).await.expect(201).text("appointment_id") }
    };
    let act = |id: &str, what: &str, body: Value| {
        let (rest, path) = (unit.rest.clone(), unit.path(&format!("appointments/{id}/{what}")));
        async move { rest.post(&path, body).await }
    };
    let kept = book(0).await;
    assert_eq!(act(&kept, "arrive", json!({})).await.expect(200).body["status"], "arrived");
    assert_eq!(act(&kept, "fulfil", json!({})).await.expect(200).body["status"], "fulfilled");
    act(&kept, "cancel", json!({})).await.expect_problem(409, "appointment-status");

    let missed = book(1).await;
    assert_eq!(act(&missed, "noshow", json!({})).await.expect(200).body["status"], "noshow");

    // Moved to the third slot, the second is free again (its no-show does not hold it).
    let moved = unit.rest.post(&unit.path("appointments"), unit.booking(&slots[1])).await;
    let moved = moved.expect(201).text("appointment_id");
    let to = json!({"starts_at": slots[2].starts_at, "ends_at": slots[2].ends_at});
    let answer = act(&moved, "reschedule", to).await.expect(200);
    assert_eq!(answer.body["starts_at"], slots[2].starts_at.as_str());
    assert_eq!(act(&moved, "cancel", json!({})).await.expect(200).body["status"], "cancelled");
    assert_eq!(unit.rows_at(&slots[2]).len(), 1);
    act(&Uuid::new_v4().to_string(), "cancel", json!({}))
        .await
        .expect_problem(404, "appointment-unknown");
    // What the path names is not there: 404. What the body names is the unit's rejection: 409.
    let mut nobody = unit.booking(&slots[2]);
    nobody["patient_id"] = json!(Uuid::new_v4());
    unit.rest.post(&unit.path("appointments"), nobody).await.expect_problem(409, "patient-unknown");
}

#[tokio::test]
async fn the_desk_a_moment_ago_wins_the_slot() {
    let net = Net::shared();
    let unit = net.unit("race").await;
    let slot = unit.slots(1).await.remove(0);
    unit.desk_takes(&slot);
    unit.rest
        .post(&unit.path("appointments"), unit.booking(&slot))
        .await
        .expect_problem(409, "slot-taken");
    assert_eq!(unit.rows_at(&slot).len(), 1);
}

#[tokio::test]
async fn two_apps_racing_for_a_slot_give_one_appointment() {
    let net = Net::shared();
    let unit = net.unit("two").await;
    let slot = unit.slots(1).await.remove(0);
    let path = unit.path("appointments");
    let racers = (0..6).map(|_| {
        let (rest, path, body) = (unit.rest.clone(), path.clone(), unit.booking(&slot));
        tokio::spawn(async move { rest.post(&path, body).await.status })
    });
    let mut statuses = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        statuses.push(racer.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409]);
    assert_eq!(unit.rows_at(&slot).len(), 1);
}

#[tokio::test]
async fn outside_working_hours_or_in_the_past_nothing_is_booked() {
    let net = Net::shared();
    let unit = net.unit("hours").await;
    let slot = unit.slots(1).await.remove(0);
    let mut night = unit.booking(&slot);
    night["starts_at"] = json!(format!("{}T03:00:00Z", &slot.starts_at[..10]));
    night["ends_at"] = json!(format!("{}T03:15:00Z", &slot.starts_at[..10]));
    let path = unit.path("appointments");
    unit.rest.post(&path, night).await.expect_problem(409, "outside-working-hours");
    let mut past = unit.booking(&slot);
    past["starts_at"] = json!("2020-01-06T10:00:00Z");
    past["ends_at"] = json!("2020-01-06T10:15:00Z");
    unit.rest.post(&path, past).await.expect_problem(409, "in-the-past");
}

#[tokio::test]
async fn a_retry_is_the_same_request() {
    let net = Net::shared();
    let unit = net.unit("retry").await;
    let slots = unit.slots(2).await;
    let key = Uuid::new_v4().to_string();
    let headers = [("idempotency-key", key.as_str())];
    let path = unit.path("appointments");
    let first = unit.rest.post_with(&path, &headers, unit.booking(&slots[0])).await.expect(201);
    let again = unit.rest.post_with(&path, &headers, unit.booking(&slots[0])).await.expect(201);
    assert_eq!(again.body, first.body);
    assert_eq!(unit.rows_at(&slots[0]).len(), 1);
    unit.rest
        .post_with(&path, &headers, unit.booking(&slots[1]))
        .await
        .expect_problem(422, "idempotency-key-reused");
    assert_eq!(unit.rows_at(&slots[1]).len(), 0);
}

#[tokio::test]
async fn the_same_key_many_times_at_once_has_one_effect() {
    let net = Net::shared();
    let unit = net.unit("atonce").await;
    let slot = unit.slots(1).await.remove(0);
    let key = Uuid::new_v4().to_string();
    let path = unit.path("appointments");
    let tries = (0..8).map(|_| {
        let (rest, path, body) = (unit.rest.clone(), path.clone(), unit.booking(&slot));
        let key = key.clone();
        tokio::spawn(async move {
            rest.post_with(&path, &[("idempotency-key", &key)], body).await.expect(201)
        })
    });
    let mut bodies = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        bodies.push(one.await.unwrap().body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    assert_eq!(unit.rows_at(&slot).len(), 1);
}

#[tokio::test]
async fn a_patient_is_registered_and_changed_through_rest() {
    let net = Net::shared();
    let unit = net.unit("patient").await;
    let mrn = format!("M-{}", Uuid::new_v4().simple());
    let body = json!({
        "mrn": mrn, "family_name": "Núñez", "given_name": "Aurora",
        "birth_date": "1984-02-29", "sex": "female", "phone": "+34 600 000 000"
    });
    let path = unit.path("patients");
    let made = unit.rest.post(&path, body.clone()).await.expect(201);
    let id = made.text("patient_id");
    unit.rest.post(&path, body).await.expect_problem(409, "duplicate-mrn");

    let path = unit.path(&format!("patients/{id}"));
    let seq = made.must("arteria-unit-seq");
    let read = unit.rest.get_with(&path, &[("arteria-min-seq", &seq)]).await.expect(200);
    assert_eq!(read.body, made.body);

    let etag = read.must("etag");
    let change = json!({"phone": "+34 611 111 111"});
    let changed = unit.rest.patch(&path, &[("if-match", &etag)], change).await.expect(200);
    assert_eq!(changed.body["phone"], "+34 611 111 111");
    assert_eq!(changed.body["family_name"], "Núñez");
    unit.rest
        .patch(&path, &[("if-match", &etag)], json!({"phone": "+34 622 222 222"}))
        .await
        .expect_problem(409, "changed-meanwhile");
    let emptied = unit.rest.patch(&path, &[], json!({"phone": null})).await.expect(200);
    assert_eq!(emptied.body["phone"], Value::Null);
    let off = unit.rest.patch(&path, &[], json!({"active": false})).await.expect(200);
    assert_eq!(off.body["active"], false);

    // The desk's row says the same.
    let row = unit.desk().row(practice::Table::Patients, &id.parse().unwrap()).unwrap().unwrap();
    assert_eq!(row.get("phone").unwrap_or(&Value::Null), &Value::Null);
    let location = format!("/v1/units/{}/requests?state=done", unit.id);
    eventually("the requests' facts", || async {
        let done = unit.rest.get(&location).await.expect(200).items();
        (done.len() == 4).then_some(())
    })
    .await;
}
