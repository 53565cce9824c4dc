//! How long a live batch waits before it is given out.
//!
//! A commit costs about the same however much is in it. Few of them are written as soon as they
//! can be, because somebody may be waiting for the row; where they come faster than
//! [`PROMPT_EACH_S`], each waits for what else comes in [`SPACING_MS`], because then the commits
//! themselves are what everybody waits for.

use std::time::Duration;

use tokio::time::Instant;

/// How long every batch waits for more. A booking is a request and two facts within a millisecond
/// or two: one commit for all of them costs a third of three.
const GATHER_MS: u64 = 3;
/// Batches that are given out promptly, each second and at most in a row. A desk of fifty
/// operations a second stays within it.
const PROMPT_EACH_S: f64 = 60.0;
const PROMPT_IN_A_ROW: f64 = 30.0;
/// Time from one batch to the next for the others.
const SPACING_MS: u64 = 25;
/// The same where nothing in the batch is for this domain to read: it only moves the numbers on,
/// which nobody looks at but a reader who asks this domain for another domain's write.
const PASSING_SPACING_MS: u64 = 100;

/// What a domain has left of its prompt batches.
#[derive(Debug)]
pub(crate) struct Spacing {
    prompt: f64,
    given_at: Instant,
}

impl Spacing {
    /// Everything is left.
    pub fn new(now: Instant) -> Self {
        Self { prompt: PROMPT_IN_A_ROW, given_at: now }
    }

    /// Until when a batch that began at `begun` waits for more.
    pub fn until(&self, begun: Instant, concerns: bool) -> Instant {
        let gathered = begun + Duration::from_millis(GATHER_MS);
        let spacing_ms = match concerns {
            true if self.left(begun) >= 1.0 => return gathered,
            true => SPACING_MS,
            false => PASSING_SPACING_MS,
        };
        gathered.max(self.given_at + Duration::from_millis(spacing_ms))
    }

    /// A batch was given out.
    pub fn given(&mut self, now: Instant, concerns: bool) {
        self.prompt = self.left(now);
        if concerns {
            self.prompt = (self.prompt - 1.0).max(0.0);
        }
        self.given_at = now;
    }

    fn left(&self, now: Instant) -> f64 {
        let earned = now.saturating_duration_since(self.given_at).as_secs_f64() * PROMPT_EACH_S;
        (self.prompt + earned).min(PROMPT_IN_A_ROW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches given out in one second, where something comes each `every_ms`.
    fn given_in_a_second(spacing: &mut Spacing, from: Instant, every_ms: u64) -> (usize, u64) {
        let (mut now, end) = (from, from + Duration::from_secs(1));
        let (mut given, mut longest_ms) = (0, 0);
        while now < end {
            let at = spacing.until(now, true);
            longest_ms = longest_ms.max((at - now).as_millis() as u64);
            spacing.given(at, true);
            given += 1;
            let gone = (at - from).as_millis() as u64;
            now = from + Duration::from_millis((gone / every_ms + 1) * every_ms);
        }
        (given, longest_ms)
    }

    #[tokio::test(start_paused = true)]
    async fn a_desk_of_fifty_a_second_is_written_promptly_for_ever() {
        let mut from = Instant::now();
        let mut spacing = Spacing::new(from);
        for _ in 0..20 {
            assert_eq!(given_in_a_second(&mut spacing, from, 20), (50, GATHER_MS));
            from += Duration::from_secs(1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn under_load_commits_are_bounded_and_nothing_waits_longer_than_the_spacing() {
        let mut from = Instant::now();
        let mut spacing = Spacing::new(from);
        given_in_a_second(&mut spacing, from, 1);
        for _ in 0..20 {
            from += Duration::from_secs(1);
            let (given, longest_ms) = given_in_a_second(&mut spacing, from, 1);
            assert!(given as f64 <= PROMPT_EACH_S + 2.0, "{given}");
            assert!(longest_ms <= SPACING_MS, "{longest_ms}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_for_others_waits_and_spends_nothing() {
        let now = Instant::now();
        let mut spacing = Spacing::new(now);
        assert_eq!(spacing.until(now, false) - now, Duration::from_millis(PASSING_SPACING_MS));
        for _ in 0..1_000 {
            spacing.given(now, false);
        }
        assert_eq!(spacing.until(now, true) - now, Duration::from_millis(GATHER_MS));
    }
}
