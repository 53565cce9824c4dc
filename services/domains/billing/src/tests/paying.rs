//! What is taken at the payments, and what is refused.

use kit_event::RowOperation;
use proptest::prelude::*;

use super::*;

fn payment(amount_minor: i64) -> Value {
    json!({"payment_id": NEW, "invoice_id": INVOICE, "amount_minor": amount_minor,
        "currency": "EUR"})
}

fn pay(clinic: &Clinic, body: &Value) -> Result<Granted, Rejection> {
    clinic.decide(RecordPayment::TYPE, body)
}

fn said(clinic: &Clinic, body: &Value) -> &'static str {
    pay(clinic, body).map_or_else(|rejection| rejection.slug, |_| "granted")
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

#[test]
fn a_payment_is_one_new_row_of_that_moment() {
    let mut body = with(payment(2_500), "method", json!("card"));
    body["reference"] = json!("receipt 17");
    body["currency"] = json!("eur");
    let granted = pay(&Clinic::open(), &body).unwrap();
    let [change] = granted.changes.as_slice() else { panic!("one row") };
    assert_eq!(change.operation, RowOperation::Insert);
    assert_eq!((change.record.resource, change.record.id), ("payment", NEW));
    let row = json!({"invoice_id": INVOICE, "paid_at": "2026-03-02T12:00:00Z", "currency": "EUR",
        "amount_minor": 2_500, "method": "card", "reference": "receipt 17"});
    assert_eq!(Value::Object(change.fields.clone()), row);
}

#[test]
fn no_payment_exceeds_what_the_desk_has_left_owed() {
    let open = Clinic::open();
    assert_eq!(said(&open, &payment(10_000)), "granted");
    let rejection = pay(&open, &payment(10_001)).unwrap_err();
    assert_eq!(rejection.slug, "amount-exceeds-balance");
    assert!(rejection.detail.contains("10000 EUR"), "{}", rejection.detail);
    let paid = open.desk(PAID, 6_000, "EUR");
    assert_eq!(said(&paid, &payment(4_000)), "granted");
    assert_eq!(said(&paid, &payment(4_001)), "amount-exceeds-balance");
    let given_back = paid.clone().desk(STRANGER, -1_000, "EUR");
    assert_eq!(said(&given_back, &payment(5_000)), "granted");
    let too_much = paid.desk(STRANGER, 9_000, "EUR");
    assert_eq!(said(&too_much, &payment(1)), "amount-exceeds-balance");
    let credit = Clinic::open().invoice("total_minor", json!(-500));
    assert_eq!(said(&credit, &payment(1)), "amount-exceeds-balance");
}

#[test]
fn a_payment_for_another_invoice_leaves_this_one_owed() {
    let other = json!({"payment_id": PAID, "invoice_id": STRANGER, "currency": "EUR",
        "amount_minor": 10_000});
    assert_eq!(said(&Clinic::open().with("payment", other), &payment(10_000)), "granted");
}

#[test]
fn a_bill_is_not_paid_twice_because_a_payment_does_not_read() {
    let other = Clinic::open().desk(STRANGER, 9_999, "USD");
    assert_eq!(said(&other, &payment(10_000)), "granted", "another currency is no doubt");
    for unread in [
        json!({"currency": "EUR", "amount_minor_raw": "about forty"}),
        json!({"currency": "EUR"}),
        json!({"currency": "€", "amount_minor": 10_000}),
        json!({"amount_minor": 10_000}),
    ] {
        let row = with(with(unread, "payment_id", json!(PAID)), "invoice_id", json!(INVOICE));
        let clinic = Clinic::open().with("payment", row.clone());
        assert_eq!(said(&clinic, &payment(10_000)), "balance-unknown", "{row}");
        let elsewhere = Clinic::open().with("payment", with(row, "invoice_id", json!(STRANGER)));
        assert_eq!(said(&elsewhere, &payment(10_000)), "granted");
    }
}

