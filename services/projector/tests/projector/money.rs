//! Invoices and payments become rows, and what is owed is added up when it is read.

use billing::{Fact, Invoice, InvoiceFact, Payment, PaymentFact};
use billing_store::{InvoiceFilter, PAYMENTS_SHOWN_MAX};
use kit_event::Observed;
use kit_store::Row;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Network, Unit};

const PATIENT: Uuid = Uuid::from_u128(7);

fn invoice(n: u128, issued_at: &str, total_minor: i64) -> Invoice {
    Invoice {
        invoice_id: Uuid::from_u128(n),
        patient_id: Some(PATIENT),
        appointment_id: Some(Uuid::from_u128(100 + n)),
        issued_at: issued_at.parse().ok(),
        issued_at_raw: issued_at.parse::<kit_event::Timestamp>().err().map(|_| issued_at.into()),
        currency: Some("EUR".to_owned()),
        total_minor: Some(total_minor),
        ..Invoice::default()
    }
}

fn payment(n: u128, invoice: u128, amount_minor: i64) -> Payment {
    Payment {
        payment_id: Uuid::from_u128(n),
        invoice_id: Some(Uuid::from_u128(invoice)),
        paid_at: "2026-03-02T10:00:00Z".parse().ok(),
        currency: Some("EUR".to_owned()),
        amount_minor: Some(amount_minor),
        ..Payment::default()
    }
}

fn billed(invoice: &Invoice) -> Observed {
    Fact::Invoice(InvoiceFact::Issued, invoice.clone()).observed().unwrap()
}

fn told(kind: PaymentFact, payment: &Payment) -> Observed {
    Fact::Payment(kind, payment.clone()).observed().unwrap()
}

async fn statement(network: &Network, unit: &Unit, n: u128) -> Option<Row> {
    let read = billing_store::statement(&network.reads, &unit.id, Uuid::from_u128(n)).await;
    read.unwrap().value
}

async fn balance(network: &Network, unit: &Unit, n: u128) -> Value {
    statement(network, unit, n).await.unwrap().state["balance_minor"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_owed_follows_every_change_of_a_payment() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let mut other = Unit::open(&network.bus, "hcu-0002").await;
    // A payment may be told before its invoice.
    unit.say(told(PaymentFact::Received, &payment(11, 1, 300))).await;
    unit.say(billed(&invoice(1, "2026-03-01T10:00:00Z", 1_000))).await;
    unit.say(billed(&invoice(2, "2026-03-01T11:00:00Z", 1_000))).await;
    other.say(told(PaymentFact::Received, &payment(12, 1, 500))).await;
    network.settle().await;
    assert_eq!(balance(&network, &unit, 1).await, 700);
    let moved = payment(11, 2, 400);
    unit.say(told(PaymentFact::Amended, &moved)).await;
    network.settle().await;
    assert_eq!(balance(&network, &unit, 1).await, 1_000);
    assert_eq!(balance(&network, &unit, 2).await, 600);
    let shown = statement(&network, &unit, 2).await.unwrap().state;
    let mut listed = serde_json::to_value(&moved).unwrap();
    listed["patient_id"] = shown["patient_id"].clone();
    assert_eq!(shown["payments"], json!([listed]), "each is its invoice's patient's");
    unit.say(told(PaymentFact::Removed, &moved)).await;
    network.settle().await;
    assert_eq!(balance(&network, &unit, 2).await, 1_000);
    assert!(statement(&network, &other, 1).await.is_none(), "a payment alone makes no invoice");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_sum_overflows_and_no_statement_grows_without_end() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    unit.say(billed(&invoice(1, "2026-03-01T10:00:00Z", i64::MAX))).await;
    for n in 0..2 {
        unit.say(told(PaymentFact::Received, &payment(10 + n, 1, i64::MAX))).await;
    }
    network.settle().await;
    let shown = statement(&network, &unit, 1).await.unwrap().state;
    assert_eq!(shown["balance_minor"], -i64::MAX);
    assert_eq!(shown.get("paid_minor"), None, "it is beyond 64 bits");
    unit.say(told(PaymentFact::Received, &payment(12, 1, i64::MAX))).await;
    unit.say(billed(&invoice(2, "2026-03-01T10:00:00Z", 1_000_000))).await;
    for n in 0..PAYMENTS_SHOWN_MAX as u128 + 5 {
        unit.say(told(PaymentFact::Received, &payment(1_000 + n, 2, 10))).await;
    }
    network.settle().await;
    let shown = statement(&network, &unit, 1).await.unwrap().state;
    assert_eq!((shown.get("balance_minor"), &shown["balance_missing"]), (None, &json!("range")));
    let shown = statement(&network, &unit, 2).await.unwrap().state;
    assert_eq!(shown["payments"].as_array().unwrap().len(), PAYMENTS_SHOWN_MAX);
    assert_eq!(shown["payments_more"], true);
    let all = PAYMENTS_SHOWN_MAX as i64 + 5;
    assert_eq!(shown["paid_minor"], all * 10, "those that are not shown count too");
}

#[tokio::test(flavor = "multi_thread")]
async fn invoices_are_listed_from_the_newest_on_each_with_its_balance() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let issued =
        ["2026-03-02T10:00:00Z", "last week", "2026-03-03T10:00:00Z", "2026-03-01T10:00:00Z"];
    for (n, issued_at) in (1..).zip(issued) {
        unit.say(billed(&invoice(n, issued_at, 1_000))).await;
        unit.say(told(PaymentFact::Received, &payment(10 + n, n, n as i64))).await;
    }
    let foreign = Invoice { patient_id: None, ..invoice(5, issued[0], 1_000) };
    unit.say(billed(&foreign)).await;
    network.settle().await;
    let all = InvoiceFilter::default();
    assert_eq!(
        listed(&network, &unit, &all).await,
        [(3, 997), (5, 1_000), (1, 999), (4, 996), (2, 998)]
    );
    let own = InvoiceFilter { patient_id: Some(PATIENT), ..all.clone() };
    assert_eq!(listed(&network, &unit, &own).await, [(3, 997), (1, 999), (4, 996), (2, 998)]);
    let visit = InvoiceFilter { appointment_id: Some(Uuid::from_u128(104)), ..all.clone() };
    assert_eq!(listed(&network, &unit, &visit).await, [(4, 996)]);
    let bad = billing_store::invoices(&network.reads, &unit.id, &all, Some("[1]"), 1).await;
    assert!(matches!(bad, Err(kit_store::StoreError::BadCursor)));
}

