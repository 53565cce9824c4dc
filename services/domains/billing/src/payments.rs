//! Payments at the unit: commands about money, and the one place that grants or refuses them.
//!
//! The unit is the only writer of its payments, so a decision needs no lock: [`gather`] reads the
//! rows inside the transaction that will hold the payment, the desk's of a moment ago among them,
//! and [`decide`] grants no more than they leave owed. Nothing here reads a clock.

use kit_event::{
    Filter, Granted, RecordRef, Records, Rejection, RowChange, RowOperation, Timestamp,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::balance::{Owed, Tally};
use crate::commands::{Command, RecordPayment, RefundPayment};
use crate::invoice::{Invoice, Status};
use crate::money::Currency;
use crate::payment::Payment;
use crate::rejection::BillingRejection;

/// What the unit's rows say about a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitPayments {
    /// Whether the new payment's id is taken.
    pub is_taken: bool,
    /// The invoice that is to be paid; only a payment asks.
    pub invoice: Option<Invoice>,
    /// The payment that is to be given back; only a refund asks.
    pub payment: Option<Payment>,
    /// Every payment and refund for the same invoice, whoever wrote it.
    pub payments: Vec<Payment>,
}

/// Reads what [`decide`] needs.
///
/// # Errors
/// The clinic database did not answer.
pub fn gather(command: &Command, records: &dyn Records) -> Result<UnitPayments, Rejection> {
    let taken: Option<Payment> = one(records, Payment::RESOURCE, &command.new_payment_id())?;
    let is_taken = taken.is_some();
    match command {
        Command::Record(command) => {
            let invoice = one(records, Invoice::RESOURCE, &command.invoice_id)?;
            let payments = payments_for(records, command.invoice_id)?;
            Ok(UnitPayments { is_taken, invoice, payment: None, payments })
        }
        Command::Refund(command) => {
            let payment: Option<Payment> = one(records, Payment::RESOURCE, &command.payment_id)?;
            let payments = match payment.as_ref().and_then(|payment| payment.invoice_id) {
                Some(invoice_id) => payments_for(records, invoice_id)?,
                None => vec![],
            };
            Ok(UnitPayments { is_taken, invoice: None, payment, payments })
        }
    }
}

fn one<T: DeserializeOwned>(
    records: &dyn Records,
    resource: &str,
    id: &Uuid,
) -> Result<Option<T>, Rejection> {
    let stored = records.get(resource, id)?;
    stored.map(|stored| read(resource, &stored.state)).transpose()
}

fn payments_for(records: &dyn Records, invoice_id: Uuid) -> Result<Vec<Payment>, Rejection> {
    let of_invoice = [Filter::Equals("invoice_id", json!(invoice_id))];
    let rows = records.find(Payment::RESOURCE, &of_invoice)?;
    rows.iter().map(|row| read(Payment::RESOURCE, row)).collect()
}

/// Reads a state as its thing. The mapping made it, so that a failure is a defect of the mapping;
/// the state itself stays out of the message.
fn read<T: DeserializeOwned>(resource: &str, state: &Value) -> Result<T, Rejection> {
    T::deserialize(state)
        .map_err(|_| Rejection::agent_failed(format!("a record does not read as {resource}")))
}

/// Grants or refuses a command against the rows as they stand.
///
/// # Errors
/// The rejection.
pub fn decide(
    command: &Command,
    payments: &UnitPayments,
    now: Timestamp,
) -> Result<Granted, BillingRejection> {
    command.validate().map_err(|problems| BillingRejection::FieldRules { problems })?;
    if payments.is_taken {
        return Err(BillingRejection::PaymentExists { payment_id: command.new_payment_id() });
    }
    match command {
        Command::Record(command) => record(command, payments, now),
        Command::Refund(command) => refund(command, payments, now),
    }
}

