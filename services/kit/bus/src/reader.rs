//! A reader: one consumer, one thread that polls it, one bounded channel towards tokio.
//!
//! When the channel is full the polling thread waits in it, librdkafka's own bounded queue fills
//! behind it, and the fetcher rests: that is the whole back-pressure. Pausing partitions instead
//! would throw away what was fetched ahead and cost a new fetch each time. Nothing else waits with
//! it, because assignments are made from the caller's side, and each reader has a consumer and a
//! thread of its own: a slow reader slows no other.
//!
//! A record must never be handed out under an assignment that it was not fetched for: a partition
//! taken away and given back at another place would seem to jump. Hence polling never waits inside
//! librdkafka: the thread polls without waiting under the same lock under which partitions are
//! assigned, stamps what it got with the assignment's generation, and sleeps outside the lock until
//! the queue's callback wakes it. [`Reader::next`] drops what bears a stamp of the past.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;
use tokio::sync::{mpsc, watch};

use crate::bus::{self, Bus, CONNECT_MS_MAX, blocking};
use crate::client::{self, Watch};
use crate::config::{BusConfig, Topic};
use crate::error::BusError;
use crate::record::RawRecord;

/// The longest sleep between two polls. The queue's callback wakes the thread at once; this only
/// bounds what a missed call would cost, and serves librdkafka's statistics.
const SLEEP_MS_MAX: u64 = 50;

/// How a reader reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderOptions {
    /// How long the broker holds an idle fetch. A new record ends it at once; a partition assigned
    /// meanwhile waits for it, so scans take 10 and tails 50.
    pub fetch_wait_ms: u32,
    /// Records between the polling thread and whoever calls [`Reader::next`].
    pub channel_records: usize,
    /// Whether the end of a partition is told. The reader then reads one topic at a time.
    pub end_of_partition: bool,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self { fetch_wait_ms: 50, channel_records: 256, end_of_partition: false }
    }
}

/// What a reader meets.
#[derive(Debug, Clone)]
pub enum Polled {
    /// The next record of its partition.
    Record(RawRecord),
    /// Nothing more is on the partition just now. Told again each time the end is reached anew.
    EndOfPartition {
        /// Of which topic.
        topic: Topic,
        /// Of which partition.
        partition: i32,
        /// The offset that comes next.
        next_offset: i64,
    },
    /// The place asked for is not on the log (any more, or not yet). The partition is not read
    /// until it is assigned again.
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
    /// Reading failed: told once for each outage, from which the client recovers by itself; or
    /// fatal, and then the reader ends.
    Failed(BusError),
}

/// A consumer with partitions given by hand.
pub struct Reader {
    name: String,
    options: ReaderOptions,
    bus: Bus,
    /// The polling thread owns the consumer, so that closing it never blocks an async thread.
    shared: Weak<Shared>,
    polled: mpsc::Receiver<Stamped>,
    ready: watch::Receiver<bool>,
    waker: Arc<OnceLock<Thread>>,
}

struct Stamped {
    generation: Option<(Topic, i32, u64)>,
    polled: Polled,
}

pub(crate) struct Shared {
    name: String,
    consumer: BaseConsumer<Watch>,
    config: BusConfig,
    topic_names: Vec<String>,
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    generations: u64,
    by_partition: HashMap<(Topic, i32), Place>,
    /// Whether the present outage has been told.
    failing: bool,
}

#[derive(Clone, Copy)]
struct Place {
    generation: u64,
    next: i64,
    /// Out of range, and no longer with librdkafka.
    lost: bool,
}

