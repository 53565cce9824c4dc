//! Writes one copy of a domain's tables: batches go in, commits come out.
//!
//! The live copy is written by a session for as long as the process lives, a copy that is being
//! built by a rebuild. Both do the same; only that what is built stays silent: it parks nothing,
//! asks nothing and raises no alarm, because the live copy has done so when it read the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit_bus::Topic;
use kit_event::{UnitId, UnitSeq};
use kit_store::{Advance, Gap, Place, Projection, copies, progress};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::batch_reader::Inbatch;
use crate::commit::{Seen, Writer};
use crate::error::SessionError;
use crate::host::Host;
use crate::intake::{self, Looked};
use crate::lazy_record::LazyRecord;
use crate::metrics;
use crate::plan::{Cause, Plan, Planner, Readings};

/// A commit, or the reading of a domain's position, that takes this long hangs on a server that is
/// gone without a word; each statement ends earlier by itself.
const STALLED_AFTER_S: u64 = 300;

/// The next offset to read of each partition.
pub(crate) type Positions = HashMap<(Topic, i32), i64>;

/// What a commit came to.
pub(crate) struct Written {
    pub touched: Vec<UnitId>,
    pub has_forks: bool,
    pub seen: Vec<Seen>,
}

pub(crate) struct TableWriter<'h> {
    host: &'h Host,
    projection: &'static dyn Projection,
    is_silent: bool,
    pub connection: PgConnection,
    /// The copy's identity.
    pub copy: Uuid,
    pub positions: Positions,
    pub readings: Readings,
    /// Batches committed.
    pub commits: u64,
}

impl<'h> TableWriter<'h> {
    /// Reads where the copy at `place` stands.
    pub async fn begin(
        host: &'h Host,
        projection: &'static dyn Projection,
        place: Place,
    ) -> Result<Self, SessionError> {
        let domain = projection.schema();
        let connection = kit_store::writer(&host.postgres_url, &place.schema(domain)).await?;
        let mut table_writer = Self {
            host,
            projection,
            is_silent: place != Place::Live,
            connection,
            copy: Uuid::nil(),
            positions: Positions::new(),
            readings: Readings::new(),
            commits: 0,
        };
        within("reading the domain's position", table_writer.load()).await?;
        Ok(table_writer)
    }

    async fn load(&mut self) -> Result<(), SessionError> {
        self.copy = copies::identity(&mut self.connection).await?;
        progress::belong_to(&mut self.connection, self.host.bus.cluster_id()).await?;
        for topic in self.topics() {
            self.begin_topic(topic).await?;
        }
        if self.is_silent {
            self.bridge_gaps().await?;
        }
        let stored = progress::load_offsets(&mut self.connection).await?;
        for topic in self.topics() {
            let name = self.host.topic_name(topic);
            for partition in 0..self.host.bus.partitions() {
                if let Some(next) = stored.get(&(name.clone(), partition)) {
                    self.positions.insert((topic, partition), *next);
                }
            }
        }
        self.readings = progress::load_readings(&mut self.connection).await?;
        Ok(())
    }

    fn topics(&self) -> Vec<Topic> {
        let mut topics = vec![Topic::Facts];
        topics.extend(self.projection.reads_requests().then_some(Topic::Requests));
        topics
    }

    /// Gives a position to each partition that was never read: the log's beginning.
    async fn begin_topic(&mut self, topic: Topic) -> Result<(), SessionError> {
        let name = self.host.topic_name(topic);
        let stored = progress::load_offsets(&mut self.connection).await?;
        let mut starts = Vec::new();
        for partition in 0..self.host.bus.partitions() {
            if stored.contains_key(&(name.clone(), partition)) {
                continue;
            }
            // Facts are kept for ever, so they begin at 0 or something is wrong; requests are not,
            // but what a copy of them inherits begins at 0 too.
            let mut first = 0;
            if topic == Topic::Requests && !self.is_silent {
                first = self.host.bus.watermarks(topic, partition).await?.low;
            }
            starts.push((partition, first));
        }
        if !starts.is_empty() {
            progress::begin_offsets(&mut self.connection, &name, &starts).await?;
        }
        Ok(())
    }

