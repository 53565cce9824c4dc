//! Money as the desk writes it: billed, paid, taken back, and typed oddly, it is told at REST.

use kit_clock::Clock;
use kit_event::Timestamp;
use kit_token::Kind;
use practice::{Patient, Table, differences};
use serde_json::{Value, json};
use tests_e2e::{Answer, Net, Rest, Unit, eventually};
use uuid::Uuid;

pub(crate) fn now() -> Timestamp {
    Clock::system().now()
}

/// An invoice of some patient, written by the desk.
pub(crate) fn invoice(unit: &Unit, total_minor: i64) -> Uuid {
    unit.desk().issue_invoice(&unit.some_patient(), None, total_minor, "EUR", now()).unwrap()
}

pub(crate) fn payment(invoice: &Uuid, amount_minor: i64) -> Value {
    json!({"invoice_id": invoice, "amount_minor": amount_minor, "currency": "EUR"})
}

pub(crate) async fn pay(unit: &Unit, invoice: &Uuid, amount_minor: i64) -> Answer {
    unit.rest.post(&unit.path("payments"), payment(invoice, amount_minor)).await
}

/// The statement, once its balance is this.
pub(crate) async fn balance(rest: &Rest, unit: &Unit, invoice: &Uuid, minor: i64) -> Answer {
    let path = unit.path(&format!("invoices/{invoice}"));
    eventually(&format!("a balance of {minor}"), || async {
        let answer = rest.get(&path).await;
        (answer.body["balance_minor"] == minor).then_some(answer)
    })
    .await
}

pub(crate) fn payments_of(unit: &Unit, invoice: &Uuid) -> Vec<practice::Row> {
    let id = invoice.to_string();
    unit.desk().rows_where(Table::Payments, "invoice_id = ?1", &[&id]).unwrap()
}

#[tokio::test]
async fn what_the_desk_bills_and_takes_is_owed_and_paid_at_rest() {
    let net = Net::shared();
    let unit = net.unit("till").await;
    let desk = unit.desk();
    let (patient, appointment) = (unit.some_patient(), Uuid::new_v4());
    let id = desk.issue_invoice(&patient, Some(&appointment), 4_500, "EUR", now()).unwrap();
    let shown = balance(&unit.rest, &unit, &id, 4_500).await;
    let row = desk.row(Table::Invoices, &id).unwrap().unwrap();
    assert_eq!(differences(Table::Invoices, &row, &shown.body), Vec::<String>::new());
    assert_eq!((&shown.body["paid_minor"], &shown.body["payments"]), (&json!(0), &json!([])));

    let paid = desk.pay(&id, 1_500, "eur", now()).unwrap();
    let shown = balance(&unit.rest, &unit, &id, 3_000).await;
    let row = desk.row(Table::Payments, &paid).unwrap().unwrap();
    let listed = &shown.body["payments"].as_array().unwrap()[0];
    assert_eq!(differences(Table::Payments, &row, listed), Vec::<String>::new());
    // A payment names no patient in the practice; its invoice does.
    assert_eq!(listed["patient_id"], patient.to_string().as_str());
    let alone = unit.rest.get(&unit.path(&format!("payments/{paid}"))).await.expect(200);
    assert_eq!(&alone.body, listed);

    desk.pay(&id, -500, "EUR", now()).unwrap();
    balance(&unit.rest, &unit, &id, 3_500).await;
    desk.delete(Table::Payments, &paid).unwrap();
    balance(&unit.rest, &unit, &id, 5_000).await;
    for query in [format!("patient_id={patient}"), format!("appointment_id={appointment}")] {
        let path = unit.path(&format!("invoices?limit=200&{query}"));
        let items = unit.rest.get(&path).await.expect(200).items();
        let item = items.iter().find(|item| item["invoice_id"] == id.to_string().as_str());
        assert_eq!(item.unwrap()["balance_minor"], 5_000, "{query}");
        assert!(item.unwrap().get("payments").is_none(), "a list is short");
    }
    desk.void(&id).unwrap();
    let voided = balance(&unit.rest, &unit, &id, 500).await;
    assert_eq!(
        (&voided.body["status"], &voided.body["paid_minor"]),
        (&json!("voided"), &json!(-500))
    );
}

