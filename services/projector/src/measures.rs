//! What the projector tells about itself, and how late its readers are.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use kit_event::{Timestamp, UnitId};
use kit_store::Projection;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::commit::Seen;
use crate::plan::Readings;
use crate::standing::Standing;

/// Units that are shown one by one in a process's life; more would flood whoever collects them.
const UNITS_SHOWN_MAX: usize = 100;
/// A fact that was on the log for longer when a domain caught up with it is history being read, and
/// says nothing of how long anybody waited.
const HISTORY_AFTER_MS: i64 = 600_000;

/// Describes every series and begins those with fixed labels at zero.
pub(crate) fn describe(domains: &[&'static dyn Projection]) {
    describe_counter!("arteria_projector_records_total", "Records committed");
    describe_histogram!("arteria_projector_batch_seconds", "From a batch to its commit");
    describe_gauge!("arteria_projector_live", "1 once all was read, 0 while catching up");
    describe_gauge!("arteria_projector_halted", "1 while the domain waits for people");
    describe_counter!("arteria_projector_sessions_failed_total", "Sessions that an outage ended");
    describe_counter!("arteria_projector_alarms_total", "What people must look at, by kind");
    describe_gauge!("arteria_projector_units_on_hold", "Units with a hole in their numbers");
    describe_gauge!("arteria_projector_unit_age_seconds", "How long a unit has been on hold");
    describe_gauge!(
        "arteria_projector_unit_trails_seconds",
        "For how long readers of a unit have not had all that the log holds of it"
    );
    describe_gauge!("arteria_log_lag_records", "Records on the log and not yet applied");
    describe_histogram!(
        "arteria_clinic_to_visible_seconds",
        "From the clinic's commit to what readers see"
    );
    describe_counter!("arteria_parked_total", "Records set aside, by kind of cause");
    describe_gauge!("arteria_projector_feed_joined", "1 while read from the shared reader");
    describe_counter!("arteria_projector_feed_detached_total", "Domains too slow for it");
    for kind in ["unreadable", "epoch_over", "fork", "refused"] {
        counter!("arteria_parked_total", "cause_kind" => kind).absolute(0);
    }
    for domain in domains.iter().map(|one| one.schema()) {
        counter!("arteria_projector_records_total", "domain" => domain).absolute(0);
        counter!("arteria_projector_sessions_failed_total", "domain" => domain).absolute(0);
        counter!("arteria_projector_feed_detached_total", "domain" => domain).absolute(0);
        gauge!("arteria_projector_live", "domain" => domain).set(0.0);
        gauge!("arteria_projector_halted", "domain" => domain).set(0.0);
        gauge!("arteria_projector_feed_joined", "domain" => domain).set(0.0);
        gauge!("arteria_projector_units_on_hold", "domain" => domain).set(0.0);
        gauge!("arteria_log_lag_records", "role" => "projector", "domain" => domain).set(0.0);
        for kind in ["fork", "parked", "not_parked", "on_hold", "halted"] {
            counter!("arteria_projector_alarms_total", "domain" => domain, "kind" => kind)
                .absolute(0);
        }
    }
}

/// One domain's measures.
pub(crate) struct Measures {
    domain: &'static str,
    standing: Standing,
    /// Units on hold, and since when this process knows.
    holds: BTreeMap<UnitId, Instant>,
    shown: HashSet<UnitId>,
}

impl Measures {
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
            if readings.get(unit).is_some_and(|reading| reading.hole().is_some()) {
                self.holds.entry(unit.clone()).or_insert_with(Instant::now);
            } else if self.holds.remove(unit).is_some() && self.shown.contains(unit) {
                self.show(unit, 0.0);
            }
        }
        self.standing.met(self.domain, touched, &self.holds);
        gauge!("arteria_projector_units_on_hold", "domain" => self.domain)
            .set(self.holds.len() as f64);
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
        let late = histogram!("arteria_clinic_to_visible_seconds", "domain" => self.domain);
        for one in seen.iter().filter(is_news) {
            late.record((now.unix_ms() - one.time.unix_ms()).max(0) as f64 / 1_000.0);
        }
    }

    fn show(&self, unit: &UnitId, age_s: f64) {
        let unit = unit.to_string();
        gauge!("arteria_projector_unit_age_seconds", "domain" => self.domain, "unit" => unit)
            .set(age_s);
    }
}
