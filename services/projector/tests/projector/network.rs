//! Topics and a database of a test's own, and the projector's domains on them.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use kit_bus::{Bus, BusConfig, Polled, RawRecord, ReaderOptions, Topic};
use kit_clock::Clock;
use kit_event::Request;
use kit_lifecycle::Lifecycle;
use projector::{Host, Pace, domains};
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

/// How long anything that should happen at once may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// A type that no domain knows.
const RESULT_FILED: &str = r#"{"type":"record","name":"ResultFiled","namespace":"arteria.labs",
  "fields":[{"name":"result_id","type":"string"},{"name":"words","type":["null","string"],
  "default":null}]}"#;

/// The registry refuses one of two who register the same at once, so one test does it for all.
static REGISTERED: OnceCell<()> = OnceCell::const_new();

/// Repairs as fast as tests want them.
const PACE: Pace = Pace { tick_ms: 20, grace_ms: 100, patience_ms: [200, 200, 200] };

/// A network of a test's own.
pub struct Network {
    pub bus: Bus,
    pub config: BusConfig,
    pub postgres_url: String,
    /// What the gateway reads through.
    pub reads: PgPool,
    /// For looking into tables, and for doing what nobody should.
    pub admin: PgPool,
    pub life: Lifecycle,
}

impl Network {
    /// A network on which nothing runs yet.
    pub async fn bare(partitions: i32) -> Self {
        let servers = kit_testkit::servers().await;
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
        REGISTERED.get_or_init(|| register(&config.registry_url)).await;
        let bus = Bus::connect(&config).await.unwrap();
        let reads = kit_store::read_pool(&postgres_url, "test", 4).unwrap();
        let admin = PgPool::connect_lazy(&postgres_url).unwrap();
        Self { bus, config, postgres_url, reads, admin, life: Lifecycle::without_signals() }
    }

    /// A network with every domain running and caught up.
    pub async fn running() -> Self {
        let network = Self::bare(2).await;
        network.start(None);
        network.ready().await;
        network
    }

    /// Starts all domains, or one.
    pub fn start(&self, only: Option<&str>) {
        self.start_as(&self.life, only);
    }

    /// The same as another process.
    pub fn start_as(&self, life: &Lifecycle, only: Option<&str>) {
        let host = self.host();
        for domain in domains::chosen(only).unwrap() {
            host.start(life, domain);
        }
    }

    /// A process that nothing runs in yet.
    #[must_use]
    pub fn host(&self) -> Host {
        let host = Host::new(self.bus.clone(), self.postgres_url.clone(), Clock::system());
        host.paced(PACE)
    }

