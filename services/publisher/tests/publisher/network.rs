//! Topics and a database of a test's own, and what stands on the public topics.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use kit_body::schemas::Promise;
use kit_bus::{Bus, BusConfig, Delivering, Polled, RawRecord, ReaderOptions, Topic};
use kit_clock::Clock;
use kit_event::UnitSeq;
use kit_lifecycle::Lifecycle;
use kit_stack::Addresses;
use publisher::Host;
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::Unit;

/// How long anything that should happen at once may take on a busy machine.
pub const SOON: Duration = Duration::from_mins(1);

/// A type that no domain knows and of which nothing is public.
const RESULT_FILED: &str = r#"{"type":"record","name":"ResultFiled","namespace":"arteria.labs",
  "fields":[{"name":"result_id","type":"string"},{"name":"words","type":["null","string"],
  "default":null}]}"#;

/// The registry refuses one of two who register the same at once, so one test does it for all.
static REGISTERED: OnceCell<()> = OnceCell::const_new();

/// A network of a test's own.
pub struct Network {
    pub bus: Bus,
    pub config: BusConfig,
    pub postgres_url: String,
    pub admin: PgPool,
    name: String,
}

/// What is wrong on the public topics.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub expected: usize,
    pub holes: usize,
    pub doubles: usize,
    pub out_of_order: usize,
}

impl Network {
    /// A network on which nothing runs yet.
    pub async fn bare(partitions: i32) -> Self {
        let servers = kit_testkit::servers().await;
        REGISTERED.get_or_init(|| register(&servers.registry)).await;
        Self::on(servers, partitions).await
    }

