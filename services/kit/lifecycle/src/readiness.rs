//! What a process still waits for, and what it has lost since, by name.
//!
//! A latch is waited for once, at the start. A dependency may go and come back: one that the
//! process is of no use without makes it unready while it is away, so that calls go elsewhere; one
//! that it can do without for some of its work is only named, because a broker that is away must
//! not take every reader of what is already there along.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

/// Whether a process is of use while a dependency is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It is of none.
    Whole,
    /// A part of its work goes on.
    Part,
}

#[derive(Default)]
struct State {
    held: BTreeMap<&'static str, u32>,
    lost: BTreeMap<&'static str, (Need, Instant)>,
}

/// A set of named latches and dependencies; ready when none holds and none that is needed is lost.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<State>>);

/// One thing waited for. Dropping it without release keeps the process unready: a part that died
/// must not count as present.
pub struct Latch {
    name: &'static str,
    readiness: Readiness,
}

/// A dependency that is away, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// Its name.
    pub name: &'static str,
    /// Whether the process is of use without it.
    pub need: Need,
    /// Since when, as far as anybody has looked.
    pub for_so_long: Duration,
}

impl Readiness {
    /// Names one more thing to wait for.
    #[must_use]
    pub fn latch(&self, name: &'static str) -> Latch {
        *self.state().held.entry(name).or_default() += 1;
        Latch { name, readiness: self.clone() }
    }

    /// Whether nothing is waited for, and nothing is lost that the process is of no use without.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let state = self.state();
        state.held.is_empty() && !state.lost.values().any(|(need, _)| *need == Need::Whole)
    }

    /// The names still waited for.
    #[must_use]
    pub fn waiting_for(&self) -> Vec<&'static str> {
        self.state().held.keys().copied().collect()
    }

    /// The dependencies that are away.
    #[must_use]
    pub fn lost(&self) -> Vec<Lost> {
        let state = self.state();
        let lost = state.lost.iter();
        lost.map(|(&name, &(need, since))| Lost { name, need, for_so_long: since.elapsed() })
            .collect()
    }

    /// What was found out of a dependency; whether that is news.
    #[must_use]
    pub fn found(&self, name: &'static str, need: Need, is_there: bool) -> bool {
        let mut state = self.state();
        if is_there {
            return state.lost.remove(name).is_some();
        }
        let is_news = !state.lost.contains_key(name);
        state.lost.entry(name).or_insert_with(|| (need, Instant::now()));
        is_news
    }

    /// Everything in one line, for people and probes.
    #[must_use]
    pub fn line(&self) -> String {
        let waiting = self.waiting_for();
        let (needed, others): (Vec<_>, Vec<_>) =
            self.lost().into_iter().partition(|lost| lost.need == Need::Whole);
        let mut parts = Vec::new();
        if !waiting.is_empty() {
            parts.push(format!("waiting for {}", waiting.join(", ")));
        }
        if !needed.is_empty() {
            parts.push(format!("lost {}", named(&needed)));
        }
        if parts.is_empty() {
            parts.push("ready".to_owned());
        }
        if !others.is_empty() {
            parts.push(format!("without {}", named(&others)));
        }
        parts.join("; ")
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn named(lost: &[Lost]) -> String {
    let one = |lost: &Lost| format!("{} for {} s", lost.name, lost.for_so_long.as_secs());
    lost.iter().map(one).collect::<Vec<_>>().join(", ")
}

impl Latch {
    /// The thing has come.
    pub fn release(self) {
        let mut state = self.readiness.state();
        if let Some(count) = state.held.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                state.held.remove(self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_every_latch_is_released() {
        let readiness = Readiness::default();
        let (one, two) = (readiness.latch("kafka"), readiness.latch("kafka"));
        one.release();
        assert_eq!(readiness.waiting_for(), ["kafka"]);
        assert_eq!(readiness.line(), "waiting for kafka");
        two.release();
        assert!(readiness.is_ready());
        assert_eq!(readiness.line(), "ready");
    }

    #[test]
    fn a_latch_that_is_dropped_still_holds() {
        let readiness = Readiness::default();
        drop(readiness.latch("postgres"));
        assert!(!readiness.is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_dependency_is_named_with_its_time_until_it_is_back() {
        let readiness = Readiness::default();
        assert!(readiness.found("postgres", Need::Whole, false));
        tokio::time::advance(Duration::from_secs(12)).await;
        assert!(!readiness.found("postgres", Need::Whole, false), "no news");
        assert!(!readiness.is_ready());
        assert_eq!(readiness.line(), "lost postgres for 12 s");
        assert!(readiness.found("postgres", Need::Whole, true));
        assert!(!readiness.found("postgres", Need::Whole, true), "no news");
        assert_eq!(readiness.line(), "ready");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_process_can_do_without_leaves_it_ready() {
        let readiness = Readiness::default();
        let _ = readiness.found("kafka", Need::Part, false);
        assert!(readiness.is_ready());
        assert_eq!(readiness.line(), "ready; without kafka for 0 s");
    }
}
