//! The whole local network: servers, topics, schemas, roles and clinics, each a process of its own.
//!
//! The order is the order of need: servers; topics and schemas; the development issuer's keys; the
//! clinics' folders; the roles; last the agents, which connect to them. Started again, everything
//! is found where it was left, and only processes are started.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kit_clock::Clock;
use kit_config::Settings;
use kit_event::UnitId;
use kit_stack::{Probe, ProcessSpec, Stack, StackConfig, Supervisor};
use kit_token::{Issuer, Kind};

use crate::rest::App;
use crate::{schemas, topics};

/// A role with a cold read model catches up within this on a developer's machine.
const ROLE_READY_WITHIN: Duration = Duration::from_mins(1);
/// How long a role or an agent may drain before it is killed; its own deadline is shorter.
const ROLE_GRACE: Duration = Duration::from_secs(7);
/// Freshly seeded clinics send thousands of facts before they are quiet.
const CLINICS_WITHIN: Duration = Duration::from_mins(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Clinics whose folders are made at the same time; each is a short burst of disk and CPU.
const UNITS_PREPARED_AT_ONCE: usize = 2;
/// Seeded patients of a clinic of the local network.
const PATIENTS: u32 = 2_000;
/// Its diary: long enough to look like one, short enough that five clinics open in half a minute.
const PAST_DAYS: u32 = 21;
const COMING_DAYS: u32 = 21;

/// A running network. Dropped, it ends every process it started.
pub struct Network {
    pub supervisor: Supervisor,
    pub settings: Settings,
}

/// What a start says while it goes on, one short line each.
pub type Say<'a> = &'a (dyn Fn(&str) + Sync);

impl Network {
    /// Starts everything and returns when every role is ready and every clinic is there.
    pub async fn start(mut settings: Settings, stack: StackConfig, say: Say<'_>) -> Result<Self> {
        settings.home = stack.home.clone();
        settings.keys_dir = std::path::absolute(&settings.keys_dir)?;
        let up = Stack::up(&stack).await?;
        settings.kafka = up.addresses.kafka.clone();
        settings.registry_url = up.addresses.registry.clone();
        settings.postgres_url = up.addresses.postgres.clone();
        say(&format!(
            "Kafka {}, schema registry {}, Postgres {}",
            stack.kafka_addr, stack.registry_addr, stack.postgres_addr
        ));
        let created = topics::apply(&settings).await?;
        let registered = schemas::apply(&settings).await?;
        say(&format!("topics: {created}; schemas: {registered}"));
        Issuer::open(&settings.keys_dir, settings.production)?;

        let network = Self { supervisor: up.supervisor, settings };
        let units = network.units()?;
        network.prepare_units(&units).await?;
        say(&format!("{} clinics, each with its own clinic.db", units.len()));
        network.supervisor.start_wave(network.roles()?).await?;
        say("gateway, edge, projector and publisher are ready");
        let agents = units.iter().map(|unit| network.agent(unit)).collect::<Result<Vec<_>>>()?;
        network.supervisor.start_wave(agents).await?;
        network.wait_for_the_clinics(&units).await?;
        say("every clinic is connected, and the read models hold it");
        Ok(network)
    }

    /// Waits until every clinic is connected and its opening facts are in the read models, as an
    /// app sees it.
    async fn wait_for_the_clinics(&self, units: &[UnitId]) -> Result<()> {
        let issuer = Issuer::open(&self.settings.keys_dir, self.settings.production)?;
        let now = Clock::system().now();
        let token = issuer.issue(Kind::Staff, "network", units, None, CLINICS_WITHIN, now)?;
        let app = App::new(format!("http://{}", self.settings.gateway_addr), token)?;
        let begun = Instant::now();
        for unit in units {
            loop {
                // A unit that the registry does not know yet is 404.
                let answer = app.get(&format!("/v1/units/{unit}")).await?;
                if answer.body["online"] == true && answer.body["seeded"] == true {
                    break;
                }
                let within = CLINICS_WITHIN.as_secs();
                ensure!(begun.elapsed() < CLINICS_WITHIN, "{unit} was not there after {within} s");
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    /// The clinics of this network, `hcu-0001` and on.
    pub fn units(&self) -> Result<Vec<UnitId>> {
        (1..=self.settings.units)
            .map(|n| format!("hcu-{n:04}").parse().context("naming a unit"))
            .collect()
    }

    /// A clinic's folder.
    pub fn unit_dir(&self, unit: &UnitId) -> PathBuf {
        self.settings.home.join("units").join(unit.as_str())
    }

    /// The name of a clinic's agent process.
    pub fn agent_name(unit: &UnitId) -> String {
        format!("agent-{unit}")
    }

    /// The agent's process of one clinic.
    pub fn agent(&self, unit: &UnitId) -> Result<ProcessSpec> {
        Ok(ProcessSpec::new(Self::agent_name(unit), beside_us("arteria-agent")?)
            .args(["run", "--dir"])
            .arg(self.unit_dir(unit))
            .grace(ROLE_GRACE))
    }

    fn roles(&self) -> Result<Vec<ProcessSpec>> {
        let us = beside_us("arteria")?;
        let role = |name: &str, admin: SocketAddr| {
            let mut spec = ProcessSpec::new(name, &us)
                .arg(name)
                .ready(Probe::Http(admin, "/readyz".to_owned()))
                .ready_within(ROLE_READY_WITHIN)
                .grace(ROLE_GRACE);
            spec.env.extend(environment(&self.settings));
            spec
        };
        Ok(vec![
            role("gateway", self.settings.gateway_admin_addr),
            role("edge", self.settings.edge_admin_addr),
            role("projector", self.settings.projector_admin_addr),
            role("publisher", self.settings.publisher_admin_addr),
        ])
    }

    async fn prepare_units(&self, units: &[UnitId]) -> Result<()> {
        for some in units.chunks(UNITS_PREPARED_AT_ONCE) {
            let prepared = some.iter().map(|unit| {
                let dir = self.unit_dir(unit);
                prepare_unit(&self.settings, unit.clone(), dir, PATIENTS)
            });
            for outcome in futures_util::future::join_all(prepared).await {
                outcome?;
            }
        }
        Ok(())
    }
}

/// Makes a clinic's folder with `arteria-agent init`, and fills its database where it is empty.
pub async fn prepare_unit(
    settings: &Settings,
    unit: UnitId,
    dir: PathBuf,
    patients: u32,
) -> Result<()> {
    let output = tokio::process::Command::new(beside_us("arteria-agent")?)
        .args(["init", "--dir"])
        .arg(&dir)
        .args(["--unit", unit.as_str(), "--edge", &format!("ws://{}", settings.edge_addr)])
        .arg("--keys")
        .arg(&settings.keys_dir)
        .output()
        .await
        .context("running arteria-agent init")?;
    if !output.status.success() {
        bail!("arteria-agent init of {unit}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let now = Clock::system().now();
    let seeded = tokio::task::spawn_blocking(move || {
        let population = practice::Population {
            patients,
            past_days: PAST_DAYS,
            coming_days: COMING_DAYS,
            ..practice::Population::default()
        };
        practice::seed_clinic(&dir, &unit, &population, now)
    });
    seeded.await.context("seeding a clinic")??;
    Ok(())
}

/// What a role or agent must be told to find this network, whatever the defaults are.
pub fn environment(settings: &Settings) -> Vec<(OsString, OsString)> {
    let path = |path: &Path| path.as_os_str().to_owned();
    let text = |text: &dyn ToString| OsString::from(text.to_string());
    [
        ("ARTERIA_HOME", path(&settings.home)),
        ("ARTERIA_KEYS", path(&settings.keys_dir)),
        ("ARTERIA_GATEWAY_ADDR", text(&settings.gateway_addr)),
        ("ARTERIA_EDGE_ADDR", text(&settings.edge_addr)),
        ("ARTERIA_GATEWAY_ADMIN_ADDR", text(&settings.gateway_admin_addr)),
        ("ARTERIA_EDGE_ADMIN_ADDR", text(&settings.edge_admin_addr)),
        ("ARTERIA_PROJECTOR_ADMIN_ADDR", text(&settings.projector_admin_addr)),
        ("ARTERIA_PUBLISHER_ADMIN_ADDR", text(&settings.publisher_admin_addr)),
        ("ARTERIA_KAFKA", text(&settings.kafka)),
        ("ARTERIA_REGISTRY", text(&settings.registry_url)),
        ("ARTERIA_POSTGRES", text(&settings.postgres_url)),
        ("ARTERIA_TOPIC_PREFIX", text(&settings.topic_prefix)),
        ("ARTERIA_PARTITIONS", text(&settings.partitions)),
        ("ARTERIA_UNIT_QUEUE_MAX", text(&settings.unit_queue_max)),
    ]
    .into_iter()
    .map(|(name, value)| (OsString::from(name), value))
    .collect()
}

/// The path of a program of ours: all of them are built into one folder.
pub fn beside_us(program: &str) -> Result<PathBuf> {
    let us = std::env::current_exe().context("finding our own program")?;
    let path = us.with_file_name(program);
    ensure!(path.exists(), "{} is not built; `make build` builds it", path.display());
    Ok(path)
}
