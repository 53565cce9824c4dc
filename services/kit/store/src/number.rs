//! A unit's numbers as Postgres stores them: it knows no unsigned integers.

use kit_event::UnitSeq;

use crate::StoreError;

/// Epoch and seq as two bigints, which compare as the number does.
///
/// # Errors
/// A seq above 2^63 - 1, which no unit reaches by counting.
pub fn to_columns(seq: UnitSeq) -> Result<(i64, i64), StoreError> {
    let low = i64::try_from(seq.seq).map_err(|_| StoreError::NumberTooGreat(seq))?;
    Ok((i64::from(seq.epoch), low))
}

/// The number that two bigints hold.
///
/// # Errors
/// They hold none.
pub fn from_columns(epoch: i64, seq: i64) -> Result<UnitSeq, StoreError> {
    let unreadable = StoreError::Unreadable { what: "unit seq" };
    match (u32::try_from(epoch), u64::try_from(seq)) {
        (Ok(epoch), Ok(seq)) => Ok(UnitSeq::new(epoch, seq)),
        _ => Err(unreadable),
    }
}

/// Whether a record may carry this number: it begins at 1-1 and fits its columns.
#[must_use]
pub fn is_possible(seq: UnitSeq) -> bool {
    seq.epoch > 0 && seq.seq > 0 && to_columns(seq).is_ok()
}
