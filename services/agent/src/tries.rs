//! Tries of a command that may be what stops the agent.
//!
//! In good days nothing is counted: it would cost every request a write. After a start that
//! followed no good end, the first command is counted in the spool before it is tried, and at the
//! third time it is refused instead.

use kit_event::RequestId;

use crate::error::WorkerError;
use crate::spool::Spool;

/// Stands while an agent runs, and is left behind by one that did not end well.
const RUNNING: &str = "running";
/// The suspected command and how often it was tried.
const SUSPECT: &str = "suspect";

/// Whether the next command is suspected.
#[derive(Debug)]
pub struct Tries {
    suspects: bool,
    counted: Option<u32>,
}

impl Tries {
    /// Notes that an agent runs, and learns how the last one ended.
    ///
    /// The spool refuses.
    pub fn begin(spool: &Spool) -> Result<Self, WorkerError> {
        let suspects = spool.note(RUNNING)?.is_some();
        let tx = spool.begin()?;
        tx.set_note(RUNNING, "1")?;
        tx.commit()?;
        Ok(Self { suspects, counted: None })
    }

    /// How often this command was tried, with this time; 0 where nothing is suspected. A start
    /// counts once, however often another program makes it wait.
    ///
    /// The spool refuses.
    pub fn count(&mut self, spool: &Spool, request_id: &RequestId) -> Result<u32, WorkerError> {
        if !self.suspects {
            return Ok(0);
        }
        if let Some(count) = self.counted {
            return Ok(count);
        }
        let before = spool.note(SUSPECT)?.and_then(|note| {
            let (count, id) = note.split_once(' ')?;
            (id == request_id.as_str()).then(|| count.parse::<u32>().ok())?
        });
        let count = before.unwrap_or(0) + 1;
        let tx = spool.begin()?;
        tx.set_note(SUSPECT, &format!("{count} {request_id}"))?;
        tx.commit()?;
        self.counted = Some(count);
        Ok(count)
    }

    /// A command was done with: nothing is suspected any more.
    ///
    /// The spool refuses.
    pub fn passed(&mut self, spool: &Spool) -> Result<(), WorkerError> {
        if self.suspects {
            self.suspects = false;
            spool.lazily(|tx| tx.remove_note(SUSPECT))?;
        }
        Ok(())
    }

    /// The agent ends well.
    ///
    /// The spool refuses.
    pub fn end(&self, spool: &Spool) -> Result<(), WorkerError> {
        let tx = spool.begin()?;
        tx.remove_note(RUNNING)?;
        tx.commit()
    }
}
