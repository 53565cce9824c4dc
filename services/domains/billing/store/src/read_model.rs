//! Reading invoices, what is owed of them, and payments. Rows that are gone or withdrawn are not
//! there.

use billing::{Balance, Currency, Invoice, Tally};
use kit_event::{UnitId, UnitSeq};
use kit_store::read::{fresh_items, fresh_page, fresh_row, get, key_after, rows_for};
use kit_store::{Act, Fresh, Page, Row, StoreError};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Postgres, QueryBuilder};
use uuid::Uuid;

/// Payments that are shown with an invoice. No invoice of a practice has as many; a table that
/// somebody filled by mistake must not become an answer of gigabytes. Sums count all of them.
pub const PAYMENTS_SHOWN_MAX: usize = 200;

/// Which invoices to list; every condition that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InvoiceFilter {
    /// Of this patient.
    pub patient_id: Option<Uuid>,
    /// For this appointment.
    pub appointment_id: Option<Uuid>,
}

/// How the payments of each invoice add up, by currency and by whether they read; as JSON, because
/// an invoice is one row here.
const SUMS: &str = "
    left join lateral (
        select coalesce(jsonb_agg(jsonb_build_array(s.currency, s.count, s.sum)), '[]') as sums
        from (select p.currency, count(*) as count, sum(p.amount_minor)::text as sum
              from billing.payment p
              where p.unit = t.unit and p.invoice_id = t.invoice_id
                    and not p.removed and not p.withdrawn
              group by p.currency, p.amount_minor is null) s) sums on t.seq is not null";

/// One invoice with its balance and its payments, the oldest first. All of one snapshot.
///
/// # Errors
/// Postgres does not answer.
pub async fn statement(
    pool: &PgPool,
    unit: &UnitId,
    invoice_id: Uuid,
) -> Result<Fresh<Option<Row>>, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new(
        "select a.epoch as fresh_epoch, a.seq as fresh_seq, a.time as fresh_time, t.state, t.epoch,
                t.seq, t.stale_epoch, t.stale_seq, sums.sums, shown.payments, shown.stale_epochs,
                shown.stale_seqs
         from billing.applied a
         left join billing.invoice t on t.unit = a.unit and t.invoice_id = ",
    );
    query.push_bind(invoice_id).push(" and not t.removed and not t.withdrawn");
    query.push(SUMS).push(
        " left join lateral (
            select coalesce(jsonb_agg(p.state order by p.paid_ms, p.payment_id), '[]') as payments,
                   array_agg(p.stale_epoch)
                       filter (where p.stale_epoch is not null) as stale_epochs,
                   array_agg(p.stale_seq) filter (where p.stale_epoch is not null) as stale_seqs
            from (select p.state, p.paid_ms, p.payment_id, p.stale_epoch, p.stale_seq
                  from billing.payment p
                  where p.unit = t.unit and p.invoice_id = t.invoice_id
                        and not p.removed and not p.withdrawn
                  order by p.paid_ms, p.payment_id limit ",
    );
    query.push_bind(i64::try_from(PAYMENTS_SHOWN_MAX).unwrap_or(i64::MAX) + 1);
    query.push(") p) shown on t.seq is not null where a.unit = ").push_bind(unit.as_str());
    let rows = query.build().fetch_all(pool).await.reading("a statement")?;
    let Fresh { freshness, value } = fresh_items(&rows, "seq", |row| {
        let mut shown = with_balance(row)?;
        let payments: Value = get(row, "payments")?;
        put_payments(&mut shown.state, payments);
        shown.stale_since = [shown.stale_since, stale_payment(row)?].into_iter().flatten().min();
        Ok(shown)
    })?;
    Ok(Fresh { freshness, value: value.into_iter().next() })
}

