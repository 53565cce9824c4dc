//! What an operator does with a parked record: it goes on its topic again, or is done with.
//!
//! `parked` is a log like the others, so a decision is one more record on it: a mark that names the
//! origin. Who lists parked records leaves out those that have one.

use crate::bus::Bus;
use crate::config::Topic;
use crate::error::{BusError, OpenError, PublishError};
use crate::headers;
use crate::produce::Placed;
use crate::publish::Sealed;
use crate::record::RawRecord;
use crate::scan::ScanError;

/// How a parked record was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It went on its topic again, or its unit was asked to state it anew.
    Redriven,
    /// Nobody wants it any more.
    Dropped,
}

impl Settled {
    /// Its name in the mark.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Redriven => "redriven",
            Self::Dropped => "dropped",
        }
    }
}

/// Where a record was before it was parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// On which topic.
    pub topic: Topic,
    /// In which partition.
    pub partition: i32,
    /// At which offset.
    pub offset: i64,
}

impl Origin {
    /// Reads `<topic>/<partition>/<offset>`; none for what was never on the log.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut pieces = text.split('/');
        let topic = Topic::of_name("", pieces.next()?)?;
        let (partition, offset) = (pieces.next()?.parse().ok()?, pieces.next()?.parse().ok()?);
        pieces.next().is_none().then_some(Self { topic, partition, offset })
    }
}

/// Why a parked record does not go on its topic again.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// It was never on a topic on which it could go again.
    #[error("only records of unit.facts and unit.requests go again, not one of {origin}")]
    Topic {
        /// Where it came from.
        origin: String,
    },
    /// Its copy has no value, and it is not at its origin any more.
    #[error("its value was too large to be copied, and {origin} holds it no longer")]
    Gone {
        /// Where it came from.
        origin: String,
    },
    /// It would be parked again.
    #[error("it still does not read")]
    Unreadable(#[source] OpenError),
    /// Its origin could not be read.
    #[error("reading its origin")]
    Bus(#[from] BusError),
    /// Its origin could not be read.
    #[error("reading its origin")]
    Scan(#[from] ScanError),
    /// It could not be put on its topic.
    #[error("putting it on its topic")]
    Publish(#[from] PublishError),
}

impl Bus {
    /// The record as it stood at its origin, where its key belongs.
    ///
    /// # Errors
    /// It is of no topic on which records go again, or too large to have been copied and gone.
    pub async fn restored(&self, parked: &RawRecord) -> Result<RawRecord, RedriveError> {
        let text = parked.header(headers::PARKED_ORIGIN).unwrap_or("-");
        let origin = Origin::parse(text)
            .filter(|origin| matches!(origin.topic, Topic::Facts | Topic::Requests))
            .ok_or_else(|| RedriveError::Topic { origin: text.to_owned() })?;
        let mut record = match parked.payload {
            Some(_) => parked.clone(),
            None => self.at(origin).await?.ok_or(RedriveError::Gone { origin: text.to_owned() })?,
        };
        record.headers.retain(|(name, _)| !headers::PARKED.contains(&name.as_str()));
        record.topic = origin.topic;
        record.partition = self.partition_of(record.key.as_deref().unwrap_or_default());
        Ok(record)
    }

    /// Whether a record reads as what its topic holds.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn reads(&self, record: &RawRecord) -> Result<(), RedriveError> {
        let opened = match record.topic {
            Topic::Facts => self.open_fact(record).await.map(|_| ()),
            Topic::Requests => self.open_request(record).await.map(|_| ()),
            Topic::Replies | Topic::Presence | Topic::Parked | Topic::Domain(_) => {
                self.open(record).await.map(|_| ())
            }
        };
        opened.map_err(RedriveError::Unreadable)
    }

    /// Puts a record on its topic once more, byte for byte, and waits for the broker's word.
    ///
    /// # Errors
    /// It does not read, or the brokers do not take it.
    pub async fn put_again(&self, record: RawRecord) -> Result<Placed, RedriveError> {
        self.reads(&record).await?;
        let sealed = Sealed {
            topic: record.topic,
            partition: Some(record.partition),
            key: record.key.unwrap_or_default(),
            headers: record.headers,
            value: record.payload,
            type_name: "redriven".into(),
        };
        Ok(self.enqueue(sealed)?.await?)
    }

    /// Marks a parked record as settled.
    ///
    /// # Errors
    /// The brokers do not take the mark.
    pub async fn settle(&self, parked: &RawRecord, how: Settled) -> Result<(), PublishError> {
        let origin = parked.header(headers::PARKED_ORIGIN).unwrap_or_default().to_owned();
        let settled = how.as_str().to_owned();
        let sealed = Sealed {
            topic: Topic::Parked,
            partition: Some(parked.partition),
            key: parked.key.clone().unwrap_or_default(),
            headers: vec![
                (headers::PARKED_ORIGIN.to_owned(), origin),
                (headers::PARKED_SETTLED.to_owned(), settled),
            ],
            value: None,
            type_name: "parked".into(),
        };
        self.enqueue(sealed)?.await.map(|_| ())
    }

    /// Has the compacted topic forget the key of the record at `origin`, unless a newer record of
    /// that key stands behind it; says whether it did.
    ///
    /// # Errors
    /// The brokers do not answer, or do not take it.
    pub async fn forget(&self, origin: Origin) -> Result<bool, RedriveError> {
        let Some(record) = self.at(origin).await? else { return Ok(false) };
        let Some(key) = record.key else { return Ok(false) };
        let (topic, partition) = (origin.topic, origin.partition);
        let end = self.watermarks(topic, partition).await?.high;
        let mut scan = self.scans(1).scan(topic, partition, origin.offset + 1, end).await?;
        while let Some(newer) = scan.next().await {
            if newer?.key.as_deref() == Some(key.as_str()) {
                return Ok(false);
            }
        }
        let (partition, type_name) = (Some(partition), "forgotten".into());
        let sealed = Sealed { topic, partition, key, headers: Vec::new(), value: None, type_name };
        self.enqueue(sealed)?.await?;
        Ok(true)
    }

    async fn at(&self, origin: Origin) -> Result<Option<RawRecord>, RedriveError> {
        let Origin { topic, partition, offset } = origin;
        let ends = self.watermarks(topic, partition).await?;
        if !(ends.low..ends.high).contains(&offset) {
            return Ok(None);
        }
        let mut scan = self.scans(1).scan(topic, partition, offset, offset + 1).await?;
        Ok(scan.next().await.transpose()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_topic_a_partition_and_an_offset() {
        let origin = Origin { topic: Topic::Facts, partition: 3, offset: 17 };
        assert_eq!(Origin::parse("unit.facts/3/17"), Some(origin));
        for bad in ["", "unit.facts/3", "unit.facts/3/17/1", "unit.v1/hcu-0001/1-3", "x/1/2"] {
            assert_eq!(Origin::parse(bad), None, "{bad}");
        }
    }
}
