//! What adds up, and what does not.

use proptest::prelude::*;

use super::*;

fn bill(total_minor: Option<i64>) -> Invoice {
    Invoice { currency: Some("EUR".into()), total_minor, ..Invoice::default() }
}

fn paid(amount_minor: Option<i64>, currency: Option<&str>) -> Payment {
    Payment { amount_minor, currency: currency.map(str::to_owned), ..Payment::default() }
}

#[test]
fn what_is_left_out_stands_beside_the_balance() {
    let payments = [
        paid(Some(3_000), Some("EUR")),
        paid(Some(-500), Some(" eur")),
        paid(Some(700), Some("USD")),
        paid(Some(-100), Some("usd")),
        paid(Some(1), Some("€")),
        paid(None, Some("EUR")),
        paid(None, None),
    ];
    let shown = serde_json::to_value(Balance::of(&bill(Some(10_000)), &Tally::of(&payments)));
    let expected = json!({"paid_minor": 2_500, "balance_minor": 7_500, "not_counted": [
        {"reason": "other-currency", "count": 2, "currency": "USD", "sum_minor": 600},
        {"reason": "currency-unreadable", "count": 1},
        {"reason": "amount-unreadable", "count": 2},
    ]});
    assert_eq!(shown.unwrap(), expected);
}

#[test]
fn a_balance_that_nobody_can_tell_says_why() {
    let tally = Tally::of(&[paid(Some(5), Some("EUR"))]);
    for (invoice, missing, paid_minor) in [
        (bill(None), "total", Some(5)),
        (Invoice { status: Some("Storniert?".into()), ..bill(Some(9)) }, "status", Some(5)),
        (Invoice { currency: Some("Euro".into()), ..bill(Some(9)) }, "currency", None),
        (Invoice { currency: None, ..bill(Some(9)) }, "currency", None),
    ] {
        let balance = Balance::of(&invoice, &tally);
        assert_eq!(balance.balance_missing.as_deref(), Some(missing));
        assert_eq!((balance.balance_minor, balance.paid_minor), (None, paid_minor));
    }
    let without = Balance::of(&Invoice { currency: None, ..bill(Some(9)) }, &tally);
    assert_eq!(without.not_counted[0].reason, "other-currency", "it counts for nothing then");
}

#[test]
fn a_voided_invoice_owes_nothing_whatever_its_total_says() {
    let voided = Invoice { status: Some("voided".into()), ..bill(None) };
    assert_eq!(Balance::of(&voided, &Tally::default()).balance_minor, Some(0));
    let tally = Tally::of(&[paid(Some(5), Some("EUR"))]);
    assert_eq!(Balance::of(&voided, &tally).balance_minor, Some(-5));
}

#[test]
fn sums_beyond_64_bits_neither_wrap_nor_show() {
    let most = [paid(Some(i64::MAX), Some("EUR")), paid(Some(i64::MAX), Some("EUR"))];
    let balance = Balance::of(&bill(Some(i64::MIN)), &Tally::of(&most));
    assert_eq!((balance.balance_minor, balance.paid_minor), (None, None));
    assert_eq!(balance.balance_missing.as_deref(), Some("range"));
    let mut tally = Tally::default();
    tally.add("EUR".parse().ok(), u64::MAX, Some(i128::MAX));
    tally.add("EUR".parse().ok(), 1, Some(1));
    assert_eq!(tally.paid("EUR".parse().unwrap()), i128::MAX);
    let back = Balance::of(&bill(Some(i64::MAX)), &Tally::of(&[most[0].clone()]));
    assert_eq!(back.balance_minor, Some(0));
}

#[test]
fn a_currency_is_three_letters_however_they_are_typed() {
    for same in ["EUR", "eur", " Eur ", "eUR\n"] {
        assert_eq!(same.parse::<Currency>().unwrap().to_string(), "EUR");
    }
    for bad in ["", "EU", "EURO", "E R", "1UR", "€", "é\u{301}", "E\u{0}R"] {
        assert!(bad.parse::<Currency>().is_err(), "{bad}");
    }
}

#[test]
fn a_statement_is_the_state_with_the_balance_beside_it() {
    let statement = Statement {
        invoice: bill(Some(7)),
        balance: Balance::of(&bill(Some(7)), &Tally::default()),
        payments: Some(vec![]),
        payments_more: None,
    };
    let shown = serde_json::to_value(&statement).unwrap();
    let expected = json!({"invoice_id": Uuid::nil(), "currency": "EUR", "total_minor": 7,
        "paid_minor": 0, "balance_minor": 7, "payments": []});
    assert_eq!(shown, expected);
    assert_eq!(read::<Statement>(&shown), statement);
}

fn any_payment() -> impl Strategy<Value = Payment> {
    let currency = prop::sample::select(vec![None, Some("EUR"), Some("usd"), Some("Taler")]);
    (any::<Option<i64>>(), currency).prop_map(|(amount, currency)| paid(amount, currency))
}

proptest! {
    /// Payments add up to the same in any order and in any grouping, and none is lost: it counts,
    /// or it is told.
    #[test]
    fn every_payment_counts_or_is_told(
        payments in prop::collection::vec(any_payment(), 0..20),
        total in any::<i64>(),
    ) {
        let tally = Tally::of(&payments);
        let backwards = Tally::of(payments.iter().rev());
        prop_assert_eq!(&tally, &backwards);
        let mut grouped = Tally::default();
        for payment in &payments {
            let currency = Currency::of(payment.currency.as_deref());
            grouped.add(currency, 1, payment.amount_minor.map(i128::from));
        }
        prop_assert_eq!(&tally, &grouped);
        let balance = Balance::of(&bill(Some(total)), &tally);
        let counted = payments
            .iter()
            .filter(|it| it.amount_minor.is_some() && it.currency.as_deref() == Some("EUR"));
        let (mut count, mut sum) = (0, 0i128);
        for payment in counted {
            count += 1;
            sum += i128::from(payment.amount_minor.unwrap());
        }
        prop_assert_eq!(balance.paid_minor, i64::try_from(sum).ok());
        prop_assert_eq!(balance.balance_minor, i64::try_from(i128::from(total) - sum).ok());
        let told: u64 = balance.not_counted.iter().map(|it| it.count).sum();
        prop_assert_eq!(told + count, payments.len() as u64);
    }

    /// No text is read as a currency that is not three letters, and none stops the reader.
    #[test]
    fn any_text_is_a_currency_or_none(text in any::<String>()) {
        let read = Currency::of(Some(&text));
        let letters = text.trim();
        let is_code = letters.len() == 3 && letters.bytes().all(|b| b.is_ascii_alphabetic());
        prop_assert_eq!(read.map(|it| it.to_string()),
            is_code.then(|| letters.to_ascii_uppercase()));
    }
}
