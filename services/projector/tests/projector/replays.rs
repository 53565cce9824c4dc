//! The log read again gives the same rows, and a kill at any moment loses and doubles nothing.

use std::time::Duration;

use kit_event::{Fact, Timestamp, UnitSeq};
use patients::PatientFact;
use requests::control::Resend;
use requests::{FinalState, RequestFact, RequestOutcome};
use scheduling::facts::AppointmentFact;
use serde::Deserialize as _;
use sqlx::AssertSqlSafe;

use crate::unit::{appointment, appointment_fact, patient, patient_fact, registered, result_filed};
use crate::{Network, Unit};

/// Some months of two units, with everything in it that a log may hold.
pub async fn history(network: &Network) {
    for name in ["hcu-0001", "hcu-0002"] {
        let mut unit = Unit::open(&network.bus, name).await;
        let base = u128::from(name.as_bytes()[7]) * 1_000;
        let mut facts: Vec<Fact> = Vec::new();
        for n in 0..30 {
            facts.push(unit.next(registered(base + n)));
            let mut booked = appointment(base + n, "2026-03-02T10:00:00Z");
            facts.push(unit.next(appointment_fact(AppointmentFact::Booked, &booked)));
            booked.status = Some("cancelled".to_owned());
            facts.push(unit.next(appointment_fact(AppointmentFact::Cancelled, &booked)));
            facts.push(unit.next(result_filed(1)));
        }
        facts.push(unit.next(patient_fact(PatientFact::Removed, &patient(base, "Gone", "Now"))));
        // Shuffled within short stretches, with repeats.
        for stretch in facts.chunks(7) {
            for fact in stretch.iter().rev().chain(stretch.first()) {
                unit.publish(fact).await;
            }
        }
        for n in 0..5 {
            let request = unit.request(&format!("key {n}"), base);
            network.bus.publish_request(&request).await.unwrap();
            if n > 1 {
                let decided_at = Timestamp::from_unix_ms(1_772_357_500_000);
                let word = RequestOutcome::new(request.id, FinalState::Done, decided_at);
                let fact = requests::Fact::Request(RequestFact::Done, word);
                unit.say(fact.observed().unwrap()).await;
            }
        }
        unit.open_epoch(2).await;
        for n in 5..15 {
            unit.say(patient_fact(PatientFact::Snapshot, &patient(base + n, "Second", "Epoch")))
                .await;
        }
        unit.say(unit.seeded(&["patient"])).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_from_the_log_gives_the_same_rows() {
    let mut network = Network::running().await;
    history(&network).await;
    network.settle().await;
    let before = network.dump().await;
    assert!(before.len() > 500, "{} rows", before.len());

    // All of the log once more over the rows that are there.
    network.stop().await;
    for domain in projector::domains::ALL {
        let sql = format!("update {}.offsets set next_offset = 0", domain.schema());
        sqlx::query(AssertSqlSafe(sql)).execute(&network.admin).await.unwrap();
    }
    network.start(None);
    network.settle().await;
    assert_eq!(network.dump().await, before);

    // And from nothing.
    network.stop().await;
    for domain in projector::domains::ALL {
        let sql = format!("drop schema {} cascade", domain.schema());
        sqlx::query(AssertSqlSafe(sql)).execute(&network.admin).await.unwrap();
    }
    network.start(None);
    network.settle().await;
    assert_eq!(network.dump().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_loses_and_doubles_nothing() {
    let mut network = Network::bare(2).await;
    history(&network).await;
    network.start(None);
    network.settle().await;
    let expected = network.dump().await;
    network.stop().await;
    for domain in projector::domains::ALL {
        let sql = format!("drop schema {} cascade", domain.schema());
        sqlx::query(AssertSqlSafe(sql)).execute(&network.admin).await.unwrap();
    }
    // Each life is a little longer than the one before; the first die before they have migrated.
    for life_ms in (0..400).step_by(16) {
        network.start(None);
        tokio::time::sleep(Duration::from_millis(life_ms)).await;
        network.kill().await;
    }
    network.start(None);
    network.settle().await;
    assert_eq!(network.dump().await, expected);
}

/// The facts of some units, each as far ahead of a full hold as behind it.
fn long_histories(network: &Network) -> Vec<Vec<Fact>> {
    let history = |name: &str| {
        let mut unit = Unit::new(&network.bus, name);
        unit.at = UnitSeq::new(1, 0);
        let base = u128::from(name.as_bytes()[7]) * 10_000;
        (0..600).map(|n| unit.next(registered(base + n % 50))).collect()
    };
    ["hcu-0001", "hcu-0002", "hcu-0003"].map(history).into()
}

/// Answers resends as an agent would, until nothing is missing.
async fn answer_resends(network: &Network, histories: &[Vec<Fact>]) {
    let mut answered = 0;
    loop {
        network.settle().await;
        let controls = network.controls(Resend::TYPE).await;
        for control in &controls[answered..] {
            let asked = Resend::deserialize(&control.body).unwrap();
            let facts = histories.iter().flatten().filter(|fact| fact.unit == control.unit);
            for fact in facts.filter(|fact| (asked.from..=asked.to).contains(&fact.seq)) {
                network.bus.publish_fact(fact).await.unwrap();
            }
        }
        answered = controls.len();
        let whole = "select count(*) from timeline.applied where epoch = 1 and seq = 600";
        if network.count(whole).await == histories.len() as i64 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A row as dumped, without the moment at which it came onto its log.
fn without_log_time(row: &str) -> String {
    let (table, row) = row.split_once(' ').unwrap();
    let mut row: serde_json::Value = serde_json::from_str(row).unwrap();
    row.as_object_mut().unwrap().remove("claimed_ms");
    format!("{table} {row}")
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_shuffled_repeated_or_lost_the_rows_are_those_of_the_order() {
    let (ordered, shuffled) = (Network::running().await, Network::running().await);
    let histories = long_histories(&ordered);
    for fact in histories.iter().flatten() {
        ordered.bus.publish_fact(fact).await.unwrap();
    }
    // A fixed sequence that looks like chance; a third is lost, a sixth comes twice or more.
    let mut chance: u64 = 7;
    let mut draw = |below: usize| {
        chance =
            chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) as usize % below
    };
    for history in &histories {
        for _ in 0..history.len() {
            let fact = &history[draw(history.len())];
            shuffled.bus.publish_fact(fact).await.unwrap();
        }
        shuffled.bus.publish_fact(history.last().unwrap()).await.unwrap();
    }
    ordered.settle().await;
    tokio::time::timeout(crate::SOON, answer_resends(&shuffled, &histories)).await.unwrap();
    shuffled.settle().await;
    let rows = async |network: &Network| {
        // Where a fact stands on the log is the one thing that may differ.
        let mut rows = network.dump().await;
        rows.retain(|row| !row.starts_with("timeline.fact"));
        let mut rows: Vec<_> = rows.iter().map(|row| without_log_time(row)).collect();
        rows.sort();
        rows
    };
    assert_eq!(rows(&shuffled).await, rows(&ordered).await);
    assert_eq!(shuffled.count("select count(*) from timeline.fact").await, 1_800);
    assert_eq!(shuffled.count("select count(*) from patients.held").await, 0);
}
