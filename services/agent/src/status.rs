//! The status: what the running agent tells of itself, for `arteria-agent status`.
//!
//! The agent writes it into the spool when it changes; `status` reads it there, so it works beside
//! the agent and after its end. It names tables and numbers, never a row.

use std::fmt;

use kit_event::UnitSeq;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::error::WorkerError;
use crate::spool::{SpoolTx, read_note};
use crate::worker::ClinicWorker;

const NOTE: &str = "status";
/// What the practice's own program is asked for; docs/mapping.md says more.
const PRACTICE_NEEDS: &str = "a busy timeout of 1 s, for the moment in which a request is written";

/// What the agent last told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The unit.
    pub unit: String,
    /// The link's state and its cause.
    pub link: String,
    /// The last number given.
    pub last: UnitSeq,
    /// The last number known to be on the log.
    pub acked: UnitSeq,
    /// Facts without ACK.
    pub unacked: u64,
    /// When the oldest of them was numbered.
    pub oldest_unsent: Option<String>,
    /// Rows in the outbox.
    pub outbox: i64,
    /// Whether triggers write, else why not.
    pub capture_switch: String,
    /// Whether another program holds the clinic database.
    pub clinic_busy: bool,
    /// The log of requests and the next position in it.
    pub cursor: Option<String>,
    /// Requests and cancels that wait here.
    pub waiting: usize,
    /// Tables that are not captured, and why.
    pub paused: Vec<String>,
    /// Optional tables that the practice does without.
    pub absent: Vec<String>,
    /// Mapped columns that the database lacks.
    pub missing: Vec<String>,
    /// Keys whose numbers come again after a removal.
    pub come_again: Vec<String>,
    /// What is wrong with the mapping file, while the last one without mistakes is obeyed.
    pub mapping: Option<String>,
    /// The scan under way.
    pub scan: Option<String>,
    /// What stops the agent from working at all.
    pub fault: Option<String>,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            unit: String::new(),
            link: "never connected".to_owned(),
            last: UnitSeq::ZERO,
            acked: UnitSeq::ZERO,
            unacked: 0,
            oldest_unsent: None,
            outbox: 0,
            capture_switch: "unknown".to_owned(),
            clinic_busy: false,
            cursor: None,
            waiting: 0,
            paused: Vec::new(),
            absent: Vec::new(),
            missing: Vec::new(),
            come_again: Vec::new(),
            mapping: None,
            scan: None,
            fault: None,
        }
    }
}

impl Status {
    /// The status of a worker.
    ///
    /// # Errors
    /// The spool does not answer.
    pub fn of(worker: &ClinicWorker) -> Result<Self, WorkerError> {
        let stores = &worker.stores;
        let (unacked, oldest) = stores.spool.unacked(worker.acked)?;
        let scan = stores.scan.as_ref().map(|scan| {
            let table = scan.tables.first().map_or("", String::as_str);
            format!("{:?} at {table}", scan.purpose).to_lowercase()
        });
        Ok(Self {
            unit: stores.setup.unit.to_string(),
            link: worker.link_word.clone(),
            last: stores.spool.last_seq(),
            acked: worker.acked,
            unacked,
            oldest_unsent: oldest.map(|at| at.to_string()),
            outbox: worker.outbox_depth(),
            capture_switch: worker.switch_word().to_owned(),
            clinic_busy: worker.busy,
            cursor: worker.cursor.as_ref().map(|(log, next)| format!("{next} of {}", log.0)),
            waiting: worker.commands.len() + worker.ahead.len(),
            paused: stores.installed.paused.iter().map(|(t, why)| format!("{t}: {why}")).collect(),
            absent: stores.installed.absent.iter().cloned().collect(),
            missing: stores.installed.missing.clone(),
            come_again: stores.installed.come_again.clone(),
            mapping: stores.setup.mapping_file.trouble(),
            scan,
            fault: None,
        })
    }
}

/// Writes the status into the spool.
///
/// # Errors
/// The spool refuses.
pub fn store(tx: &SpoolTx<'_>, status: &Status) -> Result<(), WorkerError> {
    let note = serde_json::to_string(status)
        .map_err(|_| WorkerError::SpoolContent { what: "the status" })?;
    tx.set_note(NOTE, &note)
}

/// Reads the status from a spool.
///
/// # Errors
/// The spool does not answer, or holds no status that reads.
pub fn read(conn: &Connection) -> Result<Status, WorkerError> {
    let note = read_note(conn, NOTE)?;
    let note = note.ok_or(WorkerError::SpoolContent { what: "the status" })?;
    serde_json::from_str(&note).map_err(|_| WorkerError::SpoolContent { what: "the status" })
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |items: &[String]| {
            if items.is_empty() { "none".to_owned() } else { items.join(", ") }
        };
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
        writeln!(f, "unit            {}", self.unit)?;
        writeln!(f, "link            {}", self.link)?;
        writeln!(f, "last fact       {}", self.last)?;
        writeln!(f, "last ack        {}", self.acked)?;
        writeln!(f, "unacked facts   {}", self.unacked)?;
        writeln!(f, "oldest unsent   {}", or_none(&self.oldest_unsent))?;
        writeln!(f, "outbox rows     {}", self.outbox)?;
        writeln!(f, "gate            {}", self.capture_switch)?;
        let held = if self.clinic_busy { "held by another program" } else { "free" };
        writeln!(f, "clinic database {held}")?;
        writeln!(f, "practice needs  {PRACTICE_NEEDS}")?;
        writeln!(f, "cursor          {}", or_none(&self.cursor))?;
        writeln!(f, "waiting here    {}", self.waiting)?;
        writeln!(f, "tables paused   {}", list(&self.paused))?;
        writeln!(f, "tables absent   {}", list(&self.absent))?;
        writeln!(f, "columns missing {}", list(&self.missing))?;
        writeln!(f, "keys reused     {}", list(&self.come_again))?;
        writeln!(f, "mapping trouble {}", or_none(&self.mapping))?;
        writeln!(f, "walk            {}", or_none(&self.scan))?;
        write!(f, "fault           {}", or_none(&self.fault))
    }
}
