//! Charting: commands about a chart, and the one place that grants or refuses them.
//!
//! The unit is the only writer of its charts, so a decision needs no lock. [`gather`] reads what a
//! decision needs, [`decide`] takes it; nothing here reads a clock. What happened may be recorded
//! of a patient who has died or is no longer seen; an encounter begins with neither.

use kit_event::{
    Granted, RecordRef, Records, Rejection, RowChange, RowOperation, Stored, Timestamp,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::commands::{Command, FinishEncounter};
use crate::facts::Resource;
use crate::patient::{self, Patient};
use crate::recordings::{Amending, Recording};
use crate::rejection::ChartRejection;
use crate::resources::{
    Allergy, Condition, ENTERED_IN_ERROR, Encounter, Immunization, Observation,
};
use crate::rules::{first_day, last_day};

/// The zone furthest ahead of UTC is Pacific/Kiritimati: a date that has not begun there has begun
/// nowhere.
const FURTHEST_AHEAD_MS: i64 = 14 * 60 * 60 * 1_000;
/// A clock at the bedside may run ahead of the network's time by so much.
const CLOCK_AHEAD_MS_MAX: i64 = 5 * 60 * 1_000;

/// What the unit's records say about a command.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chart {
    /// The record that the command names.
    pub named: Option<Stored>,
    /// Whose chart it is; only a command that makes a record asks.
    pub patient: Patient,
    /// References of the command to records that the unit does not have, or of another patient.
    pub unknown: Vec<(&'static str, Uuid)>,
}

/// Reads what [`decide`] needs.
///
/// # Errors
/// The clinic database did not answer.
pub fn gather(command: &Command, records: &dyn Records) -> Result<Chart, Rejection> {
    match command {
        Command::Record(it) => Ok(Chart {
            named: records.get(it.resource, &it.id)?,
            patient: patient::read(records, it.patient_id)?,
            unknown: unknown(records, &it.values, Some(it.patient_id))?,
        }),
        Command::Amend(it) => {
            let named = records.get(it.resource, &it.id)?;
            let of = named.as_ref().and_then(|stored| id_in(&stored.state, "patient_id"));
            let unknown = unknown(records, &it.values, of)?;
            Ok(Chart { named, unknown, ..Chart::default() })
        }
        Command::Finish(it) => Ok(Chart {
            named: records.get(Encounter::RESOURCE, &it.encounter_id)?,
            ..Chart::default()
        }),
    }
}

/// The references among `values` that lead nowhere, or into another patient's records.
fn unknown(
    records: &dyn Records,
    values: &[(&'static str, Value)],
    patient_id: Option<Uuid>,
) -> Result<Vec<(&'static str, Uuid)>, Rejection> {
    let mut unknown = vec![];
    for (field, value) in values {
        let resource = match *field {
            "encounter_id" => Encounter::RESOURCE,
            "practitioner_id" => "practitioner",
            "appointment_id" => "appointment",
            _ => continue,
        };
        let Some(id) = value.as_str().and_then(|text| text.parse().ok()) else { continue };
        let known = records.get(resource, &id)?.is_some_and(|stored| {
            resource == "practitioner" || id_in(&stored.state, "patient_id") == patient_id
        });
        if !known {
            unknown.push((resource, id));
        }
    }
    Ok(unknown)
}

fn id_in(state: &Value, field: &str) -> Option<Uuid> {
    state.get(field)?.as_str()?.parse().ok()
}

/// Grants or refuses a command against the chart as it stands.
///
/// # Errors
/// The rejection.
pub fn decide(command: &Command, chart: &Chart, now: Timestamp) -> Result<Granted, ChartRejection> {
    command.validate().map_err(|problems| ChartRejection::FieldRules { problems })?;
    match command {
        Command::Record(it) => record(it, chart, now),
        Command::Amend(it) => amend(it, chart, now),
        Command::Finish(it) => finish(it, chart, now),
    }
}

fn record(command: &Recording, chart: &Chart, now: Timestamp) -> Result<Granted, ChartRejection> {
    let (resource, id, patient_id) = (command.resource, command.id, command.patient_id);
    match chart.patient {
        Patient::Unknown => return Err(ChartRejection::PatientUnknown { patient_id }),
        Patient::Merged { into } => return Err(ChartRejection::PatientMerged { patient_id, into }),
        Patient::Deceased if resource == Encounter::RESOURCE => {
            return Err(ChartRejection::PatientDeceased { patient_id });
        }
        Patient::Inactive if resource == Encounter::RESOURCE => {
            return Err(ChartRejection::PatientInactive { patient_id });
        }
        Patient::Deceased | Patient::Inactive | Patient::Active => {}
    }
    if chart.named.is_some() {
        return Err(ChartRejection::RecordExists { resource, id });
    }
    references_are_known(chart)?;
    let mut fields: Map<String, Value> = command
        .values
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(field, value)| ((*field).to_owned(), value.clone()))
        .collect();
    fields.insert("patient_id".to_owned(), json!(patient_id));
    for (field, value) in defaults(resource, now) {
        fields.entry(field).or_insert(value);
    }
    times_have_come(&fields, now)?;
    dates_agree(&fields)?;
    Ok(granted(resource, id, RowOperation::Insert, fields))
}

/// What a record says where the command says nothing.
fn defaults(resource: &str, now: Timestamp) -> Vec<(&'static str, Value)> {
    match resource {
        Encounter::RESOURCE => vec![
            ("class", json!("AMB")),
            ("status", json!("in-progress")),
            ("starts_at", json!(now)),
        ],
        Condition::RESOURCE | Allergy::RESOURCE => vec![
            ("clinical_status", json!("active")),
            ("verification_status", json!("confirmed")),
            ("recorded_at", json!(now)),
        ],
        Observation::RESOURCE => vec![("status", json!("final")), ("effective_at", json!(now))],
        Immunization::RESOURCE => {
            vec![("status", json!("completed")), ("occurred_at", json!(now))]
        }
        _ => vec![],
    }
}

fn amend(command: &Amending, chart: &Chart, now: Timestamp) -> Result<Granted, ChartRejection> {
    let (resource, id) = (command.resource, command.id);
    let stored = chart.named.as_ref().ok_or(ChartRejection::RecordUnknown { resource, id })?;
    unchanged(stored, command.if_match)?;
    if is_retracted(&stored.state) {
        return Err(ChartRejection::RecordRetracted { resource, id });
    }
    references_are_known(chart)?;
    let fields: Map<String, Value> = command
        .values
        .iter()
        .filter(|(field, _)| command.touches(field))
        .map(|(field, value)| ((*field).to_owned(), value.clone()))
        .collect();
    times_have_come(&fields, now)?;
    let mut after = stored.state.as_object().cloned().unwrap_or_default();
    after.extend(fields.clone());
    dates_agree(&after)?;
    Ok(granted(resource, id, RowOperation::Update, fields))
}

fn finish(
    command: &FinishEncounter,
    chart: &Chart,
    now: Timestamp,
) -> Result<Granted, ChartRejection> {
    let (resource, id) = (Encounter::RESOURCE, command.encounter_id);
    let stored = chart.named.as_ref().ok_or(ChartRejection::RecordUnknown { resource, id })?;
    unchanged(stored, command.if_match)?;
    let status = stored.state["status"].as_str().unwrap_or_default();
    if !["planned", "arrived", "triaged", "in-progress", "onleave", "unknown"].contains(&status) {
        let status = status.to_owned();
        return Err(ChartRejection::EncounterStatus { encounter_id: id, status });
    }
    let ends_at = command.ends_at.unwrap_or(now);
    let starts_at = stored.state["starts_at"].as_str().and_then(|text| text.parse().ok());
    if starts_at.is_some_and(|starts_at: Timestamp| ends_at < starts_at) {
        return Err(ChartRejection::EndsBeforeStart);
    }
    let fields: Map<String, Value> = [("status", json!("finished")), ("ends_at", json!(ends_at))]
        .into_iter()
        .map(|(field, value)| (field.to_owned(), value))
        .collect();
    times_have_come(&fields, now)?;
    Ok(granted(resource, id, RowOperation::Update, fields))
}

/// A record that was marked as entered in error says so for good; at the desk people correct what
/// they like.
fn is_retracted(state: &Value) -> bool {
    ["status", "verification_status"].iter().any(|field| state[field] == ENTERED_IN_ERROR)
}

fn unchanged(stored: &Stored, expected: Option<kit_event::UnitSeq>) -> Result<(), ChartRejection> {
    match expected {
        Some(expected) if stored.seq != Some(expected) => {
            Err(ChartRejection::ChangedMeanwhile { expected, found: stored.seq })
        }
        Some(_) | None => Ok(()),
    }
}

fn references_are_known(chart: &Chart) -> Result<(), ChartRejection> {
    match chart.unknown.first() {
        Some((resource, id)) => Err(ChartRejection::RecordUnknown { resource, id: *id }),
        None => Ok(()),
    }
}

/// What is said to have happened has happened.
fn times_have_come(fields: &Map<String, Value>, now: Timestamp) -> Result<(), ChartRejection> {
    let text = |field: &str| fields.get(field).and_then(Value::as_str);
    for field in ["effective_at", "occurred_at", "starts_at", "ends_at"] {
        let at: Option<Timestamp> = text(field).and_then(|text| text.parse().ok());
        if at.is_some_and(|at| at > now.plus_ms(CLOCK_AHEAD_MS_MAX)) {
            return Err(ChartRejection::InTheFuture { field });
        }
    }
    let today = now.plus_ms(FURTHEST_AHEAD_MS).to_utc().date_naive();
    for field in ["onset_on", "abated_on"] {
        if text(field).and_then(first_day).is_some_and(|day| day.to_naive() > today) {
            return Err(ChartRejection::InTheFuture { field });
        }
    }
    Ok(())
}

fn dates_agree(fields: &Map<String, Value>) -> Result<(), ChartRejection> {
    let text = |field: &str| fields.get(field).and_then(Value::as_str);
    let (onset, abated) = (text("onset_on"), text("abated_on"));
    match (onset.and_then(first_day), abated.and_then(last_day)) {
        (Some(onset), Some(abated)) if abated < onset => Err(ChartRejection::AbatedBeforeOnset),
        _ => Ok(()),
    }
}

fn granted(
    resource: &'static str,
    id: Uuid,
    operation: RowOperation,
    fields: Map<String, Value>,
) -> Granted {
    let record = RecordRef { resource, id };
    if fields.is_empty() {
        // Nothing was named, so nothing is written: the record as it stands is the answer.
        return Granted { changes: vec![], record };
    }
    Granted { changes: vec![RowChange { record: record.clone(), operation, fields }], record }
}
