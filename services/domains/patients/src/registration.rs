//! Registration: the one place that grants or refuses wishes about patients.
//!
//! [`gather`] reads what a decision needs, [`decide`] takes it. The unit is the only writer of its
//! registrations, so a decision needs no lock, and nothing here reads a clock.

use kit_event::{
    Date, Filter, Granted, RecordRef, Records, Refusal, RowChange, RowOperation, Stored, Timestamp,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::merge;
use crate::refusal::Refused;
use crate::{Command, Patient, RegisterPatient, UpdatePatient};

/// The zone furthest ahead of UTC is Pacific/Kiritimati: a date that has not begun there has begun
/// nowhere. So no unit's zone is needed to say that a date is in the future.
const FURTHEST_AHEAD_MS: i64 = 14 * 60 * 60 * 1000;

/// What the unit's records say about a wish.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Register {
    /// The registration that the wish names, with the number of its last fact.
    pub named: Option<Stored>,
    /// Whether another registration has the wished mrn.
    pub mrn_taken: bool,
    /// The two registrations of a merge; only a merge asks.
    pub both: merge::Both,
}

/// Reads what [`decide`] needs.
///
/// # Errors
/// The clinic database did not answer.
pub fn gather(wish: &Command, records: &dyn Records) -> Result<Register, Refusal> {
    let (patient_id, mrn) = match wish {
        Command::Register(wish) => (wish.patient_id, wish.mrn.as_deref()),
        Command::Update(wish) => (wish.patient_id, wish.mrn.as_deref()),
        Command::Merge(wish) => {
            return Ok(Register { both: merge::gather(wish, records)?, ..Register::default() });
        }
    };
    let named = records.get(Patient::THING, &patient_id)?;
    let mrn_taken = match mrn {
        Some(mrn) => records
            .find(Patient::THING, &[Filter::Equals("mrn", json!(mrn))])?
            .iter()
            .any(|other| other["patient_id"] != json!(patient_id)),
        None => false,
    };
    Ok(Register { named, mrn_taken, both: merge::Both::default() })
}

/// Grants or refuses a wish against the records as they stand.
///
/// # Errors
/// The refusal.
pub fn decide(wish: &Command, register: &Register, now: Timestamp) -> Result<Granted, Refused> {
    wish.validate().map_err(|problems| Refused::FieldRules { problems })?;
    match wish {
        Command::Register(wish) => enter(wish, register, now),
        Command::Update(wish) => amend(wish, register, now),
        Command::Merge(wish) => merge::decide(wish, &register.both),
    }
}

fn enter(wish: &RegisterPatient, held: &Register, now: Timestamp) -> Result<Granted, Refused> {
    if held.named.is_some() {
        return Err(Refused::PatientExists { patient_id: wish.patient_id });
    }
    mrn_is_free(held, wish.mrn.as_deref())?;
    dates_have_come(Some(wish.birth_date), wish.deceased_on, now)?;
    let mut fields: Map<_, _> = wish
        .values()
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(field, value)| (field.to_owned(), value))
        .collect();
    fields.insert("active".to_owned(), json!(wish.active.unwrap_or(true)));
    Ok(granted(wish.patient_id, RowOperation::Insert, fields))
}

fn amend(wish: &UpdatePatient, held: &Register, now: Timestamp) -> Result<Granted, Refused> {
    let patient_id = wish.patient_id;
    let Some(stored) = &held.named else { return Err(Refused::PatientUnknown { patient_id }) };
    if let Some(expected) = wish.if_match
        && stored.seq != Some(expected)
    {
        return Err(Refused::ChangedMeanwhile { expected, found: stored.seq });
    }
    mrn_is_free(held, wish.mrn.as_deref())?;
    dates_have_come(wish.birth_date, wish.deceased_on, now)?;
    dates_agree(wish, &stored.state)?;
    let fields: Map<_, _> = wish
        .values()
        .into_iter()
        .filter(|(field, _)| wish.touches(field))
        .map(|(field, value)| (field.to_owned(), value))
        .collect();
    Ok(granted(patient_id, RowOperation::Update, fields))
}

fn granted(id: Uuid, operation: RowOperation, fields: Map<String, Value>) -> Granted {
    let record = RecordRef { thing: Patient::THING, id };
    if fields.is_empty() {
        // Nothing was named, so nothing is written: the record as it stands is the answer.
        return Granted { changes: vec![], record };
    }
    Granted { changes: vec![RowChange { record: record.clone(), operation, fields }], record }
}

fn mrn_is_free(held: &Register, mrn: Option<&str>) -> Result<(), Refused> {
    match mrn {
        Some(_) if held.mrn_taken => Err(Refused::DuplicateMrn),
        Some(_) | None => Ok(()),
    }
}

fn dates_have_come(
    birth: Option<Date>,
    death: Option<Date>,
    now: Timestamp,
) -> Result<(), Refused> {
    let furthest = now.plus_ms(FURTHEST_AHEAD_MS).to_utc().date_naive();
    let to_come = |date: &Date| date.to_naive() > furthest;
    if let Some(birth_date) = birth.filter(to_come) {
        return Err(Refused::BirthDateInFuture { birth_date });
    }
    if let Some(deceased_on) = death.filter(to_come) {
        return Err(Refused::DeceasedOnInFuture { deceased_on });
    }
    Ok(())
}

/// Each date against the other as it stands in the row, where the wish touches one of them. What
/// does not read as a date (the desk typed it) contradicts nothing.
fn dates_agree(wish: &UpdatePatient, state: &Value) -> Result<(), Refused> {
    let standing = |field: &str| Date::deserialize(&state[field]).ok();
    let asked_or_standing = |field: &str, asked: Option<Date>| {
        if wish.touches(field) { asked } else { standing(field) }
    };
    if !wish.touches("birth_date") && !wish.touches("deceased_on") {
        return Ok(());
    }
    match (
        asked_or_standing("birth_date", wish.birth_date),
        asked_or_standing("deceased_on", wish.deceased_on),
    ) {
        (Some(birth_date), Some(deceased_on)) if deceased_on < birth_date => {
            Err(Refused::DeceasedBeforeBirth { deceased_on, birth_date })
        }
        _ => Ok(()),
    }
}
