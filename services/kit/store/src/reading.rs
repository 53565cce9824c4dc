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
    /// Its number lies so far ahead that it cannot be one of the unit's.
    Absurd,
}

/// Facts that are missing, and what tells that they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// The first that is missing.
    pub from: UnitSeq,
    /// The last that may be missing. What is held between the two comes again too: one question
    /// fills all holes, and repeats cost nothing.
    pub to: UnitSeq,
    /// The last before the first that is held. While facts that are not missing come, `from` moves
    /// on and this stands still, so a number that nobody ever stated is asked for no more often
    /// than any other.
    pub end: UnitSeq,
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
    #[must_use]
    pub fn restored(applied: UnitSeq, applied_id: Option<Uuid>, seen: UnitSeq) -> Self {
        Self { applied, applied_id, seen: seen.max(applied), held: BTreeMap::new() }
    }

    /// Adds a fact that was held when the reading was stored.
    pub fn restore_held(&mut self, seq: UnitSeq, id: Uuid) {
        self.held.insert(seq, id);
        self.seen = self.seen.max(seq);
    }

    /// The last fact applied; [`UnitSeq::ZERO`] before the first.
    #[must_use]
    pub fn applied(&self) -> UnitSeq {
        self.applied
    }

    /// The id of the last fact applied.
    #[must_use]
    pub fn applied_id(&self) -> Option<Uuid> {
        self.applied_id
    }

    /// The greatest number met, applied or not.
    #[must_use]
    pub fn seen(&self) -> UnitSeq {
        self.seen
    }

    /// How many facts are held.
    #[must_use]
    pub fn held_count(&self) -> usize {
        self.held.len()
    }

    /// Whether the reader knows `seq` as past, so that only its id is left to compare.
    #[must_use]
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
        if !seq.may_follow(self.seen) {
            return Verdict::Absurd;
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

    /// Notes that a fact of this number seems to exist though its record could not be read, so that
    /// a hole at the log's very end is known too. Believed is only the number that comes next: a
    /// record that nobody can read may name any, and what is missing before it shows as soon as
    /// another fact is read.
    pub fn miss(&mut self, seq: UnitSeq) {
        if seq == self.seen.next() {
            self.seen = seq;
        }
    }

    /// The held fact that is the next now, if any; it leaves the hold and counts as applied.
    pub fn next_held(&mut self) -> Option<(UnitSeq, Uuid)> {
        let next = self.applied.next();
        let id = self.held.remove(&next)?;
        self.apply(next, id);
        Some((next, id))
    }

    /// What to ask for again: what is missing in the present epoch, and what a higher one needs to
    /// open. Both are asked for, because a higher epoch may be one that never opens.
    #[must_use]
    pub fn holes(&self) -> Vec<Hole> {
        [self.hole_here(), self.hole_above()].into_iter().flatten().collect()
    }

    fn hole_here(&self) -> Option<Hole> {
        let epoch = self.applied.epoch;
        let held = self.held.range(..UnitSeq::new(epoch.saturating_add(1), 0));
        let (mut held, mut first) = (held.map(|(seq, _)| *seq), self.applied.next());
        first.epoch = epoch;
        let first_held = held.next();
        let seen = Some(self.seen).filter(|seen| seen.epoch == epoch);
        let last = seen.max(held.next_back()).max(first_held)?;
        self.hole_between(first, first_held, last)
    }

    fn hole_above(&self) -> Option<Hole> {
        if self.seen.epoch <= self.applied.epoch {
            return None;
        }
        let first = UnitSeq::new(self.seen.epoch, 1);
        let first_held = self.held.range(first..).next().map(|(seq, _)| *seq);
        self.hole_between(first, first_held, self.seen)
    }

    fn hole_between(
        &self,
        from: UnitSeq,
        first_held: Option<UnitSeq>,
        last: UnitSeq,
    ) -> Option<Hole> {
        let mut to = last;
        while to >= from && self.held.contains_key(&to) {
            to.seq -= 1;
        }
        let before = |held: UnitSeq| UnitSeq::new(held.epoch, held.seq - 1);
        let end = first_held.map_or(to, before);
        (from <= to).then_some(Hole { from, to, end })
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

    fn hole(from: (u32, u64), to: (u32, u64), end: (u32, u64)) -> Hole {
        Hole { from: at(from.0, from.1), to: at(to.0, to.1), end: at(end.0, end.1) }
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
        assert_eq!(reading.holes(), []);
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
        assert_eq!(reading.holes(), [hole((1, 3), (1, 5), (1, 3))]);
        assert_eq!(reading.receive(at(1, 3), id(3), None), Verdict::Apply);
        assert_eq!(reading.next_held(), Some((at(1, 4), id(4))));
        assert_eq!(reading.next_held(), None);
        assert_eq!(reading.holes(), [hole((1, 5), (1, 5), (1, 5))]);
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
        assert_eq!(reading.holes(), [hole((1, 2), (1, last.seq + 1), (1, 4))]);
    }

    #[test]
    fn a_record_that_does_not_read_leaves_a_hole_even_at_the_end() {
        let mut reading = read_to(2);
        reading.miss(at(1, 3));
        assert_eq!(reading.holes(), [hole((1, 3), (1, 3), (1, 3))]);
        assert_eq!(reading.receive(at(1, 3), id(3), None), Verdict::Apply);
        assert_eq!(reading.holes(), []);
    }

    #[test]
    fn a_higher_epoch_opens_only_at_its_first_fact() {
        let mut reading = read_to(2);
        reading.receive(at(1, 5), id(5), None);
        assert_eq!(reading.receive(at(3, 2), id(32), None), Verdict::Hold { evicted: None });
        let here = hole((1, 3), (1, 4), (1, 4));
        assert_eq!(reading.holes(), [here, hole((3, 1), (3, 1), (3, 1))]);
        assert_eq!(reading.receive(at(1, 3), id(3), None), Verdict::Apply);
        let opened = Verdict::OpenEpoch { abandoned: vec![at(1, 5)] };
        assert_eq!(reading.receive(at(3, 1), id(31), None), opened);
        assert_eq!(reading.next_held(), Some((at(3, 2), id(32))));
        assert_eq!(reading.holes(), []);
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
        assert_eq!(reading.holes(), [hole((1, 3), (1, 9), (1, 3))]);
        reading.receive(at(1, 3), id(3), None);
        assert_eq!(reading.next_held(), Some((at(1, 4), id(4))));
        assert_eq!(reading.holes(), [hole((1, 5), (1, 9), (1, 9))]);
    }

    #[test]
    fn an_unreadable_record_is_believed_only_the_number_that_comes_next() {
        let mut reading = read_to(2);
        for absurd in [at(1, 5), at(1, u64::MAX), at(2, 1), at(9, 9), at(u32::MAX, u64::MAX)] {
            reading.miss(absurd);
            assert_eq!((reading.holes(), reading.seen()), (vec![], at(1, 2)), "{absurd}");
        }
        reading.miss(at(1, 3));
        reading.miss(at(1, 4));
        assert_eq!(reading.holes(), [hole((1, 3), (1, 4), (1, 4))]);
    }

    #[test]
    fn a_number_that_no_unit_comes_to_is_absurd_and_changes_nothing() {
        let mut reading = read_to(2);
        for absurd in [at(1, i64::MAX as u64), at(u32::MAX, 1), at(2, i64::MAX as u64)] {
            let before = reading.clone();
            assert_eq!(reading.receive(absurd, id(9), None), Verdict::Absurd, "{absurd}");
            assert_eq!(reading, before);
        }
        assert_eq!(reading.receive(at(1, 3), id(3), None), Verdict::Apply);
    }

    #[test]
    fn a_number_that_never_was_keeps_its_end_and_hides_no_later_hole() {
        let mut reading = read_to(2);
        reading.receive(at(1, 900), id(900), None);
        reading.receive(at(7, 5), id(75), None);
        let above = hole((7, 1), (7, 4), (7, 4));
        for seq in 3..=9 {
            reading.receive(at(1, seq), id(seq), None);
            let here = hole((1, seq + 1), (1, 899), (1, 899));
            assert_eq!(reading.holes(), [here, above]);
        }
        reading.receive(at(1, 11), id(11), None);
        assert_eq!(reading.holes(), [hole((1, 10), (1, 899), (1, 10)), above]);
    }
}
