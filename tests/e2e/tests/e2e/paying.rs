//! Payments and refunds through REST: the unit alone decides, on its own rows.

use kit_token::Kind;
use practice::{Table, differences};
use serde_json::{Value, json};
use tests_e2e::{Answer, Net, Unit};
use uuid::Uuid;

use crate::billing::{balance, invoice, now, pay, payment, payments_of};

#[tokio::test]
async fn a_payment_goes_down_to_the_clinic_and_back() {
    let net = Net::shared();
    let unit = net.unit("pays").await;
    let id = invoice(&unit, 10_000);
    let mut body = payment(&id, 2_500);
    body["method"] = json!("card");
    body["reference"] = json!("receipt 17");
    let key = Uuid::new_v4().to_string();
    let headers = [("idempotency-key", key.as_str())];
    let path = unit.path("payments");
    let made = unit.rest.post_with(&path, &headers, body.clone()).await.expect(201);
    let location = made.must("location");
    assert!(location.ends_with(&made.text("payment_id")), "{location}");
    let seq = made.must("arteria-unit-seq");
    let read = unit.rest.get_with(&location, &[("arteria-min-seq", &seq)]).await.expect(200);
    assert_eq!(read.body, made.body);
    assert_eq!(read.must("etag"), made.must("etag"));

    let rows = payments_of(&unit, &id);
    assert_eq!(rows.len(), 1);
    assert_eq!(differences(Table::Payments, &rows[0], &made.body), Vec::<String>::new());
    assert_eq!((&rows[0]["amount_minor"], &rows[0]["method"]), (&json!(2_500), &json!("card")));
    balance(&unit.rest, &unit, &id, 7_500).await;

    let again = unit.rest.post_with(&path, &headers, body).await.expect(201);
    assert_eq!(again.body, made.body);
    assert_eq!(payments_of(&unit, &id).len(), 1, "a retry is the same payment");
}

#[tokio::test]
async fn no_payment_exceeds_the_balance_that_the_desk_has_just_left() {
    let net = Net::shared();
    let unit = net.unit("exceeds").await;
    let id = invoice(&unit, 10_000);
    // Nothing is waited for: the unit decides on its own rows, not on what REST shows.
    unit.desk().pay(&id, 9_000, "EUR", now()).unwrap();
    let refused = pay(&unit, &id, 1_001).await.expect_problem(409, "amount-exceeds-balance");
    assert!(refused.text("detail").contains("1000 EUR"), "{refused:?}");
    pay(&unit, &id, 1_000).await.expect(201);
    pay(&unit, &id, 1).await.expect_problem(409, "amount-exceeds-balance");
    assert_eq!(payments_of(&unit, &id).len(), 2);
    balance(&unit.rest, &unit, &id, 0).await;
}

#[tokio::test]
async fn of_two_payments_at_once_only_one_fits() {
    let net = Net::shared();
    let unit = net.unit("race").await;
    let id = invoice(&unit, 10_000);
    let tries = (0..6).map(|_| {
        let (rest, path, body) = (unit.rest.clone(), unit.path("payments"), payment(&id, 6_000));
        tokio::spawn(async move { rest.post(&path, body).await })
    });
    let mut statuses = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        let answer = one.await.unwrap();
        if answer.status != 201 {
            assert_eq!(answer.problem(), "amount-exceeds-balance", "{answer:?}");
        }
        statuses.push(answer.status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409]);
    assert_eq!(payments_of(&unit, &id).len(), 1);
    balance(&unit.rest, &unit, &id, 4_000).await;
}

