//! A domain's life: sessions one after another, across outages, until a halt or the drain.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use kit_bus::{Bus, Topic};
use kit_clock::Clock;
use kit_lifecycle::{Latch, Lifecycle};
use kit_store::Projection;
use tokio_util::sync::CancellationToken;

use crate::alarm;
use crate::error::{Fate, SessionError};
use crate::repair::Pace;
use crate::session::Session;

/// The first pause after a session that failed; most outages are a restart of a few hundred ms.
const PAUSE_MS_MIN: u64 = 100;
/// The longest pause: read models are this much later than the server that was away.
const PAUSE_MS_MAX: u64 = 5_000;

/// What every domain's reader needs.
#[derive(Clone)]
pub struct Host {
    pub(crate) bus: Bus,
    pub(crate) postgres_url: String,
    pub(crate) clock: Clock,
    pub(crate) pace: Pace,
}

impl Host {
    /// A host on this log and this database. The URL may hold a password, and is never printed.
    pub fn new(bus: Bus, postgres_url: String, clock: Clock) -> Self {
        Self { bus, postgres_url, clock, pace: Pace::default() }
    }

    /// The same host with another pace of repairs.
    #[must_use]
    pub fn paced(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Starts a domain as a task of this life. The process is not ready before its schema is
    /// migrated and the log was read to its end once.
    pub fn start(&self, life: &Lifecycle, projection: &'static dyn Projection) {
        let latch = life.readiness().latch(projection.schema());
        let (host, soft, hard) = (self.clone(), life.soft(), life.hard());
        life.spawn(projection.schema(), async move {
            tokio::select! {
                outcome = host.live(projection, latch, &soft) => outcome,
                // What was not committed by then was never there.
                () = hard.cancelled() => Ok(()),
            }
        });
    }

    async fn live(
        &self,
        projection: &'static dyn Projection,
        latch: Latch,
        soft: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut latch = Some(latch);
        let mut pauses = pauses();
        let mut is_migrated = false;
        while !soft.is_cancelled() {
            let mut commits = 0;
            let outcome =
                self.session(projection, &mut is_migrated, &mut commits, &mut latch, soft).await;
            let Err(error) = outcome else { return Ok(()) };
            let domain = projection.schema();
            match error.fate() {
                Fate::Stop => return Err(anyhow::Error::new(error).context(domain)),
                Fate::Halt => {
                    alarm::halted(domain, &format!("{:#}", anyhow::Error::new(error)));
                    soft.cancelled().await;
                    return Ok(());
                }
                Fate::Again => {}
            }
            if commits > 0 {
                pauses = self::pauses();
            }
            let pause = pauses.next().unwrap_or(Duration::from_millis(PAUSE_MS_MAX));
            let chain = format!("{:#}", anyhow::Error::new(error));
            let pause_ms = pause.as_millis() as u64;
            tracing::error!(domain, error = chain, pause_ms, "the session ended; another begins");
            metrics::counter!("arteria_projector_sessions_failed_total", "domain" => domain)
                .increment(1);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = soft.cancelled() => {}
            }
        }
        Ok(())
    }

    async fn session(
        &self,
        projection: &'static dyn Projection,
        is_migrated: &mut bool,
        commits: &mut u64,
        latch: &mut Option<Latch>,
        soft: &CancellationToken,
    ) -> Result<(), SessionError> {
        if !*is_migrated {
            let (schema, steps) = (projection.schema(), projection.steps());
            kit_store::migrate(&self.postgres_url, schema, steps).await?;
            *is_migrated = true;
        }
        let mut session = Session::begin(self, projection).await?;
        let outcome = session.run(soft, latch).await;
        *commits = session.commits();
        outcome
    }

    /// The topic's full name, with its prefix, under which positions are stored.
    pub(crate) fn topic_name(&self, topic: Topic) -> String {
        let identity = self.bus.log_identity(topic, 0);
        identity.split('/').nth(1).unwrap_or(topic.as_str()).to_owned()
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
