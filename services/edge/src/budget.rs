//! What one unit may ask of an edge in a time: connections, frames, bytes, records looked through
//! for it. The budgets outlive a link, so that a new connection is no new budget.
//!
//! An honest agent never meets them but as a pause: frames beyond the budget are not refused, they
//! are read later, and its own socket is what fills up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use kit_event::UnitId;
use tokio::time::Instant;

use crate::limits::{
    BUDGETS_KEPT_MAX, HELLO_DEBT_MAX, HELLOS_BURST, HELLOS_PER_SECOND, SCANNED_BURST,
    SCANNED_PER_SECOND, UP_BYTES_BURST, UP_BYTES_PER_SECOND, UP_FRAMES_BURST, UP_FRAMES_PER_SECOND,
};

/// A token bucket that may go into debt.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
    burst: f64,
    per_second: f64,
}

impl Bucket {
    fn full(burst: u32, per_second: u32, now: Instant) -> Self {
        let (burst, per_second) = (f64::from(burst), f64::from(per_second));
        Self { level: burst, at: now, burst, per_second }
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.per_second).min(self.burst);
        self.at = self.at.max(now);
    }

    fn take(&mut self, amount: f64, now: Instant) {
        self.refill(now);
        self.level -= amount;
    }

    /// How long until it is out of debt.
    fn wait(&self) -> Duration {
        Duration::from_secs_f64((-self.level).max(0.0) / self.per_second)
    }
}

#[derive(Debug)]
struct Buckets {
    hellos: Bucket,
    frames: Bucket,
    bytes: Bucket,
    scanned: Bucket,
}

/// The budget of one unit, shared by all its links here.
#[derive(Debug)]
pub struct UnitBudget(Mutex<Buckets>);

impl UnitBudget {
    fn new(now: Instant) -> Self {
        Self(Mutex::new(Buckets {
            hellos: Bucket::full(HELLOS_BURST, HELLOS_PER_SECOND, now),
            frames: Bucket::full(UP_FRAMES_BURST, UP_FRAMES_PER_SECOND, now),
            bytes: Bucket::full(UP_BYTES_BURST, UP_BYTES_PER_SECOND, now),
            scanned: Bucket::full(SCANNED_BURST, SCANNED_PER_SECOND, now),
        }))
    }

    fn buckets(&self) -> MutexGuard<'_, Buckets> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The unit connects.
    ///
    /// # Errors
    /// It connects too often: how long it is to stay away. Trying sooner makes it longer.
    pub fn connects(&self, now: Instant) -> Result<(), Duration> {
        let hellos = &mut self.buckets().hellos;
        hellos.take(1.0, now);
        hellos.level = hellos.level.max(-f64::from(HELLO_DEBT_MAX));
        if hellos.level >= 0.0 { Ok(()) } else { Err(hellos.wait()) }
    }

    /// A frame of so many bytes came; gives the moment from which the next may be read.
    pub fn frame(&self, bytes: usize, now: Instant) -> Instant {
        let Buckets { frames, bytes: volume, .. } = &mut *self.buckets();
        frames.take(1.0, now);
        volume.take(bytes as f64, now);
        now + frames.wait().max(volume.wait())
    }

    /// So many records were looked through for the unit; gives the moment from which the next may
    /// be.
    pub fn scanned(&self, records: u64, now: Instant) -> Instant {
        let scanned = &mut self.buckets().scanned;
        scanned.take(records as f64, now);
        now + scanned.wait()
    }

    fn is_full(&self, now: Instant) -> bool {
        let buckets = &mut *self.buckets();
        let Buckets { hellos, frames, bytes, scanned } = buckets;
        [hellos, frames, bytes, scanned].into_iter().all(|bucket| {
            bucket.refill(now);
            bucket.level >= bucket.burst
        })
    }
}

/// The budgets of the units that connected here.
#[derive(Debug, Default)]
pub struct Budgets(Mutex<HashMap<UnitId, Arc<UnitBudget>>>);

impl Budgets {
    /// The budget of a unit.
    pub fn of(&self, unit: &UnitId, now: Instant) -> Arc<UnitBudget> {
        let mut kept = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(budget) = kept.get(unit) {
            return budget.clone();
        }
        if kept.len() >= BUDGETS_KEPT_MAX {
            // One that is full and belongs to no link says nothing.
            kept.retain(|_, budget| Arc::strong_count(budget) > 1 || !budget.is_full(now));
        }
        let budget = Arc::new(UnitBudget::new(now));
        kept.insert(unit.clone(), budget.clone());
        budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(number: usize) -> UnitId {
        format!("hcu-{number:06}").parse().unwrap()
    }

    #[test]
    fn a_unit_that_connects_too_often_is_told_a_pause_that_grows_while_it_goes_on() {
        let (now, budgets) = (Instant::now(), Budgets::default());
        for _ in 0..HELLOS_BURST {
            budgets.of(&unit(1), now).connects(now).unwrap();
        }
        let first = budgets.of(&unit(1), now).connects(now).unwrap_err();
        let second = budgets.of(&unit(1), now).connects(now).unwrap_err();
        assert!(second > first, "{first:?}, {second:?}");
        let longest = (0..10_000).filter_map(|_| budgets.of(&unit(1), now).connects(now).err());
        let longest = longest.max().unwrap();
        assert!(longest <= Duration::from_secs(u64::from(HELLO_DEBT_MAX)), "{longest:?}");
        budgets.of(&unit(2), now).connects(now).unwrap();
        let later = now + longest + Duration::from_secs(1);
        budgets.of(&unit(1), later).connects(later).unwrap();
    }

    #[test]
    fn frames_and_bytes_beyond_the_budget_are_read_later() {
        let now = Instant::now();
        let small = UnitBudget::new(now);
        for _ in 0..UP_FRAMES_BURST {
            assert_eq!(small.frame(100, now), now);
        }
        let second = now + Duration::from_secs(1);
        let next = (0..UP_FRAMES_PER_SECOND).map(|_| small.frame(100, now)).last().unwrap();
        assert!(next > second - Duration::from_millis(2) && next <= second, "{:?}", next - now);
        assert_eq!(
            small.frame(100, next + Duration::from_millis(5)),
            next + Duration::from_millis(5)
        );
        let large = UnitBudget::new(now);
        let frames = UP_BYTES_BURST as usize / 65_536;
        assert!((0..frames).all(|_| large.frame(65_536, now) == now));
        assert!(large.frame(65_536, now) > now);
    }

    #[test]
    fn what_is_looked_through_for_a_unit_is_bounded_across_its_connections() {
        let (now, budgets) = (Instant::now(), Budgets::default());
        budgets.of(&unit(1), now).scanned(u64::from(SCANNED_BURST), now);
        let next = budgets.of(&unit(1), now).scanned(u64::from(SCANNED_PER_SECOND) * 3, now);
        assert_eq!((next - now).as_secs(), 3);
        assert_eq!(budgets.of(&unit(2), now).scanned(1, now), now);
    }

    #[test]
    fn budgets_that_say_nothing_are_forgotten() {
        let (now, budgets) = (Instant::now(), Budgets::default());
        let held = budgets.of(&unit(0), now);
        let _ = budgets.of(&unit(1), now).connects(now);
        for number in 2..=BUDGETS_KEPT_MAX {
            budgets.of(&unit(number), now);
        }
        let kept = budgets.0.lock().unwrap();
        assert!(kept.len() <= 3, "{}", kept.len());
        assert!(kept.contains_key(&unit(0)) && kept.contains_key(&unit(1)));
        drop((kept, held));
    }
}
