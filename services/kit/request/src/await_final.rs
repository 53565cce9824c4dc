//! What is known of a request by now, and the wait for its end.

use std::time::{Duration, Instant};

use kit_event::RequestId;

use crate::tracked::Entry;
use crate::{Heard, NotSent, Requests, chain, store_away};

/// Between two looks at the read model while somebody waits for an outcome that may not come to
/// this process.
pub const LOOK_EVERY: Duration = Duration::from_millis(150);

impl Requests {
    /// What is known of a request by now: memory where it has the outcome, else the read model,
    /// else memory again.
    ///
    /// # Errors
    /// The read model's errors, where memory knows nothing.
    pub async fn newest(
        &self,
        id: &RequestId,
        recalled: Option<Entry>,
    ) -> Result<Option<Entry>, NotSent> {
        if recalled.as_ref().is_some_and(|entry| entry.word.is_some()) {
            return Ok(recalled);
        }
        match (self.book.request(id).await, recalled) {
            (Ok(Some(entry)), recalled) if entry.word.is_some() => {
                Ok(Some(placed_as(entry, recalled)))
            }
            (Ok(stored), recalled) => Ok(recalled.or(stored)),
            (Err(error), Some(entry)) => {
                tracing::warn!(error = %chain(&error), "a request is shown from memory");
                Ok(Some(entry))
            }
            (Err(error), None) => Err(store_away(&error)),
        }
    }

    /// Waits until the unit has spoken of a request, or the time is up. The outcome may come as a
    /// reply to this process, or only as a fact into the read model.
    ///
    /// # Errors
    /// The read model's errors.
    pub async fn await_final(
        &self,
        id: &RequestId,
        mut entry: Entry,
        wait: Duration,
    ) -> Result<Entry, NotSent> {
        let deadline = Instant::now() + wait;
        let mut receiver = self.pending.follow(id);
        while entry.word.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.soft.is_cancelled() {
                break;
            }
            let pause = left.min(LOOK_EVERY);
            match &mut receiver {
                Some(heard) => {
                    if let Heard::Released = self.await_word(heard, pause).await {
                        receiver = None;
                    }
                }
                None => tokio::time::sleep(pause).await,
            }
            if let Some(newer) = self.newest(id, self.pending.recall(id)).await? {
                entry = newer;
            }
        }
        Ok(entry)
    }
}

/// A stored outcome knows the number of its fact, memory the request's place in the log.
fn placed_as(stored: Entry, recalled: Option<Entry>) -> Entry {
    let place = stored.place.clone().or_else(|| recalled.and_then(|entry| entry.place));
    Entry { place, ..stored }
}
