//! New epochs: they open at their first fact, end what was before, and withdraw what they do not
//! name.

use kit_bus::Topic;
use kit_event::UnitSeq;
use patients::PatientFact;
use patients_store::PatientFilter;
use requests::control::Resend;
use serde::Deserialize as _;
use uuid::Uuid;

use crate::unit::{patient, patient_fact, registered};
use crate::{Network, Unit, eventually};

async fn is_there(network: &Network, unit: &Unit, n: u128) -> bool {
    let read = patients_store::patient(&network.reads, &unit.id, Uuid::from_u128(n)).await;
    read.unwrap().value.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_new_epoch_does_not_name_is_withdrawn_and_not_deleted() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let mut other = Unit::open(&network.bus, "hcu-0002").await;
    for n in 1..=3 {
        unit.say(registered(n)).await;
    }
    other.say(registered(11)).await;
    unit.open_epoch(2).await;
    unit.say(patient_fact(PatientFact::Snapshot, &patient(1, "Costa", "Ana"))).await;
    unit.say(registered(4)).await;
    network.settle().await;
    assert!(is_there(&network, &unit, 2).await, "until the epoch is whole nothing is withdrawn");
    unit.say(unit.seeded(&["patient"])).await;
    network.settle().await;
    for (n, stays) in [(1, true), (2, false), (3, false), (4, true)] {
        assert_eq!(is_there(&network, &unit, n).await, stays, "{n}");
    }
    assert!(is_there(&network, &other, 11).await);
    assert_eq!(network.count("select count(*) from patients.patient where withdrawn").await, 2);
    let all = PatientFilter::default();
    let page = patients_store::patients(&network.reads, &unit.id, &all, None, 10).await.unwrap();
    assert_eq!(page.value.items.len(), 2);

    unit.say(patient_fact(PatientFact::Amended, &patient(2, "Back", "Again"))).await;
    network.settle().await;
    assert!(is_there(&network, &unit, 2).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_things_that_an_epoch_named_are_withdrawn() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    unit.say(registered(1)).await;
    unit.open_epoch(2).await;
    unit.say(unit.seeded(&["appointment"])).await;
    network.settle().await;
    assert!(is_there(&network, &unit, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_higher_epoch_waits_for_its_first_fact_and_ends_the_lower_one() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let early = unit.next(registered(1));
    let missing = unit.next(registered(2));
    let held = unit.next(registered(3));
    let late = unit.next(registered(4));
    unit.publish(&early).await;
    unit.publish(&held).await;
    let mut second = Unit::new(&network.bus, "hcu-0001");
    second.at = UnitSeq::new(2, 1);
    let ahead = second.next(registered(5));
    second.publish(&ahead).await;
    network.settle().await;
    assert!(!is_there(&network, &unit, 5).await);
    eventually("a resend", || async {
        let controls = network.controls(Resend::TYPE).await;
        let mut asked = controls.iter().map(|control| Resend::deserialize(&control.body).unwrap());
        asked.next_back() == Some(Resend { from: UnitSeq::new(2, 1), to: UnitSeq::new(2, 1) })
    })
    .await;
    second.open_epoch(2).await;
    network.settle().await;
    assert!(is_there(&network, &unit, 5).await);
    for stale in [&missing, &late, &early] {
        unit.publish(stale).await;
    }
    network.settle().await;
    for (n, stays) in [(1, true), (2, false), (3, false), (4, false), (5, true)] {
        assert_eq!(is_there(&network, &unit, n).await, stays, "{n}");
    }
    // What was held of the lower epoch and what came too late; the early one is a known repeat.
    let parked = network.records(Topic::Parked).await;
    let mut ids: Vec<_> = parked.iter().map(|record| record.ce_id().unwrap()).collect();
    let mut expected = [held.id.to_string(), missing.id.to_string(), late.id.to_string()];
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected);
}
