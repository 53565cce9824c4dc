//! Epochs: when the unit begins to number anew, and what it says then.
//!
//! Epoch 1 is opened at the first start, connected or not, so that a fact always has a number. What
//! the log holds is known only from WELCOME: when the spool does not hold exactly that fact, the
//! numbers that follow would contradict the log, and a higher epoch begins. An epoch that never
//! left the clinic is then renamed rather than given up, so that what was captured before the first
//! connection keeps its place.

use kit_event::{Observed, UnitSeq};
use kit_link::{FactFrame, LogIdentity, Welcome};
use requests::RangeLapsed;
use tracing::warn;
use units::{EpochOpened, EpochSeeded, UnitAmended};

use crate::error::WorkerError;
use crate::generations;
use crate::scan::{Purpose, TableScan};
use crate::setup::AGENT_VERSION;
use crate::spool::{Cause, SpoolTx, cursor_note};
use crate::stores::Stores;

/// The note that names the last epoch of which a fact was sent.
const SENT_EPOCH: &str = "sent_epoch";
/// The note that holds what was last said of the unit itself.
const UNIT: &str = "unit";
/// The note that holds the cursor.
pub const CURSOR: &str = "cursor";

impl Stores {
    /// Opens epoch 1 in a spool that has none.
    pub(crate) fn open_first_epoch(&mut self) -> Result<(), WorkerError> {
        let reason = if self.restore_markers.expected().is_some() { "spool-lost" } else { "first" };
        self.open_epoch(1, None, reason)
    }

    /// Opens an epoch: its first fact, and a scan that states every row.
    ///
    /// The spool refuses.
    pub fn open_epoch(
        &mut self,
        epoch: u32,
        previous: Option<u32>,
        reason: &str,
    ) -> Result<(), WorkerError> {
        warn!(target: "connect", epoch, reason, "a new epoch opens");
        let scan = TableScan::new(Purpose::Seed, &self.installed.tables);
        let tx = self.spool.begin()?;
        let opened = self.opened(previous, reason)?;
        tx.open_epoch(epoch, opened, self.setup.clock.now())?;
        tx.set_note(UNIT, &self.unit_note()?)?;
        generations::draw_salt(&tx)?;
        TableScan::store(Some(&scan), &tx)?;
        let known = self.known_after(&[]);
        known.store(&tx)?;
        tx.commit()?;
        self.now_known(known);
        self.scan = Some(scan);
        Ok(())
    }

    /// Says so when the unit's time zone or its agent's version is another than at the last start.
    pub(crate) fn state_unit(&mut self) -> Result<(), WorkerError> {
        let said = self.spool.note(UNIT)?;
        let before = said.and_then(|note| serde_json::from_str::<UnitAmended>(&note).ok());
        let after = self.unit_now();
        let Some(fact) = before.and_then(|before| units::unit::observe(&before, &after)) else {
            return Ok(());
        };
        let observed = fact.observed().map_err(|_| unreadable())?;
        let tx = self.spool.begin()?;
        tx.number(observed, &Cause::default(), self.setup.clock.now())?;
        tx.set_note(UNIT, &self.unit_note()?)?;
        tx.commit()
    }

    /// The fact that ends a seeding scan.
    pub(crate) fn state_seeded(
        &self,
        tx: &SpoolTx<'_>,
        resources: Vec<String>,
    ) -> Result<FactFrame, WorkerError> {
        let fact = units::Fact::EpochSeeded(EpochSeeded {
            unit_id: self.setup.unit.clone(),
            time_zone: self.setup.time_zone.clone(),
            agent_version: AGENT_VERSION.to_owned(),
            epoch: tx.last_seq().epoch,
            things: resources,
        });
        let observed = fact.observed().map_err(|_| unreadable())?;
        tx.number(observed, &Cause::default(), self.setup.clock.now())
    }

