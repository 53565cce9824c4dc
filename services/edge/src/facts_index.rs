//! What of every unit of a partition is on the log, learned by one pass that all units share.
//!
//! A unit that the presence topic says nothing of, or says something old of, would need a scan of
//! its whole partition before its WELCOME, and the next one another. So a partition is passed over
//! once, in the background, for all its units together; what was learned stays, and the next who
//! asks only adds what has come since. Nobody holds up a pass by leaving, and passes have readers
//! of their own, so catch-ups do not wait for them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use kit_bus::{Bus, RawRecord, ScanError, Scans, Topic};
use kit_event::{UnitId, UnitSeq};
use kit_telemetry::chain;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::durable::DurableScan;
use crate::limits::{LEARN_SLICE_RECORDS, LEARN_WITHIN_MS, PASSES_MAX};
use crate::presence::Whereabouts;
use crate::session::OnLog;

/// Why a partition is not learned up to the place asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LearnError {
    /// It takes longer than a HELLO may wait; it goes on meanwhile.
    #[error("the facts of the partition are read up to {next} of {to}")]
    Underway {
        /// Everything below is learned.
        next: i64,
        /// What was asked for.
        to: i64,
    },
    /// The log could not be read.
    #[error("the facts of the partition cannot be read")]
    Unreadable,
}

/// A fact as far as the readers' rule asks.
struct Seen {
    unit: UnitId,
    seq: UnitSeq,
    id: Uuid,
    offset: i64,
}

impl Seen {
    async fn of(bus: &Bus, record: &RawRecord) -> Option<Self> {
        let unit = record.key.as_deref()?.parse().ok()?;
        let (seq, id) = number_of(bus, record).await?;
        Some(Self { unit, seq, id, offset: record.offset })
    }
}

/// The number and id of a fact. What no reader can read counts for none of them, so it is not
/// durable either. Where the registry is away nobody knows, and the headers are believed.
pub async fn number_of(bus: &Bus, record: &RawRecord) -> Option<(UnitSeq, Uuid)> {
    match bus.open_fact(record).await {
        Ok(fact) => Some((fact.seq, fact.id)),
        Err(error) if error.is_worth_waiting() => {
            Some((record.unit_seq()?, record.ce_id()?.parse().ok()?))
        }
        Err(_) => None,
    }
}

/// One pass over a partition, from `from` to `next`.
#[derive(Default)]
struct Pass {
    from: i64,
    next: i64,
    /// None of a unit of which the pass began too late to know. As many as have facts here.
    units: HashMap<UnitId, Option<DurableScan>>,
}

impl Pass {
    fn begin(from: i64) -> Self {
        Self { from, next: from, units: HashMap::new() }
    }

    /// Whether the pass says, or will say, where a unit stands of which everything below `needed`
    /// is known.
    fn covers(&self, unit: &UnitId, needed: i64) -> bool {
        self.from <= needed && !matches!(self.units.get(unit), Some(None))
    }

    /// Takes a fact; `sighted` is what the presence topic knows of its unit, `low` where the log
    /// begins.
    fn saw(&mut self, seen: Seen, sighted: impl FnOnce(&UnitId) -> Option<OnLog>, low: i64) {
        let Seen { unit, seq, id, offset } = seen;
        if let Some(known) = self.units.get_mut(&unit) {
            // What the presence topic knew may lie ahead of the pass.
            if let Some(scan) = known
                && scan.last().is_none_or(|on| on.offset < offset)
            {
                scan.saw(seq, id, offset);
            }
            return;
        }
        // What the presence topic knows is kept: the unit's next record there may not say it.
        let sighted = sighted(&unit);
        let needed = sighted.map_or(low, |on| on.offset + 1);
        let scan = (self.from <= needed).then(|| {
            let mut scan = DurableScan::after(sighted);
            if sighted.is_none_or(|on| on.offset < offset) {
                scan.saw(seq, id, offset);
            }
            scan
        });
        self.units.insert(unit, scan);
    }

    fn of(&self, unit: &UnitId) -> Option<OnLog> {
        self.units.get(unit)?.as_ref()?.last()
    }
}

struct State {
    pass: Pass,
    /// Grows when a pass begins anew, so that what an older one read is not put into it.
    generation: u64,
    /// The log as it was when last asked for; the pass goes on to its end.
    there: Range<i64>,
    is_running: bool,
}

struct Partition {
    state: Mutex<State>,
    /// How far the pass is, and how often it failed.
    progress: watch::Sender<(i64, u64)>,
}

impl Partition {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What is known of every partition; clones are the same.
#[derive(Clone)]
pub struct FactsIndex {
    bus: Bus,
    scans: Scans,
    whereabouts: Whereabouts,
    partitions: Arc<Mutex<HashMap<i32, Arc<Partition>>>>,
    records_read: Arc<AtomicU64>,
}

impl FactsIndex {
    /// An index that knows nothing yet.
    #[must_use]
    pub fn new(bus: Bus, whereabouts: Whereabouts) -> Self {
        let scans = bus.scans(PASSES_MAX);
        Self { bus, scans, whereabouts, partitions: Arc::default(), records_read: Arc::default() }
    }

