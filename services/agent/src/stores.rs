//! The agent's two files together: the clinic database and the spool, and what must be known of
//! both to move anything from one to the other.

use std::sync::Arc;

use rusqlite::Connection;

use crate::capture_switch;
use crate::clinic::{self, Clinic};
use crate::drained::Drained;
use crate::error::{Act, WorkerError};
use crate::failpoints::Step;
use crate::generations;
use crate::known::Known;
use crate::mapping::Mapping;
use crate::outbox::{self, Captured, Witness};
use crate::present::Unsure;
use crate::restore_markers::{Fit, RestoreMarkers};
use crate::rows::RowReader;
use crate::scan::TableScan;
use crate::setup::{Setup, files};
use crate::spool::Spool;
use crate::triggers::{self, Installed};

/// Outbox rows deleted in one transaction: a few milliseconds of holding the clinic database.
pub const CLEARED_AT_ONCE: i64 = 500;

/// Commits after which a calm moment is used to move write-ahead logs: some megabytes of them.
const COMMITS_BEFORE_CHECKPOINT: u32 = 100;

/// Both files, open and fitting each other.
pub struct Stores {
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
    /// The scan over all rows that is under way.
    pub scan: Option<TableScan>,
    pub(crate) restore_markers: RestoreMarkers,
    /// Commits on the spool since logs were moved.
    commits: u32,
    /// Drained rows that may still stand in the outbox.
    pub(crate) drained: Drained,
    /// The newest drained row.
    pub(crate) witness: Option<Witness>,
    /// Rows that wait to be held against their images.
    pub(crate) unsure: Unsure,
    /// Generations of keys begin with another salt once the outbox was read to its end.
    pub(crate) salt_is_due: bool,
}

impl Stores {
    /// Opens both files, installs what is missing, heals what does not fit, and opens the first
    /// epoch where there is none.
    ///
    /// # Errors
    /// A file is missing, busy or damaged.
    pub fn open(setup: Arc<Setup>) -> Result<Self, WorkerError> {
        let clinic = Clinic::open(&setup.path(files::CLINIC))?;
        let had_tables = triggers::has_tables(&clinic.conn)?;
        let capture = !had_tables || capture_switch::read(&clinic.conn)?.wants_triggers();
        let mapping = setup.mapping();
        let installed = triggers::install(&clinic.conn, &mapping, capture)?;
        let spool = Spool::open(&setup.path(files::SPOOL))?;
        let mark = clinic::mark(&clinic.conn)?;
        let known = Known::read(&spool)?;
        let (restore_markers, truncate) =
            RestoreMarkers::held_against(known.restore_markers, mark.as_deref());
        let scan = TableScan::read(&spool)?;
        let mut stores = Self {
            setup,
            mapping,
            clinic,
            spool,
            installed,
            scan,
            restore_markers,
            commits: 0,
            drained: known.drained,
            witness: known.witness,
            unsure: Unsure::default(),
            salt_is_due: true,
        };
        let scanned = stores.scanned_tables()?;
        stores.installed.pause_lost(&scanned);
        stores.take_generations_back()?;
        stores.truncate(truncate)?;
        stores.state_unit()?;
        stores.forget_what_is_gone()?;
        stores.clinic.wait_no_more()?;
        Ok(stores)
    }

    /// What the outbox holds belongs to the life before, if the clinic was restored; all that comes
    /// after it does not.
    fn take_generations_back(&mut self) -> Result<(), WorkerError> {
        let waits = self.clinic.read(|conn| outbox::goes_on(conn, &self.drained, i64::MIN))?;
        let tx = self.spool.begin()?;
        self.clinic.read(|conn| generations::take_back(&tx, conn))?;
        if !waits {
            generations::draw_salt(&tx)?;
        }
        tx.commit()?;
        self.salt_is_due = waits;
        Ok(())
    }

    fn truncate(&mut self, truncate: Fit) -> Result<(), WorkerError> {
        match truncate {
            Fit::NewSpool => self.open_first_epoch(),
            Fit::AsLeft if self.outbox_went_back()? => self.heal_restore(),
            Fit::AsLeft => self.compare(),
            Fit::WentBack => self.heal_restore(),
        }
    }

    /// Numbers of outbox rows never go back, so a drained row above the newest one, or under other
    /// words, is from a future that the clinic database no longer knows.
    fn outbox_went_back(&self) -> Result<bool, WorkerError> {
        self.clinic.read(|conn| self.is_outbox_behind(conn))
    }

