//! What is said to have happened.

use proptest::prelude::*;

use super::*;

fn invoice(status: Option<&str>) -> Invoice {
    Invoice {
        invoice_id: INVOICE,
        patient_id: Some(PATIENT),
        currency: Some("EUR".into()),
        total_minor: Some(10_000),
        status: status.map(str::to_owned),
        ..Invoice::default()
    }
}

fn payment(amount_minor: Option<i64>) -> Payment {
    Payment {
        payment_id: PAID,
        invoice_id: Some(INVOICE),
        patient_id: Some(PATIENT),
        amount_minor,
        ..Payment::default()
    }
}

fn invoices(before: Option<&Invoice>, after: Option<&Invoice>) -> Vec<&'static str> {
    let short = |fact: &Fact| fact.type_name().trim_start_matches("billing.invoice_");
    invoice::observe(before, after).iter().map(short).collect()
}

fn payments(before: Option<&Payment>, after: Option<&Payment>) -> Vec<&'static str> {
    let short = |fact: &Fact| fact.type_name().trim_start_matches("billing.payment_");
    payment::observe(before, after).iter().map(short).collect()
}

#[test]
fn an_invoice_first_seen_gives_the_fact_of_its_status() {
    assert_eq!(invoices(None, Some(&invoice(Some("issued")))), ["issued"]);
    assert_eq!(invoices(None, Some(&invoice(None))), ["issued"]);
    assert_eq!(invoices(None, Some(&invoice(Some("voided")))), ["voided"]);
    assert_eq!(invoices(None, Some(&invoice(Some("Entwurf")))), ["amended"]);
}

#[test]
fn a_change_of_an_invoices_status_comes_before_any_other_field() {
    let issued = invoice(Some("issued"));
    let voided = Invoice { total_minor: Some(0), ..invoice(Some("voided")) };
    let odd = invoice(Some("Mahnung 2"));
    assert_eq!(invoices(Some(&issued), Some(&voided)), ["voided"]);
    assert_eq!(invoices(Some(&voided), Some(&issued)), ["reinstated"]);
    assert_eq!(invoices(Some(&issued), Some(&odd)), ["amended"]);
    assert_eq!(invoices(Some(&odd), Some(&invoice(Some("mahnung 3")))), ["amended"]);
    assert_eq!(invoices(Some(&odd), Some(&voided)), ["voided"]);
    assert_eq!(invoices(Some(&odd), Some(&issued)), ["reinstated"]);
    assert_eq!(invoices(Some(&issued), Some(&invoice(None))), ["amended"], "both are issued");
    let dearer = Invoice { total_minor: Some(10_001), ..issued.clone() };
    assert_eq!(invoices(Some(&issued), Some(&dearer)), ["amended"]);
    assert_eq!(invoices(Some(&issued), Some(&issued)), [""; 0]);
    assert_eq!(invoices(Some(&issued), None), ["removed"]);
    assert_eq!(invoices(None, None), [""; 0]);
}

#[test]
fn a_payment_first_seen_came_in_or_went_back() {
    assert_eq!(payments(None, Some(&payment(Some(1)))), ["received"]);
    assert_eq!(payments(None, Some(&payment(Some(0)))), ["received"]);
    assert_eq!(payments(None, Some(&payment(Some(-1)))), ["refunded"]);
    let typed = Payment { amount_minor_raw: Some("12,50".into()), ..payment(None) };
    assert_eq!(payments(None, Some(&typed)), ["amended"], "nobody can say which");
    assert_eq!(payments(Some(&typed), Some(&payment(Some(1_250)))), ["amended"]);
    assert_eq!(payments(Some(&payment(Some(1))), Some(&payment(Some(-1)))), ["amended"]);
    assert_eq!(payments(Some(&typed), None), ["removed"]);
    assert_eq!(payments(Some(&typed), Some(&typed)), [""; 0]);
}

#[test]
fn an_amount_as_somebody_typed_it_is_a_fact_all_the_same() {
    let row = json!({"payment_id": PAID, "invoice_id": INVOICE, "amount_minor_raw": "zwölf"});
    let observed = Billing.observe("payment", None, Some(&row)).unwrap();
    assert_eq!(observed[0].type_name, "billing.payment_amended");
    assert_eq!(observed[0].body, row);
    assert_eq!(observed[0].subject, format!("payment/{PAID}"));
    assert_eq!(observed[0].patient_id, None);
}

