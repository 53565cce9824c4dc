//! Rounds: what is looked after now and then, beside the work that something asks for.

use std::time::{Duration, Instant};

use chrono::{NaiveDate, Timelike};
use kit_event::Timestamp;
use tracing::{error, info, warn};

use crate::books::Books;
use crate::error::StationError;
use crate::gate::{self, Closed, Gate};
use crate::ledger;
use crate::mapping::Mapping;
use crate::outbox;
use crate::station::Station;
use crate::status::{self, Status};
use crate::triggers::{self, OUTBOX_ROWS_MAX};

/// Between two looks at the file itself and its schema, and two writings of the status.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two looks at the gate and the disk.
const GATE_EVERY: Duration = Duration::from_secs(5);
/// Between two looks at whether it is night, and two prunings by day.
const NIGHT_LOOK_EVERY: Duration = Duration::from_mins(1);
/// The hour of the unit's night at which rows are compared: no desk is open.
const NIGHT_HOUR: u32 = 3;

/// When what was last looked after.
pub struct Rounds {
    schema_version: Option<i64>,
    looked_at: Option<Instant>,
    gate_at: Option<Instant>,
    night_at: Option<Instant>,
    compared_on: Option<NaiveDate>,
    clinic_changed: bool,
    acked: bool,
    status: Option<Status>,
    gate: Option<Gate>,
    outbox: i64,
    /// The mapping has changed since rows were compared.
    compare: bool,
    /// A changed mapping that is not obeyed yet.
    mapping: Option<Mapping>,
}

impl Rounds {
    /// Nothing was looked after yet, but rows were compared at the start.
    pub fn new(books: &Books) -> Self {
        Self {
            schema_version: None,
            looked_at: None,
            gate_at: None,
            night_at: None,
            compared_on: Some(local_hour(books).0),
            clinic_changed: true,
            acked: false,
            status: None,
            gate: None,
            outbox: 0,
            compare: false,
            mapping: None,
        }
    }

    /// Somebody committed to the clinic database.
    pub fn clinic_changed(&mut self) {
        self.clinic_changed = true;
    }

    /// An ACK came, which the spool should hear of without haste.
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
fn local_hour(books: &Books) -> (NaiveDate, u32) {
    let zone: chrono_tz::Tz = books.setup.time_zone.parse().unwrap_or(chrono_tz::UTC);
    let local = books.setup.clock.now().to_utc().with_timezone(&zone);
    (local.date_naive(), local.hour())
}

impl Station {
    /// Looks after whatever is due.
    pub(crate) fn go_round(&mut self) -> Result<(), StationError> {
        if std::mem::take(&mut self.rounds.clinic_changed) {
            self.check_schema()?;
        }
        if is_due(&mut self.rounds.looked_at, LOOK_EVERY) {
            if self.books.clinic.is_replaced() {
                return Err(StationError::ClinicReplaced);
            }
            self.check_mapping()?;
            self.check_schema()?;
            self.rounds.outbox = self.outbox_waiting()?;
            self.write_notes()?;
        }
        if is_due(&mut self.rounds.gate_at, GATE_EVERY) {
            self.check_gate()?;
        }
        if is_due(&mut self.rounds.night_at, NIGHT_LOOK_EVERY) {
            self.prune()?;
            let (date, hour) = local_hour(&self.books);
            if hour == NIGHT_HOUR && self.rounds.compared_on != Some(date) {
                self.rounds.compared_on = Some(date);
                // A table that could not be read has another chance.
                self.rounds.schema_version = None;
                self.rounds.compare = true;
                self.check_schema()?;
            }
        }
        Ok(())
    }

    /// Takes over a mapping file that has changed. What was captured by the old one is read by it.
    fn check_mapping(&mut self) -> Result<(), StationError> {
        let setup = self.books.setup.clone();
        if let Some(mapping) = setup.mapping_file.reread() {
            info!(target: "message", tables = mapping.tables.len(), "the mapping has changed");
            self.rounds.mapping = Some(mapping);
        }
        if self.rounds.mapping.is_none() {
            return Ok(());
        }
        // Held up by another program, the new one is kept for the next look.
        while self.books.drain()?.more {}
        let Some(mapping) = self.rounds.mapping.take() else { return Ok(()) };
        self.books.mapping = setup.set_mapping(mapping);
        self.rounds.schema_version = None;
        self.rounds.compare = true;
        Ok(())
    }