impl Reader {
    pub(crate) fn start(bus: &Bus, name: &str, options: ReaderOptions) -> Result<Self, BusError> {
        let config = bus.config().clone();
        let waker: Arc<OnceLock<Thread>> = Arc::default();
        let mut consumer: BaseConsumer<Watch> = client::consumer_config(
            &config.brokers,
            name,
            options.fetch_wait_ms,
            options.end_of_partition,
        )
        .create_with_context(Watch { client: name.to_owned() })
        .map_err(|source| BusError::Client { client: name.to_owned(), source })?;
        let wake = waker.clone();
        consumer.set_nonempty_callback(move || {
            if let Some(thread) = wake.get() {
                thread.unpark();
            }
        });
        let topic_names = Topic::ALL.map(|topic| bus.topic_name(topic).to_owned()).to_vec();
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            consumer,
            config,
            topic_names,
            places: Mutex::default(),
        });
        let weak = Arc::downgrade(&shared);
        let (sender, polled) = mpsc::channel(options.channel_records.max(1));
        let (is_ready, ready) = watch::channel(false);
        let thread = thread::Builder::new()
            .name(format!("read-{name}"))
            .spawn(move || run(&shared, &sender, &is_ready))
            .map_err(|_| BusError::Thread { reader: name.to_owned() })?;
        let _ = waker.set(thread.thread().clone());
        let (name, bus) = (name.to_owned(), bus.clone());
        Ok(Self { name, options, bus, shared: weak, polled, ready, waker })
    }

    /// Adds partitions, each read from the offset named. One that is assigned already moves there.
    ///
    /// # Errors
    /// A partition that does not exist, a second topic for a reader that tells ends, or librdkafka
    /// does not take them. Whether the offset is there shows only in [`Reader::next`].
    pub async fn assign(&self, topic: Topic, starts: Vec<(i32, i64)>) -> Result<(), BusError> {
        for (partition, _) in &starts {
            self.bus.check_partition(topic, *partition)?;
        }
        // The thread first fetches every topic's metadata; assigning before costs a second.
        let _ = self.ready.clone().wait_for(|ready| *ready).await;
        let shared = self.shared.upgrade().ok_or_else(|| self.ended())?;
        let alone = self.options.end_of_partition;
        blocking("assigning partitions", move || shared.assign(topic, &starts, alone)).await?
    }

    /// Takes partitions away; nothing more of them comes out of [`Reader::next`].
    pub async fn unassign(&self, topic: Topic, partitions: Vec<i32>) {
        if let Some(shared) = self.shared.upgrade() {
            let taken = move || shared.unassign(topic, &partitions);
            // A runtime that is going away takes the reader with it.
            let _ = blocking("taking partitions away", taken).await;
        }
    }

    /// What comes next; none once the reader has ended. Safe to drop and call again.
    pub async fn next(&mut self) -> Option<Polled> {
        loop {
            let stamped = self.polled.recv().await?;
            if self.is_current(&stamped) {
                return Some(stamped.polled);
            }
        }
    }

    /// What has come already, without waiting.
    pub fn try_next(&mut self) -> Option<Polled> {
        loop {
            let stamped = self.polled.try_recv().ok()?;
            if self.is_current(&stamped) {
                return Some(stamped.polled);
            }
        }
    }

    /// Waits until the reader knows every topic, so that the first assignment is quick.
    pub async fn warm(&self) {
        let _ = self.ready.clone().wait_for(|ready| *ready).await;
    }

    /// Its name in logs and metrics.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As [`Reader::unassign`], where nobody can wait; it blocks for less than a millisecond.
    pub(crate) fn unassign_now(&self, topic: Topic, partition: i32) {
        if let Some(shared) = self.shared.upgrade() {
            shared.unassign(topic, &[partition]);
        }
    }

    fn is_current(&self, stamped: &Stamped) -> bool {
        let Some((topic, partition, generation)) = stamped.generation else { return true };
        let Some(shared) = self.shared.upgrade() else { return true };
        let places = shared.places();
        let place = places.by_partition.get(&(topic, partition));
        place.is_some_and(|place| place.generation == generation)
    }

    fn ended(&self) -> BusError {
        BusError::Thread { reader: self.name.clone() }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.polled.close();
        if let Some(thread) = self.waker.get() {
            thread.unpark();
        }
    }
}

impl Shared {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name_of(&self, topic: Topic) -> &str {
        &self.topic_names[topic as usize]
    }

