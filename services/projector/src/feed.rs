//! One reader of `unit.facts` for all domains of a process.
//!
//! A record is fetched once and handed to every domain as the same [`LazyRecord`], which is opened
//! at most once. Each domain has a bounded queue. One whose queue stays full holds the others for a
//! moment; when its patience is used up it is let go: its queue ends, it reads on by itself from
//! where it stands, and joins again when it has caught up. So a slow domain costs the others little
//! and itself a second reader for a while, and nobody loses anything, because a domain's position
//! is what its tables say and never what the feed has handed out.
//!
//! | the feed is | until |
//! |---|---|
//! | Gathering | every domain of the process has said where it stands, or a second has passed |
//! | Streaming | its reader fails; those far behind the others were told to come later |
//! | Idle | somebody asks to join again |

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kit_bus::{Bus, BusError, Polled, Reader, Topic};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::facts::reader_options;
use crate::lazy_record::LazyRecord;

/// How long the first domains wait for the others: a schema's migration takes less.
const GATHER_MS: u64 = 1_000;
/// Records between a domain and the feed that are read once more rather than apart: some seconds of
/// catching up.
const APART_RECORDS_MAX: i64 = 50_000;
/// Records of one chunk. Under load a chunk takes what came while the one before was handed out.
const CHUNK_RECORDS: usize = 256;
/// Bytes of one chunk; with the queue's length this bounds what the slowest domain keeps in memory.
const CHUNK_BYTES: usize = 1024 * 1024;
/// Chunks that wait for a domain: more than a commit's time of full load.
const QUEUE_CHUNKS: usize = 32;
/// How long a domain may hold the others, once they are live.
const PATIENCE_LIVE_MS: u64 = 500;
/// The same while all of them catch up: then nobody waits for the last record, and a batch of the
/// slowest takes less.
const PATIENCE_CATCHING_UP_MS: u64 = 10_000;
/// What a domain has used of its patience comes back so many times as slowly as it passed.
const PATIENCE_BACK: u32 = 10;
/// Questions that wait for the feed: each domain has one at most.
const ASKS: usize = 32;

/// The next offset of each partition of the facts.
pub(crate) type Next = HashMap<i32, i64>;

/// What came between two looks at the queues.
#[derive(Default)]
pub(crate) struct Chunk {
    pub lazy_records: Vec<Arc<LazyRecord>>,
    /// Partitions whose end was reached with the chunk, and the offset that comes next there.
    pub ends: Next,
}

/// A place in the feed.
pub(crate) struct Seat {
    pub chunks: mpsc::Receiver<Arc<Chunk>>,
    /// The first offset of each partition that comes out of it.
    pub from: Next,
    /// Partitions that stood at their end as it was given.
    pub ends: Next,
    /// Whether it was given before the feed had read anything.
    pub is_first: bool,
}

pub(crate) struct Ask {
    domain: &'static str,
    at: Next,
    answer: oneshot::Sender<Option<Seat>>,
}

/// The way to the feed.
#[derive(Clone)]
pub(crate) struct Feed {
    asks: mpsc::Sender<Ask>,
    expected: Arc<AtomicUsize>,
    /// Taken by whoever runs it.
    asked: Arc<Mutex<Option<mpsc::Receiver<Ask>>>>,
}

impl Default for Feed {
    fn default() -> Self {
        let (asks, asked) = mpsc::channel(ASKS);
        Self { asks, expected: Arc::default(), asked: Arc::new(Mutex::new(Some(asked))) }
    }
}

impl Feed {
    /// One more domain will join. What runs the feed, for the first of them.
    pub fn expect(&self, bus: &Bus) -> Option<Stream> {
        self.expected.fetch_add(1, Ordering::SeqCst);
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Stream {
            bus: bus.clone(),
            asked,
            expected: self.expected.clone(),
            seats: Vec::new(),
            next: Next::new(),
            ends: Next::new(),
            is_live: false,
        })
    }

    /// Asks for a place for a domain that stands at `at`. The answer is none where it is far from
    /// the others; there is no answer where no feed runs.
    pub fn ask(&self, domain: &'static str, at: Next) -> Option<oneshot::Receiver<Option<Seat>>> {
        let (answer, answered) = oneshot::channel();
        self.asks.try_send(Ask { domain, at, answer }).ok()?;
        Some(answered)
    }
}

/// A domain that reads with the others.
struct Taken {
    domain: &'static str,
    chunks: mpsc::Sender<Arc<Chunk>>,
    patience: Duration,
    since: Instant,
}

/// The feed itself.
pub(crate) struct Stream {
    bus: Bus,
    asked: mpsc::Receiver<Ask>,
    expected: Arc<AtomicUsize>,
    seats: Vec<Taken>,
    next: Next,
    ends: Next,
    /// Whether every partition was at its end once.
    is_live: bool,
}

