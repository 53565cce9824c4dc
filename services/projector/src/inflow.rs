//! The readers of one domain, and how a batch is gathered from them.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::FutureExt as _;
use kit_bus::{Bus, Polled, RawRecord, Reader, ReaderOptions, Topic};
use kit_store::Projection;
use tokio::time::Instant;

use crate::error::SessionError;

/// Records of one batch. UNNEST gains little above a thousand rows, and a longer transaction makes
/// the first of them wait.
const BATCH_RECORDS_MAX: usize = 1_000;
/// Bytes of one batch: what is held in memory for each domain, about three times over.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a batch waits for more. A booking is a request and two facts within a millisecond or
/// two: one commit for all of them costs a third of three, and on a busy machine those commits are
/// what the next booking waits for.
const BATCH_GATHER_MS: u64 = 3;
/// Time from one live batch to the next: what comes after a quiet moment is written at once, while
/// under load a commit takes whatever came in these milliseconds.
const BATCH_SPACING_MS: u64 = 25;
/// The same where nothing in the batch is for this domain to read: it only moves the numbers on,
/// which nobody looks at but a reader who asks this domain for another domain's write.
const PASSING_SPACING_MS: u64 = 100;
/// Records between the log's polling thread and us: the next batch while this one is committed.
const CHANNEL_RECORDS: usize = 2 * BATCH_RECORDS_MAX;
/// How long the broker holds an idle fetch; a record ends it at once.
const FETCH_WAIT_MS: u32 = 500;

/// What one batch brings.
#[derive(Default)]
pub(crate) struct Inbatch {
    pub facts: Vec<RawRecord>,
    pub requests: Vec<RawRecord>,
    /// Partitions whose end was reached with the last record of the batch.
    pub ends: Vec<(Topic, i32)>,
    bytes: usize,
    /// Whether anything in it is for this domain to read.
    concerns: bool,
}

impl Inbatch {
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.requests.is_empty()
    }

    fn is_full(&self) -> bool {
        self.facts.len() + self.requests.len() >= BATCH_RECORDS_MAX || self.bytes >= BATCH_BYTES_MAX
    }
}

/// One reader for each topic: one that tells the ends of partitions reads one topic only.
pub(crate) struct Inflow {
    domain: &'static str,
    projection: &'static dyn Projection,
    facts: Reader,
    requests: Option<Reader>,
    wanted: usize,
    at_end: HashSet<(Topic, i32)>,
    /// What was taken off the readers and not yet given out. It stands here and not in a local, so
    /// that whoever drops [`Inflow::gather`] half-way loses no record.
    pending: Inbatch,
    /// When the last batch was given out.
    given_at: Instant,
}

impl Inflow {
    /// Readers that begin where `offsets` say.
    pub async fn assigned(
        bus: &Bus,
        projection: &'static dyn Projection,
        offsets: &HashMap<(Topic, i32), i64>,
    ) -> Result<Self, SessionError> {
        let domain = projection.schema();
        let options = ReaderOptions {
            fetch_wait_ms: FETCH_WAIT_MS,
            channel_records: CHANNEL_RECORDS,
            end_of_partition: true,
        };
        let starts = |topic: Topic| -> Vec<(i32, i64)> {
            let own = offsets.iter().filter(|((of, _), _)| *of == topic);
            own.map(|((_, partition), next)| (*partition, *next)).collect()
        };
        let facts = bus.reader(&format!("projector-{domain}"), options)?;
        facts.assign(Topic::Facts, starts(Topic::Facts)).await?;
        let asked = starts(Topic::Requests);
        let requests = if asked.is_empty() {
            None
        } else {
            let reader = bus.reader(&format!("projector-{domain}-requests"), options)?;
            reader.assign(Topic::Requests, asked).await?;
            Some(reader)
        };
        Ok(Self {
            domain,
            projection,
            facts,
            requests,
            wanted: offsets.len(),
            at_end: HashSet::new(),
            pending: Inbatch::default(),
            given_at: Instant::now(),
        })
    }

    /// Whether every partition was read to its end, and nothing has come since.
    pub fn is_at_end(&self) -> bool {
        self.at_end.len() == self.wanted
    }

    /// Whether that partition of the facts was read to its end, and nothing has come since.
    pub fn is_partition_at_end(&self, partition: i32) -> bool {
        self.at_end.contains(&(Topic::Facts, partition))
    }

    /// Waits for something, then a little for more, up to the bounds of a batch; a live reader
    /// waits longer while nothing concerns its domain. Safe to drop and call again.
    pub async fn gather(&mut self, is_catching_up: bool) -> Result<Inbatch, SessionError> {
        if self.pending.is_empty() && self.pending.ends.is_empty() {
            let first = self.next().await;
            self.take(first)?;
        }
        let begun = Instant::now();
        while !self.pending.is_full() {
            let more = match self.next().now_or_never() {
                Some(polled) => Some(polled),
                // The ends themselves are waited for by nobody else.
                None if self.pending.is_empty() || (is_catching_up && self.is_at_end()) => None,
                None => {
                    let until = self.until(begun, is_catching_up);
                    tokio::time::timeout_at(until, self.next()).await.ok()
                }
            };
            let Some(polled) = more else { break };
            self.take(polled)?;
        }
        self.given_at = Instant::now();
        Ok(std::mem::take(&mut self.pending))
    }

    /// Until when a batch begun at `begun` waits for more.
    fn until(&self, begun: Instant, is_catching_up: bool) -> Instant {
        let gathered = begun + Duration::from_millis(BATCH_GATHER_MS);
        if is_catching_up {
            return gathered;
        }
        let spacing_ms = if self.pending.concerns { BATCH_SPACING_MS } else { PASSING_SPACING_MS };
        gathered.max(self.given_at + Duration::from_millis(spacing_ms))
    }

    async fn next(&mut self) -> Option<Polled> {
        match &mut self.requests {
            None => self.facts.next().await,
            Some(requests) => tokio::select! {
                polled = self.facts.next() => polled,
                polled = requests.next() => polled,
            },
        }
    }

    fn take(&mut self, polled: Option<Polled>) -> Result<(), SessionError> {
        let batch = &mut self.pending;
        match polled.ok_or(SessionError::ReaderEnded)? {
            Polled::Record(record) => {
                self.at_end.remove(&(record.topic, record.partition));
                batch.ends.retain(|end| *end != (record.topic, record.partition));
                batch.bytes += record.payload.as_ref().map_or(0, Vec::len);
                // A record without a type is a fault to be told at once.
                batch.concerns |= record.topic == Topic::Requests
                    || record.ce_type().is_none_or(|name| self.projection.reads(name));
                match record.topic {
                    Topic::Facts => batch.facts.push(record),
                    Topic::Requests => batch.requests.push(record),
                    // No reader of ours is assigned any of these.
                    Topic::Replies | Topic::Presence | Topic::Parked => {}
                }
            }
            Polled::EndOfPartition { topic, partition, .. } => {
                self.at_end.insert((topic, partition));
                batch.ends.push((topic, partition));
            }
            Polled::OutOfRange { topic, partition, offset, low, high } => {
                return Err(SessionError::OutOfRange { topic, partition, offset, low, high });
            }
            // The client goes on by itself, and the reader ends where it cannot.
            Polled::Failed(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(domain = self.domain, error, "reading the log failed; it goes on");
            }
        }
        Ok(())
    }
}
