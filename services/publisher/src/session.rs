//! One session: from the stored positions to an outage or the drain.
//!
//! Nothing is remembered from one session to the next: each begins from what Postgres and the tails
//! of the public topics say, and ends only when nothing of it is on its way any more.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kit_bus::{Namespace, Polled, RawRecord, Reader, ReaderOptions, Topic};
use kit_lifecycle::Latch;
use kit_store::progress;
use sqlx::PgConnection;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::checkpoint::{self, SCHEMA, Store};
use crate::error::{LaneError, SessionError};
use crate::failpoints::Step as Failpoint;
use crate::host::Host;
use crate::lane::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Lane, Positions, Record, Shared};
use crate::plan::Readings;
use crate::tails::{self, Sent};
use crate::{alarm, metrics};

/// Records that wait for a lane: its next batch while this one is told.
const WAITING_RECORDS: usize = 2 * BATCH_RECORDS_MAX;
/// Their bytes: with those of the batch that is told it bounds what a lane keeps in memory.
const WAITING_BYTES: usize = 2 * BATCH_BYTES_MAX;
/// Records between the log's polling thread and the lanes.
const CHANNEL_RECORDS: usize = 4 * BATCH_RECORDS_MAX;
/// How long the broker gathers facts before it answers a fetch. Nobody waits for a public topic as
/// a caller waits for an answer, and facts that come together are told by one batch and stored by
/// one commit: told one by one they cost a booking beside them a sixth of its time (decision 18).
const FETCH_WAIT_MS: u32 = 50;
/// With so much on the log it answers at once.
const FETCH_BYTES_MIN: u32 = 64 * 1024;
/// A lane that takes nothing for so long waits for something that is away; it is set aside, so that
/// the others are read on.
const SLOW_MS: u64 = 1_000;
/// How often lanes that were set aside are looked at.
const LOOK_EVERY_MS: u64 = 250;
/// How often the lag is measured; dashboards look every 15 seconds.
const MEASURE_EVERY_MS: u64 = 5_000;

/// The lanes of a session, as who feeds them sees them.
pub(crate) struct Session {
    reader: Reader,
    lanes: HashMap<i32, Feed>,
    running: JoinSet<(i32, Result<(), LaneError>)>,
    store: tokio::task::JoinHandle<Result<(), SessionError>>,
    has_store_ended: bool,
    measure: tokio::task::JoinHandle<()>,
    shared: Arc<Shared>,
    /// Partitions that are not read for now, and where they go on.
    aside: HashMap<i32, i64>,
    halted: HashSet<i32>,
}

/// The way to a lane.
struct Feed {
    records: mpsc::Sender<Record>,
    bytes: Arc<Semaphore>,
}

/// Where the publisher stands.
struct Standing {
    positions: HashMap<i32, i64>,
    readings: HashMap<i32, Readings>,
    sent: HashMap<i32, Sent>,
}

impl Session {
    /// Claims the work, reads where it stands, and starts its lanes.
    pub async fn begin(host: &Host, has_claimed: &mut bool) -> Result<Self, SessionError> {
        let mut connection = kit_store::writer(&host.postgres_url, SCHEMA).await?;
        // Before the claim, which would end the publisher that these tables belong to.
        progress::belong_to(&mut connection, host.bus.cluster_id()).await?;
        checkpoint::claim(&mut connection, host.holder, !*has_claimed).await?;
        *has_claimed = true;
        host.failpoints.pass(Failpoint::Claimed);
        let reads = kit_store::writer(&host.postgres_url, SCHEMA).await?;
        let standing = standing(host, &mut connection).await?;
        host.failpoints.pass(Failpoint::TailsRead);
        let (checkpoints, incoming) =
            mpsc::channel(usize::try_from(host.bus.partitions()).unwrap_or(1));
        let topic = Topic::Facts.name(&host.topic_prefix());
        let (holder, failpoints) = (host.holder, host.failpoints.clone());
        let store = Store { connection, topic, holder, failpoints: failpoints.clone() };
        let shared = Arc::new(Shared {
            bus: host.bus.clone(),
            forms: host.forms.clone(),
            clock: host.clock.clone(),
            failpoints,
            reads: Mutex::new(reads),
            checkpoints,
            over: CancellationToken::new(),
            positions: Positions::new(&standing.positions),
        });
        let options = ReaderOptions {
            fetch_wait_ms: FETCH_WAIT_MS,
            fetch_bytes_min: FETCH_BYTES_MIN,
            channel_records: CHANNEL_RECORDS,
            ..ReaderOptions::default()
        };
        let reader = host.bus.reader(SCHEMA, options)?;
        let starts = standing.positions.iter().map(|(partition, next)| (*partition, *next));
        reader.assign(Topic::Facts, starts.collect()).await?;
        let mut session = Self {
            reader,
            lanes: HashMap::new(),
            running: JoinSet::new(),
            store: tokio::spawn(store.run(incoming)),
            has_store_ended: false,
            measure: tokio::spawn(measure(shared.clone())),
            shared,
            aside: HashMap::new(),
            halted: HashSet::new(),
        };
        session.start_lanes(standing);
        metrics::halted(0);
        Ok(session)
    }

