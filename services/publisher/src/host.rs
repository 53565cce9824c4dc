//! The publisher's life: sessions one after another, across outages, until the drain.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use kit_bus::{Bus, Topic};
use kit_clock::Clock;
use kit_lifecycle::{Latch, Lifecycle};
use kit_telemetry::chain;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::checkpoint::{SCHEMA, STEPS};
use crate::error::{Fate, SessionError};
use crate::failpoints::Failpoints;
use crate::forms::Forms;
use crate::session::Session;

/// The first pause after a session that failed; most outages are a restart of a few hundred ms.
const PAUSE_MS_MIN: u64 = 100;
/// The longest pause: events are this much later than the server that was away.
const PAUSE_MS_MAX: u64 = 5_000;
/// What a process that is not ready yet waits for.
const WAITS_FOR: &str = "checkpoints and tails";

/// What every session needs.
#[derive(Clone)]
pub struct Host {
    pub(crate) bus: Bus,
    pub(crate) postgres_url: String,
    pub(crate) clock: Clock,
    pub(crate) forms: Arc<Forms>,
    pub(crate) failpoints: Failpoints,
    /// Under which name this process claims the work.
    pub(crate) holder: Uuid,
    replicas: i32,
}

impl Host {
    /// A host on this log, whose producer must be gapless, and this database. The URL may hold a
    /// password, and is never printed.
    #[must_use]
    pub fn new(bus: Bus, postgres_url: String, replicas: i32, clock: Clock) -> Self {
        let failpoints = Failpoints::none();
        let forms = Arc::new(Forms::new(bus.clone(), replicas, failpoints.clone()));
        let holder = Uuid::new_v4();
        Self { bus, postgres_url, clock, forms, failpoints, holder, replicas }
    }

    /// The same host, killed at a step by a test.
    #[must_use]
    pub fn killed_at(mut self, failpoints: Failpoints) -> Self {
        self.forms = Arc::new(Forms::new(self.bus.clone(), self.replicas, failpoints.clone()));
        self.failpoints = failpoints;
        self
    }

    /// Starts publishing as a task of this life. The process is not ready before it knows where it
    /// stands.
    pub fn start(&self, life: &Lifecycle) {
        let latch = life.readiness().latch(WAITS_FOR);
        let (host, soft, hard) = (self.clone(), life.soft(), life.hard());
        life.spawn("publisher", async move {
            tokio::select! {
                outcome = host.live(latch, &soft) => outcome,
                // What was not stored by then is found in the tails by whoever comes next.
                () = hard.cancelled() => Ok(()),
            }
        });
    }

    async fn live(&self, latch: Latch, soft: &CancellationToken) -> anyhow::Result<()> {
        let (mut latch, mut pauses) = (Some(latch), pauses());
        let (mut is_migrated, mut has_claimed) = (false, false);
        while !soft.is_cancelled() {
            let outcome = self.session(&mut is_migrated, &mut has_claimed, &mut latch, soft).await;
            let Err((error, has_run)) = outcome else { return Ok(()) };
            if error.fate() == Fate::Stop {
                return Err(anyhow::Error::new(error));
            }
            if has_run {
                pauses = self::pauses();
            }
            let pause = pauses.next().unwrap_or(Duration::from_millis(PAUSE_MS_MAX));
            let (error, pause_ms) =
                (chain(&error), u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
            tracing::error!(error, pause_ms, "the session ended; another begins");
            crate::metrics::SESSIONS_FAILED.get().increment(1);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = soft.cancelled() => {}
            }
        }
        Ok(())
    }

    /// One session; of a failed one also whether it ever ran.
    async fn session(
        &self,
        is_migrated: &mut bool,
        has_claimed: &mut bool,
        latch: &mut Option<Latch>,
        soft: &CancellationToken,
    ) -> Result<(), (SessionError, bool)> {
        let not_run = |error: SessionError| (error, false);
        if !*is_migrated {
            let migrated = kit_store::migrate(&self.postgres_url, SCHEMA, STEPS).await;
            migrated.map_err(|error| not_run(error.into()))?;
            *is_migrated = true;
        }
        let session = Session::begin(self, has_claimed).await.map_err(not_run)?;
        session.run(soft, latch).await.map_err(|error| (error, true))
    }

    /// What stands before the names of topics.
    pub(crate) fn topic_prefix(&self) -> String {
        let identity = self.bus.log_identity(Topic::Facts, 0);
        let name = identity.split('/').nth(1).unwrap_or_default();
        name.strip_suffix(Topic::Facts.as_str()).unwrap_or_default().to_owned()
    }
}

fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(PAUSE_MS_MIN))
        .with_max_delay(Duration::from_millis(PAUSE_MS_MAX))
        .with_jitter()
        .without_max_times()
        .build()
}
