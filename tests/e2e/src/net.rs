//! The network under test.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use kit_bus::{Bus, BusConfig};
use kit_clock::Clock;
use kit_event::UnitId;
use kit_token::{Issuer, Kind};
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::rest::Rest;
use crate::{Unit, eventually};

/// A token of a test lives longer than the test.
const TOKEN_TTL: Duration = Duration::from_hours(1);
/// Partitions of a prefix's own topics: few, since each test that kills roles makes a set.
const OWN_PARTITIONS: i32 = 4;
/// Partitions of the shared network's topics, the default of the product.
const SHARED_PARTITIONS: i32 = 64;
/// The roles of an own network.
const ROLES: [&str; 4] = ["gateway", "edge", "projector", "publisher"];
/// Lines of a role's log that a failed test prints.
const LOG_LINES: usize = 25;

/// A network: the shared one, or one with roles of its own.
pub struct Net {
    pub gateway: String,
    pub edge: String,
    pub kafka: String,
    pub registry: String,
    pub postgres: String,
    pub keys: PathBuf,
    pub home: PathBuf,
    pub topic_prefix: String,
    pub partitions: i32,
    extra: Vec<(&'static str, String)>,
    admin: Vec<(&'static str, SocketAddr)>,
    roles: Vec<(&'static str, Child)>,
    _dir: Option<tempfile::TempDir>,
}

impl Net {
    /// The network that `make test` runs.
    pub fn shared() -> Self {
        let variable = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| {
                panic!(
                    "{name} is not set: end-to-end tests run in `make test`, or after \
                        `target/debug/arteria with-network cargo test -p tests-e2e`"
                )
            })
        };
        Self {
            gateway: variable("ARTERIA_TEST_GATEWAY"),
            edge: variable("ARTERIA_TEST_EDGE"),
            kafka: variable("ARTERIA_TEST_KAFKA"),
            registry: variable("ARTERIA_TEST_REGISTRY"),
            postgres: variable("ARTERIA_TEST_POSTGRES"),
            keys: variable("ARTERIA_TEST_KEYS").into(),
            home: variable("ARTERIA_TEST_HOME").into(),
            topic_prefix: String::new(),
            partitions: SHARED_PARTITIONS,
            extra: Vec::new(),
            admin: Vec::new(),
            roles: Vec::new(),
            _dir: None,
        }
    }

    /// Roles of its own on the shared servers, for tests that kill them or touch raw topics.
    pub async fn own(name: &str) -> Self {
        Self::own_with(name, &[]).await
    }

    /// As [`Net::own`], with settings of its own.
    pub async fn own_with(name: &str, settings: &[(&'static str, &str)]) -> Self {
        let shared = Self::shared();
        let dir = tempfile::tempdir().expect("a folder for the test");
        let tag = format!("{name}_{}", &Uuid::new_v4().simple().to_string()[..8]);
        create_database(&shared.postgres, &tag).await;
        let (base, _) = shared.postgres.rsplit_once('/').expect("a Postgres URL with a database");
        let mut net = Self {
            gateway: format!("http://{}", free_addr()),
            edge: format!("ws://{}", free_addr()),
            postgres: format!("{base}/{tag}"),
            keys: dir.path().join("keys"),
            home: dir.path().to_path_buf(),
            topic_prefix: format!("{}.", tag.replace('_', "-")),
            partitions: OWN_PARTITIONS,
            extra: settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
            admin: ROLES.map(|role| (role, free_addr())).to_vec(),
            kafka: shared.kafka.clone(),
            registry: shared.registry.clone(),
            roles: Vec::new(),
            _dir: Some(dir),
        };
        Issuer::open(&net.keys, false).expect("the test's own issuer");
        net.arteria(&["topics", "apply"]).await;
        for role in ROLES {
            net.start_role(role).await;
        }
        for role in ROLES {
            net.wait_ready(role).await;
        }
        net
    }

    /// Runs a command of the binary to its successful end.
    pub async fn arteria(&self, args: &[&str]) -> String {
        let output = self.command("arteria").args(args).output().await.expect("running arteria");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "arteria {args:?}: {text}{errors}");
        text
    }

    /// Starts one of the own roles.
    pub async fn start_role(&mut self, role: &'static str) {
        let log = self.log_file(role);
        std::fs::create_dir_all(log.parent().expect("a folder of logs")).expect("making it");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log");
        let child = self
            .command("arteria")
            .arg(role)
            .stdout(file.try_clone().expect("sharing the log"))
            .stderr(file)
            .spawn()
            .expect("starting a role");
        self.roles.push((role, child));
    }

    /// Kills one of the own roles without a word, and waits until it is gone.
    pub async fn kill9(&mut self, role: &str) {
        let at = self.roles.iter().position(|(name, _)| *name == role).expect("a role of ours");
        let (_, mut child) = self.roles.swap_remove(at);
        child.kill().await.expect("killing a role");
    }

    /// Waits until a role says that it is ready.
    pub async fn wait_ready(&self, role: &str) {
        let (_, addr) = self.admin.iter().find(|(name, _)| *name == role).expect("a role of ours");
        let url = format!("http://{addr}/readyz");
        eventually(&format!("readiness of {role}"), || async {
            let answer = reqwest::get(&url).await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// A clinic of this test's own, its agent running, a small population in it.
    pub async fn unit(&self, name: &str) -> Unit {
        Unit::open(self, name).await
    }

    /// An app with a token of `kind`.
    pub fn rest(&self, kind: Kind, units: &[UnitId], patient: Option<Uuid>) -> Rest {
        let subject = format!("test-{}", Uuid::new_v4());
        Rest::new(&self.gateway, Some(self.token(kind, &subject, units, patient)))
    }

    /// A token of this network's issuer.
    pub fn token(&self, kind: Kind, subject: &str, units: &[UnitId], of: Option<Uuid>) -> String {
        let issuer = Issuer::open(&self.keys, false).expect("the network's issuer");
        let now = Clock::system().now();
        issuer.issue(kind, subject, units, of, TOKEN_TTL, now).expect("a token")
    }

    /// A client of the log.
    pub async fn bus(&self) -> Bus {
        Bus::connect(&BusConfig {
            brokers: self.kafka.clone(),
            registry_url: self.registry.clone(),
            topic_prefix: self.topic_prefix.clone(),
            partitions: self.partitions,
        })
        .await
        .expect("connecting to Kafka")
    }

    /// One of our programs, told where this network is.
    pub fn command(&self, program: &str) -> Command {
        let plain = |url: &str| url.rsplit('/').next().unwrap_or_default().to_owned();
        let mut command = Command::new(beside_tests(program));
        command
            .env("ARTERIA_HOME", &self.home)
            .env("ARTERIA_KEYS", &self.keys)
            .env("ARTERIA_KAFKA", &self.kafka)
            .env("ARTERIA_REGISTRY", &self.registry)
            .env("ARTERIA_POSTGRES", &self.postgres)
            .env("ARTERIA_TOPIC_PREFIX", &self.topic_prefix)
            .env("ARTERIA_PARTITIONS", self.partitions.to_string())
            .env("ARTERIA_GATEWAY_ADDR", plain(&self.gateway))
            .env("ARTERIA_EDGE_ADDR", plain(&self.edge))
            .envs(self.extra.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        for (role, addr) in &self.admin {
            let name = format!("ARTERIA_{}_ADMIN_ADDR", role.to_uppercase());
            command.env(name, addr.to_string());
        }
        command
    }

    /// The own roles and where each tells its health and its metrics.
    pub fn admin_addrs(&self) -> &[(&'static str, SocketAddr)] {
        &self.admin
    }

    fn log_file(&self, role: &str) -> PathBuf {
        self.home.join("logs").join(format!("{role}.log"))
    }
}

impl Drop for Net {
    /// A failed test shows what the roles said last.
    fn drop(&mut self) {
        if std::thread::panicking() {
            for role in ROLES {
                eprintln!("--- last lines of {role}\n{}", tail(&self.log_file(role)));
            }
        }
    }
}

/// The last lines of a log, or a word when there is none.
pub fn tail(path: &Path) -> String {
    let Ok(text) = std::fs::read_to_string(path) else { return "(no log)".to_owned() };
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

/// A program that was built beside this test.
pub fn beside_tests(program: &str) -> PathBuf {
    let us = std::env::current_exe().expect("our own path");
    let path = us.ancestors().nth(2).expect("target/debug").join(program);
    assert!(path.exists(), "{} is not built; `make build` builds it", path.display());
    path
}

/// An address that nobody holds at this moment.
pub fn free_addr() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}

async fn create_database(url: &str, name: &str) {
    use sqlx::Connection;
    let mut connection = sqlx::PgConnection::connect(url).await.expect("reaching Postgres");
    let sql = format!("CREATE DATABASE \"{name}\"");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.expect("a database");
}