/// Ids and balances of a list, a page of two at a time.
async fn listed(network: &Network, unit: &Unit, filter: &InvoiceFilter) -> Vec<(u128, i64)> {
    let (mut found, mut after) = (Vec::new(), None::<String>);
    loop {
        let pool = &network.reads;
        let read = billing_store::invoices(pool, &unit.id, filter, after.as_deref(), 2).await;
        let page = read.unwrap().value;
        found.extend(page.items.iter().map(|row| {
            let id: Uuid = row.state["invoice_id"].as_str().unwrap().parse().unwrap();
            (id.as_u128(), row.state["balance_minor"].as_i64().unwrap())
        }));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_money_it_is_follows_the_invoice_and_what_a_new_epoch_leaves_out_does_not_count() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    unit.say(billed(&invoice(1, "2026-03-01T10:00:00Z", 1_000))).await;
    unit.say(told(PaymentFact::Received, &payment(11, 1, 300))).await;
    unit.say(told(PaymentFact::Received, &payment(12, 9, 300))).await;
    network.settle().await;
    let patient_of = async |n| {
        let id = Uuid::from_u128(n);
        let read = billing_store::payment(&network.reads, &unit.id, id).await.unwrap();
        read.value.unwrap().state.get("patient_id").cloned()
    };
    assert_eq!(patient_of(11).await, Some(json!(PATIENT)));
    assert_eq!(patient_of(12).await, None);
    let whose = async |n| {
        let id = Uuid::from_u128(n);
        billing_store::invoice_patient(&network.reads, &unit.id, id).await.unwrap()
    };
    assert_eq!((whose(1).await, whose(9).await), (Some(Some(PATIENT)), None));

    unit.open_epoch(2).await;
    let seen = Fact::Invoice(InvoiceFact::Snapshot, invoice(1, "2026-03-01T10:00:00Z", 1_000));
    unit.say(seen.observed().unwrap()).await;
    unit.say(unit.seeded(&["invoice", "payment"])).await;
    network.settle().await;
    assert_eq!(balance(&network, &unit, 1).await, 1_000);
    let gone = billing_store::payment(&network.reads, &unit.id, Uuid::from_u128(11)).await;
    assert!(gone.unwrap().value.is_none());
}