#[test]
fn a_payment_is_for_an_invoice_that_is_owed_and_adds_up() {
    let unknown = with(payment(1), "invoice_id", json!(STRANGER));
    assert_eq!(said(&Clinic::open(), &unknown), "invoice-unknown");
    for (field, value, reason) in [
        ("status", json!("voided"), "invoice-voided"),
        ("status", json!("Bezahlt"), "balance-unknown"),
        ("status", Value::Null, "granted"),
        ("currency", json!("USD"), "currency-mismatch"),
        ("currency", json!("€"), "balance-unknown"),
        ("currency", Value::Null, "balance-unknown"),
        ("total_minor", Value::Null, "balance-unknown"),
        ("currency", json!(" eur "), "granted"),
    ] {
        let clinic = Clinic::open().invoice(field, value.clone());
        assert_eq!(said(&clinic, &payment(1)), reason, "{field} {value}");
    }
    let taken = Clinic::open().desk(NEW, 1, "EUR");
    assert_eq!(said(&taken, &payment(1)), "payment-exists");
}

#[test]
fn who_is_confined_to_one_patient_pays_no_other_invoice() {
    let own = with(payment(1), "patient_id", json!(PATIENT));
    assert_eq!(said(&Clinic::open(), &own), "granted");
    let foreign = with(payment(1), "patient_id", json!(STRANGER));
    assert_eq!(said(&Clinic::open(), &foreign), "invoice-unknown");
    let nobodys = Clinic::open().invoice("patient_id", Value::Null);
    assert_eq!(said(&nobodys, &own), "invoice-unknown");
}

#[test]
fn fields_obey_their_rules_by_themselves() {
    let long = "x".repeat(rules::REFERENCE_CHARS_MAX + 1);
    for (field, value) in [
        ("amount_minor", json!(0)),
        ("amount_minor", json!(-1)),
        ("amount_minor", json!(i64::MIN)),
        ("amount_minor", json!(rules::AMOUNT_MINOR_MAX + 1)),
        ("currency", json!("EURO")),
        ("currency", json!("E1R")),
        ("currency", json!("ÉU")),
        ("currency", json!("")),
        ("method", json!("By Pigeon")),
        ("method", json!("")),
        ("reference", json!(long)),
        ("reference", json!(" ")),
        ("reference", json!("a\u{0}b")),
    ] {
        let body = with(payment(1), field, value);
        let command = Command::read(RecordPayment::TYPE, &body).unwrap();
        let problems = command.validate().unwrap_err();
        assert_eq!(problems.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(), [field]);
        assert_eq!(said(&Clinic::open(), &body), "field-rules");
    }
    for (field, value) in [
        ("amount_minor", json!("12")),
        ("amount_minor", json!(12.5)),
        ("amount_minor", json!(12.0)),
        ("amount_minor", json!(1e30)),
        ("amount_minor", json!(u64::MAX)),
        ("amount_minor", Value::Null),
        ("amount_minor", json!([1])),
        ("currency", json!(978)),
        ("colour", json!("red")),
    ] {
        let body = with(payment(1), field, value.clone());
        assert_eq!(said(&Clinic::open(), &body), "request-malformed", "{field} {value}");
    }
    for type_name in Command::TYPES {
        assert_eq!(Command::read(type_name, &json!({})).unwrap_err().slug, "request-malformed");
        assert_eq!(Command::read(type_name, &json!([])).unwrap_err().slug, "request-malformed");
    }
}

proptest! {
    /// However many pay, in whatever order, and whatever the desk has written: what is granted
    /// never brings a balance below zero.
    #[test]
    fn no_balance_falls_below_zero(
        desk in prop::collection::vec((-20_000i64..20_000, 0usize..3), 0..6),
        asked in prop::collection::vec(1i64..12_000, 1..12),
    ) {
        let mut clinic = Clinic::open();
        for (n, (amount, currency)) in desk.into_iter().enumerate() {
            let id = Uuid::from_u128(500 + n as u128);
            clinic = clinic.desk(id, amount, ["EUR", "eur", "USD"][currency]);
        }
        for (n, amount) in asked.into_iter().enumerate() {
            let before = clinic.balance().balance_minor.unwrap();
            let id = Uuid::from_u128(1_000 + n as u128);
            match pay(&clinic, &with(payment(amount), "payment_id", json!(id))) {
                Ok(granted) => {
                    clinic = clinic.after(&granted);
                    let after = clinic.balance().balance_minor.unwrap();
                    prop_assert_eq!(after, before - amount);
                    prop_assert!(after >= 0);
                }
                Err(rejection) => {
                    prop_assert_eq!(rejection.slug, "amount-exceeds-balance");
                    prop_assert!(amount > before);
                }
            }
        }
    }
}
