//! Named steps at which a test stops the agent, as a power cut would.
//!
//! Every multi-step process passes its steps here. In a running agent nothing is armed and a step
//! costs one comparison; a test arms one step and then starts again from the files that are left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A place between two durable effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Decided and written, not committed in the clinic database.
    ApplyBeforeCommit,
    /// Committed in the clinic database, not drained.
    ApplyAfterCommit,
    /// The outbox was read, the spool not touched.
    DrainRead,
    /// Facts are numbered, the spool transaction not committed.
    SpoolBeforeCommit,
    /// Facts are in the spool, the outbox still holds their rows.
    SpoolAfterCommit,
    /// Outbox rows are deleted, not committed.
    ClearBeforeCommit,
    /// Outbox rows are gone, the spool still lists them as drained.
    ClearAfterCommit,
    /// A restored clinic database has its lost requests back, the new epoch is not open.
    RestoreBeforeEpoch,
}

impl Step {
    /// Every step, for tests that die at each.
    pub const ALL: [Self; 8] = [
        Self::ApplyBeforeCommit,
        Self::ApplyAfterCommit,
        Self::DrainRead,
        Self::SpoolBeforeCommit,
        Self::SpoolAfterCommit,
        Self::ClearBeforeCommit,
        Self::ClearAfterCommit,
        Self::RestoreBeforeEpoch,
    ];
}

/// The agent was stopped at a step by a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped at {0:?}")]
pub struct Stopped(pub Step);

/// Which step is armed; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Failpoints(Option<Arc<Armed>>);

#[derive(Debug)]
struct Armed {
    step: Step,
    passes_left: AtomicU32,
}

impl Failpoints {
    /// Nothing is armed.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Stops at `step` after it was passed `passes` times.
    #[must_use]
    pub fn stop_at(step: Step, passes: u32) -> Self {
        Self(Some(Arc::new(Armed { step, passes_left: AtomicU32::new(passes) })))
    }

    /// Passes a step, unless it is the armed one and its time has come.
    ///
    /// # Errors
    /// The test stops the agent here; it stays stopped at every later pass.
    pub fn pass(&self, step: Step) -> Result<(), Stopped> {
        let Some(armed) = self.0.as_deref().filter(|armed| armed.step == step) else {
            return Ok(());
        };
        let left = armed.passes_left.load(Ordering::SeqCst);
        if left == 0 {
            return Err(Stopped(step));
        }
        armed.passes_left.store(left - 1, Ordering::SeqCst);
        Ok(())
    }
}
