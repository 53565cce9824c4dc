//! The gateway's ear: its own partition of `unit.replies`.

use anyhow::Context;
use kit_bus::{Bus, Polled, RawRecord, Reader, ReaderOptions, Topic};
use requests::{Answer, Reply};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use kit_request::pending::Pending;
use kit_telemetry::chain;

/// A reply ends the broker's wait by itself, so a long fetch costs no time.
const FETCH_WAIT_MS: u32 = 500;
/// Replies between the reading thread and who waits.
const CHANNEL_RECORDS: usize = 4_096;

/// Reads the replies of one partition.
pub struct Replies {
    bus: Bus,
    reader: Reader,
    pending: Pending,
    partition: i32,
}

impl Replies {
    /// Listens on `partition` from now on: what was said before has nobody waiting for it here.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn listen(bus: &Bus, partition: i32, pending: Pending) -> anyhow::Result<Self> {
        let options = ReaderOptions {
            fetch_wait_ms: FETCH_WAIT_MS,
            channel_records: CHANNEL_RECORDS,
            ..ReaderOptions::default()
        };
        let reader = bus.reader("gateway-replies", options).context("starting the reader")?;
        let this = Self { bus: bus.clone(), reader, pending, partition };
        this.assign_end().await?;
        Ok(this)
    }

    async fn assign_end(&self) -> anyhow::Result<()> {
        let ends = self.bus.watermarks(Topic::Replies, self.partition).await?;
        self.reader.assign(Topic::Replies, vec![(self.partition, ends.high)]).await?;
        Ok(())
    }

    /// Hands replies to who waits, until `stop`.
    ///
    /// # Errors
    /// The reader is of no further use.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            let polled = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                polled = self.reader.next() => polled,
            };
            match polled.context("the reader of replies ended")? {
                Polled::Record(record) => self.take(&record).await,
                Polled::EndOfPartition { .. } => {}
                // Replies live for hours; who waited for those that are gone has left.
                Polled::OutOfRange { .. } => self.assign_end().await?,
                Polled::Failed(error) => {
                    tracing::warn!(error = %chain(&error), "reading replies");
                }
            }
        }
    }

    /// A reply that cannot be read is lost as a shortcut only; the fact behind it is not.
    async fn take(&self, record: &RawRecord) {
        let opened = match self.bus.open(record).await {
            Ok(opened) => opened,
            Err(error) => {
                let (offset, error) = (record.offset, chain(&error));
                tracing::warn!(offset, error, "reply passed over");
                return;
            }
        };
        let read = match opened.type_name.as_str() {
            Reply::TYPE => Reply::deserialize(&opened.body).map(|reply| self.pending.hear(reply)),
            Answer::TYPE => {
                Answer::deserialize(&opened.body).map(|answer| self.pending.answered(answer))
            }
            _ => return,
        };
        // What serde says of a body may quote it.
        if read.is_err() {
            let (offset, type_name) = (record.offset, opened.type_name.as_str());
            tracing::warn!(offset, type_name, "a reply that does not read was passed over");
        }
    }
}
