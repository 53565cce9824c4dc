//! What a process still waits for, by name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A set of named latches; ready when none holds.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, u32>>>);

/// One thing waited for. Dropping it without release keeps the process unready: a part that died
/// must not count as present.
pub struct Latch {
    name: &'static str,
    readiness: Readiness,
}

impl Readiness {
    /// Names one more thing to wait for.
    pub fn latch(&self, name: &'static str) -> Latch {
        *self.held().entry(name).or_default() += 1;
        Latch { name, readiness: self.clone() }
    }

    /// Whether nothing is waited for.
    pub fn is_ready(&self) -> bool {
        self.held().is_empty()
    }

    /// The names still waited for.
    pub fn waiting_for(&self) -> Vec<&'static str> {
        self.held().keys().copied().collect()
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, u32>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Latch {
    /// The thing has come.
    pub fn release(self) {
        let mut held = self.readiness.held();
        if let Some(count) = held.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                held.remove(self.name);
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
        two.release();
        assert!(readiness.is_ready());
    }

    #[test]
    fn a_latch_that_is_dropped_still_holds() {
        let readiness = Readiness::default();
        drop(readiness.latch("postgres"));
        assert!(!readiness.is_ready());
    }
}
