//! Two gateways on a real log and a real database, and a unit that is played by the test: what they
//! hear, what they refuse, and how they go.

#![expect(clippy::disallowed_methods, reason = "a test says what it expects and goes on")]

use std::path::Path;
use std::time::Duration;

use kit_bus::schemas;
use kit_bus::{Bus, BusConfig, Outgoing, Polled, Reader, ReaderOptions, Topic, topics};
use kit_clock::Clock;
use kit_config::{Environment, Settings};
use kit_event::{Request, UnitId, UnitSeq};
use kit_lifecycle::Lifecycle;
use kit_stack::free_addr;
use kit_token::{Issuer, Kind};
use requests::{FinalState, Reply, RequestOutcome};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use units::{EdgeLiveness, Presence};
use uuid::Uuid;

const UNIT: &str = "hcu-0001";
const SOON: Duration = Duration::from_secs(30);

struct Network {
    bus: Bus,
    settings: Settings,
    keys: tempfile::TempDir,
    prefix: String,
}

struct Running {
    base: String,
    life: Lifecycle,
    ended: tokio::task::JoinHandle<anyhow::Result<()>>,
}

fn settings(variables: &[(&str, String)]) -> Settings {
    let pairs = variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    Settings::read(&Environment::of(pairs)).unwrap()
}

impl Network {
    async fn start() -> Self {
        let servers = kit_testkit::servers().await;
        let name = format!("gw{}", Uuid::new_v4().simple());
        let postgres = database(&servers.postgres, &name).await;
        let prefix = format!("{name}.");
        let config = BusConfig {
            brokers: servers.kafka.clone(),
            registry_url: servers.registry.clone(),
            topic_prefix: prefix.clone(),
            partitions: 4,
        };
        topics::apply(&config).await.unwrap();
        // A registry takes versions in their order, so the older ones are registered too.
        let released = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-schemas");
        let promises = schemas::read(&released).unwrap();
        schemas::apply(&servers.registry, &promises).await.unwrap();
        let keys = tempfile::tempdir().unwrap();
        Issuer::open(keys.path(), false).unwrap();
        let settings = settings(&[
            ("ARTERIA_KAFKA", servers.kafka.clone()),
            ("ARTERIA_REGISTRY", servers.registry.clone()),
            ("ARTERIA_POSTGRES", postgres),
            ("ARTERIA_TOPIC_PREFIX", prefix.clone()),
            ("ARTERIA_PARTITIONS", "4".to_owned()),
            ("ARTERIA_KEYS", keys.path().display().to_string()),
        ]);
        Self { bus: Bus::connect(&config).await.unwrap(), settings, keys, prefix }
    }

    /// A gateway that listens on a partition of its own.
    async fn gateway(&self, reply_partition: i32) -> Running {
        let mut settings = self.settings.clone();
        settings.gateway_addr = free_addr();
        settings.reply_partition = Some(reply_partition);
        let base = format!("http://{}", settings.gateway_addr);
        let life = Lifecycle::without_signals();
        let ended = tokio::spawn(gateway::run(settings, life.clone()));
        let readiness = life.readiness();
        let ready = async {
            // The latches are taken before the first await, so that an empty set means ready.
            loop {
                tokio::time::sleep(Duration::from_millis(20)).await;
                if readiness.is_ready() {
                    break;
                }
            }
        };
        tokio::time::timeout(SOON, ready).await.unwrap();
        Running { base, life, ended }
    }

    async fn say(&self, topic: Topic, partition: Option<i32>, key: &str, id: &str, body: Value) {
        let type_name = match topic {
            Topic::Replies => Reply::TYPE,
            _ if key.starts_with("edge/") => EdgeLiveness::TYPE,
            _ => Presence::TYPE,
        };
        let out = Outgoing {
            topic,
            partition,
            key: key.to_owned(),
            ce_id: id.to_owned(),
            type_name: type_name.to_owned(),
            version: 1,
            time: Clock::system().now(),
            headers: Vec::new(),
            body,
        };
        self.bus.publish(out).await.unwrap();
    }

    async fn connect_unit(&self) {
        let now = Clock::system().now();
        let id = Uuid::new_v4().to_string();
        let here = json!({"unit_id": UNIT, "edge_id": "e", "conn_epoch": 0, "since": now});
        self.say(Topic::Presence, None, UNIT, &id, here).await;
        let alive = json!({"edge_id": "e", "at": now});
        self.say(Topic::Presence, None, "edge/e", &id, alive).await;
    }

    async fn cut_unit_off(&self) {
        let now = Clock::system().now();
        let away = json!({"unit_id": UNIT, "conn_epoch": 0, "since": now});
        self.say(Topic::Presence, None, UNIT, &Uuid::new_v4().to_string(), away).await;
    }

    /// The unit's end of the log, from now on.
    async fn requests(&self) -> Reader {
        let partition = self.bus.partition_of(UNIT);
        let high = self.bus.watermarks(Topic::Requests, partition).await.unwrap().high;
        let options = ReaderOptions { fetch_wait_ms: 10, ..ReaderOptions::default() };
        let reader = self.bus.reader("unit", options).unwrap();
        reader.assign(Topic::Requests, vec![(partition, high)]).await.unwrap();
        reader
    }

