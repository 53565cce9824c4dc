//! The rules by which a reader takes the facts of one unit off the log. Pure: no clock, no socket.
//!
//! A unit numbers its facts without gaps, so a reader knows at each record whether it is the next,
//! a repeat, a fork, or ahead of a hole. Nothing jumps: what comes ahead of a hole is kept until
//! the hole is filled, and the numbers alone say what to ask for again. Whatever is shuffled,
//! repeated or lost on the way, the rows end as if every fact had come once and in order.

use std::collections::BTreeMap;

use kit_event::UnitSeq;
use uuid::Uuid;

/// Facts kept for one unit while a hole is open. A resend fills most holes within a second, in
/// which a busy unit states some hundred facts; beyond that the resend covers them anyway.
pub const HELD_MAX: usize = 256;

/// What to do with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is the next fact of the unit.
    Apply,
    /// It is the first fact of a higher epoch. What was held of lower ones will never be applied.
    OpenEpoch {
        /// Their numbers; they leave the hold.
        abandoned: Vec<UnitSeq>,
    },
    /// It is applied or held already.
    Repeat,
    /// Another fact is known under its number: the unit's numbering split, and it must open a new
    /// epoch. The first one stands.
    Fork {
        /// The id of the fact that stands.
        known: Uuid,
    },
    /// It is ahead of a hole, and kept.
    Hold {
        /// The one that makes room for it, where the hold was full.
        evicted: Option<UnitSeq>,
    },
    /// It is ahead of a hole, and the hold is full of earlier ones: a resend will bring it again.
    HoldFull,
    /// It is of an epoch that is over.
    StaleEpoch,
}

/// Where a reader stands with one unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    applied: UnitSeq,
    applied_id: Option<Uuid>,
    seen: UnitSeq,
    held: BTreeMap<UnitSeq, Uuid>,
}

impl Reading {
    /// A reading as it was stored.
    pub fn restored(applied: UnitSeq, applied_id: Option<Uuid>, seen: UnitSeq) -> Self {
        Self { applied, applied_id, seen: seen.max(applied), held: BTreeMap::new() }
    }

    /// Adds a fact that was held when the reading was stored.
    pub fn restore_held(&mut self, seq: UnitSeq, id: Uuid) {
        self.held.insert(seq, id);
        self.seen = self.seen.max(seq);
    }

    /// The last fact applied; [`UnitSeq::ZERO`] before the first.
    pub fn applied(&self) -> UnitSeq {
        self.applied
    }

    /// The id of the last fact applied.
    pub fn applied_id(&self) -> Option<Uuid> {
        self.applied_id
    }

    /// The greatest number met, applied or not.
    pub fn seen(&self) -> UnitSeq {
        self.seen
    }

    /// How many facts are held.
    pub fn held_count(&self) -> usize {
        self.held.len()
    }

    /// Whether the reader knows `seq` as past, so that only its id is left to compare.
    pub fn is_past(&self, seq: UnitSeq) -> bool {
        seq <= self.applied
    }

    /// Judges a record and moves on with it.
    ///
    /// `known` is the id that the reader has stored under this number, where it stores them (only
    /// the timeline does); the others know the last one and take older ones for repeats, which
    /// changes no row.
    pub fn receive(&mut self, seq: UnitSeq, id: Uuid, known: Option<Uuid>) -> Verdict {
        let known = known.or_else(|| self.known_here(seq));
        if seq <= self.applied {
            return self.past(seq, id, known);
        }
        self.seen = self.seen.max(seq);
        if seq == self.applied.next() {
            self.apply(seq, id);
            return Verdict::Apply;
        }
        if seq.epoch > self.applied.epoch && seq.seq == 1 {
            let later = self.held.split_off(&seq);
            let abandoned = std::mem::replace(&mut self.held, later).into_keys().collect();
            self.apply(seq, id);
            return Verdict::OpenEpoch { abandoned };
        }
        self.ahead(seq, id, known)
    }

