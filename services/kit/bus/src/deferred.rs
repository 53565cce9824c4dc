//! A compacted topic is read by one reader for all keys, so no key may hold up another.
//!
//! What waits is the newest record of each key whose schema the registry does not know (yet); when
//! it does, or after a bound, the record comes out. Only a registry that does not answer, or is
//! another one, holds up everything, because nothing can be read without it.

use std::collections::HashMap;
use std::time::Duration;

use crate::bus::Bus;
use crate::error::OpenError;
use crate::open::Opened;
use crate::record::RawRecord;

/// Keys that wait at most. Beyond them a record is at fault at once.
const KEYS_MAX: usize = 1_024;
/// The pause before the registry is asked again.
const AGAIN_MS: u64 = 500;

/// Records that wait for their schema.
#[derive(Default)]
pub struct Deferred {
    newest: HashMap<String, RawRecord>,
}

impl Deferred {
    /// Opens a record; none where it waits here. Waits itself while the registry is away, for as
    /// long as that takes.
    pub async fn open(
        &mut self,
        bus: &Bus,
        record: &RawRecord,
    ) -> Option<Result<Opened, OpenError>> {
        let opened = until_answered(bus, record).await;
        let key = record.key.as_deref().unwrap_or_default();
        match &opened {
            Err(error) if error.is_worth_waiting() && self.newest.len() < KEYS_MAX => {
                self.newest.insert(key.to_owned(), record.clone());
                return None;
            }
            Err(_) => count(record),
            // It says all that an older one of its key could.
            Ok(_) => drop(self.newest.remove(key)),
        }
        Some(opened)
    }

    /// Waits for a moment, then gives what waits no longer; for ever where nothing waits. Safe to
    /// drop and call again.
    pub async fn due(&mut self, bus: &Bus) -> Vec<(RawRecord, Result<Opened, OpenError>)> {
        if self.newest.is_empty() {
            return std::future::pending().await;
        }
        tokio::time::sleep(Duration::from_millis(AGAIN_MS)).await;
        let mut due = Vec::new();
        for record in self.newest.values() {
            let opened = bus.open(record).await;
            if !opened.as_ref().is_err_and(OpenError::is_worth_waiting) {
                due.push((record.clone(), opened));
            }
        }
        for (record, opened) in &due {
            self.newest.remove(record.key.as_deref().unwrap_or_default());
            if opened.is_err() {
                count(record);
            }
        }
        due
    }
}

async fn until_answered(bus: &Bus, record: &RawRecord) -> Result<Opened, OpenError> {
    let mut is_told = false;
    loop {
        match bus.open(record).await {
            Err(error) if error.is_registry_away() || error.is_other_registry() => {
                if !std::mem::replace(&mut is_told, true) {
                    let (topic, partition) = (record.topic.as_str(), record.partition);
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(topic, partition, error, "reading waits for the registry");
                }
                tokio::time::sleep(Duration::from_millis(AGAIN_MS)).await;
            }
            opened => return opened,
        }
    }
}

fn count(record: &RawRecord) {
    crate::metrics::UNREADABLE.of([record.topic.as_str()]).increment(1);
}
