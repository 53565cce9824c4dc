//! A record as it came from the log.

use kit_event::UnitSeq;
use rdkafka::Message;
use rdkafka::message::Headers as _;

use crate::config::Topic;
use crate::headers;

/// A record before anybody has looked into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// Of which topic.
    pub topic: Topic,
    /// Of which partition.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// Its key, where it is text.
    pub key: Option<String>,
    /// Its headers, those that are text.
    pub headers: Vec<(String, String)>,
    /// Its value; none where a compacted topic forgets the key.
    pub payload: Option<Vec<u8>>,
    /// When the producer or the broker stamped it, in milliseconds.
    pub timestamp_ms: i64,
}

impl RawRecord {
    pub(crate) fn of(topic: Topic, message: &impl Message) -> Self {
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
        let mut headers = Vec::new();
        if let Some(raw) = message.headers() {
            for header in raw.iter() {
                if let Some(value) = header.value.and_then(text) {
                    headers.push((header.key.to_owned(), value));
                }
            }
        }
        Self {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().and_then(text),
            headers,
            payload: message.payload().map(<[u8]>::to_vec),
            timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
        }
    }

    /// A header by name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The number that the headers name, without looking into the body.
    #[must_use]
    pub fn unit_seq(&self) -> Option<UnitSeq> {
        let epoch = self.header(headers::UNIT_EPOCH)?.parse().ok()?;
        let seq = self.header(headers::UNIT_SEQ)?.parse().ok()?;
        Some(UnitSeq::new(epoch, seq))
    }

    /// The type that the headers name.
    #[must_use]
    pub fn ce_type(&self) -> Option<&str> {
        self.header(headers::TYPE)
    }

    /// The id that the headers name.
    #[must_use]
    pub fn ce_id(&self) -> Option<&str> {
        self.header(headers::ID)
    }
}