    async fn next(&self, reader: &mut Reader) -> Request {
        match tokio::time::timeout(SOON, reader.next()).await.unwrap().unwrap() {
            Polled::Record(record) => self.bus.open_request(&record).await.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The unit grants a request.
    async fn grant(&self, request: &Request) {
        let now = Clock::system().now();
        let mut outcome = RequestOutcome::new(request.id.clone(), FinalState::Done, now);
        outcome.command_hash = Some(request.command_hash.clone());
        outcome.record_id = request.body["patient_id"].as_str().map(|id| id.parse().unwrap());
        outcome.record_json = Some(request.body.to_string());
        let reply = Reply {
            request_id: request.id.clone(),
            last_seq: Some(UnitSeq::new(1, 2)),
            record_seq: Some(UnitSeq::new(1, 1)),
            outcome,
        };
        let body = serde_json::to_value(reply).unwrap();
        let id = Uuid::new_v4().to_string();
        self.say(Topic::Replies, request.reply_partition, UNIT, &id, body).await;
    }

    fn token(&self, kind: Kind) -> String {
        let unit: UnitId = UNIT.parse().unwrap();
        let now = Clock::system().now();
        let ttl = Duration::from_mins(10);
        let issuer = Issuer::open(Path::new(self.keys.path()), false).unwrap();
        issuer.issue(kind, "desk", &[unit], None, ttl, now).unwrap()
    }

    async fn register(&self, at: &Running, key: &str, wait: &str) -> (u16, Value) {
        self.write(at, key, &[("prefer", wait)], "Silva").await
    }

    async fn write(
        &self,
        at: &Running,
        key: &str,
        headers: &[(&str, &str)],
        name: &str,
    ) -> (u16, Value) {
        let mut call = reqwest::Client::new()
            .post(format!("{}/v1/units/{UNIT}/patients", at.base))
            .bearer_auth(self.token(Kind::Staff))
            .header("idempotency-key", key)
            .json(&json!({"family_name": name, "birth_date": "1980-01-31"}));
        for (name, value) in headers {
            call = call.header(*name, *value);
        }
        let answer = call.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

async fn database(postgres: &str, name: &str) -> String {
    let mut maintenance = PgConnection::connect(postgres).await.unwrap();
    let create = AssertSqlSafe(format!("create database {name}"));
    sqlx::query(create).execute(&mut maintenance).await.unwrap();
    let (server, _) = postgres.rsplit_once('/').unwrap();
    let url = format!("{server}/{name}");
    for store in all_stores::ALL {
        kit_store::migrate(&url, store.schema(), store.steps()).await.unwrap();
    }
    url
}

async fn eventually<F: Future<Output = bool>>(what: &str, check: impl Fn() -> F) {
    let wait = async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn gateways_hear_their_units_and_leave_in_good_order() {
    let network = Network::start().await;
    network.connect_unit().await;
    let (one, two) = (network.gateway(0).await, network.gateway(1).await);
    let mut unit = network.requests().await;

    // A write goes down the log of its unit and its word comes back to the gateway that asked.
    let (answer, request) = tokio::join!(network.register(&one, "a", "wait=20"), async {
        let request = network.next(&mut unit).await;
        network.grant(&request).await;
        request
    });
    assert_eq!(answer.0, 201, "{}", answer.1);
    assert_eq!(request.reply_partition, Some(0));
    assert_eq!(answer.1["family_name"], "Silva");

    // The same key at two gateways at once: two records, one request, each hears its own reply.
    let (first, second, ()) = tokio::join!(
        network.register(&one, "b", "wait=20"),
        network.register(&two, "b", "wait=20"),
        async {
            let (a, b) = (network.next(&mut unit).await, network.next(&mut unit).await);
            assert_eq!((&a.id, &a.command_hash), (&b.id, &b.command_hash));
            network.grant(&a).await;
            network.grant(&b).await;
        }
    );
    assert_eq!((first.0, second.0), (201, 201));
    assert_eq!(first.1, second.1);

    // Nobody answers: tracked.
    let (status, tracked) = network.register(&one, "c", "respond-async").await;
    assert_eq!((status, &tracked["state"]), (202, &json!("accepted")));
    network.next(&mut unit).await;

    // The unit goes: what wants it now is refused, and nothing is sent.
    network.cut_unit_off().await;
    let only = [("arteria-delivery", "online-only")];
    eventually("away", || async {
        network.write(&one, "d", &only, "Silva").await.1["type"] == "/problems/unit-not-connected"
    })
    .await;
    assert!(unit.try_next().is_none());

    // Drained while somebody waits: the waiting is answered, and the process ends.
    let (answer, ()) = tokio::join!(network.register(&two, "e", "wait=60"), async {
        network.next(&mut unit).await;
        two.life.stop();
    });
    assert_eq!(answer.0, 202);
    tokio::time::timeout(SOON, two.ended).await.unwrap().unwrap().unwrap();
    two.life.drain().await.unwrap();
    assert!(reqwest::get(format!("{}/openapi.json", two.base)).await.is_err());
    assert!(reqwest::get(format!("{}/openapi.json", one.base)).await.is_ok());
    assert!(network.prefix.ends_with('.'));
}