    /// The same on servers of the test's own.
    pub async fn on(servers: &Addresses, partitions: i32) -> Self {
        let name = format!("t{}", Uuid::new_v4().simple());
        let mut maintenance = PgConnection::connect(&servers.postgres).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("create database {name}")))
            .execute(&mut maintenance)
            .await
            .unwrap();
        let (server, _) = servers.postgres.rsplit_once('/').unwrap();
        let postgres_url = format!("{server}/{name}");
        let config = BusConfig {
            brokers: servers.kafka.clone(),
            registry_url: servers.registry.clone(),
            topic_prefix: format!("{name}."),
            partitions,
        };
        kit_bus::topics::apply(&config).await.unwrap();
        let bus = Bus::connect(&config).await.unwrap();
        let admin = PgPool::connect_lazy(&postgres_url).unwrap();
        Self { bus, config, postgres_url, admin, name }
    }

    /// Where its processes write what went wrong.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        std::env::temp_dir().join(format!("publisher-{}.log", self.name))
    }

    /// A publisher inside this process.
    pub async fn start(&self) -> Lifecycle {
        let life = Lifecycle::without_signals();
        let bus = Bus::connect_with(&self.config, Delivering::Gapless).await.unwrap();
        Host::new(bus, self.postgres_url.clone(), 1, Clock::system()).start(&life);
        life
    }

    /// Makes a type of a clinic's own known to the registry, of which two fields are public.
    pub async fn register_calls(&self, type_name: &str) {
        register_calls(&self.config.registry_url, type_name).await;
    }

    /// Whether every record of `unit.facts` is behind a checkpoint.
    pub async fn is_caught_up(&self) -> bool {
        let topic = Topic::Facts.name(&self.config.topic_prefix);
        for partition in 0..self.config.partitions {
            // A broker that has just come back does not answer yet.
            let Ok(ends) = self.bus.watermarks(Topic::Facts, partition).await else {
                return false;
            };
            let head = ends.high;
            let next: Option<i64> = sqlx::query_scalar(
                "select next_offset from publisher.offsets where topic = $1 and partition = $2",
            )
            .bind(&topic)
            .bind(partition)
            .fetch_optional(&self.admin)
            .await
            .ok()
            .flatten();
            if next.unwrap_or(-1) < head {
                return false;
            }
        }
        true
    }

    pub async fn settle(&self) {
        eventually("the checkpoint at the log's end", || self.is_caught_up()).await;
    }

    /// Every record on the public topics, partition by partition.
    pub async fn public(&self) -> Vec<RawRecord> {
        let options = ReaderOptions { fetch_wait_ms: 10, ..ReaderOptions::default() };
        let mut records = Vec::new();
        for namespace in self.bus.namespaces().await.unwrap() {
            let topic = Topic::Domain(namespace);
            for partition in 0..self.config.partitions {
                let head = self.bus.watermarks(topic, partition).await.unwrap().high;
                let mut reader = self.bus.reader("looking", options).unwrap();
                reader.assign(topic, vec![(partition, 0)]).await.unwrap();
                let mut next = 0;
                while next < head {
                    match timeout(SOON, reader.next()).await.unwrap().unwrap() {
                        Polled::Record(record) => {
                            next = record.offset + 1;
                            records.push(record);
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
        records
    }

    /// Compares the public topics with what `units` said.
    pub async fn tally(&self, units: &[&Unit]) -> Tally {
        let mut told: BTreeMap<(String, String), Vec<UnitSeq>> = BTreeMap::new();
        for record in self.public().await {
            let Topic::Domain(namespace) = record.topic else { panic!("{:?}", record.topic) };
            let unit = record.key.clone().unwrap();
            assert_eq!(record.partition, self.bus.partition_of(&unit));
            let key = (unit, namespace.as_str().to_owned());
            told.entry(key).or_default().push(record.unit_seq().unwrap());
        }
        let mut tally = Tally::default();
        for unit in units {
            for (namespace, expected) in &unit.expected {
                let key = (unit.id.to_string(), namespace.clone());
                let found = told.remove(&key).unwrap_or_default();
                tally.expected += expected.len();
                tally.holes += expected.iter().filter(|seq| !found.contains(seq)).count();
                let mut once = found.clone();
                once.sort();
                once.dedup();
                tally.doubles += found.len() - once.len();
                tally.out_of_order += found.windows(2).filter(|pair| pair[0] > pair[1]).count();
                assert!(once.iter().all(|seq| expected.contains(seq)), "told what nobody said");
            }
        }
        assert!(told.is_empty(), "told what nobody said: {:?}", told.keys());
        tally
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = std::fs::read_to_string(self.log()).unwrap_or_default();
            eprintln!("--- what the processes said\n{said}");
        }
        let _ = std::fs::remove_file(self.log());
    }
}

/// Waits until `holds` says so.
pub async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let until = Instant::now() + SOON;
    while !holds().await {
        assert!(Instant::now() < until, "{what} did not come");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Registers what every test needs.
pub async fn register(registry_url: &str) {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-schemas");
    let mut promises = kit_bus::schemas::read(&dir).unwrap();
    promises.push(Promise {
        type_name: "labs.result_filed".to_owned(),
        version: 1,
        text: RESULT_FILED.to_owned(),
    });
    promises.sort();
    apply(registry_url, &promises).await;
    register_calls(registry_url, "voip.call_ended").await;
}

async fn register_calls(registry_url: &str, type_name: &str) {
    let record = kit_body::name::record_name(type_name).unwrap();
    let (namespace, name) = record.rsplit_once('.').unwrap();
    let text = format!(
        r#"{{"type":"record","name":"{name}","namespace":"{namespace}","fields":[
        {{"name":"call_id","type":"string","arteria.public":true}},
        {{"name":"number","type":"string"}},
        {{"name":"seconds","type":["null","int"],"default":null,"arteria.public":true}}]}}"#
    );
    let promise = Promise { type_name: type_name.to_owned(), version: 1, text };
    apply(registry_url, std::slice::from_ref(&promise)).await;
}

/// Registers, as often as other tests are in the way.
async fn apply(registry_url: &str, promises: &[Promise]) {
    eventually("registering", || async {
        let outcome = kit_bus::schemas::apply(registry_url, promises).await;
        outcome.inspect_err(|error| eprintln!("registering: {error:?}")).is_ok()
    })
    .await;
}
