//! What every client of librdkafka has in common: its settings, its log lines, its numbers.

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;

use crate::reader::ReaderOptions;

/// How often librdkafka counts; dashboards look every 15 seconds.
const STATISTICS_EVERY_MS: &str = "10000";
/// After a lost broker the pause between connects grows to this; the default of ten seconds would
/// outlast a restart by eight.
const RECONNECT_PAUSE_MS_MAX: &str = "1000";
/// What one consumer may have fetched ahead. The default of 64 MiB times some twenty consumers
/// would be the memory of the whole process.
const FETCHED_AHEAD_KIB_MAX: &str = "8192";
/// A partition whose local queue was full is fetched again after this; the default of a second
/// makes draining a backlog seven times slower.
const FETCH_AGAIN_AFTER_MS: &str = "10";
/// Manual assignment has no rule about polling, but the setting must be above the session's.
const POLL_PAUSE_MS_MAX: &str = "86400000";

/// The settings of any client.
pub(crate) fn config(brokers: &str, client: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("client.id", format!("arteria-{client}"))
        .set("socket.nagle.disable", "true")
        .set("reconnect.backoff.max.ms", RECONNECT_PAUSE_MS_MAX)
        .set("statistics.interval.ms", STATISTICS_EVERY_MS)
        .set("log.connection.close", "false")
        .set_log_level(RDKafkaLogLevel::Warning);
    config
}

/// The settings of a consumer that is given its partitions by hand.
pub(crate) fn consumer_config(brokers: &str, client: &str, options: ReaderOptions) -> ClientConfig {
    let ReaderOptions { fetch_wait_ms, fetch_bytes_min, end_of_partition, .. } = options;
    let mut config = config(brokers, client);
    config
        // librdkafka assigns only to a consumer with a group; nobody ever joins or commits to it.
        .set("group.id", "arteria-manual")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("allow.auto.create.topics", "false")
        .set("enable.partition.eof", if end_of_partition { "true" } else { "false" })
        .set("fetch.wait.max.ms", fetch_wait_ms.to_string())
        .set("fetch.min.bytes", fetch_bytes_min.to_string())
        .set("fetch.queue.backoff.ms", FETCH_AGAIN_AFTER_MS)
        .set("queued.max.messages.kbytes", FETCHED_AHEAD_KIB_MAX)
        .set("max.poll.interval.ms", POLL_PAUSE_MS_MAX);
    config
}

/// Turns what a client says into log lines and metrics.
pub(crate) struct Watch {
    /// Which client speaks.
    pub client: String,
}

impl ClientContext for Watch {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(&self.client, level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        for (topic, numbers) in &statistics.topics {
            // -1 stands for a partition that is not read, or of which nothing is known yet.
            let partitions = numbers.partitions.values();
            let lags = partitions.map(|one| one.consumer_lag_stored).filter(|lag| *lag >= 0);
            if let Some(lag) = lags.reduce(|sum, lag| sum + lag) {
                let series = [self.client.clone(), topic.clone()];
                crate::metrics::READER_LAG.of(series).set(lag as f64);
            }
        }
    }

    fn error(&self, error: KafkaError, _reason: &str) {
        count_error(&self.client, &error);
    }
}

impl ConsumerContext for Watch {}

pub(crate) fn log_line(client: &str, level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => {
            tracing::error!(kafka.client = client, kafka.facility = facility, "{message}");
        }
        RDKafkaLogLevel::Warning => {
            tracing::warn!(kafka.client = client, kafka.facility = facility, "{message}");
        }
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(kafka.client = client, kafka.facility = facility, "{message}");
        }
    }
}

pub(crate) fn count_error(client: &str, error: &KafkaError) {
    tracing::debug!(kafka.client = client, kafka.error = %error, "librdkafka reports an error");
    crate::metrics::CLIENT_ERRORS.of([client.to_owned()]).increment(1);
}
