//! One session of a domain: from its stored position to an outage, a halt or the drain.
//!
//! Assigned, then Catching up until every partition was read to its end once, then Live, and at
//! last Draining. Nothing is remembered from one session to the next: each begins from what the
//! tables say, so that a failed commit leaves no trace in memory.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kit_bus::{RawRecord, Topic};
use kit_event::{UnitId, UnitSeq};
use kit_lifecycle::Latch;
use kit_store::{Advance, Projection, progress};
use sqlx::PgConnection;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::commit::Writer;
use crate::error::SessionError;
use crate::host::Host;
use crate::inflow::{Inbatch, Inflow};
use crate::intake::{self, Looked};
use crate::plan::{Plan, Readings};
use crate::repair::Repairs;

/// A domain that repairs nothing has no use for a tick; this one only keeps the loop simple.
const IDLE_TICK: Duration = Duration::from_secs(60);

/// A commit, or the reading of a domain's position, that takes this long hangs on a server that is
/// gone without a word; each statement ends earlier by itself.
const STALLED_AFTER_S: u64 = 300;

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Assigned,
    CatchingUp,
    Live,
    Draining,
}

/// The next offset to read of each partition.
type Positions = HashMap<(Topic, i32), i64>;

pub(crate) struct Session<'h> {
    host: &'h Host,
    projection: &'static dyn Projection,
    connection: PgConnection,
    positions: Positions,
    inflow: Inflow,
    readings: Readings,
    repairs: Option<Repairs>,
    state: State,
    commits: u64,
}

impl<'h> Session<'h> {
    /// Reads where the domain stands, and assigns its partitions.
    pub async fn begin(
        host: &'h Host,
        projection: &'static dyn Projection,
    ) -> Result<Self, SessionError> {
        let domain = projection.schema();
        let mut connection = kit_store::writer(&host.postgres_url, domain).await?;
        let loaded = load(host, projection, &mut connection);
        let (positions, readings) = within("reading the domain's position", loaded).await?;
        let mut repairs = None;
        if projection.is_keeper() {
            repairs = Some(Repairs::load(&mut connection, domain, host.pace, &readings).await?);
        }
        let inflow = Inflow::assigned(&host.bus, projection, &positions).await?;
        let mut session = Self {
            host,
            projection,
            connection,
            positions,
            inflow,
            readings,
            repairs,
            state: State::Assigned,
            commits: 0,
        };
        session.enter(State::Assigned);
        Ok(session)
    }