impl Stream {
    /// Runs until `soft`.
    pub async fn run(mut self, soft: &CancellationToken) {
        let mut first = self.gather(soft).await;
        while !soft.is_cancelled() {
            let reader = match self.begin(&first).await {
                Ok(reader) => reader,
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "the shared reader did not begin; domains read alone");
                    None
                }
            };
            for ask in std::mem::take(&mut first) {
                self.seat(ask, reader.is_some(), true);
            }
            if let Some(reader) = reader {
                self.stream(reader, soft).await;
            }
            // Whoever had a seat reads on alone, meets the fault itself if it is one, and asks
            // again.
            self.seats.clear();
            tokio::select! {
                () = soft.cancelled() => {}
                ask = self.asked.recv() => first.extend(ask),
            }
        }
    }

    async fn gather(&mut self, soft: &CancellationToken) -> Vec<Ask> {
        let mut asks = Vec::new();
        let mut until = Instant::now() + Duration::from_secs(u64::from(u32::MAX));
        while asks.len() < self.expected.load(Ordering::SeqCst) {
            tokio::select! {
                () = soft.cancelled() => break,
                () = tokio::time::sleep_until(until) => break,
                ask = self.asked.recv() => {
                    asks.extend(ask);
                    until = until.min(Instant::now() + Duration::from_millis(GATHER_MS));
                }
            }
        }
        asks
    }

    /// Begins where the last of those stands that are near the first.
    async fn begin(&mut self, asks: &[Ask]) -> Result<Option<Reader>, BusError> {
        let mut front = Next::new();
        for (partition, at) in asks.iter().flat_map(|ask| &ask.at) {
            let furthest = front.entry(*partition).or_insert(*at);
            *furthest = (*furthest).max(*at);
        }
        if front.is_empty() {
            return Ok(None);
        }
        self.next = front.clone();
        for ask in asks.iter().filter(|ask| is_near(&ask.at, &front)) {
            for (partition, at) in &ask.at {
                let next = self.next.entry(*partition).or_insert(*at);
                *next = (*next).min(*at);
            }
        }
        (self.ends, self.is_live) = (Next::new(), false);
        let reader = self.bus.reader("projector", reader_options())?;
        let starts = self.next.iter().map(|(partition, next)| (*partition, *next)).collect();
        reader.assign(Topic::Facts, starts).await?;
        Ok(Some(reader))
    }

    fn seat(&mut self, ask: Ask, is_streaming: bool, is_first: bool) {
        if !is_streaming || !is_near(&ask.at, &self.next) {
            // Nobody listens any more where the domain's session has ended meanwhile.
            let _ = ask.answer.send(None);
            return;
        }
        let (chunks, receiver) = mpsc::channel(QUEUE_CHUNKS);
        let (from, ends) = (self.next.clone(), self.ends.clone());
        if ask.answer.send(Some(Seat { chunks: receiver, from, ends, is_first })).is_ok() {
            let (domain, patience, since) = (ask.domain, self.patience_max(), Instant::now());
            self.seats.push(Taken { domain, chunks, patience, since });
        }
    }

    /// Hands out until the reader fails or `soft`.
    async fn stream(&mut self, mut reader: Reader, soft: &CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = soft.cancelled() => return,
                ask = self.asked.recv() => match ask {
                    Some(ask) => self.seat(ask, true, false),
                    None => return,
                },
                polled = reader.next() => {
                    let mut chunk = Chunk::default();
                    let goes_on = self.fill(&mut chunk, &mut reader, polled);
                    self.hand_out(chunk).await;
                    if !goes_on {
                        return;
                    }
                }
            }
        }
    }

    /// Takes what has come; false where the reader can go no further.
    fn fill(&mut self, chunk: &mut Chunk, reader: &mut Reader, first: Option<Polled>) -> bool {
        let (mut polled, mut bytes) = (first, 0);
        loop {
            match polled {
                Some(Polled::Record(record)) => {
                    self.next.insert(record.partition, record.offset + 1);
                    self.ends.remove(&record.partition);
                    chunk.ends.remove(&record.partition);
                    bytes += record.payload.as_ref().map_or(0, Vec::len);
                    chunk.lazy_records.push(LazyRecord::of(record));
                }
                Some(Polled::EndOfPartition { partition, next_offset, .. }) => {
                    self.ends.insert(partition, next_offset);
                    chunk.ends.insert(partition, next_offset);
                    self.is_live |= self.ends.len() == self.next.len();
                }
                // The client goes on by itself, and the reader ends where it cannot.
                Some(Polled::Failed(error)) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "reading the log failed; it goes on");
                }
                // Which domain asked for that place shows when each reads alone.
                Some(Polled::OutOfRange { .. }) | None => return false,
            }
            if chunk.lazy_records.len() >= CHUNK_RECORDS || bytes >= CHUNK_BYTES {
                return true;
            }
            let Some(more) = reader.try_next() else { return true };
            polled = Some(more);
        }
    }

    async fn hand_out(&mut self, chunk: Chunk) {
        if chunk.lazy_records.is_empty() && chunk.ends.is_empty() {
            return;
        }
        let (chunk, patience_max) = (Arc::new(chunk), self.patience_max());
        let mut kept = Vec::with_capacity(self.seats.len());
        for mut seat in self.seats.drain(..) {
            let back = seat.since.elapsed() / PATIENCE_BACK;
            seat.patience = (seat.patience + back).min(patience_max);
            let asked = Instant::now();
            let sent = tokio::time::timeout(seat.patience, seat.chunks.send(chunk.clone())).await;
            seat.patience = seat.patience.saturating_sub(asked.elapsed());
            seat.since = Instant::now();
            match sent {
                Ok(Ok(())) => kept.push(seat),
                // Its session has ended.
                Ok(Err(_)) => {}
                Err(_) => {
                    let domain = seat.domain;
                    crate::metrics::FEED_DETACHED.of([domain]).increment(1);
                    tracing::info!(domain, "too slow for the shared reader; it reads alone");
                }
            }
        }
        self.seats = kept;
    }

    fn patience_max(&self) -> Duration {
        Duration::from_millis(if self.is_live { PATIENCE_LIVE_MS } else { PATIENCE_CATCHING_UP_MS })
    }
}

/// Whether two stand so near that reading the distance again is cheaper than reading apart.
fn is_near(one: &Next, other: &Next) -> bool {
    let apart = |(partition, at): (&i32, &i64)| {
        other.get(partition).map_or(0, |there| at.saturating_sub(*there).saturating_abs())
    };
    one.iter().map(apart).fold(0, i64::saturating_add) <= APART_RECORDS_MAX
}