    /// Notes that a fact of this number exists though its record could not be read, so that a hole
    /// at the log's very end is known too.
    pub fn miss(&mut self, seq: UnitSeq) {
        self.seen = self.seen.max(seq);
    }

    /// The held fact that is the next now, if any; it leaves the hold and counts as applied.
    pub fn next_held(&mut self) -> Option<(UnitSeq, Uuid)> {
        let next = self.applied.next();
        let id = self.held.remove(&next)?;
        self.apply(next, id);
        Some((next, id))
    }

    /// The facts to ask for again, from the first missing to the last, where a hole is open. What
    /// is held between them comes again too: one question fills all holes, and repeats cost
    /// nothing.
    ///
    /// A higher epoch that did not open is asked for first: what lower ones still miss is over the
    /// moment it opens.
    pub fn hole(&self) -> Option<(UnitSeq, UnitSeq)> {
        if self.seen <= self.applied {
            return None;
        }
        let first = if self.seen.epoch == self.applied.epoch {
            self.applied.next()
        } else {
            UnitSeq::new(self.seen.epoch, 1)
        };
        let mut last = self.seen;
        while last > first && self.held.contains_key(&last) {
            last.seq -= 1;
        }
        Some((first, last))
    }

    fn known_here(&self, seq: UnitSeq) -> Option<Uuid> {
        if seq == self.applied { self.applied_id } else { self.held.get(&seq).copied() }
    }

    fn apply(&mut self, seq: UnitSeq, id: Uuid) {
        self.applied = seq;
        self.applied_id = Some(id);
    }

    fn past(&self, seq: UnitSeq, id: Uuid, known: Option<Uuid>) -> Verdict {
        match known {
            Some(known) if known == id => Verdict::Repeat,
            _ if seq.epoch < self.applied.epoch => Verdict::StaleEpoch,
            Some(known) => Verdict::Fork { known },
            None => Verdict::Repeat,
        }
    }

