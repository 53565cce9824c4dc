//! When one of the two files was put back from a backup.
//!
//! The clinic database is the truth about rows, the spool about what the network was told. So the
//! rows are stated anew in a new epoch; requests that the network was told are done, and that the
//! clinic no longer knows of, are written back into the ledger as `undone`. None is run again by
//! itself: people decide that.

use kit_event::Rejection;
use kit_link::LogIdentity;
use requests::{FinalState, RequestOutcome};
use serde_json::{Map, Value};
use tracing::error;

use crate::drained::Drained;
use crate::error::{Act, WorkerError};
use crate::failpoints::Step;
use crate::last_published;
use crate::ledger;
use crate::present::Unsure;
use crate::restore_markers::RestoreMarkers;
use crate::spool::{cursor_note, read_cursor_note};
use crate::stores::Stores;

/// What is said of a request whose effect a restore took back.
const UNDONE: &str = "clinic-restored";
const UNDONE_TITLE: &str = "The clinic was restored to a time before the request";
const UNDONE_DETAIL: &str =
    "The record is as the clinic now has it; ask again if it is still wanted.";

/// The rejection of such a request.
pub(crate) fn undone() -> Rejection {
    Rejection { slug: UNDONE, title: UNDONE_TITLE, detail: UNDONE_DETAIL.to_owned() }
}

/// Ledger rows looked at in one transaction.
const HEALED_AT_ONCE: usize = 200;

/// The note that names the requests of which a clinic that was restored as a whole cannot know
/// whether they were done: a log, and the position that followed the last of them.
const LOST: &str = "lost_by_restore";

impl Stores {
    /// Notes that the clinic was restored as a whole. What stood on the log by then may have been
    /// done in the life that was lost; nothing here remembers, so none of it is run.
    pub(crate) fn note_lost(&self, log: &LogIdentity, head: i64) -> Result<(), WorkerError> {
        error!(target: "error", head, "the clinic was put back as a whole; no request is repeated");
        let tx = self.spool.begin()?;
        tx.set_note(LOST, &cursor_note(log, head))?;
        tx.commit()
    }

    /// Whether a request may have been done before the clinic was restored.
    pub(crate) fn may_be_lost(
        &self,
        log: &LogIdentity,
        position: i64,
    ) -> Result<bool, WorkerError> {
        let noted = self.spool.note(LOST)?.and_then(|note| read_cursor_note(&note));
        Ok(noted.is_some_and(|(known, head)| known == *log && position < head))
    }

    /// Makes the two files fit each other again.
    pub(crate) fn heal_restore(&mut self) -> Result<(), WorkerError> {
        error!(target: "error", "the clinic database or the spool was put back from a backup");
        // What the outbox held is history twice over; the new epoch states what came of it.
        self.clinic
            .conn
            .execute("DELETE FROM arteria_outbox", [])
            .clinic("emptying a restored outbox")?;
        let undone = self.write_back_lost_requests()?;
        self.setup.failpoints.pass(Step::RestoreBeforeEpoch)?;
        let mark = crate::clinic::mark(&self.clinic.conn)?;
        self.clinic.flush()?;
        // In the spool they end with the transaction that opens the epoch, as the restore markers
        // do.
        self.drained = Drained::default();
        self.witness = None;
        self.unsure = Unsure::default();
        self.restore_markers = RestoreMarkers::fresh(mark.as_deref());
        let current = self.spool.last_seq().epoch;
        // The restore markers are stored in the transaction that opens the epoch: until then the
        // files do not fit, and all of this is done again.
        self.open_epoch(current + 1, Some(current), "restored")?;
        error!(target: "error", undone, "requests were undone by the restore");
        Ok(())
    }

    fn write_back_lost_requests(&self) -> Result<usize, WorkerError> {
        let mut after = String::new();
        let mut undone = 0;
        loop {
            let resource = RequestOutcome::RESOURCE;
            let rows = last_published::after(self.spool.conn(), resource, &after, HEALED_AT_ONCE)?;
            let Some(last) = rows.last() else { return Ok(undone) };
            after.clone_from(&last.key);
            let tx = self.clinic.begin()?;
            for row in &rows {
                if ledger::find(&tx, &row.public_id)?.is_none()
                    && let Value::Object(fields) = &row.state
                {
                    let fields = self.written_back(fields);
                    undone += usize::from(fields["state"] == FinalState::Undone.as_str());
                    ledger::insert_fields(&tx, &fields, None)?;
                }
            }
            tx.commit("writing back lost requests")?;
        }
    }

    /// What was done is undone; a rejection stands as it was.
    fn written_back(&self, fields: &Map<String, Value>) -> Map<String, Value> {
        let mut fields = fields.clone();
        if fields.get("state").and_then(Value::as_str) == Some(FinalState::Done.as_str()) {
            for (name, value) in [
                ("state", FinalState::Undone.as_str()),
                ("reason", UNDONE),
                ("title", UNDONE_TITLE),
                ("detail", UNDONE_DETAIL),
                ("decided_at", &self.setup.clock.now().to_string()),
            ] {
                fields.insert(name.to_owned(), Value::String(value.to_owned()));
            }
        }
        fields
    }
}