    /// Deletes what is on `unit.requests`, as its retention does after some days.
    pub async fn forget_requests(&self) {
        use rdkafka::admin::{AdminClient, AdminOptions};
        use rdkafka::client::DefaultClientContext;
        use rdkafka::{ClientConfig, Offset, TopicPartitionList};
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.config.brokers);
        let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
        let name = Topic::Requests.name(&self.config.topic_prefix);
        let mut until = TopicPartitionList::new();
        for partition in 0..self.config.partitions {
            until.add_partition_offset(&name, partition, Offset::End).unwrap();
        }
        admin.delete_records(&until, &AdminOptions::new()).await.unwrap();
        for partition in 0..self.config.partitions {
            let ends = self.bus.watermarks(Topic::Requests, partition).await.unwrap();
            assert_eq!(ends.low, ends.high);
        }
    }

    /// Waits until what was started has caught up once.
    pub async fn ready(&self) {
        eventually("readiness", || async { self.life.readiness().is_ready() }).await;
    }

    /// Ends what runs as a kill does: whatever is not committed is gone.
    pub async fn kill(&mut self) {
        let old = std::mem::replace(&mut self.life, Lifecycle::without_signals());
        old.hard().cancel();
        old.stop();
        let _ = old.drain().await;
    }

    /// Ends what runs in good order.
    pub async fn stop(&mut self) {
        let old = std::mem::replace(&mut self.life, Lifecycle::without_signals());
        old.stop();
        old.drain().await.unwrap();
    }

    /// Waits until every domain has read both logs as far as they go now.
    pub async fn settle(&self) {
        let mut heads = Vec::new();
        for topic in [Topic::Facts, Topic::Requests] {
            for partition in 0..self.config.partitions {
                let head = self.bus.watermarks(topic, partition).await.unwrap().high;
                heads.push((topic.name(&self.config.topic_prefix), partition, head));
            }
        }
        for domain in domains::ALL {
            let heads: Vec<_> = heads
                .iter()
                .filter(|(topic, ..)| domain.reads_requests() || topic.ends_with("unit.facts"))
                .collect();
            eventually(domain.schema(), || async {
                for (topic, partition, head) in &heads {
                    let next: Option<i64> = sqlx::query_scalar(AssertSqlSafe(format!(
                        "select next_offset from {}.offsets where topic = $1 and partition = $2",
                        domain.schema()
                    )))
                    .bind(topic)
                    .bind(partition)
                    .fetch_optional(&self.admin)
                    .await
                    .ok()
                    .flatten();
                    if next.unwrap_or(-1) < *head {
                        return false;
                    }
                }
                true
            })
            .await;
        }
    }

    /// Every record of a topic so far.
    pub async fn records(&self, topic: Topic) -> Vec<RawRecord> {
        let options = ReaderOptions { fetch_wait_ms: 10, ..ReaderOptions::default() };
        let mut records = Vec::new();
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
        records
    }

    /// The controls of one type on `unit.requests` so far.
    pub async fn controls(&self, type_name: &str) -> Vec<Request> {
        let mut controls = Vec::new();
        for record in self.records(Topic::Requests).await {
            if record.ce_type() == Some(type_name) {
                controls.push(self.bus.open_request(&record).await.unwrap());
            }
        }
        controls
    }

    /// One number out of the database.
    pub async fn count(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&self.admin).await.unwrap()
    }

    /// Every row of the domains' own tables, as text, without what only tells when it was written.
    pub async fn dump(&self) -> Vec<String> {
        let tables: Vec<(String, String)> = sqlx::query_as(
            "select table_schema, table_name from information_schema.tables
             where table_schema in ('patients', 'scheduling', 'requests', 'units', 'timeline')
               and table_name not in ('_sqlx_migrations', 'offsets', 'repair', 'fork', 'copy')
             order by 1, 2",
        )
        .fetch_all(&self.admin)
        .await
        .unwrap();
        let mut rows = Vec::new();
        for (schema, table) in tables {
            let sql = format!("select to_jsonb(t)::text from {schema}.{table} t order by 1");
            let found: Vec<String> =
                sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&self.admin).await.unwrap();
            rows.extend(found.into_iter().map(|row| format!("{schema}.{table} {row}")));
        }
        rows
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

async fn register(registry_url: &str) {
    let sources: Vec<_> = all_domains::ALL.iter().flat_map(|domain| domain.schemas()).collect();
    let mut promises = kit_bus::schemas::derive(&sources).unwrap();
    // A registry takes versions in their order, and only the present one is derived.
    let released = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-schemas");
    for old in kit_bus::schemas::read(&released).unwrap() {
        let is_same = |one: &kit_bus::schemas::Promise| {
            one.type_name == old.type_name && one.version == old.version
        };
        if !promises.iter().any(is_same) {
            promises.push(old);
        }
    }
    promises.push(kit_bus::schemas::Promise {
        type_name: "labs.result_filed".to_owned(),
        version: 1,
        text: RESULT_FILED.to_owned(),
    });
    promises.sort();
    let until = Instant::now() + SOON;
    while let Err(error) = kit_bus::schemas::apply(registry_url, &promises).await {
        assert!(Instant::now() < until, "registering did not come: {error:?}");
        sleep(Duration::from_millis(50)).await;
    }
}
