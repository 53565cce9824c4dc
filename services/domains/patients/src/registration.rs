//! Registration: the one place that grants or refuses commands about patients.
//!
//! [`gather`] reads what a decision needs, [`decide`] takes it. The unit is the only writer of its
//! registrations, so a decision needs no lock, and nothing here reads a clock.

use kit_event::{
    Date, Filter, Granted, RecordRef, Records, Rejection, RowChange, RowOperation, Stored,
    Timestamp,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::merge;
use crate::rejection::PatientRejection;
use crate::{Command, Patient, RegisterPatient, UpdatePatient};

/// The zone furthest ahead of UTC is Pacific/Kiritimati: a date that has not begun there has begun
/// nowhere. So no unit's zone is needed to say that a date is in the future.
const FURTHEST_AHEAD_MS: i64 = 14 * 60 * 60 * 1000;

/// What the unit's records say about a command.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Register {
    /// The registration that the command names, with the number of its last fact.
    pub named: Option<Stored>,
    /// Whether another registration has the asked mrn.
    pub mrn_taken: bool,
    /// The two registrations of a merge; only a merge asks.
    pub both: merge::Both,
}

/// Reads what [`decide`] needs.
///
/// # Errors
/// The clinic database did not answer.
pub fn gather(command: &Command, records: &dyn Records) -> Result<Register, Rejection> {
    let (patient_id, mrn) = match command {
        Command::Register(command) => (command.patient_id, command.mrn.as_deref()),
        Command::Update(command) => (command.patient_id, command.mrn.as_deref()),
        Command::Merge(command) => {
            return Ok(Register { both: merge::gather(command, records)?, ..Register::default() });
        }
    };
    let named = records.get(Patient::RESOURCE, &patient_id)?;
    let mrn_taken = match mrn {
        Some(mrn) => records
            .find(Patient::RESOURCE, &[Filter::Equals("mrn", json!(mrn))])?
            .iter()
            .any(|other| other["patient_id"] != json!(patient_id)),
        None => false,
    };
    Ok(Register { named, mrn_taken, both: merge::Both::default() })
}

/// Grants or refuses a command against the records as they stand.
///
/// # Errors
/// The rejection.
pub fn decide(
    command: &Command,
    register: &Register,
    now: Timestamp,
) -> Result<Granted, PatientRejection> {
    command.validate().map_err(|problems| PatientRejection::FieldRules { problems })?;
    match command {
        Command::Register(command) => enter(command, register, now),
        Command::Update(command) => amend(command, register, now),
        Command::Merge(command) => merge::decide(command, &register.both),
    }
}

fn enter(
    command: &RegisterPatient,
    held: &Register,
    now: Timestamp,
) -> Result<Granted, PatientRejection> {
    if held.named.is_some() {
        return Err(PatientRejection::PatientExists { patient_id: command.patient_id });
    }
    mrn_is_free(held, command.mrn.as_deref())?;
    dates_have_come(Some(command.birth_date), command.deceased_on, now)?;
    let mut fields: Map<_, _> = command
        .values()
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(field, value)| (field.to_owned(), value))
        .collect();
    fields.insert("active".to_owned(), json!(command.active.unwrap_or(true)));
    Ok(granted(command.patient_id, RowOperation::Insert, fields))
}

fn amend(
    command: &UpdatePatient,
    held: &Register,
    now: Timestamp,
) -> Result<Granted, PatientRejection> {
    let patient_id = command.patient_id;
    let Some(stored) = &held.named else {
        return Err(PatientRejection::PatientUnknown { patient_id });
    };
    if let Some(expected) = command.if_match
        && stored.seq != Some(expected)
    {
        return Err(PatientRejection::ChangedMeanwhile { expected, found: stored.seq });
    }
    mrn_is_free(held, command.mrn.as_deref())?;
    dates_have_come(command.birth_date, command.deceased_on, now)?;
    dates_agree(command, &stored.state)?;
    let fields: Map<_, _> = command
        .values()
        .into_iter()
        .filter(|(field, _)| command.touches(field))
        .map(|(field, value)| (field.to_owned(), value))
        .collect();
    Ok(granted(patient_id, RowOperation::Update, fields))
}

fn granted(id: Uuid, operation: RowOperation, fields: Map<String, Value>) -> Granted {
    let record = RecordRef { resource: Patient::RESOURCE, id };
    if fields.is_empty() {
        // Nothing was named, so nothing is written: the record as it stands is the answer.
        return Granted { changes: vec![], record };
    }
    Granted { changes: vec![RowChange { record: record.clone(), operation, fields }], record }
}

fn mrn_is_free(held: &Register, mrn: Option<&str>) -> Result<(), PatientRejection> {
    match mrn {
        Some(_) if held.mrn_taken => Err(PatientRejection::DuplicateMrn),
        Some(_) | None => Ok(()),
    }
}

fn dates_have_come(
    birth: Option<Date>,
    death: Option<Date>,
    now: Timestamp,
) -> Result<(), PatientRejection> {
    let furthest = now.plus_ms(FURTHEST_AHEAD_MS).to_utc().date_naive();
    let to_come = |date: &Date| date.to_naive() > furthest;
    if let Some(birth_date) = birth.filter(to_come) {
        return Err(PatientRejection::BirthDateInFuture { birth_date });
    }
    if let Some(deceased_on) = death.filter(to_come) {
        return Err(PatientRejection::DeceasedOnInFuture { deceased_on });
    }
    Ok(())
}

/// Each date against the other as it stands in the row, where the command touches one of them. What
/// does not read as a date (the desk typed it) contradicts nothing.
fn dates_agree(command: &UpdatePatient, state: &Value) -> Result<(), PatientRejection> {
    let standing = |field: &str| Date::deserialize(&state[field]).ok();
    let asked_or_standing = |field: &str, asked: Option<Date>| {
        if command.touches(field) { asked } else { standing(field) }
    };
    if !command.touches("birth_date") && !command.touches("deceased_on") {
        return Ok(());
    }
    match (
        asked_or_standing("birth_date", command.birth_date),
        asked_or_standing("deceased_on", command.deceased_on),
    ) {
        (Some(birth_date), Some(deceased_on)) if deceased_on < birth_date => {
            Err(PatientRejection::DeceasedBeforeBirth { deceased_on, birth_date })
        }
        _ => Ok(()),
    }
}
