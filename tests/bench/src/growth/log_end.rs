//! How long the log is, as any Kafka client sees it.

use std::time::Duration;

use anyhow::Result;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

/// A broker under load answers for one partition well within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// A client that only asks for the ends of partitions.
pub struct LogEnd(BaseConsumer);

impl LogEnd {
    pub fn open(kafka: &str) -> Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", kafka).set("group.id", "bench-growth");
        Ok(Self(config.create()?))
    }

    /// Records on `unit.facts`.
    pub fn facts(&self) -> Result<i64> {
        self.sum(|topic| topic == "unit.facts")
    }

    /// Records on the public topics.
    pub fn public(&self) -> Result<i64> {
        self.sum(|topic| topic.starts_with("domain."))
    }

    fn sum(&self, wanted: impl Fn(&str) -> bool) -> Result<i64> {
        let metadata = self.0.fetch_metadata(None, ANSWER_WITHIN)?;
        let mut sum = 0;
        for topic in metadata.topics().iter().filter(|topic| wanted(topic.name())) {
            for partition in topic.partitions() {
                sum += self.0.fetch_watermarks(topic.name(), partition.id(), ANSWER_WITHIN)?.1;
            }
        }
        Ok(sum)
    }
}