    fn topic_of(&self, name: &str) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| self.name_of(*topic) == name)
    }

    fn assign(&self, topic: Topic, starts: &[(i32, i64)], alone: bool) -> Result<(), BusError> {
        let mut places = self.places();
        if alone && places.by_partition.keys().any(|(other, _)| *other != topic) {
            return Err(BusError::MixedTopics { reader: self.name.clone(), topic });
        }
        let again: Vec<_> = starts.iter().map(|(partition, _)| *partition).collect();
        self.take_away(&mut places, topic, &again);
        let failed =
            |source| BusError::Assign { reader: self.name.clone(), topic, source };
        let mut list = TopicPartitionList::with_capacity(starts.len());
        for (partition, start) in starts {
            let start = Offset::Offset((*start).max(0));
            list.add_partition_offset(self.name_of(topic), *partition, start).map_err(failed)?;
        }
        self.consumer.incremental_assign(&list).map_err(failed)?;
        places.generations += 1;
        let generation = places.generations;
        for (partition, start) in starts {
            let place = Place { generation, next: (*start).max(0), lost: false };
            places.by_partition.insert((topic, *partition), place);
        }
        Ok(())
    }

    fn unassign(&self, topic: Topic, partitions: &[i32]) {
        self.take_away(&mut self.places(), topic, partitions);
    }

    fn take_away(&self, places: &mut Places, topic: Topic, partitions: &[i32]) {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            let place = places.by_partition.remove(&(topic, *partition));
            if place.is_some_and(|place| !place.lost) {
                list.add_partition(self.name_of(topic), *partition);
            }
        }
        self.forget(&list);
    }

    fn forget(&self, list: &TopicPartitionList) {
        if list.count() == 0 {
            return;
        }
        if let Err(error) = self.consumer.incremental_unassign(list) {
            // Its records are dropped by their stamp all the same.
            tracing::warn!(bus.reader = %self.name, kafka.error = %error, "unassigning failed");
        }
    }

    /// One poll without waiting, stamped; `None` where nothing was there.
    fn poll(&self) -> Option<Step> {
        let mut places = self.places();
        match self.consumer.poll(Duration::ZERO)? {
            Ok(message) => Some(self.record(&mut places, &message)),
            Err(KafkaError::PartitionEOF(partition)) => Some(self.end(&mut places, partition)),
            Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset)) => {
                Some(Step::FindOutOfRange)
            }
            Err(source) => Some(self.failure(&mut places, source)),
        }
    }

    fn record(&self, places: &mut Places, message: &rdkafka::message::BorrowedMessage<'_>) -> Step {
        use rdkafka::Message as _;
        places.failing = false;
        let Some(topic) = self.topic_of(message.topic()) else { return Step::Nothing };
        let partition = message.partition();
        let Some(place) = places.by_partition.get_mut(&(topic, partition)) else {
            return Step::Nothing;
        };
        place.next = message.offset() + 1;
        let generation = Some((topic, partition, place.generation));
        Step::Give(Stamped { generation, polled: Polled::Record(RawRecord::of(topic, message)) })
    }

    fn end(&self, places: &mut Places, partition: i32) -> Step {
        places.failing = false;
        let mut assigned = places.by_partition.iter();
        // A reader that tells ends has one topic, so the partition alone says which.
        let found = assigned.find(|((_, number), place)| *number == partition && !place.lost);
        let Some(((topic, _), place)) = found else { return Step::Nothing };
        let (topic, next_offset) = (*topic, place.next);
        let generation = Some((topic, partition, place.generation));
        let polled = Polled::EndOfPartition { topic, partition, next_offset };
        Step::Give(Stamped { generation, polled })
    }

    fn failure(&self, places: &mut Places, source: KafkaError) -> Step {
        client::count_error(&self.name, &source);
        let fatal = bus::is_fatal(&source);
        if std::mem::replace(&mut places.failing, true) && !fatal {
            return Step::Nothing;
        }
        let polled = Polled::Failed(BusError::Read { reader: self.name.clone(), fatal, source });
        let stamped = Stamped { generation: None, polled };
        if fatal { Step::Last(stamped) } else { Step::Give(stamped) }
    }

    /// librdkafka says that a place is out of range and not which; so the ends are asked for.
    fn find_out_of_range(&self) -> Vec<Stamped> {
        let asked: Vec<_> = {
            let places = self.places();
            let live = places.by_partition.iter().filter(|(_, place)| !place.lost);
            live.map(|(key, place)| (*key, *place)).collect()
        };
        let mut found = Vec::new();
        for ((topic, partition), place) in asked {
            let ends = bus::watermarks(&self.consumer, self.name_of(topic), topic, partition);
            match ends {
                Ok(ends) if !(ends.low..=ends.high).contains(&place.next) => {
                    let (offset, generation) = (place.next, Some((topic, partition, place.generation)));
                    let bus::Watermarks { low, high } = ends;
                    let polled = Polled::OutOfRange { topic, partition, offset, low, high };
                    self.lose(topic, partition, place.generation);
                    found.push(Stamped { generation, polled });
                }
                Ok(_) => self.seat_again(topic, partition, place),
                Err(failed) => {
                    found.push(Stamped { generation: None, polled: Polled::Failed(failed) });
                    self.seat_again(topic, partition, place);
                }
            }
        }
        found
    }

    fn lose(&self, topic: Topic, partition: i32, generation: u64) {
        let mut places = self.places();
        let Some(place) = places.by_partition.get_mut(&(topic, partition)) else { return };
        if place.generation != generation {
            return;
        }
        place.lost = true;
        let mut list = TopicPartitionList::new();
        list.add_partition(self.name_of(topic), partition);
        self.forget(&list);
    }

    /// A partition that stopped for a reason that has passed goes on where it stood.
    fn seat_again(&self, topic: Topic, partition: i32, seen: Place) {
        let mut places = self.places();
        let Some(place) = places.by_partition.get_mut(&(topic, partition)) else { return };
        if place.generation != seen.generation {
            return;
        }
        let seated: KafkaResult<()> = (|| {
            let mut list = TopicPartitionList::new();
            list.add_partition(self.name_of(topic), partition);
            self.consumer.incremental_unassign(&list)?;
            let next = Offset::Offset(place.next);
            list.set_partition_offset(self.name_of(topic), partition, next)?;
            self.consumer.incremental_assign(&list)
        })();
        if let Err(error) = seated {
            tracing::warn!(bus.reader = %self.name, kafka.error = %error, "assigning again failed");
        }
    }
}

