//! What a batch will write, by the reader rules. No I/O: records go in, a plan comes out.

use std::collections::HashMap;

use kit_bus::RawRecord;
use kit_event::{Fact, Timestamp, UnitId, UnitSeq};
use kit_store::{Asked, Reading, Verdict};
use kit_timeline::repair::Fork;
use uuid::Uuid;

use crate::alarm;
use crate::intake::{Looked, Numbered};

/// Where this domain stands with each unit.
pub(crate) type Readings = HashMap<UnitId, Reading>;

/// A fact to apply, in the order of its unit's numbers.
pub(crate) enum Step {
    /// It came with this batch.
    Fresh { fact: Box<Fact>, record: RawRecord },
    /// It waits in `held`.
    Held(UnitId, UnitSeq),
}

/// The time of the last fact applied to a unit.
pub(crate) enum Last {
    At(Timestamp),
    /// Known once the held record is read.
    Held(UnitSeq),
}

/// What a batch will write.
pub(crate) struct Plan {
    domain: &'static str,
    is_keeper: bool,
    pub steps: Vec<Step>,
    /// Units whose reading moved.
    pub touched: HashMap<UnitId, Option<Last>>,
    /// New in `held`.
    pub holds: HashMap<(UnitId, UnitSeq), Numbered>,
    /// No longer in `held`: applied or evicted.
    pub gone: Vec<(UnitId, UnitSeq)>,
    /// No longer in `held`: of epochs that are over.
    pub abandoned: Vec<(UnitId, UnitSeq)>,
    pub parks: Vec<(RawRecord, String)>,
    pub forks: Vec<Fork>,
    /// Requests that read, with their records.
    pub asked: Vec<Asked>,
    pub asked_records: Vec<RawRecord>,
    /// Ids applied with this batch, which no table holds yet.
    recent: HashMap<(UnitId, UnitSeq), Uuid>,
}

const OVER: &str = "its epoch is over";
const FORK: &str = "another fact stands under its number";

impl Plan {
    pub fn new(domain: &'static str, is_keeper: bool) -> Self {
        Self {
            domain,
            is_keeper,
            steps: Vec::new(),
            touched: HashMap::new(),
            holds: HashMap::new(),
            gone: Vec::new(),
            abandoned: Vec::new(),
            parks: Vec::new(),
            forks: Vec::new(),
            asked: Vec::new(),
            asked_records: Vec::new(),
            recent: HashMap::new(),
        }
    }

    /// Takes the next record. `stored` are ids that the keeper's table holds under past numbers.
    pub fn take(
        &mut self,
        readings: &mut Readings,
        looked: Looked,
        stored: &HashMap<(UnitId, UnitSeq), Uuid>,
    ) {
        match looked {
            Looked::Numbered(numbered) => self.judge(readings, numbered, stored),
            Looked::Unreadable { record, number, cause } => {
                if let Some((unit, seq)) = number {
                    self.touched.entry(unit.clone()).or_default();
                    readings.entry(unit).or_default().miss(seq);
                }
                self.park(record, &cause);
            }
        }
    }

    /// Sets a record aside; the keeper alone does, for all domains.
    pub fn park(&mut self, record: RawRecord, cause: &str) {
        if self.is_keeper {
            self.parks.push((record, cause.to_owned()));
        }
    }

    fn judge(
        &mut self,
        readings: &mut Readings,
        numbered: Numbered,
        stored: &HashMap<(UnitId, UnitSeq), Uuid>,
    ) {
        let key = (numbered.unit.clone(), numbered.seq);
        let known = self.recent.get(&key).or_else(|| stored.get(&key)).copied();
        self.touched.entry(key.0.clone()).or_default();
        let reading = readings.entry(key.0.clone()).or_default();
        match reading.receive(numbered.seq, numbered.id, known) {
            Verdict::Apply => self.apply(reading, numbered),
            Verdict::OpenEpoch { abandoned } => {
                self.abandon(&numbered.unit, abandoned);
                self.apply(reading, numbered);
            }
            Verdict::Repeat => {}
            Verdict::Fork { known } => self.fork(numbered, known),
            Verdict::Hold { evicted } => {
                if let Some(evicted) = evicted {
                    let evicted = (key.0.clone(), evicted);
                    if self.holds.remove(&evicted).is_none() {
                        self.gone.push(evicted);
                    }
                }
                self.holds.insert(key, numbered);
            }
            // The resend that fills the hole brings it again.
            Verdict::HoldFull => {}
            Verdict::StaleEpoch => self.park(numbered.record, OVER),
        }
    }

    fn apply(&mut self, reading: &mut Reading, numbered: Numbered) {
        let unit = numbered.unit.clone();
        self.step(numbered);
        while let Some((seq, id)) = reading.next_held() {
            let key = (unit.clone(), seq);
            if let Some(held) = self.holds.remove(&key) {
                self.step(held);
                continue;
            }
            self.touched.insert(unit.clone(), Some(Last::Held(seq)));
            self.remember(key.clone(), id);
            self.steps.push(Step::Held(unit.clone(), seq));
            self.gone.push(key);
        }
    }

    fn step(&mut self, numbered: Numbered) {
        let Numbered { unit, seq, id, time, fact, record } = numbered;
        self.touched.insert(unit.clone(), Some(Last::At(time)));
        self.remember((unit, seq), id);
        if let Some(fact) = fact {
            self.steps.push(Step::Fresh { fact, record });
        }
    }

    fn remember(&mut self, key: (UnitId, UnitSeq), id: Uuid) {
        if self.is_keeper {
            self.recent.insert(key, id);
        }
    }

    fn abandon(&mut self, unit: &UnitId, abandoned: Vec<UnitSeq>) {
        for seq in abandoned {
            let key = (unit.clone(), seq);
            match self.holds.remove(&key) {
                Some(held) => self.park(held.record, OVER),
                None => self.abandoned.push(key),
            }
        }
    }

    fn fork(&mut self, numbered: Numbered, known: Uuid) {
        if !self.is_keeper {
            return;
        }
        let Numbered { unit, seq, id, record, .. } = numbered;
        alarm::fork(self.domain, &unit, seq, known, id);
        self.forks.push(Fork { unit, seq, kept: known, other: id });
        self.park(record, FORK);
    }
}
