//! The drain: from the outbox to numbered facts.
//!
//! Rows are read, then brought onto the disk with everything else that was committed, then facts,
//! last published state and the set of drained outbox ids change in one transaction of the spool.
//! So a fact never speaks of what a power cut takes back, and nothing is written into the clinic
//! database: the rows leave the outbox later. There is no high watermark, so nothing can fall below
//! one.

use kit_link::FactFrame;

use crate::error::WorkerError;
use crate::failpoints::Step;
use crate::generations;
use crate::outbox::{Captured, Change};
use crate::present::Batch;
use crate::publish::{Publisher, Source};
use crate::spool::{Cause, SpoolTx};
use crate::stores::Stores;
use crate::traced;

/// Outbox rows in one transaction of the spool: some ten milliseconds of work, so that a request
/// that arrives meanwhile waits no longer.
pub const DRAINED_AT_ONCE: usize = 500;

/// What one pass of the drain gave.
#[derive(Debug, Default)]
pub struct Drained {
    /// The facts, in order.
    pub facts: Vec<FactFrame>,
    /// Whether the outbox may hold more.
    pub more: bool,
}

impl Stores {
    /// Publishes what one reading of the outbox gives.
    ///
    /// # Errors
    /// A file is busy or refuses, or the clinic database went back.
    pub fn drain(&mut self) -> Result<Drained, WorkerError> {
        let batch = self.clinic.read(|conn| {
            self.check_mark(conn)?;
            self.read_outbox(conn)
        })?;
        if !batch.is_empty() {
            self.clinic.flush()?;
        }
        self.drain_batch(&batch)
    }

    /// Publishes what was read from the outbox and is on the disk.
    ///
    /// # Errors
    /// The spool refuses.
    pub fn drain_batch(&mut self, batch: &Batch) -> Result<Drained, WorkerError> {
        self.setup.failpoints.pass(Step::DrainRead)?;
        if batch.is_empty() && !self.restore_markers.wants_turning() {
            return Ok(Drained::default());
        }
        let facts = self.record(batch, |_, _| Ok(Vec::new()))?;
        Ok(Drained { facts, more: batch.more })
    }

    /// Publishes captured rows, and what `beside` adds, in one transaction of the spool.
    pub(crate) fn record(
        &mut self,
        batch: &Batch,
        beside: impl FnOnce(&Self, &SpoolTx<'_>) -> Result<Vec<FactFrame>, WorkerError>,
    ) -> Result<Vec<FactFrame>, WorkerError> {
        let tx = self.spool.begin()?;
        let mut facts = Vec::with_capacity(batch.rows.len());
        for row in batch.rows.iter().chain(&batch.standing) {
            let mut step = traced::capturing(&self.setup.unit, row);
            let numbered = self.publish_captured(&tx, row, step.handed_on())?;
            traced::numbered(&mut step, &numbered);
            facts.extend(numbered);
        }
        facts.extend(beside(self, &tx)?);
        let draws_salt = self.salt_is_due && !batch.more;
        if draws_salt {
            generations::draw_salt(&tx)?;
        }
        let known = self.known_after(&batch.rows);
        known.store(&tx)?;
        self.setup.failpoints.pass(Step::SpoolBeforeCommit)?;
        tx.commit()?;
        self.setup.failpoints.pass(Step::SpoolAfterCommit)?;
        self.now_known(known);
        self.salt_is_due &= !draws_salt;
        if self.unsure.recorded(batch) {
            self.compare()?;
        }
        Ok(facts)
    }

    fn publish_captured(
        &self,
        tx: &SpoolTx<'_>,
        row: &Captured,
        traceparent: Option<String>,
    ) -> Result<Vec<FactFrame>, WorkerError> {
        let Some(table) = self.mapping.by_name(&row.table) else { return Ok(Vec::new()) };
        let at = self.setup.clock.of_machine(row.at_ms);
        let publisher = Publisher { tx, reader: self.reader(), at };
        let cause = Cause {
            request_id: row.request_id.as_deref().and_then(|id| id.parse().ok()),
            traceparent,
        };
        let (image, source) = match &row.change {
            Change::Inserted { image } => (image, Source::MadeOrRemoved),
            Change::Updated { image } => (image, Source::Changed),
            Change::Deleted => return publisher.removed(table, &row.key, &cause),
        };
        let image = self.completed(table, row, image)?;
        let by_request = source == Source::MadeOrRemoved && cause.request_id.is_some();
        let (mut facts, after) = match image {
            Some(image) => publisher.row(table, &row.key, &image, source, by_request)?,
            None => (Vec::new(), None),
        };
        // A row that lost its id, or that the practice marked as gone, ends what was said of it.
        facts.extend(publisher.publish(table, &row.key, after, source, &cause)?);
        Ok(facts)
    }
}
