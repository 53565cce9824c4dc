//! Which units are connected, folded from `unit.presence`.

use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, ensure};
use kit_bus::{Bus, Deferred, OpenError, Opened, Polled, RawRecord, Reader, ReaderOptions, Topic};
use kit_clock::Clock;
use kit_event::{Timestamp, UnitId};
use kit_request::ports::{Applied, LastHeard, Presence};
use kit_telemetry::chain;
use requests::AppliedCursor;
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use units::{EdgeLiveness, PresenceMap, PresenceRecord};

/// A quiet presence topic is read this late at most; liveness has 6 s to arrive.
const FETCH_WAIT_MS: u32 = 100;
/// Records between the reading thread and the map.
const CHANNEL_RECORDS: usize = 1_024;

/// Who is connected; clones share it.
#[derive(Clone, Default)]
pub struct PresenceView(Arc<RwLock<PresenceMap>>);

impl PresenceView {
    /// Whether a message to the unit would reach its agent now.
    #[must_use]
    pub fn is_online(&self, unit: &UnitId, now: Timestamp) -> bool {
        self.read().is_online(unit, now)
    }

    /// Whether the unit was ever connected.
    #[must_use]
    pub fn knows(&self, unit: &UnitId) -> bool {
        self.read().presence(unit).is_some()
    }

    /// What the last presence record says of the unit.
    #[must_use]
    pub fn of(&self, unit: &UnitId) -> Option<units::Presence> {
        self.read().presence(unit).cloned()
    }

    /// Every unit that was ever connected, in no order.
    #[must_use]
    pub fn all(&self) -> Vec<units::Presence> {
        self.read().units().cloned().collect()
    }

    /// Looks at how far the unit is in its log of requests.
    pub fn with_applied<T>(
        &self,
        unit: &UnitId,
        look: impl FnOnce(Option<AppliedCursor<'_>>) -> T,
    ) -> T {
        let map = self.read();
        let presence = map.presence(unit);
        look(
            presence.and_then(|at| {
                Some(AppliedCursor { log: at.log.as_deref()?, next: at.applied_next? })
            }),
        )
    }

    /// Takes a record that reached us at `now`.
    pub fn apply(&self, record: PresenceRecord, offset: i64, now: Timestamp) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).apply(record, offset, now);
    }

    /// Takes a record that was there before we were, at `now`.
    pub fn replay(&self, record: PresenceRecord, offset: i64, now: Timestamp) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).replay(record, offset, now);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, PresenceMap> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Presence for PresenceView {
    fn last(&self, unit: &UnitId) -> Option<LastHeard> {
        self.read().presence(unit).map(|at| LastHeard {
            since: at.since,
            agent_version: at.agent_version.clone(),
            durable_seq: at.durable_seq,
        })
    }

    fn is_online(&self, unit: &UnitId, now: Timestamp) -> bool {
        self.is_online(unit, now)
    }

    fn knows(&self, unit: &UnitId) -> bool {
        self.knows(unit)
    }

    fn applied(&self, unit: &UnitId) -> Option<Applied> {
        self.with_applied(unit, |at| at.map(|at| Applied { log: at.log.to_owned(), next: at.next }))
    }
}

/// Reads the topic from its beginning and never ends by itself.
pub struct PresenceReader {
    bus: Bus,
    reader: Reader,
    view: PresenceView,
    clock: Clock,
    deferred: Deferred,
    /// Partitions whose end, as it stood at the start, is still ahead.
    behind: Vec<bool>,
    caught_up: Option<oneshot::Sender<()>>,
}

