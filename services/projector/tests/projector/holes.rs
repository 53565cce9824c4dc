//! Repeats, forks and holes: nothing is applied twice, and nothing jumps.

use kit_bus::Topic;
use kit_event::{Fact, UnitSeq};
use kit_store::HELD_MAX;
use requests::control::{NewEpoch, Resend};
use serde::Deserialize as _;
use uuid::Uuid;

use crate::unit::registered;
use crate::{Network, Unit, eventually};

/// Where the timeline stands with a unit.
async fn applied(network: &Network, unit: &Unit) -> UnitSeq {
    let read = kit_store::freshness(&network.reads, &unit.id, &["timeline"]).await.unwrap();
    read.map_or(UnitSeq::ZERO, |freshness| freshness.seq)
}

async fn resends(network: &Network) -> Vec<Resend> {
    let controls = network.controls(Resend::TYPE).await;
    controls.iter().map(|control| Resend::deserialize(&control.body).unwrap()).collect()
}

fn patients(unit: &mut Unit, count: u128) -> Vec<Fact> {
    (1..=count).map(|n| unit.next(registered(n))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_that_comes_twice_is_applied_once() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    for fact in patients(&mut unit, 3) {
        unit.publish(&fact).await;
        unit.publish(&fact).await;
    }
    let again = unit.say(registered(4)).await;
    network.settle().await;
    unit.publish(&again).await;
    network.settle().await;
    assert_eq!(network.count("select count(*) from timeline.fact").await, 5);
    assert_eq!(network.count("select count(*) from patients.patient").await, 4);
    assert_eq!(network.records(Topic::Parked).await, []);
    assert_eq!(network.records(Topic::Requests).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_facts_under_one_number_the_first_stands_and_the_unit_is_told_once() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let mut facts = patients(&mut unit, 3);
    for fact in &facts {
        unit.publish(fact).await;
    }
    network.settle().await;
    for (n, fact) in facts.iter_mut().enumerate() {
        fact.id = Uuid::new_v4();
        fact.body["family_name"] = format!("Forked {n}").into();
        unit.publish(fact).await;
        unit.publish(fact).await;
    }
    network.settle().await;
    let forked = "select count(*) from patients.patient where state->>'family_name' like 'Forked%'";
    assert_eq!(network.count(forked).await, 0);
    eventually("the order to open a new epoch", || async {
        !network.controls(NewEpoch::TYPE).await.is_empty()
    })
    .await;
    unit.say(registered(9)).await;
    network.settle().await;
    let told = network.controls(NewEpoch::TYPE).await;
    assert_eq!(told.len(), 1);
    let told = NewEpoch::deserialize(&told[0].body).unwrap();
    assert_eq!(told, NewEpoch { above: 1, reason: "fork".to_owned() });
    assert_eq!(network.records(Topic::Parked).await.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_holds_its_unit_and_no_other_until_a_resend_fills_it() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    // One of these shares the partition of the unit on hold.
    let mut others =
        [Unit::open(&network.bus, "hcu-0002").await, Unit::open(&network.bus, "hcu-0003").await];
    let facts = patients(&mut unit, 6);
    for n in [0, 1, 3, 5] {
        unit.publish(&facts[n]).await;
    }
    for other in &mut others {
        other.say(registered(100 + other.id.as_str().len() as u128)).await;
    }
    network.settle().await;
    assert_eq!(applied(&network, &unit).await, facts[1].seq);
    assert_eq!(network.count("select count(*) from patients.held").await, 2);
    assert_eq!(applied(&network, &others[0]).await, others[0].at);
    assert_eq!(applied(&network, &others[1]).await, others[1].at);

    eventually("a resend", || async { !resends(&network).await.is_empty() }).await;
    let asked = resends(&network).await;
    assert_eq!(asked, [Resend { from: facts[2].seq, to: facts[4].seq }]);
    unit.publish(&facts[2]).await;
    network.settle().await;
    assert_eq!(applied(&network, &unit).await, facts[3].seq);

    eventually("a resend of the next hole", || async { resends(&network).await.len() == 2 }).await;
    assert_eq!(resends(&network).await[1], Resend { from: facts[4].seq, to: facts[4].seq });
    unit.publish(&facts[4]).await;
    network.settle().await;
    assert_eq!(applied(&network, &unit).await, facts[5].seq);
    let read = kit_store::freshness(&network.reads, &unit.id, &["patients"]).await.unwrap();
    assert_eq!(read.unwrap().as_of, facts[5].time);
    assert_eq!(network.count("select count(*) from timeline.held").await, 0);
    let home = "select count(*) from patients.home where unit = 'hcu-0001'";
    assert_eq!(network.count(home).await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_a_full_hold_facts_are_dropped_and_asked_for() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let facts = patients(&mut unit, HELD_MAX as u128 + 40);
    for fact in &facts[1..] {
        unit.publish(fact).await;
    }
    network.settle().await;
    for schema in ["patients", "timeline", "units"] {
        let held = format!("select count(*) from {schema}.held");
        assert_eq!(network.count(&held).await, HELD_MAX as i64);
    }
    eventually("a resend", || async { !resends(&network).await.is_empty() }).await;
    unit.publish(&facts[0]).await;
    network.settle().await;
    assert_eq!(applied(&network, &unit).await, facts[HELD_MAX].seq);
    eventually("a resend of the rest", || async { resends(&network).await.len() > 1 }).await;
    let asked = resends(&network).await.pop().unwrap();
    assert_eq!(asked, Resend { from: facts[HELD_MAX + 1].seq, to: unit.at });
    for fact in &facts[HELD_MAX + 1..] {
        unit.publish(fact).await;
    }
    network.settle().await;
    assert_eq!(applied(&network, &unit).await, unit.at);
    assert_eq!(network.count("select count(*) from patients.patient").await, facts.len() as i64);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_resends_a_unit_stays_on_hold_until_the_fact_comes() {
    let mut network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let facts = patients(&mut unit, 20);
    unit.publish(&facts[1]).await;
    for fact in &facts[2..8] {
        let asked = resends(&network).await.len();
        unit.publish(fact).await;
        network.settle().await;
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        assert!(resends(&network).await.len() <= asked + 1);
    }
    assert_eq!(resends(&network).await.len(), 3);
    // Another process has not forgotten how often was asked.
    network.stop().await;
    network.start(None);
    network.ready().await;
    unit.publish(&facts[8]).await;
    network.settle().await;
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    assert_eq!(resends(&network).await.len(), 3);
    unit.publish(&facts[0]).await;
    network.settle().await;
    assert_eq!(applied(&network, &unit).await, facts[8].seq);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_is_away_is_asked_once_however_long_it_is_away() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let facts = patients(&mut unit, 2);
    unit.publish(&facts[1]).await;
    eventually("a resend", || async { !resends(&network).await.is_empty() }).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(resends(&network).await.len(), 1);
}
