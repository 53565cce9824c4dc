//! `arteria-agent capture on|off|remove`: what a practice's updater calls before and after it
//! changes tables. It works beside a running agent, which sees the capture switch change.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::capture_switch::{self, Closed};
use crate::check::mapping_of;
use crate::clinic::Clinic;
use crate::setup::files;
use crate::triggers;

/// A person waits for this command, so it waits longer for the database than the agent does.
const BUSY_WAIT: Duration = Duration::from_mins(1);

/// What to do with capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Capture goes on; rows that changed meanwhile are found by comparison.
    On,
    /// Triggers stay and write nothing.
    Off,
    /// Triggers are dropped, so that tables and columns may be changed or dropped.
    Remove,
}

/// Switches capture of the clinic in `dir`.
///
/// # Errors
/// The clinic database is missing, or held for longer than a minute.
pub fn switch(dir: &Path, switch: Switch) -> Result<String> {
    let path = dir.join(files::CLINIC);
    let clinic = Clinic::open(&path)?;
    clinic.conn.busy_timeout(BUSY_WAIT).context("waiting for the clinic database")?;
    let mapping = mapping_of(dir)?;
    match switch {
        Switch::On => {
            let installed = triggers::install(&clinic.conn, &mapping, true)?;
            capture_switch::open(&clinic.conn)?;
            Ok(format!(
                "capture is on for {} tables; rows will be compared",
                installed.tables.len()
            ))
        }
        Switch::Off => {
            triggers::install(&clinic.conn, &mapping, false)?;
            capture_switch::close(&clinic.conn, Closed::Off)?;
            Ok("capture is off; triggers stay and write nothing".to_owned())
        }
        Switch::Remove => {
            triggers::install(&clinic.conn, &mapping, false)?;
            capture_switch::close(&clinic.conn, Closed::Removed)?;
            let dropped = triggers::remove(&clinic.conn)?;
            Ok(format!(
                "capture is removed: {dropped} triggers dropped; `capture on` brings it back"
            ))
        }
    }
}