    fn start_lanes(&mut self, mut standing: Standing) {
        for (partition, position) in standing.positions {
            let (records, inflow) = mpsc::channel(WAITING_RECORDS);
            let bytes = Arc::new(Semaphore::new(WAITING_BYTES));
            let lane = Lane {
                shared: self.shared.clone(),
                partition,
                position,
                readings: standing.readings.remove(&partition).unwrap_or_default(),
                sent: standing.sent.remove(&partition).unwrap_or_default(),
                inflow,
            };
            self.lanes.insert(partition, Feed { records, bytes });
            self.running.spawn(async move { (partition, lane.run().await) });
        }
    }

    /// Feeds the lanes until `soft`, or until something ends; then lets them finish what they hold.
    pub async fn run(
        mut self,
        soft: &CancellationToken,
        latch: &mut Option<Latch>,
    ) -> Result<(), SessionError> {
        if let Some(latch) = latch.take() {
            latch.release();
        }
        tracing::info!("publishing");
        let outcome = self.feed(soft).await;
        self.end(outcome).await
    }

    async fn feed(&mut self, soft: &CancellationToken) -> Result<(), SessionError> {
        let mut look = interval(LOOK_EVERY_MS);
        loop {
            tokio::select! {
                biased;
                () = soft.cancelled() => return Ok(()),
                ended = &mut self.store => {
                    self.has_store_ended = true;
                    // It ends by itself only with an error.
                    return ended.unwrap_or(Ok(())).and(Err(SessionError::TaskEnded));
                }
                Some(ended) = self.running.join_next() => Self::ended(ended)?,
                _ = look.tick() => self.take_back().await?,
                polled = self.reader.next() => {
                    self.take(polled.ok_or(SessionError::ReaderEnded)?).await?;
                }
            }
        }
    }

    async fn take(&mut self, polled: Polled) -> Result<(), SessionError> {
        match polled {
            Polled::Record(record) => self.give(record).await,
            Polled::EndOfPartition { .. } => {}
            Polled::OutOfRange { partition, offset, low, high, .. } => {
                let cause = format!("the record has offsets {low} to {high}, and {offset} is next");
                self.halt(partition, &cause).await;
            }
            // The client goes on by itself, and the reader ends where it cannot.
            Polled::Failed(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "reading the log failed; it goes on");
            }
        }
        Ok(())
    }

    /// Gives a record to its lane, which may be a little behind; one that stands still is put
    /// aside.
    async fn give(&mut self, record: RawRecord) {
        let (partition, offset) = (record.partition, record.offset);
        let Some(lane) = self.lanes.get(&partition) else { return };
        let slow = Duration::from_millis(SLOW_MS);
        let payload = record.payload.as_ref().map_or(0, Vec::len);
        // One that is larger than all the room waits for all of it.
        let bytes = u32::try_from(payload.clamp(1, WAITING_BYTES)).unwrap_or(u32::MAX);
        let reserve = async {
            let room = lane.bytes.clone().acquire_many_owned(bytes).await.ok()?;
            Some((lane.records.reserve().await.ok()?, room))
        };
        match tokio::time::timeout(slow, reserve).await {
            Ok(Some((place, room))) => place.send(Record { record, room }),
            // The lane has ended, and says itself why.
            Ok(None) => {}
            Err(_) => {
                alarm::set_aside(partition, offset);
                self.reader.unassign(Topic::Facts, vec![partition]).await;
                self.aside.insert(partition, offset);
            }
        }
    }

    /// Reads partitions on whose lanes have caught up.
    async fn take_back(&mut self) -> Result<(), SessionError> {
        let is_free = |partition: &i32| {
            let lane = self.lanes.get(partition);
            lane.is_some_and(|lane| lane.records.capacity() == lane.records.max_capacity())
        };
        let free: Vec<_> = self.aside.keys().copied().filter(is_free).collect();
        let starts: Vec<_> = free
            .into_iter()
            .filter_map(|partition| Some((partition, self.aside.remove(&partition)?)))
            .collect();
        if !starts.is_empty() {
            self.reader.assign(Topic::Facts, starts).await?;
        }
        Ok(())
    }

    #[expect(clippy::result_large_err, reason = "a session ends with it once")]
    fn ended(
        ended: Result<(i32, Result<(), LaneError>), tokio::task::JoinError>,
    ) -> Result<(), SessionError> {
        let (_, outcome) = ended.map_err(|_| SessionError::TaskEnded)?;
        match outcome {
            Ok(()) | Err(LaneError::Over) => Err(SessionError::TaskEnded),
            Err(LaneError::Session(error)) => Err(error),
        }
    }

    /// One partition goes no further until people have looked.
    async fn halt(&mut self, partition: i32, cause: &str) {
        alarm::halted(partition, cause);
        self.lanes.remove(&partition);
        self.aside.remove(&partition);
        self.reader.unassign(Topic::Facts, vec![partition]).await;
        self.halted.insert(partition);
        metrics::halted(self.halted.len());
    }

    /// Lets the lanes end, then whoever stores for them; tells what went wrong first.
    async fn end(mut self, outcome: Result<(), SessionError>) -> Result<(), SessionError> {
        self.shared.over.cancel();
        self.lanes.clear();
        let mut of_lane = Ok(());
        while let Some(ended) = self.running.join_next().await {
            if let Ok((_, Err(LaneError::Session(error)))) = ended {
                of_lane = Err(error);
            }
        }
        // The last sender of checkpoints goes with it.
        self.measure.abort();
        let _ = (&mut self.measure).await;
        drop(self.shared);
        let of_store = if self.has_store_ended {
            Ok(())
        } else {
            self.store.await.unwrap_or(Err(SessionError::TaskEnded))
        };
        of_store.and(of_lane).and(outcome)
    }
}