impl PresenceReader {
    /// Begins at the first record of each partition. The receiver hears when the ends as they are
    /// now have been reached.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn start(
        bus: &Bus,
        view: PresenceView,
        clock: Clock,
    ) -> anyhow::Result<(Self, oneshot::Receiver<()>)> {
        let options = ReaderOptions {
            fetch_wait_ms: FETCH_WAIT_MS,
            channel_records: CHANNEL_RECORDS,
            end_of_partition: true,
            ..ReaderOptions::default()
        };
        let reader = bus.reader("gateway-presence", options).context("starting the reader")?;
        let mut starts = Vec::new();
        for partition in 0..bus.partitions() {
            let ends = bus.watermarks(Topic::Presence, partition).await?;
            starts.push((partition, ends.low));
        }
        reader.assign(Topic::Presence, starts).await?;
        let behind = vec![true; usize::try_from(bus.partitions()).unwrap_or_default()];
        let (sender, receiver) = oneshot::channel();
        let (bus, deferred, caught_up) = (bus.clone(), Deferred::default(), Some(sender));
        Ok((Self { bus, reader, view, clock, deferred, behind, caught_up }, receiver))
    }

    /// Reads until `stop`.
    ///
    /// # Errors
    /// The reader is of no further use.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            let polled = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                due = self.deferred.due(&self.bus) => {
                    for (record, opened) in due {
                        self.apply(&record, opened);
                    }
                    continue;
                }
                polled = self.reader.next() => polled,
            };
            match polled.context("the reader of presence ended")? {
                // Its schema may have to be waited for.
                Polled::Record(record) => tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = self.take(&record) => {}
                },
                Polled::EndOfPartition { partition, .. } => self.reached(partition),
                Polled::OutOfRange { partition, low, .. } => {
                    self.reader.assign(Topic::Presence, vec![(partition, low)]).await?;
                }
                Polled::Failed(error) => {
                    tracing::warn!(error = %chain(&error), "reading presence");
                }
            }
        }
    }

    fn reached(&mut self, partition: i32) {
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        if let Some(behind) = self.behind.get_mut(index) {
            *behind = false;
        }
        if !self.behind.contains(&true)
            && let Some(caught_up) = self.caught_up.take()
        {
            // Who no longer waits for it is going away.
            let _ = caught_up.send(());
        }
    }

    async fn take(&mut self, record: &RawRecord) {
        if record.payload.is_none() {
            return;
        }
        if let Some(opened) = self.deferred.open(&self.bus, record).await {
            self.apply(record, opened);
        }
    }

    fn apply(&self, record: &RawRecord, opened: Result<Opened, OpenError>) {
        let read = opened.map_err(anyhow::Error::new).and_then(|opened| read(record, &opened));
        match read {
            // The last words of an edge that died before we started are no news.
            Ok(Some(read)) if self.caught_up.is_some() => {
                self.view.replay(read, record.offset, self.clock.now());
            }
            Ok(Some(read)) => self.view.apply(read, record.offset, self.clock.now()),
            Ok(None) => {}
            Err(error) => {
                let (partition, offset) = (record.partition, record.offset);
                let error = chain(error.as_ref());
                tracing::warn!(partition, offset, error, "presence record passed over");
            }
        }
    }
}

/// What serde says of a body may quote it, so that nothing of it is passed on.
fn unread(_: serde_json::Error) -> anyhow::Error {
    anyhow::anyhow!("its body does not read")
}

/// What a record says, where it says it of its own key; none where it is of another kind.
fn read(record: &RawRecord, opened: &Opened) -> anyhow::Result<Option<PresenceRecord>> {
    match opened.type_name.as_str() {
        units::Presence::TYPE => {
            let presence = units::Presence::deserialize(&opened.body).map_err(unread)?;
            ensure!(opened.key == presence.unit_id.as_str(), "it is of another unit than its key");
            // A connection's number is the offset of its first record.
            let is_past = presence.conn_epoch.is_none_or(|epoch| epoch <= record.offset);
            ensure!(is_past, "its connection is one that is not there yet");
            Ok(Some(PresenceRecord::Unit(presence)))
        }
        EdgeLiveness::TYPE => {
            let liveness = EdgeLiveness::deserialize(&opened.body).map_err(unread)?;
            let key = EdgeLiveness::key(&liveness.edge_id);
            ensure!(opened.key == key, "it is of another edge than its key");
            Ok(Some(PresenceRecord::Edge(liveness)))
        }
        _ => Ok(None),
    }
}
