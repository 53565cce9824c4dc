//! The agent's two files together: the clinic database and the spool, and what must be known of
//! both to move anything from one to the other.

use std::collections::BTreeSet;
use std::sync::Arc;

use kit_event::UnitSeq;
use rusqlite::Connection;

use crate::clinic::{self, Clinic};
use crate::error::{Act, StationError};
use crate::failpoints::Step;
use crate::gate;
use crate::mapping::Mapping;
use crate::nonces::{Fit, Nonces};
use crate::outbox;
use crate::rows::RowReader;
use crate::setup::{Setup, files};
use crate::spool::{Spool, SpoolTx};
use crate::triggers::{self, Installed};
use crate::walk::Walk;

/// Outbox rows deleted in one transaction: some milliseconds of holding the clinic database.
const SETTLED_AT_ONCE: usize = 2_000;

/// Commits after which a calm moment is used to move write-ahead logs: some megabytes of them.
const COMMITS_BEFORE_CHECKPOINT: u32 = 100;

/// Both files, open and fitting each other.
pub struct Books {
    /// What the agent was told.
    pub setup: Arc<Setup>,
    /// The mapping as it is now.
    pub mapping: Arc<Mapping>,
    /// The clinic database.
    pub clinic: Clinic,
    /// The spool.
    pub spool: Spool,
    /// What stands in the clinic database.
    pub installed: Installed,
    /// Facts up to here may leave the clinic: a durable commit of ours is later than the changes
    /// that they speak of.
    pub released: UnitSeq,
    /// The walk over all rows that is under way.
    pub walk: Option<Walk>,
    pub(crate) nonces: Nonces,
    /// Commits on the spool since logs were moved.
    commits: u32,
    /// Drained rows that still stand in the outbox.
    pub(crate) drained: BTreeSet<i64>,
    /// Drained rows that are gone from the outbox, which the spool still lists.
    pub(crate) gone: Vec<i64>,
}

impl Books {
    /// Opens both files, installs what is missing, heals what does not fit, and opens the first
    /// epoch where there is none.
    ///
    /// # Errors
    /// A file is missing, busy or damaged.
    pub fn open(setup: Arc<Setup>) -> Result<Self, StationError> {
        let clinic = Clinic::open(&setup.path(files::CLINIC))?;
        let had_tables = triggers::has_tables(&clinic.conn)?;
        let capture = !had_tables || gate::read(&clinic.conn)?.wants_triggers();
        let mapping = setup.mapping();
        let installed = triggers::install(&clinic.conn, &mapping, capture)?;
        let spool = Spool::open(&setup.path(files::SPOOL))?;
        let mark = clinic::mark(&clinic.conn)?;
        let (nonces, fit) = Nonces::read(&spool, mark.as_deref())?;
        let drained = spool.drained()?;
        let walk = Walk::read(&spool)?;
        let mut books = Self {
            setup,
            mapping,
            clinic,
            spool,
            installed,
            released: UnitSeq::ZERO,
            walk,
            nonces,
            commits: 0,
            drained,
            gone: Vec::new(),
        };
        books.fit(fit)?;
        books.state_unit()?;
        books.settle()?;
        books.tidy()?;
        Ok(books)
    }

    fn fit(&mut self, fit: Fit) -> Result<(), StationError> {
        match fit {
            Fit::NewSpool => self.open_first_epoch(),
            Fit::AsLeft if self.outbox_went_back()? => self.heal_restore(),
            Fit::AsLeft => self.compare(),
            Fit::WentBack => self.heal_restore(),
        }
    }

    /// Numbers of outbox rows never go back, so a drained row above the newest one is from a future
    /// that the clinic database no longer knows.
    fn outbox_went_back(&self) -> Result<bool, StationError> {
        let newest = outbox::newest_id(&self.clinic.conn)?;
        Ok(self.drained.last().is_some_and(|&drained| drained > newest))
    }

