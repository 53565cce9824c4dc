//! A record is looked into, as far as its domain needs.

use kit_bus::{Bus, RawRecord, headers};
use kit_event::{Fact, Timestamp, UnitId, UnitSeq};
use kit_store::{Asked, EPOCH_SEEDED, HeldRecord, Projection};
use uuid::Uuid;

use crate::error::{SessionError, Unopened};

/// A record of `unit.facts` after a look.
pub(crate) enum Looked {
    /// It bears a number.
    Numbered(Numbered),
    /// It counts as not received. Its headers may still tell which fact is missing.
    Unreadable { record: RawRecord, number: Option<(UnitId, UnitSeq)>, cause: String },
}

/// A fact, as far as this domain reads it.
pub(crate) struct Numbered {
    pub unit: UnitId,
    pub seq: UnitSeq,
    pub id: Uuid,
    pub time: Timestamp,
    /// None where the type is another domain's: then only the number counts, and the body is left
    /// alone.
    pub fact: Option<Box<Fact>>,
    pub record: RawRecord,
}

/// Looks into a record of `unit.facts`.
pub(crate) async fn look(
    bus: &Bus,
    projection: &dyn Projection,
    record: RawRecord,
) -> Result<Looked, SessionError> {
    let Some((unit, seq, id, type_name, time)) = labels(&record) else {
        let number = number_of(&record);
        let cause = "it bears no unit, number, id, type or time".to_owned();
        return Ok(Looked::Unreadable { record, number, cause });
    };
    if !(projection.reads(type_name) || type_name == EPOCH_SEEDED) {
        return Ok(Looked::Numbered(Numbered { unit, seq, id, time, fact: None, record }));
    }
    match bus.open_fact(&record).await.map_err(Unopened::from) {
        Ok(fact) => {
            let fact = Some(Box::new(fact));
            Ok(Looked::Numbered(Numbered { unit, seq, id, time, fact, record }))
        }
        Err(Unopened::Session(error)) => Err(error),
        Err(Unopened::Unreadable(error)) => {
            let cause = chain(&error);
            Ok(Looked::Unreadable { record, number: Some((unit, seq)), cause })
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
    let record = numbered.record;
    HeldRecord {
        unit: numbered.unit,
        seq: numbered.seq,
        id: numbered.id,
        partition: record.partition,
        offset: record.offset,
        timestamp_ms: record.timestamp_ms,
        headers: record.headers,
        payload: record.payload.unwrap_or_default(),
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

fn labels(record: &RawRecord) -> Option<(UnitId, UnitSeq, Uuid, &str, Timestamp)> {
    let (unit, seq) = number_of(record)?;
    let id = record.ce_id()?.parse().ok()?;
    let time = record.header(headers::TIME)?.parse().ok()?;
    Some((unit, seq, id, record.ce_type()?, time))
}

fn number_of(record: &RawRecord) -> Option<(UnitId, UnitSeq)> {
    let unit = record.key.as_deref()?.parse().ok()?;
    let seq = record.unit_seq().filter(|seq| kit_store::number::is_possible(*seq))?;
    Some((unit, seq))
}

/// Errors of the bus and of bodies name places and types, never values.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}
