//! Booking: commands about the diary, and the one place that grants or refuses them.
//!
//! The unit is the only writer of its diary, so a decision needs no lock: whoever is first in the
//! log, or at the desk, has the slot. [`gather`] reads what a decision needs, [`decide`] takes it;
//! nothing here reads a clock.

use chrono_tz::Tz;
use kit_event::{
    Filter, Granted, RecordRef, Records, Rejection, RowChange, RowOperation, Timestamp, UnitSeq,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::appointment::{Appointment, Status};
use crate::commands::{BookAppointment, Command, RescheduleAppointment};
use crate::diary::Diary;
use crate::hours::Hours;
use crate::interval::Interval;
use crate::practitioner::Practitioner;
use crate::reading::{self, Patient, Standing};
use crate::rejection::BookingRejection;
use crate::working_hours::WorkingHours;

/// What the unit's records say about a command.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// The appointment that the command names.
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
    ) -> Result<Self, Rejection> {
        let practitioner = reading::standing(records, Practitioner::RESOURCE, practitioner_id)?;
        let zone: Tz = reading::zone(records)?;
        let whose = [Filter::Equals("practitioner_id", json!(practitioner_id))];
        let mut rows = vec![];
        for row in records.find(WorkingHours::RESOURCE, &whose)? {
            rows.push(reading::read::<WorkingHours>(WorkingHours::RESOURCE, &row)?);
        }
        Ok(Self {
            practitioner_id: Some(practitioner_id),
            practitioner,
            hours: Hours::read(zone, &rows),
            diary: Diary::gather(records, practitioner_id, around, except)?,
        })
    }

    /// Grants `command` a place in the diary, or says why not.
    fn admit(&self, command: Interval, now: Timestamp) -> Result<(), BookingRejection> {
        let practitioner_id = self.practitioner_id;
        match self.practitioner {
            Standing::Unknown => {
                return Err(BookingRejection::PractitionerUnknown { practitioner_id });
            }
            Standing::Inactive => {
                return Err(BookingRejection::PractitionerInactive { practitioner_id });
            }
            Standing::Active => {}
        }
        if command.starts <= now {
            return Err(BookingRejection::InThePast { starts_at: command.starts });
        }
        if !self.hours.cover(&command) {
            return Err(BookingRejection::OutsideWorkingHours(command));
        }
        if self.diary.overlaps(&command) {
            return Err(BookingRejection::SlotTaken(command));
        }
        Ok(())
    }
}

