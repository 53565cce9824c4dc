//! Two edges over one log, for every test of the process.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;

use kit_bus::schemas::{self, Promise};
use kit_bus::{Bus, BusConfig, Placed, RawRecord, Topic, topics};
use kit_config::{Environment, Settings};
use kit_event::{Delivery, Domain, Fact, Request, RequestId, Timestamp, UnitId, UnitSeq};
use kit_lifecycle::Lifecycle;
use kit_token::{AgentKey, add_agent_key};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;
use uuid::Uuid;

pub const PARTITIONS: i32 = 4;

/// Facts, commands and a query of no domain: an edge carries any type that has a schema.
pub const RESOURCE: &str = "edgetest.thing_changed";
pub const COMMAND: &str = "edgetest.do_thing";
pub const QUERY: &str = "edgetest.ask_thing";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static NETWORK: OnceCell<Network> = OnceCell::const_new();

/// Runs a test on the runtime that the edges live on.
pub fn on_network<F: Future<Output = ()>>(test: impl FnOnce(&'static Network) -> F) {
    RUNTIME.block_on(async { test(NETWORK.get_or_init(Network::start).await).await });
}

pub struct Network {
    pub bus: Bus,
    pub edges: [SocketAddr; 2],
    pub registry_url: String,
    keys_dir: PathBuf,
    settings: Settings,
}

/// A unit of one test.
#[derive(Clone)]
pub struct Unit {
    pub id: UnitId,
    keys_dir: PathBuf,
}

impl Unit {
    pub fn key(&self) -> AgentKey {
        AgentKey::generate(&self.id, &self.keys_dir.join(format!("{}.key", self.id))).unwrap()
    }

    pub fn token(&self) -> String {
        self.key().sign_hello(now()).unwrap()
    }

    pub fn request_id(&self, key: &str) -> RequestId {
        RequestId::derive(&self.id, "test", "test", key)
    }

    pub fn fact(&self, seq: UnitSeq) -> Fact {
        Fact {
            unit: self.id.clone(),
            seq,
            id: fact_id(seq),
            type_name: RESOURCE.to_owned(),
            version: 1,
            time: now(),
            subject: Some("thing/1".to_owned()),
            patient_id: None,
            causation_id: None,
            traceparent: None,
            body: json!({"note": seq.to_string()}),
        }
    }
}

/// A fact's id in these tests follows from its number, as a spool would remember it.
pub fn fact_id(seq: UnitSeq) -> Uuid {
    Uuid::from_u64_pair(u64::from(seq.epoch), seq.seq)
}

pub fn now() -> Timestamp {
    kit_clock::Clock::system().now()
}

pub fn promise(type_name: &str) -> Promise {
    let (domain, name) = type_name.split_once('.').unwrap();
    let pascal: String =
        name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
    let text = json!({
        "type": "record", "name": pascal, "namespace": format!("arteria.{domain}"),
        "fields": [{"name": "note", "type": ["null", "string"], "default": null}],
    });
    Promise { type_name: type_name.to_owned(), version: 1, text: text.to_string() }
}

impl Network {
    async fn start() -> Self {
        let servers = kit_testkit::servers().await;
        let prefix = format!("edge-{:08x}.", rand::random::<u32>());
        let keys_dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(&prefix);
        let config = BusConfig {
            brokers: servers.kafka.clone(),
            registry_url: servers.registry.clone(),
            topic_prefix: prefix.clone(),
            partitions: PARTITIONS,
        };
        topics::apply(&config).await.unwrap();
        let mut domains = units::Units.schemas();
        domains.extend(requests::Requests.schemas());
        let mut promises = schemas::derive(&domains).unwrap();
        promises.extend([RESOURCE, COMMAND, QUERY].map(promise));
        schemas::apply(&servers.registry, &promises).await.unwrap();
        let variables = [
            ("ARTERIA_KAFKA", servers.kafka.clone()),
            ("ARTERIA_REGISTRY", servers.registry.clone()),
            ("ARTERIA_TOPIC_PREFIX", prefix),
            ("ARTERIA_PARTITIONS", PARTITIONS.to_string()),
            ("ARTERIA_EDGE_ADDR", "127.0.0.1:0".to_owned()),
            ("ARTERIA_KEYS", keys_dir.display().to_string()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value));
        let settings = Settings::read(&Environment::of(variables)).unwrap();
        let bus = Bus::connect(&config).await.unwrap();
        let (one, _) = edge(&settings).await;
        let (two, _) = edge(&settings).await;
        let registry_url = servers.registry.clone();
        Self { bus, edges: [one, two], registry_url, keys_dir, settings }
    }

    /// One more edge, with a life of its own.
    pub async fn edge(&self) -> (SocketAddr, Lifecycle) {
        edge(&self.settings).await
    }

    /// One more edge, which reaches the registry at another URL.
    pub async fn edge_with_registry(&self, registry_url: &str) -> (SocketAddr, Lifecycle) {
        let registry_url = registry_url.to_owned();
        edge(&Settings { registry_url, ..self.settings.clone() }).await
    }

    /// One more edge, with so few places for links and for sockets without a token.
    pub async fn narrow_edge(&self, links: usize, newcomers: usize) -> (SocketAddr, Lifecycle) {
        let life = Lifecycle::without_signals();
        let places = edge::places::Places::of(links, newcomers);
        let clock = kit_clock::Clock::system();
        let started = edge::start_with(self.settings.clone(), places, clock, life.clone()).await;
        (started.unwrap(), life)
    }

    /// One more edge, on a machine whose clock is off.
    pub async fn edge_off_by(&self, ms: i64) -> (SocketAddr, Lifecycle) {
        let life = Lifecycle::without_signals();
        let clock = kit_clock::Clock::shifted(kit_clock::Clock::system());
        clock.shift(ms);
        let places = edge::places::Places::default();
        let started = edge::start_with(self.settings.clone(), places, clock, life.clone()).await;
        (started.unwrap(), life)
    }

    /// A unit that is enrolled.
    pub fn unit(&self, name: &str) -> Unit {
        let id: UnitId = format!("{name}-{:08x}", rand::random::<u32>()).parse().unwrap();
        let unit = Unit { id, keys_dir: self.keys_dir.clone() };
        std::fs::create_dir_all(&self.keys_dir).unwrap();
        let jwk = unit.key().public_jwk();
        add_agent_key(&self.keys_dir.join("agents.jwks.json"), &unit.id, &jwk).unwrap();
        unit
    }

    /// A unit whose records share a partition with `other`'s.
    pub fn neighbour(&self, other: &Unit, name: &str) -> Unit {
        let partition = self.bus.partition_of(other.id.as_str());
        std::iter::repeat_with(|| self.unit(name))
            .find(|unit| self.bus.partition_of(unit.id.as_str()) == partition)
            .unwrap()
    }

    pub fn request(&self, unit: &Unit, key: &str, type_name: &str, body: Value) -> Request {
        Request {
            unit: unit.id.clone(),
            id: unit.request_id(key),
            type_name: type_name.to_owned(),
            version: 1,
            accepted_at: now(),
            expires_at: now().plus_ms(60_000),
            delivery: Delivery::Queue,
            command_hash: "hash".to_owned(),
            actor: "staff:1".to_owned(),
            reply_partition: Some(1),
            traceparent: None,
            body,
        }
    }

    /// Puts a command on the log.
    pub async fn command(&self, unit: &Unit, key: &str) -> Placed {
        let request = self.request(unit, key, COMMAND, json!({"note": key}));
        self.bus.publish_request(&request).await.unwrap()
    }

    /// Puts a command of a gateway that listens on `partition` on the log.
    pub async fn command_from(&self, unit: &Unit, key: &str, partition: i32) -> Placed {
        let mut request = self.request(unit, key, COMMAND, json!({"note": key}));
        request.reply_partition = Some(partition);
        self.bus.publish_request(&request).await.unwrap()
    }

    /// Puts a live query of a gateway that listens on `partition` on the log.
    pub async fn query_from(&self, unit: &Unit, key: &str, partition: i32) -> Placed {
        let mut request = self.request(unit, key, QUERY, json!({"note": key}));
        request.delivery = Delivery::Query;
        request.reply_partition = Some(partition);
        self.bus.publish_request(&request).await.unwrap()
    }

    /// Puts a cancel of the command `key` on the log.
    pub async fn cancel(&self, unit: &Unit, key: &str) -> Placed {
        let body = json!({"request_id": unit.request_id(key)});
        let request = self.request(unit, &format!("cancel-{key}"), "control.cancel", body);
        self.bus.publish_request(&request).await.unwrap()
    }

    /// Puts a live query on the log.
    pub async fn query(&self, unit: &Unit, key: &str, lives_ms: i64) -> Placed {
        let mut request = self.request(unit, key, QUERY, json!({"note": key}));
        request.delivery = Delivery::Query;
        request.expires_at = now().plus_ms(lives_ms);
        self.bus.publish_request(&request).await.unwrap()
    }

    /// Everything of a unit on one partition of a topic, oldest first.
    pub async fn records(&self, topic: Topic, partition: i32, key: &str) -> Vec<RawRecord> {
        let ends = self.bus.watermarks(topic, partition).await.unwrap();
        let scans = self.bus.scans(1);
        let mut scan = scans.scan(topic, partition, ends.low, ends.high).await.unwrap();
        let mut records = Vec::new();
        while let Some(record) = scan.next().await {
            records.push(record.unwrap());
        }
        records.retain(|record| record.key.as_deref() == Some(key));
        records
    }

    /// The unit's records on its own partition of a topic.
    pub async fn of_unit(&self, topic: Topic, unit: &Unit) -> Vec<RawRecord> {
        let partition = self.bus.partition_of(unit.id.as_str());
        self.records(topic, partition, unit.id.as_str()).await
    }
}

async fn edge(settings: &Settings) -> (SocketAddr, Lifecycle) {
    let life = Lifecycle::without_signals();
    let addr = edge::start(settings.clone(), life.clone()).await.unwrap();
    (addr, life)
}
