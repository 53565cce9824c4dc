//! Nonces: how the agent notices that one of its two files went back in time.
//!
//! Every transaction of ours on the clinic database leaves the *next* nonce in it; every
//! transaction on the spool that follows makes that one the *previous* and draws a new next.
//! Whatever the moment of a crash, the clinic database then holds one of the two. When it holds
//! neither, it (or the spool) was put back from a backup.

use uuid::Uuid;

use crate::error::StationError;
use crate::spool::{Spool, SpoolTx};

const PREVIOUS: &str = "nonce_previous";
const NEXT: &str = "nonce_next";

/// The two nonces, and which of them the clinic database holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonces {
    previous: Option<String>,
    next: String,
    next_is_written: bool,
}

/// How the clinic database fits the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// As we left it.
    AsLeft,
    /// The spool has never seen a clinic database.
    NewSpool,
    /// One of the two files went back.
    WentBack,
}

impl Nonces {
    /// Reads them from the spool and holds them against the clinic database's mark.
    ///
    /// The spool refuses.
    pub fn read(spool: &Spool, mark: Option<&str>) -> Result<(Self, Fit), StationError> {
        let previous = spool.note(PREVIOUS)?;
        let Some(next) = spool.note(NEXT)? else {
            return Ok((Self::fresh(mark), Fit::NewSpool));
        };
        let next_is_written = mark == Some(next.as_str());
        let fits = next_is_written || mark == previous.as_deref();
        let nonces = Self { previous, next, next_is_written };
        Ok((nonces, if fits { Fit::AsLeft } else { Fit::WentBack }))
    }

    /// New ones, for a clinic database that holds `mark`.
    pub fn fresh(mark: Option<&str>) -> Self {
        let next = Uuid::new_v4().simple().to_string();
        Self { previous: mark.map(str::to_owned), next, next_is_written: false }
    }

    /// What the clinic database must hold now.
    pub fn expected(&self) -> Option<&str> {
        if self.next_is_written { Some(&self.next) } else { self.previous.as_deref() }
    }

    /// What our next transaction on the clinic database leaves in it.
    pub fn next(&self) -> &str {
        &self.next
    }

    /// The clinic database holds the next one now.
    pub fn written(&mut self) {
        self.next_is_written = true;
    }

    /// Whether the spool should hear that the next one was written.
    pub fn wants_turning(&self) -> bool {
        self.next_is_written
    }

    /// What the spool's next transaction makes of them.
    pub fn turned(&self) -> Self {
        if self.next_is_written { Self::fresh(Some(&self.next)) } else { self.clone() }
    }

    /// Stores them in the spool.
    ///
    /// The spool refuses.
    pub fn store(&self, tx: &SpoolTx<'_>) -> Result<(), StationError> {
        match &self.previous {
            Some(previous) => tx.set_note(PREVIOUS, previous)?,
            None => tx.remove_note(PREVIOUS)?,
        }
        tx.set_note(NEXT, &self.next)
    }
}