#[tokio::test]
async fn only_what_is_owed_in_its_currency_is_paid() {
    let net = Net::shared();
    let unit = net.unit("owed").await;
    let desk = unit.desk();
    let voided = invoice(&unit, 5_000);
    desk.void(&voided).unwrap();
    pay(&unit, &voided, 1).await.expect_problem(409, "invoice-voided");
    let open = invoice(&unit, 5_000);
    let mut dollars = payment(&open, 1);
    dollars["currency"] = json!("USD");
    let refused = unit.rest.post(&unit.path("payments"), dollars).await;
    refused.expect_problem(409, "currency-mismatch");
    pay(&unit, &Uuid::new_v4(), 1).await.expect_problem(409, "invoice-unknown");
    desk.amend(Table::Invoices, &open, &[("total_minor", &"fifty")]).unwrap();
    pay(&unit, &open, 1).await.expect_problem(409, "balance-unknown");
    assert_eq!(payments_of(&unit, &open).len() + payments_of(&unit, &voided).len(), 0);
}

#[tokio::test]
async fn a_payment_is_given_back_once() {
    let net = Net::shared();
    let unit = net.unit("refund").await;
    let id = invoice(&unit, 8_000);
    let paid = unit.desk().pay(&id, 8_000, "EUR", now()).unwrap();
    unit.desk().void(&id).unwrap();
    let path = unit.path(&format!("payments/{paid}/refund"));
    let part = unit.rest.post(&path, json!({"amount_minor": 3_000})).await.expect(201);
    assert_eq!(part.body["amount_minor"], -3_000);
    balance(&unit.rest, &unit, &id, -5_000).await;
    let over = unit.rest.post(&path, json!({"amount_minor": 5_001})).await;
    over.expect_problem(409, "refund-exceeds-payment");
    let rest = unit.rest.post(&path, json!({})).await.expect(201);
    assert_eq!(rest.body["amount_minor"], -5_000);
    unit.rest.post(&path, json!({})).await.expect_problem(409, "refund-exceeds-payment");
    balance(&unit.rest, &unit, &id, 0).await;
    let amounts: Vec<Value> =
        payments_of(&unit, &id).iter().map(|row| row["amount_minor"].clone()).collect();
    assert_eq!(amounts.len(), 3);

    let own = format!("payments/{}/refund", part.text("payment_id"));
    let twice = unit.rest.post(&unit.path(&own), json!({})).await;
    twice.expect_problem(409, "payment-not-refundable");
    let unknown = unit.path(&format!("payments/{}/refund", Uuid::new_v4()));
    unit.rest.post(&unknown, json!({})).await.expect_problem(404, "payment-unknown");
    for (body, field) in [
        (json!({"amount_minor": 0}), "amount_minor"),
        (json!({"amount_minor": -5}), "amount_minor"),
        (json!({"payment_id": paid}), "payment_id"),
        (json!({"why": "no"}), "why"),
    ] {
        let answer = unit.rest.post(&path, body).await.expect_problem(422, "invalid-fields");
        assert!(answer.body.to_string().contains(field), "{answer:?}");
    }
}

#[tokio::test]
async fn an_invoice_that_moves_to_another_patient_takes_its_payments_along() {
    let net = Net::shared();
    let unit = net.unit("moves").await;
    let id = invoice(&unit, 9_000);
    let paid = pay(&unit, &id, 4_000).await.expect(201);
    let before = balance(&unit.rest, &unit, &id, 5_000).await.text("patient_id");
    let unit_has = |patient: &Uuid| patient.to_string() != before;
    let all = unit.desk().rows(Table::Patients).unwrap();
    let ids = all.iter().filter_map(|row| row["patient_id"].as_str()?.parse::<Uuid>().ok());
    let after = ids.into_iter().find(unit_has).unwrap();
    unit.desk().amend(Table::Invoices, &id, &[("patient_id", &after.to_string())]).unwrap();
    let own = |id: Uuid| net.rest(Kind::Patient, std::slice::from_ref(&unit.id), Some(id));
    let (old, new) = (own(before.parse().unwrap()), own(after));
    let statement = new.record(&unit.path(&format!("invoices/{id}"))).await;
    assert_eq!(statement.body["payments"][0]["patient_id"], after.to_string());
    assert!(!statement.body.to_string().contains(&before), "whose it was is nobody's business now");
    let at = unit.path(&format!("payments/{}", paid.text("payment_id")));
    assert_eq!(new.get(&at).await.expect(200).text("patient_id"), after.to_string());
    old.get(&at).await.expect(404);
}

