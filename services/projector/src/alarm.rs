//! What people must look at: a counter each, and one line in the log with opaque ids only.

use kit_event::{UnitId, UnitSeq};
use kit_metric::PARKED;
use uuid::Uuid;

use crate::metrics::{ALARMS, HALTED};
use crate::plan::Cause;

/// Counts an alarm; the series exists from the first one on.
fn count(domain: &'static str, kind: &'static str) {
    ALARMS.of([domain, kind]).increment(1);
}

/// Two facts came under one number.
pub(crate) fn fork(domain: &'static str, unit: &UnitId, seq: UnitSeq, kept: Uuid, other: Uuid) {
    count(domain, "fork");
    tracing::error!(
        domain, unit.id = %unit, unit.seq = %seq, fact.kept = %kept, fact.other = %other,
        "fork: two facts came under one number; the first stands, the unit must open a new epoch"
    );
}

/// A record was set aside.
pub(crate) fn parked(
    domain: &'static str,
    topic: &str,
    partition: i32,
    offset: i64,
    cause: &Cause,
) {
    count(domain, "parked");
    PARKED.of([cause.kind]).increment(1);
    let cause = cause.text.as_str();
    tracing::error!(domain, topic, partition, offset, cause, "a record was parked");
}

/// A record could not even be set aside; it stays where it is on the log.
pub(crate) fn not_parked(domain: &'static str, topic: &str, partition: i32, offset: i64) {
    count(domain, "not_parked");
    tracing::error!(domain, topic, partition, offset, "a record could not be parked");
}

/// A unit was asked often enough for what is missing.
pub(crate) fn stays_on_hold(domain: &'static str, unit: &UnitId, missing: UnitSeq, asked: u32) {
    count(domain, "on_hold");
    tracing::error!(
        domain, unit.id = %unit, unit.seq = %missing, asked,
        "the unit stays on hold: a fact is missing and resends did not bring it"
    );
}

/// A domain reads nothing more until people have looked.
pub(crate) fn halted(domain: &'static str, error: &str) {
    count(domain, "halted");
    HALTED.of([domain]).set(1.0);
    tracing::error!(domain, error, "the domain is halted until it is rebuilt or started again");
}

/// A halted domain begins again, because another copy became its live one.
pub(crate) fn unhalted(domain: &'static str) {
    HALTED.of([domain]).set(0.0);
    tracing::info!(domain, "another copy is live; the domain begins again");
}