#[test]
fn another_patient_means_one_gone_and_another_seen() {
    let (old, new) = (invoice(None), Invoice { patient_id: Some(STRANGER), ..invoice(None) });
    let facts = invoice::observe(Some(&old), Some(&new));
    let observed: Vec<_> = facts.iter().map(|fact| fact.observed().unwrap()).collect();
    assert_eq!(observed[0].type_name, "billing.invoice_removed");
    assert_eq!(observed[0].patient_id, Some(PATIENT));
    assert_eq!(observed[1].type_name, "billing.invoice_issued");
    assert_eq!(observed[1].patient_id, Some(STRANGER));
    let moved = Payment { patient_id: Some(STRANGER), ..payment(Some(-5)) };
    assert_eq!(payments(Some(&payment(Some(-5))), Some(&moved)), ["removed", "refunded"]);
    let nobodys = Payment { patient_id: None, ..payment(Some(5)) };
    assert_eq!(payments(Some(&nobodys), Some(&payment(Some(5)))), ["amended"], "now it is known");
    assert_eq!(payments(Some(&payment(Some(5))), Some(&nobodys)), ["removed", "received"]);
}

#[test]
fn a_snapshot_says_that_nothing_happened() {
    let row = serde_json::to_value(invoice(Some("issued"))).unwrap();
    let snapshot = Billing.snapshot("invoice", &row).unwrap();
    assert_eq!(snapshot.type_name, "billing.invoice_snapshot");
    assert_eq!((snapshot.body, snapshot.patient_id), (row, Some(PATIENT)));
    let row = serde_json::to_value(payment(Some(1))).unwrap();
    assert_eq!(Billing.snapshot("payment", &row).unwrap().type_name, "billing.payment_snapshot");
    assert!(Billing.snapshot("patient", &json!({})).is_err());
    assert!(Billing.observe("patient", None, Some(&json!({}))).unwrap().is_empty());
}

fn any_payment() -> impl Strategy<Value = Option<Payment>> {
    let patient = prop::option::of(1u128..3);
    let fields = (3u128..5, patient, any::<Option<i64>>(), prop::option::of("[a-z]{1,3}"));
    prop::option::of(fields.prop_map(|(id, patient, amount_minor, raw)| Payment {
        payment_id: Uuid::from_u128(id),
        patient_id: patient.map(Uuid::from_u128),
        amount_minor,
        amount_minor_raw: raw,
        ..Payment::default()
    }))
}

fn any_invoice() -> impl Strategy<Value = Option<Invoice>> {
    let status = prop::option::of(prop::sample::select(vec!["issued", "voided", "odd"]));
    let fields = (3u128..5, prop::option::of(1u128..3), any::<Option<i64>>(), status);
    prop::option::of(fields.prop_map(|(id, patient, total_minor, status)| Invoice {
        invoice_id: Uuid::from_u128(id),
        patient_id: patient.map(Uuid::from_u128),
        total_minor,
        status: status.map(str::to_owned),
        ..Invoice::default()
    }))
}

/// Applies facts to rows by subject, as a reader does; and every fact reads back as itself.
fn applied(mut rows: std::collections::BTreeMap<String, Value>, facts: Vec<Fact>) -> Vec<Value> {
    for fact in facts {
        let removes = fact.removes();
        let observed = fact.observed().unwrap();
        assert_eq!(Fact::read(observed.type_name, &observed.body).unwrap(), Some(fact));
        assert_eq!(
            observed.body.get("patient_id").cloned(),
            observed.patient_id.map(|id| json!(id))
        );
        if removes {
            rows.remove(&observed.subject);
        } else {
            rows.insert(observed.subject, observed.body);
        }
    }
    rows.into_values().collect()
}

proptest! {
    /// Whoever applies the facts of a change has exactly the rows of the clinic, and no fact tells
    /// one patient of another.
    #[test]
    fn facts_of_payments_give_the_state(before in any_payment(), after in any_payment()) {
        let held = before.iter().map(|it| (format!("payment/{}", it.payment_id), json!(it)));
        let rows = applied(held.collect(), payment::observe(before.as_ref(), after.as_ref()));
        prop_assert_eq!(rows, after.iter().map(|it| json!(it)).collect::<Vec<_>>());
    }

    /// As for payments.
    #[test]
    fn facts_of_invoices_give_the_state(before in any_invoice(), after in any_invoice()) {
        let held = before.iter().map(|it| (format!("invoice/{}", it.invoice_id), json!(it)));
        let rows = applied(held.collect(), invoice::observe(before.as_ref(), after.as_ref()));
        prop_assert_eq!(rows, after.iter().map(|it| json!(it)).collect::<Vec<_>>());
    }
}
