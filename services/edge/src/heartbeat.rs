//! When a link is asked whether it is alive, and when it is given up.
//!
//! Any frame is a sign of life, so a busy link is not pinged for that; but now and then it is
//! pinged for the sake of its cursor, which only a ping moves while no request comes. A link that
//! begins is pinged soon, because only the answer says how much of its unit's news is still unsent:
//! a clinic that comes back with a day's work must not look like one that has none.

use std::time::Duration;

use kit_link::limits::{HEARTBEAT_GRACE_MS, HEARTBEAT_MS};
use tokio::time::Instant;

use crate::limits::{FIRST_PING_AFTER_MS, PING_AT_LEAST_EVERY_MS};

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Rest,
    /// A ping is due.
    Ping,
    /// The agent answered nothing for too long.
    Dead,
}

/// The heartbeat of one link.
#[derive(Debug)]
pub struct Heartbeat {
    idle: Duration,
    ping_by: Instant,
    received_at: Instant,
    sent_at: Instant,
    unanswered_since: Option<Instant>,
}

impl Heartbeat {
    /// A link that begins now. `jitter` between 0 and 1 spreads the pings of links that began
    /// together a fifth to either side.
    #[must_use]
    pub fn new(now: Instant, jitter: f64) -> Self {
        let spread = |ms| Duration::from_millis(ms).mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0));
        let (idle, ping_by) = (spread(HEARTBEAT_MS), now + spread(FIRST_PING_AFTER_MS));
        Self { idle, ping_by, received_at: now, sent_at: now, unanswered_since: None }
    }

    /// The agent gave a sign of life.
    pub fn received(&mut self, now: Instant) {
        self.received_at = now;
        self.unanswered_since = None;
    }

    /// Something went down.
    pub fn sent(&mut self, now: Instant) {
        self.sent_at = now;
    }

    /// A ping went down.
    pub fn pinged(&mut self, now: Instant) {
        self.sent_at = now;
        self.ping_by = now + Duration::from_millis(PING_AT_LEAST_EVERY_MS);
        self.unanswered_since.get_or_insert(now);
    }

    /// When [`Heartbeat::heartbeat`] has something to say at the earliest.
    #[must_use]
    pub fn due_at(&self) -> Instant {
        if let Some(since) = self.unanswered_since {
            since + Duration::from_millis(HEARTBEAT_GRACE_MS)
        } else {
            let idle = self.received_at.min(self.sent_at) + self.idle;
            idle.min(self.ping_by)
        }
    }

    /// What is to be done now.
    #[must_use]
    pub fn heartbeat(&self, now: Instant) -> Due {
        match self.unanswered_since {
            _ if now < self.due_at() => Due::Rest,
            Some(_) => Due::Dead,
            None => Due::Ping,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    /// A link that answered its first ping at once.
    fn begun(start: Instant, jitter: f64) -> Heartbeat {
        let mut heartbeat = Heartbeat::new(start, jitter);
        heartbeat.pinged(start);
        heartbeat.received(start);
        heartbeat
    }

    #[test]
    fn a_link_that_begins_is_pinged_soon_however_busy_it_is() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, 0.5);
        for ms in 1..FIRST_PING_AFTER_MS {
            heartbeat.received(after(start, ms));
            heartbeat.sent(after(start, ms));
            assert_eq!(heartbeat.heartbeat(after(start, ms)), Due::Rest);
        }
        assert_eq!(heartbeat.heartbeat(after(start, FIRST_PING_AFTER_MS)), Due::Ping);
    }

    #[test]
    fn an_idle_link_is_pinged_and_given_up_after_the_grace() {
        let start = Instant::now();
        let mut heartbeat = begun(start, 0.5);
        assert_eq!(heartbeat.heartbeat(after(start, HEARTBEAT_MS - 1)), Due::Rest);
        assert_eq!(heartbeat.heartbeat(after(start, HEARTBEAT_MS)), Due::Ping);
        heartbeat.pinged(after(start, HEARTBEAT_MS));
        let end = HEARTBEAT_MS + HEARTBEAT_GRACE_MS;
        assert_eq!(heartbeat.heartbeat(after(start, end - 1)), Due::Rest);
        assert_eq!(heartbeat.heartbeat(after(start, end)), Due::Dead);
        heartbeat.received(after(start, end));
        assert_eq!(heartbeat.heartbeat(after(start, end)), Due::Rest);
    }

    #[test]
    fn a_busy_link_is_pinged_only_for_its_cursor() {
        let start = Instant::now();
        let mut heartbeat = begun(start, 0.0);
        let mut at_ms = 0;
        while at_ms + 1_000 < PING_AT_LEAST_EVERY_MS {
            at_ms += 1_000;
            heartbeat.received(after(start, at_ms));
            heartbeat.sent(after(start, at_ms));
            assert_eq!(heartbeat.heartbeat(after(start, at_ms)), Due::Rest);
        }
        assert_eq!(heartbeat.heartbeat(after(start, PING_AT_LEAST_EVERY_MS)), Due::Ping);
    }

    #[test]
    fn links_that_began_together_are_pinged_a_fifth_apart() {
        let start = Instant::now();
        let early = begun(start, 0.0).due_at() - start;
        let late = begun(start, 1.0).due_at() - start;
        assert_eq!(early.as_millis() as u64, HEARTBEAT_MS * 8 / 10);
        assert_eq!(late.as_millis() as u64, HEARTBEAT_MS * 12 / 10);
    }
}
