//! A visit is billed and paid: at the desk by plain SQL, and through REST as a request.

use anyhow::{Context, Result, ensure};
use kit_clock::Clock;
use kit_event::Timestamp;
use practice::Table;
use serde_json::{Value, json};
use uuid::Uuid;

use super::script::{key, seq};
use super::stage::Stage;

/// What the visit costs, what the desk takes, and what the app pays, in cents.
const TOTAL_MINOR: i64 = 6_000;
const AT_THE_DESK_MINOR: i64 = 1_500;
const THROUGH_REST_MINOR: i64 = 4_000;
const LEFT_MINOR: i64 = TOTAL_MINOR - AT_THE_DESK_MINOR - THROUGH_REST_MINOR;

pub async fn billed_and_paid(stage: &mut Stage<'_>) -> Result<()> {
    stage.chapter("The visit is billed and paid");
    let patient = stage.patient_id().parse::<Uuid>()?;
    stage.act("INSERT INTO invoices (...) in clinic.db: 60.00 EUR");
    let invoice = stage.desk.issue_invoice(&patient, None, TOTAL_MINOR, "EUR", now())?;
    let subject = format!("invoice/{invoice}");
    let found = stage.wait_for_fact("billing.invoice_issued", &subject).await?;
    stage.seen(&format!("fact {} billing.invoice_issued on unit.facts", found.fact.seq));
    wait_for_balance(stage, &invoice, TOTAL_MINOR).await?;

    stage.act("INSERT INTO payments (...) in clinic.db: 15.00 EUR, taken at the desk");
    stage.desk.pay(&invoice, AT_THE_DESK_MINOR, "EUR", now())?;
    wait_for_balance(stage, &invoice, TOTAL_MINOR - AT_THE_DESK_MINOR).await?;
    paid_through_rest(stage, &invoice).await
}

async fn paid_through_rest(stage: &mut Stage<'_>, invoice: &Uuid) -> Result<()> {
    let path = stage.path("payments");
    stage.act(&format!("POST {path}   40.00 EUR"));
    let body = payment(invoice, THROUGH_REST_MINOR);
    let answer = stage.app.post(&path, &key(), &[], body).await?.expect(201, "paying")?;
    stage.seen(&format!("201 Created, Arteria-Unit-Seq {}", seq(answer.seq.as_ref())));
    let id = answer.text("payment_id").context("a payment without an id")?.parse::<Uuid>()?;
    let row = stage.desk.row(Table::Payments, &id)?.context("clinic.db holds no such payment")?;
    ensure!(row["amount_minor"] == THROUGH_REST_MINOR, "clinic.db holds another amount");
    stage.seen("the row stands in clinic.db");
    wait_for_balance(stage, invoice, LEFT_MINOR).await?;

    stage.act(&format!("POST {path}   5.01 EUR, a cent more than is owed"));
    let body = payment(invoice, LEFT_MINOR + 1);
    let answer = stage.app.post(&path, &key(), &[], body).await?.expect(409, "paying too much")?;
    ensure!(answer.problem() == Some("amount-exceeds-balance"), "another problem was named");
    stage.seen("409 amount-exceeds-balance: the clinic's word, by its own rows");
    Ok(())
}

async fn wait_for_balance(stage: &Stage<'_>, invoice: &Uuid, minor: i64) -> Result<()> {
    let path = stage.path(&format!("invoices/{invoice}"));
    stage.wait_for_member(&path, "balance_minor", &json!(minor)).await?;
    stage.seen(&format!("GET {path}: balance_minor {minor}"));
    Ok(())
}

fn payment(invoice: &Uuid, amount_minor: i64) -> Value {
    json!({"invoice_id": invoice, "amount_minor": amount_minor, "currency": "EUR"})
}

fn now() -> Timestamp {
    Clock::system().now()
}
