//! The drain: from the outbox to numbered facts.
//!
//! Facts, shadow and the set of drained outbox ids change in one transaction of the spool; only
//! then are the rows deleted from the outbox. A crash between the two is healed by the set: its
//! rows are deleted and not published again. There is no high watermark, so nothing can fall below
//! one.

use kit_link::FactFrame;

use crate::books::Books;
use crate::error::StationError;
use crate::failpoints::Step;
use crate::outbox::{self, Captured, Change};
use crate::publish::{Publisher, Source};
use crate::spool::{Cause, SpoolTx};
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

impl Books {
    /// Publishes up to [`DRAINED_AT_ONCE`] outbox rows, none above `up_to`.
    ///
    /// A file is busy or refuses, or the clinic database went back.
    pub fn drain(&mut self, up_to: i64) -> Result<Drained, StationError> {
        let rows = {
            let tx = self.clinic.begin_reading()?;
            self.check_mark(&tx)?;
            outbox::read(&tx, &self.drained, up_to, DRAINED_AT_ONCE)?
        };
        self.drain_captured(&rows)
    }

    /// Publishes rows that were read from the outbox.
    ///
    /// # Errors
    /// The spool refuses.
    pub fn drain_captured(&mut self, rows: &[Captured]) -> Result<Drained, StationError> {
        self.setup.failpoints.pass(Step::DrainRead)?;
        if rows.is_empty() {
            return Ok(Drained::default());
        }
        let more = rows.len() == DRAINED_AT_ONCE;
        let facts = self.record(rows, |_, _| Ok(Vec::new()))?;
        Ok(Drained { facts, more })
    }

    /// Publishes captured rows, and what `beside` adds, in one transaction of the spool.
    pub(crate) fn record(
        &mut self,
        rows: &[Captured],
        beside: impl FnOnce(&Self, &SpoolTx<'_>) -> Result<Vec<FactFrame>, StationError>,
    ) -> Result<Vec<FactFrame>, StationError> {
        let tx = self.spool.begin()?;
        let mut facts = Vec::with_capacity(rows.len());
        for row in rows {
            let mut step = traced::capturing(&self.setup.unit, row);
            let numbered = self.publish_captured(&tx, row, step.handed_on())?;
            traced::numbered(&mut step, &numbered);
            facts.extend(numbered);
            tx.add_drained(row.id)?;
        }
        facts.extend(beside(self, &tx)?);
        let turned = self.catch_up(&tx)?;
        self.setup.failpoints.pass(Step::SpoolBeforeCommit)?;
        tx.commit()?;
        self.setup.failpoints.pass(Step::SpoolAfterCommit)?;
        self.caught_up(turned);
        self.drained.extend(rows.iter().map(|row| row.id));
        Ok(facts)
    }

    fn publish_captured(
        &self,
        tx: &SpoolTx<'_>,
        row: &Captured,
        traceparent: Option<String>,
    ) -> Result<Vec<FactFrame>, StationError> {
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
            Change::Deleted => {
                return publisher.publish(table, &row.key, None, Source::MadeOrRemoved, &cause);
            }
        };
        let image = self.completed(table, &row.key, image)?;
        let after = image.and_then(|image| publisher.reader.row_of(table, &row.key, &image));
        // A row that lost its id, or that the practice marked as gone, ends what was said of it.
        publisher.publish(table, &row.key, after, source, &cause)
    }
}
