//! A lane: the life of one partition of the record.
//!
//! A batch is judged, told, flushed and stored, and then comes the next; nothing of it is awaited
//! one by one. What is away (the schema registry, a topic) the lane waits for where it stands, so
//! that nothing is left out, and other lanes go on.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use kit_bus::{Bus, Delivery, Namespace, PublicForm, PublishError, RawRecord};
use kit_clock::Clock;
use kit_event::{Fact, Timestamp, UnitId, UnitSeq};
use kit_telemetry::chain;
use sqlx::PgConnection;
use tokio::sync::{Mutex, OwnedSemaphorePermit, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::alarm;
use crate::checkpoint::{self, Checkpoint};
use crate::error::{Away, LaneError, SessionError, Unfit};
use crate::failpoints::{Failpoints, Step as Failpoint};
use crate::forms::{Event, Forms, Told};
use crate::intake::{self, Held, Looked};
use crate::metrics::{self, Skipped, Waiting};
use crate::plan::{Plan, Readings, What};
use crate::tails::Sent;

/// Records of one batch. With 64 lanes it is what the producer's queue holds at most, and how much
/// of a tail is read after a crash.
pub(crate) const BATCH_RECORDS_MAX: usize = 1_000;
/// Bytes of one batch: 64 lanes of it are the producer's queue.
pub(crate) const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// The pause before what is away is asked for again.
const WAIT_MS: u64 = 500;
/// The pause while the producer's queue is full of what other lanes sent.
const QUEUE_FULL_MS: u64 = 5;

/// What all lanes share.
pub(crate) struct Shared {
    pub bus: Bus,
    pub forms: Arc<Forms>,
    pub clock: Clock,
    pub failpoints: Failpoints,
    /// For reading what is held; checkpoints have a connection of their own.
    pub reads: Mutex<PgConnection>,
    pub checkpoints: mpsc::Sender<Checkpoint>,
    /// The session ends: nothing new is begun.
    pub over: CancellationToken,
    pub positions: Positions,
}

/// How far each lane is, for who measures.
pub(crate) struct Positions(BTreeMap<i32, AtomicI64>);

impl Positions {
    pub fn new(positions: &HashMap<i32, i64>) -> Self {
        let each = positions.iter().map(|(partition, next)| (*partition, AtomicI64::new(*next)));
        Self(each.collect())
    }

    /// Every partition and its next offset.
    pub fn all(&self) -> impl Iterator<Item = (i32, i64)> {
        self.0.iter().map(|(partition, next)| (*partition, next.load(Ordering::Relaxed)))
    }

    fn set(&self, partition: i32, next: i64) {
        if let Some(stored) = self.0.get(&partition) {
            stored.store(next, Ordering::Relaxed);
        }
    }
}

/// A record that waits for its lane, and the room that its bytes take there.
pub(crate) struct Record {
    pub record: RawRecord,
    pub room: OwnedSemaphorePermit,
}

/// One partition.
pub(crate) struct Lane {
    pub shared: Arc<Shared>,
    pub partition: i32,
    /// The next offset to read, as it is stored.
    pub position: i64,
    pub readings: Readings,
    pub sent: Sent,
    pub inflow: mpsc::Receiver<Record>,
}

/// What was enqueued of a batch.
#[derive(Default)]
struct Flight {
    deliveries: Vec<Delivery>,
    events: BTreeMap<Namespace, u64>,
    lateness_s: Vec<f64>,
}

impl Lane {
    /// Tells batches until the session ends; then nothing of it is on its way any more.
    pub async fn run(mut self) -> Result<(), LaneError> {
        let over = self.shared.over.clone();
        loop {
            let batch = tokio::select! {
                biased;
                () = over.cancelled() => return Ok(()),
                batch = self.gather() => batch,
            };
            let Some(last) = batch.last() else { return Ok(()) };
            let to = last.offset + 1;
            self.tell(batch, to).await?;
            self.shared.failpoints.pass(Failpoint::BetweenBatches);
        }
    }

    /// What came, up to the bounds of a batch; empty where nobody feeds the lane any more.
    async fn gather(&mut self) -> Vec<RawRecord> {
        let mut batch = Vec::new();
        let Some(first) = self.inflow.recv().await else { return batch };
        let mut bytes = first.room.num_permits();
        batch.push(first.record);
        while batch.len() < BATCH_RECORDS_MAX && bytes < BATCH_BYTES_MAX {
            let Ok(more) = self.inflow.try_recv() else { break };
            bytes += more.room.num_permits();
            batch.push(more.record);
        }
        batch
    }

    async fn tell(&mut self, batch: Vec<RawRecord>, to: i64) -> Result<(), LaneError> {
        let mut plan = Plan::default();
        for record in batch {
            let looked = self.look(&record).await?;
            plan.take(&mut self.readings, record, looked);
        }
        self.shared.failpoints.pass(Failpoint::BeforeSend);
        let mut flight = Flight::default();
        let enqueued = self.enqueue(&mut plan, &mut flight).await;
        self.shared.failpoints.pass(Failpoint::AfterSend);
        // Whatever happened: the lane never ends with something of it on its way, because whoever
        // comes next reads the tails.
        let mut delivered = Ok(());
        for delivery in flight.deliveries {
            if let Err(source) = delivery.await {
                delivered = Err(self.failed(source));
            }
        }
        enqueued?;
        delivered?;
        self.shared.failpoints.pass(Failpoint::AfterFlush);
        self.store(plan.touched, plan.holds.into_values(), plan.gone, to).await?;
        for (namespace, count) in flight.events {
            metrics::published(namespace, count);
        }
        for (reason, count) in plan.skipped {
            metrics::skipped(reason, count);
        }
        flight.lateness_s.into_iter().for_each(metrics::told_after);
        Ok(())
    }

    async fn look(&self, record: &RawRecord) -> Result<Looked, LaneError> {
        let mut waiting = None;
        loop {
            match intake::look(&self.shared.bus, record).await {
                Ok(looked) => return Ok(looked),
                Err(away) => self.wait(&mut waiting, &away).await?,
            }
        }
    }

    /// Puts the plan's events on their way, in their order.
    async fn enqueue(&mut self, plan: &mut Plan, flight: &mut Flight) -> Result<(), LaneError> {
        for step in std::mem::take(&mut plan.steps) {
            let fact = match step.what {
                What::Fresh(fact) => fact,
                What::Held(unit, seq) => {
                    if let Some(fact) = self.held(&unit, seq).await? {
                        fact
                    } else {
                        plan.skip(Skipped::Unreadable);
                        continue;
                    }
                }
            };
            match self.told(&fact).await? {
                Told::Private => plan.skip(Skipped::Private),
                Told::Unfit(unfit) => Self::leave_out(plan, &fact, &unfit),
                Told::Event(event) => {
                    if self.sent.take(event.namespace, &fact) {
                        plan.skip(Skipped::AlreadySent);
                    } else {
                        self.send(plan, flight, &fact, &event, step.source_offset).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn held(&self, unit: &UnitId, seq: UnitSeq) -> Result<Option<Box<Fact>>, LaneError> {
        let held = checkpoint::held(&mut *self.shared.reads.lock().await, unit, seq).await?;
        match self.look(&intake::from_held(held)).await? {
            Looked::Numbered(fact) => Ok(Some(fact)),
            // It read when it was held; other partitions must not wait for it to read again.
            Looked::Unreadable { .. } => {
                alarm::lost_its_schema(unit, seq);
                Ok(None)
            }
        }
    }

    async fn told(&self, fact: &Fact) -> Result<Told, LaneError> {
        let mut waiting = None;
        loop {
            match self.shared.forms.told(fact).await {
                Ok(told) => return Ok(told),
                Err(away) => self.wait(&mut waiting, &away).await?,
            }
        }
    }

    async fn send(
        &self,
        plan: &mut Plan,
        flight: &mut Flight,
        fact: &Fact,
        event: &Event,
        source_offset: i64,
    ) -> Result<(), LaneError> {
        let form = PublicForm {
            namespace: event.namespace,
            partition: self.partition,
            source_offset,
            version: event.version,
            schema: &event.schema,
            body: &event.body,
        };
        let sealed = match self.shared.bus.seal_public(fact, &form) {
            Ok(sealed) => sealed,
            Err(error) => {
                Self::leave_out(plan, fact, &Unfit::Form(error));
                return Ok(());
            }
        };
        let delivery = loop {
            match self.shared.bus.put(&sealed) {
                Ok(delivery) => break delivery,
                Err(PublishError::QueueFull) => {
                    self.pause(Duration::from_millis(QUEUE_FULL_MS)).await?;
                }
                Err(source) => return Err(self.failed(source)),
            }
        };
        flight.deliveries.push(delivery);
        *flight.events.entry(event.namespace).or_default() += 1;
        if !fact.type_name.ends_with("_snapshot") {
            let late_ms = self.shared.clock.now().unix_ms() - fact.time.unix_ms();
            flight.lateness_s.push(late_ms.max(0) as f64 / 1_000.0);
        }
        self.shared.failpoints.pass(Failpoint::MidBatch);
        Ok(())
    }

    fn leave_out(plan: &mut Plan, fact: &Fact, unfit: &Unfit) {
        alarm::unfit(fact, &chain(unfit));
        plan.skip(Skipped::Unfit);
    }

    async fn store(
        &mut self,
        touched: HashMap<UnitId, Option<Timestamp>>,
        holds: impl Iterator<Item = Held>,
        gone: Vec<(UnitId, UnitSeq)>,
        to: i64,
    ) -> Result<(), LaneError> {
        let moved = touched.into_iter().filter_map(|(unit, time)| {
            let reading = self.readings.get(&unit)?.clone();
            Some((unit, reading, time))
        });
        let (stored, is_stored) = oneshot::channel();
        let checkpoint = Checkpoint {
            partition: self.partition,
            from: self.position,
            to,
            readings: moved.collect(),
            holds: holds.map(intake::to_held).collect(),
            gone,
            stored,
        };
        // Whoever stores them ends only with an error of its own, which the session tells.
        let sent = self.shared.checkpoints.send(checkpoint).await;
        sent.map_err(|_| LaneError::Over)?;
        is_stored.await.map_err(|_| LaneError::Over)?;
        self.position = to;
        self.shared.positions.set(self.partition, to);
        Ok(())
    }

    async fn wait(&self, waiting: &mut Option<Waiting>, away: &Away) -> Result<(), LaneError> {
        if waiting.is_none() {
            alarm::waits(self.partition, &chain(away));
            *waiting = Some(Waiting::begin());
        }
        self.pause(Duration::from_millis(WAIT_MS)).await
    }

    async fn pause(&self, pause: Duration) -> Result<(), LaneError> {
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.shared.over.cancelled() => Err(LaneError::Over),
        }
    }

    fn failed(&self, source: PublishError) -> LaneError {
        SessionError::Publish { partition: self.partition, source }.into()
    }
}
