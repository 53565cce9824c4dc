//! One statement for each table, however many rows; a row yields only to a greater number.

use billing::{Currency, Invoice, Payment};
use kit_event::Timestamp;
use kit_store::rows::{Columns, Stated};
use kit_store::{Act, StoreError};
use sqlx::PgConnection;

/// Where an invoice without a readable moment of issue stands in the order of time: last of those
/// that are shown from the newest on.
const NOT_ISSUED_MS: i64 = i64::MIN;
/// Where a payment without a readable moment stands among those of its invoice: last.
const NOT_PAID_MS: i64 = i64::MAX;

/// Writes invoices, each of them once.
pub(crate) async fn invoices(
    connection: &mut PgConnection,
    states: &[Stated<'_, Invoice>],
) -> Result<(), StoreError> {
    let columns = Columns::of(states)?;
    let issued = states.iter().map(|s| s.thing.issued_at.map_or(NOT_ISSUED_MS, Timestamp::unix_ms));
    sqlx::query(
        "insert into invoice as t (unit, invoice_id, epoch, seq, patient_id, appointment_id,
                                   issued_ms, removed, state)
         select * from unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[], $5::uuid[],
                              $6::uuid[], $7::bigint[], $8::bool[], $9::jsonb[])
         on conflict (unit, invoice_id) do update set
             epoch = excluded.epoch, seq = excluded.seq, patient_id = excluded.patient_id,
             appointment_id = excluded.appointment_id, issued_ms = excluded.issued_ms,
             removed = excluded.removed, withdrawn = false, stale_epoch = null, stale_seq = null,
             state = excluded.state
         where (t.epoch, t.seq) < (excluded.epoch, excluded.seq)",
    )
    .bind(&columns.units)
    .bind(&columns.ids)
    .bind(&columns.epochs)
    .bind(&columns.seqs)
    .bind(states.iter().map(|s| s.thing.patient_id).collect::<Vec<_>>())
    .bind(states.iter().map(|s| s.thing.appointment_id).collect::<Vec<_>>())
    .bind(issued.collect::<Vec<_>>())
    .bind(&columns.removed)
    .bind(&columns.states)
    .execute(connection)
    .await
    .writing("invoices")?;
    Ok(())
}

/// Writes payments, each of them once.
pub(crate) async fn payments(
    connection: &mut PgConnection,
    states: &[Stated<'_, Payment>],
) -> Result<(), StoreError> {
    let columns = Columns::of(states)?;
    let paid = states.iter().map(|s| s.thing.paid_at.map_or(NOT_PAID_MS, Timestamp::unix_ms));
    let currencies = states
        .iter()
        .map(|s| Currency::of(s.thing.currency.as_deref()).map(|code| code.to_string()));
    sqlx::query(
        "insert into payment as t (unit, payment_id, epoch, seq, invoice_id, paid_ms, currency,
                                   amount_minor, removed, state)
         select * from unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[], $5::uuid[],
                              $6::bigint[], $7::text[], $8::bigint[], $9::bool[], $10::jsonb[])
         on conflict (unit, payment_id) do update set
             epoch = excluded.epoch, seq = excluded.seq, invoice_id = excluded.invoice_id,
             paid_ms = excluded.paid_ms, currency = excluded.currency,
             amount_minor = excluded.amount_minor, removed = excluded.removed, withdrawn = false,
             stale_epoch = null, stale_seq = null, state = excluded.state
         where (t.epoch, t.seq) < (excluded.epoch, excluded.seq)",
    )
    .bind(&columns.units)
    .bind(&columns.ids)
    .bind(&columns.epochs)
    .bind(&columns.seqs)
    .bind(states.iter().map(|s| s.thing.invoice_id).collect::<Vec<_>>())
    .bind(paid.collect::<Vec<_>>())
    .bind(currencies.collect::<Vec<_>>())
    .bind(states.iter().map(|s| s.thing.amount_minor).collect::<Vec<_>>())
    .bind(&columns.removed)
    .bind(&columns.states)
    .execute(connection)
    .await
    .writing("payments")?;
    Ok(())
}
