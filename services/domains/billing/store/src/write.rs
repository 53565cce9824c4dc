//! The tables of invoices and payments, and what their rows are searched by.

use billing::{Currency, Invoice, Payment};
use kit_event::Timestamp;
use kit_store::StoreError;
use kit_store::rows::{Columns, ResourceTable, Searched, Stated, upsert};
use sqlx::PgConnection;

/// Where an invoice without a readable moment of issue stands in the order of time: last of those
/// that are shown from the newest on.
const NOT_ISSUED_MS: i64 = i64::MIN;
/// Where a payment without a readable moment stands among those of its invoice: last.
const NOT_PAID_MS: i64 = i64::MAX;

pub(crate) const INVOICE: ResourceTable = ResourceTable {
    name: "invoice",
    resource: Invoice::RESOURCE,
    key: "invoice_id",
    searched: &[
        Searched("patient_id", "uuid"),
        Searched("appointment_id", "uuid"),
        Searched("issued_ms", "bigint"),
    ],
};

pub(crate) const PAYMENT: ResourceTable = ResourceTable {
    name: "payment",
    resource: Payment::RESOURCE,
    key: "payment_id",
    searched: &[
        Searched("invoice_id", "uuid"),
        Searched("paid_ms", "bigint"),
        Searched("currency", "text"),
        Searched("amount_minor", "bigint"),
    ],
};

/// Writes invoices, each of them once.
pub(crate) async fn invoices(
    connection: &mut PgConnection,
    states: &[Stated<'_, Invoice>],
) -> Result<(), StoreError> {
    let issued =
        |s: &Stated<'_, Invoice>| s.resource.issued_at.map_or(NOT_ISSUED_MS, Timestamp::unix_ms);
    upsert(connection, &INVOICE, &Columns::of(states)?, |query| {
        query
            .bind(states.iter().map(|s| s.resource.patient_id).collect::<Vec<_>>())
            .bind(states.iter().map(|s| s.resource.appointment_id).collect::<Vec<_>>())
            .bind(states.iter().map(issued).collect::<Vec<_>>())
    })
    .await
}

/// Writes payments, each of them once.
pub(crate) async fn payments(
    connection: &mut PgConnection,
    states: &[Stated<'_, Payment>],
) -> Result<(), StoreError> {
    let paid = |s: &Stated<'_, Payment>| s.resource.paid_at.map_or(NOT_PAID_MS, Timestamp::unix_ms);
    let currency = |s: &Stated<'_, Payment>| {
        Currency::of(s.resource.currency.as_deref()).map(|code| code.to_string())
    };
    upsert(connection, &PAYMENT, &Columns::of(states)?, |query| {
        query
            .bind(states.iter().map(|s| s.resource.invoice_id).collect::<Vec<_>>())
            .bind(states.iter().map(paid).collect::<Vec<_>>())
            .bind(states.iter().map(currency).collect::<Vec<_>>())
            .bind(states.iter().map(|s| s.resource.amount_minor).collect::<Vec<_>>())
    })
    .await
}
