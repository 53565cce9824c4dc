//! Bad input gets a clear error that names what is wrong and where, and nothing is half done.

use reqwest::Method;
use serde_json::json;
use tests_e2e::{Net, Unit, eventually};
use uuid::Uuid;

async fn raw(unit: &Unit, content_type: &str, body: &str) -> tests_e2e::Answer {
    let key = Uuid::new_v4().to_string();
    let headers = [("idempotency-key", key.as_str()), ("content-type", content_type)];
    unit.rest.send(Method::POST, &unit.path("patients"), &headers, Some(body.to_owned())).await
}

#[tokio::test]
async fn a_body_that_is_wrong_is_told_where() {
    let net = Net::shared();
    let unit = net.unit("bodies").await;
    let before = unit.desk().count(practice::Table::Patients).unwrap();
    let json = "application/json";
    let malformed = raw(&unit, json, r#"{"family_name": "X""#).await.expect(400);
    assert!(malformed.text("detail").contains("line 1"), "{malformed:?}");
    for (body, field) in [
        (r#"{"family_name": 7, "birth_date": "1990-01-01"}"#, "family_name"),
        (r#"{"family_name": "X", "birth_date": "01/02/1990"}"#, "birth_date"),
        (r#"{"family_name": "X", "birth_date": "1990-01-01", "colour": "red"}"#, "colour"),
        (r#"{"family_name": "", "birth_date": "1990-01-01"}"#, "family_name"),
        (r#"{"family_name": "X", "birth_date": "1990-01-01", "sex": "yes"}"#, "sex"),
    ] {
        let answer = raw(&unit, json, body).await;
        assert!([400, 422].contains(&answer.status), "{answer:?}");
        assert!(answer.body.to_string().contains(field), "{field}: {answer:?}");
    }
    let huge = format!(r#"{{"family_name": "{}"}}"#, "x".repeat(2 << 20));
    raw(&unit, json, &huge).await.expect(413);
    raw(&unit, "text/plain", "family_name=X").await.expect(415);
    assert_eq!(unit.desk().count(practice::Table::Patients).unwrap(), before);
}

#[tokio::test]
async fn headers_and_parameters_that_are_wrong_are_named() {
    let net = Net::shared();
    let unit = net.unit("headers").await;
    let body = json!({"family_name": "X", "birth_date": "1990-01-01"});
    let path = unit.path("patients");
    let plain = [("content-type", "application/json")];
    let without = unit.rest.send(Method::POST, &path, &plain, Some(body.to_string())).await;
    without.expect_problem(400, "idempotency-key-missing");
    for (name, value) in [
        ("arteria-expires", "0"),
        ("arteria-expires", "-5"),
        ("arteria-expires", "soon"),
        ("arteria-expires", "99999999"),
        ("arteria-delivery", "pigeon"),
        ("prefer", "wait=forever"),
    ] {
        let answer = unit.rest.post_with(&path, &[(name, value)], body.clone()).await;
        if name == "prefer" {
            // RFC 7240: a preference that is not understood is passed over.
            assert!(answer.status < 500, "{answer:?}");
            continue;
        }
        assert!([400, 422].contains(&answer.status), "{name}: {value}: {answer:?}");
        assert!(answer.body.to_string().to_lowercase().contains(name), "{answer:?}");
    }
    for query in ["limit=0", "limit=many", "cursor=%00", "name=%ff", "birth_date=yesterday"] {
        let answer = unit.rest.get(&unit.path(&format!("patients?{query}"))).await;
        assert!([400, 422].contains(&answer.status), "{query}: {answer:?}");
        let name = query.split('=').next().unwrap();
        assert!(answer.body.to_string().contains(name), "{query}: {answer:?}");
    }
    // A page is as long as pages get, whatever is asked for.
    let page = unit.rest.get(&unit.path("patients?limit=100000")).await.expect(200);
    assert!(page.items().len() <= 200);
    let nul = unit.rest.get(&unit.path("events?type=%00")).await;
    nul.expect_problem(400, "invalid-parameter");
    unit.rest.get(&unit.path("patients/not-a-uuid")).await.expect(404);
    unit.rest.get(&unit.path("patients/%ff")).await.expect_problem(404, "not-found");
    unit.rest.get("/problems/%ff").await.expect_problem(404, "not-found");
    unit.rest.get(&unit.path(&format!("patients/{}", Uuid::new_v4()))).await.expect(404);
}

#[tokio::test]
async fn a_name_of_a_field_or_parameter_that_may_be_a_persons_is_not_repeated() {
    let net = Net::shared();
    let unit = net.unit("names").await;
    let body = r#"{"family_name": "X", "birth_date": "1990-01-01", "Björk Ólafsdóttir": 1}"#;
    let refused = raw(&unit, "application/json", body).await;
    let refused = refused.expect_problem(422, "invalid-fields");
    assert!(refused.body.to_string().contains("member 3"), "{refused:?}");
    assert!(!refused.body.to_string().contains("Björk"), "{refused:?}");
    let refused = unit.rest.get(&unit.path("patients?Bj%C3%B6rk=1")).await;
    let refused = refused.expect_problem(400, "invalid-parameter");
    assert!(!refused.body.to_string().contains("Björk"), "{refused:?}");
}

#[tokio::test]
async fn a_clinic_database_locked_by_another_program_loses_nothing() {
    let net = Net::shared();
    let unit = net.unit("locked").await;
    let slot = unit.slots(1).await.remove(0);
    let path = unit.clinic_db();
    let (locked, is_locked) = std::sync::mpsc::channel();
    let holder = std::thread::spawn(move || {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
        locked.send(()).unwrap();
        std::thread::sleep(std::time::Duration::from_secs(30));
        connection.execute_batch("COMMIT").unwrap();
    });
    is_locked.recv().unwrap();
    let wait = [("prefer", "respond-async")];
    let at = unit.path("appointments");
    let asked = unit.rest.post_with(&at, &wait, unit.some_booking_body(&slot)).await.expect(202);
    // Other units go on.
    let other = net.unit("unlocked").await;
    let theirs = other.slots(1).await.remove(0);
    other.rest.post(&other.path("appointments"), other.booking(&theirs)).await.expect(201);
    holder.join().unwrap();
    let settled = unit.rest.settled(&asked.must("location")).await;
    assert_eq!(settled.text("state"), "done", "{settled:?}");
    assert_eq!(unit.rows_at(&slot).len(), 1);
}

#[tokio::test]
async fn a_full_queue_of_a_unit_refuses_more() {
    let net = Net::own_with("queue", &[("ARTERIA_UNIT_QUEUE_MAX", "3")]).await;
    let mut unit = net.unit("full").await;
    let slots = unit.slots(6).await;
    unit.cut_off().await;
    let wait = [("prefer", "respond-async")];
    let path = unit.path("appointments");
    let refused = eventually("a refusal", || async {
        for slot in &slots {
            let answer = unit.rest.post_with(&path, &wait, unit.booking(slot)).await;
            if answer.status != 202 {
                return Some(answer);
            }
        }
        None
    })
    .await;
    assert!(refused.header("retry-after").is_some());
    refused.expect_problem(429, "unit-queue-full");
}