/// Invoices with their balances, the newest first, a page at a time. Those without a readable
/// moment of issue come last.
///
/// # Errors
/// Postgres does not answer; [`StoreError::BadCursor`].
pub async fn invoices(
    pool: &PgPool,
    unit: &UnitId,
    filter: &InvoiceFilter,
    after: Option<&str>,
    limit: u32,
) -> Result<Fresh<Page<Row>>, StoreError> {
    let after: Option<(i64, Uuid)> = key_after(after)?;
    let mut query = QueryBuilder::<Postgres>::new(
        "select a.epoch as fresh_epoch, a.seq as fresh_seq, a.time as fresh_time, t.*, sums.sums
         from billing.applied a left join lateral (
             select t.unit, t.invoice_id, t.issued_ms, t.state, t.epoch, t.seq, t.stale_epoch,
                    t.stale_seq
             from billing.invoice t
             where t.unit = a.unit and not t.removed and not t.withdrawn",
    );
    if let Some(patient_id) = filter.patient_id {
        query.push(" and t.patient_id = ").push_bind(patient_id);
    }
    if let Some(appointment_id) = filter.appointment_id {
        query.push(" and t.appointment_id = ").push_bind(appointment_id);
    }
    if let Some((issued_ms, id)) = after {
        query.push(" and (t.issued_ms, t.invoice_id) < (").push_bind(issued_ms);
        query.push(", ").push_bind(id).push(")");
    }
    query.push(" order by t.issued_ms desc, t.invoice_id desc limit ").push_bind(rows_for(limit));
    query.push(") t on true").push(SUMS).push(" where a.unit = ").push_bind(unit.as_str());
    query.push(" order by t.issued_ms desc, t.invoice_id desc");
    let rows = query.build().fetch_all(pool).await.reading("invoices")?;
    fresh_page(&rows, "seq", limit, |row| {
        let key: (i64, Uuid) = (get(row, "issued_ms")?, get(row, "invoice_id")?);
        Ok((key, with_balance(row)?))
    })
}

/// One payment. It is its invoice's patient's: the desk may have moved the invoice since, and then
/// no fact of the payment says so.
///
/// # Errors
/// Postgres does not answer.
pub async fn payment(
    pool: &PgPool,
    unit: &UnitId,
    payment_id: Uuid,
) -> Result<Fresh<Option<Row>>, StoreError> {
    let rows = sqlx::query(
        "select a.epoch as fresh_epoch, a.seq as fresh_seq, a.time as fresh_time, t.epoch, t.seq,
                t.stale_epoch, t.stale_seq,
                case when i.patient_id is null then t.state
                     else t.state || jsonb_build_object('patient_id', i.patient_id) end as state
         from billing.applied a
         left join billing.payment t on t.unit = a.unit and t.payment_id = $2
              and not t.removed and not t.withdrawn
         left join billing.invoice i on i.unit = t.unit and i.invoice_id = t.invoice_id
              and not i.removed and not i.withdrawn
         where a.unit = $1",
    )
    .bind(unit.as_str())
    .bind(payment_id)
    .fetch_all(pool)
    .await
    .reading("a payment")?;
    fresh_row(&rows)
}

/// Whose invoice it is: none where the unit has no such invoice, and no patient within where the
/// invoice names none.
///
/// # Errors
/// Postgres does not answer.
pub async fn invoice_patient(
    pool: &PgPool,
    unit: &UnitId,
    invoice_id: Uuid,
) -> Result<Option<Option<Uuid>>, StoreError> {
    let row = sqlx::query(
        "select patient_id from billing.invoice
         where unit = $1 and invoice_id = $2 and not removed and not withdrawn",
    )
    .bind(unit.as_str())
    .bind(invoice_id)
    .fetch_optional(pool)
    .await
    .reading("an invoice's patient")?;
    row.map(|row| get(&row, "patient_id")).transpose()
}

/// The invoice's row, what is owed of it put into its state.
fn with_balance(row: &PgRow) -> Result<Row, StoreError> {
    let mut shown = Row::from_columns(row)?;
    let sums: Vec<(Option<String>, u64, Option<String>)> =
        serde_json::from_value(get(row, "sums")?).map_err(|_| unreadable())?;
    let mut tally = Tally::default();
    for (currency, count, sum) in sums {
        let sum = sum.map(|text| text.parse::<i128>()).transpose().map_err(|_| unreadable())?;
        tally.add(Currency::of(currency.as_deref()), count, sum);
    }
    let invoice: Invoice = serde_json::from_value(shown.state.clone()).map_err(|_| unreadable())?;
    let balance = serde_json::to_value(Balance::of(&invoice, &tally)).map_err(|_| unreadable())?;
    if let (Value::Object(state), Value::Object(balance)) = (&mut shown.state, balance) {
        state.extend(balance);
    }
    Ok(shown)
}

fn put_payments(state: &mut Value, payments: Value) {
    let (Value::Object(state), Value::Array(mut payments)) = (state, payments) else { return };
    // The desk may have moved the invoice since they were stated: who reads it now must not learn
    // whose it was before.
    if let Some(patient) = state.get("patient_id") {
        for payment in payments.iter_mut().filter_map(Value::as_object_mut) {
            payment.insert("patient_id".to_owned(), patient.clone());
        }
    }
    if payments.len() > PAYMENTS_SHOWN_MAX {
        payments.truncate(PAYMENTS_SHOWN_MAX);
        state.insert("payments_more".to_owned(), Value::Bool(true));
    }
    state.insert("payments".to_owned(), Value::Array(payments));
}

/// The oldest fact about one of the payments that could not be taken up.
fn stale_payment(row: &PgRow) -> Result<Option<UnitSeq>, StoreError> {
    let epochs: Option<Vec<i64>> = get(row, "stale_epochs")?;
    let seqs: Option<Vec<i64>> = get(row, "stale_seqs")?;
    let pairs = epochs.unwrap_or_default().into_iter().zip(seqs.unwrap_or_default());
    let numbers = pairs.map(|(epoch, seq)| kit_store::number::from_columns(epoch, seq));
    Ok(numbers.collect::<Result<Vec<_>, _>>()?.into_iter().min())
}

fn unreadable() -> StoreError {
    StoreError::Unreadable { what: "invoice" }
}
