//! Named steps at which a test kills the process.
//!
//! Every step between two durable effects passes here. In a running publisher nothing is armed and
//! a step costs one comparison.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A place between two durable effects, in the order in which a life meets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The claim is stored, nothing was read.
    Claimed,
    /// Positions are known, the tails are being read.
    TailsHalfRead,
    /// The tails are read, nothing was sent.
    TailsRead,
    /// A batch was judged, nothing of it was sent.
    BeforeSend,
    /// A namespace was met for the first time; its topic is not there.
    BeforeCreateTopic,
    /// Its topic is there, and empty.
    AfterCreateTopic,
    /// Some of a batch was enqueued.
    MidBatch,
    /// All of a batch was enqueued, nothing is known of its delivery.
    AfterSend,
    /// The brokers have all of it, the checkpoint is where it was.
    AfterFlush,
    /// The checkpoint is written, not committed.
    BeforeCommit,
    /// The checkpoint is committed, nobody was told.
    AfterCommit,
    /// The lane knows, and has not begun another batch.
    BetweenBatches,
}

impl Step {
    /// Every step, for tests that die at each.
    pub const ALL: [Self; 12] = [
        Self::Claimed,
        Self::TailsHalfRead,
        Self::TailsRead,
        Self::BeforeSend,
        Self::BeforeCreateTopic,
        Self::AfterCreateTopic,
        Self::MidBatch,
        Self::AfterSend,
        Self::AfterFlush,
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::BetweenBatches,
    ];
}

/// Which step is armed; clones share it.
#[derive(Clone, Default)]
pub struct Failpoints(Option<Arc<Armed>>);

struct Armed {
    step: Step,
    passes_left: AtomicU32,
    strike: fn(),
}

impl Failpoints {
    /// Nothing is armed.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Calls `strike` at `step` after it was passed `passes` times.
    pub fn armed(step: Step, passes: u32, strike: fn()) -> Self {
        Self(Some(Arc::new(Armed { step, passes_left: AtomicU32::new(passes), strike })))
    }

    /// Passes a step, unless it is the armed one and its time has come.
    pub(crate) fn pass(&self, step: Step) {
        let Some(armed) = self.0.as_deref().filter(|armed| armed.step == step) else { return };
        let left = armed
            .passes_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_err() {
            (armed.strike)();
        }
    }
}
