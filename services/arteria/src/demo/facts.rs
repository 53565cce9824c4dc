//! The demo's look at the log: the very records on `unit.facts`, with partition and offset.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kit_bus::{Bus, Polled, Reader, ReaderOptions, Topic};
use kit_config::Settings;
use kit_event::{Fact, UnitId};

use crate::topics::bus_config;

/// A fact as it was found on the log.
pub struct Found {
    pub fact: Fact,
    pub partition: i32,
    pub offset: i64,
    pub bytes: usize,
}

/// A reader of `unit.facts` that begins where the log ended when the demo began.
pub struct Facts {
    bus: Bus,
    reader: Reader,
    found: Vec<Found>,
}

/// Facts kept for later steps; the demo makes a few dozen.
const KEPT_MAX: usize = 1_000;

impl Facts {
    pub async fn open(settings: &Settings) -> Result<Self> {
        let bus = Bus::connect(&bus_config(settings)).await?;
        let reader = bus.reader("demo", ReaderOptions::default())?;
        let mut starts = Vec::new();
        for partition in 0..bus.partitions() {
            starts.push((partition, bus.watermarks(Topic::Facts, partition).await?.high));
        }
        reader.assign(Topic::Facts, starts).await?;
        Ok(Self { bus, reader, found: Vec::new() })
    }

    /// The log.
    pub fn bus(&self) -> Bus {
        self.bus.clone()
    }

    /// Waits until the log holds a fact of this type about this thing.
    pub async fn wait_for(
        &mut self,
        unit: &UnitId,
        type_name: &str,
        subject: &str,
        within: Duration,
    ) -> Result<Found> {
        let what = format!("{type_name} about {subject}");
        let is_it =
            |fact: &Fact| fact.type_name == type_name && fact.subject.as_deref() == Some(subject);
        self.wait_for_one_that(unit, &what, is_it, within).await
    }

    /// Waits until the log holds a fact of the unit that `is_it`; `what` names it where none comes.
    pub async fn wait_for_one_that(
        &mut self,
        unit: &UnitId,
        what: &str,
        is_it: impl Fn(&Fact) -> bool,
        within: Duration,
    ) -> Result<Found> {
        let deadline = Instant::now() + within;
        loop {
            let fits = |found: &Found| found.fact.unit == *unit && is_it(&found.fact);
            if let Some(at) = self.found.iter().position(fits) {
                return Ok(self.found.swap_remove(at));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(polled) = tokio::time::timeout(left, self.reader.next()).await else {
                bail!("no {what} came on the log");
            };
            match polled.context("the reader of the log ended")? {
                Polled::Record(record) => {
                    let fact = self.bus.open_fact(&record).await?;
                    if self.found.len() == KEPT_MAX {
                        self.found.remove(0);
                    }
                    self.found.push(Found {
                        fact,
                        partition: record.partition,
                        offset: record.offset,
                        bytes: record.payload.as_ref().map_or(0, Vec::len),
                    });
                }
                Polled::Failed(error) => return Err(error).context("reading the log"),
                Polled::OutOfRange { .. } | Polled::EndOfPartition { .. } => {}
            }
        }
    }
}
