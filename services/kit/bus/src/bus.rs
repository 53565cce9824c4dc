//! [`Bus`]: the one connection of a process to the log.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit_body::Schemas;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;
use rdkafka::{Offset, TopicPartitionList};

use crate::client::{self, Watch};
use crate::config::{BusConfig, Topic};
use crate::error::{BusError, PublishError};
use crate::namespace::Namespace;
use crate::partition;
use crate::produce::{self, Deliveries, Producer};
use crate::reader::{Reader, ReaderOptions};
use crate::scan::Scans;
use crate::topics;
use crate::trust::Trust;

/// Connecting and fetching every topic's metadata. librdkafka goes on trying within it, so a broker
/// that is just starting (two seconds) is waited for.
pub const CONNECT_MS_MAX: u64 = 10_000;
/// Asking for the ends of a partition, or of all of a topic; it takes about a millisecond.
pub const WATERMARKS_MS_MAX: u64 = 5_000;

/// How long a producer goes on with a record that the brokers do not confirm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivering {
    /// For a time; then the record has failed and its sender is told. Others may overtake it.
    InTime,
    /// For ever, so that no record is ever overtaken: what stands on a partition is what was
    /// enqueued, from the first to some last. A record that cannot be delivered at all ends the
    /// producer. Compressed as every client reads it without more.
    Gapless,
}

/// The ends of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// The first offset that is still there.
    pub low: i64,
    /// The next offset that will be written.
    pub high: i64,
}

/// The log, as a process holds it; a clone is the same connection.
#[derive(Clone)]
pub struct Bus {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    config: BusConfig,
    cluster_id: String,
    producer: Producer,
    /// Asks and never reads.
    asking: BaseConsumer<Watch>,
    schemas: Schemas,
    /// Whether the registry and a record of this log agreed once.
    pub(crate) trust: Trust,
}

impl Bus {
    /// Connects, and fetches the metadata of every topic, because a client that first meets a topic
    /// when it uses it loses a second there. The registry may still be away.
    ///
    /// # Errors
    /// The brokers do not answer in [`CONNECT_MS_MAX`], topics are missing, or their partition
    /// count is not the one that is set.
    pub async fn connect(config: &BusConfig) -> Result<Self, BusError> {
        Self::connect_with(config, Delivering::InTime).await
    }

    /// As [`Bus::connect`], with a producer of another patience.
    ///
    /// # Errors
    /// As [`Bus::connect`].
    pub async fn connect_with(
        config: &BusConfig,
        delivering: Delivering,
    ) -> Result<Self, BusError> {
        let config = config.clone();
        let schemas = Schemas::new(&config.registry_url)?;
        let connect = move || connect(config, schemas, delivering);
        let inner = blocking("connecting to the brokers", connect).await??;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The partition count of every topic.
    #[must_use]
    pub fn partitions(&self) -> i32 {
        self.inner.config.partitions
    }

    /// The partition of a key, in every topic.
    #[must_use]
    pub fn partition_of(&self, key: &str) -> i32 {
        partition::of_key(key, self.partitions())
    }

    /// Which log a position is of: `<cluster id>/<topic>/<partition>`.
    #[must_use]
    pub fn log_identity(&self, topic: Topic, partition: i32) -> String {
        format!("{}/{}/{partition}", self.inner.cluster_id, self.topic_name(topic))
    }

    /// The cluster's own id, which no other cluster has.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.inner.cluster_id
    }

    /// The registry, and what it has told already.
    #[must_use]
    pub fn schemas(&self) -> &Schemas {
        &self.inner.schemas
    }

    /// The ends of a partition.
    ///
    /// # Errors
    /// The brokers do not answer in [`WATERMARKS_MS_MAX`].
    pub async fn watermarks(&self, topic: Topic, partition: i32) -> Result<Watermarks, BusError> {
        self.check_partition(topic, partition)?;
        let bus = self.clone();
        blocking("asking for the ends of a partition", move || {
            while bus.inner.asking.poll(Duration::ZERO).is_some() {}
            watermarks(&bus.inner.asking, &bus.topic_name(topic), topic, partition)
        })
        .await?
    }

