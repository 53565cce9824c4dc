//! What is known of a request by now, and the wait for its end.

use std::time::{Duration, Instant};

use kit_event::RequestId;
use kit_telemetry::chain;

use crate::tracked::Entry;
use crate::{Heard, NotSent, Requests, store_away};

/// Between two looks at the read model while somebody waits for an outcome that may not come to
/// this process.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// A request whose 202 another process gave a moment ago may not be in the read model yet; for so
/// long it is looked for before it counts as unknown.
const SEEN_WITHIN: Duration = Duration::from_millis(1_500);

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

    /// The request of that id, with what `may_see` gives for it. What is not there and what may not
    /// be seen take the same time, so that the time does not tell the two apart.
    ///
    /// # Errors
    /// The read model's errors.
    pub async fn find<T>(
        &self,
        id: &RequestId,
        may_see: impl Fn(&Entry) -> Option<T>,
    ) -> Result<Option<(Entry, T)>, NotSent> {
        let begun = Instant::now();
        loop {
            let found = self.newest(id, self.pending.recall(id)).await?;
            let left = SEEN_WITHIN.saturating_sub(begun.elapsed());
            match found {
                Some(entry) => {
                    if let Some(sight) = may_see(&entry) {
                        return Ok(Some((entry, sight)));
                    }
                    tokio::time::sleep(left).await;
                    return Ok(None);
                }
                None if left.is_zero() => return Ok(None),
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
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
