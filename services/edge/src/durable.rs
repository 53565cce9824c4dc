//! What of a unit is on the log: the pure part of the scan that WELCOME's `durable` comes from.
//!
//! The scan applies the readers' own rules: the first record of a number counts, a number above a
//! hole does not count until the hole is filled further down the log, and a higher epoch counts
//! from its seq 1 on. So an agent that goes on after `durable` fills any hole by itself.

use std::collections::BTreeMap;

use kit_event::UnitSeq;
use kit_link::Durable;
use uuid::Uuid;

use crate::limits::AHEAD_OF_HOLE_FACTS_MAX;
use crate::session::OnLog;

/// A scan under way.
#[derive(Debug, Default)]
pub struct DurableScan {
    last: Option<OnLog>,
    ahead: BTreeMap<UnitSeq, (Uuid, i64)>,
}

impl DurableScan {
    /// A scan that begins where `known` is the last fact, or where nothing is known.
    #[must_use]
    pub fn after(known: Option<OnLog>) -> Self {
        Self { last: known, ahead: BTreeMap::new() }
    }

    /// The unit's fact `seq` with `id` stands at `offset`.
    pub fn saw(&mut self, seq: UnitSeq, id: Uuid, offset: i64) {
        let before = self.last.map_or(UnitSeq::ZERO, |last| last.durable.seq);
        if seq.epoch == u32::MAX || (self.last.is_some() && !seq.may_follow(before)) {
            return; // No unit comes to such a number, and none could follow it.
        }
        match self.last {
            // The log's beginning may be gone; what is first there is believed.
            None => self.take(seq, id, offset),
            Some(last) => {
                let last = last.durable.seq;
                if seq == last.next() || (seq.epoch > last.epoch && seq.seq == 1) {
                    self.take(seq, id, offset);
                } else if seq > last && self.ahead.len() < AHEAD_OF_HOLE_FACTS_MAX {
                    self.ahead.entry(seq).or_insert((id, offset));
                }
            }
        }
    }

    fn take(&mut self, seq: UnitSeq, id: Uuid, offset: i64) {
        self.last = Some(OnLog { durable: Durable { seq, id }, offset });
        // What stood above the hole counts now; its own place on the log is earlier, but a later
        // scan that began there would find the hole again, so the place stays the latest.
        let mut next = seq.next();
        while let Some((id, _)) = self.ahead.remove(&next) {
            self.last = Some(OnLog { durable: Durable { seq: next, id }, offset });
            next = next.next();
        }
        self.ahead = self.ahead.split_off(&next);
    }

    /// The unit's last durable fact.
    #[must_use]
    pub fn last(&self) -> Option<OnLog> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(seen: &[(u32, u64)]) -> Option<(UnitSeq, i64)> {
        let mut scan = DurableScan::default();
        for (offset, (epoch, seq)) in (0..).zip(seen) {
            scan.saw(UnitSeq::new(*epoch, *seq), Uuid::from_u128(offset as u128), offset);
        }
        scan.last().map(|on| (on.durable.seq, on.offset))
    }

    #[test]
    fn the_last_of_an_unbroken_row_is_durable() {
        assert_eq!(scan(&[]), None);
        assert_eq!(scan(&[(1, 1), (1, 2), (1, 3)]), Some((UnitSeq::new(1, 3), 2)));
    }

    #[test]
    fn a_repeat_counts_once_and_its_first_record_stands() {
        let mut scan = DurableScan::default();
        scan.saw(UnitSeq::new(1, 1), Uuid::from_u128(1), 0);
        scan.saw(UnitSeq::new(1, 1), Uuid::from_u128(2), 1);
        assert_eq!(scan.last().unwrap().durable.id, Uuid::from_u128(1));
    }

    #[test]
    fn nothing_above_a_hole_is_durable_until_it_is_filled() {
        assert_eq!(scan(&[(1, 1), (1, 3), (1, 4)]), Some((UnitSeq::new(1, 1), 0)));
        assert_eq!(scan(&[(1, 1), (1, 3), (1, 4), (1, 2)]), Some((UnitSeq::new(1, 4), 3)));
    }

    #[test]
    fn a_higher_epoch_counts_from_its_seq_1_and_lower_ones_no_more() {
        let seen = [(1, 1), (2, 2), (2, 1), (1, 2), (2, 3)];
        assert_eq!(scan(&seen), Some((UnitSeq::new(2, 3), 4)));
    }
}
