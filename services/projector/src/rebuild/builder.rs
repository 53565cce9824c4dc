//! Leads one copy to a place on the log that somebody else names, and no record further.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit_bus::Topic;
use kit_store::progress::Offsets;
use kit_store::{Place, Projection};

use crate::batch_reader::{BatchReader, Inbatch};
use crate::error::SessionError;
use crate::host::Host;
use crate::lazy_record::LazyRecord;
use crate::table_writer::{Positions, TableWriter};

/// How often somebody hears how far it is.
const TELL_EVERY_MS: u64 = 1_000;
/// A log that gives nothing for this long, although it has more, is away.
const SILENT_AFTER_S: u64 = 60;

pub(super) struct Builder<'h> {
    host: &'h Host,
    projection: &'static dyn Projection,
    place: Place,
    table_writer: TableWriter<'h>,
    batch_reader: BatchReader,
}

/// Where the log must be read to, and which partitions were.
struct Targets {
    ends: Positions,
    reached: HashMap<(Topic, i32), bool>,
}

impl<'h> Builder<'h> {
    pub async fn begin(
        host: &'h Host,
        projection: &'static dyn Projection,
        place: Place,
    ) -> Result<Self, SessionError> {
        let table_writer = TableWriter::begin(host, projection, place).await?;
        let name = place.schema(projection.schema());
        let batch_reader =
            BatchReader::assigned(&host.bus, projection, &name, None, &table_writer.positions)
                .await?;
        Ok(Self { host, projection, place, table_writer, batch_reader })
    }

    pub fn place(&self) -> Place {
        self.place
    }

    /// The ends of everything that the domain reads.
    pub async fn log_ends(&self) -> Result<Offsets, SessionError> {
        let mut ends = Offsets::new();
        for (topic, partition) in self.table_writer.positions.keys() {
            let high = self.host.bus.watermarks(*topic, *partition).await?.high;
            ends.insert((self.host.topic_name(*topic), *partition), high);
        }
        Ok(ends)
    }

    /// Whether no partition is further than `offsets`: the copy can still be led there.
    pub fn is_behind(&self, offsets: &Offsets) -> bool {
        self.named(offsets).iter().all(|(place, to)| self.at(*place) <= *to)
    }

    /// How many partitions stand elsewhere than in `offsets`.
    pub fn partitions_apart(&self, offsets: &Offsets) -> usize {
        self.named(offsets).iter().filter(|(place, to)| self.at(**place) != **to).count()
    }

    /// Reads up to `offsets`, and no further. A place beyond the log's end is one that this log
    /// never had; there the end is as far as one can go.
    pub async fn reach(
        &mut self,
        offsets: &Offsets,
        tell: &(dyn Fn(i64, i64) + Send + Sync),
    ) -> Result<(), SessionError> {
        let mut ends = self.named(offsets);
        for ((topic, partition), to) in &mut ends {
            if self.at((*topic, *partition)) < *to {
                *to = (*to).min(self.host.bus.watermarks(*topic, *partition).await?.high);
            }
        }
        let left = |positions: &Positions| -> i64 {
            let behind = |(place, to): (&(Topic, i32), &i64)| {
                (to - positions.get(place).copied().unwrap_or_default()).max(0)
            };
            ends.iter().map(behind).sum()
        };
        let of = left(&self.table_writer.positions);
        if of == 0 {
            return Ok(());
        }
        let mut targets = Targets { ends: ends.clone(), reached: HashMap::new() };
        self.batch_reader.reassign(&self.table_writer.positions).await?;
        let mut told = Instant::now();
        while !targets.are_reached(&self.table_writer.positions) {
            let batch = self.next_batch().await?;
            let batch = targets.cut(batch);
            if !batch.is_empty() {
                self.table_writer.write(batch).await?;
            }
            if told.elapsed() >= Duration::from_millis(TELL_EVERY_MS) {
                told = Instant::now();
                tell(of - left(&self.table_writer.positions), of);
            }
        }
        tell(of, of);
        Ok(())
    }

    async fn next_batch(&mut self) -> Result<Inbatch, SessionError> {
        let within = Duration::from_secs(SILENT_AFTER_S);
        match tokio::time::timeout(within, self.batch_reader.gather(true)).await {
            Ok(batch) => batch,
            Err(_) => {
                Err(SessionError::Stalled { act: "reading the log", within_s: SILENT_AFTER_S })
            }
        }
    }

    fn at(&self, place: (Topic, i32)) -> i64 {
        self.table_writer.positions.get(&place).copied().unwrap_or_default()
    }

    /// Offsets by topic, as far as this domain reads them.
    fn named(&self, offsets: &Offsets) -> Positions {
        let mut topics = vec![Topic::Facts];
        topics.extend(self.projection.reads_requests().then_some(Topic::Requests));
        let mut named = Positions::new();
        for topic in topics {
            let name = self.host.topic_name(topic);
            let of_topic = offsets.iter().filter(|((stored, _), _)| *stored == name);
            named.extend(of_topic.map(|((_, partition), next)| ((topic, *partition), *next)));
        }
        named
    }
}

impl Targets {
    /// The batch without what lies at the targets or after them.
    fn cut(&mut self, mut batch: Inbatch) -> Inbatch {
        for lazy_records in [&mut batch.facts, &mut batch.requests] {
            lazy_records.retain(|lazy_record| self.wants(lazy_record));
        }
        batch
    }

    fn wants(&mut self, lazy_record: &Arc<LazyRecord>) -> bool {
        let place = (lazy_record.record.topic, lazy_record.record.partition);
        let is_wanted = self.ends.get(&place).is_some_and(|end| lazy_record.record.offset < *end);
        if !is_wanted {
            // Whatever came before it has come: an offset that is missing there never was.
            self.reached.insert(place, true);
        }
        is_wanted
    }

    fn are_reached(&self, positions: &Positions) -> bool {
        self.ends.iter().all(|(place, end)| {
            positions.get(place).is_some_and(|next| next >= end) || self.reached.contains_key(place)
        })
    }
}