    /// Batches committed: whether the session came to anything.
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// Reads and writes until `soft`; the batch at hand is committed before it ends. `latch` is
    /// released once everything was caught up with.
    pub async fn run(
        &mut self,
        soft: &CancellationToken,
        latch: &mut Option<Latch>,
    ) -> Result<(), SessionError> {
        self.enter(State::CatchingUp);
        let mut tick =
            tokio::time::interval(self.repairs.as_ref().map_or(IDLE_TICK, Repairs::tick));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_catching_up = self.state == State::CatchingUp;
            tokio::select! {
                biased;
                () = soft.cancelled() => {
                    self.enter(State::Draining);
                    return Ok(());
                }
                _ = tick.tick() => self.repair().await?,
                batch = self.inflow.gather(is_catching_up) => self.take(batch?).await?,
            }
            if is_catching_up && self.inflow.is_at_end() {
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
        metrics::gauge!("arteria_projector_live", "domain" => domain)
            .set(if state == State::Live { 1.0 } else { 0.0 });
    }

    async fn take(&mut self, batch: Inbatch) -> Result<(), SessionError> {
        if batch.is_empty() {
            return Ok(());
        }
        let since = Instant::now();
        let domain = self.projection.schema();
        let records = batch.facts.len() + batch.requests.len();
        let ahead = ahead(&batch);
        let advances = self.advances(&ahead);
        let mut plan = Plan::new(domain, self.projection.is_keeper());
        self.plan_facts(&mut plan, batch.facts).await?;
        self.plan_requests(&mut plan, batch.requests).await?;
        let touched: Vec<UnitId> = plan.touched.keys().cloned().collect();
        let has_forks = !plan.forks.is_empty();
        let mut writer = Writer {
            bus: &self.host.bus,
            projection: self.projection,
            connection: &mut self.connection,
        };
        let commit = writer.commit(plan, &self.readings, &advances);
        within("a commit", commit).await?;
        self.positions.extend(ahead);
        self.commits += 1;
        if let Some(repairs) = &mut self.repairs {
            repairs.committed(&touched, &self.readings, has_forks);
        }
        metrics::counter!("arteria_projector_records_total", "domain" => domain)
            .increment(records as u64);
        metrics::histogram!("arteria_projector_batch_seconds", "domain" => domain)
            .record(since.elapsed().as_secs_f64());
        Ok(())
    }

    fn advances(&self, ahead: &Positions) -> Vec<Advance> {
        let step = |(place, to): (&(Topic, i32), &i64)| {
            let from = self.positions.get(place).copied().unwrap_or_default();
            let (topic, partition) = (self.host.topic_name(place.0), place.1);
            Advance { topic, partition, from, to: *to }
        };
        ahead.iter().map(step).collect()
    }

    /// All records are looked into before one is judged: the keeper asks for the ids under past
    /// numbers once for the whole batch.
    async fn plan_facts(
        &mut self,
        plan: &mut Plan,
        records: Vec<RawRecord>,
    ) -> Result<(), SessionError> {
        let mut looked = Vec::with_capacity(records.len());
        for record in records {
            looked.push(intake::look(&self.host.bus, self.projection, record).await?);
        }
        let stored = self.stored_ids(&looked).await?;
        for one in looked {
            plan.take(&mut self.readings, one, &stored);
        }
        Ok(())
    }

    async fn stored_ids(
        &mut self,
        looked: &[Looked],
    ) -> Result<HashMap<(UnitId, UnitSeq), Uuid>, SessionError> {
        let mut past = Vec::new();
        for one in looked {
            if let Looked::Numbered(it) = one
                && self.readings.get(&it.unit).is_some_and(|reading| reading.is_past(it.seq))
            {
                past.push((it.unit.clone(), it.seq));
            }
        }
        if past.is_empty() || !self.projection.is_keeper() {
            return Ok(HashMap::new());
        }
        Ok(self.projection.known_ids(&mut self.connection, &past).await?)
    }

    async fn plan_requests(
        &mut self,
        plan: &mut Plan,
        records: Vec<RawRecord>,
    ) -> Result<(), SessionError> {
        for record in records {
            match intake::look_at_request(&self.host.bus, &record).await? {
                Ok(asked) => {
                    plan.asked.push(asked);
                    plan.asked_records.push(record);
                }
                // Whoever reads requests is their only reader here, so it parks them itself.
                Err(cause) => plan.parks.push((record, cause)),
            }
        }
        Ok(())
    }

    async fn repair(&mut self) -> Result<(), SessionError> {
        let Some(repairs) = &mut self.repairs else { return Ok(()) };
        let is_at_end = |partition| self.inflow.is_partition_at_end(partition);
        let (bus, clock) = (&self.host.bus, &self.host.clock);
        repairs.ask(bus, clock, &mut self.connection, &self.readings, is_at_end).await?;
        Ok(())
    }
}

async fn within<T>(
    act: &'static str,
    work: impl Future<Output = Result<T, SessionError>>,
) -> Result<T, SessionError> {
    match tokio::time::timeout(Duration::from_secs(STALLED_AFTER_S), work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(SessionError::Stalled { act, within_s: STALLED_AFTER_S }),
    }
}

async fn load(
    host: &Host,
    projection: &dyn Projection,
    connection: &mut PgConnection,
) -> Result<(Positions, Readings), SessionError> {
    let positions = positions(host, projection, connection).await?;
    Ok((positions, progress::load_readings(connection).await?))
}

/// The position after the last record of each partition.
fn ahead(batch: &Inbatch) -> Positions {
    let records = batch.facts.iter().chain(&batch.requests);
    records.map(|record| ((record.topic, record.partition), record.offset + 1)).collect()
}

/// Where each partition stands, as stored; one that was never read begins at the log's beginning.
async fn positions(
    host: &Host,
    projection: &dyn Projection,
    connection: &mut PgConnection,
) -> Result<Positions, SessionError> {
    let mut topics = vec![Topic::Facts];
    if projection.reads_requests() {
        topics.push(Topic::Requests);
    }
    let mut stored = progress::load_offsets(connection).await?;
    for &topic in &topics {
        let name = host.topic_name(topic);
        let mut starts = Vec::new();
        for partition in 0..host.bus.partitions() {
            if stored.contains_key(&(name.clone(), partition)) {
                continue;
            }
            // Facts are kept for ever, so they begin at 0 or something is wrong; requests are not.
            let first = match topic {
                Topic::Requests => host.bus.watermarks(topic, partition).await?.low,
                Topic::Facts | Topic::Replies | Topic::Presence | Topic::Parked => 0,
            };
            starts.push((partition, first));
        }
        if !starts.is_empty() {
            progress::begin_offsets(connection, &name, &starts).await?;
            stored = progress::load_offsets(connection).await?;
        }
    }
    let mut positions = Positions::new();
    for topic in topics {
        let name = host.topic_name(topic);
        for partition in 0..host.bus.partitions() {
            if let Some(next) = stored.get(&(name.clone(), partition)) {
                positions.insert((topic, partition), *next);
            }
        }
    }
    Ok(positions)
}