    /// The next offset that will be written, for each partition of a topic. It is one question for
    /// each broker, where [`Bus::watermarks`] would be two for each partition.
    ///
    /// # Errors
    /// The brokers do not answer in [`WATERMARKS_MS_MAX`].
    pub async fn ends(&self, topic: Topic) -> Result<HashMap<i32, i64>, BusError> {
        let bus = self.clone();
        blocking("asking for the ends of a topic", move || {
            while bus.inner.asking.poll(Duration::ZERO).is_some() {}
            ends(&bus.inner.asking, &bus.topic_name(topic), topic, bus.partitions())
        })
        .await?
    }

    /// Creates the public topic of a namespace, where it is not there yet.
    ///
    /// # Errors
    /// The brokers do not answer, or the topic has another partition count than is set.
    pub async fn create_public(&self, of: Namespace, replicas: i32) -> Result<(), BusError> {
        topics::apply_public(self.config(), replicas, &[of]).await.map(|_| ())
    }

    /// The namespaces whose public topics are there, each with the partition count that is set.
    ///
    /// # Errors
    /// The brokers do not answer in [`CONNECT_MS_MAX`], or such a topic has another count.
    pub async fn namespaces(&self) -> Result<Vec<Namespace>, BusError> {
        let bus = self.clone();
        blocking("asking for public topics", move || {
            let (config, within) = (&bus.inner.config, Duration::from_millis(CONNECT_MS_MAX));
            let metadata = bus.inner.asking.client().fetch_metadata(None, within);
            let metadata = metadata
                .map_err(|source| BusError::Metadata { brokers: config.brokers.clone(), source })?;
            let mut found = Vec::new();
            for topic in metadata.topics() {
                let of_house = Topic::of_name(&config.topic_prefix, topic.name());
                let Some(Topic::Domain(namespace)) = of_house else { continue };
                check_count(config, topic)?;
                found.push(namespace);
            }
            Ok(found)
        })
        .await?
    }

    /// The next offset that will be written to a partition: the end of a scan begun now.
    ///
    /// # Errors
    /// As [`Bus::watermarks`].
    pub async fn scan_head(&self, topic: Topic, partition: i32) -> Result<i64, BusError> {
        Ok(self.watermarks(topic, partition).await?.high)
    }

    /// A reader with its own consumer and its own thread; `name` stands in logs and metrics.
    ///
    /// # Errors
    /// The consumer or its thread could not be made.
    pub fn reader(&self, name: &str, options: ReaderOptions) -> Result<Reader, BusError> {
        Reader::start(self, name, options)
    }

    /// A pool of readers for scans, at most `permits` at once.
    #[must_use]
    pub fn scans(&self, permits: usize) -> Scans {
        Scans::new(self.clone(), permits)
    }

    /// Waits until everything enqueued has the broker's word; for the end of a process.
    ///
    /// # Errors
    /// Some of it is still on its way after `within`.
    pub async fn flush(&self, within: Duration) -> Result<(), PublishError> {
        let bus = self.clone();
        let flushed = blocking("flushing", move || bus.inner.producer.flush(within)).await;
        flushed
            .map_err(|_| PublishError::Gone)?
            .map_err(|error| PublishError::delivery("what is still on its way", error))
    }

    pub(crate) fn config(&self) -> &BusConfig {
        &self.inner.config
    }

    pub(crate) fn producer(&self) -> &Producer {
        &self.inner.producer
    }

    pub(crate) fn topic_name(&self, topic: Topic) -> Cow<'static, str> {
        // Only tests that own their topics have a prefix.
        match self.inner.config.topic_prefix.as_str() {
            "" => Cow::Borrowed(topic.as_str()),
            prefix => Cow::Owned(topic.name(prefix)),
        }
    }

    pub(crate) fn topic_names(&self) -> Vec<String> {
        Topic::ALL.iter().map(|topic| topic.name(&self.inner.config.topic_prefix)).collect()
    }

    pub(crate) fn check_partition(&self, topic: Topic, partition: i32) -> Result<(), BusError> {
        if (0..self.partitions()).contains(&partition) {
            return Ok(());
        }
        Err(BusError::NoSuchPartition { topic, partition })
    }
}