    /// Records that passes have read so far.
    #[must_use]
    pub fn records_read(&self) -> u64 {
        self.records_read.load(Ordering::Relaxed)
    }

    /// Learns where the unit stands on the log as it is `there`, where everything below `needed` is
    /// known of it. Gives its last durable fact, as far as one is seen from `needed` on or sighted.
    ///
    /// # Errors
    /// It takes longer than [`LEARN_WITHIN_MS`], and goes on; or the log cannot be read.
    pub async fn learn(
        &self,
        unit: &UnitId,
        partition: i32,
        needed: i64,
        there: Range<i64>,
    ) -> Result<Option<OnLog>, LearnError> {
        let to = there.end;
        let entry = self.partition(partition, needed);
        let mut progress = entry.progress.subscribe();
        let failures = progress.borrow_and_update().1;
        let deadline = Instant::now() + Duration::from_millis(LEARN_WITHIN_MS);
        loop {
            {
                let mut state = entry.state();
                if !state.pass.covers(unit, needed) {
                    state.pass = Pass::begin(needed.min(state.pass.from));
                    state.generation += 1;
                }
                if state.pass.next >= to {
                    let found = [state.pass.of(unit), self.sighted(unit, partition, to)];
                    return Ok(found.into_iter().flatten().max_by_key(|on| on.offset));
                }
                state.there = there.start..state.there.end.max(to);
                if !std::mem::replace(&mut state.is_running, true) {
                    tokio::spawn(self.clone().pass_over(partition, entry.clone()));
                }
            }
            match timeout_at(deadline, progress.changed()).await {
                Ok(Ok(())) if progress.borrow_and_update().1 == failures => {}
                Ok(_) => return Err(LearnError::Unreadable),
                Err(_) => {
                    let next = entry.state().pass.next;
                    return Err(LearnError::Underway { next, to });
                }
            }
        }
    }

    /// What the presence topic knows of a unit below `to`: a log that lost its end holds no more.
    fn sighted(&self, unit: &UnitId, partition: i32, to: i64) -> Option<OnLog> {
        let log = self.bus.log_identity(Topic::Requests, partition);
        self.whereabouts.on_log(unit, &log).filter(|on| on.offset < to)
    }

    fn partition(&self, partition: i32, from: i64) -> Arc<Partition> {
        let mut partitions =
            self.partitions.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let entry = partitions.entry(partition).or_insert_with(|| {
            let pass = Pass::begin(from);
            let state = State { pass, generation: 0, there: from..from, is_running: false };
            Arc::new(Partition { state: Mutex::new(state), progress: watch::Sender::default() })
        });
        entry.clone()
    }

    /// Reads on until the place that was asked for is reached.
    async fn pass_over(self, partition: i32, entry: Arc<Partition>) {
        loop {
            let (generation, from, to) = {
                let mut state = entry.state();
                if state.pass.next >= state.there.end {
                    state.is_running = false;
                    return;
                }
                (state.generation, state.pass.next, state.there.end)
            };
            let to = to.min(from.saturating_add(LEARN_SLICE_RECORDS));
            let read = self.read(partition, from, to).await;
            let mut state = entry.state();
            match read {
                Ok((seen, next)) if state.generation == generation => {
                    let there = state.there.clone();
                    for seen in seen {
                        let sighted = |unit: &UnitId| self.sighted(unit, partition, there.end);
                        state.pass.saw(seen, sighted, there.start);
                    }
                    state.pass.next = next;
                    entry.progress.send_modify(|(at, _)| *at = next);
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(partition, error, "the facts of a partition cannot be read");
                    state.is_running = false;
                    entry.progress.send_modify(|(_, failures)| *failures += 1);
                    return;
                }
            }
        }
    }

    /// The facts of a stretch, and the place after it.
    async fn read(&self, partition: i32, from: i64, to: i64) -> Result<(Vec<Seen>, i64), String> {
        crate::metrics::SCANS.of(["facts-of-all"]).increment(1);
        let scan = self.scans.scan(Topic::Facts, partition, from, to).await;
        let mut scan = scan.map_err(|error| chain(&error))?;
        let mut seen = Vec::new();
        while let Some(record) = scan.next().await {
            match record {
                Ok(record) => {
                    self.records_read.fetch_add(1, Ordering::Relaxed);
                    seen.extend(Seen::of(&self.bus, &record).await);
                }
                // What lay there is gone for everybody; the pass goes on with what is left.
                Err(ScanError::OutOfRange { low, .. }) if low > from => return Ok((seen, low)),
                Err(error) => return Err(chain(&error)),
            }
        }
        Ok((seen, to))
    }
}

#[cfg(test)]
#[path = "facts_index_tests.rs"]
mod tests;