fn record(
    command: &RecordPayment,
    payments: &UnitPayments,
    now: Timestamp,
) -> Result<Granted, BillingRejection> {
    let invoice_id = command.invoice_id;
    let invoice =
        payments.invoice.as_ref().ok_or(BillingRejection::InvoiceUnknown { invoice_id })?;
    // Of another patient's invoice an asker who is confined to one learns nothing.
    if command.patient_id.is_some() && command.patient_id != invoice.patient_id {
        return Err(BillingRejection::InvoiceUnknown { invoice_id });
    }
    if invoice.status() == Status::Voided {
        return Err(BillingRejection::InvoiceVoided { invoice_id });
    }
    let tally = Tally::of(&payments.payments);
    if tally.is_uncertain() {
        return Err(BillingRejection::PaymentUnreadable { invoice_id });
    }
    let owed = Owed::of(invoice, &tally)
        .map_err(|missing| BillingRejection::BalanceUnknown { invoice_id, missing })?;
    if Currency::of(Some(&command.currency)) != Some(owed.currency) {
        return Err(BillingRejection::CurrencyMismatch { wanted: owed.currency });
    }
    if i128::from(command.amount_minor) > owed.balance {
        return Err(BillingRejection::AmountExceedsBalance {
            amount_minor: command.amount_minor,
            balance_minor: owed.balance,
            currency: owed.currency,
        });
    }
    let mut fields = vec![
        ("invoice_id", json!(invoice_id)),
        ("paid_at", json!(now)),
        ("currency", json!(owed.currency.to_string())),
        ("amount_minor", json!(command.amount_minor)),
    ];
    fields.extend(command.method.as_ref().map(|method| ("method", json!(method))));
    fields.extend(command.reference.as_ref().map(|reference| ("reference", json!(reference))));
    Ok(granted(command.payment_id, fields))
}

fn refund(
    command: &RefundPayment,
    payments: &UnitPayments,
    now: Timestamp,
) -> Result<Granted, BillingRejection> {
    let payment_id = command.payment_id;
    let payment =
        payments.payment.as_ref().ok_or(BillingRejection::PaymentUnknown { payment_id })?;
    let currency = Currency::of(payment.currency.as_deref());
    let (Some(invoice_id), Some(currency), Some(amount)) =
        (payment.invoice_id, currency, payment.amount_minor.filter(|amount| *amount > 0))
    else {
        return Err(BillingRejection::NotRefundable { payment_id });
    };
    let left = left_of(payment, amount, currency, payments);
    let back = command.amount_minor.map_or(left, i128::from);
    let exceeds =
        BillingRejection::RefundExceedsPayment { payment_id, left_minor: left.max(0), currency };
    if back <= 0 || back > left {
        return Err(exceeds);
    }
    // What is left is no more than the payment, so it fits; 64 bits hold its negative too.
    let Ok(back) = i64::try_from(back) else { return Err(exceeds) };
    let mut fields = vec![
        ("invoice_id", json!(invoice_id)),
        ("paid_at", json!(now)),
        ("currency", json!(currency.to_string())),
        ("amount_minor", json!(-back)),
        ("reference", json!(Payment::refund_reference(payment_id, command.reference.as_deref()))),
    ];
    fields.extend(payment.method.as_ref().map(|method| ("method", json!(method))));
    Ok(granted(command.refund_id, fields))
}

/// What can still be given back of a payment: it less the refunds that name it, and never more than
/// all that came in for its invoice, because the desk's refunds name nothing.
fn left_of(payment: &Payment, amount: i64, currency: Currency, payments: &UnitPayments) -> i128 {
    let is_refund = |it: &&Payment| {
        it.refunds() == Some(payment.payment_id) && it.amount_minor.is_some_and(|amount| amount < 0)
    };
    // A payer's note may look like a refund's reference; what came in gives nothing back.
    let back = Tally::of(payments.payments.iter().filter(is_refund)).paid(currency);
    let own = i128::from(amount).saturating_add(back);
    own.min(Tally::of(&payments.payments).paid(currency))
}

fn granted(id: Uuid, fields: Vec<(&'static str, Value)>) -> Granted {
    let record = RecordRef { resource: Payment::RESOURCE, id };
    let fields: Map<_, _> =
        fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect();
    let operation = RowOperation::Insert;
    Granted { changes: vec![RowChange { record: record.clone(), operation, fields }], record }
}
