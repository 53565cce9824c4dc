//! What analysts and integrators learn of a unit's till.
//!
//! Amounts, times and ids pass as they are, closed words only where they are such a word; what the
//! payer or the desk noted stays in the house, and so does every text that did not read as what it
//! should have been.

use kit_event::{SchemaSource, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use crate::facts::{Fact, InvoiceFact, PaymentFact};
use crate::{Currency, Invoice, Payment, Status};

/// Present version of every public schema of this domain.
pub const VERSION: u32 = 1;

/// How people pay; other words are told as `other`.
const METHODS: [&str; 6] = ["card", "cash", "cheque", "direct-debit", "online", "transfer"];

/// The word for what is none of the closed ones.
const OTHER: &str = "other";

/// What a patient is asked to pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicInvoice {
    /// Opaque id; the same in every event about this invoice.
    pub invoice_id: Uuid,
    /// Opaque id of the patient, as in `domain.patients`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<Uuid>,
    /// Opaque id of the visit that it is for, as in `domain.scheduling`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appointment_id: Option<Uuid>,
    /// When it was issued; absent where the unit's record is no instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub issued_at: Option<Timestamp>,
    /// Currency, as an ISO 4217 code of three letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// What is asked for, in minor units of the currency; below zero on a credit note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_minor: Option<i64>,
    /// `issued` or `voided`; `other` for a word of the practice's own.
    pub status: String,
}

/// Money that came in for an invoice, or went back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicPayment {
    /// Opaque id; the same in every event about this payment.
    pub payment_id: Uuid,
    /// Opaque id of the invoice that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice_id: Option<Uuid>,
    /// Opaque id of the patient, as in `domain.patients`, where the unit could tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<Uuid>,
    /// Opaque id of the payment that this one gives back, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunds_payment_id: Option<Uuid>,
    /// When it was paid; absent where the unit's record is no instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub paid_at: Option<Timestamp>,
    /// Currency, as an ISO 4217 code of three letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// How much, in minor units of the currency; below zero for a refund.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_minor: Option<i64>,
    /// How it was paid: `card`, `cash`, `cheque`, `direct-debit`, `online` or `transfer`; `other`
    /// for a word of the practice's own; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
}

/// What may be told of a fact.
pub(crate) fn of(fact: &Fact) -> Result<Value, serde_json::Error> {
    match fact {
        Fact::Invoice(_, it) => serde_json::to_value(invoice(it)),
        Fact::Payment(_, it) => serde_json::to_value(payment(it)),
    }
}

/// What the public forms promise.
pub(crate) fn schemas() -> Vec<SchemaSource> {
    let form = |type_name, doc, schema| SchemaSource { type_name, version: VERSION, doc, schema };
    let invoices = InvoiceFact::ALL
        .iter()
        .map(|kind| form(kind.public_type(), kind.doc(), PublicInvoice::schema()));
    let payments = PaymentFact::ALL
        .iter()
        .map(|kind| form(kind.public_type(), kind.doc(), PublicPayment::schema()));
    invoices.chain(payments).collect()
}

fn invoice(of: &Invoice) -> PublicInvoice {
    let status = match of.status() {
        Status::Issued => "issued",
        Status::Voided => "voided",
        Status::Unknown => OTHER,
    };
    PublicInvoice {
        invoice_id: of.invoice_id,
        patient_id: of.patient_id,
        appointment_id: of.appointment_id,
        issued_at: of.issued_at,
        currency: currency(of.currency.as_deref()),
        total_minor: of.total_minor,
        status: status.to_owned(),
    }
}

fn payment(of: &Payment) -> PublicPayment {
    let word = |word: &str| METHODS.iter().find(|known| **known == word).map_or(OTHER, |it| it);
    PublicPayment {
        payment_id: of.payment_id,
        invoice_id: of.invoice_id,
        patient_id: of.patient_id,
        refunds_payment_id: of.refunds(),
        paid_at: of.paid_at,
        currency: currency(of.currency.as_deref()),
        amount_minor: of.amount_minor,
        method: of.method.as_deref().map(|method| word(method).to_owned()),
    }
}

fn currency(text: Option<&str>) -> Option<String> {
    Currency::of(text).map(|code| code.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_person_typed_freely_is_told() {
        let canary = || Some("Canary Nightingale".to_owned());
        let invoice = Invoice {
            issued_at_raw: canary(),
            currency: canary(),
            total_minor_raw: canary(),
            status: canary(),
            ..Invoice::default()
        };
        let payment = Payment {
            paid_at_raw: canary(),
            currency: canary(),
            amount_minor_raw: canary(),
            method: canary(),
            reference: canary(),
            ..Payment::default()
        };
        for fact in [
            Fact::Invoice(InvoiceFact::Issued, invoice),
            Fact::Payment(PaymentFact::Received, payment),
        ] {
            let text = of(&fact).unwrap().to_string();
            assert!(!text.contains("anary"), "{text}");
            assert!(text.contains(OTHER), "{text}");
        }
    }

    #[test]
    fn money_and_closed_words_are_told() {
        let given_back = Uuid::from_u128(7);
        let told = payment(&Payment {
            amount_minor: Some(-250),
            currency: Some(" eur".to_owned()),
            method: Some("card".to_owned()),
            reference: Some(Payment::refund_reference(given_back, Some("Canary"))),
            ..Payment::default()
        });
        assert_eq!((told.amount_minor, told.currency.as_deref()), (Some(-250), Some("EUR")));
        assert_eq!(told.method.as_deref(), Some("card"));
        assert_eq!(told.refunds_payment_id, Some(given_back));
        assert_eq!(invoice(&Invoice::default()).status, "issued");
    }

    #[test]
    fn every_public_field_is_documented() {
        for source in schemas() {
            assert!(source.type_name.starts_with("public.billing."), "{}", source.type_name);
            let schema = serde_json::to_value(&source.schema).unwrap();
            for (name, field) in schema["properties"].as_object().unwrap() {
                assert!(field["description"].is_string(), "{}.{name}", source.type_name);
            }
        }
    }
}
