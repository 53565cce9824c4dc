//! Free slots, found the slow and obvious way.
//!
//! The oracle walks the minutes of the real world one by one, looks at the wall clock at each, and
//! asks whether a slot begins there. No conversion from wall time to instants is needed, so the
//! days on which clocks change are right by construction: a wall time that never shows begins no
//! slot, and one that shows twice has begun its slot the first time.

use std::collections::HashSet;

use chrono::{Datelike, Timelike};
use chrono_tz::Tz;
use kit_event::Timestamp;
use uuid::Uuid;

use crate::Desk;
use crate::diary::wall;
use crate::error::{PracticeError, during};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// A span of time, without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interval {
    /// Its first instant.
    pub starts_at: Timestamp,
    /// The first instant after it.
    pub ends_at: Timestamp,
}

impl Interval {
    /// From one instant to another.
    #[must_use]
    pub fn new(starts_at: Timestamp, ends_at: Timestamp) -> Self {
        Self { starts_at, ends_at }
    }

    /// `minutes` from an instant on.
    #[must_use]
    pub fn minutes(starts_at: Timestamp, minutes: u32) -> Self {
        Self { starts_at, ends_at: starts_at.plus_ms(i64::from(minutes) * MINUTE_MS) }
    }

    /// Whether the two share an instant.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.starts_at < other.ends_at && other.starts_at < self.ends_at
    }
}

/// One line of a practitioner's hours, in minutes after midnight.
struct Hours {
    weekday: u32,
    starts: u32,
    ends: u32,
    slot_min: u32,
}

impl Hours {
    fn begins_slot(&self, weekday: u32, minute: u32) -> bool {
        self.weekday == weekday
            && minute >= self.starts
            && (minute - self.starts).is_multiple_of(self.slot_min)
            && minute + self.slot_min <= self.ends
    }
}