    /// What WELCOME says of the log, and of the last durable fact there, means
    /// for our numbering: the number after which the link sends.
    ///
    /// The spool refuses.
    pub fn resume_after(&mut self, welcome: &Welcome) -> Result<UnitSeq, WorkerError> {
        let durable = welcome.durable;
        if let Some(durable) = durable
            && self.spool.holds(&durable)?
            && self.goes_on_after(durable.seq)?
        {
            return Ok(durable.seq);
        }
        let known = durable.map_or(0, |durable| durable.seq.epoch);
        let current = self.spool.last_seq().epoch;
        if current > known && self.goes_on_after(UnitSeq::new(current, 0))? {
            return Ok(UnitSeq::new(current, 0));
        }
        let sent = self.spool.note(SENT_EPOCH)?.and_then(|note| note.parse().ok()).unwrap_or(0);
        if current > sent {
            self.rename_epoch(current, known + 1)?;
            return Ok(UnitSeq::new(known + 1, 0));
        }
        let next = known.max(current) + 1;
        if durable.is_some_and(|durable| durable.seq > self.spool.last_seq()) {
            // Both files fit each other, and the network knows more of this clinic than they do.
            self.note_lost(&welcome.log, welcome.head)?;
            self.open_epoch(next, Some(known.max(current)), "restored")?;
            return Ok(UnitSeq::new(next, 0));
        }
        let reason = if durable.is_some() { "not-in-spool" } else { "log-empty" };
        self.open_epoch(next, Some(known.max(current)), reason)?;
        Ok(UnitSeq::new(next, 0))
    }

    /// Whether the spool has the fact that follows `after`, or there is none yet.
    fn goes_on_after(&self, after: UnitSeq) -> Result<bool, WorkerError> {
        let end = UnitSeq::new(u32::MAX, u64::MAX >> 1);
        let next = self.spool.facts(after, end, 1)?;
        Ok(next.first().is_none_or(|fact| {
            fact.seq == after.next() || (fact.seq.epoch > after.epoch && fact.seq.seq == 1)
        }))
    }

    fn rename_epoch(&mut self, from: u32, to: u32) -> Result<(), WorkerError> {
        warn!(target: "connect", from, to, "an epoch that was never sent is renamed");
        let first = self.opened((to > 1).then(|| to - 1), "spool-lost")?;
        let tx = self.spool.begin()?;
        tx.rename_epoch(from, to)?;
        tx.rewrite(UnitSeq::new(to, 1), &first.body)?;
        for mut seeded in self.spool.facts_of_type(to, EpochSeeded::TYPE)? {
            seeded.body["epoch"] = to.into();
            tx.rewrite(seeded.seq, &seeded.body)?;
        }
        tx.commit()
    }

    /// Remembers that facts of the present epoch leave the clinic.
    ///
    /// The spool refuses.
    pub fn epoch_is_sent(&mut self) -> Result<(), WorkerError> {
        let epoch = self.spool.last_seq().epoch.to_string();
        if self.spool.note(SENT_EPOCH)?.as_deref() == Some(epoch.as_str()) {
            return Ok(());
        }
        let tx = self.spool.begin()?;
        tx.set_note(SENT_EPOCH, &epoch)?;
        tx.commit()
    }

    /// States that a stretch of the log never reached the unit, and goes on behind it.
    ///
    /// The spool refuses.
    pub fn lapse(&mut self, from: i64, to: i64, log: &LogIdentity) -> Result<(), WorkerError> {
        let fact = requests::Fact::RangeLapsed(RangeLapsed { from, to, log: log.0.clone() });
        let observed = fact.observed().map_err(|_| unreadable())?;
        let tx = self.spool.begin()?;
        tx.number(observed, &Cause::default(), self.setup.clock.now())?;
        tx.set_note(CURSOR, &cursor_note(log, to))?;
        tx.commit()
    }

    fn opened(&self, previous: Option<u32>, reason: &str) -> Result<Observed, WorkerError> {
        units::Fact::EpochOpened(EpochOpened {
            unit_id: self.setup.unit.clone(),
            time_zone: self.setup.time_zone.clone(),
            agent_version: AGENT_VERSION.to_owned(),
            previous,
            reason: Some(reason.to_owned()),
        })
        .observed()
        .map_err(|_| unreadable())
    }

    fn unit_now(&self) -> UnitAmended {
        UnitAmended {
            unit_id: self.setup.unit.clone(),
            time_zone: self.setup.time_zone.clone(),
            agent_version: AGENT_VERSION.to_owned(),
        }
    }

    fn unit_note(&self) -> Result<String, WorkerError> {
        serde_json::to_string(&self.unit_now()).map_err(|_| unreadable())
    }
}

fn unreadable() -> WorkerError {
    WorkerError::SpoolContent { what: "a fact about the unit" }
}
