//! A practitioner's diary: the time that is taken, whoever took it.
//!
//! An appointment takes its time unless it is cancelled or a no-show; a status that we do not know
//! takes it too, because a slot given twice is worse than one not given. A beginning that is no
//! instant (somebody typed `tomorrow 9.30`) takes nothing, since nobody can say when; an end
//! that is missing or not after its beginning takes the beginning alone.

use kit_event::{Filter, Records, Rejection};
use serde_json::json;
use uuid::Uuid;

use crate::appointment::Appointment;
use crate::interval::{Interval, Intervals};
use crate::reading::read;

/// The time that is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diary(Intervals);

impl Diary {
    /// What `appointments` take.
    pub fn of<'a>(appointments: impl IntoIterator<Item = &'a Appointment>) -> Self {
        Self(appointments.into_iter().filter_map(taken).collect())
    }

    /// Whether some of `command` is taken.
    #[must_use]
    pub fn overlaps(&self, command: &Interval) -> bool {
        self.0.overlap(command)
    }

    /// Reads every appointment of the practitioner that touches `around`, but for `except`, the one
    /// that is about to move.
    ///
    /// # Errors
    /// The clinic database did not answer.
    pub fn gather(
        records: &dyn Records,
        practitioner_id: Uuid,
        around: &Interval,
        except: Option<Uuid>,
    ) -> Result<Self, Rejection> {
        let whose = || Filter::Equals("practitioner_id", json!(practitioner_id));
        let begins_within = [
            whose(),
            Filter::NotBefore("starts_at", around.starts),
            Filter::Before("starts_at", around.ends),
        ];
        // However long before: a course or a leave may take months.
        let reaches_into = [
            whose(),
            Filter::Before("starts_at", around.starts),
            Filter::NotBefore("ends_at", around.starts.plus_ms(1)),
        ];
        let mut rows = records.find(Appointment::RESOURCE, &begins_within)?;
        rows.extend(records.find(Appointment::RESOURCE, &reaches_into)?);
        let mut held = Vec::with_capacity(rows.len());
        for row in &rows {
            held.push(read::<Appointment>(Appointment::RESOURCE, row)?);
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