    /// Reads images of rows.
    pub fn reader(&self) -> RowReader<'_> {
        RowReader { mapping: &self.mapping, ids: &self.setup.ids }
    }

    /// Refuses to go on with a clinic database that is not as we left it.
    ///
    /// # Errors
    /// It went back, or is busy.
    pub(crate) fn check_mark(&self, conn: &Connection) -> Result<(), StationError> {
        if clinic::mark(conn)?.as_deref() == self.nonces.expected() {
            Ok(())
        } else {
            Err(StationError::ClinicWentBack)
        }
    }

    /// Whether drained rows wait to be deleted from the outbox, or facts to be released.
    pub fn wants_settling(&self) -> bool {
        !self.drained.is_empty() || self.released != self.spool.last_seq()
    }

    /// Deletes drained rows from the outbox with a durable commit, which releases every fact
    /// numbered so far.
    ///
    /// # Errors
    /// The clinic database is busy or refuses.
    pub fn settle(&mut self) -> Result<(), StationError> {
        loop {
            let ids: Vec<i64> = self.drained.iter().copied().take(SETTLED_AT_ONCE).collect();
            let tx = self.clinic.begin()?;
            self.check_mark(&tx)?;
            self.leave_word(&tx, &ids)?;
            self.setup.failpoints.pass(Step::SettleBeforeCommit)?;
            tx.commit().clinic("settling")?;
            self.settled(&ids);
            self.setup.failpoints.pass(Step::SettleAfterCommit)?;
            if self.drained.is_empty() {
                break;
            }
        }
        self.released = self.spool.last_seq();
        Ok(())
    }

    /// What every transaction of ours leaves in the clinic database.
    pub(crate) fn leave_word(&self, tx: &Connection, ids: &[i64]) -> Result<(), StationError> {
        outbox::delete(tx, ids.iter())?;
        clinic::set_mark(tx, self.nonces.next())
    }

    /// The drained rows that one transaction may delete.
    pub(crate) fn to_settle(&self) -> Vec<i64> {
        self.drained.iter().copied().take(SETTLED_AT_ONCE).collect()
    }

    /// A transaction that left its word has committed.
    pub(crate) fn settled(&mut self, ids: &[i64]) {
        for id in ids {
            self.drained.remove(id);
        }
        self.gone.extend_from_slice(ids);
        self.nonces.written();
    }

    /// Adds to a transaction of the spool what it has to know of the clinic database since the last
    /// one. The caller keeps the returned nonces once it has committed.
    pub(crate) fn catch_up(&self, tx: &SpoolTx<'_>) -> Result<Nonces, StationError> {
        for id in &self.gone {
            tx.forget_drained(*id)?;
        }
        let turned = self.nonces.turned();
        turned.store(tx)?;
        Ok(turned)
    }

    /// The transaction with [`Books::catch_up`] has committed.
    pub(crate) fn caught_up(&mut self, turned: Nonces) {
        self.gone.clear();
        self.nonces = turned;
        self.commits = self.commits.saturating_add(1);
    }

    /// Moves write-ahead logs into their files, where they have grown: between requests, so that
    /// none of them pays for it.
    ///
    /// # Errors
    /// A file refuses.
    pub fn checkpoint(&mut self) -> Result<(), StationError> {
        if self.commits < COMMITS_BEFORE_CHECKPOINT {
            return Ok(());
        }
        self.commits = 0;
        let passive = "PRAGMA wal_checkpoint(PASSIVE)";
        self.clinic.conn.query_row(passive, [], |_| Ok(())).clinic("moving the log")?;
        self.spool.conn().query_row(passive, [], |_| Ok(())).spool("moving the log")
    }

    /// Tells the spool, without haste, what was settled.
    ///
    /// # Errors
    /// The spool refuses.
    pub fn tidy(&mut self) -> Result<(), StationError> {
        if self.gone.is_empty() && !self.nonces.wants_turning() {
            return Ok(());
        }
        let mut turned = None;
        self.spool.lazily(|tx| {
            turned = Some(self.catch_up(tx)?);
            Ok(())
        })?;
        if let Some(turned) = turned {
            self.caught_up(turned);
        }
        Ok(())
    }
}
