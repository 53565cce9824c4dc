//! What the projector tells about itself, and how late its readers are.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use kit_event::{Timestamp, UnitId};
use kit_metric::{Counter, Gauge, Histogram, LOG_LAG, PARKED};
use kit_store::Projection;

use crate::commit::Seen;
use crate::plan::Readings;
use crate::standing::Standing;

/// Units that are shown one by one in a process's life; more would flood whoever collects them.
const UNITS_SHOWN_MAX: usize = 100;
/// A fact that was on the log for longer when a domain caught up with it is history being read, and
/// says nothing of how long anybody waited.
const HISTORY_AFTER_MS: i64 = 600_000;

pub(crate) const RECORDS: Counter<1> =
    Counter::new("arteria_projector_records_total", "Records committed.", ["domain"]);
pub(crate) const BATCH_SECONDS: Histogram<1> =
    Histogram::new("arteria_projector_batch_seconds", "From a batch to its commit.", ["domain"]);
pub(crate) const LIVE: Gauge<1> =
    Gauge::new("arteria_projector_live", "1 once all was read, 0 while catching up.", ["domain"]);
pub(crate) const HALTED: Gauge<1> =
    Gauge::new("arteria_projector_halted", "1 while the domain waits for people.", ["domain"]);
pub(crate) const SESSIONS_FAILED: Counter<1> = Counter::new(
    "arteria_projector_sessions_failed_total",
    "Sessions that an outage ended.",
    ["domain"],
);
pub(crate) const ALARMS: Counter<2> = Counter::new(
    "arteria_projector_alarms_total",
    "What people must look at, by kind.",
    ["domain", "kind"],
);
const UNITS_ON_HOLD: Gauge<1> = Gauge::new(
    "arteria_projector_units_on_hold",
    "Units with a hole in their numbers.",
    ["domain"],
);
const UNIT_AGE_SECONDS: Gauge<2> = Gauge::new(
    "arteria_projector_unit_age_seconds",
    "How long a unit has been on hold.",
    ["domain", "unit"],
);
pub(crate) const UNIT_TRAILS_SECONDS: Gauge<1> = Gauge::new(
    "arteria_projector_unit_trails_seconds",
    "For how long readers of a unit have not had all that the log holds of it.",
    ["unit"],
);
const CLINIC_TO_VISIBLE_SECONDS: Histogram<1> = Histogram::new(
    "arteria_clinic_to_visible_seconds",
    "From the clinic's commit to what readers see.",
    ["domain"],
);
pub(crate) const FEED_JOINED: Gauge<1> =
    Gauge::new("arteria_projector_feed_joined", "1 while read from the shared reader.", ["domain"]);
pub(crate) const FEED_DETACHED: Counter<1> = Counter::new(
    "arteria_projector_feed_detached_total",
    "Times that a domain was too slow for the shared reader.",
    ["domain"],
);

/// Describes every series and begins those with fixed labels at zero.
pub(crate) fn describe(domains: &[&'static dyn Projection]) {
    RECORDS.describe();
    BATCH_SECONDS.describe();
    LIVE.describe();
    HALTED.describe();
    SESSIONS_FAILED.describe();
    ALARMS.describe();
    UNITS_ON_HOLD.describe();
    UNIT_AGE_SECONDS.describe();
    UNIT_TRAILS_SECONDS.describe();
    LOG_LAG.describe();
    CLINIC_TO_VISIBLE_SECONDS.describe();
    PARKED.describe();
    FEED_JOINED.describe();
    FEED_DETACHED.describe();
    for kind in ["unreadable", "epoch_over", "fork", "refused"] {
        PARKED.of([kind]).absolute(0);
    }
    for domain in domains.iter().map(|one| one.schema()) {
        RECORDS.of([domain]).absolute(0);
        SESSIONS_FAILED.of([domain]).absolute(0);
        FEED_DETACHED.of([domain]).absolute(0);
        LIVE.of([domain]).set(0.0);
        HALTED.of([domain]).set(0.0);
        FEED_JOINED.of([domain]).set(0.0);
        UNITS_ON_HOLD.of([domain]).set(0.0);
        LOG_LAG.of(["projector", domain]).set(0.0);
        for kind in ["fork", "parked", "not_parked", "on_hold", "halted"] {
            ALARMS.of([domain, kind]).absolute(0);
        }
    }
}

/// One domain's measures.
pub(crate) struct Metrics {
    domain: &'static str,
    standing: Standing,
    /// Units on hold, and since when this process knows.
    holds: BTreeMap<UnitId, Instant>,
    shown: HashSet<UnitId>,
}

impl Metrics {
    pub fn of(domain: &'static str, standing: Standing) -> Self {
        Self { domain, standing, holds: BTreeMap::new(), shown: HashSet::new() }
    }

    /// What was on hold before.
    pub fn begin(&mut self, readings: &Readings) {
        let units: Vec<UnitId> = readings.keys().cloned().collect();
        self.committed(&units, readings);
    }

    /// The readings of these units moved.
    pub fn committed(&mut self, touched: &[UnitId], readings: &Readings) {
        for unit in touched {
            if readings.get(unit).is_some_and(|reading| !reading.holes().is_empty()) {
                self.holds.entry(unit.clone()).or_insert_with(Instant::now);
            } else if self.holds.remove(unit).is_some() && self.shown.contains(unit) {
                self.show(unit, 0.0);
            }
        }
        self.standing.met(self.domain, touched, &self.holds);
        UNITS_ON_HOLD.of([self.domain]).set(self.holds.len() as f64);
    }

    /// How long each unit on hold has been so.
    pub fn show_ages(&mut self) {
        let held: Vec<_> = self.holds.iter().map(|(unit, since)| (unit.clone(), *since)).collect();
        for (unit, since) in held {
            if self.shown.len() < UNITS_SHOWN_MAX || self.shown.contains(&unit) {
                self.show(&unit, since.elapsed().as_secs_f64());
                self.shown.insert(unit);
            }
        }
    }

    /// These became visible at `now`.
    pub fn visible(&self, seen: &[Seen], now: Timestamp, is_live: bool) {
        let is_news = |one: &&Seen| is_live || now.unix_ms() - one.logged_ms < HISTORY_AFTER_MS;
        let late = CLINIC_TO_VISIBLE_SECONDS.of([self.domain]);
        for one in seen.iter().filter(is_news) {
            late.record((now.unix_ms() - one.time.unix_ms()).max(0) as f64 / 1_000.0);
        }
    }

    fn show(&self, unit: &UnitId, age_s: f64) {
        UNIT_AGE_SECONDS.of([self.domain.to_owned(), unit.to_string()]).set(age_s);
    }
}
