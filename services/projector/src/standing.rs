//! Where the domains of a process stand on the log, and how long a unit's readers have trailed it.
//!
//! A quiet unit is fresh however old its last fact is, so its age says nothing. What counts is
//! whether the log holds anything of it that readers do not have, and for how long it has: from the
//! first look at which the log went further than a domain has come by now, or since its numbers
//! have a hole. Looks are [`LOOK_EVERY_S`] apart, so that the figure is as exact as that.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kit_bus::{Bus, Topic};
use kit_event::UnitId;
use kit_metric::LOG_LAG;
use tokio_util::sync::CancellationToken;

use crate::metrics::UNIT_TRAILS_SECONDS;
use crate::table_writer::Positions;

/// How often the log's ends are asked for.
const LOOK_EVERY_S: u64 = 5;
/// Looks remembered of one partition that a domain has not come to: the oldest of them tells since
/// when it trails, and those between only what comes next.
const LOOKS_MAX: usize = 64;
/// Units told one by one, each with one series: twice the network of reference. More would flood
/// whoever collects them.
const UNITS_TOLD_MAX: usize = 1_000;

/// What the domains of a process say of themselves.
#[derive(Clone, Default)]
pub(crate) struct Standing(Arc<Mutex<Said>>);

#[derive(Clone, Default)]
struct Said {
    positions: HashMap<&'static str, Positions>,
    /// Units on hold, and since when.
    holds: HashMap<&'static str, BTreeMap<UnitId, Instant>>,
    units: HashSet<UnitId>,
}

impl Standing {
    pub fn put(&self, domain: &'static str, positions: &Positions) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.positions.entry(domain).or_default().extend(positions);
    }

    /// A domain has met these units; of all that it knows, `holds` are on hold.
    pub fn met(&self, domain: &'static str, units: &[UnitId], holds: &BTreeMap<UnitId, Instant>) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for unit in units {
            if said.units.len() < UNITS_TOLD_MAX && !said.units.contains(unit) {
                said.units.insert(unit.clone());
            }
        }
        let before = said.holds.entry(domain).or_default();
        if before != holds {
            before.clone_from(holds);
        }
    }

    /// Tells how far each domain is behind the log's ends, and each unit's readers, until `soft`.
    pub async fn tell(&self, bus: &Bus, soft: &CancellationToken) {
        let mut trails: HashMap<(&'static str, Topic, i32), Trail> = HashMap::new();
        loop {
            tokio::select! {
                () = soft.cancelled() => return,
                () = tokio::time::sleep(Duration::from_secs(LOOK_EVERY_S)) => {}
            }
            let said = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let ends = ends_of(bus, &said).await;
            let now = Instant::now();
            let mut behind: HashMap<i32, Duration> = HashMap::new();
            for (domain, positions) in &said.positions {
                for ((topic, partition), next) in positions {
                    // A broker that is away is told of elsewhere; what it held is still not read.
                    let end = ends.get(&(*topic, *partition)).copied();
                    let trail = trails.entry((domain, *topic, *partition)).or_default();
                    let age = trail.look(now, *next, end);
                    if *topic == Topic::Facts {
                        let longest = behind.entry(*partition).or_default();
                        *longest = age.max(*longest);
                    }
                }
                // Where an end is not known the last figure stands: 0 would say that all is read.
                if let Some(lag) = lag_of(positions, &ends) {
                    LOG_LAG.of(["projector", domain]).set(lag as f64);
                }
            }
            for unit in &said.units {
                let read = behind.get(&bus.partition_of(unit.as_str())).copied();
                let held = said.holds.values().filter_map(|holds| holds.get(unit));
                let held = held.map(|since| now.saturating_duration_since(*since)).max();
                let trails = read.max(held).unwrap_or_default();
                let unit = unit.to_string();
                UNIT_TRAILS_SECONDS.of([unit]).set(trails.as_secs_f64());
            }
        }
    }
}

async fn ends_of(bus: &Bus, said: &Said) -> HashMap<(Topic, i32), i64> {
    let topics = said.positions.values().flat_map(HashMap::keys).map(|(topic, _)| *topic);
    let topics: HashSet<Topic> = topics.collect();
    let mut ends = HashMap::new();
    for topic in topics {
        let Ok(of_topic) = bus.ends(topic).await else { continue };
        ends.extend(of_topic.into_iter().map(|(partition, end)| ((topic, partition), end)));
    }
    ends
}

/// Records that a domain has not come to; nothing where the end of a partition is not known.
fn lag_of(positions: &Positions, ends: &HashMap<(Topic, i32), i64>) -> Option<i64> {
    positions.iter().map(|(place, next)| Some((ends.get(place)? - next).max(0))).sum()
}

/// The ends of a partition at looks that a domain has not come to.
#[derive(Default)]
struct Trail(VecDeque<(Instant, i64)>);

impl Trail {
    /// For how long the domain, which reads `next` now, has not had all that was there.
    fn look(&mut self, now: Instant, next: i64, end: Option<i64>) -> Duration {
        while self.0.front().is_some_and(|(_, end)| *end <= next) {
            self.0.pop_front();
        }
        let last = self.0.back().map_or(next, |(_, end)| *end);
        if let Some(end) = end.filter(|end| *end > last)
            && self.0.len() < LOOKS_MAX
        {
            self.0.push_back((now, end));
        }
        let since = self.0.front().map_or(now, |(since, _)| *since);
        now.saturating_duration_since(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_trail_from_the_first_look_that_went_further_than_they_have_come() {
        let (begun, mut trail) = (Instant::now(), Trail::default());
        let mut at = |second: u64, next, end| {
            trail.look(begun + Duration::from_secs(second), next, end).as_secs()
        };
        assert_eq!(at(0, 0, Some(0)), 0, "nothing is there");
        assert_eq!(at(5, 7, Some(10)), 0, "it came since the last look");
        assert_eq!(at(10, 7, Some(12)), 5, "and is not read yet");
        assert_eq!(at(15, 11, Some(20)), 5, "what was there at 5 is read, not what came by 10");
        assert_eq!(at(20, 19, Some(20)), 5);
        assert_eq!(at(25, 19, None), 10, "a broker that is away took nothing back");
        assert_eq!(at(30, 20, Some(20)), 0);
        for second in (35..35 + 5 * 200).step_by(5) {
            assert_eq!(at(second, 20, Some(second as i64)), second - 35, "however long it takes");
        }
        assert_eq!(at(2000, 30_000, Some(30_000)), 0);
    }

    #[test]
    fn the_lag_is_not_known_where_an_end_is_not() {
        let positions = Positions::from([((Topic::Facts, 0), 7), ((Topic::Facts, 1), 5)]);
        let mut ends = HashMap::from([((Topic::Facts, 0), 10)]);
        assert_eq!(lag_of(&positions, &ends), None);
        // An end that was asked for before the domain read on lies behind it.
        ends.insert((Topic::Facts, 1), 4);
        assert_eq!(lag_of(&positions, &ends), Some(3));
    }
}