#[tokio::test]
async fn rows_that_nobody_expects_are_facts_and_are_told_beside_the_balance() {
    let net = Net::shared();
    let unit = net.unit("odd").await;
    let desk = unit.desk();
    let id = invoice(&unit, 10_000);
    desk.pay(&id, 2_000, "EUR", now()).unwrap();
    desk.pay(&id, 700, "USD", now()).unwrap();
    desk.pay(&id, 50, "€", now()).unwrap();
    let typed = desk.pay(&id, 1, "EUR", now()).unwrap();
    desk.amend(Table::Payments, &typed, &[("amount_minor", &"zwölf Euro")]).unwrap();
    let half = desk.pay(&id, 1, "EUR", now()).unwrap();
    desk.amend(Table::Payments, &half, &[("amount_minor", &12.5)]).unwrap();
    let shown = eventually("every odd payment", || async {
        let answer = unit.rest.get(&unit.path(&format!("invoices/{id}"))).await;
        let payments = answer.body["payments"].as_array()?;
        let is_raw = |payment: &&Value| payment.get("amount_minor_raw").is_some();
        (payments.iter().filter(is_raw).count() == 2).then_some(answer)
    })
    .await;
    assert_eq!(
        (&shown.body["balance_minor"], &shown.body["paid_minor"]),
        (&json!(8_000), &json!(2_000))
    );
    let expected = json!([
        {"reason": "other-currency", "count": 1, "currency": "USD", "sum_minor": 700},
        {"reason": "currency-unreadable", "count": 1},
        {"reason": "amount-unreadable", "count": 2},
    ]);
    assert_eq!(shown.body["not_counted"], expected);
    for (of, raw) in [(typed, "zwölf Euro"), (half, "12.5")] {
        let read = unit.rest.get(&unit.path(&format!("payments/{of}"))).await.expect(200);
        assert_eq!(read.body["amount_minor_raw"], raw);
        let row = desk.row(Table::Payments, &of).unwrap().unwrap();
        assert_eq!(differences(Table::Payments, &row, &read.body), Vec::<String>::new());
    }
    let pay = json!({"invoice_id": id, "amount_minor": 8_000, "currency": "EUR", "method": "card"});
    let twice = unit.rest.post(&unit.path("payments"), pay).await;
    twice.expect_problem(409, "balance-unknown");
    // A payment of no invoice is a fact, and nobody's.
    let lost = desk.pay(&Uuid::new_v4(), 300, "EUR", now()).unwrap();
    let read = unit.rest.record(&unit.path(&format!("payments/{lost}"))).await;
    assert_eq!((&read.body["amount_minor"], read.body.get("patient_id")), (&json!(300), None));
    desk.amend(Table::Invoices, &id, &[("total_minor", &"hundred")]).unwrap();
    let untold = eventually("an invoice that does not add up", || async {
        let answer = unit.rest.get(&unit.path(&format!("invoices/{id}"))).await;
        answer.body.get("balance_missing").is_some().then_some(answer)
    })
    .await;
    assert_eq!(untold.body["balance_missing"], "total");
    assert_eq!(untold.body["total_minor_raw"], "hundred");
    assert_eq!(
        (untold.body.get("balance_minor"), &untold.body["paid_minor"]),
        (None, &json!(2_000))
    );
    no_placeholder(&unit).await;
}