    /// A changed schema may have lost triggers with its tables, or columns with its triggers.
    fn check_schema(&mut self) -> Result<(), StationError> {
        let version = self.books.clinic.schema_version()?;
        if self.rounds.schema_version == Some(version) {
            return self.obey_gate();
        }
        self.books.clinic.wait_for_others()?;
        let gate = self.read_gate()?;
        let mapping = self.books.mapping.clone();
        let mut installed =
            triggers::install(&self.books.clinic.conn, &mapping, gate.wants_triggers())?;
        let known = &self.books.installed;
        // Nothing has changed that would let them be read.
        if self.rounds.schema_version.is_none() && !self.rounds.compare {
            for (table, cause) in &known.unreadable {
                installed.pause_unreadable(table, cause.clone());
            }
        }
        for (table, cause) in &installed.paused {
            if self.rounds.schema_version.is_none() || known.paused.get(table) != Some(cause) {
                warn!(target: "error", table, cause, "a table is not captured");
            }
        }
        self.books.installed = installed;
        let since_start = self.rounds.schema_version.is_some();
        if since_start || std::mem::take(&mut self.rounds.compare) {
            info!(target: "message", "the schema or the mapping has changed; rows are compared");
            self.books.compare()?;
        }
        // Our own work on triggers counts too, so the version is read again.
        self.rounds.schema_version = Some(self.books.clinic.schema_version()?);
        self.obey_gate()
    }

    fn read_gate(&mut self) -> Result<Gate, StationError> {
        let gate = self.books.clinic.read(gate::read)?;
        self.rounds.gate = Some(gate);
        Ok(gate)
    }

    /// A gate that was opened asks for a comparison.
    fn obey_gate(&mut self) -> Result<(), StationError> {
        let gate = self.read_gate()?;
        if gate.compare && gate.closed.is_none() {
            self.books.clinic.wait_for_others()?;
            gate::comparing(&self.books.clinic.conn)?;
            self.books.compare()?;
        }
        Ok(())
    }

    /// Closes the gate when the disk is nearly full, and opens what closed by itself once its cause
    /// is gone.
    fn check_gate(&mut self) -> Result<(), StationError> {
        let gate = self.read_gate()?;
        let free = gate::disk_free_bytes(&self.books.setup.dir).unwrap_or(u64::MAX);
        let clinic = &self.books.clinic;
        match gate.closed {
            None if free < gate::DISK_FREE_BYTES_MIN => {
                error!(target: "error", free, "the disk is nearly full: capture stops");
                clinic.wait_for_others()?;
                gate::close(&clinic.conn, Closed::DiskFull)?;
            }
            Some(Closed::DiskFull) if free >= gate::DISK_FREE_BYTES_ENOUGH => {
                clinic.wait_for_others()?;
                gate::open(&clinic.conn)?;
            }
            Some(Closed::OutboxFull) if clinic.read(outbox::depth)? < OUTBOX_ROWS_MAX / 2 => {
                clinic.wait_for_others()?;
                gate::open(&clinic.conn)?;
            }
            None | Some(_) => return Ok(()),
        }
        self.obey_gate()
    }

    fn prune(&mut self) -> Result<(), StationError> {
        let now = self.books.setup.clock.now();
        if self.books.clinic.read(|conn| ledger::is_prunable(conn, now))? {
            self.books.clinic.wait_for_others()?;
            ledger::prune(&self.books.clinic.conn, now)?;
            self.outbox_may_hold();
        }
        let acked = self.acked;
        self.books.spool.lazily(|tx| tx.prune(acked, now))
    }

    /// Tells the spool what `status` shows, and what a restart may forget.
    pub(crate) fn write_notes(&mut self) -> Result<(), StationError> {
        let status = Status::of(self)?;
        let paused = self.books.installed.paused.len();
        self.last_seq.waits(status.unacked, self.oldest_unsent()?, paused);
        let acked = std::mem::take(&mut self.rounds.acked);
        if !acked && self.rounds.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let (seq, offset) = (self.acked, self.facts_offset);
        self.books.spool.lazily(|tx| {
            tx.set_note("acked", &seq.to_string())?;
            match offset {
                Some(offset) => tx.set_note("facts_offset", &offset.to_string())?,
                None => tx.remove_note("facts_offset")?,
            }
            status::store(tx, &status)
        })?;
        self.rounds.status = Some(status);
        Ok(())
    }

    /// Outbox rows that are not published yet.
    fn outbox_waiting(&self) -> Result<i64, StationError> {
        Ok((self.books.clinic.read(outbox::depth)? - self.books.drained.len()).max(0))
    }

    fn oldest_unsent(&self) -> Result<Option<Timestamp>, StationError> {
        Ok(self.books.spool.unacked(self.acked)?.1)
    }

    /// Tells `status`, from time to time, that another program holds the clinic database.
    pub(crate) fn tell_busy(&mut self) -> Result<(), StationError> {
        if is_due(&mut self.rounds.looked_at, LOOK_EVERY) {
            if self.books.clinic.is_replaced() {
                return Err(StationError::ClinicReplaced);
            }
            self.write_notes()?;
        }
        Ok(())
    }

    /// The depth of the outbox as last measured.
    pub(crate) fn outbox_depth(&self) -> i64 {
        self.rounds.outbox
    }

    /// The gate as last read.
    pub(crate) fn gate_word(&self) -> &'static str {
        self.rounds.gate.map_or("unknown", Gate::word)
    }
}
