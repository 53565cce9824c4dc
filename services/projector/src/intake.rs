//! A record is looked into, as far as its domain needs.

use std::sync::Arc;

use kit_bus::{Bus, RawRecord};
use kit_event::{Fact, Timestamp, UnitId, UnitSeq};
use kit_store::{Asked, EPOCH_SEEDED, HeldRecord, Projection};
use kit_telemetry::chain;
use uuid::Uuid;

use crate::error::{SessionError, Unopened};
use crate::lazy_record::{Labels, LazyRecord};

/// A record of `unit.facts` after a look.
pub(crate) enum Looked {
    /// It bears a number.
    Numbered(Numbered),
    /// It counts as not received. Its headers may still tell which fact is missing.
    Unreadable { lazy_record: Arc<LazyRecord>, number: Option<(UnitId, UnitSeq)>, cause: String },
}

/// A fact that reads.
pub(crate) struct Numbered {
    pub unit: UnitId,
    pub seq: UnitSeq,
    pub id: Uuid,
    pub time: Timestamp,
    /// None where the type is another domain's: then only the number counts.
    pub fact: Option<Arc<Fact>>,
    pub lazy_record: Arc<LazyRecord>,
}

/// Looks into a record of `unit.facts`. Every domain asks whether all of it reads, whether or not
/// the type is its own: a record counts for all of them or for none, or else one that bears a
/// number without right would take it from the fact that has it.
pub(crate) async fn look(
    bus: &Bus,
    projection: &dyn Projection,
    lazy_record: Arc<LazyRecord>,
) -> Result<Looked, SessionError> {
    let unreadable = |cause: String| {
        // On a foreign partition it says nothing of the unit's order.
        let number = lazy_record
            .number()
            .filter(|(unit, _)| bus.partition_of(unit.as_str()) == lazy_record.record.partition);
        Ok(Looked::Unreadable { number, cause, lazy_record: lazy_record.clone() })
    };
    let Some(Labels { unit, seq, id, time }) = lazy_record.labels().cloned() else {
        return unreadable("it bears no unit, number, id, type or time".to_owned());
    };
    match lazy_record.fact(bus).await? {
        Err(cause) => unreadable(cause.clone()),
        Ok(fact) => {
            let is_read = projection.reads(&fact.type_name) || fact.type_name == EPOCH_SEEDED;
            let fact = is_read.then(|| fact.clone());
            Ok(Looked::Numbered(Numbered { unit, seq, id, time, fact, lazy_record }))
        }
    }
}

/// Looks into a record of `unit.requests`; a cause where it does not read.
pub(crate) async fn look_at_request(
    bus: &Bus,
    record: &RawRecord,
) -> Result<Result<Asked, String>, SessionError> {
    match bus.open_request(record).await.map_err(Unopened::from) {
        Ok(request) if request.id.unit() != request.unit => {
            Ok(Err("its id is of another unit".to_owned()))
        }
        Ok(request) => {
            let log = bus.log_identity(record.topic, record.partition);
            let (partition, position) = (record.partition, record.offset);
            Ok(Ok(Asked { request, log, partition, position }))
        }
        Err(Unopened::Session(error)) => Err(error),
        Err(Unopened::Unreadable(error)) => Ok(Err(chain(&error))),
    }
}

/// The record as it waits in `held`.
pub(crate) fn to_held(numbered: Numbered) -> HeldRecord {
    let record = &numbered.lazy_record.record;
    HeldRecord {
        unit: numbered.unit,
        seq: numbered.seq,
        id: numbered.id,
        partition: record.partition,
        offset: record.offset,
        timestamp_ms: record.timestamp_ms,
        headers: record.headers.clone(),
        payload: record.payload.clone().unwrap_or_default(),
    }
}

/// The record as it came.
pub(crate) fn from_held(held: HeldRecord) -> RawRecord {
    RawRecord {
        topic: kit_bus::Topic::Facts,
        partition: held.partition,
        offset: held.offset,
        key: Some(held.unit.into()),
        headers: held.headers,
        payload: Some(held.payload),
        timestamp_ms: held.timestamp_ms,
    }
}
