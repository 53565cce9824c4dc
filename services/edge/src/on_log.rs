//! What of a unit is on the log, found by a scan of its facts from the last place that is known.

use kit_bus::{BusError, RawRecord, ScanError, Topic};
use kit_event::{UnitId, UnitSeq};
use uuid::Uuid;

use crate::durable::DurableScan;
use crate::edge::Edge;
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
}

/// Finds the unit's last durable fact. `sighted` is what the presence topic knows, `claimed` the
/// offset that the agent was last told; the later of them is where the scan begins.
///
/// # Errors
/// The log could not be read.
pub async fn find(
    edge: &Edge,
    unit: &UnitId,
    sighted: Option<OnLog>,
    claimed: Option<i64>,
) -> Result<Option<OnLog>, OnLogError> {
    let partition = edge.bus.partition_of(unit.as_str());
    let ends = edge.bus.watermarks(Topic::Facts, partition).await;
    let ends = ends.map_err(|source| OnLogError::Begin { partition, source })?;
    let there = ends.low..ends.high;
    let sighted = sighted.filter(|on| there.contains(&on.offset));
    let after_sighted = sighted.map_or(ends.low, |on| on.offset + 1);
    let look = Look { edge, unit, partition, to: ends.high };
    if let Some(claimed) = claimed.filter(|at| there.contains(at) && *at >= after_sighted) {
        // The claim is believed only if a fact of this unit stands right there; else a wrong one
        // would hide everything below it.
        let first = look.first_is_own(claimed).await?;
        if first {
            return look.scan(claimed, None).await;
        }
        tracing::warn!(%unit, claimed, "the facts offset of a hello is not the unit's");
    }
    look.scan(after_sighted, sighted).await
}

struct Look<'a> {
    edge: &'a Edge,
    unit: &'a UnitId,
    partition: i32,
    to: i64,
}

impl Look<'_> {
    async fn first_is_own(&self, at: i64) -> Result<bool, OnLogError> {
        let found = self.scan_range(at, at + 1, None).await?;
        Ok(found.is_some())
    }

    async fn scan(&self, from: i64, known: Option<OnLog>) -> Result<Option<OnLog>, OnLogError> {
        self.scan_range(from, self.to, known).await
    }

    async fn scan_range(
        &self,
        from: i64,
        to: i64,
        known: Option<OnLog>,
    ) -> Result<Option<OnLog>, OnLogError> {
        let partition = self.partition;
        crate::figures::SCANS.of(["facts"]).increment(1);
        let scan = self.edge.scans.scan(Topic::Facts, partition, from, to).await;
        let mut scan = scan.map_err(|source| OnLogError::Begin { partition, source })?;
        let mut durable = DurableScan::after(known);
        while let Some(record) = scan.next().await {
            let record = record.map_err(|source| OnLogError::Scan { partition, source })?;
            if record.key.as_deref() != Some(self.unit.as_str()) {
                continue;
            }
            if let Some((seq, id)) = self.number_of(&record).await {
                durable.saw(seq, id, record.offset);
            }
        }
        Ok(durable.end())
    }

    /// What no reader can read counts for none of them, so it is not durable either. Where the
    /// registry is away nobody knows, and the headers are believed.
    async fn number_of(&self, record: &RawRecord) -> Option<(UnitSeq, Uuid)> {
        match self.edge.bus.open_fact(record).await {
            Ok(fact) => Some((fact.seq, fact.id)),
            Err(error) if error.is_worth_waiting() => {
                Some((record.unit_seq()?, record.ce_id()?.parse().ok()?))
            }
            Err(_) => None,
        }
    }
}
