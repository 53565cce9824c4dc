//! What people must look at: a counter each, and one line in the log with opaque ids only.

use kit_event::{Fact, UnitId, UnitSeq};
use uuid::Uuid;

/// Counts an alarm; the series exists from the first one on.
fn count(kind: &'static str) {
    crate::metrics::ALARMS.of([kind]).increment(1);
}

/// A fact reads and cannot be told.
pub(crate) fn unfit(fact: &Fact, cause: &str) {
    count("unfit");
    tracing::error!(
        unit.id = %fact.unit, unit.seq = %fact.seq, fact.id = %fact.id,
        fact.r#type = fact.type_name, cause,
        "a fact cannot be told in its public form; it is left out"
    );
}

/// A held fact read when it came, and does not any more.
pub(crate) fn lost_its_schema(unit: &UnitId, seq: UnitSeq) {
    count("lost_schema");
    tracing::error!(
        unit.id = %unit, unit.seq = %seq,
        "a held fact does not read any more; it is left out"
    );
}

/// Two facts came under one number. The timeline asks the unit for a new epoch.
pub(crate) fn fork(unit: &UnitId, seq: UnitSeq, kept: Uuid, other: Uuid) {
    count("fork");
    tracing::error!(
        unit.id = %unit, unit.seq = %seq, fact.kept = %kept, fact.other = %other,
        "fork: two facts came under one number; the first was told"
    );
}

/// A partition waits for something that is away.
pub(crate) fn waits(partition: i32, error: &str) {
    count("waiting");
    tracing::error!(partition, error, "the partition waits; nothing of it is left out");
}

/// A partition tells nothing until people have looked.
pub(crate) fn halted(partition: i32, error: &str) {
    count("halted");
    tracing::error!(partition, error, "the partition is halted until the publisher starts again");
}

/// A partition is read no further for now, so that it holds up no other.
pub(crate) fn set_aside(partition: i32, offset: i64) {
    tracing::warn!(partition, offset, "the partition is slow; it is read on once it has caught up");
}
