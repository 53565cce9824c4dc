//! Looks after what a process depends on, for as long as it lives.

use std::future::Future;
use std::time::Duration;

use kit_metric::Gauge;

use crate::{Lifecycle, Need};

/// Between two looks: an outage shows within three of them, and a look costs the other side about a
/// millisecond.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A look that takes longer counts as one that failed.
const LOOK_WITHIN: Duration = Duration::from_secs(3);
/// Looks that fail one after another before the thing counts as lost: one may meet a restart.
const LOOKS_FAILED: u32 = 2;

const DEPENDENCY_UP: Gauge<1> = Gauge::new(
    "arteria_dependency_up",
    "1 while what the process depends on answers, 0 while it is away.",
    ["name"],
);

impl Lifecycle {
    /// Asks `look` again and again whether a dependency is there, and tells readiness, the log and
    /// the gauge `arteria_dependency_up`.
    pub fn watch<L, F>(&self, name: &'static str, need: Need, look: L)
    where
        L: Fn() -> F + Send + 'static,
        F: Future<Output = bool> + Send + 'static,
    {
        let (readiness, soft) = (self.readiness(), self.soft());
        let gauge = DEPENDENCY_UP.of([name]);
        DEPENDENCY_UP.describe();
        gauge.set(1.0);
        self.spawn_passing(async move {
            let mut failed = 0;
            loop {
                tokio::select! {
                    () = soft.cancelled() => return,
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
                let answers = tokio::time::timeout(LOOK_WITHIN, look()).await.unwrap_or(false);
                failed = if answers { 0 } else { failed + 1 };
                if (1..LOOKS_FAILED).contains(&failed) || !readiness.found(name, need, answers) {
                    continue;
                }
                gauge.set(if answers { 1.0 } else { 0.0 });
                if answers {
                    tracing::info!(dependency = name, "a dependency is back");
                } else {
                    tracing::error!(dependency = name, "a dependency is lost");
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_dependency_is_lost_after_two_looks_and_back_after_one() {
        let life = Lifecycle::without_signals();
        let is_there = Arc::new(AtomicBool::new(true));
        let seen = is_there.clone();
        life.watch("kafka", Need::Whole, move || {
            let answers = seen.load(Ordering::Relaxed);
            async move { answers }
        });
        let readiness = life.readiness();
        tokio::time::sleep(LOOK_EVERY * 3 + LOOK_EVERY / 4).await;
        assert!(readiness.is_ready());
        is_there.store(false, Ordering::Relaxed);
        tokio::time::sleep(LOOK_EVERY).await;
        assert!(readiness.is_ready(), "one look that fails is no loss");
        tokio::time::sleep(LOOK_EVERY).await;
        assert!(!readiness.is_ready());
        assert!(readiness.line().starts_with("lost kafka"), "{}", readiness.line());
        is_there.store(true, Ordering::Relaxed);
        tokio::time::sleep(LOOK_EVERY).await;
        assert!(readiness.is_ready());
        life.stop();
        life.drain().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_without_an_answer_counts_as_failed() {
        let life = Lifecycle::without_signals();
        life.watch("postgres", Need::Whole, std::future::pending);
        tokio::time::sleep((LOOK_EVERY + LOOK_WITHIN) * 2).await;
        tokio::time::sleep(LOOK_EVERY).await;
        assert!(!life.readiness().is_ready());
    }
}
