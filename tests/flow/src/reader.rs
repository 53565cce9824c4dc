//! A read model in memory: the reader rules of `kit-store`, and rows by subject behind them.

use std::collections::BTreeMap;

use kit_event::{Fact, UnitSeq};
use kit_store::{Reading, Verdict};
use rand::rngs::StdRng;
use serde_json::Value;
use units::{EpochOpened, EpochSeeded};

use crate::weather::{Weather, chance};

/// A row as a read model holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The number of the fact that wrote it.
    pub seq: UnitSeq,
    /// The thing's state.
    pub state: Value,
    /// Whether it is there: neither removed nor withdrawn by a new epoch.
    pub stands: bool,
}

/// A reader of the log of facts.
#[derive(Debug, Default)]
pub struct Reader {
    reading: Reading,
    /// The record to be read next.
    next: usize,
    held: BTreeMap<UnitSeq, Fact>,
    rows: BTreeMap<String, Held>,
    /// Ids of facts under past numbers, which the timeline's reader stores.
    ids: BTreeMap<UnitSeq, uuid::Uuid>,
}

impl Reader {
    /// Reads on to the end of the log, as well as the weather lets it.
    pub fn read(&mut self, records: &[Fact], rng: &mut StdRng, weather: &Weather) {
        while let Some(fact) = records.get(self.next) {
            self.next += 1;
            if chance(rng, weather.facts_lost) {
                self.reading.miss(fact.seq);
                continue;
            }
            self.receive(fact);
            if chance(rng, weather.facts_repeat) {
                self.receive(fact);
            }
        }
    }

    fn receive(&mut self, fact: &Fact) {
        let known = self.ids.get(&fact.seq).copied();
        match self.reading.receive(fact.seq, fact.id, known) {
            Verdict::Apply => self.apply(fact),
            Verdict::OpenEpoch { abandoned } => {
                for seq in abandoned {
                    self.held.remove(&seq);
                }
                self.apply(fact);
            }
            Verdict::Hold { evicted } => {
                if let Some(evicted) = evicted {
                    self.held.remove(&evicted);
                }
                self.held.insert(fact.seq, fact.clone());
            }
            Verdict::Repeat | Verdict::HoldFull | Verdict::StaleEpoch => {}
            Verdict::Absurd => panic!("{} is a number of the unit", fact.seq),
            Verdict::Fork { known } => panic!("{} is {} and {known}", fact.seq, fact.id),
        }
        while let Some((seq, _)) = self.reading.next_held() {
            let fact = self.held.remove(&seq).expect("what is next was held");
            self.apply(&fact);
        }
    }

    fn apply(&mut self, fact: &Fact) {
        self.ids.insert(fact.seq, fact.id);
        let Some(subject) = fact.subject.clone() else { return };
        match fact.type_name.as_str() {
            EpochOpened::TYPE => {}
            EpochSeeded::TYPE => self.withdraw(fact),
            name => {
                let stands = !name.ends_with("_removed");
                let state = fact.body.clone();
                self.rows.insert(subject, Held { seq: fact.seq, state, stands });
            }
        }
    }

    /// A new epoch has stated these things whole: what it did not state is no more.
    fn withdraw(&mut self, seeded: &Fact) {
        let resources = seeded.body["things"].as_array().expect("a list of things");
        for (subject, row) in &mut self.rows {
            let resource = subject.split('/').next().unwrap_or_default();
            if row.seq.epoch < seeded.seq.epoch && resources.iter().any(|it| it == resource) {
                row.stands = false;
            }
        }
    }

    /// The facts to ask for again.
    #[must_use]
    pub fn hole(&self) -> Option<(UnitSeq, UnitSeq)> {
        self.reading.holes().pop().map(|hole| (hole.from, hole.to))
    }

    /// Goes on as from what a database stored.
    pub fn restart(&mut self) {
        let old = std::mem::take(&mut self.reading);
        self.reading = Reading::restored(old.applied(), old.applied_id(), old.seen());
        for (seq, fact) in &self.held {
            self.reading.restore_held(*seq, fact.id);
        }
        assert_eq!(self.reading, old, "a reading that was stored is the same");
    }

    /// The last number applied.
    #[must_use]
    pub fn applied(&self) -> UnitSeq {
        self.reading.applied()
    }

    /// The rows that are there.
    #[must_use]
    pub fn shown(&self) -> BTreeMap<&str, &Held> {
        let rows = self.rows.iter().filter(|(_, row)| row.stands);
        rows.map(|(subject, row)| (subject.as_str(), row)).collect()
    }
}
