//! A practitioner's diary: the time that is taken, whoever took it.
//!
//! An appointment takes its time unless it is cancelled or a no-show; a status that we do not know
//! takes it too, because a slot given twice is worse than one not given. A beginning that is no
//! instant (somebody typed `tomorrow 9.30`) takes nothing, since nobody can say when; an end
//! that is missing or not after its beginning takes the beginning alone.

use kit_event::{Filter, Records, Refusal, Timestamp};
use serde_json::json;
use uuid::Uuid;

use crate::appointment::Appointment;
use crate::interval::{Interval, Intervals};
use crate::reading::read;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Rows hold times as text, perhaps with an offset of up to a day, and an appointment lasts up to a
/// day: so one that touches an interval has a text from two days before it on.
const TEXT_ROOM_DAYS: i64 = 2;
/// Offsets alone shift a text by less than a day.
const OFFSET_ROOM_DAYS: i64 = 1;
/// Longer than a day are only blocks that a desk writes by itself (a course, a leave). We look for
/// those that began up to two weeks before; an appointment that lasts longer is none.
const LONG_DAYS_MAX: i64 = 14;

/// The time that is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diary(Intervals);

impl Diary {
    /// What `appointments` take.
    pub fn of<'a>(appointments: impl IntoIterator<Item = &'a Appointment>) -> Self {
        Self(appointments.into_iter().filter_map(taken).collect())
    }

    /// Whether some of `wish` is taken.
    pub fn overlaps(&self, wish: &Interval) -> bool {
        self.0.overlap(wish)
    }

    /// Reads every appointment of the practitioner that may touch `around`, but for `except`, the
    /// one that is about to move.
    ///
    /// # Errors
    /// The clinic database did not answer.
    pub fn gather(
        records: &dyn Records,
        practitioner_id: Uuid,
        around: &Interval,
        except: Option<Uuid>,
    ) -> Result<Self, Refusal> {
        let whose = || Filter::Equals("practitioner_id", json!(practitioner_id));
        let near_from = date_text(around.starts, -TEXT_ROOM_DAYS);
        let near = [
            whose(),
            Filter::TextAtLeast("starts_at", near_from.clone()),
            Filter::TextBelow("starts_at", end_of(&date_text(around.ends, OFFSET_ROOM_DAYS))),
        ];
        let long = [
            whose(),
            Filter::TextAtLeast(
                "starts_at",
                date_text(around.starts, -TEXT_ROOM_DAYS - LONG_DAYS_MAX),
            ),
            Filter::TextBelow("starts_at", near_from),
            Filter::TextAtLeast("ends_at", date_text(around.starts, -OFFSET_ROOM_DAYS)),
        ];
        let mut rows = records.find(Appointment::THING, &near)?;
        rows.extend(records.find(Appointment::THING, &long)?);
        let mut held = Vec::with_capacity(rows.len());
        for row in &rows {
            held.push(read::<Appointment>(Appointment::THING, row)?);
        }
        held.retain(|it| Some(it.appointment_id) != except);
        Ok(Self::of(&held))
    }
}

/// The time that one appointment takes.
fn taken(appointment: &Appointment) -> Option<Interval> {
    let starts = appointment.starts_at.filter(|_| appointment.takes_time())?;
    let ends = appointment.ends_at.filter(|ends| *ends > starts);
    Some(Interval::new(starts, ends.unwrap_or_else(|| starts.plus_ms(1))))
}

/// The date `days` after `at`, as text that is not above any time of that date.
fn date_text(at: Timestamp, days: i64) -> String {
    at.plus_ms(days * DAY_MS).to_utc().format("%Y-%m-%d").to_string()
}

/// A text above every time of `date`, whichever way the time of day is written behind it.
fn end_of(date: &str) -> String {
    format!("{date}~")
}
