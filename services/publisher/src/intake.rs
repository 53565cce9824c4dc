//! A record of `unit.facts` becomes a numbered fact, or counts as not received.

use kit_bus::{Bus, OpenError, RawRecord};
use kit_event::{Fact, UnitId, UnitSeq};
use kit_store::HeldRecord;

use crate::error::Away;

/// A record after a look.
pub(crate) enum Looked {
    /// It bears a number and reads.
    Numbered(Box<Fact>),
    /// It counts as not received. Its headers may still tell which fact is missing; the timeline
    /// parks it and asks for it again.
    Unreadable { number: Option<(UnitId, UnitSeq)> },
}

/// A fact that waits for a hole, and the record that it came in.
pub(crate) struct Held {
    pub fact: Box<Fact>,
    pub record: RawRecord,
}

/// Looks into a record.
///
/// # Errors
/// The registry is away, or another one; that is worth waiting for.
pub(crate) async fn look(bus: &Bus, record: &RawRecord) -> Result<Looked, Away> {
    match bus.open_fact(record).await {
        Ok(fact) if kit_store::number::is_possible(fact.seq) => {
            Ok(Looked::Numbered(Box::new(fact)))
        }
        Ok(_) => Ok(Looked::Unreadable { number: None }),
        Err(error) if error.is_registry_away() || error.is_other_registry() => {
            Err(Away::Open(error))
        }
        // On a foreign partition it says nothing of the unit's order.
        Err(OpenError::ForeignPartition { .. }) => Ok(Looked::Unreadable { number: None }),
        // A schema id that the registry does not know is as good as garbage: ids are given out
        // before the first record bears them.
        Err(_) => Ok(Looked::Unreadable { number: number_of(record) }),
    }
}

fn number_of(record: &RawRecord) -> Option<(UnitId, UnitSeq)> {
    let unit = record.key.as_deref()?.parse().ok()?;
    let seq = record.unit_seq().filter(|seq| kit_store::number::is_possible(*seq))?;
    Some((unit, seq))
}

/// The record as it waits in `held`.
pub(crate) fn to_held(held: Held) -> HeldRecord {
    let Held { fact, record } = held;
    HeldRecord {
        unit: fact.unit,
        seq: fact.seq,
        id: fact.id,
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
