//! Where a domain's facts come from: the feed that it shares with the others, or a reader of its
//! own while it stands elsewhere than they do.
//!
//! | the domain reads | until |
//! |---|---|
//! | Alone | it has met the end of every partition once; then it asks for a seat |
//! | Joining | its own reader has come to where the seat begins, partition by partition |
//! | Joined | the feed lets it go, or ends; then it reads Alone from where it stands |
//!
//! Whatever the way, each record comes out once and in the order of its partition: what the seat
//! hands out again is passed over by its offset.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use kit_bus::{Bus, BusError, Polled, Reader, ReaderOptions, Topic};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::error::SessionError;
use crate::feed::{Feed, Next, Seat};
use crate::lazy_record::LazyRecord;

/// Records between the log's polling thread and us: the next batch while this one is committed.
const CHANNEL_RECORDS: usize = 2_000;
/// How long the broker holds an idle fetch; a record ends it at once.
const FETCH_WAIT_MS: u32 = 500;
/// How long the broker gathers requests before it answers a fetch, and with how many bytes it
/// answers at once. Who waits for a request waits for its outcome, which comes by another topic; a
/// request and its outcome that are read together are one commit.
const REQUESTS_WAIT_MS: u32 = 50;
const REQUESTS_BYTES_MIN: u32 = 64 * 1024;
/// How often a domain that got no seat asks again: the others may still be catching up.
const ASK_AGAIN_MS: u64 = 1_000;

/// How every reader of the projector reads.
pub(crate) fn reader_options() -> ReaderOptions {
    ReaderOptions {
        fetch_wait_ms: FETCH_WAIT_MS,
        channel_records: CHANNEL_RECORDS,
        end_of_partition: true,
        ..ReaderOptions::default()
    }
}

/// How requests are read: in gathered fetches.
pub(crate) fn requests_options() -> ReaderOptions {
    ReaderOptions {
        fetch_wait_ms: REQUESTS_WAIT_MS,
        fetch_bytes_min: REQUESTS_BYTES_MIN,
        ..reader_options()
    }
}

/// What a domain meets.
pub(crate) enum Met {
    LazyRecord(Arc<LazyRecord>),
    /// The end of a partition, and the offset that comes next there.
    End(i32, i64),
    Failed(BusError),
}

enum Way {
    /// Not begun yet, or let go.
    Lost,
    /// A reader of one's own is made, by a task, so that whoever drops [`Facts::next`] half-way
    /// does not begin it anew each time; and the seat that it leads to, if there is one.
    Opening(JoinHandle<Result<Reader, BusError>>, Option<Seat>),
    Alone(Reader),
    Joining(Reader, Seat),
    Joined(Seat),
}

pub(crate) struct Facts {
    bus: Bus,
    domain: &'static str,
    name: String,
    feed: Option<Feed>,
    way: Way,
    /// The next offset to give out.
    next: Next,
    waiting: VecDeque<Met>,
    /// Partitions whose end was met since it reads alone.
    ends_met: HashSet<i32>,
    /// When to ask for a seat.
    ask_at: Option<Instant>,
    asking: Option<oneshot::Receiver<Option<Seat>>>,
    /// Positions that no reader has proved: a seat alone does not tell that the log has them.
    unproved: HashSet<i32>,
}

impl Facts {
    /// Begins at `next`. Without a feed it reads alone for ever.
    pub fn begin(
        bus: &Bus,
        domain: &'static str,
        name: &str,
        feed: Option<Feed>,
        next: Next,
    ) -> Self {
        Self {
            bus: bus.clone(),
            domain,
            name: name.to_owned(),
            ask_at: feed.as_ref().map(|_| Instant::now()),
            feed,
            way: Way::Lost,
            unproved: next.keys().copied().collect(),
            next,
            waiting: VecDeque::new(),
            ends_met: HashSet::new(),
            asking: None,
        }
    }

    /// Begins again at `next`; what was fetched ahead is forgotten.
    pub async fn begin_again(&mut self, next: Next) -> Result<(), BusError> {
        self.waiting.clear();
        if let Way::Alone(reader) = &self.way {
            reader.assign(Topic::Facts, next.clone().into_iter().collect()).await?;
        } else {
            self.way = Way::Lost;
        }
        self.next = next;
        Ok(())
    }

    /// What comes next. Safe to drop and call again: whatever was taken stands in `waiting`.
    pub async fn next(&mut self) -> Result<Met, SessionError> {
        loop {
            while let Some(met) = self.waiting.pop_front() {
                if self.is_new(&met)? {
                    return Ok(met);
                }
            }
            self.go_on().await?;
        }
    }

    /// One step: a seat is asked for, a reader begun, or something comes.
    async fn go_on(&mut self) -> Result<(), SessionError> {
        if self.asking.is_some() {
            return self.be_seated().await;
        }
        if self.ask_at.is_some_and(|at| at <= Instant::now()) {
            self.ask_at = None;
            self.asking = self.feed.as_ref().and_then(|it| it.ask(self.domain, self.next.clone()));
            return Ok(());
        }
        if self.has_joined() {
            if let Way::Joining(_, seat) = std::mem::replace(&mut self.way, Way::Lost) {
                self.sit_down(seat);
            }
            return Ok(());
        }
        let ask_at = self.ask_at;
        match &mut self.way {
            Way::Lost => self.open(None),
            Way::Opening(opening, _) => {
                let reader = opening.await.map_err(|_| SessionError::ReaderEnded)??;
                self.way = match std::mem::replace(&mut self.way, Way::Lost) {
                    Way::Opening(_, Some(seat)) => Way::Joining(reader, seat),
                    _ => Way::Alone(reader),
                };
            }
            Way::Alone(reader) | Way::Joining(reader, _) => {
                let polled = tokio::select! {
                    polled = reader.next() => polled,
                    () = sleep_until(ask_at) => return Ok(()),
                };
                self.polled(polled.ok_or(SessionError::ReaderEnded)?)?;
            }
            Way::Joined(seat) => {
                if let Some(chunk) = seat.chunks.recv().await {
                    self.waiting.extend(chunk.lazy_records.iter().cloned().map(Met::LazyRecord));
                    self.waiting.extend(chunk.ends.iter().map(|(at, next)| Met::End(*at, *next)));
                } else {
                    self.way = Way::Lost;
                    self.tell(false);
                }
            }
        }
        Ok(())
    }

