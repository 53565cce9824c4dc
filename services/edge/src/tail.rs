//! The live tail: one reader over the partitions that have a unit connected here, and who listens.
//!
//! The tail looks at a record's key and hands it to the one link that it is for; it opens no body
//! and waits for nobody. A link whose queue is full is cut off from the tail (it reads the log by
//! itself until it has caught up), so no unit's slowness holds the tail or another unit.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use kit_bus::{Bus, BusError, Polled, RawRecord, Reader, Topic};
use kit_event::{Timestamp, UnitId};
use kit_telemetry::chain;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::limits::{LIVE_QUEUE_RECORDS, PARTITION_LINGER_MS};
use crate::metrics;
use crate::network_time::NetworkTime;

/// A pause after partitions could not be assigned, before they are asked for again.
const ASSIGN_PAUSE_MS: u64 = 500;

struct Listener {
    id: u64,
    records: mpsc::Sender<Arc<RawRecord>>,
}

struct Partition {
    /// Everything below has been handed out.
    next: i64,
    assigned: bool,
    units: HashMap<String, Listener>,
    empty_since: Instant,
    /// Told to those who listened when the place was lost.
    lost: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    partitions: HashMap<i32, Partition>,
    ids: u64,
}

struct Shared {
    state: Mutex<State>,
    changed: Notify,
    time: Arc<NetworkTime>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The tail; clones are the same.
#[derive(Clone)]
pub struct Tail(Arc<Shared>);

/// A unit's place at the tail; given back when it is dropped.
pub struct Subscription {
    shared: Arc<Shared>,
    partition: i32,
    unit: String,
    id: u64,
    lost: Arc<AtomicBool>,
    /// Everything of the unit from here on comes through `records`.
    pub head: i64,
    /// The unit's records; closed when the link was cut off.
    pub records: mpsc::Receiver<Arc<RawRecord>>,
}

impl Tail {
    /// A tail of no partition, which tells `time` what the gateways' clocks say.
    pub fn new(time: Arc<NetworkTime>) -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), changed: Notify::new(), time }))
    }

    /// Listens for a unit's records; a place that the unit already has is given up.
    ///
    /// # Errors
    /// The log's end is not known.
    pub async fn subscribe(
        &self,
        bus: &Bus,
        unit: &UnitId,
        partition: i32,
    ) -> Result<Subscription, BusError> {
        if let Some(subscription) = self.join(unit, partition, None) {
            return Ok(subscription);
        }
        let high = bus.watermarks(Topic::Requests, partition).await?.high;
        self.join(unit, partition, Some(high))
            .ok_or(BusError::NoSuchPartition { topic: Topic::Requests, partition })
    }

    /// The tailed partitions, each with the position below which everything was handed out.
    #[must_use]
    pub fn places(&self) -> Vec<(i32, i64)> {
        let state = self.0.state();
        let tailed = state.partitions.iter().filter(|(_, place)| place.assigned);
        tailed.map(|(partition, place)| (*partition, place.next)).collect()
    }

    /// Joins a partition that is tailed already, or begins to tail it at `begin`.
    pub(crate) fn join(
        &self,
        unit: &UnitId,
        partition: i32,
        begin: Option<i64>,
    ) -> Option<Subscription> {
        let mut state = self.0.state();
        state.ids += 1;
        let id = state.ids;
        let place = match begin {
            None => state.partitions.get_mut(&partition).filter(|place| place.assigned)?,
            Some(begin) => {
                let place = state.partitions.entry(partition).or_insert_with(|| Partition {
                    next: begin,
                    assigned: false,
                    units: HashMap::new(),
                    empty_since: Instant::now(),
                    lost: Arc::default(),
                });
                if !place.assigned && place.units.is_empty() {
                    place.next = begin;
                }
                place
            }
        };
        let (sender, records) = mpsc::channel(LIVE_QUEUE_RECORDS);
        place.units.insert(unit.to_string(), Listener { id, records: sender });
        let (head, lost, assigned) = (place.next, place.lost.clone(), place.assigned);
        drop(state);
        if !assigned {
            self.0.changed.notify_one();
        }
        let (shared, unit) = (self.0.clone(), unit.to_string());
        Some(Subscription { shared, partition, unit, id, lost, head, records })
    }

    /// Reads for as long as the process lives.
    ///
    /// # Errors
    /// The reader ended.
    pub async fn run(self, mut reader: Reader) -> Result<(), BusError> {
        let mut linger = tokio::time::interval(Duration::from_millis(PARTITION_LINGER_MS / 2));
        let mut assign_again_at = None;
        loop {
            tokio::select! {
                polled = reader.next() => match polled {
                    Some(polled) => self.take(polled)?,
                    None => return Err(BusError::Thread { reader: reader.name().to_owned() }),
                },
                () = self.0.changed.notified() => assign_again_at = self.assign(&reader).await,
                () = until(assign_again_at) => assign_again_at = self.assign(&reader).await,
                _ = linger.tick() => self.let_go(&reader).await,
            }
        }
    }

    fn take(&self, polled: Polled) -> Result<(), BusError> {
        match polled {
            Polled::Record(record) => {
                self.0.time.gateway_says(Timestamp::from_unix_ms(record.timestamp_ms));
                self.dispatch(record);
            }
            Polled::EndOfPartition { .. } => {}
            Polled::OutOfRange { partition, offset, low, high, .. } => {
                tracing::error!(partition, offset, low, high, "the tail's place is not on the log");
                self.lose(partition);
            }
            Polled::Failed(error @ BusError::Read { fatal: true, .. }) => return Err(error),
            Polled::Failed(error) => {
                tracing::warn!(error = chain(&error), "the tail is interrupted");
            }
        }
        Ok(())
    }

    pub(crate) fn dispatch(&self, record: RawRecord) {
        let mut state = self.0.state();
        let Some(place) = state.partitions.get_mut(&record.partition) else { return };
        if record.offset < place.next {
            return;
        }
        let next = record.offset + 1;
        if let Some(unit) = record.key.clone()
            && let Some(listener) = place.units.get(&unit)
            && let Err(error) = listener.records.try_send(Arc::new(record))
        {
            if matches!(error, mpsc::error::TrySendError::Full(_)) {
                metrics::LINKS_CUT_OFF.get().increment(1);
            }
            place.units.remove(&unit);
        }
        place.next = next;
    }

    /// The place is not on the log any more: whoever listens must find the log again.
    fn lose(&self, partition: i32) {
        if let Some(place) = self.0.state().partitions.remove(&partition) {
            place.lost.store(true, Ordering::SeqCst);
        }
    }

    /// Assigns what is wanted and not assigned yet. Where that fails, gives the moment to try
    /// again; nothing waits for it but the partitions concerned.
    async fn assign(&self, reader: &Reader) -> Option<Instant> {
        let starts: Vec<(i32, i64)> = {
            let mut state = self.0.state();
            let wanted = state.partitions.iter_mut();
            let wanted = wanted.filter(|(_, place)| !place.assigned && !place.units.is_empty());
            wanted
                .map(|(partition, place)| {
                    place.assigned = true;
                    (*partition, place.next)
                })
                .collect()
        };
        if starts.is_empty() {
            return None;
        }
        let mut again_at = None;
        if let Err(error) = reader.assign(Topic::Requests, starts.clone()).await {
            tracing::error!(error = chain(&error), "partitions could not be assigned to the tail");
            self.unassigned(&starts);
            again_at = Some(Instant::now() + Duration::from_millis(ASSIGN_PAUSE_MS));
        }
        let tailed = self.0.state().partitions.values().filter(|place| place.assigned).count();
        metrics::PARTITIONS_TAILED.get().set(tailed as f64);
        again_at
    }

    fn unassigned(&self, starts: &[(i32, i64)]) {
        let mut state = self.0.state();
        for (partition, _) in starts {
            if let Some(place) = state.partitions.get_mut(partition) {
                place.assigned = false;
            }
        }
    }

    /// Takes away the partitions that nobody has listened to for a while.
    async fn let_go(&self, reader: &Reader) {
        let linger = Duration::from_millis(PARTITION_LINGER_MS);
        let idle: Vec<i32> = {
            let mut state = self.0.state();
            let empty = |place: &Partition| {
                place.assigned && place.units.is_empty() && place.empty_since.elapsed() >= linger
            };
            let idle = state.partitions.iter().filter(|(_, place)| empty(place));
            let idle: Vec<i32> = idle.map(|(partition, _)| *partition).collect();
            for partition in &idle {
                state.partitions.remove(partition);
            }
            idle
        };
        if !idle.is_empty() {
            reader.unassign(Topic::Requests, idle).await;
            // Somebody may have come for one of them meanwhile.
            self.0.changed.notify_one();
        }
    }
}

/// Waits until `at`; for ever where there is no such moment.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl Subscription {
    /// Everything of the unit below this has been put into `records`. None once the tail puts
    /// nothing there any more: the link was cut off, or a newer one of the unit took its place.
    #[must_use]
    pub fn tail_next(&self) -> Option<i64> {
        let state = self.shared.state();
        let place = state.partitions.get(&self.partition)?;
        let listener = place.units.get(&self.unit).filter(|listener| listener.id == self.id);
        listener.map(|_| place.next)
    }

    /// Whether the tail lost its place on the log.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        let Some(place) = state.partitions.get_mut(&self.partition) else { return };
        if place.units.get(&self.unit).is_some_and(|listener| listener.id == self.id) {
            place.units.remove(&self.unit);
        }
        if place.units.is_empty() {
            place.empty_since = Instant::now();
        }
    }
}

#[cfg(test)]
impl Default for Tail {
    fn default() -> Self {
        Self::new(Arc::new(NetworkTime::new(kit_clock::Clock::fixed(Timestamp::from_unix_ms(0)))))
    }
}

#[cfg(test)]
#[path = "tail_tests.rs"]
mod tests;
