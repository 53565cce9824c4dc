//! A practice's diary: what was, and what is to come.

use chrono::{Datelike, NaiveDate, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;
use kit_event::Timestamp;
use rand::Rng;
use rand::seq::IndexedRandom;
use rusqlite::{Connection, params};
use uuid::Uuid;

use crate::error::{PracticeError, during};
use crate::free::Interval;
use crate::people::{WorkingHours, chance, pick, random_uuid};
use crate::words::REASONS;

/// A row of `appointments`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appointment {
    /// Key.
    pub appointment_id: Uuid,
    /// Who comes.
    pub patient_id: Uuid,
    /// To whom.
    pub practitioner_id: Uuid,
    /// When.
    pub interval: Interval,
    /// `booked`, `arrived`, `fulfilled`, `cancelled` or `noshow`.
    pub status: &'static str,
    /// How they meet.
    pub modality: Option<&'static str>,
    /// Why.
    pub reason: Option<String>,
}

impl Appointment {
    pub(crate) fn write(&self, connection: &Connection) -> Result<(), PracticeError> {
        let act = "writing an appointment";
        let mut statement = connection
            .prepare_cached(
                "INSERT INTO appointments (appointment_id, patient_id, practitioner_id, \
                 starts_at, ends_at, status, modality, reason) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )
            .map_err(during(act))?;
        statement
            .execute(params![
                self.appointment_id.to_string(),
                self.patient_id.to_string(),
                self.practitioner_id.to_string(),
                self.interval.starts_at.to_string(),
                self.interval.ends_at.to_string(),
                self.status,
                self.modality,
                self.reason,
            ])
            .map_err(during(act))?;
        Ok(())
    }
}

/// Of 100 slots of a past day, those that were taken.
const PAST_FULL_PERCENT: u32 = 80;
/// Of 100 slots of tomorrow, those that are taken; later days are emptier.
const NEXT_FULL_PERCENT: u32 = 75;
/// How many fewer are taken for each day further ahead, and the least.
const EMPTIER_PERCENT_A_DAY: u32 = 2;
const LATE_FULL_PERCENT: u32 = 15;
/// Of 100 visits, those that take two slots.
const LONG_PERCENT: u32 = 15;

/// One practitioner's diary from `past_days` before `now` to `coming_days` after it.
pub struct DiaryOf<'a> {
    /// Their hours.
    pub hours: &'a [WorkingHours],
    /// Who may come.
    pub patients: &'a [Uuid],
    /// The unit's zone, in which the hours are meant.
    pub zone: Tz,
    /// Tells the past from what is to come.
    pub now: Timestamp,
    /// Days before today.
    pub past_days: u32,
    /// Days after today.
    pub coming_days: u32,
}

impl DiaryOf<'_> {
    /// Fills the diary; never two at a time, always within hours.
    pub fn fill(&self, rng: &mut impl Rng) -> Vec<Appointment> {
        let today = self.now.to_utc().with_timezone(&self.zone).date_naive();
        let mut filled: Vec<Appointment> = Vec::new();
        for offset in -i64::from(self.past_days)..=i64::from(self.coming_days) {
            let day = today + TimeDelta::days(offset);
            let full = match u32::try_from(offset - 1) {
                Err(_) => PAST_FULL_PERCENT,
                Ok(ahead) => NEXT_FULL_PERCENT
                    .saturating_sub(ahead * EMPTIER_PERCENT_A_DAY)
                    .max(LATE_FULL_PERCENT),
            };
            let weekday = day.weekday().number_from_monday();
            for hours in self.hours.iter().filter(|hours| hours.weekday == weekday) {
                self.fill_hours(rng, day, hours, full, &mut filled);
            }
        }
        filled
    }

    fn fill_hours(
        &self,
        rng: &mut impl Rng,
        day: NaiveDate,
        hours: &WorkingHours,
        full: u32,
        filled: &mut Vec<Appointment>,
    ) {
        let (Some(mut at), Some(ends)) = (wall(&hours.starts), wall(&hours.ends)) else { return };
        while at < ends {
            let two = at + 2 * hours.slot_min <= ends && chance(rng, LONG_PERCENT);
            let minutes = if two { 2 * hours.slot_min } else { hours.slot_min };
            if at + minutes > ends {
                return;
            }
            let free_from = filled.last().map(|last| last.interval.ends_at);
            if let Some(starts_at) = self.instant(day, at)
                && chance(rng, full)
                && free_from.is_none_or(|free| free <= starts_at)
            {
                let interval = Interval::minutes(starts_at, minutes);
                filled.push(self.visit(rng, hours.practitioner_id, interval));
            }
            at += minutes;
        }
    }

    /// The instant of a wall time; none where the clocks skip it, the first where it comes twice.
    fn instant(&self, day: NaiveDate, minute: u32) -> Option<Timestamp> {
        let wall = day.and_time(NaiveTime::from_hms_opt(minute / 60, minute % 60, 0)?);
        Some(self.zone.from_local_datetime(&wall).earliest()?.to_utc().into())
    }

    fn visit(&self, rng: &mut impl Rng, practitioner: Uuid, interval: Interval) -> Appointment {
        let patient = self.patients.choose(rng).expect("a diary is filled for patients");
        Appointment {
            appointment_id: random_uuid(rng),
            patient_id: *patient,
            practitioner_id: practitioner,
            interval,
            status: self.status(rng, interval),
            modality: Some(*pick(rng, &["in-person", "in-person", "in-person", "phone", "video"])),
            reason: chance(rng, 80).then(|| (*pick(rng, REASONS)).to_owned()),
        }
    }

    fn status(&self, rng: &mut impl Rng, interval: Interval) -> &'static str {
        let roll = rng.random_range(0..100);
        if interval.ends_at <= self.now {
            match roll {
                0..8 => "cancelled",
                8..14 => "noshow",
                _ => "fulfilled",
            }
        } else if interval.starts_at <= self.now {
            "arrived"
        } else if roll < 5 {
            "cancelled"
        } else {
            "booked"
        }
    }
}

/// Minutes after midnight of `HH:MM`.
pub(crate) fn wall(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour <= 24 && minute < 60).then_some(hour * 60 + minute)
}
