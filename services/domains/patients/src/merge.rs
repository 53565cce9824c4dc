//! Merging: two registrations of one person become one, at the practice and for everybody.
//!
//! The practice's own software says how: a column of the merged registration names the one that
//! stays. Where a practice keeps no such column nothing can be merged, and the command is refused.

use kit_event::{
    Filter, Granted, RecordRef, Records, Rejection, RowChange, RowOperation, Stored, UnitSeq,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Patient;
use crate::rejection::PatientRejection;

/// The field that names the registration that stays.
pub const MERGED_INTO: &str = "merged_into";

/// Asks the unit to note that one registration is the same person's as another, which stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MergePatients {
    /// The registration that is merged away.
    pub patient_id: Uuid,
    /// The registration that stays.
    pub into_patient_id: Uuid,
    /// The `E-S` that the merged registration must still have, where the asker insists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub if_match: Option<UnitSeq>,
}

impl MergePatients {
    /// The type on the wire.
    pub const TYPE: &'static str = "patients.merge_patients";
}

/// What the unit's records say about a merge.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Both {
    /// The registration to be merged away.
    pub from: Option<Stored>,
    /// The registration that is to stay.
    pub into: Option<Stored>,
    /// The registrations that were merged into the one to be merged away.
    pub merged_before: Vec<Uuid>,
    /// Whether the practice keeps where a registration went.
    pub is_kept: bool,
}

/// Registrations of one person that a merge takes along: more are no person's, and would hold the
/// practice's database up.
pub const TAKEN_ALONG_MAX: usize = 100;

/// Reads what [`decide`] needs.
///
/// # Errors
/// The clinic database did not answer.
pub fn gather(command: &MergePatients, records: &dyn Records) -> Result<Both, Rejection> {
    let is_kept = records.writes(Patient::RESOURCE, MERGED_INTO);
    let mut both = Both {
        from: records.get(Patient::RESOURCE, &command.patient_id)?,
        into: records.get(Patient::RESOURCE, &command.into_patient_id)?,
        merged_before: vec![],
        is_kept,
    };
    if is_kept && both.from.is_some() {
        let into_from = [Filter::Equals(MERGED_INTO, json!(command.patient_id))];
        let rows = records.find(Patient::RESOURCE, &into_from)?;
        let ids = rows.iter().filter_map(|row| row["patient_id"].as_str()?.parse().ok());
        both.merged_before = ids.filter(|id| *id != command.patient_id).collect();
    }
    Ok(both)
}

/// Grants or refuses a merge. A request makes no chain: who was merged away takes nobody in, and
/// who goes takes along all that were merged into it, so one look finds the registration that
/// stays. A desk may make one; the next merge of its end takes it along.
///
/// # Errors
/// The rejection.
pub fn decide(command: &MergePatients, both: &Both) -> Result<Granted, PatientRejection> {
    let (patient_id, into_patient_id) = (command.patient_id, command.into_patient_id);
    if !both.is_kept {
        return Err(PatientRejection::MergeUnsupported);
    }
    if patient_id == into_patient_id {
        return Err(PatientRejection::MergeWithItself { patient_id });
    }
    let Some(from) = &both.from else {
        return Err(PatientRejection::PatientUnknown { patient_id });
    };
    let Some(into) = &both.into else {
        return Err(PatientRejection::MergeTargetUnknown { patient_id: into_patient_id });
    };
    if let Some(expected) = command.if_match
        && from.seq != Some(expected)
    {
        return Err(PatientRejection::ChangedMeanwhile { expected, found: from.seq });
    }
    if is_merged(from, patient_id) {
        return Err(PatientRejection::AlreadyMerged { patient_id });
    }
    if is_merged(into, into_patient_id) {
        return Err(PatientRejection::AlreadyMerged { patient_id: into_patient_id });
    }
    if both.merged_before.len() > TAKEN_ALONG_MAX {
        return Err(PatientRejection::TooManyMerged { patient_id });
    }
    let merged = [&patient_id].into_iter().chain(&both.merged_before);
    let changes = merged.map(|id| merged_away(*id, into_patient_id)).collect();
    Ok(Granted { changes, record: RecordRef { resource: Patient::RESOURCE, id: patient_id } })
}

/// A practice may name the registration itself where it was merged into no other.
fn is_merged(stored: &Stored, own: Uuid) -> bool {
    let into = stored.state.get(MERGED_INTO).filter(|into| !into.is_null());
    into.is_some_and(|into| *into != json!(own))
}

fn merged_away(id: Uuid, into: Uuid) -> RowChange {
    RowChange {
        record: RecordRef { resource: Patient::RESOURCE, id },
        operation: RowOperation::Update,
        fields: Map::from_iter([(MERGED_INTO.to_owned(), json!(into))]),
    }
}
