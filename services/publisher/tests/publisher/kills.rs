//! kill -9 at every step, and at any moment under load: no hole, no double, no disorder.

use std::time::Duration;

use publisher::failpoints::Step;

use crate::{Child, Network, Tally, Unit};

/// How often a step is passed before the process dies there: at once, later, and deep in a batch.
fn passes(step: Step) -> &'static [u32] {
    match step {
        Step::MidBatch => &[0, 1, 60],
        Step::BeforeSend
        | Step::AfterSend
        | Step::AfterFlush
        | Step::BeforeCommit
        | Step::AfterCommit
        | Step::BetweenBatches => &[0, 1],
        Step::TailsHalfRead => &[0, 1],
        Step::Claimed | Step::TailsRead | Step::BeforeCreateTopic | Step::AfterCreateTopic => &[0],
    }
}

/// Rounds of more work that a victim is given to come to its step again.
const ROUNDS_MAX: usize = 40;

/// Steps of a life that begins after a death; they need one.
fn follows_a_death(step: Step) -> bool {
    matches!(step, Step::Claimed | Step::TailsHalfRead | Step::TailsRead)
}

/// Types of clinics' own, each of a namespace that was never met before.
const OWN: [&str; 5] = [
    "voip.call_ended",
    "fax.call_ended",
    "pager.call_ended",
    "telex.call_ended",
    "pigeon.call_ended",
];

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_it_leaves_no_hole_and_no_double() {
    let network = Network::bare(2).await;
    for own in OWN {
        network.register_calls(own).await;
    }
    let mut units = Vec::new();
    for n in 1..=4 {
        units.push(Unit::open(&network.bus, &format!("hcu-000{n}")).await);
    }
    // The first is there before.
    let mut own = OWN[1..].iter();
    println!(
        "{:<20} {:>6} {:>8} {:>6} {:>7} {:>12}",
        "killed at", "pass", "events", "holes", "doubles", "out of order"
    );
    for step in Step::ALL {
        for passes in passes(step) {
            let own = match step {
                Step::BeforeCreateTopic | Step::AfterCreateTopic => own.next().unwrap(),
                _ => OWN[0],
            };
            // A new epoch in the middle of it, now and then.
            units[0].work(3, own).await;
            let epoch = units[0].at.epoch + 1;
            units[0].open_epoch(epoch).await;
            for unit in &mut units {
                unit.work(8, own).await;
            }
            if follows_a_death(step) {
                Child::spawn_armed(&network, Some((Step::AfterFlush, 0))).killed().await;
            }
            let mut victim = Child::spawn_armed(&network, Some((step, *passes)));
            // The step is passed again only where more comes, however late the victim began.
            let rounds = if *passes > 0 { ROUNDS_MAX } else { 0 };
            for _ in 0..rounds {
                tokio::time::sleep(Duration::from_millis(300)).await;
                if !victim.is_running() {
                    break;
                }
                for unit in &mut units {
                    unit.work(4, own).await;
                }
            }
            victim.killed().await;
            let mut heir = Child::spawn(&network);
            network.settle().await;
            heir.kill().await;
            let tally = network.tally(&units.iter().collect::<Vec<_>>()).await;
            let Tally { expected, holes, doubles, out_of_order } = tally;
            let name = format!("{step:?}");
            println!(
                "{name:<20} {passes:>6} {expected:>8} {holes:>6} {doubles:>7} {out_of_order:>12}"
            );
            assert_eq!((holes, doubles, out_of_order), (0, 0, 0), "{step:?} {passes}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_under_load_it_leaves_no_hole_and_no_double() {
    let network = Network::bare(4).await;
    let mut units = Vec::new();
    for n in 1..=6 {
        units.push(Unit::open(&network.bus, &format!("hcu-001{n}")).await);
    }
    let load = tokio::spawn(async move {
        for _ in 0..60 {
            for unit in &mut units {
                unit.work(6, OWN[0]).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        units
    });
    // A fixed sequence that looks like chance.
    let mut chance: u64 = 11;
    let mut kills = 0;
    while kills < 25 {
        chance =
            chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut victim = Child::spawn(&network);
        tokio::time::sleep(Duration::from_millis(100 + (chance >> 33) % 900)).await;
        assert!(victim.is_running(), "it died by itself");
        victim.kill().await;
        kills += 1;
    }
    let units = load.await.unwrap();
    let mut heir = Child::spawn(&network);
    network.settle().await;
    heir.kill().await;
    let tally = network.tally(&units.iter().collect::<Vec<_>>()).await;
    println!("{kills} kills under load: {tally:?}");
    assert_eq!((tally.holes, tally.doubles, tally.out_of_order), (0, 0, 0));
    assert!(tally.expected > 5_000, "{tally:?}");
}
