//! `arteria-agent requests`: what the unit said of requests lately, for a person at the clinic.
//!
//! What still waits for an absent clinic waits on the network's log and not here; a running agent
//! holds a few at most, whose number the status tells.

use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::Connection;

use crate::clinic::Clinic;
use crate::setup::files;
use crate::spool::Spool;
use crate::status;

/// Lines shown of each kind.
const SHOWN_MAX: i64 = 50;

/// What waits, and what was refused lately.
///
/// # Errors
/// A file is missing or held by another program.
pub fn show(dir: &Path) -> Result<String> {
    let spool = Spool::open_reader(&dir.join(files::SPOOL))?;
    let waiting = status::read(&spool).map(|status| status.waiting).unwrap_or_default();
    let clinic = Clinic::open_reader(&dir.join(files::CLINIC))?;
    let refused = lines(&clinic, "state <> 'done'").context("reading the ledger")?;
    let done = lines(&clinic, "state = 'done'").context("reading the ledger")?;
    Ok(format!("waiting here: {waiting}\n\nrefused:\n{refused}\ndone:\n{done}"))
}

fn lines(clinic: &Connection, condition: &str) -> rusqlite::Result<String> {
    let mut statement = clinic.prepare(&format!(
        "SELECT decided_at, state, type, reason, request_id FROM arteria_applied
         WHERE {condition} ORDER BY rowid DESC LIMIT ?1"
    ))?;
    let mut rows = statement.query([SHOWN_MAX])?;
    let mut text = String::new();
    while let Some(row) = rows.next()? {
        let column =
            |n| row.get::<_, Option<String>>(n).map(std::option::Option::unwrap_or_default);
        let words = [column(0)?, column(1)?, column(2)?, column(3)?, column(4)?];
        let words: Vec<&str> = words.iter().map(String::as_str).filter(|w| !w.is_empty()).collect();
        text.push_str(&format!("  {}\n", words.join("  ")));
    }
    if text.is_empty() {
        text.push_str("  none\n");
    }
    Ok(text)
}
