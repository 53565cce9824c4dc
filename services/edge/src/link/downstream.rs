//! What goes down to one unit: its place at the tail, the order in which its records are sent, and
//! how far a ping may move its cursor.

use std::sync::Arc;

use kit_bus::RawRecord;
use tokio::time::Instant;

use crate::backlog::log_record;
use crate::delivery_queue::{DeliveryQueue, LogRecord, Outgoing, Want, Window};
use crate::tail::Subscription;

/// The tail's place is not on the log any more; only a new connection finds the log again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlaceLost;

/// One unit's requests on their way down.
pub(super) struct Downstream {
    delivery_queue: DeliveryQueue<Arc<RawRecord>>,
    subscription: Option<Subscription>,
    /// Counts how often the log was found again; what an earlier round fetched is of no use.
    round: u32,
    /// A record has left the delivery queue and is not sent yet.
    opening: bool,
}

impl Downstream {
    /// For a unit that is done with everything below `next`.
    pub(super) fn new(next: i64) -> Self {
        Self {
            delivery_queue: DeliveryQueue::new(next),
            subscription: None,
            round: 0,
            opening: false,
        }
    }

    /// What is to be fetched now, and in which round.
    pub(super) fn want(&mut self, credits: usize) -> Option<(u32, Want)> {
        self.delivery_queue.want(credits).map(|want| (self.round, want))
    }

    /// A place at the tail that was fetched in `round`.
    pub(super) fn subscribed(&mut self, round: u32, subscription: Subscription) {
        if self.is_current(round) {
            self.delivery_queue.subscribed(subscription.head);
            self.subscription = Some(subscription);
        }
    }

    /// A stretch of the log that was fetched in `round`.
    pub(super) fn scanned(&mut self, round: u32, window: Window<Arc<RawRecord>>) {
        if self.is_current(round) {
            self.delivery_queue.scanned(window);
        }
    }

    /// Whether what `round` fetched is still of use.
    pub(super) fn is_current(&self, round: u32) -> bool {
        self.round == round
    }

    /// The next record to be opened and sent; one at a time, until [`Downstream::opened`].
    pub(super) fn next_to_open(&mut self, credits: usize) -> Option<Outgoing<Arc<RawRecord>>> {
        if self.opening {
            return None;
        }
        let next = self.delivery_queue.pop(credits)?;
        self.opening = true;
        Some(next)
    }

    /// The record that was being opened is sent, or is not to be sent.
    pub(super) fn opened(&mut self) {
        self.opening = false;
    }

    /// Waits for the tail's next record; none when the tail cut the link off.
    pub(super) async fn next_record(&mut self) -> Option<Arc<RawRecord>> {
        match &mut self.subscription {
            Some(subscription) => subscription.records.recv().await,
            None => std::future::pending().await,
        }
    }

    /// Takes what [`Downstream::next_record`] gave.
    pub(super) fn take(&mut self, record: Option<Arc<RawRecord>>) -> Result<(), PlaceLost> {
        if let Some(record) = record {
            self.delivery_queue.live(received(record));
            self.drain_live();
            return Ok(());
        }
        if self.subscription.take().is_some_and(|place| place.is_lost()) {
            return Err(PlaceLost);
        }
        self.round += 1;
        self.delivery_queue.cut_off();
        Ok(())
    }

    /// Takes what the tail has put there already.
    fn drain_live(&mut self) {
        while let Some(record) =
            self.subscription.as_mut().and_then(|place| place.records.try_recv().ok())
        {
            self.delivery_queue.live(received(record));
        }
    }

    /// The position below which nothing concerns the unit that it was not sent; `told` is the
    /// greatest that it knows of already.
    pub(super) fn head(&mut self, told: i64) -> i64 {
        // The tail's place is asked for first: what it gave below that is in the queue by then.
        let tail_next = self.subscription.as_ref().and_then(Subscription::tail_next);
        self.drain_live();
        match tail_next {
            Some(next) if self.delivery_queue.is_settled() && !self.opening => told.max(next),
            Some(_) | None => told,
        }
    }
}

/// A record that the tail gives now.
fn received(record: Arc<RawRecord>) -> LogRecord<Arc<RawRecord>> {
    LogRecord { received_at: Some(Instant::now()), ..log_record(record) }
}

#[cfg(test)]
#[path = "downstream_tests.rs"]
mod tests;
