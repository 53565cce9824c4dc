//! Whatever happens to a unit's facts on the way, its rows end as if each had come once, in order.

#![expect(
    clippy::cast_possible_truncation,
    reason = "a test says what it expects and goes on, and its numbers are small"
)]

use std::collections::BTreeMap;

use kit_event::UnitSeq;
use kit_store::{HELD_MAX, Hole, Reading, Verdict};
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

/// A fact, as far as the rules go: it states a thing, or ends the opening of its epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Fact {
    seq: UnitSeq,
    id: Uuid,
    says: Says,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Says {
    Opened,
    Resource { resource: u8, value: u32 },
    Seeded,
}

/// A reader with its rows and what it holds, as the tables would.
#[derive(Debug, Default)]
struct Reader {
    reading: Reading,
    rows: BTreeMap<u8, (UnitSeq, u32)>,
    held: BTreeMap<UnitSeq, Fact>,
    seeded: u32,
    applied: Vec<UnitSeq>,
}

impl Reader {
    fn receive(&mut self, fact: Fact) {
        match self.reading.receive(fact.seq, fact.id, None) {
            Verdict::Apply => self.apply(fact),
            Verdict::OpenEpoch { abandoned } => {
                for seq in abandoned {
                    self.held.remove(&seq).expect("what is abandoned was held");
                }
                self.apply(fact);
            }
            Verdict::Hold { evicted } => {
                if let Some(evicted) = evicted {
                    self.held.remove(&evicted).expect("what is evicted was held");
                }
                self.held.insert(fact.seq, fact);
            }
            Verdict::Repeat | Verdict::Fork { .. } | Verdict::HoldFull | Verdict::StaleEpoch => {}
            Verdict::Absurd => panic!("{} is a number of the unit", fact.seq),
        }
        while let Some((seq, id)) = self.reading.next_held() {
            let fact = self.held.remove(&seq).expect("what is next was held");
            assert_eq!(fact.id, id);
            self.apply(fact);
        }
        assert_eq!(self.reading.held_count(), self.held.len());
        assert!(self.held.len() <= HELD_MAX);
    }

    fn apply(&mut self, fact: Fact) {
        self.applied.push(fact.seq);
        match fact.says {
            Says::Opened => {}
            Says::Resource { resource, value } => {
                self.rows.insert(resource, (fact.seq, value));
            }
            Says::Seeded => self.seeded = fact.seq.epoch,
        }
    }

    /// What a list shows: rows that were not withdrawn.
    fn shown(&self) -> BTreeMap<u8, (UnitSeq, u32)> {
        let stays = |row: &&(UnitSeq, u32)| row.0.epoch >= self.seeded;
        self.rows
            .iter()
            .filter(|(_, row)| stays(row))
            .map(|(resource, row)| (*resource, *row))
            .collect()
    }

    /// The log's end: asks for what is missing until nothing is.
    fn repair(&mut self, log: &[Fact]) {
        let mut rounds = 0;
        while let Some(Hole { from, to, .. }) = self.reading.holes().pop() {
            for fact in log.iter().filter(|fact| (from..=to).contains(&fact.seq)) {
                self.receive(*fact);
            }
            rounds += 1;
            assert!(rounds <= log.len() + 1, "each resend fills at least one place");
        }
    }
}

/// The facts of a unit over several epochs; each later one begins with all things as they are.
fn log_of(epochs: Vec<Vec<u8>>) -> Vec<Fact> {
    let mut log: Vec<Fact> = Vec::new();
    let mut state: BTreeMap<u8, u32> = BTreeMap::new();
    for (epoch, resources) in (1..).zip(epochs) {
        let mut says = vec![Says::Opened];
        says.extend(state.iter().map(|(&resource, &value)| Says::Resource { resource, value }));
        says.push(Says::Seeded);
        for resource in resources {
            let value = (log.len() + says.len()) as u32;
            state.insert(resource, value);
            says.push(Says::Resource { resource, value });
        }
        for (seq, says) in (1..).zip(says) {
            let id = Uuid::from_u128((u128::from(epoch) << 64) + u128::from(seq));
            log.push(Fact { seq: UnitSeq::new(epoch, seq), id, says });
        }
    }
    log
}

