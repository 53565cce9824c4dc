//! Booking: wishes about the diary, and the one place that grants or refuses them.
//!
//! The unit is the only writer of its diary, so a decision needs no lock: whoever is first in the
//! log, or at the desk, has the slot. [`gather`] reads what a decision needs, [`decide`] takes it;
//! nothing here reads a clock.

use chrono_tz::Tz;
use kit_event::{
    Filter, Granted, RecordRef, Records, Refusal, RowChange, RowOperation, Timestamp, UnitSeq,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::appointment::{Appointment, Status};
use crate::diary::Diary;
use crate::hours::Hours;
use crate::interval::Interval;
use crate::practitioner::Practitioner;
use crate::reading::{self, Patient, Standing};
use crate::refusal::Refused;
use crate::wishes::{BookAppointment, Command, RescheduleAppointment};
use crate::working_hours::WorkingHours;

/// What the unit's records say about a wish.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// The appointment that the wish names.
    pub appointment: Option<Noted>,
    /// Whoever is to be seen; only a booking or a move asks.
    pub patient: Patient,
    /// The practitioner's time around the one asked for; only a booking or a move asks.
    pub day: Day,
}

/// An appointment as it stands, and the number of the fact that last spoke of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// The appointment.
    pub appointment: Appointment,
    /// Its `E-S`; none while a change of it is not yet numbered.
    pub seq: Option<UnitSeq>,
}

/// A practitioner's time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Day {
    /// Whose; none where an appointment to be moved names nobody.
    pub practitioner_id: Option<Uuid>,
    /// Whether there is such a practitioner.
    pub practitioner: Standing,
    /// The hours worked.
    pub hours: Hours,
    /// The time taken, by every appointment that touches the interval asked for, whoever wrote it.
    pub diary: Diary,
}

impl Day {
    /// Reads the practitioner's time around `around`; the time of `except`, which is to move,
    /// counts as free.
    ///
    /// # Errors
    /// The clinic database did not answer.
    pub fn gather(
        records: &dyn Records,
        practitioner_id: Uuid,
        around: &Interval,
        except: Option<Uuid>,
    ) -> Result<Self, Refusal> {
        let practitioner = reading::standing(records, Practitioner::THING, practitioner_id)?;
        let zone: Tz = reading::zone(records)?;
        let whose = [Filter::Equals("practitioner_id", json!(practitioner_id))];
        let mut rows = vec![];
        for row in records.find(WorkingHours::THING, &whose)? {
            rows.push(reading::read::<WorkingHours>(WorkingHours::THING, &row)?);
        }
        Ok(Self {
            practitioner_id: Some(practitioner_id),
            practitioner,
            hours: Hours::read(zone, &rows),
            diary: Diary::gather(records, practitioner_id, around, except)?,
        })
    }

    /// Grants `wish` a place in the diary, or says why not.
    fn admit(&self, wish: Interval, now: Timestamp) -> Result<(), Refused> {
        let practitioner_id = self.practitioner_id;
        match self.practitioner {
            Standing::Unknown => return Err(Refused::PractitionerUnknown { practitioner_id }),
            Standing::Inactive => return Err(Refused::PractitionerInactive { practitioner_id }),
            Standing::Active => {}
        }
        if wish.starts <= now {
            return Err(Refused::InThePast { starts_at: wish.starts });
        }
        if !self.hours.cover(&wish) {
            return Err(Refused::OutsideWorkingHours(wish));
        }
        if self.diary.overlaps(&wish) {
            return Err(Refused::SlotTaken(wish));
        }
        Ok(())
    }
}

/// Reads what [`decide`] needs.
///
/// # Errors
/// The clinic database did not answer.
pub fn gather(wish: &Command, records: &dyn Records) -> Result<State, Refusal> {
    let appointment = noted(records, wish.appointment_id())?;
    match wish {
        Command::Book(book) => {
            let around = Interval::new(book.starts_at, book.ends_at);
            let patient = reading::patient(records, book.patient_id)?;
            let day = Day::gather(records, book.practitioner_id, &around, None)?;
            Ok(State { appointment, patient, day })
        }
        Command::Reschedule(to) => {
            let around = Interval::new(to.starts_at, to.ends_at);
            let present = appointment.as_ref().and_then(|it| it.appointment.practitioner_id);
            let day = match to.practitioner_id.or(present) {
                Some(whose) => Day::gather(records, whose, &around, Some(to.appointment_id))?,
                None => Day::default(),
            };
            let patient = match appointment.as_ref().and_then(|it| it.appointment.patient_id) {
                Some(patient_id) => reading::patient(records, patient_id)?,
                None => Patient::Unknown,
            };
            Ok(State { appointment, patient, day })
        }
        Command::Cancel(_) | Command::Arrive(_) | Command::Fulfil(_) | Command::Noshow(_) => {
            Ok(State { appointment, ..State::default() })
        }
    }
}

fn noted(records: &dyn Records, id: Uuid) -> Result<Option<Noted>, Refusal> {
    let Some(stored) = records.get(Appointment::THING, &id)? else { return Ok(None) };
    let appointment = reading::read(Appointment::THING, &stored.state)?;
    Ok(Some(Noted { appointment, seq: stored.seq }))
}