    fn ahead(&mut self, seq: UnitSeq, id: Uuid, known: Option<Uuid>) -> Verdict {
        match known {
            Some(known) if known == id => return Verdict::Repeat,
            Some(known) => return Verdict::Fork { known },
            None => {}
        }
        let mut evicted = None;
        if self.held.len() >= HELD_MAX {
            // The earliest are worth most: they are applied first once the hole is filled.
            match self.held.last_key_value() {
                Some((last, _)) if *last > seq => evicted = self.held.pop_last().map(|held| held.0),
                _ => return Verdict::HoldFull,
            }
        }
        self.held.insert(seq, id);
        Verdict::Hold { evicted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> Uuid {
        Uuid::from_u128(n.into())
    }

    fn at(epoch: u32, seq: u64) -> UnitSeq {
        UnitSeq::new(epoch, seq)
    }

    /// A reading that has applied 1-1 to 1-`last`, the fact `n` under id `n`.
    fn read_to(last: u64) -> Reading {
        let mut reading = Reading::default();
        for seq in 1..=last {
            reading.receive(at(1, seq), id(seq), None);
        }
        assert_eq!(reading.applied(), at(1, last));
        reading
    }

    #[test]
    fn the_first_fact_of_a_unit_opens_its_epoch() {
        let mut reading = Reading::default();
        let opened = Verdict::OpenEpoch { abandoned: vec![] };
        assert_eq!(reading.receive(at(1, 1), id(1), None), opened);
        assert_eq!(reading.receive(at(1, 2), id(2), None), Verdict::Apply);
        assert_eq!(reading.hole(), None);
    }

    #[test]
    fn a_repeat_is_skipped_and_another_fact_under_its_number_is_a_fork() {
        let mut reading = read_to(3);
        assert_eq!(reading.receive(at(1, 3), id(3), None), Verdict::Repeat);
        assert_eq!(reading.receive(at(1, 3), id(9), None), Verdict::Fork { known: id(3) });
        assert_eq!(reading.receive(at(1, 2), id(9), Some(id(2))), Verdict::Fork { known: id(2) });
        assert_eq!(reading.receive(at(1, 2), id(2), Some(id(2))), Verdict::Repeat);
        assert_eq!(reading.applied(), at(1, 3));
    }

    #[test]
    fn what_comes_ahead_of_a_hole_waits_for_it() {
        let mut reading = read_to(2);
        assert_eq!(reading.receive(at(1, 4), id(4), None), Verdict::Hold { evicted: None });
        assert_eq!(reading.receive(at(1, 6), id(6), None), Verdict::Hold { evicted: None });
        assert_eq!(reading.receive(at(1, 4), id(4), None), Verdict::Repeat);
        assert_eq!(reading.receive(at(1, 4), id(9), None), Verdict::Fork { known: id(4) });
        assert_eq!(reading.next_held(), None);
        assert_eq!(reading.hole(), Some((at(1, 3), at(1, 5))));
        assert_eq!(reading.receive(at(1, 3), id(3), None), Verdict::Apply);
        assert_eq!(reading.next_held(), Some((at(1, 4), id(4))));
        assert_eq!(reading.next_held(), None);
        assert_eq!(reading.hole(), Some((at(1, 5), at(1, 5))));
    }

    #[test]
    fn a_full_hold_keeps_the_earliest() {
        let mut reading = read_to(1);
        for seq in 0..HELD_MAX as u64 {
            reading.receive(at(1, 10 + seq), id(10 + seq), None);
        }
        let last = at(1, 9 + HELD_MAX as u64);
        assert_eq!(reading.receive(last.next(), id(0), None), Verdict::HoldFull);
        assert_eq!(reading.receive(at(1, 5), id(5), None), Verdict::Hold { evicted: Some(last) });
        assert_eq!(reading.held_count(), HELD_MAX);
        assert_eq!(reading.hole(), Some((at(1, 2), last.next())));
    }

    #[test]
    fn a_record_that_does_not_read_leaves_a_hole_even_at_the_end() {
        let mut reading = read_to(2);
        reading.miss(at(1, 3));
        assert_eq!(reading.hole(), Some((at(1, 3), at(1, 3))));
        assert_eq!(reading.receive(at(1, 3), id(3), None), Verdict::Apply);
        assert_eq!(reading.hole(), None);
    }

    #[test]
    fn a_higher_epoch_opens_only_at_its_first_fact() {
        let mut reading = read_to(2);
        reading.receive(at(1, 5), id(5), None);
        assert_eq!(reading.receive(at(3, 2), id(32), None), Verdict::Hold { evicted: None });
        assert_eq!(reading.hole(), Some((at(3, 1), at(3, 1))));
        assert_eq!(reading.receive(at(1, 3), id(3), None), Verdict::Apply);
        let opened = Verdict::OpenEpoch { abandoned: vec![at(1, 5)] };
        assert_eq!(reading.receive(at(3, 1), id(31), None), opened);
        assert_eq!(reading.next_held(), Some((at(3, 2), id(32))));
        assert_eq!(reading.hole(), None);
    }

    #[test]
    fn what_still_comes_of_a_lower_epoch_is_stale_unless_it_is_a_known_repeat() {
        let mut reading = read_to(2);
        reading.receive(at(2, 1), id(21), None);
        assert_eq!(reading.receive(at(1, 3), id(3), None), Verdict::StaleEpoch);
        assert_eq!(reading.receive(at(1, 2), id(9), Some(id(2))), Verdict::StaleEpoch);
        assert_eq!(reading.receive(at(1, 2), id(2), Some(id(2))), Verdict::Repeat);
        assert_eq!(reading.applied(), at(2, 1));
    }

    #[test]
    fn a_restored_reading_goes_on_where_it_stood() {
        let mut reading = Reading::restored(at(1, 2), Some(id(2)), at(1, 9));
        reading.restore_held(at(1, 4), id(4));
        assert_eq!(reading.hole(), Some((at(1, 3), at(1, 9))));
        reading.receive(at(1, 3), id(3), None);
        assert_eq!(reading.next_held(), Some((at(1, 4), id(4))));
        assert_eq!(reading.hole(), Some((at(1, 5), at(1, 9))));
    }
}
