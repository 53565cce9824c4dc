//! Free slots: the grid of the working hours, minus the diary, minus the past.

use kit_event::{Records, Rejection, Timestamp};

use crate::booking::Day;
use crate::commands::{FreeSlots, Slot, Slots};
use crate::interval::Interval;
use crate::reading::Standing;
use crate::rejection::BookingRejection;
use crate::rules::APPOINTMENT_MS_MAX;

/// Slots in one answer. A slot is 74 bytes of JSON, and an answer travels in a frame of at most
/// 64 KiB; a month of quarter hours has about 700.
pub const SLOTS_MAX: usize = 800;

/// Reads what [`free`] needs.
///
/// # Errors
/// The clinic database did not answer.
pub fn gather(query: &FreeSlots, records: &dyn Records) -> Result<Day, Rejection> {
    // A slot that begins in the range may end after it.
    let around = Interval::new(query.from, query.to.plus_ms(APPOINTMENT_MS_MAX));
    Day::gather(records, query.practitioner_id, &around, None)
}

/// The slots that begin in `[from, to)` and could be booked at `now`. A practitioner who takes no
/// bookings has none.
///
/// # Errors
/// There is no such practitioner, or the query breaks a rule.
pub fn free(query: &FreeSlots, day: &Day, now: Timestamp) -> Result<Slots, BookingRejection> {
    query.validate().map_err(|problems| BookingRejection::FieldRules { problems })?;
    match day.practitioner {
        Standing::Unknown => {
            return Err(BookingRejection::PractitionerUnknown {
                practitioner_id: day.practitioner_id,
            });
        }
        Standing::Inactive => return Ok(Slots { items: vec![], next: None }),
        Standing::Active => {}
    }
    let mut open = day.hours.grid(&Interval::new(query.from, query.to));
    open.retain(|slot| slot.starts > now && !day.diary.overlaps(slot));
    let next = open.get(SLOTS_MAX).map(|first_left_out| first_left_out.starts);
    let items = open
        .iter()
        .take(SLOTS_MAX)
        // Slots that begin together stay together, so that `next` repeats none.
        .filter(|slot| next != Some(slot.starts))
        .map(|slot| Slot { starts_at: slot.starts, ends_at: slot.ends })
        .collect();
    Ok(Slots { items, next })
}
