//! Stretches of one partition, bounded by time.
//!
//! Records of a partition stand nearly in the order of their times, so the place of a moment is
//! found by halving: some twenty single records are read in a partition of a million.

use anyhow::{Context, Result};
use kit_bus::{Bus, RawRecord, Scans, Topic};
use kit_event::Timestamp;

/// Scans side by side: one for each topic that a life may touch.
const SCANS_MAX: usize = 8;
/// Times come from several writers' clocks, and a batch is stamped when it is made; a search begins
/// this much before the moment it is for.
pub const SLACK_MS: i64 = 60_000;

/// The log, read in stretches.
pub struct Log {
    pub bus: Bus,
    scans: Scans,
}

/// One partition of a topic.
#[derive(Debug, Clone, Copy)]
pub struct Lane {
    pub topic: Topic,
    pub partition: i32,
}

/// What to do with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Look on.
    On,
    /// Keep it, and look on.
    Keep,
    /// Keep it, and look no further.
    Last,
    /// Look no further.
    Enough,
}

impl Log {
    pub fn new(bus: Bus) -> Self {
        Self { scans: bus.scans(SCANS_MAX), bus }
    }

    /// Records of `lane` from `earliest` on that `look` keeps.
    pub async fn since(
        &self,
        lane: Lane,
        earliest: Timestamp,
        look: impl FnMut(&RawRecord) -> Look,
    ) -> Result<Vec<RawRecord>> {
        let ends = self.bus.watermarks(lane.topic, lane.partition).await?;
        let moment_ms = earliest.unix_ms() - SLACK_MS;
        let from = self.place_of(lane, ends.low, ends.high, moment_ms).await?;
        self.stretch(lane, from, ends.high, look).await
    }

    /// Records of `lane` from the position `from` on that `look` keeps.
    pub async fn after(
        &self,
        lane: Lane,
        from: i64,
        look: impl FnMut(&RawRecord) -> Look,
    ) -> Result<Vec<RawRecord>> {
        let ends = self.bus.watermarks(lane.topic, lane.partition).await?;
        self.stretch(lane, from.max(ends.low), ends.high, look).await
    }

    /// The one record at a position, where it is still there.
    pub async fn at(&self, lane: Lane, position: i64) -> Result<Option<RawRecord>> {
        let found = self.after(lane, position, |_| Look::Last).await?;
        Ok(found.into_iter().find(|record| record.offset == position))
    }

    async fn stretch(
        &self,
        lane: Lane,
        from: i64,
        to: i64,
        mut look: impl FnMut(&RawRecord) -> Look,
    ) -> Result<Vec<RawRecord>> {
        let scan = self.scans.scan(lane.topic, lane.partition, from, to).await;
        let mut scan = scan.with_context(|| format!("scanning {}", lane.topic.as_str()))?;
        let mut kept = Vec::new();
        while let Some(record) = scan.next().await {
            let record = record?;
            match look(&record) {
                Look::On => {}
                Look::Keep => kept.push(record),
                Look::Last => {
                    kept.push(record);
                    break;
                }
                Look::Enough => break,
            }
        }
        Ok(kept)
    }

    /// The first position whose record is not older than `moment_ms`, by halving `low..high`.
    async fn place_of(&self, lane: Lane, low: i64, high: i64, moment_ms: i64) -> Result<i64> {
        let (mut low, mut high) = (low, high);
        while low < high {
            let middle = low + (high - low) / 2;
            // Compacted topics have holes: the next record stands for them.
            match self.stretch(lane, middle, high, |_| Look::Last).await?.pop() {
                Some(record) if record.timestamp_ms < moment_ms => low = record.offset + 1,
                Some(_) | None => high = middle,
            }
        }
        Ok(low)
    }
}
