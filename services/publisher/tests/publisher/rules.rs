//! What is told, of what, and by which rules.

use std::time::Duration;

use kit_bus::Topic;
use kit_event::Timestamp;
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};
use rdkafka::{ClientConfig, producer::DefaultProducerContext};
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::unit::{booked, call_ended, registered, result_filed};
use crate::{Child, Network, Unit, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_is_minimised_and_carries_the_facts_own_labels() {
    let network = Network::bare(2).await;
    let life = network.start().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let fact = unit.say(registered(7)).await;
    unit.say(call_ended("voip.call_ended", 8)).await;
    unit.say(result_filed(9)).await;
    network.settle().await;
    let records = network.public().await;
    for record in &records {
        let said = format!(
            "{:?} {}",
            record.headers,
            String::from_utf8_lossy(record.payload.as_deref().unwrap_or_default())
        );
        assert!(!said.contains("anary") && !said.contains("1980-12-31"), "{said}");
    }
    let of = |name: &str| records.iter().find(|record| record.ce_type() == Some(name)).unwrap();
    let patient = of("patients.patient_registered");
    assert_eq!(patient.ce_id(), Some(fact.id.to_string().as_str()));
    assert_eq!(patient.unit_seq(), Some(fact.seq));
    assert_eq!(patient.header("ce_subject"), fact.subject.as_deref());
    assert_eq!(patient.header("arteria_sourceoffset"), Some("1"));
    assert_eq!(patient.header("content-type"), Some("application/avro"));
    let time = patient.header("ce_time").unwrap().parse::<Timestamp>();
    assert_eq!(time, Ok(fact.time));
    // The registry's own schema reads it back.
    let opened = network.bus.open(patient).await.unwrap();
    let expected = json!({"patient_id": patient.header("ce_patientid").unwrap(),
        "age_band": "45-49", "country": "PT", "postal_area": "1", "deceased": false,
        "active": true});
    assert_eq!(opened.body, expected);
    let call = network.bus.open(of("voip.call_ended")).await.unwrap();
    assert_eq!(call.body, json!({"call_id": "8", "seconds": 7}));
    let names = network.bus.namespaces().await.unwrap();
    let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
    assert!(names.contains(&"voip") && !names.contains(&"labs"), "{names:?}");
    life.stop();
    life.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn holes_forks_and_epochs_are_taken_as_every_reader_takes_them() {
    let network = Network::bare(1).await;
    let life = network.start().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let missing = unit.next(registered(1));
    for n in 2..=5 {
        unit.say(registered(n)).await;
    }
    let mut other = Unit::open(&network.bus, "hcu-0002").await;
    other.say(booked(1)).await;
    network.settle().await;
    let tally = network.tally(&[&unit, &other]).await;
    assert_eq!(tally.holes, 5, "a unit waits for its hole, and no other with it");
    unit.publish(&missing).await;
    // Another fact under a number that was told.
    let mut fork = missing.clone();
    fork.id = uuid::Uuid::new_v4();
    unit.publish(&fork).await;
    unit.publish(&missing).await;
    network.settle().await;
    let tally = network.tally(&[&unit, &other]).await;
    assert_eq!((tally.holes, tally.doubles, tally.out_of_order), (0, 0, 0));
    // What is held when a new epoch opens is over.
    let (at, expected) = (unit.at, unit.expected.clone());
    let _lost = unit.next(registered(6));
    unit.say(registered(7)).await;
    unit.expected = expected;
    assert!(unit.at > at);
    unit.open_epoch(2).await;
    unit.say(registered(8)).await;
    network.settle().await;
    let tally = network.tally(&[&unit, &other]).await;
    assert_eq!((tally.holes, tally.doubles, tally.out_of_order), (0, 0, 0));
    life.stop();
    life.drain().await.unwrap();
}

fn produce(network: &Network, partition: i32, key: &str, headers: &[(&str, &str)], value: &[u8]) {
    let producer: ThreadedProducer<DefaultProducerContext> =
        ClientConfig::new().set("bootstrap.servers", &network.config.brokers).create().unwrap();
    let mut own = rdkafka::message::OwnedHeaders::new();
    for (key, value) in headers {
        own = own.insert(rdkafka::message::Header { key, value: Some(*value) });
    }
    let topic = Topic::Facts.name(&network.config.topic_prefix);
    let record = BaseRecord::to(&topic).key(key).payload(value).partition(partition).headers(own);
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(Duration::from_secs(10)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_read_counts_as_not_received_and_stops_nobody() {
    let network = Network::bare(1).await;
    let life = network.start().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let huge = vec![0xff; 900_000];
    for value in [&b""[..], b"\0\0\0\0\x01cut", b"\0\xff\xff\xff\xffx", b"no Avro", &huge] {
        produce(&network, 0, "hcu-0001", &[], value);
        produce(&network, 0, "not a unit", &[("ce_type", "a.b")], value);
    }
    let good = unit.next(registered(1));
    let (epoch, seq) = (good.seq.epoch.to_string(), good.seq.seq.to_string());
    let labels = [
        ("ce_type", "patients.patient_registered"),
        ("ce_id", "00000000-0000-4000-8000-000000000001"),
        ("ce_time", "2026-03-01T09:30:00Z"),
        ("ce_unitepoch", epoch.as_str()),
        ("ce_unitseq", seq.as_str()),
        (
            "ce_dataschema",
            "urn:arteria:schema:arteria.patients.PatientRegistered:1:0000000000000000",
        ),
    ];
    produce(&network, 0, "hcu-0001", &labels, b"cut");
    unit.say(registered(2)).await;
    network.settle().await;
    assert_eq!(network.tally(&[&unit]).await.holes, 2, "it waits for what did not read");
    unit.publish(&good).await;
    network.settle().await;
    assert_eq!(network.tally(&[&unit]).await.holes, 0);
    assert!(!life.soft().is_cancelled(), "and the publisher lives");
    life.stop();
    life.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_on_another_partition_than_its_units_is_not_received() {
    let network = Network::bare(2).await;
    let life = network.start().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let home = network.bus.partition_of("hcu-0001");
    let labels = [("ce_type", "a.b"), ("ce_unitepoch", "1"), ("ce_unitseq", "2")];
    produce(&network, 1 - home, "hcu-0001", &labels, b"\0\0\0\0\x01");
    unit.say(registered(1)).await;
    network.settle().await;
    let tally = network.tally(&[&unit]).await;
    assert_eq!((tally.holes, tally.expected), (0, 2));
    life.stop();
    life.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_publishers_the_first_ends_at_its_next_checkpoint() {
    let network = Network::bare(2).await;
    let mut one = Child::spawn(&network);
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    network.settle().await;
    let mut two = Child::spawn(&network);
    let holder = || async {
        sqlx::query_scalar::<_, uuid::Uuid>("select holder from publisher.claim")
            .fetch_one(&network.admin)
            .await
            .unwrap()
    };
    let first = holder().await;
    eventually("the claim of the second", || async { holder().await != first }).await;
    unit.work(20, "voip.call_ended").await;
    assert!(one.failed().await, "the first ends with a fault");
    network.settle().await;
    assert!(two.is_running(), "and the other goes on");
    unit.work(5, "voip.call_ended").await;
    network.settle().await;
    let tally = network.tally(&[&unit]).await;
    println!("two at once: {tally:?}");
    assert_eq!(tally.holes, 0);
    two.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_beside_the_tables_of_another_log_ends_nobody_and_tells_nothing() {
    let network = Network::bare(1).await;
    let mut child = Child::spawn(&network);
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    unit.say(registered(1)).await;
    network.settle().await;
    let belongs = async |cluster: &str| {
        sqlx::query("update publisher.log set cluster = $1")
            .bind(cluster)
            .execute(&network.admin)
            .await
            .unwrap();
    };
    belongs("of another network").await;
    let mut stranger = Child::spawn(&network);
    assert!(stranger.failed().await, "it ends with a fault");
    unit.say(registered(2)).await;
    network.settle().await;
    assert!(child.is_running(), "whose tables these are goes on");
    let tally = network.tally(&[&unit]).await;
    assert_eq!((tally.holes, tally.doubles), (0, 0));
    belongs(network.bus.cluster_id()).await;
    child.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_somebody_else_moved_ends_the_process() {
    let network = Network::bare(1).await;
    let mut child = Child::spawn(&network);
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    network.settle().await;
    sqlx::query("update publisher.offsets set next_offset = 0")
        .execute(&network.admin)
        .await
        .unwrap();
    unit.say(registered(1)).await;
    assert!(child.failed().await);
    let mut heir = Child::spawn(&network);
    network.settle().await;
    let tally = network.tally(&[&unit]).await;
    assert_eq!((tally.holes, tally.doubles), (0, 0), "the tails reach back to any checkpoint");
    heir.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_the_log_does_not_have_halts_its_partition_alone() {
    let network = Network::bare(2).await;
    let life = network.start().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    network.settle().await;
    life.stop();
    life.drain().await.unwrap();
    let home = network.bus.partition_of("hcu-0001");
    let sql = format!("update publisher.offsets set next_offset = 1000 where partition = {home}");
    sqlx::query(AssertSqlSafe(sql)).execute(&network.admin).await.unwrap();
    let life = network.start().await;
    unit.say(registered(1)).await;
    let mut names = (2..200).map(|n| format!("hcu-{n:04}"));
    let elsewhere = names.find(|name| network.bus.partition_of(name) != home).unwrap();
    let other = Unit::open(&network.bus, &elsewhere).await;
    eventually("the other partition", || async {
        let records = network.public().await;
        records.iter().any(|record| record.key.as_deref() == Some(other.id.as_str()))
    })
    .await;
    let told = network.public().await;
    assert_eq!(told.iter().filter(|one| one.key.as_deref() == Some("hcu-0001")).count(), 1);
    assert!(!life.soft().is_cancelled(), "the process goes on");
    life.stop();
    life.drain().await.unwrap();
}
