//! Records that do not read, and facts that cannot be taken up: they are set aside, and never hold
//! up another unit.

use std::collections::HashSet;
use std::time::Duration;

use kit_bus::{RawRecord, Topic, headers};
use kit_event::UnitSeq;
use patients::PatientFact;
use projector::rebuild::How;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use requests::control::Resend;
use serde_json::json;
use sqlx::Connection as _;
use uuid::Uuid;

use crate::rebuilds::{go_back, rebuild};
use crate::unit::{patient, patient_fact, registered};
use crate::{Network, Unit, eventually};

/// Puts bytes on its topic that no bus of ours would send.
pub async fn put(network: &Network, record: &RawRecord) {
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", &network.config.brokers).create().unwrap();
    let mut all = OwnedHeaders::new();
    for (key, value) in &record.headers {
        all = all.insert(Header { key, value: Some(value) });
    }
    let topic = record.topic.name(&network.config.topic_prefix);
    let mut out: FutureRecord<'_, str, [u8]> =
        FutureRecord::to(&topic).partition(record.partition).headers(all);
    out.key = record.key.as_deref();
    out.payload = record.payload.as_deref();
    out.timestamp = Some(record.timestamp_ms);
    producer.send(out, Duration::from_secs(10)).await.unwrap();
}

/// The record of the next fact of the unit, as it would stand on the log.
pub async fn record_of_next(network: &Network, unit: &mut Unit, n: u128) -> RawRecord {
    let elsewhere = Network::bare(network.config.partitions).await;
    let fact = unit.next(registered(n));
    elsewhere.bus.publish_fact(&fact).await.unwrap();
    elsewhere.records(Topic::Facts).await.remove(0)
}

