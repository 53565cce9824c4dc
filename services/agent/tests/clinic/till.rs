//! Money at a clinic: what the desk writes counts in the transaction that decides a payment.

use kit_event::UnitSeq;
use kit_link::{FactFrame, FromEdge, Resume};
use serde_json::{Value, json};

use crate::desk::{Driven, Folder, Line, OTHER_PATIENT, PATIENT};
use crate::edge::request;

const PAY: &str = "billing.record_payment";
const INVOICE: &str = "4fb0a196-7387-4fb2-8b1f-4193c3a5f60a";
const PAYMENT: &str = "5ac1b2a7-8498-40c3-9c20-52a4d4b6071b";

/// A clinic with an invoice of 100.00 euros, and its agent on the line.
fn billed() -> (Folder, Driven, Line) {
    let clinic = Folder::staffed();
    let mut agent = clinic.worker();
    let mut line = agent.connect(None, Resume::Exact);
    agent.receive(&mut line, vec![]);
    clinic
        .desk()
        .execute(
            "INSERT INTO invoices VALUES (?1, ?2, NULL, '2026-03-01T09:00:00Z', 'EUR', 10000,
             'issued')",
            [INVOICE, PATIENT],
        )
        .unwrap();
    (clinic, agent, line)
}

/// The desk takes money and names the invoice as it likes.
fn desk_pays(clinic: &Folder, payment: &str, invoice: &str, amount: &dyn rusqlite::ToSql) {
    clinic
        .desk()
        .execute(
            "INSERT INTO payments VALUES (?1, ?2, '2026-03-02T06:59:00Z', 'EUR', ?3, 'cash', NULL)",
            rusqlite::params![payment, invoice, amount],
        )
        .unwrap();
}

fn pay(position: i64, amount_minor: i64) -> FromEdge {
    let body = json!({"payment_id": uuid::Uuid::from_u128(position as u128),
        "invoice_id": INVOICE, "amount_minor": amount_minor, "currency": "EUR"});
    FromEdge::Request(request(position, &format!("pay {position}"), PAY, body))
}

fn words(line: &Line) -> Vec<&str> {
    let word = |outcome: &'_ Value| outcome["reason"].as_str().map(str::to_owned);
    line.replies
        .iter()
        .map(|reply| match word(&reply.outcome) {
            Some(_) => reply.outcome["reason"].as_str().unwrap(),
            None => reply.outcome["state"].as_str().unwrap(),
        })
        .collect()
}

fn last_about<'a>(line: &'a Line, subject: &str) -> &'a FactFrame {
    let about = |fact: &&FactFrame| fact.subject.as_deref() == Some(subject);
    line.log.iter().rev().find(about).unwrap()
}

#[test]
fn two_payments_and_the_desk_race_for_one_balance() {
    let (clinic, mut agent, mut line) = billed();
    // The desk's row is committed a moment before, and not yet captured.
    desk_pays(&clinic, "desk", INVOICE, &4_000);
    agent.receive(&mut line, vec![pay(1, 6_001), pay(2, 5_000), pay(3, 1_001), pay(4, 1_000)]);
    let refused = "amount-exceeds-balance";
    assert_eq!(words(&line), [refused, "done", refused, "done"]);
    let sum = "SELECT sum(amount_minor) FROM payments";
    assert_eq!(clinic.count(sum), 10_000);
    assert_eq!(line.replies[0].outcome["patient_id"], PATIENT, "whose invoice it was");
    clinic.assert_numbered_without_gaps();
}

#[test]
fn the_desk_may_name_an_invoice_in_capitals() {
    let (clinic, mut agent, mut line) = billed();
    desk_pays(&clinic, "desk", &INVOICE.to_uppercase(), &9_000);
    agent.receive(&mut line, vec![pay(1, 1_001), pay(2, 1_000)]);
    assert_eq!(words(&line), ["amount-exceeds-balance", "done"]);
    let desks = line.log.iter().find(|fact| fact.body["amount_minor"] == 9_000).unwrap();
    assert_eq!(desks.body["invoice_id"], INVOICE);
}

#[test]
fn a_payment_concerns_the_patient_of_its_invoice() {
    let (clinic, mut agent, mut line) = billed();
    desk_pays(&clinic, PAYMENT, INVOICE, &500);
    agent.receive(&mut line, vec![]);
    let subject = format!("payment/{PAYMENT}");
    let received = last_about(&line, &subject);
    assert_eq!(received.type_name, "billing.payment_received");
    assert_eq!(received.patient_id.map(|id| id.to_string()).as_deref(), Some(PATIENT));
    assert_eq!(received.body["patient_id"], PATIENT);
    agent.receive(&mut line, vec![pay(1, 100)]);
    let paid = last_about(&line, &format!("payment/{}", uuid::Uuid::from_u128(1)));
    assert_eq!(paid.body["patient_id"], PATIENT, "a payment by request too");
    let record: Value =
        serde_json::from_str(line.replies[0].outcome["record_json"].as_str().unwrap()).unwrap();
    assert_eq!(record, paid.body);

    // Another invoice's payment is another patient's: gone for the one, seen for the other.
    let desk = clinic.desk();
    desk.execute(
        "INSERT INTO invoices VALUES ('other', ?1, NULL, '2026-03-01', 'EUR', 700, 'issued')",
        [OTHER_PATIENT],
    )
    .unwrap();
    desk.execute("UPDATE payments SET invoice_id = 'other' WHERE payment_id = ?1", [PAYMENT])
        .unwrap();
    let before = line.log.len();
    agent.receive(&mut line, vec![]);
    let told: Vec<_> = line.log[before..]
        .iter()
        .filter(|fact| fact.subject.as_deref() == Some(&subject))
        .map(|fact| (fact.type_name.as_str(), fact.patient_id.map(|id| id.to_string())))
        .collect();
    let (own, others) = (Some(PATIENT.to_owned()), Some(OTHER_PATIENT.to_owned()));
    assert_eq!(told, [("billing.payment_removed", own), ("billing.payment_received", others)]);
}

#[test]
fn amounts_that_are_none_are_facts_all_the_same() {
    let (clinic, mut agent, mut line) = billed();
    for (n, (amount, raw)) in
        [("zwölf", "zwölf"), ("12.5", "12.5"), ("9e99", "9.0e+99")].into_iter().enumerate()
    {
        let id = uuid::Uuid::from_u128(900 + n as u128).to_string();
        desk_pays(&clinic, &id, INVOICE, &amount);
        agent.receive(&mut line, vec![]);
        let fact = last_about(&line, &format!("payment/{id}"));
        assert_eq!(fact.type_name, "billing.payment_amended");
        assert_eq!(
            (&fact.body["amount_minor_raw"], fact.body.get("amount_minor")),
            (&json!(raw), None)
        );
    }
    // While they stand nobody can say what is owed.
    agent.receive(&mut line, vec![pay(1, 10_000)]);
    assert_eq!(words(&line), ["balance-unknown"]);
    clinic.desk().execute("DELETE FROM payments", []).unwrap();
    agent.receive(&mut line, vec![pay(2, 10_000)]);
    assert_eq!(words(&line), ["balance-unknown", "done"]);
    clinic.desk().execute("UPDATE invoices SET total_minor = 'hundred'", []).unwrap();
    agent.receive(&mut line, vec![pay(3, 1)]);
    assert_eq!(words(&line), ["balance-unknown", "done", "balance-unknown"]);
    let invoice = last_about(&line, &format!("invoice/{INVOICE}"));
    assert_eq!(invoice.body["total_minor_raw"], "hundred");
    assert!(line.replies[2].last_seq > Some(UnitSeq::ZERO));
}
