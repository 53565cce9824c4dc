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

use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::thread::{self, Thread};

use rdkafka::consumer::BaseConsumer;
use tokio::sync::{mpsc, watch};

use crate::bus::{Bus, blocking};
use crate::client::{self, Watch};
use crate::config::Topic;
use crate::error::BusError;
use crate::polling::{self, Shared, Stamped};
use crate::record::RawRecord;

/// How a reader reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderOptions {
    /// How long the broker holds an idle fetch. A partition assigned meanwhile waits for it, so
    /// scans take 1 and tails 50.
    pub fetch_wait_ms: u32,
    /// How many bytes of new records end an idle fetch at once. With 1 each record does. Where
    /// nobody waits for the reader, more of them let the broker do the gathering: a fetch each
    /// `fetch_wait_ms` instead of one for each record.
    pub fetch_bytes_min: u32,
    /// Records between the polling thread and whoever calls [`Reader::next`].
    pub channel_records: usize,
    /// Whether the end of a partition is told. The reader then reads one topic at a time.
    pub end_of_partition: bool,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self {
            fetch_wait_ms: 50,
            fetch_bytes_min: 1,
            channel_records: 256,
            end_of_partition: false,
        }
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

impl Reader {
    pub(crate) fn start(bus: &Bus, name: &str, options: ReaderOptions) -> Result<Self, BusError> {
        let config = bus.config().clone();
        let waker: Arc<OnceLock<Thread>> = Arc::default();
        let mut consumer: BaseConsumer<Watch> =
            client::consumer_config(&config.brokers, name, options)
                .create_with_context(Watch { client: name.to_owned() })
                .map_err(|source| BusError::Client { client: name.to_owned(), source })?;
        let wake = waker.clone();
        consumer.set_nonempty_callback(move || {
            if let Some(thread) = wake.get() {
                thread.unpark();
            }
        });
        let topic_names = bus.topic_names();
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
            .spawn(move || polling::run(&shared, &sender, &is_ready))
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
    #[must_use]
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
        places.is_current(topic, partition, generation)
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
