//! The readers of one domain, and how a batch is gathered from them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use kit_bus::{Bus, BusError, Polled, Reader, Topic};
use kit_store::Projection;
use tokio::time::Instant;

use crate::error::SessionError;
use crate::facts::{Facts, Met, requests_options};
use crate::feed::{Feed, Next};
use crate::lazy_record::LazyRecord;
use crate::spacing::Spacing;
use crate::table_writer::Positions;

/// Records of one batch. UNNEST gains little above a thousand rows, and a longer transaction makes
/// the first of them wait.
const BATCH_RECORDS_MAX: usize = 1_000;
/// The same while catching up, when nobody waits for the first: a domain that reads little of what
/// passes pays its transaction four times less often.
const CATCHING_UP_RECORDS_MAX: usize = 4_000;
/// Bytes of one batch: what is held in memory for each domain, about three times over.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a batch waits for more while catching up: the log gives what it has in chunks, with
/// moments between them.
const CATCHING_UP_GATHER_MS: u64 = 50;
/// What one batch brings.
#[derive(Default)]
pub(crate) struct Inbatch {
    pub facts: Vec<Arc<LazyRecord>>,
    pub requests: Vec<Arc<LazyRecord>>,
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

    fn is_full(&self, is_catching_up: bool) -> bool {
        let records_max = if is_catching_up { CATCHING_UP_RECORDS_MAX } else { BATCH_RECORDS_MAX };
        self.facts.len() + self.requests.len() >= records_max || self.bytes >= BATCH_BYTES_MAX
    }
}

/// Where the records of one domain come from: its facts, and a reader of its own for requests.
pub(crate) struct BatchReader {
    domain: &'static str,
    projection: &'static dyn Projection,
    facts: Facts,
    requests: Option<Reader>,
    wanted: usize,
    at_end: HashSet<(Topic, i32)>,
    /// What was taken off the readers and not yet given out. It stands here and not in a local, so
    /// that whoever drops [`BatchReader::gather`] half-way loses no record.
    pending: Inbatch,
    /// How promptly batches are given out.
    spacing: Spacing,
}

impl BatchReader {
    /// Begins where `offsets` say, and shares the facts with the others of `feed`.
    pub async fn assigned(
        bus: &Bus,
        projection: &'static dyn Projection,
        name: &str,
        feed: Option<Feed>,
        offsets: &Positions,
    ) -> Result<Self, SessionError> {
        let domain = projection.schema();
        let facts = Facts::begin(bus, domain, name, feed, starts(offsets, Topic::Facts));
        let asked = starts(offsets, Topic::Requests);
        let requests = if asked.is_empty() {
            None
        } else {
            let reader = bus.reader(&format!("projector-{name}-requests"), requests_options())?;
            reader.assign(Topic::Requests, asked.into_iter().collect()).await?;
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
            spacing: Spacing::new(Instant::now()),
        })
    }

    /// Begins anew where `offsets` say; what was fetched ahead is forgotten.
    pub async fn reassign(&mut self, offsets: &Positions) -> Result<(), SessionError> {
        self.facts.begin_again(starts(offsets, Topic::Facts)).await?;
        if let Some(requests) = &self.requests {
            let asked = starts(offsets, Topic::Requests);
            requests.assign(Topic::Requests, asked.into_iter().collect()).await?;
        }
        self.at_end.clear();
        self.pending = Inbatch::default();
        Ok(())
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
        while !self.pending.is_full(is_catching_up) {
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
        self.spacing.given(Instant::now(), self.pending.concerns);
        Ok(std::mem::take(&mut self.pending))
    }

    /// Until when a batch begun at `begun` waits for more.
    fn until(&self, begun: Instant, is_catching_up: bool) -> Instant {
        if is_catching_up {
            return begun + Duration::from_millis(CATCHING_UP_GATHER_MS);
        }
        self.spacing.until(begun, self.pending.concerns)
    }

    async fn next(&mut self) -> Result<Came, SessionError> {
        match &mut self.requests {
            None => self.facts.next().await.map(Came::Fact),
            Some(requests) => tokio::select! {
                met = self.facts.next() => met.map(Came::Fact),
                polled = requests.next() => {
                    polled.map(Came::Request).ok_or(SessionError::ReaderEnded)
                }
            },
        }
    }

    fn take(&mut self, came: Result<Came, SessionError>) -> Result<(), SessionError> {
        match came? {
            Came::Fact(Met::LazyRecord(lazy_record)) => self.add(lazy_record),
            Came::Request(Polled::Record(record)) => self.add(LazyRecord::of(record)),
            Came::Fact(Met::End(partition, _)) => self.end((Topic::Facts, partition)),
            Came::Request(Polled::EndOfPartition { topic, partition, .. }) => {
                self.end((topic, partition));
            }
            Came::Request(Polled::OutOfRange { topic, partition, offset, low, high }) => {
                return Err(SessionError::OutOfRange { topic, partition, offset, low, high });
            }
            Came::Fact(Met::Failed(error)) | Came::Request(Polled::Failed(error)) => {
                self.failed(&error);
            }
        }
        Ok(())
    }

    fn add(&mut self, lazy_record: Arc<LazyRecord>) {
        let (record, batch) = (&lazy_record.record, &mut self.pending);
        let place = (record.topic, record.partition);
        self.at_end.remove(&place);
        batch.ends.retain(|end| *end != place);
        batch.bytes += record.payload.as_ref().map_or(0, Vec::len);
        let is_request = record.topic == Topic::Requests;
        // A record without a type is a fault to be told at once.
        batch.concerns |=
            is_request || record.ce_type().is_none_or(|name| self.projection.reads(name));
        if is_request {
            batch.requests.push(lazy_record);
        } else {
            batch.facts.push(lazy_record);
        }
    }

    fn end(&mut self, place: (Topic, i32)) {
        self.at_end.insert(place);
        self.pending.ends.push(place);
    }

    /// The client goes on by itself, and the reader ends where it cannot.
    fn failed(&self, error: &BusError) {
        let error: &dyn std::error::Error = error;
        tracing::warn!(domain = self.domain, error, "reading the log failed; it goes on");
    }
}

/// What came from either side.
enum Came {
    Fact(Met),
    Request(Polled),
}

fn starts(offsets: &Positions, topic: Topic) -> Next {
    let own = offsets.iter().filter(|((of, _), _)| *of == topic);
    own.map(|((_, partition), next)| (*partition, *next)).collect()
}
