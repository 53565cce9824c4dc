//! Records that nobody of ours would write, on every topic: whatever they are, other units go on,
//! now and after a restart of each role, and an operator gets rid of them.

use std::collections::HashSet;
use std::time::Duration;

use kit_bus::{Bus, Namespace, RawRecord, Topic, headers};
use practice::Patient;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tests_e2e::{Net, Unit};
use tokio::time::timeout;
use uuid::Uuid;

/// Within this other units' facts, requests, presence and live queries must go on.
const SECONDS: Duration = Duration::from_secs(10);

/// What is wrong with a record. The last number is that of its unit's next fact.
type Wrong = fn(&mut RawRecord, &Place);

struct Place {
    partitions: i32,
    next_seq: u64,
}

const WRONGS: [(&str, Wrong); 11] = [
    ("unknown schema id", |it, _| schema_id(it, i32::MAX)),
    ("impossible schema id", |it, _| schema_id(it, -1)),
    ("another schema's id", |it, _| schema_id(it, 1)),
    ("mismatching fingerprint", |it, _| {
        set(it, headers::DATA_SCHEMA, "urn:arteria:schema:x:1:0123456789abcdef");
    }),
    ("cut body", |it, _| it.payload.as_mut().unwrap().truncate(7)),
    ("no frame", |it, _| it.payload = Some(b"garbage".to_vec())),
    ("wrong key", |it, _| it.key = Some("Nobody At All".to_owned())),
    ("foreign partition", |it, place| it.partition = (it.partition + 1) % place.partitions),
    ("absurd numbers", |it, _| {
        it.payload.as_mut().unwrap().truncate(9);
        set(it, headers::UNIT_EPOCH, "4294967295");
        set(it, headers::UNIT_SEQ, "18446744073709551615");
        set(it, headers::SOURCE_OFFSET, "9223372036854775807");
        set(it, headers::EXPIRY_TIME, "+262142-12-31T23:59:59Z");
        set(it, headers::REPLY_PARTITION, "2147483647");
    }),
    ("giant body", |it, _| it.payload.as_mut().unwrap().resize(1_000_000, 0)),
    ("missing headers", |it, _| it.headers.clear()),
];

fn schema_id(record: &mut RawRecord, id: i32) {
    record.payload.as_mut().unwrap()[1..5].copy_from_slice(&id.to_be_bytes());
}

fn set(record: &mut RawRecord, name: &str, value: &str) {
    record.headers.retain(|(header, _)| header != name);
    record.headers.push((name.to_owned(), value.to_owned()));
}

async fn put(producer: &FutureProducer, topic: &str, record: &RawRecord) {
    let mut all = OwnedHeaders::new();
    for (key, value) in &record.headers {
        all = all.insert(Header { key, value: Some(value) });
    }
    let mut out: FutureRecord<'_, str, [u8]> =
        FutureRecord::to(topic).partition(record.partition).headers(all);
    out.key = record.key.as_deref();
    out.payload = record.payload.as_deref();
    producer.send(out, Duration::from_secs(10)).await.expect("putting a bad record");
}

/// The last record of a topic that `wanted` takes.
async fn last(bus: &Bus, topic: Topic, wanted: impl Fn(&RawRecord) -> bool) -> RawRecord {
    tests_e2e::eventually(&format!("a record of {topic:?}"), || async {
        let mut found = None;
        for partition in 0..bus.partitions() {
            let ends = bus.watermarks(topic, partition).await.ok()?;
            let mut scan = bus.scans(1).scan(topic, partition, ends.low, ends.high).await.ok()?;
            while let Some(Ok(record)) = scan.next().await {
                if record.payload.is_some() && wanted(&record) {
                    found = Some(record);
                }
            }
        }
        found
    })
    .await
}

/// A unit whose records share a partition with `other`'s.
async fn neighbour(net: &Net, bus: &Bus, other: &Unit) -> Unit {
    loop {
        let mut unit = Unit::prepare(net, "near", 5).await;
        if bus.partition_of(unit.id.as_str()) == bus.partition_of(other.id.as_str()) {
            unit.connect().await;
            unit.wait_seeded().await;
            return unit;
        }
    }
}

/// A fact, a request, a live query and the presence of `unit` go their way.
async fn goes_on(unit: &Unit, bus: &Bus, when: &str) {
    let went = async {
        let id = unit.desk().register_patient(&Patient::named("Goes", "On")).unwrap();
        unit.rest.record(&unit.path(&format!("patients/{id}"))).await;
        let slot = unit.slots(1).await.remove(0);
        let body = unit.booking(&slot);
        unit.rest.post(&unit.path("appointments"), body).await.expect(201);
        let seen = unit.rest.get(&format!("/v1/units/{}", unit.id)).await.expect(200);
        assert_eq!(seen.body["online"], true, "{when}: {seen:?}");
        let told = Topic::Domain("patients".parse::<Namespace>().unwrap());
        last(bus, told, |record| {
            let subject = record.header(headers::SUBJECT).unwrap_or_default();
            record.key.as_deref() == Some(unit.id.as_str()) && subject.contains(&id.to_string())
        })
        .await;
    };
    assert!(timeout(SECONDS, went).await.is_ok(), "{when}: {} does not go on", unit.id);
}

