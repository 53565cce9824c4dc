//! How long the agent waits before it connects again.
//!
//! Full jitter: thousands of agents that lost the same edge at the same moment must not come back
//! at the same moment. What the edge told counts before anything of our own.

use std::time::{Duration, Instant};

use kit_link::Obey;
use rand::Rng;

/// The first pause is drawn from zero to this.
const BASE: Duration = Duration::from_secs(1);
/// No pause is drawn from further than this.
const MAX: Duration = Duration::from_mins(1);
/// After a close that people must look at: a try every few minutes, so that nobody need come by
/// once it is mended.
const STOPPED: Duration = Duration::from_mins(3);
/// After a close that means nothing is wrong.
const AT_ONCE: Duration = Duration::from_secs(1);
/// What an edge may tell is bounded, so that a slip of a digit does not silence a unit for a day.
const TOLD_MAX: Duration = Duration::from_mins(15);
/// A link that stood this long begins the row anew.
const STOOD: Duration = Duration::from_mins(1);

/// Why a link ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What to do next.
    pub obey: Obey,
    /// How long the edge asked to wait.
    pub retry_after: Option<Duration>,
    /// Why, for logs and status.
    pub cause: String,
}

impl Ended {
    /// A link that was lost or never came to be.
    pub fn lost(cause: impl Into<String>) -> Self {
        Self { obey: Obey::BackOff, retry_after: None, cause: cause.into() }
    }
}

/// The row of pauses.
#[derive(Debug, Default)]
pub struct Pauses {
    failures: u32,
}

impl Pauses {
    /// The pause after a link ended that was welcomed at `since`, or never.
    pub fn after(&mut self, ended: &Ended, since: Option<Instant>) -> Duration {
        if since.is_some_and(|since| since.elapsed() >= STOOD) {
            self.failures = 0;
        }
        #[expect(clippy::disallowed_methods, reason = "drawn at the border")]
        let draw = |from_zero_to: Duration| from_zero_to.mul_f64(rand::rng().random());
        match (ended.obey, ended.retry_after) {
            (Obey::Stop, _) => STOPPED / 2 + draw(STOPPED),
            // A tenth on top, so that those who were told the same do not come at the same moment.
            (_, Some(told)) => {
                let told = told.min(TOLD_MAX);
                told + draw(told / 10)
            }
            (Obey::ReconnectNow, None) => draw(AT_ONCE),
            (Obey::BackOff, None) => {
                let widest = BASE.saturating_mul(1 << self.failures.min(10)).min(MAX);
                self.failures = self.failures.saturating_add(1);
                draw(widest)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widest(pauses: &mut Pauses, ended: &Ended, maintenance: usize) -> Duration {
        (0..maintenance).map(|_| pauses.after(ended, None)).max().unwrap()
    }

    #[test]
    fn pauses_grow_to_a_minute_and_no_further() {
        let mut pauses = Pauses::default();
        let lost = Ended::lost("gone");
        assert!(pauses.after(&lost, None) <= BASE);
        let widest = widest(&mut pauses, &lost, 500);
        assert!(widest <= MAX && widest > MAX / 2, "{widest:?}");
    }

    #[test]
    fn what_the_edge_told_is_obeyed() {
        let mut pauses = Pauses::default();
        let told = Duration::from_secs(5);
        let ended = Ended { retry_after: Some(told), ..Ended::lost("overloaded") };
        let pause = pauses.after(&ended, None);
        assert!(pause >= told && pause <= told + told / 10);
        let far = Ended { retry_after: Some(Duration::from_secs(1 << 30)), ..ended };
        assert!(pauses.after(&far, None) <= TOLD_MAX + TOLD_MAX / 10);
    }

    #[test]
    fn ranges_of_close_codes_are_told_apart() {
        let mut pauses = Pauses::default();
        let stop = Ended { obey: Obey::Stop, ..Ended::lost("revoked") };
        assert!(pauses.after(&stop, None) >= STOPPED / 2);
        let drain = Ended { obey: Obey::ReconnectNow, ..Ended::lost("draining") };
        assert!(widest(&mut pauses, &drain, 50) <= AT_ONCE);
    }
}