impl Desk {
    /// The free slots of a practitioner that lie wholly between two instants, in order: their
    /// hours, cut into slots, minus what the diary holds and nobody cancelled or missed.
    ///
    /// # Errors
    /// The database does not answer.
    pub fn free_slots(
        &self,
        practitioner: &Uuid,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Interval>, PracticeError> {
        let (hours, taken) = (self.hours_of(practitioner)?, self.taken(practitioner)?);
        let slots = walk(self.time_zone(), &hours, from, to);
        let free = |slot: &Interval| !taken.iter().any(|busy| busy.overlaps(*slot));
        Ok(slots.into_iter().filter(free).collect())
    }

    /// The first free slot of a practitioner that begins after an instant, within 30 days of it.
    ///
    /// # Errors
    /// The database does not answer.
    pub fn next_free(
        &self,
        practitioner: &Uuid,
        after: Timestamp,
    ) -> Result<Option<Interval>, PracticeError> {
        for day in 0..30 {
            let from = after.plus_ms(1 + day * DAY_MS);
            // Half a day of overlap finds the slots that cross the seam.
            let slots = self.free_slots(practitioner, from, from.plus_ms(DAY_MS + DAY_MS / 2))?;
            if let Some(first) = slots.first() {
                return Ok(Some(*first));
            }
        }
        Ok(None)
    }

    fn hours_of(&self, practitioner: &Uuid) -> Result<Vec<Hours>, PracticeError> {
        let act = "reading working hours";
        let sql = "SELECT weekday, starts, ends, slot_min FROM working_hours h \
                   JOIN practitioners p USING (practitioner_id) \
                   WHERE practitioner_id = ?1 AND p.active <> 0";
        let mut statement = self.connection().prepare_cached(sql).map_err(during(act))?;
        let rows = statement
            .query_map([practitioner.to_string()], |row| {
                let (starts, ends): (String, String) = (row.get(1)?, row.get(2)?);
                Ok((row.get(0)?, starts, ends, row.get(3)?))
            })
            .map_err(during(act))?;
        let mut found = Vec::new();
        for row in rows {
            let (weekday, starts, ends, slot_min) = row.map_err(during(act))?;
            // Hours that nobody can read are no hours.
            if let (Some(starts), Some(ends), 1..) = (wall(&starts), wall(&ends), slot_min) {
                found.push(Hours { weekday, starts, ends, slot_min });
            }
        }
        Ok(found)
    }

    /// All of the practitioner's diary that takes time: small enough to be read whole.
    fn taken(&self, practitioner: &Uuid) -> Result<Vec<Interval>, PracticeError> {
        let act = "reading the diary";
        let sql = "SELECT starts_at, ends_at FROM appointments \
                   WHERE practitioner_id = ?1 AND status NOT IN ('cancelled', 'noshow')";
        let mut statement = self.connection().prepare_cached(sql).map_err(during(act))?;
        let rows = statement
            .query_map([practitioner.to_string()], |row| {
                let (starts, ends): (String, String) = (row.get(0)?, row.get(1)?);
                Ok(starts.parse().ok().zip(ends.parse().ok()))
            })
            .map_err(during(act))?;
        let mut found = Vec::new();
        for row in rows {
            // A time that nobody can read takes no time.
            if let Some((starts_at, ends_at)) = row.map_err(during(act))? {
                found.push(Interval { starts_at, ends_at });
            }
        }
        Ok(found)
    }
}

/// Every slot that lies wholly between two instants. The walk begins a day early, so that it has
/// seen the first showing of each wall time.
fn walk(zone: Tz, hours: &[Hours], from: Timestamp, to: Timestamp) -> Vec<Interval> {
    let mut shown = HashSet::new();
    let mut slots = Vec::new();
    let first = (from.unix_ms() - DAY_MS).div_euclid(MINUTE_MS);
    for minute in first..to.unix_ms().div_euclid(MINUTE_MS) {
        let starts_at = Timestamp::from_unix_ms(minute * MINUTE_MS);
        let wall = starts_at.to_utc().with_timezone(&zone).naive_local();
        let (weekday, of_day) =
            (wall.weekday().number_from_monday(), wall.hour() * 60 + wall.minute());
        let begun: Vec<_> = hours.iter().filter(|h| h.begins_slot(weekday, of_day)).collect();
        if begun.is_empty() || !shown.insert(wall) {
            continue;
        }
        let within = |slot: &Interval| slot.starts_at >= from && slot.ends_at <= to;
        slots.extend(begun.iter().map(|h| Interval::minutes(starts_at, h.slot_min)).filter(within));
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Half-hour slots from 01:00 to 04:00 on Sundays, on the two nights that Lisbon moves clocks.
    fn night(from: &str, to: &str) -> Vec<String> {
        let hours = [Hours { weekday: 7, starts: 60, ends: 240, slot_min: 30 }];
        let slots = walk(Tz::Europe__Lisbon, &hours, at(from), at(to));
        slots.iter().map(|slot| slot.starts_at.to_string()[11..16].to_owned()).collect()
    }

    #[test]
    fn a_wall_time_that_the_clocks_skip_begins_no_slot() {
        // 2026-03-29: 01:00 becomes 02:00 at 01:00Z.
        let slots = night("2026-03-29T00:00:00Z", "2026-03-29T06:00:00Z");
        assert_eq!(slots, ["01:00", "01:30", "02:00", "02:30"]);
    }

    #[test]
    fn a_wall_time_that_comes_twice_begins_its_slot_the_first_time() {
        // 2026-10-25: 02:00 becomes 01:00 at 01:00Z; wall 01:00 shows at 00:00Z and at 01:00Z.
        let slots = night("2026-10-24T22:00:00Z", "2026-10-25T06:00:00Z");
        assert_eq!(slots, ["00:00", "00:30", "02:00", "02:30", "03:00", "03:30"]);
        let late = night("2026-10-25T00:45:00Z", "2026-10-25T06:00:00Z");
        assert_eq!(late, ["02:00", "02:30", "03:00", "03:30"]);
    }
}