#[tokio::test]
async fn an_amount_that_stands_twice_is_not_paid() {
    let net = Net::shared();
    let unit = net.unit("twice").await;
    let id = invoice(&unit, 10_000);
    let body = format!(
        r#"{{"invoice_id": "{id}", "currency": "EUR", "amount_minor": 1, "amount_minor": 777}}"#
    );
    let refused = raw(&unit, &body).await.expect_problem(422, "invalid-fields");
    assert_eq!(refused.body["errors"][0]["field"], "amount_minor", "{refused:?}");
    assert_eq!(payments_of(&unit, &id).len(), 0);
}

#[tokio::test]
async fn amounts_that_are_none_are_told_where() {
    let net = Net::shared();
    let unit = net.unit("amounts").await;
    let id = invoice(&unit, 10_000);
    let with = |amount: &str| {
        format!(r#"{{"invoice_id": "{id}", "currency": "EUR", "amount_minor": {amount}}}"#)
    };
    for (amount, status) in [
        ("0", 422),
        ("-1", 422),
        ("1.5", 422),
        ("100.0", 422),
        ("\"100\"", 422),
        ("null", 422),
        ("[100]", 422),
        ("1e30", 422),
        ("1000000000000001", 422),
        ("9223372036854775807", 422),
        ("9223372036854775808", 422),
        ("123456789012345678901234567890", 422),
        ("NaN", 400),
        ("0x10", 400),
        ("010", 400),
    ] {
        let answer = raw(&unit, &with(amount)).await.expect(status);
        let told = answer.body.to_string();
        assert!(told.contains("amount_minor") || told.contains("line 1"), "{amount}: {answer:?}");
    }
    for (field, value) in [
        ("currency", json!("euro")),
        ("currency", json!(978)),
        ("invoice_id", json!("17")),
        ("method", json!("by pigeon!")),
        ("reference", json!("x".repeat(141))),
        ("colour", json!("red")),
        ("payment_id", json!(Uuid::new_v4())),
        ("patient_id", json!(unit.some_patient())),
    ] {
        let mut body = payment(&id, 100);
        body[field] = value;
        let answer = raw(&unit, &body.to_string()).await.expect_problem(422, "invalid-fields");
        assert!(answer.body.to_string().contains(field), "{field}: {answer:?}");
    }
    raw(&unit, "{}").await.expect_problem(422, "invalid-fields");
    raw(&unit, "[]").await.expect_problem(422, "invalid-fields");
    let huge = format!(r#"{{"reference": "{}"}}"#, "x".repeat(1 << 20));
    raw(&unit, &huge).await.expect(413);
    for query in ["patient_id=me", "appointment_id=%00", "limit=0", "cursor=x", "status=open"] {
        let answer = unit.rest.get(&unit.path(&format!("invoices?{query}"))).await;
        assert!([400, 422].contains(&answer.status), "{query}: {answer:?}");
    }
    unit.rest.get(&unit.path("invoices/17")).await.expect(404);
    unit.rest.get(&unit.path(&format!("invoices/{}", Uuid::new_v4()))).await.expect(404);
    assert_eq!(payments_of(&unit, &id), Vec::<practice::Row>::new());
}

async fn raw(unit: &Unit, body: &str) -> Answer {
    let key = Uuid::new_v4().to_string();
    let headers = [("idempotency-key", key.as_str()), ("content-type", "application/json")];
    let path = unit.path("payments");
    unit.rest.send(reqwest::Method::POST, &path, &headers, Some(body.to_owned())).await
}
