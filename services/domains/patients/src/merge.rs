//! Merging: two registrations of one person become one, at the practice and for everybody.
//!
//! The practice's own software says how: a column of the merged registration names the one that
//! stays. Where a practice keeps no such column nothing can be merged, and the wish is refused.

use kit_event::{Granted, RecordRef, Records, Refusal, RowChange, RowOperation, Stored, UnitSeq};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Patient;
use crate::refusal::Refused;

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
    /// Whether the practice keeps where a registration went.
    pub is_kept: bool,
}

/// Reads what [`decide`] needs.
///
/// # Errors
/// The clinic database did not answer.
pub fn gather(wish: &MergePatients, records: &dyn Records) -> Result<Both, Refusal> {
    Ok(Both {
        from: records.get(Patient::THING, &wish.patient_id)?,
        into: records.get(Patient::THING, &wish.into_patient_id)?,
        is_kept: records.writes(Patient::THING, MERGED_INTO),
    })
}

/// Grants or refuses a merge. A chain cannot come to be: who was merged away takes nobody in, so
/// one look is enough to find the registration that stays.
///
/// # Errors
/// The refusal.
pub fn decide(wish: &MergePatients, both: &Both) -> Result<Granted, Refused> {
    let (patient_id, into_patient_id) = (wish.patient_id, wish.into_patient_id);
    if !both.is_kept {
        return Err(Refused::MergeUnsupported);
    }
    if patient_id == into_patient_id {
        return Err(Refused::MergeWithItself { patient_id });
    }
    let Some(from) = &both.from else { return Err(Refused::PatientUnknown { patient_id }) };
    let Some(into) = &both.into else {
        return Err(Refused::MergeTargetUnknown { patient_id: into_patient_id });
    };
    if let Some(expected) = wish.if_match
        && from.seq != Some(expected)
    {
        return Err(Refused::ChangedMeanwhile { expected, found: from.seq });
    }
    let is_merged = |stored: &Stored| stored.state.get(MERGED_INTO).is_some_and(|it| !it.is_null());
    if is_merged(from) {
        return Err(Refused::AlreadyMerged { patient_id });
    }
    if is_merged(into) {
        return Err(Refused::AlreadyMerged { patient_id: into_patient_id });
    }
    let record = RecordRef { thing: Patient::THING, id: patient_id };
    let fields = Map::from_iter([(MERGED_INTO.to_owned(), json!(into_patient_id))]);
    let operation = RowOperation::Update;
    Ok(Granted { changes: vec![RowChange { record: record.clone(), operation, fields }], record })
}
