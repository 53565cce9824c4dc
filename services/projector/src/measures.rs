//! What the projector tells about itself, and how late its readers are.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kit_bus::{Bus, Topic};
use kit_event::{Timestamp, UnitId};
use kit_store::Projection;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use tokio_util::sync::CancellationToken;

use crate::commit::Seen;
use crate::copyist::Positions;
use crate::plan::Readings;

/// How often the log's ends are asked for. Each time costs a question for each partition.
const LAG_EVERY_S: u64 = 5;
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
    /// Units on hold, and since when this process knows.
    holds: BTreeMap<UnitId, Instant>,
    shown: HashSet<UnitId>,
}

impl Measures {
    pub fn of(domain: &'static str) -> Self {
        Self { domain, holds: BTreeMap::new(), shown: HashSet::new() }
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

/// Where every domain of the process stands on the log.
#[derive(Clone, Default)]
pub(crate) struct Standing(Arc<Mutex<HashMap<&'static str, Positions>>>);

impl Standing {
    pub fn put(&self, domain: &'static str, positions: &Positions) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(domain).or_default().extend(positions);
    }

    /// Tells how far each domain is behind the log's ends, until `soft`.
    pub async fn tell_lag(&self, bus: &Bus, soft: &CancellationToken) {
        loop {
            tokio::select! {
                () = soft.cancelled() => return,
                () = tokio::time::sleep(Duration::from_secs(LAG_EVERY_S)) => {}
            }
            let standing = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let mut ends: HashMap<(Topic, i32), i64> = HashMap::new();
            let places: HashSet<_> = standing.values().flat_map(HashMap::keys).copied().collect();
            for (topic, partition) in places {
                // A broker that is away is told of elsewhere; the figures stay as they were.
                let Ok(marks) = bus.watermarks(topic, partition).await else { break };
                ends.insert((topic, partition), marks.high);
            }
            for (domain, positions) in standing {
                let behind = |(place, next): (&(Topic, i32), &i64)| {
                    ends.get(place).map_or(0, |end| (end - next).max(0))
                };
                let lag: i64 = positions.iter().map(behind).sum();
                gauge!("arteria_log_lag_records", "role" => "projector", "domain" => domain)
                    .set(lag as f64);
            }
        }
    }
}
