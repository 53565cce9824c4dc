//! Scans: a stretch of one partition, read from one offset to another, and ended.
//!
//! Catching up and finding what is durable are scans. Connecting a consumer takes far longer than
//! most of them, so readers stay connected between scans, with every topic's metadata known, and
//! are only given their partition: about a millisecond to the first record.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::bus::Bus;
use crate::config::Topic;
use crate::error::BusError;
use crate::reader::{Polled, Reader, ReaderOptions};
use crate::record::RawRecord;

/// A scan that hears nothing for so long has lost its broker: even an empty partition tells its end
/// within milliseconds.
pub const SILENCE_MS_MAX: u64 = 10_000;

/// How a scan reads. A scan never waits for what is not there yet, so the broker holds an empty
/// fetch for one millisecond only: the next scan on the same reader waits behind it (12 ms where it
/// is 10). The channel is small because many scans may run and each is read at once.
const OPTIONS: ReaderOptions = ReaderOptions {
    fetch_wait_ms: 1,
    fetch_bytes_min: 1,
    channel_records: 64,
    end_of_partition: true,
};

/// Why a scan ended early.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ScanError {
    /// The place it should begin at is not there.
    #[error("{topic:?} partition {partition} holds {low}..{high}, not {offset}")]
    OutOfRange {
        /// Of which topic.
        topic: Topic,
        /// Of which partition.
        partition: i32,
        /// The place asked for.
        offset: i64,
        /// The first place that is there.
        low: i64,
        /// The next place that will be written.
        high: i64,
    },
    /// Reading failed.
    #[error("scanning {topic:?} partition {partition}")]
    Read {
        /// Of which topic.
        topic: Topic,
        /// Of which partition.
        partition: i32,
        /// Why.
        #[source]
        source: BusError,
    },
    /// The broker said nothing for [`SILENCE_MS_MAX`].
    #[error("scanning {topic:?} partition {partition}: the broker is silent")]
    Silent {
        /// Of which topic.
        topic: Topic,
        /// Of which partition.
        partition: i32,
    },
}

/// Readers that wait for scans; a clone is the same pool.
#[derive(Clone)]
pub struct Scans {
    pool: Arc<Pool>,
}

struct Pool {
    bus: Bus,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Reader>>,
}

impl Pool {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> Result<Reader, BusError> {
        self.bus.reader("scan", OPTIONS)
    }
}

impl Scans {
    pub(crate) fn new(bus: Bus, permits: usize) -> Self {
        let permits = Arc::new(Semaphore::new(permits.max(1)));
        Self { pool: Arc::new(Pool { bus, permits, idle: Mutex::default() }) }
    }

    /// Connects `count` readers ahead of the first scans.
    ///
    /// # Errors
    /// A consumer could not be made.
    pub async fn warm(&self, count: usize) -> Result<(), BusError> {
        for _ in 0..count {
            let reader = self.pool.reader()?;
            reader.warm().await;
            self.pool.idle().push(reader);
        }
        Ok(())
    }

    /// Begins to read `from..to` of a partition; waits while as many scans run as may.
    ///
    /// # Errors
    /// The partition does not exist, or could not be assigned.
    pub async fn scan(
        &self,
        topic: Topic,
        partition: i32,
        from: i64,
        to: i64,
    ) -> Result<Scan, BusError> {
        let permit = self.pool.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|_| BusError::Deadline { what: "waiting for a scan" })?;
        let mut scan = Scan {
            pool: self.pool.clone(),
            reader: None,
            topic,
            partition,
            next: from,
            to,
            permit: Some(permit),
        };
        if from < to {
            let idle = self.pool.idle().pop();
            let reader = idle.map_or_else(|| self.pool.reader(), Ok)?;
            reader.assign(topic, vec![(partition, from)]).await?;
            scan.reader = Some(reader);
        } else {
            scan.permit = None;
        }
        Ok(scan)
    }
}

/// A running scan. Dropping it gives its reader back.
pub struct Scan {
    pool: Arc<Pool>,
    /// Present while there is more to read.
    reader: Option<Reader>,
    topic: Topic,
    partition: i32,
    next: i64,
    to: i64,
    /// Given back at the end of the stretch, not only when the scan is dropped.
    permit: Option<OwnedSemaphorePermit>,
}

impl Scan {
    /// The next record; none at the end of the stretch. A log that ends earlier is waited for: a
    /// broker that has just taken a partition over may not yet know all that was confirmed.
    pub async fn next(&mut self) -> Option<Result<RawRecord, ScanError>> {
        let (topic, partition) = (self.topic, self.partition);
        let silent_at = Instant::now() + Duration::from_millis(SILENCE_MS_MAX);
        let polled = loop {
            let reader = self.reader.as_mut()?;
            let polled = tokio::time::timeout_at(silent_at, reader.next()).await;
            match polled {
                Ok(Some(Polled::EndOfPartition { next_offset, .. })) if next_offset < self.to => {}
                polled => break polled,
            }
        };
        match polled {
            Ok(Some(Polled::Record(record))) if record.offset < self.to => {
                self.next = record.offset + 1;
                if self.next >= self.to {
                    self.give_back();
                }
                Some(Ok(record))
            }
            Ok(Some(Polled::Record(_) | Polled::EndOfPartition { .. })) => {
                self.give_back();
                None
            }
            Ok(Some(Polled::OutOfRange { offset, low, high, .. })) => {
                self.give_back();
                Some(Err(ScanError::OutOfRange { topic, partition, offset, low, high }))
            }
            Ok(Some(Polled::Failed(source))) => {
                self.give_up();
                Some(Err(ScanError::Read { topic, partition, source }))
            }
            Ok(None) | Err(_) => {
                self.give_up();
                Some(Err(ScanError::Silent { topic, partition }))
            }
        }
    }

    /// The offset after the last record that was given.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.next
    }

    fn give_back(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.unassign_now(self.topic, self.partition);
            self.pool.idle().push(reader);
        }
        self.permit = None;
    }

    /// A reader that failed is not used again.
    fn give_up(&mut self) {
        self.reader = None;
        self.permit = None;
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        self.give_back();
    }
}
