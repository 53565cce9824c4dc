//! Whom to believe where a record and the registry disagree on a schema.
//!
//! A value bears the id of its schema, its headers name that schema and its fingerprint. Where the
//! registry has another schema behind the id, either the record lies or the registry is not the one
//! that the log was written with. A body is decoded with neither. What differs is who is at fault:
//! one record counts as unreadable, and its key alone suffers; a registry that no record agrees
//! with must be waited for, because every record would look like a fault of its own.
//!
//! So the log is the witness: some of its records are looked at, and one that agrees is enough. A
//! registry that is wrong in part makes unreadable what it is wrong about; those records are parked
//! and their numbers stay open, so all of it can be redriven.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kit_body::schema::BodySchema;
use tokio::sync::Mutex;
use tokio::time::{Duration, Instant};

use crate::bus::Bus;
use crate::config::Topic;
use crate::error::OpenError;
use crate::headers::{self, DataSchema};
use crate::open::framed;
use crate::record::RawRecord;
use crate::seal::SEALED_SCHEMA;

/// Records looked at in each partition, newest last. Others may be at fault too.
const WITNESSES: i64 = 8;
/// Where witnesses stand, likeliest first.
const TOPICS: [Topic; 3] = [Topic::Facts, Topic::Presence, Topic::Requests];
/// Keys that must disagree, and nobody agree, before the registry is at fault.
const KEYS_MIN: usize = 2;
/// For so long what was found is not looked for again.
const FOUND_KEPT_MS: u64 = 5_000;

/// What this process knows of its registry.
#[derive(Default)]
pub(crate) struct Trust {
    /// A record and the registry agreed.
    has_agreed: AtomicBool,
    /// When the registry was last found to be at fault, or not.
    found: Mutex<Option<(Instant, bool)>>,
}

/// What a sample of the log says.
#[derive(Default)]
struct Sample {
    agrees: bool,
    /// Keys whose records disagree.
    against: HashSet<Option<String>>,
}

impl Bus {
    /// The schema behind `id`, where the record that bears it names the same one.
    pub(crate) async fn agreed_schema(
        &self,
        id: u32,
        named: &DataSchema<'_>,
    ) -> Result<Arc<BodySchema>, OpenError> {
        let schema = self.schemas().by_id(id).await;
        let mut schema = schema.map_err(|source| OpenError::Schema { id, source })?;
        if schema.name() == SEALED_SCHEMA {
            return Ok(schema); // The schema that the headers name is within.
        }
        if !is_named(&schema, named) {
            schema = self.schemas().reread(id).await.unwrap_or(schema);
        }
        if is_named(&schema, named) {
            self.inner.trust.has_agreed.store(true, Ordering::Relaxed);
            return Ok(schema);
        }
        let held = format!("{} {}", schema.name(), schema.fingerprint());
        let named = format!("{} {}", named.name, named.fingerprint);
        if self.is_registry_at_fault().await {
            return Err(OpenError::OtherRegistry { id, held, named });
        }
        Err(OpenError::Mismatch { id, held, named })
    }

    async fn is_registry_at_fault(&self) -> bool {
        let trust = &self.inner.trust;
        if trust.has_agreed.load(Ordering::Relaxed) {
            return false;
        }
        let mut found = trust.found.lock().await;
        if let Some((at, is_at_fault)) = *found
            && at.elapsed() < Duration::from_millis(FOUND_KEPT_MS)
        {
            return is_at_fault;
        }
        let mut sample = Sample::default();
        for topic in TOPICS {
            self.hear(topic, &mut sample).await;
            if sample.agrees {
                trust.has_agreed.store(true, Ordering::Relaxed);
                return false;
            }
        }
        let is_at_fault = sample.against.len() >= KEYS_MIN;
        *found = Some((Instant::now(), is_at_fault));
        is_at_fault
    }

    /// Hears the newest records of a topic, and stops at the first that agrees. What cannot be read
    /// says nothing.
    async fn hear(&self, topic: Topic, sample: &mut Sample) {
        let Ok(ends) = self.ends(topic).await else { return };
        let scans = self.scans(1);
        for (partition, to) in ends.into_iter().filter(|(_, to)| *to > 0) {
            let Ok(low) = self.watermarks(topic, partition).await.map(|ends| ends.low) else {
                continue;
            };
            let from = low.max(to - WITNESSES);
            let Ok(mut scan) = scans.scan(topic, partition, from, to).await else { continue };
            while let Some(Ok(record)) = scan.next().await {
                self.hear_one(&record, sample).await;
                if sample.agrees {
                    return;
                }
            }
        }
    }

    async fn hear_one(&self, record: &RawRecord, sample: &mut Sample) {
        let named = record.header(headers::DATA_SCHEMA).and_then(DataSchema::parse);
        let framed = record.payload.as_deref().and_then(framed);
        let (Some(named), Some((id, _))) = (named, framed) else { return };
        let Ok(schema) = self.schemas().by_id(id).await else { return };
        if is_named(&schema, &named) {
            sample.agrees = true;
        } else {
            sample.against.insert(record.key.clone());
        }
    }
}

fn is_named(schema: &BodySchema, named: &DataSchema<'_>) -> bool {
    (schema.name(), schema.fingerprint()) == (named.name, named.fingerprint)
}