    /// Where `unit.requests` no longer has what this copy would read next, the live copy is the
    /// last that knows; its rows and the step over the gap are one transaction.
    async fn bridge_gaps(&mut self) -> Result<(), SessionError> {
        if !self.projection.reads_requests() {
            return Ok(());
        }
        let (bus, live) = (&self.host.bus, self.projection.schema());
        let topic = self.host.topic_name(Topic::Requests);
        let stored = progress::load_offsets(&mut self.connection).await?;
        let (mut gaps, mut steps) = (Vec::new(), Vec::new());
        for partition in 0..bus.partitions() {
            let to = bus.watermarks(Topic::Requests, partition).await?.low;
            let Some(&from) = stored.get(&(topic.clone(), partition)) else { continue };
            if from < to {
                gaps.push(Gap { log: bus.log_identity(Topic::Requests, partition), from, to });
                steps.push(Advance { topic: topic.clone(), partition, from, to });
            }
        }
        if gaps.is_empty() {
            return Ok(());
        }
        let mut transaction = self.connection.begin().await.map_err(bridging)?;
        progress::advance_copy(&mut transaction, self.copy, &steps).await?;
        self.projection.inherit(&mut transaction, live, &gaps).await?;
        transaction.commit().await.map_err(bridging)?;
        Ok(())
    }

    /// Commits a batch.
    pub async fn write(&mut self, batch: Inbatch) -> Result<Written, SessionError> {
        let since = Instant::now();
        let domain = self.projection.schema();
        let records = batch.facts.len() + batch.requests.len();
        let ahead = ahead(&batch);
        let advances = self.advances(&ahead);
        let (is_coordinator, is_silent) = (self.projection.is_coordinator(), self.is_silent);
        let mut plan = Plan::new(Planner { domain, is_coordinator, is_silent });
        self.plan_facts(&mut plan, batch.facts).await?;
        self.plan_requests(&mut plan, batch.requests).await?;
        let touched: Vec<UnitId> = plan.touched.keys().cloned().collect();
        let has_forks = !plan.forks.is_empty();
        let mut writer = Writer {
            bus: &self.host.bus,
            projection: self.projection,
            connection: &mut self.connection,
            copy: self.copy,
            is_silent,
        };
        let commit = writer.commit(plan, &self.readings, &advances);
        let seen = within("a commit", commit).await?;
        self.positions.extend(ahead);
        self.commits += 1;
        if !is_silent {
            metrics::RECORDS.of([domain]).increment(records as u64);
            metrics::BATCH_SECONDS.of([domain]).record(since.elapsed().as_secs_f64());
        }
        Ok(Written { touched, has_forks, seen })
    }

    fn advances(&self, ahead: &Positions) -> Vec<Advance> {
        let step = |(place, to): (&(Topic, i32), &i64)| {
            let from = self.positions.get(place).copied().unwrap_or_default();
            let (topic, partition) = (self.host.topic_name(place.0), place.1);
            Advance { topic, partition, from, to: *to }
        };
        ahead.iter().map(step).collect()
    }

    /// All records are looked into before one is judged: the coordinator asks for the ids under
    /// past numbers once for the whole batch.
    async fn plan_facts(
        &mut self,
        plan: &mut Plan,
        lazy_records: Vec<Arc<LazyRecord>>,
    ) -> Result<(), SessionError> {
        let mut looked = Vec::with_capacity(lazy_records.len());
        for lazy_record in lazy_records {
            looked.push(intake::look(&self.host.bus, self.projection, lazy_record).await?);
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
        if past.is_empty() || !self.projection.is_coordinator() {
            return Ok(HashMap::new());
        }
        Ok(self.projection.known_ids(&mut self.connection, &past).await?)
    }

    async fn plan_requests(
        &mut self,
        plan: &mut Plan,
        lazy_records: Vec<Arc<LazyRecord>>,
    ) -> Result<(), SessionError> {
        for lazy_record in lazy_records {
            match intake::look_at_request(&self.host.bus, &lazy_record.record).await? {
                Ok(asked) => {
                    plan.asked.push(asked);
                    plan.asked_records.push(lazy_record);
                }
                // Whoever reads requests is their only reader here, so it parks them itself.
                Err(text) => plan.parks.push((lazy_record, Cause { kind: "unreadable", text })),
            }
        }
        Ok(())
    }
}

pub(crate) async fn within<T>(
    act: &'static str,
    work: impl Future<Output = Result<T, SessionError>>,
) -> Result<T, SessionError> {
    match tokio::time::timeout(Duration::from_secs(STALLED_AFTER_S), work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(SessionError::Stalled { act, within_s: STALLED_AFTER_S }),
    }
}

fn bridging(source: sqlx::Error) -> SessionError {
    kit_store::StoreError::Write { what: "inherited rows", source }.into()
}

/// The position after the last record of each partition.
fn ahead(batch: &Inbatch) -> Positions {
    let lazy_records = batch.facts.iter().chain(&batch.requests);
    let records = lazy_records.map(|lazy_record| &lazy_record.record);
    records.map(|record| ((record.topic, record.partition), record.offset + 1)).collect()
}
