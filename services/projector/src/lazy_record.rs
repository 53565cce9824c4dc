//! A record of the log, fetched once, and opened at most once whoever reads it.
//!
//! All domains of a process see the same records. What is worth doing once is done here: the labels
//! are parsed and the body is decoded by whoever needs them first.

use std::sync::{Arc, OnceLock};

use kit_bus::{Bus, RawRecord, headers};
use kit_event::{Fact, Timestamp, UnitId, UnitSeq};
use kit_telemetry::chain;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::error::{SessionError, Unopened};

/// What a fact's headers say of it.
#[derive(Debug, Clone)]
pub(crate) struct Labels {
    pub unit: UnitId,
    pub seq: UnitSeq,
    pub id: Uuid,
    pub time: Timestamp,
}

/// A record, and what was found in it so far.
pub(crate) struct LazyRecord {
    pub record: RawRecord,
    labels: OnceLock<Option<Labels>>,
    opened: OnceCell<Result<Arc<Fact>, String>>,
}

impl LazyRecord {
    pub fn of(record: RawRecord) -> Arc<Self> {
        Arc::new(Self { record, labels: OnceLock::new(), opened: OnceCell::new() })
    }

    /// Unit, number, id and time; none where one is missing. A record without a type has none.
    pub fn labels(&self) -> Option<&Labels> {
        let found = self.labels.get_or_init(|| {
            let (unit, seq) = self.number()?;
            let id = self.record.ce_id()?.parse().ok()?;
            let time = self.record.header(headers::TIME)?.parse().ok()?;
            self.record.ce_type()?;
            Some(Labels { unit, seq, id, time })
        });
        found.as_ref()
    }

    /// Unit and number alone, which a record may have whose other labels are broken.
    pub fn number(&self) -> Option<(UnitId, UnitSeq)> {
        let unit = self.record.key.as_deref()?.parse().ok()?;
        let seq = self.record.unit_seq().filter(|seq| kit_store::number::is_possible(*seq))?;
        Some((unit, seq))
    }

    /// The fact in it, or why it does not read.
    ///
    /// # Errors
    /// It cannot be told just now, because the registry is away or refused; nothing is remembered.
    pub async fn fact(&self, bus: &Bus) -> Result<&Result<Arc<Fact>, String>, SessionError> {
        self.opened
            .get_or_try_init(|| async {
                match bus.open_fact(&self.record).await.map_err(Unopened::from) {
                    Ok(fact) => Ok(Ok(Arc::new(fact))),
                    Err(Unopened::Unreadable(error)) => Ok(Err(chain(&error))),
                    Err(Unopened::Session(error)) => Err(error),
                }
            })
            .await
    }
}
