//! The one place that asks the machine for the time.
//!
//! Everything that decides something takes the time as an argument; hosts take it from a [`Clock`]
//! at their border and pass it in. A test gives a fixed clock and moves it by hand. The crate knows
//! nothing of what the time is for.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use kit_event::Timestamp;

/// A source of the present time; clones share it.
#[derive(Clone)]
pub struct Clock(Kind);

#[derive(Clone)]
enum Kind {
    System,
    Fixed(Arc<AtomicI64>),
    Told(Arc<Told>),
    Shifted(Arc<Shifted>),
}

/// Another clock, and how far it is off.
struct Shifted {
    of: Clock,
    ms: AtomicI64,
}

/// A time that another machine told, carried on by our monotonic clock.
struct Told {
    at: Timestamp,
    since: Instant,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// A clock that stands at `at` until it is [`Clock::set`].
    #[must_use]
    pub fn fixed(at: Timestamp) -> Self {
        Self(Kind::Fixed(Arc::new(AtomicI64::new(at.unix_ms()))))
    }

    /// A clock that was told the time just now and goes on by the monotonic clock, so that a step
    /// of the machine's own clock does not move it.
    #[must_use]
    pub fn told(at: Timestamp) -> Self {
        Self(Kind::Told(Arc::new(Told { at, since: Instant::now() })))
    }

    /// A clock that follows `of`, at a distance that is [`Clock::shift`]ed by who learns it.
    #[must_use]
    pub fn shifted(of: Self) -> Self {
        Self(Kind::Shifted(Arc::new(Shifted { of, ms: AtomicI64::new(0) })))
    }

    /// The present time.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::System => Timestamp::from(chrono::Utc::now()),
            Kind::Fixed(unix_ms) => Timestamp::from_unix_ms(unix_ms.load(Ordering::SeqCst)),
            Kind::Told(told) => {
                let passed_ms = i64::try_from(told.since.elapsed().as_millis()).unwrap_or(i64::MAX);
                told.at.plus_ms(passed_ms)
            }
            Kind::Shifted(shifted) => shifted.of.now().plus_ms(shifted.ms.load(Ordering::SeqCst)),
        }
    }

    /// Sets how far a shifted clock is from the one that it follows; other clocks stay as they are.
    pub fn shift(&self, ms: i64) {
        if let Kind::Shifted(shifted) = &self.0 {
            shifted.ms.store(ms, Ordering::SeqCst);
        }
    }

    /// Moves a fixed clock; other clocks cannot be moved, and stay as they are.
    pub fn set(&self, at: Timestamp) {
        if let Kind::Fixed(unix_ms) = &self.0 {
            unix_ms.store(at.unix_ms(), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_by_hand() {
        let clock = Clock::fixed(Timestamp::from_unix_ms(5));
        let same = clock.clone();
        clock.set(Timestamp::from_unix_ms(9));
        assert_eq!(same.now().unix_ms(), 9);
    }

    #[test]
    fn a_shifted_clock_follows_another_at_a_distance() {
        let of = Clock::fixed(Timestamp::from_unix_ms(5_000));
        let clock = Clock::shifted(of.clone());
        assert_eq!(clock.now().unix_ms(), 5_000);
        clock.clone().shift(-3_600);
        of.set(Timestamp::from_unix_ms(9_000));
        assert_eq!((clock.now().unix_ms(), of.now().unix_ms()), (5_400, 9_000));
    }

    #[test]
    fn a_told_clock_goes_on_from_what_it_was_told() {
        let clock = Clock::told(Timestamp::from_unix_ms(1_000));
        let passed_ms = clock.now().unix_ms() - 1_000;
        assert!((0..60_000).contains(&passed_ms));
    }
}