pub async fn is_there(network: &Network, unit: &Unit, n: u128) -> bool {
    let read = patients_store::patient(&network.reads, &unit.id, Uuid::from_u128(n)).await;
    read.unwrap().value.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_cut_in_the_middle_is_parked_and_asked_for_again() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let whole = record_of_next(&network, &mut unit, 1).await;
    let mut cut = whole.clone();
    cut.payload.as_mut().unwrap().truncate(12);
    put(&network, &cut).await;
    network.settle().await;
    let parked = network.records(Topic::Parked).await;
    assert_eq!(parked.len(), 1, "one reader parks it for all");
    assert_eq!(parked[0].payload, cut.payload);
    assert!(parked[0].header(headers::PARKED_CAUSE).unwrap().contains("end in the middle"));
    eventually("a resend", || async { !network.controls(Resend::TYPE).await.is_empty() }).await;

    unit.say(registered(2)).await;
    network.settle().await;
    assert!(!is_there(&network, &unit, 2).await, "nothing jumps");
    put(&network, &whole).await;
    network.settle().await;
    assert!(is_there(&network, &unit, 1).await && is_there(&network, &unit, 2).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_without_a_number_a_unit_or_a_known_schema_is_parked_and_passed_over() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let good = record_of_next(&network, &mut unit, 1).await;
    let mut nobody = good.clone();
    nobody.key = Some("Not A Unit".to_owned());
    let mut keyless = good.clone();
    keyless.key = None;
    let mut numberless = good.clone();
    numberless.headers.retain(|(name, _)| name != headers::UNIT_SEQ);
    let mut zero = good.clone();
    for (_, value) in zero.headers.iter_mut().filter(|(name, _)| name == headers::UNIT_SEQ) {
        *value = "0".to_owned();
    }
    let mut bare = good.clone();
    bare.headers.clear();
    bare.payload = Some(b"garbage".to_vec());
    let bad = [nobody, keyless, numberless, zero, bare];
    for record in &bad {
        put(&network, record).await;
    }
    let mut unknown = good.clone();
    unknown.payload.as_mut().unwrap()[1..5].copy_from_slice(&i32::MAX.to_be_bytes());
    put(&network, &unknown).await;
    put(&network, &good).await;
    unit.say(registered(2)).await;
    network.settle().await;
    assert!(is_there(&network, &unit, 1).await && is_there(&network, &unit, 2).await);
    assert_eq!(network.records(Topic::Parked).await.len(), bad.len() + 1);
}

/// The same record under another fingerprint and another id.
fn of_another_schema(record: &RawRecord) -> RawRecord {
    let mut foreign = record.clone();
    for (name, value) in &mut foreign.headers {
        if name == headers::DATA_SCHEMA {
            let (front, _) = value.rsplit_once(':').unwrap();
            *value = format!("{front}:0123456789abcdef");
        } else if name == headers::ID {
            *value = Uuid::new_v4().to_string();
        }
    }
    foreign
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_names_another_schema_holds_its_own_unit_alone_and_for_a_while() {
    let mut network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let mut others =
        [Unit::open(&network.bus, "hcu-0002").await, Unit::open(&network.bus, "hcu-0003").await];
    let whole = record_of_next(&network, &mut unit, 1).await;
    put(&network, &of_another_schema(&whole)).await;
    let request = unit.request("one", 1);
    let elsewhere = Network::bare(network.config.partitions).await;
    elsewhere.bus.publish_request(&request).await.unwrap();
    put(&network, &of_another_schema(&elsewhere.records(Topic::Requests).await[0])).await;
    for (n, other) in (10..).zip(&mut others) {
        other.say(registered(n)).await;
    }
    network.settle().await;
    assert!(is_there(&network, &others[0], 10).await && is_there(&network, &others[1], 11).await);
    let parked = network.records(Topic::Parked).await;
    assert_eq!(parked.len(), 2);
    for record in &parked {
        let cause = record.header(headers::PARKED_CAUSE).unwrap();
        assert!(cause.contains("but the record names"), "{cause}");
    }
    eventually("a resend", || async { !network.controls(Resend::TYPE).await.is_empty() }).await;

    // Neither a restart nor a rebuild meets it with more than that.
    network.kill().await;
    network.start(None);
    network.ready().await;
    for domain in ["timeline", "patients"] {
        rebuild(&network, domain, How::default()).await;
    }
    go_back(&network, "patients").await;
    put(&network, &whole).await;
    others[0].say(registered(12)).await;
    network.settle().await;
    assert!(is_there(&network, &unit, 1).await && is_there(&network, &others[0], 12).await);
    assert_eq!(network.count("select count(*) from timeline.fact").await, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_no_record_agrees_with_is_waited_for() {
    let network = Network::bare(2).await;
    let mut last = None;
    for (n, name) in (1..).zip(["hcu-0001", "hcu-0002", "hcu-0003"]) {
        let mut unit = Unit::new(&network.bus, name);
        unit.at = UnitSeq::new(1, 0);
        let whole = record_of_next(&network, &mut unit, n).await;
        put(&network, &of_another_schema(&whole)).await;
        last = Some(whole);
    }
    network.start(None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(network.records(Topic::Parked).await, [], "nothing is given up");
    assert!(!network.life.readiness().is_ready(), "nothing is read");
    assert!(!network.life.soft().is_cancelled(), "the process goes on");
    // One record that agrees is enough: then the others are at fault.
    put(&network, &last.unwrap()).await;
    network.ready().await;
    let parked = network.records(Topic::Parked).await;
    let origins: HashSet<_> =
        parked.iter().map(|record| record.header(headers::PARKED_ORIGIN).unwrap()).collect();
    assert_eq!(origins.len(), 3, "{parked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_taken_without_right_is_free_for_the_fact_that_has_it() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let whole = record_of_next(&network, &mut unit, 1).await;
    // Of a type that the domain of patients does not read.
    let elsewhere = Network::bare(network.config.partitions).await;
    let mut forged = crate::unit::result_filed(1);
    forged.subject = "result/1".to_owned();
    let mut fact = unit.next(forged);
    fact.seq = UnitSeq::new(1, 2);
    elsewhere.bus.publish_fact(&fact).await.unwrap();
    let mut forged = elsewhere.records(Topic::Facts).await.remove(0);
    forged.payload.as_mut().unwrap().truncate(7);
    put(&network, &forged).await;
    network.settle().await;
    put(&network, &whole).await;
    network.settle().await;
    assert!(is_there(&network, &unit, 1).await);
    assert_eq!(network.records(Topic::Parked).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_on_a_foreign_partition_says_nothing_of_its_unit() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let whole = record_of_next(&network, &mut unit, 1).await;
    let mut stray = whole.clone();
    stray.partition = 1 - stray.partition;
    put(&network, &stray).await;
    network.settle().await;
    assert!(!is_there(&network, &unit, 1).await);
    let parked = network.records(Topic::Parked).await;
    assert!(parked[0].header(headers::PARKED_CAUSE).unwrap().contains("belongs to partition"));
    put(&network, &whole).await;
    network.settle().await;
    assert!(is_there(&network, &unit, 1).await);
    assert_eq!(network.records(Topic::Requests).await, [], "nothing is missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_numbers_are_asked_for_no_more_often_than_others_and_hide_no_hole() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let whole = record_of_next(&network, &mut unit, 1).await;
    let numbers = [("1", "900"), ("1", "9223372036854775807"), ("7", "1"), ("4294967295", "3")];
    for (epoch, seq) in numbers {
        let mut unreadable = whole.clone();
        unreadable.payload.as_mut().unwrap().truncate(9);
        for (name, value) in &mut unreadable.headers {
            match name.as_str() {
                headers::UNIT_EPOCH => *value = epoch.to_owned(),
                headers::UNIT_SEQ => *value = seq.to_owned(),
                _ => {}
            }
        }
        put(&network, &unreadable).await;
    }
    put(&network, &whole).await;
    network.settle().await;
    assert!(is_there(&network, &unit, 1).await);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(network.controls(Resend::TYPE).await, [], "nothing is missing");

    // A number that reads is believed, but it is asked for three times, not for ever.
    let mut ahead = unit.next(registered(2));
    ahead.seq = UnitSeq::new(1, 900);
    unit.at = UnitSeq::new(1, 2);
    unit.publish(&ahead).await;
    for n in 3..13 {
        unit.say(registered(n)).await;
        // The end of a partition is met anew once the broker's wait is over.
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    network.settle().await;
    assert_eq!(network.controls(Resend::TYPE).await.len(), 3);
    let _lost = unit.next(registered(20));
    unit.say(registered(21)).await;
    let missing = UnitSeq::new(1, unit.at.seq - 1);
    eventually("a resend of what is missing", || async {
        let asked = network.controls(Resend::TYPE).await;
        asked.last().is_some_and(|it| it.body["from"] == missing.to_string()) && asked.len() > 3
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_that_cannot_be_taken_up_marks_its_resource_stale_and_the_unit_goes_on() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let first = unit.say(registered(1)).await;
    let mut amended = patient_fact(PatientFact::Amended, &patient(1, "Costa", "Ana"));
    amended.body["patient_id"] = json!("no uuid at all");
    let bad = unit.say(amended.clone()).await;
    unit.say(amended).await;
    let mut withdrawn = unit.next(registered(2));
    withdrawn.body["birth_date"] = json!(null);
    unit.publish(&withdrawn).await;
    network.settle().await;
    let read = patients_store::patient(&network.reads, &unit.id, Uuid::from_u128(1)).await.unwrap();
    let row = read.value.unwrap();
    assert_eq!((row.seq, row.stale_since), (first.seq, Some(bad.seq)));
    assert_eq!(read.freshness.unwrap().seq, unit.at);
    assert!(is_there(&network, &unit, 2).await);
    assert_eq!(network.records(Topic::Parked).await.len(), 2);
    assert_eq!(network.count("select count(*) from timeline.fact").await, 5);

    unit.say(patient_fact(PatientFact::Amended, &patient(1, "Costa", "Ana"))).await;
    network.settle().await;
    let read = patients_store::patient(&network.reads, &unit.id, Uuid::from_u128(1)).await.unwrap();
    assert_eq!(read.value.unwrap().stale_since, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_id_of_another_unit_is_refused() {
    let network = Network::running().await;
    let mut one = Unit::open(&network.bus, "hcu-0001").await;
    let mut two = Unit::open(&network.bus, "hcu-0002").await;
    one.say(registered(1)).await;
    network.settle().await;
    two.say(registered(1)).await;
    two.say(registered(2)).await;
    network.settle().await;
    assert!(is_there(&network, &one, 1).await && is_there(&network, &two, 2).await);
    assert!(!is_there(&network, &two, 1).await);
    let parked = network.records(Topic::Parked).await;
    assert_eq!(parked.len(), 1);
    assert!(parked[0].header(headers::PARKED_CAUSE).unwrap().contains("another unit"));
    let home = patients_store::unit_of_patient(&network.reads, Uuid::from_u128(1)).await.unwrap();
    assert_eq!(home, Some(one.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_postgres_cannot_hold_or_index_holds_up_nobody() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let mut odd = patient(1, "Sil\0va", &"x".repeat(5_000));
    odd.mrn = Some("m".repeat(20_000));
    unit.say(patient_fact(PatientFact::Registered, &odd)).await;
    let mut long = unit.next(registered(2));
    long.subject = Some("s\0".repeat(2_000));
    unit.publish(&long).await;
    unit.say(registered(3)).await;
    network.settle().await;
    for n in 1..=3 {
        assert!(is_there(&network, &unit, n).await, "{n}");
    }
    let read = patients_store::patient(&network.reads, &unit.id, Uuid::from_u128(1)).await.unwrap();
    assert_eq!(read.value.unwrap().state["family_name"], json!("Sil\u{FFFD}va"));
    assert_eq!(network.records(Topic::Parked).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_postgres_finds_unfit_is_set_aside_alone() {
    let network = Network::running().await;
    let unit = Unit::open(&network.bus, "hcu-0001").await;
    let (before, mut bad, after) =
        (unit.request("one", 1), unit.request("two", 1), unit.request("three", 1));
    // Everything of ours is cut to what Postgres takes; a rule of its administrator's is not.
    let mut admin = sqlx::PgConnection::connect(&network.postgres_url).await.unwrap();
    sqlx::query("alter table requests.request add check (command_hash <> 'odd')")
        .execute(&mut admin)
        .await
        .unwrap();
    bad.command_hash = "odd".to_owned();
    for request in [&before, &bad, &after] {
        network.bus.publish_request(request).await.unwrap();
    }
    network.settle().await;
    let parked = network.records(Topic::Parked).await;
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].ce_id(), Some(bad.id.as_str()));
    for (request, is_there) in [(&before, true), (&bad, false), (&after, true)] {
        let row = requests_store::request(&network.reads, &request.id).await.unwrap();
        assert_eq!(row.is_some(), is_there);
    }
}
