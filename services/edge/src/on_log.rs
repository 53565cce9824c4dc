//! What of a unit is on the log, found by a scan of its facts from the last place that is known, or
//! by the pass that all units of its partition share where that place lies far back.

use std::ops::Range;

use kit_bus::{BusError, ScanError, Topic, Watermarks};
use kit_event::UnitId;

use crate::durable::DurableScan;
use crate::edge::Edge;
use crate::facts_index::{self, LearnError};
use crate::limits::{LEARN_PAUSE_MS_MAX, LEARN_PAUSE_MS_MIN, SCAN_FACTS_MAX};
use crate::session::OnLog;

/// What is durable could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum OnLogError {
    /// The ends of the partition are not known, or the scan could not begin.
    #[error("beginning the scan of facts in partition {partition}")]
    Begin {
        /// Which partition.
        partition: i32,
        /// Why.
        #[source]
        source: BusError,
    },
    /// The scan broke off.
    #[error("scanning facts in partition {partition}")]
    Scan {
        /// Which partition.
        partition: i32,
        /// Why.
        #[source]
        source: ScanError,
    },
    /// There is much to read, for all units of the partition.
    #[error("learning what is durable in partition {partition}")]
    Learn {
        /// Which partition.
        partition: i32,
        /// How far it is.
        #[source]
        source: LearnError,
    },
}

impl OnLogError {
    /// How long the agent should stay away where only time is wanted.
    #[must_use]
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Learn { source: LearnError::Underway { next, to }, .. } => {
                let pause_ms = (to - next) / 100;
                Some(pause_ms.clamp(LEARN_PAUSE_MS_MIN, LEARN_PAUSE_MS_MAX).unsigned_abs())
            }
            Self::Learn { .. } | Self::Begin { .. } | Self::Scan { .. } => None,
        }
    }
}

/// Where the search for a unit's last durable fact begins.
#[derive(Debug, Clone, Copy)]
pub struct Begin {
    /// What the presence topic knows, where it is on the log still.
    sighted: Option<OnLog>,
    /// Everything of the unit below this is known from `sighted`.
    after_sighted: i64,
    /// The place of a fact of the unit that its agent was told of, above that.
    claimed: Option<i64>,
}

impl Begin {
    fn from(&self) -> i64 {
        self.claimed.unwrap_or(self.after_sighted)
    }
}

/// Finds where to begin, and has what lies far back learned before anybody is told that the unit is
/// here. `sighted` is what the presence topic knows, `claimed` the offset that the agent was last
/// told; the later of them counts.
///
/// # Errors
/// The log could not be read, or there is so much to read that the agent should come back.
pub async fn prepare(
    edge: &Edge,
    unit: &UnitId,
    sighted: Option<OnLog>,
    claimed: Option<i64>,
) -> Result<Begin, OnLogError> {
    let partition = edge.bus.partition_of(unit.as_str());
    let ends = ends(edge, partition).await?;
    let there = ends.low..ends.high;
    let sighted = sighted.filter(|on| there.contains(&on.offset));
    let after_sighted = sighted.map_or(ends.low, |on| on.offset + 1);
    let look = Look { edge, unit, partition };
    let mut begin = Begin { sighted, after_sighted, claimed: None };
    if let Some(claimed) = claimed.filter(|at| there.contains(at) && *at >= after_sighted) {
        // The claim is believed only if a fact of this unit stands right there; else a wrong one
        // would hide everything below it.
        match look.scan(claimed, claimed + 1, None).await? {
            Some(_) => begin.claimed = Some(claimed),
            None => {
                tracing::warn!(%unit, claimed, "the facts offset of a hello is not the unit's");
            }
        }
    }
    if ends.high - begin.from() > SCAN_FACTS_MAX {
        look.learn(&begin, there).await?;
    }
    Ok(begin)
}

/// Finds the unit's last durable fact.
///
/// # Errors
/// As [`prepare`].
pub async fn find(edge: &Edge, unit: &UnitId, begin: &Begin) -> Result<Option<OnLog>, OnLogError> {
    let partition = edge.bus.partition_of(unit.as_str());
    let Watermarks { low, high: to } = ends(edge, partition).await?;
    let look = Look { edge, unit, partition };
    if to - begin.from() > SCAN_FACTS_MAX {
        return look.learn(begin, low..to).await;
    }
    // A fact that stands at the place claimed is believed to follow on what came before it.
    let known = begin.sighted.filter(|_| begin.claimed.is_none());
    look.scan(begin.from(), to, known).await
}

async fn ends(edge: &Edge, partition: i32) -> Result<Watermarks, OnLogError> {
    let ends = edge.bus.watermarks(Topic::Facts, partition).await;
    ends.map_err(|source| OnLogError::Begin { partition, source })
}

struct Look<'a> {
    edge: &'a Edge,
    unit: &'a UnitId,
    partition: i32,
}

impl Look<'_> {
    async fn learn(&self, begin: &Begin, there: Range<i64>) -> Result<Option<OnLog>, OnLogError> {
        let (partition, needed) = (self.partition, begin.after_sighted);
        let learned = self.edge.facts_index.learn(self.unit, partition, needed, there).await;
        let learned = learned.map_err(|source| OnLogError::Learn { partition, source })?;
        let known = [learned, begin.sighted].into_iter().flatten();
        Ok(known.max_by_key(|on| on.offset))
    }

    async fn scan(
        &self,
        from: i64,
        to: i64,
        known: Option<OnLog>,
    ) -> Result<Option<OnLog>, OnLogError> {
        let partition = self.partition;
        crate::metrics::SCANS.of(["facts"]).increment(1);
        let scan = self.edge.scans.scan(Topic::Facts, partition, from, to).await;
        let mut scan = scan.map_err(|source| OnLogError::Begin { partition, source })?;
        let mut durable = DurableScan::after(known);
        while let Some(record) = scan.next().await {
            let record = record.map_err(|source| OnLogError::Scan { partition, source })?;
            if record.key.as_deref() != Some(self.unit.as_str()) {
                continue;
            }
            if let Some((seq, id)) = facts_index::number_of(&self.edge.bus, &record).await {
                durable.saw(seq, id, record.offset);
            }
        }
        Ok(durable.last())
    }
}
