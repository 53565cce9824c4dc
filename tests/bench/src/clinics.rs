//! Clinics: their folders, their populations, their agents.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kit_clock::Clock;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use practice::{Population, Seeded};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::place::Place;

/// Where clinics stand, in the network's home.
pub const FOLDER: &str = "clinics";
/// Clinics made at the same time, as many as the cores of a small machine.
const MADE_AT_ONCE: usize = 2;
/// Practitioners of a clinic of 10,000 patients.
const PRACTITIONERS: usize = 8;
/// An agent ends by itself well within this.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// The token of a run lives as long as the longest run.
const TOKEN_TTL: &str = "12h";

/// One clinic.
#[derive(Clone)]
pub struct Clinic {
    pub unit: String,
    pub dir: PathBuf,
    pub token: String,
    /// Rows that its population has.
    pub rows: u64,
}

/// How clinics are made, started and seen.
pub struct Clinics {
    place: (PathBuf, PathBuf, String, String),
    patients: u32,
    diary_days: u32,
    http: reqwest::Client,
}

impl Clinics {
    pub fn new(place: &Place, patients: u32, diary_days: u32) -> Self {
        let Place { home, keys, gateway, edge, .. } = place;
        let place = (home.join(FOLDER), keys.clone(), gateway.clone(), edge.clone());
        Self { place, patients, diary_days, http: reqwest::Client::new() }
    }

    /// Makes and fills the clinics of these numbers.
    pub async fn make(&self, numbers: RangeInclusive<u32>) -> Result<Vec<Clinic>> {
        let numbers: Vec<u32> = numbers.collect();
        let mut made = Vec::new();
        for some in numbers.chunks(MADE_AT_ONCE) {
            let making = some.iter().map(|number| self.make_one(*number));
            for clinic in futures_util::future::join_all(making).await {
                made.push(clinic?);
            }
        }
        Ok(made)
    }

    async fn make_one(&self, number: u32) -> Result<Clinic> {
        let (root, keys, _, edge) = &self.place;
        let unit = format!("bench-{number:05}");
        let dir = root.join(&unit);
        let mut init = Command::new(beside_us("arteria-agent")?);
        init.args(["init", "--dir"]).arg(&dir).args(["--unit", &unit, "--edge", edge]);
        output(init.arg("--keys").arg(keys)).await?;
        let mut token = Command::new(beside_us("arteria")?);
        token.args(["token", "--kind", "staff", "--unit", &unit, "--ttl", TOKEN_TTL]);
        let token = output(token.env("ARTERIA_KEYS", keys)).await?;
        let population = Population {
            patients: self.patients,
            practitioners: Some(PRACTITIONERS),
            past_days: self.diary_days,
            coming_days: self.diary_days,
            ..Population::default()
        };
        let (clinic, id, now) = (dir.clone(), unit.parse()?, Clock::system().now());
        let seeding = move || practice::seed_clinic(&clinic, &id, &population, now);
        let rows = match tokio::task::spawn_blocking(seeding).await?? {
            Seeded::LeftAlone { .. } => bail!("{} was filled before", dir.display()),
            Seeded::Filled { .. } => rows(&dir)?,
        };
        Ok(Clinic { unit, dir, token: token.trim().to_owned(), rows })
    }

    /// Starts the agents of these clinics.
    pub fn start(&self, clinics: &[Clinic]) -> Result<Vec<Child>> {
        clinics
            .iter()
            .map(|clinic| {
                Command::new(beside_us("arteria-agent")?)
                    .args(["run", "--dir"])
                    .arg(&clinic.dir)
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .kill_on_drop(true)
                    .spawn()
                    .context("starting an agent")
            })
            .collect()
    }

    /// The least number of facts that these clinics state: one for each row.
    pub fn at_least(&self, clinics: &[Clinic]) -> i64 {
        clinics.iter().map(|clinic| i64::try_from(clinic.rows).unwrap_or(i64::MAX)).sum()
    }

    /// Whether an app sees the whole clinic.
    pub async fn is_seeded(&self, clinic: &Clinic) -> Result<bool> {
        let url = format!("{}/v1/units/{}", self.place.2, clinic.unit);
        let answer = self.http.get(url).bearer_auth(&clinic.token).send().await?;
        if !answer.status().is_success() {
            return Ok(false);
        }
        let unit: Value = answer.json().await?;
        // The registry knows at once that a unit is whole; its patients may still be on their way.
        let seq = unit["unit_seq"].as_str().map(str::to_owned);
        let (true, Some(seq)) = (unit["seeded"] == true, seq) else { return Ok(false) };
        let url = format!("{}/v1/units/{}/patients?limit=1", self.place.2, clinic.unit);
        let asked = self.http.get(url).bearer_auth(&clinic.token).header("arteria-min-seq", seq);
        Ok(asked.send().await?.status().is_success())
    }
}

/// Stops an agent as a service does.
pub async fn stop(mut agent: Child) -> Result<()> {
    if let Some(pid) = agent.id() {
        kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM)?;
    }
    if tokio::time::timeout(STOP_WITHIN, agent.wait()).await.is_err() {
        agent.kill().await?;
    }
    Ok(())
}

fn rows(dir: &Path) -> Result<u64> {
    let clinic = rusqlite::Connection::open(dir.join(practice::CLINIC_DB))?;
    let mut rows = 0;
    for table in
        ["patients", "practitioners", "working_hours", "appointments", "invoices", "payments"]
    {
        let count = format!("SELECT count(*) FROM {table}");
        rows += clinic.query_row(&count, [], |row| row.get::<_, i64>(0))?.unsigned_abs();
    }
    Ok(rows)
}

async fn output(command: &mut Command) -> Result<String> {
    let output = command.output().await?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

pub fn beside_us(program: &str) -> Result<PathBuf> {
    let us = std::env::current_exe().context("finding our own program")?;
    Ok(us.with_file_name(program))
}