/// Odd as they are, none of the bodies was refused by its schema on the way.
async fn no_placeholder(unit: &Unit) {
    let path = unit.path("events?type=units.fact_withheld&limit=5");
    assert_eq!(unit.rest.get(&path).await.expect(200).items(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_patient_sees_their_own_invoices_only_and_clears_no_debt() {
    let net = Net::shared();
    let unit = net.unit("ownbill").await;
    let desk = unit.desk();
    let of = |name: &str| {
        let patient = desk.register_patient(&Patient::named(name, "Payer")).unwrap();
        (patient, desk.issue_invoice(&patient, None, 6_000, "EUR", now()).unwrap())
    };
    let ((mine, own), (_, foreign)) = (of("Ana"), of("Rui"));
    let theirs = desk.pay(&foreign, 100, "EUR", now()).unwrap();
    let nobodys = desk.pay(&Uuid::new_v4(), 100, "EUR", now()).unwrap();
    let me = net.rest(Kind::Patient, std::slice::from_ref(&unit.id), Some(mine));
    // That money came is for the unit's staff to say, whatever the method is said to be.
    for method in ["cash", "card", "transfer"] {
        let mut body = payment(&own, 1_000);
        body["method"] = json!(method);
        me.post(&unit.path("payments"), body).await.expect_problem(404, "not-found");
    }
    let made = unit.rest.post(&unit.path("payments"), payment(&own, 1_000)).await.expect(201);
    assert_eq!(made.body["patient_id"], mine.to_string().as_str());
    balance(&me, &unit, &own, 5_000).await;
    balance(&unit.rest, &unit, &foreign, 5_900).await;

    let paid = made.text("payment_id");
    me.get(&unit.path(&format!("payments/{paid}"))).await.expect(200);
    for path in [
        format!("invoices/{foreign}"),
        format!("payments/{theirs}"),
        format!("payments/{nobodys}"),
        format!("invoices?patient_id={}", unit.some_patient()),
    ] {
        me.get(&unit.path(&path)).await.expect_problem(404, "not-found");
    }
    let listed = me.get(&unit.path("invoices")).await.expect(200).items();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["invoice_id"], own.to_string().as_str());
    me.post(&unit.path("payments"), payment(&foreign, 1)).await.expect_problem(404, "not-found");
    let refund = unit.path(&format!("payments/{paid}/refund"));
    me.post(&refund, json!({})).await.expect_problem(404, "not-found");
    assert_eq!(payments_of(&unit, &foreign).len(), 1);

    let partner = net.rest(Kind::Partner, std::slice::from_ref(&unit.id), None);
    partner.get(&unit.path(&format!("invoices/{own}"))).await.expect(200);
    partner.post(&unit.path("payments"), payment(&own, 1)).await.expect(404);
    partner.post(&refund, json!({})).await.expect(404);
    let admin = net.rest(Kind::Admin, std::slice::from_ref(&unit.id), None);
    admin.get(&unit.path(&format!("invoices/{own}"))).await.expect(404);
    admin.post(&unit.path("payments"), payment(&own, 1)).await.expect(404);
}

#[tokio::test]
async fn a_statement_has_an_etag_that_each_payment_changes() {
    let net = Net::shared();
    let unit = net.unit("etag").await;
    let id = invoice(&unit, 1_000);
    let path = unit.path(&format!("invoices/{id}"));
    let first = balance(&unit.rest, &unit, &id, 1_000).await.must("etag");
    unit.desk().pay(&id, 10, "EUR", now()).unwrap();
    let second = balance(&unit.rest, &unit, &id, 990).await.must("etag");
    assert_ne!(first, second);
    let same = [("if-none-match", second.as_str())];
    unit.rest.get_with(&path, &same).await.expect(304);
    let stale = [("if-none-match", first.as_str())];
    assert_eq!(unit.rest.get_with(&path, &stale).await.expect(200).body["balance_minor"], 990);
}

#[tokio::test]
async fn the_seeded_clinics_bills_read_back_equal_and_add_up() {
    let net = Net::shared();
    let unit = net.unit("bills").await;
    let desk = unit.desk();
    let invoices = desk.rows(Table::Invoices).unwrap();
    assert!(invoices.len() > 30, "a practice bills its visits");
    for row in invoices.iter().take(60) {
        let id = row["invoice_id"].as_str().unwrap();
        let shown = unit.rest.record(&unit.path(&format!("invoices/{id}"))).await;
        assert_eq!(differences(Table::Invoices, row, &shown.body), Vec::<String>::new());
        let paid = desk.rows_where(Table::Payments, "invoice_id = ?1", &[&id]).unwrap();
        let sum: i64 = paid.iter().filter_map(|row| row["amount_minor"].as_i64()).sum();
        let total =
            if row["status"] == "voided" { 0 } else { row["total_minor"].as_i64().unwrap() };
        assert_eq!(shown.body["balance_minor"], total - sum, "{shown:?}");
        let listed = shown.body["payments"].as_array().unwrap();
        assert_eq!(listed.len(), paid.len());
        for row in &paid {
            let one = listed.iter().find(|one| one["payment_id"] == row["payment_id"]).unwrap();
            assert_eq!(differences(Table::Payments, row, one), Vec::<String>::new());
        }
    }
}
