//! What is given back, and what is refused.

use kit_event::RowOperation;
use proptest::prelude::*;

use super::*;

fn refund(amount_minor: Option<i64>) -> Value {
    json!({"refund_id": NEW, "payment_id": PAID, "amount_minor": amount_minor})
}

fn give_back(clinic: &Clinic, body: &Value) -> Result<Granted, Rejection> {
    clinic.decide(RefundPayment::TYPE, body)
}

fn said(clinic: &Clinic, amount_minor: Option<i64>) -> &'static str {
    give_back(clinic, &refund(amount_minor)).map_or_else(|rejection| rejection.slug, |_| "granted")
}

fn paid() -> Clinic {
    Clinic::open().desk(PAID, 6_000, "EUR")
}

#[test]
fn a_refund_is_a_payment_below_zero_that_names_the_one_it_gives_back() {
    let mut body = refund(Some(1_500));
    body["reference"] = json!("visit did not take place");
    let granted = give_back(&paid(), &body).unwrap();
    let [change] = granted.changes.as_slice() else { panic!("one row") };
    assert_eq!((change.operation, change.record.id), (RowOperation::Insert, NEW));
    let row = json!({"invoice_id": INVOICE, "paid_at": "2026-03-02T12:00:00Z", "currency": "EUR",
        "amount_minor": -1_500, "reference": format!("refund:{PAID} visit did not take place")});
    assert_eq!(Value::Object(change.fields.clone()), row);
    let after = paid().after(&granted);
    assert_eq!(after.balance().balance_minor, Some(5_500));
}

#[test]
fn without_an_amount_all_that_is_left_goes_back() {
    let first = give_back(&paid(), &refund(Some(1_000))).unwrap();
    let clinic = paid().after(&first).with(
        "payment",
        json!({"payment_id": STRANGER, "invoice_id": INVOICE, "currency": "EUR",
            "amount_minor": 4_000}),
    );
    let mut rest = refund(None);
    rest["refund_id"] = json!(Uuid::from_u128(9));
    let granted = give_back(&clinic, &rest).unwrap();
    assert_eq!(granted.changes[0].fields["amount_minor"], -5_000);
}

#[test]
fn no_more_goes_back_than_came_in() {
    assert_eq!(said(&paid(), Some(6_000)), "granted");
    assert_eq!(said(&paid(), Some(6_001)), "refund-exceeds-payment");
    let other = paid().desk(STRANGER, 4_000, "EUR");
    assert_eq!(said(&other, Some(6_001)), "refund-exceeds-payment", "not out of another payment");
    let desk = paid().desk(STRANGER, -5_000, "EUR");
    assert_eq!(said(&desk, Some(1_000)), "granted");
    assert_eq!(said(&desk, Some(1_001)), "refund-exceeds-payment", "the desk gave it back");
    let all = give_back(&paid(), &refund(None)).unwrap();
    let mut again = refund(None);
    again["refund_id"] = json!(STRANGER);
    let rejection = give_back(&paid().after(&all), &again).unwrap_err();
    assert_eq!(rejection.slug, "refund-exceeds-payment");
    assert!(rejection.detail.contains(" 0 EUR"), "{}", rejection.detail);
}

#[test]
fn a_payers_note_that_looks_like_a_refunds_gives_nothing_back() {
    let first = give_back(&paid(), &refund(Some(6_000))).unwrap();
    let note = format!("refund:{PAID}");
    let clinic = paid().after(&first).with(
        "payment",
        json!({"payment_id": STRANGER, "invoice_id": INVOICE, "currency": "EUR",
            "amount_minor": 6_000, "reference": note}),
    );
    let mut again = refund(Some(1));
    again["refund_id"] = json!(Uuid::from_u128(9));
    let rejection = give_back(&clinic, &again).unwrap_err();
    assert_eq!(rejection.slug, "refund-exceeds-payment", "all of it went back");
}

#[test]
fn a_voided_invoice_gives_back_what_was_paid_for_it() {
    let voided = paid().invoice("status", json!("voided"));
    assert_eq!(voided.balance().balance_minor, Some(-6_000));
    assert_eq!(said(&voided, None), "granted");
}

#[test]
fn what_is_no_readable_payment_is_not_given_back() {
    assert_eq!(said(&Clinic::open(), None), "payment-unknown");
    let odd = |row: Value| said(&Clinic::open().with("payment", row), Some(1));
    let row = |amount: Value, currency: Value, invoice: Value| {
        json!({"payment_id": PAID, "invoice_id": invoice, "currency": currency,
            "amount_minor": amount})
    };
    assert_eq!(odd(row(json!(-5), json!("EUR"), json!(INVOICE))), "payment-not-refundable");
    assert_eq!(odd(row(json!(0), json!("EUR"), json!(INVOICE))), "payment-not-refundable");
    assert_eq!(odd(row(Value::Null, json!("EUR"), json!(INVOICE))), "payment-not-refundable");
    assert_eq!(odd(row(json!(5), json!("cash"), json!(INVOICE))), "payment-not-refundable");
    assert_eq!(odd(row(json!(5), json!("EUR"), Value::Null)), "payment-not-refundable");
    // One whose invoice is gone, or is in another currency, is money all the same.
    assert_eq!(odd(row(json!(5), json!("USD"), json!(STRANGER))), "granted");
}

#[test]
fn a_refunds_fields_obey_their_rules() {
    for amount in [0, -1, i64::MIN, i64::MAX] {
        assert_eq!(said(&paid(), Some(amount)), "field-rules", "{amount}");
    }
    let mut body = refund(None);
    body["amount_minor"] = json!("all");
    assert_eq!(give_back(&paid(), &body).unwrap_err().slug, "request-malformed");
    let taken = paid().desk(NEW, 1, "EUR");
    assert_eq!(said(&taken, None), "payment-exists");
}

#[test]
fn a_reference_names_a_payment_only_in_the_form_that_we_write() {
    let of = |reference: &str| {
        Payment { reference: Some(reference.to_owned()), ..Payment::default() }.refunds()
    };
    assert_eq!(of(&Payment::refund_reference(PAID, None)), Some(PAID));
    assert_eq!(of(&Payment::refund_reference(PAID, Some("a b"))), Some(PAID));
    for other in ["", "refund:", "refund: ", "refund:x", "Refund of yesterday", "17"] {
        assert_eq!(of(other), None, "{other}");
    }
}

proptest! {
    /// However often it is asked for, no more goes back than was paid.
    #[test]
    fn refunds_never_exceed_the_payment(asked in prop::collection::vec(1i64..7_000, 1..12)) {
        let mut clinic = paid().desk(STRANGER, 2_000, "EUR");
        let mut back = 0;
        for (n, amount) in asked.into_iter().enumerate() {
            let mut body = refund(Some(amount));
            body["refund_id"] = json!(Uuid::from_u128(1_000 + n as u128));
            match give_back(&clinic, &body) {
                Ok(granted) => {
                    clinic = clinic.after(&granted);
                    back += amount;
                }
                Err(rejection) => {
                    prop_assert_eq!(rejection.slug, "refund-exceeds-payment");
                    prop_assert!(back + amount > 6_000);
                }
            }
            prop_assert!(back <= 6_000);
            prop_assert_eq!(clinic.balance().paid_minor, Some(8_000 - back));
        }
    }
}