/// Grants or refuses a wish against the diary as it stands.
///
/// # Errors
/// The refusal.
pub fn decide(wish: &Command, state: &State, now: Timestamp) -> Result<Granted, Refused> {
    wish.validate().map_err(|problems| Refused::FieldRules { problems })?;
    match wish {
        Command::Book(wish) => book(wish, state, now),
        Command::Reschedule(wish) => reschedule(wish, state, now),
        Command::Cancel(it) => {
            turn(it.appointment_id, it.if_match, state, Status::Cancelled, "cancelled")
        }
        Command::Arrive(it) => {
            turn(it.appointment_id, it.if_match, state, Status::Arrived, "marked as arrived")
        }
        Command::Fulfil(it) => {
            turn(it.appointment_id, it.if_match, state, Status::Fulfilled, "fulfilled")
        }
        Command::Noshow(it) => {
            turn(it.appointment_id, it.if_match, state, Status::Noshow, "marked as a no-show")
        }
    }
}

fn book(wish: &BookAppointment, state: &State, now: Timestamp) -> Result<Granted, Refused> {
    let BookAppointment { appointment_id, patient_id, practitioner_id, .. } = *wish;
    if state.appointment.is_some() {
        return Err(Refused::AppointmentExists { appointment_id });
    }
    match state.patient {
        Patient::Unknown => return Err(Refused::PatientUnknown { patient_id }),
        Patient::Merged { into } => return Err(Refused::PatientMerged { patient_id, into }),
        Patient::Deceased => return Err(Refused::PatientDeceased { patient_id }),
        Patient::Inactive => return Err(Refused::PatientInactive { patient_id }),
        Patient::Active => {}
    }
    state.day.admit(Interval::new(wish.starts_at, wish.ends_at), now)?;
    let mut fields = vec![
        ("patient_id", json!(patient_id)),
        ("practitioner_id", json!(practitioner_id)),
        ("starts_at", json!(wish.starts_at)),
        ("ends_at", json!(wish.ends_at)),
        ("status", json!(Status::Booked.as_str())),
    ];
    fields.extend(wish.modality.as_ref().map(|modality| ("modality", json!(modality))));
    fields.extend(wish.reason.as_ref().map(|reason| ("reason", json!(reason))));
    Ok(granted(appointment_id, RowOperation::Insert, fields))
}

fn reschedule(
    wish: &RescheduleAppointment,
    state: &State,
    now: Timestamp,
) -> Result<Granted, Refused> {
    let held = present(wish.appointment_id, wish.if_match, state)?;
    if held.status() != Some(Status::Booked) {
        return Err(not_allowed(held, "rescheduled"));
    }
    match (state.patient, held.patient_id) {
        (Patient::Deceased, Some(patient_id)) => {
            return Err(Refused::PatientDeceased { patient_id });
        }
        (Patient::Inactive, Some(patient_id)) => {
            return Err(Refused::PatientInactive { patient_id });
        }
        // Somebody who is registered twice still comes, and a desk may name nobody.
        (Patient::Unknown | Patient::Merged { .. } | Patient::Active, _) | (_, None) => {}
    }
    state.day.admit(Interval::new(wish.starts_at, wish.ends_at), now)?;
    let mut fields = vec![("starts_at", json!(wish.starts_at)), ("ends_at", json!(wish.ends_at))];
    fields.extend(wish.practitioner_id.map(|whose| ("practitioner_id", json!(whose))));
    Ok(granted(wish.appointment_id, RowOperation::Update, fields))
}

/// Takes an appointment to its next status. Asked twice by two requests, the second is refused: it
/// wished for something that had already happened.
fn turn(
    appointment_id: Uuid,
    if_match: Option<UnitSeq>,
    state: &State,
    next: Status,
    wished: &'static str,
) -> Result<Granted, Refused> {
    let held = present(appointment_id, if_match, state)?;
    if !held.status().is_some_and(|status| status.may_become(next)) {
        return Err(not_allowed(held, wished));
    }
    let fields = vec![("status", json!(next.as_str()))];
    Ok(granted(appointment_id, RowOperation::Update, fields))
}

/// The appointment that a wish names, in the version that the asker has seen.
fn present(
    appointment_id: Uuid,
    if_match: Option<UnitSeq>,
    state: &State,
) -> Result<&Appointment, Refused> {
    let Some(noted) = &state.appointment else {
        return Err(Refused::AppointmentUnknown { appointment_id });
    };
    match if_match {
        Some(expected) if noted.seq != Some(expected) => {
            Err(Refused::ChangedMeanwhile { expected, found: noted.seq })
        }
        Some(_) | None => Ok(&noted.appointment),
    }
}

fn not_allowed(held: &Appointment, wished: &'static str) -> Refused {
    let status = held.status.clone().unwrap_or_else(|| "without a status".to_owned());
    Refused::AppointmentStatus { status, wished }
}

fn granted(id: Uuid, operation: RowOperation, fields: Vec<(&'static str, Value)>) -> Granted {
    let record = RecordRef { thing: Appointment::THING, id };
    let fields: Map<_, _> =
        fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect();
    Granted { changes: vec![RowChange { record: record.clone(), operation, fields }], record }
}