/// What one poll came to.
enum Step {
    Give(Stamped),
    /// Fatal: give it, and end.
    Last(Stamped),
    FindOutOfRange,
    Nothing,
}

fn run(shared: &Shared, sender: &mpsc::Sender<Stamped>, is_ready: &watch::Sender<bool>) {
    let deadline = Instant::now() + Duration::from_millis(CONNECT_MS_MAX);
    let known =
        bus::know_topics(shared.consumer.client(), &shared.config, &shared.topic_names, deadline);
    if let Err(error) = known {
        let told = Stamped { generation: None, polled: Polled::Failed(error) };
        let _ = sender.blocking_send(told);
    }
    let _ = is_ready.send(true);
    let mut empty = 0;
    while !sender.is_closed() {
        let step = shared.poll();
        empty = if step.is_some() { 0 } else { empty + 1 };
        let given = match step {
            Some(Step::Give(stamped)) => sender.blocking_send(stamped).is_ok(),
            Some(Step::Last(stamped)) => {
                let _ = sender.blocking_send(stamped);
                false
            }
            Some(Step::FindOutOfRange) => {
                shared.find_out_of_range().into_iter().all(|one| sender.blocking_send(one).is_ok())
            }
            Some(Step::Nothing) => true,
            // A poll that served librdkafka's own business looks like an empty queue; only two in
            // a row are one.
            None if empty < 2 => true,
            None => {
                thread::park_timeout(Duration::from_millis(SLEEP_MS_MAX));
                true
            }
        };
        if !given {
            break;
        }
    }
}
