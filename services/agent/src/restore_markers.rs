//! Restore markers: how the agent notices that one of its two files went back in time.
//!
//! Every transaction of ours on the clinic database leaves the *next* restore marker in it; every
//! transaction on the spool that follows makes that one the *previous* and draws a new next.
//! Whatever the moment of a crash, the clinic database then holds one of the two. When it holds
//! neither, it (or the spool) was put back from a backup.

use uuid::Uuid;

/// The two restore markers, and which of them the clinic database holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreMarkers {
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

impl RestoreMarkers {
    /// Holds those of the spool against the clinic database's mark.
    #[must_use]
    pub fn held_against(known: Option<Self>, mark: Option<&str>) -> (Self, Fit) {
        let Some(known) = known else { return (Self::fresh(mark), Fit::NewSpool) };
        let next_is_written = mark == Some(known.next.as_str());
        let fits = next_is_written || mark == known.previous.as_deref();
        let restore_markers = Self { next_is_written, ..known };
        (restore_markers, if fits { Fit::AsLeft } else { Fit::WentBack })
    }

    /// As the spool keeps them.
    #[must_use]
    pub fn kept(previous: Option<String>, next: String) -> Self {
        Self { previous, next, next_is_written: false }
    }

    /// New ones, for a clinic database that holds `mark`.
    pub fn fresh(mark: Option<&str>) -> Self {
        let next = Uuid::new_v4().simple().to_string();
        Self { previous: mark.map(str::to_owned), next, next_is_written: false }
    }

    /// What the clinic database must hold now.
    #[must_use]
    pub fn expected(&self) -> Option<&str> {
        if self.next_is_written { Some(&self.next) } else { self.previous.as_deref() }
    }

    /// What our next transaction on the clinic database leaves in it.
    #[must_use]
    pub fn next(&self) -> &str {
        &self.next
    }

    /// The clinic database holds the next one now.
    pub fn written(&mut self) {
        self.next_is_written = true;
    }

    /// Whether the spool should learn that the next one was written.
    #[must_use]
    pub fn wants_turning(&self) -> bool {
        self.next_is_written
    }

    /// What the spool's next transaction makes of them.
    #[must_use]
    pub fn turned(&self) -> Self {
        if self.next_is_written { Self::fresh(Some(&self.next)) } else { self.clone() }
    }

    /// The one before, and the next one.
    #[must_use]
    pub fn as_kept(&self) -> (Option<&str>, &str) {
        (self.previous.as_deref(), &self.next)
    }
}