pub(crate) fn watermarks(
    consumer: &BaseConsumer<Watch>,
    name: &str,
    topic: Topic,
    partition: i32,
) -> Result<Watermarks, BusError> {
    let ends = consumer.fetch_watermarks(name, partition, Duration::from_millis(WATERMARKS_MS_MAX));
    let (low, high) = ends.map_err(|source| BusError::Watermarks { topic, partition, source })?;
    Ok(Watermarks { low, high })
}

fn ends(
    consumer: &BaseConsumer<Watch>,
    name: &str,
    topic: Topic,
    partitions: i32,
) -> Result<HashMap<i32, i64>, BusError> {
    let failed = |source| BusError::Ends { topic, source };
    let mut asked = TopicPartitionList::new();
    for partition in 0..partitions {
        // In place of a time it asks for the end.
        asked.add_partition_offset(name, partition, Offset::End).map_err(failed)?;
    }
    let within = Duration::from_millis(WATERMARKS_MS_MAX);
    let told = consumer.offsets_for_times(asked, within).map_err(failed)?;
    let mut ends = HashMap::new();
    for one in told.elements() {
        one.error().map_err(failed)?;
        if let Offset::Offset(next) = one.offset() {
            ends.insert(one.partition(), next);
        }
    }
    Ok(ends)
}

fn connect(config: BusConfig, schemas: Schemas, delivering: Delivering) -> Result<Inner, BusError> {
    let deadline = Instant::now() + Duration::from_millis(CONNECT_MS_MAX);
    let topic_names: Vec<_> =
        Topic::ALL.iter().map(|topic| topic.name(&config.topic_prefix)).collect();
    let made = |client: &str, source| BusError::Client { client: client.to_owned(), source };
    let asking: BaseConsumer<Watch> =
        client::consumer_config(&config.brokers, "asking", ReaderOptions::default())
            // Its queue is emptied only when something is asked, so nothing may fill it meanwhile.
            .set("statistics.interval.ms", "0")
            .create_with_context(Watch { client: "asking".to_owned() })
            .map_err(|source| made("asking", source))?;
    let producer: Producer = produce::producer_config(&config.brokers, delivering)
        .create_with_context(Deliveries)
        .map_err(|source| made("producer", source))?;
    crate::metrics::describe();
    know_topics(asking.client(), &config, &topic_names, deadline)?;
    know_topics(producer.client(), &config, &topic_names, deadline)?;
    let cluster_id = asking.client().fetch_cluster_id(left(deadline));
    let cluster_id =
        cluster_id.ok_or_else(|| BusError::ClusterId { brokers: config.brokers.clone() })?;
    Ok(Inner { config, cluster_id, producer, asking, schemas, trust: Trust::default() })
}

/// Fetches the metadata of every topic, which the client then keeps fresh by itself.
pub(crate) fn know_topics<C: rdkafka::ClientContext>(
    client: &rdkafka::client::Client<C>,
    config: &BusConfig,
    names: &[String],
    deadline: Instant,
) -> Result<(), BusError> {
    let failed = |source| BusError::Metadata { brokers: config.brokers.clone(), source };
    let mut missing = Vec::new();
    for name in names {
        let metadata = client.fetch_metadata(Some(name), left(deadline)).map_err(failed)?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == name);
        let Some(topic) = topic.filter(|topic| topic.error().is_none()) else {
            missing.push(name.clone());
            continue;
        };
        check_count(config, topic)?;
    }
    if missing.is_empty() { Ok(()) } else { Err(BusError::TopicsMissing { names: missing }) }
}

fn check_count(
    config: &BusConfig,
    topic: &rdkafka::metadata::MetadataTopic,
) -> Result<(), BusError> {
    let (found, wanted) = (crate::partition::count(topic), config.partitions);
    if found == wanted {
        return Ok(());
    }
    Err(BusError::Partitions { name: topic.name().to_owned(), found, wanted })
}

fn left(deadline: Instant) -> Duration {
    // Zero would mean "do not wait at all", and the answer may be at hand.
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(10))
}

/// Runs a call of librdkafka that blocks, off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &'static str,
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BusError> {
    tokio::task::spawn_blocking(call).await.map_err(|_| BusError::Deadline { what })
}

/// Whether librdkafka itself goes on after this error.
pub(crate) fn is_fatal(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageConsumptionFatal(_))
        || error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal)
}
