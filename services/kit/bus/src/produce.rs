//! The producer: one, idempotent, and the broker's word on each message.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use kit_event::Timestamp;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::{Message as _, Timestamp as MessageTime};
use rdkafka::producer::{DeliveryResult, ProducerContext, ThreadedProducer};
use tokio::sync::oneshot;

use crate::bus::Delivering;
use crate::client;
use crate::config::Topic;
use crate::error::PublishError;
use crate::metrics;

/// A message that the broker has not confirmed after this has failed. Ten seconds outlast a
/// broker's restart; the default of five minutes would hold a clinic's ACK after its link died.
pub const DELIVERY_MS_MAX: u64 = 10_000;
/// Messages waiting in the producer. At 1,000 requests a second it is a minute and a half.
pub const QUEUED_MESSAGES_MAX: u32 = 100_000;
/// Bytes waiting in the producer; beyond it callers are told `QueueFull`.
pub const QUEUED_KIB_MAX: u32 = 65_536;
/// How long a gapless producer gathers what goes to one partition. It is used by who sends batches,
/// and half-empty requests would cost the broker more than these milliseconds.
const GATHERED_MS: &str = "2";
/// The largest record, headers included: what a broker takes without being told otherwise.
pub const RECORD_BYTES_MAX: u32 = 1_048_576;

/// Where a record stands on the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
}

/// The broker's word on one message; await it for [`Placed`]. Dropping it leaves the message on its
/// way.
#[derive(Debug)]
pub struct Delivery {
    word: oneshot::Receiver<Result<Logged, PublishError>>,
}

/// Where a record stands on the log, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logged {
    /// Where.
    pub placed: Placed,
    /// When the broker took it, by its own clock; none on a topic that keeps its writers' time.
    pub at: Option<Timestamp>,
}

impl Delivery {
    /// Waits for the broker's word, and for the time that it gave the record.
    ///
    /// # Errors
    /// The broker did not confirm.
    pub async fn logged(self) -> Result<Logged, PublishError> {
        self.word.await.unwrap_or(Err(PublishError::Gone))
    }
}

impl Future for Delivery {
    type Output = Result<Placed, PublishError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.word)
            .poll(context)
            .map(|word| word.unwrap_or(Err(PublishError::Gone)).map(|logged| logged.placed))
    }
}

pub(crate) type Producer = ThreadedProducer<Deliveries>;

/// Hands each delivery report to whoever waits for it.
pub(crate) struct Deliveries;

pub(crate) struct Waiting {
    word: oneshot::Sender<Result<Logged, PublishError>>,
    type_name: Arc<str>,
    topic: Topic,
    since: Instant,
}

/// A message's two ends: what travels with it, and what its sender awaits.
pub(crate) fn awaited(topic: Topic, type_name: &Arc<str>) -> (Box<Waiting>, Delivery) {
    let (word, delivery) = oneshot::channel();
    let type_name = type_name.clone();
    let waiting = Waiting { word, type_name, topic, since: Instant::now() };
    (Box::new(waiting), Delivery { word: delivery })
}

const CLIENT: &str = "producer";

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log_line(CLIENT, level, facility, message);
    }

    fn stats(&self, statistics: rdkafka::Statistics) {
        metrics::PRODUCER_QUEUE.get().set(statistics.msg_cnt as f64);
    }

    fn error(&self, error: KafkaError, _reason: &str) {
        client::count_error(CLIENT, &error);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Waiting>;

    fn delivery(&self, result: &DeliveryResult<'_>, waiting: Box<Waiting>) {
        let topic = waiting.topic.as_str();
        let word = match result {
            Ok(message) => {
                metrics::PRODUCED.of([topic]).increment(1);
                let seconds = waiting.since.elapsed().as_secs_f64();
                metrics::DELIVERY_SECONDS.of([topic]).record(seconds);
                let at = match message.timestamp() {
                    MessageTime::LogAppendTime(ms) => Some(Timestamp::from_unix_ms(ms)),
                    MessageTime::CreateTime(_) | MessageTime::NotAvailable => None,
                };
                let placed = Placed { partition: message.partition(), offset: message.offset() };
                Ok(Logged { placed, at })
            }
            Err((error, _)) => {
                metrics::DELIVERY_FAILURES.of([topic]).increment(1);
                Err(PublishError::delivery(&waiting.type_name, error.clone()))
            }
        };
        // Nobody waiting any more is no failure: the record is on the log all the same.
        let _ = waiting.word.send(word);
    }
}

pub(crate) fn producer_config(brokers: &str, delivering: Delivering) -> ClientConfig {
    let mut config = client::config(brokers, CLIENT);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("max.in.flight.requests.per.connection", "5")
        .set("linger.ms", "0")
        .set("compression.type", "lz4")
        .set("partitioner", "murmur2_random")
        .set("delivery.timeout.ms", DELIVERY_MS_MAX.to_string())
        .set("message.max.bytes", RECORD_BYTES_MAX.to_string())
        .set("queue.buffering.max.messages", QUEUED_MESSAGES_MAX.to_string())
        .set("queue.buffering.max.kbytes", QUEUED_KIB_MAX.to_string());
    match delivering {
        Delivering::InTime => {}
        Delivering::Gapless => {
            config
                .set("enable.gapless.guarantee", "true")
                // Zero is for ever.
                .set("delivery.timeout.ms", "0")
                .set("linger.ms", GATHERED_MS)
                .set("compression.type", "gzip")
                .set("compression.level", "1");
        }
    }
    config
}
