//! Waiting for what must come, without guessing how long it takes.

use std::future::Future;
use std::time::{Duration, Instant};

/// Far beyond what anything takes on a busy two-core machine; a test that waits this long failed.
pub const WITHIN: Duration = Duration::from_mins(3);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks again until `look` sees something, and panics with `what` when it does not come.
pub async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let begun = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(begun.elapsed() < WITHIN, "{what} did not come within {} s", WITHIN.as_secs());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
