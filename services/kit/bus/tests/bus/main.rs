//! The bus against a real broker and a real registry.

#![expect(
    clippy::cast_possible_truncation,
    reason = "a test says what it expects and goes on, and its numbers are small"
)]

mod facts;
mod offers;
mod promises;
mod readers;
mod rejections;
mod scans;
mod topics;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kit_bus::{Bus, BusConfig, Polled, RawRecord, Reader, ReaderOptions, Topic};
use kit_event::{Fact, Timestamp, UnitSeq};
use serde_json::json;
use uuid::Uuid;

/// A schema that every test may use.
pub const NOTE: &str = r#"{"type":"record","name":"NoteMade","namespace":"arteria.bustests",
  "fields":[
  {"name":"note_id","type":"string"},
  {"name":"made_at","default":null,
   "type":["null",{"type":"long","logicalType":"timestamp-millis"}]},
  {"name":"words","type":["null","string"],"default":null}]}"#;
/// Its type.
pub const NOTE_TYPE: &str = "bustests.note_made";

/// How long anything that should happen at once may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

/// Topics of the test's own on the shared servers.
pub async fn config(partitions: i32) -> BusConfig {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let servers = kit_testkit::servers().await;
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    BusConfig {
        brokers: servers.kafka.clone(),
        registry_url: servers.registry.clone(),
        topic_prefix: format!("bus-{}-{count}.", Uuid::new_v4().simple()),
        partitions,
    }
}

#[must_use]
pub fn note_promise() -> kit_bus::schemas::Promise {
    kit_bus::schemas::Promise { type_name: NOTE_TYPE.into(), version: 1, text: NOTE.into() }
}

/// A connected bus on topics of its own.
pub async fn bus(partitions: i32) -> Bus {
    let config = config(partitions).await;
    kit_bus::topics::apply(&config).await.unwrap();
    kit_bus::schemas::apply(&config.registry_url, &[note_promise()]).await.unwrap();
    Bus::connect(&config).await.unwrap()
}

#[must_use]
pub fn fact(unit: &str, seq: u64) -> Fact {
    Fact {
        unit: unit.parse().unwrap(),
        seq: UnitSeq::new(1, seq),
        id: Uuid::new_v4(),
        type_name: NOTE_TYPE.into(),
        version: 1,
        time: Timestamp::from_unix_ms(1_772_357_400_250),
        subject: Some(format!("note/{seq}")),
        patient_id: None,
        causation_id: None,
        traceparent: None,
        body: json!({"note_id": seq.to_string(), "words": "Zoë"}),
    }
}

#[must_use]
pub fn tail(bus: &Bus) -> Reader {
    let options = ReaderOptions { fetch_wait_ms: 10, ..ReaderOptions::default() };
    bus.reader("test", options).unwrap()
}

pub async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(SOON, wait).await;
    waited.unwrap_or_else(|_| panic!("{what} did not happen"))
}

pub async fn record(reader: &mut Reader) -> RawRecord {
    match soon("a record", reader.next()).await {
        Some(Polled::Record(record)) => record,
        other => panic!("not a record: {other:?}"),
    }
}

/// The only record of a partition, written just now.
pub async fn first(bus: &Bus, topic: Topic, partition: i32) -> RawRecord {
    let mut reader = tail(bus);
    reader.assign(topic, vec![(partition, 0)]).await.unwrap();
    record(&mut reader).await
}
