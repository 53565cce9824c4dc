//! A domain's life: sessions one after another, across outages, until a halt or the drain.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use kit_bus::{Bus, Topic};
use kit_clock::Clock;
use kit_lifecycle::{Latch, Lifecycle};
use kit_store::{Projection, copies};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::alarm;
use crate::error::{Fate, SessionError};
use crate::feed::Feed;
use crate::repair::{Pace, Repairs};
use crate::session::Session;
use crate::standing::Standing;

/// The first pause after a session that failed; most outages are a restart of a few hundred ms.
const PAUSE_MS_MIN: u64 = 100;
/// The longest pause: read models are this much later than the server that was away.
const PAUSE_MS_MAX: u64 = 5_000;

/// How often a halted domain looks whether another copy became its live one.
const HALTED_LOOK_S: u64 = 2;

/// What every domain's reader needs.
#[derive(Clone)]
pub struct Host {
    pub(crate) bus: Bus,
    pub(crate) postgres_url: String,
    pub(crate) clock: Clock,
    pub(crate) pace: Pace,
    pub(crate) standing: Standing,
    pub(crate) feed: Feed,
}

/// What is known of a domain across its sessions.
#[derive(Default)]
struct Past {
    is_migrated: bool,
    /// Batches that the last session committed.
    commits: u64,
    /// The copy that the last session wrote.
    copy: Option<Uuid>,
    /// What the last session asked of units, where only its tables changed.
    repairs: Option<Repairs>,
}

impl Host {
    /// A host on this log and this database. The URL may hold a password, and is never printed.
    #[must_use]
    pub fn new(bus: Bus, postgres_url: String, clock: Clock) -> Self {
        let (pace, standing, feed) = (Pace::default(), Standing::default(), Feed::default());
        Self { bus, postgres_url, clock, pace, standing, feed }
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
        if let Some(stream) = self.feed.expect(&self.bus) {
            let soft = soft.clone();
            life.spawn_passing(async move { stream.run(&soft).await });
        }
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
        let (domain, mut latch, mut past) = (projection.schema(), Some(latch), Past::default());
        let mut pauses = pauses();
        while !soft.is_cancelled() {
            let outcome = self.session(projection, &mut past, &mut latch, soft).await;
            let Err(error) = outcome else { return Ok(()) };
            match error.fate() {
                Fate::Stop => return Err(anyhow::Error::new(error).context(domain)),
                Fate::Follow => {
                    tracing::info!(domain, "another copy is live; the domain goes on with it");
                    past.is_migrated = false;
                    continue;
                }
                Fate::Halt => {
                    alarm::halted(domain, &format!("{:#}", anyhow::Error::new(error)));
                    self.wait_for_another_copy(domain, &mut past, soft).await;
                    continue;
                }
                Fate::Again => {}
            }
            if past.commits > 0 {
                pauses = self::pauses();
            }
            let pause = pauses.next().unwrap_or(Duration::from_millis(PAUSE_MS_MAX));
            let chain = format!("{:#}", anyhow::Error::new(error));
            let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            tracing::error!(domain, error = chain, pause_ms, "the session ended; another begins");
            crate::metrics::SESSIONS_FAILED.of([domain]).increment(1);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = soft.cancelled() => {}
            }
        }
        Ok(())
    }

    /// A halted domain reads nothing. What begins it again is a copy that was rebuilt, or another
    /// process.
    async fn wait_for_another_copy(
        &self,
        domain: &'static str,
        past: &mut Past,
        soft: &CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = soft.cancelled() => return,
                () = tokio::time::sleep(Duration::from_secs(HALTED_LOOK_S)) => {}
            }
            // Postgres may be away too; then the next look tells.
            let Ok(copy) = copies::live_identity(&self.postgres_url, domain).await else {
                continue;
            };
            if *past.copy.get_or_insert(copy) != copy {
                past.is_migrated = false;
                alarm::unhalted(domain);
                return;
            }
        }
    }

    async fn session(
        &self,
        projection: &'static dyn Projection,
        past: &mut Past,
        latch: &mut Option<Latch>,
        soft: &CancellationToken,
    ) -> Result<(), SessionError> {
        past.commits = 0;
        if !past.is_migrated {
            let (schema, steps) = (projection.schema(), projection.steps());
            kit_store::migrate(&self.postgres_url, schema, steps).await?;
            past.is_migrated = true;
        }
        let mut session = Session::begin(self, projection, past.repairs.take()).await?;
        past.copy = Some(session.copy());
        let outcome = session.run(soft, latch).await;
        past.commits = session.commits();
        if outcome.as_ref().is_err_and(|error| error.fate() == Fate::Follow) {
            past.repairs = session.into_repairs();
        }
        outcome
    }

    /// Tells for as long as this life how far its domains are behind the log.
    pub(crate) fn tell_standing(&self, life: &Lifecycle) {
        let (host, soft) = (self.clone(), life.soft());
        life.spawn_passing(async move { host.standing.tell(&host.bus, &soft).await });
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
