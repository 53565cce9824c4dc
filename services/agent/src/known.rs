//! What the spool knows of the clinic database: the restore markers, the drained outbox rows that
//! may still stand there, and the newest of them. One note holds all of it, so that each
//! transaction of the spool writes one record.

use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};

use crate::drained::Drained;
use crate::error::{Act, WorkerError};
use crate::outbox::Witness;
use crate::restore_markers::RestoreMarkers;
use crate::spool::{Spool, SpoolTx};

const NOTE: &str = "capture";

/// What is known of the clinic database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// None in a spool that has never seen a clinic database.
    pub restore_markers: Option<RestoreMarkers>,
    /// Drained rows that may still stand in the outbox.
    pub drained: Drained,
    /// The newest drained row, by which an outbox that went back shows.
    pub witness: Option<Witness>,
}

#[derive(Serialize, Deserialize)]
struct Text {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
    next: String,
    drained: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    witness: Option<Witness>,
}

impl Known {
    /// Reads the note, or what an older agent left.
    ///
    /// # Errors
    /// The spool refuses, or the note does not read.
    pub fn read(spool: &Spool) -> Result<Self, WorkerError> {
        let Some(note) = spool.note(NOTE)? else { return Self::read_older(spool) };
        let text: Text = serde_json::from_str(&note).map_err(|_| unreadable())?;
        Ok(Self {
            restore_markers: Some(RestoreMarkers::kept(text.previous, text.next)),
            drained: text.drained.parse().map_err(|_| unreadable())?,
            witness: text.witness,
        })
    }

    /// Two notes and a table.
    fn read_older(spool: &Spool) -> Result<Self, WorkerError> {
        let previous = spool.note("nonce_previous")?;
        let restore_markers =
            spool.note("nonce_next")?.map(|next| RestoreMarkers::kept(previous, next));
        let table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'drained'";
        let table = spool.conn().query_row(table, [], |_| Ok(())).optional();
        let mut drained = Drained::default();
        if table.spool("looking for drained rows")?.is_some() {
            drained = spool
                .conn()
                .prepare("SELECT outbox_id FROM drained")
                .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
                .spool("reading drained rows")?;
        }
        Ok(Self { restore_markers, drained, witness: None })
    }

    /// Writes the note.
    ///
    /// # Errors
    /// The spool refuses.
    pub fn store(&self, tx: &SpoolTx<'_>) -> Result<(), WorkerError> {
        let Some(restore_markers) = &self.restore_markers else { return Ok(()) };
        let (previous, next) = restore_markers.as_kept();
        let text = Text {
            previous: previous.map(str::to_owned),
            next: next.to_owned(),
            drained: self.drained.to_string(),
            witness: self.witness.clone(),
        };
        let text = serde_json::to_string(&text).map_err(|_| unreadable())?;
        tx.set_note(NOTE, &text)
    }
}

fn unreadable() -> WorkerError {
    WorkerError::SpoolContent { what: "what is known of the clinic database" }
}
