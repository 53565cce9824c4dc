//! What the demo's steps share: one clinic, its desk, an app with a token, a reader of the log.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kit_event::{Fact, UnitId};
use practice::Desk;
use serde_json::Value;

use super::facts::{Facts, Found};
use crate::network::Network;
use crate::rest::{Answer, App};

/// How long the demo waits for something that should take milliseconds.
pub const SEEN_WITHIN: Duration = Duration::from_secs(20);
pub const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Lines of each role's log that are shown when a step fails.
const LOG_LINES: usize = 12;

/// The demo's surroundings.
pub struct Stage<'a> {
    pub network: &'a Network,
    pub unit: UnitId,
    pub app: App,
    pub desk: Desk,
    pub facts: Facts,
    patient_id: String,
    since: Instant,
}

impl<'a> Stage<'a> {
    pub async fn set(network: &'a Network, unit: UnitId, token: String) -> Result<Self> {
        let settings = &network.settings;
        let desk = Desk::open(&network.unit_dir(&unit).join("clinic.db"))?;
        Ok(Self {
            network,
            app: App::new(format!("http://{}", settings.gateway_addr), token)?,
            desk,
            facts: Facts::open(settings).await?,
            unit,
            patient_id: String::new(),
            since: Instant::now(),
        })
    }

    /// A path below the clinic's own.
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/units/{}/{rest}", self.unit)
    }

    /// Begins a chapter: its title, and the clock that its lines show.
    pub fn chapter(&mut self, title: &str) {
        println!();
        println!("{title}");
        self.since = Instant::now();
    }

    /// Starts the chapter's clock again, at the act whose consequences are timed.
    pub fn act(&mut self, line: &str) {
        println!("  {line}");
        self.since = Instant::now();
    }

    /// Prints something that was seen, with the time since the act.
    pub fn seen(&self, line: &str) {
        println!("  [{:>7.1} ms] {line}", self.since.elapsed().as_secs_f64() * 1_000.0);
    }

    pub fn remember_patient(&mut self, patient_id: &str) {
        patient_id.clone_into(&mut self.patient_id);
    }

    pub fn patient_id(&self) -> &str {
        &self.patient_id
    }

    /// Waits until the network sees the clinic as connected, or as away.
    pub async fn wait_for_presence(&self, online: bool) -> Result<()> {
        let path = format!("/v1/units/{}", self.unit);
        let begun = Instant::now();
        loop {
            let answer = self.app.get(&path).await?.expect(200, "reading the unit")?;
            if answer.body["online"] == online {
                return Ok(());
            }
            ensure!(begun.elapsed() < SEEN_WITHIN, "the clinic did not become online={online}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until a read model holds the thing at `path`.
    pub async fn wait_for_record(&self, path: &str) -> Result<Answer> {
        let begun = Instant::now();
        loop {
            let answer = self.app.get(path).await?;
            if answer.status.as_u16() == 200 {
                return Ok(answer);
            }
            ensure!(answer.status.as_u16() == 404, "{path} was answered {}", answer.status);
            ensure!(begun.elapsed() < SEEN_WITHIN, "{path} stayed unknown");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the record at `path` shows this value.
    pub async fn wait_for_member(&self, path: &str, member: &str, value: &Value) -> Result<()> {
        let begun = Instant::now();
        loop {
            let answer = self.app.get(path).await?;
            if answer.status.as_u16() == 200 && answer.body.get(member) == Some(value) {
                return Ok(());
            }
            ensure!(begun.elapsed() < SEEN_WITHIN, "{path} did not show {member} {value}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until a tracked request has a final state, and gives its state and reason.
    pub async fn wait_for_outcome(&self, location: &str) -> Result<(String, Option<String>)> {
        let begun = Instant::now();
        loop {
            let answer = self.app.get(location).await?.expect(200, "reading the request")?;
            let state = answer.text("state").context("a request without a state")?.to_owned();
            if !["accepted", "delivered", "overdue"].contains(&state.as_str()) {
                return Ok((state, answer.text("reason").map(str::to_owned)));
            }
            ensure!(begun.elapsed() < SEEN_WITHIN, "the request stayed {state}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the log holds a fact of `type_name` about `subject`.
    pub async fn wait_for_fact(&mut self, type_name: &str, subject: &str) -> Result<Found> {
        self.facts.wait_for(&self.unit, type_name, subject, SEEN_WITHIN).await
    }

    /// Waits until the log holds a fact of the clinic that `is_it`.
    pub async fn wait_for_fact_that(
        &mut self,
        what: &str,
        is_it: impl Fn(&Fact) -> bool,
    ) -> Result<Found> {
        self.facts.wait_for_one_that(&self.unit, what, is_it, SEEN_WITHIN).await
    }

    /// Waits until the timeline holds the event numbered `seq`.
    pub async fn wait_for_event(&self, seq: &str) -> Result<Value> {
        let (epoch, number) = seq.split_once('-').context("a number is E-S")?;
        let before = number.parse::<u64>()?.saturating_sub(1);
        let path = self.path(&format!("events?after={epoch}-{before}&limit=1"));
        let begun = Instant::now();
        loop {
            let answer = self.app.get(&path).await?.expect(200, "reading the timeline")?;
            let event = answer.body["items"].get(0).filter(|event| event["seq"] == seq);
            if let Some(event) = event {
                return Ok(event.clone());
            }
            ensure!(begun.elapsed() < SEEN_WITHIN, "the timeline did not show {seq}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The number up to which the clinic can be read.
    pub async fn last_seq(&self) -> Result<String> {
        let path = self.path("events?limit=1");
        let answer = self.app.get(&path).await?.expect(200, "reading the timeline")?;
        answer.seq.context("a timeline without Arteria-Unit-Seq")
    }

    /// Rows of the diary that hold this start with this practitioner, whatever wrote them; one that
    /// was cancelled or missed holds nothing.
    pub fn diary_rows(&self, practitioner_id: &str, starts_at: &str) -> Result<Vec<Value>> {
        let rows = self.desk.rows(practice::Table::Appointments)?;
        Ok(rows
            .into_iter()
            .filter(|row| {
                row["practitioner_id"] == practitioner_id && row["starts_at"] == starts_at
            })
            .filter(|row| row["status"] != "cancelled" && row["status"] != "noshow")
            .map(Value::Object)
            .collect())
    }

    pub fn print_last_lines(&self) {
        for role in ["gateway", "edge", "projector"] {
            println!();
            println!("last lines of {role}:");
            println!("{}", self.network.supervisor.log_tail(role, LOG_LINES));
        }
    }
}
