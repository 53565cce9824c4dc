//! What a batch will write, by the reader rules. No I/O: records go in, a plan comes out.

use std::collections::HashMap;
use std::sync::Arc;

use kit_event::{Fact, Timestamp, UnitId, UnitSeq};
use kit_store::{Asked, Reading, Verdict};
use kit_timeline::repair::Fork;
use uuid::Uuid;

use crate::alarm;
use crate::intake::{Looked, Numbered};
use crate::lazy_record::LazyRecord;

/// Where this domain stands with each unit.
pub(crate) type Readings = HashMap<UnitId, Reading>;

/// A fact to apply, in the order of its unit's numbers.
pub(crate) enum Step {
    /// It came with this batch.
    Fresh { fact: Arc<Fact>, lazy_record: Arc<LazyRecord> },
    /// It waits in `held`.
    Held(UnitId, UnitSeq),
}

/// The time of the last fact applied to a unit.
pub(crate) enum Last {
    At(Timestamp),
    /// Known once the held record is read.
    Held(UnitSeq),
}

/// Why a record is set aside.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    /// One of a few words, for counting.
    pub kind: &'static str,
    /// In full, without anything of the record's body.
    pub text: String,
}

impl Cause {
    pub fn new(kind: &'static str, text: &str) -> Self {
        Self { kind, text: text.to_owned() }
    }
}

/// Who plans.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planner {
    pub domain: &'static str,
    /// It keeps every fact, so it knows the ids under past numbers.
    pub is_coordinator: bool,
    /// Nobody is to hear of what it finds: it reads again what the live copy has read before.
    pub is_silent: bool,
}

/// What a batch will write.
pub(crate) struct Plan {
    planner: Planner,
    pub steps: Vec<Step>,
    /// Units whose reading moved.
    pub touched: HashMap<UnitId, Option<Last>>,
    /// New in `held`.
    pub holds: HashMap<(UnitId, UnitSeq), Numbered>,
    /// No longer in `held`: applied or evicted.
    pub gone: Vec<(UnitId, UnitSeq)>,
    /// No longer in `held`: of epochs that are over.
    pub abandoned: Vec<(UnitId, UnitSeq)>,
    pub parks: Vec<(Arc<LazyRecord>, Cause)>,
    pub forks: Vec<Fork>,
    /// Requests that read, with their records.
    pub asked: Vec<Asked>,
    pub asked_records: Vec<Arc<LazyRecord>>,
    /// Ids applied with this batch, which no table holds yet.
    recent: HashMap<(UnitId, UnitSeq), Uuid>,
}

/// What came of an epoch that is over.
pub(crate) fn over() -> Cause {
    Cause::new("epoch_over", "its epoch is over")
}

impl Plan {
    pub fn new(planner: Planner) -> Self {
        Self {
            planner,
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

    /// Takes the next record. `stored` are ids that the coordinator's table holds under past
    /// numbers.
    pub fn take(
        &mut self,
        readings: &mut Readings,
        looked: Looked,
        stored: &HashMap<(UnitId, UnitSeq), Uuid>,
    ) {
        match looked {
            Looked::Numbered(numbered) => self.judge(readings, numbered, stored),
            Looked::Unreadable { lazy_record, number, cause } => {
                if let Some((unit, seq)) = number {
                    self.touched.entry(unit.clone()).or_default();
                    readings.entry(unit).or_default().miss(seq);
                }
                self.park(lazy_record, Cause { kind: "unreadable", text: cause });
            }
        }
    }

    /// Sets a record aside; the coordinator alone does, for all domains.
    fn park(&mut self, lazy_record: Arc<LazyRecord>, cause: Cause) {
        if self.planner.is_coordinator {
            self.parks.push((lazy_record, cause));
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
            Verdict::StaleEpoch => self.park(numbered.lazy_record, over()),
            Verdict::Absurd => {
                let text = "its number lies too far ahead of the unit's";
                self.park(numbered.lazy_record, Cause::new("absurd_number", text));
            }
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
        let Numbered { unit, seq, id, time, fact, lazy_record } = numbered;
        self.touched.insert(unit.clone(), Some(Last::At(time)));
        self.remember((unit, seq), id);
        if let Some(fact) = fact {
            self.steps.push(Step::Fresh { fact, lazy_record });
        }
    }

    fn remember(&mut self, key: (UnitId, UnitSeq), id: Uuid) {
        if self.planner.is_coordinator {
            self.recent.insert(key, id);
        }
    }

    fn abandon(&mut self, unit: &UnitId, abandoned: Vec<UnitSeq>) {
        for seq in abandoned {
            let key = (unit.clone(), seq);
            match self.holds.remove(&key) {
                Some(held) => self.park(held.lazy_record, over()),
                None => self.abandoned.push(key),
            }
        }
    }

    fn fork(&mut self, numbered: Numbered, known: Uuid) {
        if !self.planner.is_coordinator {
            return;
        }
        let Numbered { unit, seq, id, lazy_record, .. } = numbered;
        if !self.planner.is_silent {
            alarm::fork(self.planner.domain, &unit, seq, known, id);
        }
        self.forks.push(Fork { unit, seq, kept: known, other: id });
        self.park(lazy_record, Cause::new("fork", "another fact stands under its number"));
    }
}