#[tokio::test]
async fn no_record_of_any_topic_stalls_more_than_its_own_key() {
    let mut net = Net::own("poison").await;
    let bus = net.bus().await;
    let victim = net.unit("victim").await;
    let near = neighbour(&net, &bus, &victim).await;
    let far = net.unit("far").await;
    goes_on(&victim, &bus, "before").await;
    goes_on(&near, &bus, "before").await;
    // No seed writes into charts, and every public topic is to be spoiled.
    let whose = victim.some_patient();
    crate::charts::heart_rate(&victim, &whose, "70", "2025-01-02T08:00:00Z");
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", &net.kafka)
        .set("message.max.bytes", "1200000")
        .create()
        .unwrap();
    let mut topics = vec![Topic::Facts, Topic::Requests, Topic::Presence, Topic::Replies];
    topics.extend(bus.namespaces().await.unwrap().into_iter().map(Topic::Domain));
    let is_victims = |record: &RawRecord| record.key.as_deref() == Some(victim.id.as_str());
    let fact = last(&bus, Topic::Facts, is_victims).await;
    let next_seq = fact.unit_seq().unwrap().seq + 1;
    let place = Place { partitions: net.partitions, next_seq };
    for topic in topics {
        let any = matches!(topic, Topic::Replies | Topic::Domain(_));
        let whole = last(&bus, topic, |record| any || is_victims(record)).await;
        let name = topic.name(&net.topic_prefix);
        for (what, wrong) in WRONGS {
            let mut bad = whole.clone();
            set(&mut bad, headers::ID, &Uuid::new_v4().to_string());
            if topic == Topic::Facts {
                set(&mut bad, headers::UNIT_SEQ, &place.next_seq.to_string());
            }
            wrong(&mut bad, &place);
            if topic == Topic::Presence && what == "wrong key" {
                put(&producer, &name, &RawRecord { key: Some("zz-9".to_owned()), ..bad.clone() })
                    .await;
            }
            put(&producer, &name, &bad).await;
            // On `parked` it is as bad, and only whoever lists it meets it.
            put(&producer, &Topic::Parked.name(&net.topic_prefix), &bad).await;
        }
    }
    goes_on(&near, &bus, "at once").await;
    goes_on(&far, &bus, "at once").await;
    for role in ["gateway", "edge", "projector", "publisher"] {
        net.kill9(role).await;
        net.start_role(role).await;
        net.wait_ready(role).await;
        if role == "edge" {
            for unit in [&near, &far, &victim] {
                unit.wait_online(true).await;
            }
        }
        goes_on(&near, &bus, role).await;
        goes_on(&far, &bus, role).await;
    }
    // Its own key suffers for a while, and not for ever.
    tests_e2e::eventually("the victim", || async {
        let id = victim.desk().register_patient(&Patient::named("Comes", "Back")).unwrap();
        let path = victim.path(&format!("patients/{id}"));
        tokio::time::sleep(Duration::from_secs(1)).await;
        (victim.rest.get(&path).await.status == 200).then_some(())
    })
    .await;
    goes_on(&victim, &bus, "at last").await;
    parked_records_are_settled(&net).await;
}

/// Every topic that a role of ours reads for all units is among what is parked; dropped, it is not
/// listed any more.
async fn parked_records_are_settled(net: &Net) {
    let listed = net.arteria(&["parked"]).await;
    let origins: HashSet<&str> = listed
        .lines()
        .filter_map(|line| line.split("(from ").nth(1)?.split([',', ')']).next())
        .filter(|origin| *origin != "-")
        .collect();
    for topic in ["unit.facts/", "unit.requests/", "unit.presence/"] {
        let count = origins.iter().filter(|origin| origin.starts_with(topic)).count();
        assert!(count >= WRONGS.len() - 1, "{count} of {topic} are parked:\n{listed}");
    }
    let some = origins.iter().find(|origin| origin.starts_with("unit.requests/")).unwrap();
    net.arteria(&["parked", "drop", some]).await;
    let presence = origins.iter().find(|origin| origin.starts_with("unit.presence/")).unwrap();
    net.arteria(&["parked", "drop", presence]).await;
    let left = net.arteria(&["parked"]).await;
    assert!(!left.contains(&format!("(from {some}")), "{left}");
    assert!(!left.contains(&format!("(from {presence}")), "{left}");
}
