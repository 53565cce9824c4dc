//! Rounds: what is looked after now and then, beside the work that something asks for.

use std::time::{Duration, Instant};

use chrono::{NaiveDate, Timelike};
use kit_event::Timestamp;
use tracing::{error, info, warn};

use crate::capture_switch::{self, CaptureSwitch, Closed};
use crate::error::WorkerError;
use crate::ledger;
use crate::mapping::Mapping;
use crate::outbox;
use crate::status::{self, Status};
use crate::stores::Stores;
use crate::triggers::{self, OUTBOX_ROWS_MAX};
use crate::worker::ClinicWorker;

/// Between two looks at the file itself and its schema, and two writings of the status.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two looks at the capture switch and the disk.
const GATE_EVERY: Duration = Duration::from_secs(5);
/// Between two looks at whether it is night, and two prunings by day.
const NIGHT_LOOK_EVERY: Duration = Duration::from_mins(1);
/// The hour of the unit's night at which rows are compared: no desk is open.
const NIGHT_HOUR: u32 = 3;

/// When what was last looked after.
pub struct Maintenance {
    schema_version: Option<i64>,
    looked_at: Option<Instant>,
    switch_at: Option<Instant>,
    night_at: Option<Instant>,
    compared_on: Option<NaiveDate>,
    clinic_changed: bool,
    acked: bool,
    status: Option<Status>,
    capture_switch: Option<CaptureSwitch>,
    outbox: i64,
    /// The mapping has changed since rows were compared.
    compare: bool,
    /// A changed mapping that is not obeyed yet.
    mapping: Option<Mapping>,
}

impl Maintenance {
    /// Nothing was looked after yet, but rows were compared at the start.
    pub fn new(stores: &Stores) -> Self {
        Self {
            schema_version: None,
            looked_at: None,
            switch_at: None,
            night_at: None,
            compared_on: Some(local_hour(stores).0),
            clinic_changed: true,
            acked: false,
            status: None,
            capture_switch: None,
            outbox: 0,
            compare: false,
            mapping: None,
        }
    }

    /// Somebody committed to the clinic database.
    pub fn clinic_changed(&mut self) {
        self.clinic_changed = true;
    }

    /// An ACK came, which the spool should learn of without haste.
    pub fn acked(&mut self) {
        self.acked = true;
    }
}

fn is_due(at: &mut Option<Instant>, every: Duration) -> bool {
    let due = at.is_none_or(|at| at.elapsed() >= every);
    if due {
        *at = Some(Instant::now());
    }
    due
}

/// The unit's date and hour.
fn local_hour(stores: &Stores) -> (NaiveDate, u32) {
    let zone: chrono_tz::Tz = stores.setup.time_zone.parse().unwrap_or(chrono_tz::UTC);
    let local = stores.setup.clock.now().to_utc().with_timezone(&zone);
    (local.date_naive(), local.hour())
}

impl ClinicWorker {
    /// Looks after whatever is due.
    pub(crate) fn go_round(&mut self) -> Result<(), WorkerError> {
        if std::mem::take(&mut self.maintenance.clinic_changed) {
            self.check_schema()?;
        }
        if is_due(&mut self.maintenance.looked_at, LOOK_EVERY) {
            if self.stores.clinic.is_replaced() {
                return Err(WorkerError::ClinicReplaced);
            }
            self.check_mapping()?;
            self.check_schema()?;
            self.maintenance.outbox = self.outbox_waiting()?;
            self.write_notes()?;
        }
        if is_due(&mut self.maintenance.switch_at, GATE_EVERY) {
            self.check_gate()?;
        }
        if is_due(&mut self.maintenance.night_at, NIGHT_LOOK_EVERY) {
            self.prune()?;
            let (date, hour) = local_hour(&self.stores);
            if hour == NIGHT_HOUR && self.maintenance.compared_on != Some(date) {
                self.maintenance.compared_on = Some(date);
                // A table that could not be read has another chance.
                self.maintenance.schema_version = None;
                self.maintenance.compare = true;
                self.check_schema()?;
            }
        }
        Ok(())
    }

    /// Takes over a mapping file that has changed. What was captured by the old one is read by it.
    fn check_mapping(&mut self) -> Result<(), WorkerError> {
        let setup = self.stores.setup.clone();
        if let Some(mapping) = setup.mapping_file.reread() {
            info!(target: "message", tables = mapping.tables.len(), "the mapping has changed");
            self.maintenance.mapping = Some(mapping);
        }
        if self.maintenance.mapping.is_none() {
            return Ok(());
        }
        // Held up by another program, the new one is kept for the next look.
        while self.stores.drain()?.more {}
        let Some(mapping) = self.maintenance.mapping.take() else { return Ok(()) };
        self.stores.mapping = setup.set_mapping(mapping);
        self.maintenance.schema_version = None;
        self.maintenance.compare = true;
        Ok(())
    }