/// Reads what [`decide`] needs.
///
/// # Errors
/// The clinic database did not answer.
pub fn gather(command: &Command, records: &dyn Records) -> Result<State, Rejection> {
    let appointment = noted(records, command.appointment_id())?;
    match command {
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

fn noted(records: &dyn Records, id: Uuid) -> Result<Option<Noted>, Rejection> {
    let Some(stored) = records.get(Appointment::RESOURCE, &id)? else { return Ok(None) };
    let appointment = reading::read(Appointment::RESOURCE, &stored.state)?;
    Ok(Some(Noted { appointment, seq: stored.seq }))
}

/// Grants or refuses a command against the diary as it stands.
///
/// # Errors
/// The rejection.
pub fn decide(
    command: &Command,
    state: &State,
    now: Timestamp,
) -> Result<Granted, BookingRejection> {
    command.validate().map_err(|problems| BookingRejection::FieldRules { problems })?;
    match command {
        Command::Book(command) => book(command, state, now),
        Command::Reschedule(command) => reschedule(command, state, now),
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

fn book(
    command: &BookAppointment,
    state: &State,
    now: Timestamp,
) -> Result<Granted, BookingRejection> {
    let BookAppointment { appointment_id, patient_id, practitioner_id, .. } = *command;
    if state.appointment.is_some() {
        return Err(BookingRejection::AppointmentExists { appointment_id });
    }
    match state.patient {
        Patient::Unknown => return Err(BookingRejection::PatientUnknown { patient_id }),
        Patient::Merged { into } => {
            return Err(BookingRejection::PatientMerged { patient_id, into });
        }
        Patient::Deceased => return Err(BookingRejection::PatientDeceased { patient_id }),
        Patient::Inactive => return Err(BookingRejection::PatientInactive { patient_id }),
        Patient::Active => {}
    }
    state.day.admit(Interval::new(command.starts_at, command.ends_at), now)?;
    let mut fields = vec![
        ("patient_id", json!(patient_id)),
        ("practitioner_id", json!(practitioner_id)),
        ("starts_at", json!(command.starts_at)),
        ("ends_at", json!(command.ends_at)),
        ("status", json!(Status::Booked.as_str())),
    ];
    fields.extend(command.modality.as_ref().map(|modality| ("modality", json!(modality))));
    fields.extend(command.reason.as_ref().map(|reason| ("reason", json!(reason))));
    Ok(granted(appointment_id, RowOperation::Insert, fields))
}

fn reschedule(
    command: &RescheduleAppointment,
    state: &State,
    now: Timestamp,
) -> Result<Granted, BookingRejection> {
    let held = present(command.appointment_id, command.if_match, state)?;
    if held.status() != Some(Status::Booked) {
        return Err(not_allowed(held, "rescheduled"));
    }
    match (state.patient, held.patient_id) {
        (Patient::Deceased, Some(patient_id)) => {
            return Err(BookingRejection::PatientDeceased { patient_id });
        }
        (Patient::Inactive, Some(patient_id)) => {
            return Err(BookingRejection::PatientInactive { patient_id });
        }
        // Somebody who is registered twice still comes, and a desk may name nobody.
        (Patient::Unknown | Patient::Merged { .. } | Patient::Active, _) | (_, None) => {}
    }
    state.day.admit(Interval::new(command.starts_at, command.ends_at), now)?;
    let mut fields =
        vec![("starts_at", json!(command.starts_at)), ("ends_at", json!(command.ends_at))];
    fields.extend(command.practitioner_id.map(|whose| ("practitioner_id", json!(whose))));
    Ok(granted(command.appointment_id, RowOperation::Update, fields))
}

/// Takes an appointment to its next status. Asked twice by two requests, the second is refused: it
/// asked for something that had already happened.
fn turn(
    appointment_id: Uuid,
    if_match: Option<UnitSeq>,
    state: &State,
    next: Status,
    asked: &'static str,
) -> Result<Granted, BookingRejection> {
    let held = present(appointment_id, if_match, state)?;
    if !held.status().is_some_and(|status| status.may_become(next)) {
        return Err(not_allowed(held, asked));
    }
    let fields = vec![("status", json!(next.as_str()))];
    Ok(granted(appointment_id, RowOperation::Update, fields))
}

/// The appointment that a command names, in the version that the asker has seen.
fn present(
    appointment_id: Uuid,
    if_match: Option<UnitSeq>,
    state: &State,
) -> Result<&Appointment, BookingRejection> {
    let Some(noted) = &state.appointment else {
        return Err(BookingRejection::AppointmentUnknown { appointment_id });
    };
    match if_match {
        Some(expected) if noted.seq != Some(expected) => {
            Err(BookingRejection::ChangedMeanwhile { expected, found: noted.seq })
        }
        Some(_) | None => Ok(&noted.appointment),
    }
}

fn not_allowed(held: &Appointment, asked: &'static str) -> BookingRejection {
    let status = held.status.clone().unwrap_or_else(|| "without a status".to_owned());
    BookingRejection::AppointmentStatus { status, asked }
}

fn granted(id: Uuid, operation: RowOperation, fields: Vec<(&'static str, Value)>) -> Granted {
    let record = RecordRef { resource: Appointment::RESOURCE, id };
    let fields: Map<_, _> =
        fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect();
    Granted { changes: vec![RowChange { record: record.clone(), operation, fields }], record }
}