    /// Waits for the feed's answer. Before anything was read, a seat that begins early enough is as
    /// good as a reader; otherwise a reader of one's own leads to it.
    async fn be_seated(&mut self) -> Result<(), SessionError> {
        let Some(asking) = &mut self.asking else { return Ok(()) };
        let seat = asking.await.ok().flatten();
        self.asking = None;
        let Some(seat) = seat else {
            let is_alone = matches!(self.way, Way::Alone(_));
            self.ask_at = is_alone.then(|| Instant::now() + Duration::from_millis(ASK_AGAIN_MS));
            return Ok(());
        };
        match std::mem::replace(&mut self.way, Way::Lost) {
            Way::Alone(reader) => self.way = Way::Joining(reader, seat),
            Way::Lost | Way::Opening(..) | Way::Joining(..) | Way::Joined(_) => {
                if self.may_sit(&seat) {
                    self.sit_down(seat);
                } else {
                    self.open(Some(seat));
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, seat: Option<Seat>) {
        // A reader of one's own says by itself where a place is not on the log.
        self.unproved.clear();
        self.ends_met.clear();
        let (bus, name, next) = (self.bus.clone(), self.name.clone(), self.next.clone());
        let opening = tokio::spawn(async move {
            let reader = bus.reader(&format!("projector-{name}"), reader_options())?;
            reader.assign(Topic::Facts, next.into_iter().collect()).await?;
            Ok(reader)
        });
        self.way = Way::Opening(opening, seat);
    }

    fn is_covered(&self, seat: &Seat) -> bool {
        let begins = |partition| seat.from.get(partition);
        self.next.iter().all(|(partition, next)| begins(partition).is_some_and(|it| it <= next))
    }

    /// Whether the own reader has come to where the seat begins.
    fn has_joined(&self) -> bool {
        match &self.way {
            Way::Joining(_, seat) => self.is_covered(seat),
            Way::Lost | Way::Opening(..) | Way::Alone(_) | Way::Joined(_) => false,
        }
    }

    /// Whether a seat will do without a reader of one's own before: it begins at this very place,
    /// or it was given before the feed had read anything, so that every end that it tells is newer
    /// than the place.
    fn may_sit(&self, seat: &Seat) -> bool {
        self.is_covered(seat) && (seat.is_first || self.next == seat.from)
    }

    fn sit_down(&mut self, seat: Seat) {
        // The feed told some ends before it gave the seat, and tells none twice.
        let at_end =
            seat.ends.iter().filter(|(partition, end)| self.next.get(partition) == Some(end));
        self.waiting.extend(at_end.map(|(partition, end)| Met::End(*partition, *end)));
        self.way = Way::Joined(seat);
        self.tell(true);
    }

    fn tell(&self, is_joined: bool) {
        let domain = self.domain;
        tracing::info!(domain, is_joined, "whether the domain reads with the others");
        crate::metrics::FEED_JOINED.of([domain]).set(if is_joined { 1.0 } else { 0.0 });
    }

    fn polled(&mut self, polled: Polled) -> Result<(), SessionError> {
        let met = match polled {
            Polled::Record(record) => Met::LazyRecord(LazyRecord::of(record)),
            Polled::EndOfPartition { partition, next_offset, .. } => {
                let is_new = self.ends_met.insert(partition);
                let is_near = is_new && self.ends_met.len() == self.next.len();
                if is_near && self.feed.is_some() {
                    self.ask_at = Some(Instant::now());
                }
                Met::End(partition, next_offset)
            }
            Polled::OutOfRange { topic, partition, offset, low, high } => {
                return Err(SessionError::OutOfRange { topic, partition, offset, low, high });
            }
            Polled::Failed(error) => Met::Failed(error),
        };
        self.waiting.push_back(met);
        Ok(())
    }

    /// Whether it has not come out before. An end that lies before what came out already is one
    /// that the feed met earlier than the own reader; before anything was read it can only mean
    /// that the log never had the place at which this domain stands.
    fn is_new(&mut self, met: &Met) -> Result<bool, SessionError> {
        match met {
            Met::LazyRecord(lazy_record) => {
                let (partition, offset) = (lazy_record.record.partition, lazy_record.record.offset);
                let next = self.next.entry(partition).or_insert(0);
                let is_new = offset >= *next;
                *next = (offset + 1).max(*next);
                Ok(is_new)
            }
            Met::End(partition, end) => {
                let next = self.next.get(partition).copied().unwrap_or_default();
                if self.unproved.remove(partition) && *end < next {
                    let (topic, partition) = (Topic::Facts, *partition);
                    let (offset, low, high) = (next, 0, *end);
                    return Err(SessionError::OutOfRange { topic, partition, offset, low, high });
                }
                Ok(*end >= next)
            }
            Met::Failed(_) => Ok(true),
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
