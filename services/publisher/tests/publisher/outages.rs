//! Servers that go away, on servers of the test's own, and how fast it is.

use std::time::{Duration, Instant};

use kit_stack::{KAFKA, POSTGRES, REGISTRY, Stack, StackConfig};

use crate::unit::{call_ended, registered};
use crate::{Child, Network, Unit, eventually, network};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_away_is_waited_for_and_nothing_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let config = StackConfig::on_free_ports(dir.path()).unwrap();
    let stack = Stack::up(&config).await.unwrap();
    network::register(&stack.addresses.registry).await;
    let network = Network::on(&stack.addresses, 4).await;
    network.register_calls("late.call_ended").await;
    let mut units = Vec::new();
    for n in 1..=6 {
        units.push(Unit::open(&network.bus, &format!("hcu-000{n}")).await);
    }
    let life = network.start().await;
    for unit in &mut units {
        unit.work(5, "voip.call_ended").await;
    }
    network.settle().await;

    // Without Postgres nothing is stored; once it is back, nothing is told twice.
    stack.supervisor.stop(POSTGRES).await.unwrap();
    for unit in &mut units {
        unit.work(5, "voip.call_ended").await;
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    stack.supervisor.restart(POSTGRES).await.unwrap();
    network.settle().await;
    let tally = network.tally(&units.iter().collect::<Vec<_>>()).await;
    println!("postgres away: {tally:?}");
    assert_eq!((tally.holes, tally.doubles, tally.out_of_order), (0, 0, 0));

    // Without the brokers a batch waits for them, however long.
    for unit in &mut units {
        unit.work(5, "voip.call_ended").await;
    }
    stack.supervisor.kill9(KAFKA).await.unwrap();
    stack.supervisor.stop(KAFKA).await.unwrap();
    tokio::time::sleep(Duration::from_secs(12)).await;
    stack.supervisor.restart(KAFKA).await.unwrap();
    network.settle().await;
    let tally = network.tally(&units.iter().collect::<Vec<_>>()).await;
    println!("kafka away for 12 s: {tally:?}");
    assert_eq!((tally.holes, tally.doubles, tally.out_of_order), (0, 0, 0));

    // Without the registry a type that is new waits, with its partition; others flow.
    let late = units[0].next(call_ended("late.call_ended", 7));
    let sealed = network.bus.seal_fact(&late).await.unwrap();
    stack.supervisor.stop(REGISTRY).await.unwrap();
    network.bus.enqueue(sealed).unwrap().await.unwrap();
    let home = network.bus.partition_of(units[0].id.as_str());
    let elsewhere =
        units.iter().position(|unit| network.bus.partition_of(unit.id.as_str()) != home).unwrap();
    let other = units[elsewhere].say(registered(9)).await;
    eventually("another partition's event", || async {
        let id = other.id.to_string();
        network.public().await.iter().any(|record| record.ce_id() == Some(id.as_str()))
    })
    .await;
    assert!(!network.is_caught_up().await, "the new type waits");
    stack.supervisor.restart(REGISTRY).await.unwrap();
    network.settle().await;
    let tally = network.tally(&units.iter().collect::<Vec<_>>()).await;
    println!("registry away: {tally:?}");
    assert_eq!((tally.holes, tally.doubles, tally.out_of_order), (0, 0, 0));
    life.stop();
    life.drain().await.unwrap();
    drop(network);
    stack.supervisor.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_told_at_a_rate_worth_telling() {
    let network = Network::bare(8).await;
    let mut units = Vec::new();
    for n in 1..=16 {
        units.push(Unit::open(&network.bus, &format!("hcu-00{n:02}")).await);
    }
    for _ in 0..5 {
        for unit in &mut units {
            unit.work(50, "voip.call_ended").await;
        }
    }
    // As `arteria topics apply` leaves them: creating them is no part of telling.
    let names: Vec<_> = all_domains::names().chain(["voip"]).collect();
    let names: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
    kit_bus::topics::apply_public(&network.config, 1, &names).await.unwrap();
    let facts: u64 = units.iter().map(|unit| unit.at.seq).sum();
    let begun = Instant::now();
    let mut child = Child::spawn(&network);
    let moved = || async {
        let sql = "select count(*) from publisher.offsets where next_offset > 0";
        let found = sqlx::query_scalar::<_, i64>(sql).fetch_one(&network.admin).await;
        found.is_ok_and(|count| count > 0)
    };
    eventually("the first checkpoint", moved).await;
    let begun_s = begun.elapsed().as_secs_f64();
    network.settle().await;
    let seconds = begun.elapsed().as_secs_f64();
    let (rate, cpu) = (facts as f64 / seconds, child.cpu_seconds());
    println!(
        "{facts} facts in {seconds:.1} s: {rate:.0} a second; {cpu:.1} s of work; the first \
         checkpoint after {begun_s:.1} s"
    );
    child.kill().await;
    let tally = network.tally(&units.iter().collect::<Vec<_>>()).await;
    assert_eq!((tally.holes, tally.doubles, tally.out_of_order), (0, 0, 0));
    assert!(rate > 500.0, "an unoptimised build on a busy machine does more");
}