fn logs() -> impl Strategy<Value = Vec<Fact>> {
    let short = vec(vec(0_u8..6, 0..30), 1..4);
    // Longer than the hold, so that it overflows.
    let long = vec(vec(0_u8..6, 0..(2 * HELD_MAX + 50)), 1..3);
    prop_oneof![3 => short, 1 => long].prop_map(log_of)
}

/// A log, and places in it in the order in which a reader meets them: shuffled, repeated, some
/// never.
fn deliveries() -> impl Strategy<Value = (Vec<Fact>, Vec<usize>)> {
    logs().prop_flat_map(|log| {
        let places = vec(0..log.len(), 0..(2 * log.len()));
        (Just(log), places)
    })
}

/// Facts that come nearly in order, as they do when only a link broke.
fn nearly_ordered() -> impl Strategy<Value = (Vec<Fact>, Vec<usize>)> {
    logs().prop_flat_map(|log| {
        let count = log.len();
        let steps = vec((0..count, 0..4_usize, 0..12_usize), count);
        let places = steps.prop_map(move |steps| {
            let near = |(at, (_, copies, back)): (usize, (usize, usize, usize))| {
                vec![at.saturating_sub(back); copies]
            };
            steps.into_iter().enumerate().flat_map(near).collect()
        });
        (Just(log), places)
    })
}

fn check(log: &[Fact], places: &[usize]) -> Result<(), TestCaseError> {
    let mut ordered = Reader::default();
    for fact in log {
        ordered.receive(*fact);
    }
    prop_assert_eq!(ordered.applied.len(), log.len());
    let mut reader = Reader::default();
    for place in places {
        reader.receive(log[*place]);
    }
    // The last fact tells the reader how far the unit is.
    reader.receive(log[log.len() - 1]);
    reader.repair(log);
    prop_assert_eq!(reader.shown(), ordered.shown());
    prop_assert_eq!(reader.reading.applied(), ordered.reading.applied());
    prop_assert!(reader.held.is_empty());
    let mut sorted = reader.applied.clone();
    sorted.sort_unstable();
    sorted.dedup();
    prop_assert_eq!(sorted, reader.applied, "in order, and none twice");
    Ok(())
}

proptest! {
    #[test]
    fn any_shuffling_repetition_and_loss_gives_the_rows_of_the_order(
        (log, places) in deliveries()
    ) {
        check(&log, &places)?;
    }

    #[test]
    fn small_disorder_gives_the_rows_of_the_order((log, places) in nearly_ordered()) {
        check(&log, &places)?;
    }

    #[test]
    fn a_fork_never_changes_a_row((log, places) in deliveries(), forged in any::<u64>()) {
        let mut reader = Reader::default();
        for fact in &log {
            reader.receive(*fact);
        }
        let before = (reader.shown(), reader.reading.clone());
        for place in places {
            let id = Uuid::from_u128(u128::MAX - u128::from(forged));
            let says = Says::Resource { resource: 0, value: u32::MAX };
            reader.receive(Fact { id, says, ..log[place] });
        }
        prop_assert_eq!((reader.shown(), reader.reading), before);
    }

    #[test]
    fn a_reading_that_was_stored_goes_on_as_if_it_had_not_been(
        (log, places) in deliveries(), at in any::<prop::sample::Index>()
    ) {
        let mut reader = Reader::default();
        let pause = if places.is_empty() { 0 } else { at.index(places.len()) };
        for (count, place) in places.iter().enumerate() {
            if count == pause {
                let old = reader.reading;
                let mut new = Reading::restored(old.applied(), old.applied_id(), old.seen());
                for (seq, fact) in &reader.held {
                    new.restore_held(*seq, fact.id);
                }
                reader.reading = new;
            }
            reader.receive(log[*place]);
        }
        reader.receive(log[log.len() - 1]);
        reader.repair(&log);
        let mut whole = Reader::default();
        for fact in &log {
            whole.receive(*fact);
        }
        prop_assert_eq!(reader.shown(), whole.shown());
    }
}
