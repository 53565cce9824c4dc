//! Working hours laid over the calendar of a zone.
//!
//! Hours are wall time and the diary is UTC, so twice a year they part. The rules: a slot begins at
//! a wall time that exists; of one that exists twice, the first counts; hours that begin or end
//! within a gap do so at the instant of the jump. Hours that touch each other (09:00-12:00 and
//! 12:00-17:00, or over midnight as 24:00 and 00:00) count as one. Hours that end before they begin
//! (22:00-06:00) end on the next day.

use chrono::{Days, NaiveDate, NaiveDateTime, TimeDelta, TimeZone};
use chrono_tz::Tz;
use kit_event::Timestamp;

use crate::interval::{Interval, Intervals};
use crate::working_hours::WorkingHours;

const DAY_MIN: u16 = 24 * 60;
const MINUTE_MS: i64 = 60_000;
/// The longest gap that a zone ever jumped over is a day (Pacific/Apia, 2011-12-30), and an hour
/// more is room; a gap without end is no gap but a defect, and opens nothing.
const GAP_MIN_MAX: i64 = 25 * 60;

/// A practitioner's week in the unit's zone, as far as its rows can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    zone: Tz,
    week: Vec<Stretch>,
}

/// A row that reads as hours. Minutes are counted from 00:00 of wall time; those of a night go on
/// into the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    weekday: u32,
    starts_min: u16,
    ends_min: u16,
    slot_min: Option<u16>,
}

impl Default for Hours {
    /// Never open.
    fn default() -> Self {
        Self { zone: Tz::UTC, week: vec![] }
    }
}

impl Hours {
    /// Reads rows; those that somebody mistyped open nothing.
    pub fn read(zone: Tz, rows: &[WorkingHours]) -> Self {
        Self { zone, week: rows.iter().filter_map(Stretch::read).collect() }
    }

    /// Whether `command` lies within hours. It need not sit on the grid of slots.
    #[must_use]
    pub fn cover(&self, command: &Interval) -> bool {
        let open: Intervals = self
            .days(command)
            .flat_map(|day| self.stretches(day).filter_map(move |it| self.opened(day, it)))
            .collect();
        open.hold(command)
    }

    /// The slots of the grid that begin in `within`, in order, each once.
    #[must_use]
    pub fn grid(&self, within: &Interval) -> Vec<Interval> {
        let mut slots: Vec<Interval> = self
            .days(within)
            .flat_map(|day| self.stretches(day).flat_map(move |it| self.slots(day, it)))
            .filter(|slot| within.starts <= slot.starts && slot.starts < within.ends)
            .collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// The local dates that `interval` touches, and one more on either side: hours of a neighbour
    /// may reach into it.
    fn days(&self, interval: &Interval) -> impl Iterator<Item = NaiveDate> {
        let local = |at: Timestamp| at.to_utc().with_timezone(&self.zone).date_naive();
        let first = local(interval.starts).checked_sub_days(Days::new(1));
        let last = local(interval.ends).checked_add_days(Days::new(1));
        first
            .into_iter()
            .flat_map(|day| day.iter_days())
            .take_while(move |day| last.is_some_and(|last| *day <= last))
    }

    fn stretches(&self, day: NaiveDate) -> impl Iterator<Item = &Stretch> {
        let weekday = chrono::Datelike::weekday(&day).number_from_monday();
        self.week.iter().filter(move |it| it.weekday == weekday)
    }

    /// The stretch on that day, in UTC; none where the zone jumps over all of it.
    fn opened(&self, day: NaiveDate, it: &Stretch) -> Option<Interval> {
        let edge = |min| self.first_at_or_after(wall(day, min)?);
        let open = Interval::new(edge(it.starts_min)?, edge(it.ends_min)?);
        (open.starts < open.ends).then_some(open)
    }

    /// The slots of the stretch on that day.
    fn slots(&self, day: NaiveDate, it: &Stretch) -> impl Iterator<Item = Interval> {
        let open = self.opened(day, it);
        let slot_min = it.slot_min.unwrap_or(DAY_MIN);
        let begins = (it.starts_min..it.ends_min).step_by(usize::from(slot_min));
        let drawn = it.slot_min.is_some() && open.is_some();
        begins.take_while(move |_| drawn).filter_map(move |min| {
            let starts = self.exactly_at(wall(day, min)?)?;
            let slot = Interval::new(starts, starts.plus_ms(i64::from(slot_min) * MINUTE_MS));
            open.filter(|open| open.holds(&slot)).map(|_| slot)
        })
    }

    /// The instant of a wall time: the first, where it exists twice.
    fn exactly_at(&self, wall: NaiveDateTime) -> Option<Timestamp> {
        let at = self.zone.from_local_datetime(&wall).earliest()?;
        Some(at.with_timezone(&chrono::Utc).into())
    }

    /// The instant of a wall time, or of the jump over it.
    fn first_at_or_after(&self, wall: NaiveDateTime) -> Option<Timestamp> {
        (0..=GAP_MIN_MAX)
            .find_map(|min| self.exactly_at(wall.checked_add_signed(TimeDelta::minutes(min))?))
    }
}

fn wall(day: NaiveDate, min: u16) -> Option<NaiveDateTime> {
    day.and_hms_opt(0, 0, 0)?.checked_add_signed(TimeDelta::minutes(min.into()))
}

impl Stretch {
    fn read(row: &WorkingHours) -> Option<Self> {
        let weekday = u32::try_from(row.weekday?).ok().filter(|day| (1..=7).contains(day))?;
        let starts_min = minute_of_day(row.starts.as_deref()?).filter(|min| *min < DAY_MIN)?;
        let ends_min = minute_of_day(row.ends.as_deref()?)?;
        let ends_min = if ends_min < starts_min { ends_min + DAY_MIN } else { ends_min };
        // Hours without a readable slot length still let a booking in; only the grid needs it.
        let slot_min = row.slot_min.and_then(|min| u16::try_from(min).ok()).filter(|min| *min > 0);
        (starts_min < ends_min).then_some(Self { weekday, starts_min, ends_min, slot_min })
    }
}

/// Minutes since midnight of `HH:MM`, up to `24:00`, also where a program wrote `8:00`, `08:00:00`
/// or blanks around it; none for anything else that people type.
pub(crate) fn minute_of_day(text: &str) -> Option<u16> {
    let digits = |text: &str, least: usize| {
        let is_plain =
            (least..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        is_plain.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hour, rest) = text.trim().split_once(':')?;
    let (minute, second) = rest.split_once(':').unwrap_or((rest, "00"));
    let (hour, minute) = (digits(hour, 1)?, digits(minute, 2)?);
    let total = hour * 60 + minute;
    // Hours are of whole minutes; `08:00:30` is a slip of somebody's.
    (minute < 60 && second == "00" && total <= DAY_MIN).then_some(total)
}

#[cfg(test)]
#[path = "hours_tests.rs"]
mod tests;
