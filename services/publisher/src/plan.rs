//! What a batch tells, by the reader rules. No I/O: facts go in, a plan comes out.

use std::collections::{BTreeMap, HashMap};

use kit_bus::RawRecord;
use kit_event::{Fact, Timestamp, UnitId, UnitSeq};
use kit_store::{Reading, Verdict};

use crate::alarm;
use crate::intake::{Held, Looked};
use crate::metrics::Skipped;

/// Where a lane stands with each of its units.
pub(crate) type Readings = HashMap<UnitId, Reading>;

/// A fact to tell, in the order of its unit's numbers.
pub(crate) struct Step {
    /// The offset of the record that let it be told; it never falls from one step to the next.
    pub source_offset: i64,
    pub what: What,
}

pub(crate) enum What {
    /// It came with this batch.
    Fresh(Box<Fact>),
    /// It waits in `held`.
    Held(UnitId, UnitSeq),
}

/// What a batch tells, and what it leaves to be stored.
#[derive(Default)]
pub(crate) struct Plan {
    pub steps: Vec<Step>,
    /// Units whose reading moved, and the time of the last fact that came with the batch.
    pub touched: HashMap<UnitId, Option<Timestamp>>,
    /// New in `held`.
    pub holds: HashMap<(UnitId, UnitSeq), Held>,
    /// No longer in `held`: told, evicted, or of an epoch that is over.
    pub gone: Vec<(UnitId, UnitSeq)>,
    pub skipped: BTreeMap<Skipped, u64>,
}

impl Plan {
    /// Takes the next record of the lane.
    pub fn take(&mut self, readings: &mut Readings, record: RawRecord, looked: Looked) {
        match looked {
            Looked::Numbered(fact) => self.judge(readings, Held { fact, record }),
            Looked::Unreadable { number } => {
                self.skip(Skipped::Unreadable);
                if let Some((unit, seq)) = number {
                    readings.entry(unit.clone()).or_default().miss(seq);
                    self.touched.entry(unit).or_default();
                }
            }
        }
    }

    /// Counts a fact that is not told.
    pub fn skip(&mut self, reason: Skipped) {
        *self.skipped.entry(reason).or_default() += 1;
    }

    fn judge(&mut self, readings: &mut Readings, numbered: Held) {
        let (unit, seq, id) = (numbered.fact.unit.clone(), numbered.fact.seq, numbered.fact.id);
        self.touched.entry(unit.clone()).or_default();
        let reading = readings.entry(unit.clone()).or_default();
        match reading.receive(seq, id, None) {
            Verdict::Apply => self.apply(reading, numbered),
            Verdict::OpenEpoch { abandoned } => {
                for seq in abandoned {
                    self.forget((unit.clone(), seq));
                    self.skip(Skipped::StaleEpoch);
                }
                self.apply(reading, numbered);
            }
            Verdict::Repeat => self.skip(Skipped::Repeat),
            Verdict::Fork { known } => {
                alarm::fork(&unit, seq, known, id);
                self.skip(Skipped::Fork);
            }
            Verdict::Hold { evicted } => {
                if let Some(evicted) = evicted {
                    self.forget((unit.clone(), evicted));
                    self.skip(Skipped::HoldFull);
                }
                self.holds.insert((unit, seq), numbered);
            }
            Verdict::HoldFull => self.skip(Skipped::HoldFull),
            Verdict::StaleEpoch => self.skip(Skipped::StaleEpoch),
            Verdict::Absurd => self.skip(Skipped::Unreadable),
        }
    }

    /// The fact itself, and what was held behind it.
    fn apply(&mut self, reading: &mut Reading, numbered: Held) {
        let Held { fact, record } = numbered;
        let (unit, source_offset) = (fact.unit.clone(), record.offset);
        self.touched.insert(unit.clone(), Some(fact.time));
        self.steps.push(Step { source_offset, what: What::Fresh(fact) });
        while let Some((seq, _)) = reading.next_held() {
            let key = (unit.clone(), seq);
            let what = if let Some(held) = self.holds.remove(&key) {
                What::Fresh(held.fact)
            } else {
                self.gone.push(key);
                What::Held(unit.clone(), seq)
            };
            self.steps.push(Step { source_offset, what });
        }
    }

    /// Takes a fact out of the hold, wherever it stands.
    fn forget(&mut self, key: (UnitId, UnitSeq)) {
        if self.holds.remove(&key).is_none() {
            self.gone.push(key);
        }
    }
}