    fn is_outbox_behind(&self, conn: &Connection) -> Result<bool, WorkerError> {
        let Some(last) = self.drained.last() else { return Ok(false) };
        if last > outbox::newest_id(conn)? {
            return Ok(true);
        }
        self.witness.as_ref().map_or(Ok(false), |witness| witness.is_denied(conn))
    }

    /// Numbers below the oldest row of the outbox never come again.
    fn forget_what_is_gone(&mut self) -> Result<(), WorkerError> {
        let oldest = self.clinic.read(outbox::oldest_or_next_id)?;
        self.drained.remove(i64::MIN, oldest - 1);
        Ok(())
    }

    /// Reads images of rows.
    pub fn reader(&self) -> RowReader<'_> {
        let spool = Some(self.spool.conn());
        RowReader { mapping: &self.mapping, ids: &self.setup.ids, spool }
    }

    /// Refuses to go on with a clinic database that is not as we left it.
    ///
    /// # Errors
    /// It went back, or is busy.
    pub(crate) fn check_mark(&self, conn: &Connection) -> Result<(), WorkerError> {
        let is_ours = clinic::mark(conn)?.as_deref() == self.restore_markers.expected();
        if is_ours && !self.is_outbox_behind(conn)? {
            Ok(())
        } else {
            Err(WorkerError::ClinicWentBack)
        }
    }

    /// Whether no drained row is known to stand in the outbox.
    pub fn outbox_is_clear(&self) -> bool {
        self.drained.is_empty()
    }

    /// Deletes some drained rows from the outbox. The caller found a quiet moment; another program
    /// that begins to read in it is waited for all the same.
    ///
    /// # Errors
    /// The clinic database is busy or refuses; another program reads.
    pub fn clear(&mut self) -> Result<(), WorkerError> {
        let clearing = self.drained.lowest(CLEARED_AT_ONCE);
        if clearing.is_empty() {
            return Ok(());
        }
        let tx = self.clinic.begin()?;
        self.check_mark(&tx)?;
        self.leave_word(&tx, &clearing)?;
        self.setup.failpoints.pass(Step::ClearBeforeCommit)?;
        tx.commit("clearing the outbox")?;
        self.cleared(&clearing);
        self.setup.failpoints.pass(Step::ClearAfterCommit)?;
        // The spool forgets the rows only once their deletion is on the disk, and at once: a clinic
        // database from before is known by its older restore marker.
        self.clinic.flush()?;
        let tx = self.spool.begin()?;
        let known = self.known_after(&[]);
        known.store(&tx)?;
        tx.commit()?;
        self.now_known(known);
        Ok(())
    }

    /// What every transaction of ours leaves in the clinic database.
    pub(crate) fn leave_word(
        &self,
        tx: &Connection,
        clearing: &[(i64, i64)],
    ) -> Result<(), WorkerError> {
        generations::copy(self.spool.conn(), tx)?;
        outbox::delete(tx, clearing)?;
        clinic::set_mark(tx, self.restore_markers.next())
    }

    /// A transaction that left its word has committed.
    pub(crate) fn cleared(&mut self, stretches: &[(i64, i64)]) {
        for (first, last) in stretches {
            self.drained.remove(*first, *last);
        }
        self.restore_markers.written();
    }

    /// What the spool is to know of the clinic database once these rows are recorded. The caller
    /// stores it and, once the spool has committed, keeps it.
    pub(crate) fn known_after(&self, rows: &[Captured]) -> Known {
        let mut drained = self.drained.clone();
        for row in rows {
            drained.insert(row.id);
        }
        let witness = rows.last().map(Witness::of).or_else(|| self.witness.clone());
        Known { restore_markers: Some(self.restore_markers.turned()), drained, witness }
    }

    /// The transaction that stored it has committed.
    pub(crate) fn now_known(&mut self, known: Known) {
        self.restore_markers =
            known.restore_markers.unwrap_or_else(|| self.restore_markers.turned());
        self.drained = known.drained;
        self.witness = known.witness;
        self.commits = self.commits.saturating_add(1);
    }

    /// Moves write-ahead logs into their files, where they have grown: between requests, so that
    /// none of them pays for it.
    ///
    /// # Errors
    /// A file refuses.
    pub fn checkpoint(&mut self) -> Result<(), WorkerError> {
        if self.commits < COMMITS_BEFORE_CHECKPOINT {
            return Ok(());
        }
        self.commits = 0;
        let passive = "PRAGMA wal_checkpoint(PASSIVE)";
        if self.clinic.has_wal() {
            self.clinic.conn.query_row(passive, [], |_| Ok(())).clinic("moving the log")?;
        }
        self.spool.conn().query_row(passive, [], |_| Ok(())).spool("moving the log")
    }
}
