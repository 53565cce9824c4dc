//! The thread behind a reader: it polls, stamps, and waits in the channel when that is full.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;
use tokio::sync::{mpsc, watch};

use crate::bus::{self, CONNECT_MS_MAX};
use crate::client::{self, Watch};
use crate::config::{BusConfig, Topic};
use crate::error::BusError;
use crate::reader::Polled;
use crate::record::RawRecord;

/// The longest sleep between two polls. The queue's callback wakes the thread at once; this only
/// bounds what a missed call would cost, and serves librdkafka's statistics.
const SLEEP_MS_MAX: u64 = 50;

/// What was polled, and under which assignment; nothing where it is of no partition.
pub(crate) struct Stamped {
    pub(crate) generation: Option<(Topic, i32, u64)>,
    pub(crate) polled: Polled,
}

/// A consumer and its places, shared by the thread that polls and those who assign.
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) consumer: BaseConsumer<Watch>,
    pub(crate) config: BusConfig,
    /// Of the topics that are there whatever the domains are.
    pub(crate) topic_names: Vec<String>,
    pub(crate) places: Mutex<Places>,
}

#[derive(Default)]
pub(crate) struct Places {
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

impl Places {
    pub(crate) fn is_current(&self, topic: Topic, partition: i32, generation: u64) -> bool {
        let place = self.by_partition.get(&(topic, partition));
        place.is_some_and(|place| place.generation == generation)
    }
}

impl Shared {
    pub(crate) fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name_of(&self, topic: Topic) -> String {
        topic.name(&self.config.topic_prefix)
    }

    fn topic_of(&self, name: &str) -> Option<Topic> {
        // As cheap as a look at each name: it is asked of every record.
        let fixed = Topic::ALL.into_iter().zip(&self.topic_names);
        let found = fixed.into_iter().find(|(_, of_house)| *of_house == name);
        found.map(|(topic, _)| topic).or_else(|| Topic::of_name(&self.config.topic_prefix, name))
    }

    pub(crate) fn assign(
        &self,
        topic: Topic,
        starts: &[(i32, i64)],
        alone: bool,
    ) -> Result<(), BusError> {
        let mut places = self.places();
        if alone && places.by_partition.keys().any(|(other, _)| *other != topic) {
            return Err(BusError::MixedTopics { reader: self.name.clone(), topic });
        }
        let again: Vec<_> = starts.iter().map(|(partition, _)| *partition).collect();
        self.take_away(&mut places, topic, &again);
        let failed = |source| BusError::Assign { reader: self.name.clone(), topic, source };
        let mut list = TopicPartitionList::with_capacity(starts.len());
        for (partition, start) in starts {
            let start = Offset::Offset((*start).max(0));
            list.add_partition_offset(&self.name_of(topic), *partition, start).map_err(failed)?;
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

    pub(crate) fn unassign(&self, topic: Topic, partitions: &[i32]) {
        self.take_away(&mut self.places(), topic, partitions);
    }

    fn take_away(&self, places: &mut Places, topic: Topic, partitions: &[i32]) {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            let place = places.by_partition.remove(&(topic, *partition));
            if place.is_some_and(|place| !place.lost) {
                list.add_partition(&self.name_of(topic), *partition);
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
            Err(KafkaError::PartitionEOF(partition)) => Some(Self::end(&mut places, partition)),
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

    fn end(places: &mut Places, partition: i32) -> Step {
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
            let ends = bus::watermarks(&self.consumer, &self.name_of(topic), topic, partition);
            match ends {
                Ok(ends) if !(ends.low..=ends.high).contains(&place.next) => {
                    let (offset, generation) =
                        (place.next, Some((topic, partition, place.generation)));
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
        list.add_partition(&self.name_of(topic), partition);
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
            list.add_partition(&self.name_of(topic), partition);
            self.consumer.incremental_unassign(&list)?;
            let next = Offset::Offset(place.next);
            list.set_partition_offset(&self.name_of(topic), partition, next)?;
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

/// Polls until nobody reads any more.
pub(crate) fn run(shared: &Shared, sender: &mpsc::Sender<Stamped>, is_ready: &watch::Sender<bool>) {
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