async fn standing(host: &Host, connection: &mut PgConnection) -> Result<Standing, SessionError> {
    let topic = Topic::Facts.name(&host.topic_prefix());
    // Facts are kept for ever, so what was never read begins at 0 or something is wrong.
    let starts: Vec<_> = (0..host.bus.partitions()).map(|partition| (partition, 0)).collect();
    progress::begin_offsets(connection, &topic, &starts).await?;
    let offsets = progress::load_offsets(connection).await?;
    let own = offsets.into_iter().filter(|((of, _), _)| *of == topic);
    let positions: HashMap<i32, i64> =
        own.map(|((_, partition), next)| (partition, next)).collect();
    let mut readings: HashMap<i32, Readings> = HashMap::new();
    for (unit, reading) in progress::load_readings(connection).await? {
        let partition = host.bus.partition_of(unit.as_str());
        readings.entry(partition).or_default().insert(unit, reading);
    }
    let namespaces = host.bus.namespaces().await?;
    host.forms.learn(&namespaces);
    let sent = sent(host, &namespaces, &positions).await?;
    Ok(Standing { positions, readings, sent })
}

/// What the tails say, for each partition.
async fn sent(
    host: &Host,
    namespaces: &[Namespace],
    positions: &HashMap<i32, i64>,
) -> Result<HashMap<i32, Sent>, SessionError> {
    let scans = host.bus.scans(tails::AT_ONCE);
    let read = |(partition, checkpoint): (i32, i64)| {
        let (scans, bus) = (scans.clone(), host.bus.clone());
        async move {
            let sent = tails::read(&bus, &scans, namespaces, partition, checkpoint).await?;
            host.failpoints.pass(Failpoint::TailsHalfRead);
            Ok::<_, SessionError>((partition, sent))
        }
    };
    let all = positions.iter().map(|(partition, next)| read((*partition, *next)));
    let sent: HashMap<i32, Sent> = stream::iter(all.collect::<Vec<_>>())
        .buffer_unordered(tails::AT_ONCE)
        .try_collect()
        .await?;
    let count: usize = sent.values().map(Sent::count).sum();
    tracing::info!(events = count, "the tails are read; these were told already");
    Ok(sent)
}

/// Says how far the public topics are behind the record, until the session ends.
async fn measure(shared: Arc<Shared>) {
    let mut tick = interval(MEASURE_EVERY_MS);
    loop {
        tick.tick().await;
        // A broker that does not answer is told elsewhere, and the last figure stands.
        let Ok(ends) = shared.bus.ends(Topic::Facts).await else { continue };
        let behind =
            |(partition, next)| (ends.get(&partition).copied().unwrap_or(next) - next).max(0);
        metrics::lag(shared.positions.all().map(behind).sum());
    }
}

fn interval(ms: u64) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(Duration::from_millis(ms));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