    /// A changed schema may have lost triggers with its tables, or columns with its triggers.
    fn check_schema(&mut self) -> Result<(), WorkerError> {
        let version = self.stores.clinic.schema_version()?;
        if self.maintenance.schema_version == Some(version) {
            return self.obey_gate();
        }
        self.stores.clinic.wait_for_others()?;
        let capture_switch = self.read_gate()?;
        let mapping = self.stores.mapping.clone();
        let mut installed =
            triggers::install(&self.stores.clinic.conn, &mapping, capture_switch.wants_triggers())?;
        installed.pause_lost(&self.stores.scanned_tables()?);
        let known = &self.stores.installed;
        // Nothing has changed that would let them be read.
        if self.maintenance.schema_version.is_none() && !self.maintenance.compare {
            for (table, cause) in &known.unreadable {
                installed.pause_unreadable(table, cause.clone());
            }
        }
        for (table, cause) in &installed.paused {
            if self.maintenance.schema_version.is_none() || known.paused.get(table) != Some(cause) {
                warn!(target: "error", table, cause, "a table is not captured");
            }
        }
        self.stores.installed = installed;
        let since_start = self.maintenance.schema_version.is_some();
        if since_start || std::mem::take(&mut self.maintenance.compare) {
            info!(target: "message", "the schema or the mapping has changed; rows are compared");
            self.stores.compare()?;
        }
        // Our own work on triggers counts too, so the version is read again.
        self.maintenance.schema_version = Some(self.stores.clinic.schema_version()?);
        self.obey_gate()
    }

    fn read_gate(&mut self) -> Result<CaptureSwitch, WorkerError> {
        let capture_switch = self.stores.clinic.read(capture_switch::read)?;
        self.maintenance.capture_switch = Some(capture_switch);
        Ok(capture_switch)
    }

    /// A capture switch that was opened asks for a comparison.
    fn obey_gate(&mut self) -> Result<(), WorkerError> {
        let capture_switch = self.read_gate()?;
        if capture_switch.compare && capture_switch.closed.is_none() {
            self.stores.clinic.wait_for_others()?;
            capture_switch::comparing(&self.stores.clinic.conn)?;
            self.stores.compare()?;
        }
        Ok(())
    }

    /// Closes the capture switch when the disk is nearly full, and opens what closed by itself once
    /// its cause is gone.
    fn check_gate(&mut self) -> Result<(), WorkerError> {
        let capture_switch = self.read_gate()?;
        let free = capture_switch::disk_free_bytes(&self.stores.setup.dir).unwrap_or(u64::MAX);
        let clinic = &self.stores.clinic;
        match capture_switch.closed {
            None if free < capture_switch::DISK_FREE_BYTES_MIN => {
                error!(target: "error", free, "the disk is nearly full: capture stops");
                clinic.wait_for_others()?;
                capture_switch::close(&clinic.conn, Closed::DiskFull)?;
            }
            Some(Closed::DiskFull) if free >= capture_switch::DISK_FREE_BYTES_ENOUGH => {
                clinic.wait_for_others()?;
                capture_switch::open(&clinic.conn)?;
            }
            Some(Closed::OutboxFull) if clinic.read(outbox::depth)? < OUTBOX_ROWS_MAX / 2 => {
                clinic.wait_for_others()?;
                capture_switch::open(&clinic.conn)?;
            }
            None | Some(_) => return Ok(()),
        }
        self.obey_gate()
    }

    fn prune(&mut self) -> Result<(), WorkerError> {
        let now = self.stores.setup.clock.now();
        if self.stores.clinic.read(|conn| ledger::is_prunable(conn, now))? {
            self.stores.clinic.wait_for_others()?;
            ledger::prune(&self.stores.clinic.conn, now)?;
            self.outbox_may_hold();
        }
        let acked = self.acked;
        self.stores.spool.lazily(|tx| tx.prune(acked, now))
    }

    /// Tells the spool what `status` shows, and what a restart may forget.
    pub(crate) fn write_notes(&mut self) -> Result<(), WorkerError> {
        let status = Status::of(self)?;
        let paused = self.stores.installed.paused.len();
        self.last_seq.waits(status.unacked, self.oldest_unsent()?, paused);
        let acked = std::mem::take(&mut self.maintenance.acked);
        if !acked && self.maintenance.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let (seq, offset) = (self.acked, self.facts_offset);
        self.stores.spool.lazily(|tx| {
            tx.set_note("acked", &seq.to_string())?;
            match offset {
                Some(offset) => tx.set_note("facts_offset", &offset.to_string())?,
                None => tx.remove_note("facts_offset")?,
            }
            status::store(tx, &status)
        })?;
        self.maintenance.status = Some(status);
        Ok(())
    }

    /// Outbox rows that are not published yet.
    fn outbox_waiting(&self) -> Result<i64, WorkerError> {
        Ok((self.stores.clinic.read(outbox::depth)? - self.stores.drained.len()).max(0))
    }

    fn oldest_unsent(&self) -> Result<Option<Timestamp>, WorkerError> {
        Ok(self.stores.spool.unacked(self.acked)?.1)
    }

    /// Tells `status`, from time to time, that another program holds the clinic database.
    pub(crate) fn tell_busy(&mut self) -> Result<(), WorkerError> {
        if is_due(&mut self.maintenance.looked_at, LOOK_EVERY) {
            if self.stores.clinic.is_replaced() {
                return Err(WorkerError::ClinicReplaced);
            }
            self.write_notes()?;
        }
        Ok(())
    }

    /// The depth of the outbox as last measured.
    pub(crate) fn outbox_depth(&self) -> i64 {
        self.maintenance.outbox
    }

    /// The capture switch as last read.
    pub(crate) fn switch_word(&self) -> &'static str {
        self.maintenance.capture_switch.map_or("unknown", CaptureSwitch::word)
    }
}
