//! One session of a domain: from its stored position to an outage, a halt or the drain.
//!
//! Assigned, then Catching up until every partition was read to its end once, then Live, and at
//! last Draining. Nothing is remembered from one session to the next: each begins from what the
//! tables say, so that a failed commit leaves no trace in memory. A session also ends when the
//! tables under its domain's name are another copy than those that it began with.

use std::time::Duration;

use kit_lifecycle::Latch;
use kit_store::{Place, Projection, StoreError, copies};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::batch_reader::{BatchReader, Inbatch};
use crate::error::SessionError;
use crate::host::Host;
use crate::metrics::Metrics;
use crate::repair::Repairs;
use crate::table_writer::TableWriter;

/// A domain that repairs nothing has no use for a tick; this one only keeps the loop simple.
const IDLE_TICK: Duration = Duration::from_mins(1);
/// How often a quiet domain looks whether its copy is still the live one; a busy one finds out with
/// its next commit.
const LOOK_MS: u64 = 2_000;

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Assigned,
    CatchingUp,
    Live,
    Draining,
}

pub(crate) struct Session<'h> {
    host: &'h Host,
    projection: &'static dyn Projection,
    table_writer: TableWriter<'h>,
    batch_reader: BatchReader,
    repairs: Option<Repairs>,
    metrics: Metrics,
    state: State,
}

impl<'h> Session<'h> {
    /// Reads where the domain stands, and assigns its partitions. `before` is what a session asked
    /// of units whose tables are another copy by now.
    pub async fn begin(
        host: &'h Host,
        projection: &'static dyn Projection,
        before: Option<Repairs>,
    ) -> Result<Self, SessionError> {
        let domain = projection.schema();
        let mut table_writer = TableWriter::begin(host, projection, Place::Live).await?;
        let mut repairs = None;
        if projection.is_coordinator() {
            let connection = &mut table_writer.connection;
            repairs = Some(match before {
                Some(before) => before.on_another_copy(&table_writer.readings),
                None => {
                    Repairs::load(connection, domain, host.pace, &table_writer.readings).await?
                }
            });
        }
        let mut metrics = Metrics::of(domain, host.standing.clone());
        metrics.begin(&table_writer.readings);
        host.standing.put(domain, &table_writer.positions);
        let feed = Some(host.feed.clone());
        let positions = &table_writer.positions;
        let batch_reader =
            BatchReader::assigned(&host.bus, projection, domain, feed, positions).await?;
        let state = State::Assigned;
        let mut session =
            Self { host, projection, table_writer, batch_reader, repairs, metrics, state };
        session.enter(State::Assigned);
        Ok(session)
    }

    /// Batches committed: whether the session came to anything.
    pub fn commits(&self) -> u64 {
        self.table_writer.commits
    }

    /// The copy that it writes.
    pub fn copy(&self) -> Uuid {
        self.table_writer.copy
    }

    /// What it asked of units.
    pub fn into_repairs(self) -> Option<Repairs> {
        self.repairs
    }

    /// Reads and writes until `soft`; the batch at hand is committed before it ends. `latch` is
    /// released once everything was caught up with.
    pub async fn run(
        &mut self,
        soft: &CancellationToken,
        latch: &mut Option<Latch>,
    ) -> Result<(), SessionError> {
        self.enter(State::CatchingUp);
        let mut tick = ticking(self.repairs.as_ref().map_or(IDLE_TICK, Repairs::tick));
        let mut look = ticking(Duration::from_millis(LOOK_MS));
        loop {
            let is_catching_up = self.state == State::CatchingUp;
            tokio::select! {
                biased;
                () = soft.cancelled() => {
                    self.enter(State::Draining);
                    return Ok(());
                }
                _ = tick.tick() => self.repair().await?,
                _ = look.tick() => self.look().await?,
                batch = self.batch_reader.gather(is_catching_up) => self.take(batch?).await?,
            }
            if is_catching_up && self.batch_reader.is_at_end() {
                self.enter(State::Live);
                if let Some(latch) = latch.take() {
                    latch.release();
                }
            }
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        let domain = self.projection.schema();
        tracing::info!(domain, state = ?state, "projector state");
        crate::metrics::LIVE.of([domain]).set(if state == State::Live { 1.0 } else { 0.0 });
    }

    async fn take(&mut self, batch: Inbatch) -> Result<(), SessionError> {
        if batch.is_empty() {
            return Ok(());
        }
        let written = self.table_writer.write(batch).await?;
        let readings = &self.table_writer.readings;
        if let Some(repairs) = &mut self.repairs {
            repairs.committed(&written.touched, readings, written.has_forks);
        }
        self.metrics.committed(&written.touched, readings);
        let is_live = self.state == State::Live;
        self.metrics.visible(&written.seen, self.host.clock.now(), is_live);
        self.host.standing.put(self.projection.schema(), &self.table_writer.positions);
        Ok(())
    }

    async fn repair(&mut self) -> Result<(), SessionError> {
        let Some(repairs) = &mut self.repairs else { return Ok(()) };
        let is_at_end = |partition| self.batch_reader.is_partition_at_end(partition);
        let (bus, clock, table_writer) = (&self.host.bus, &self.host.clock, &mut self.table_writer);
        repairs.ask(bus, clock, &mut table_writer.connection, is_at_end).await?;
        Ok(())
    }

    async fn look(&mut self) -> Result<(), SessionError> {
        if copies::identity(&mut self.table_writer.connection).await? != self.table_writer.copy {
            return Err(StoreError::OtherCopy.into());
        }
        self.metrics.show_ages();
        Ok(())
    }
}

fn ticking(period: Duration) -> tokio::time::Interval {
    let mut tick = tokio::time::interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}
