//! A fact as it is shown at REST.

use kit_event::{RequestId, Timestamp, UnitSeq};
use kit_timeline::TimelineRow;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// A fact at REST; the same members as on the link and in the log.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    /// Its number, for `after`.
    #[schema(value_type = String)]
    pub seq: UnitSeq,
    /// Its id.
    pub id: Uuid,
    /// Its type, as `scheduling.appointment_booked`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Version of the type's schema.
    pub version: u32,
    /// When the unit numbered it.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// `<thing>/<id>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The one patient it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<Uuid>,
    /// The request that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub causation_id: Option<RequestId>,
    /// Among a patient's events: its requests of which the fact speaks, as
    /// `requests.range_lapsed` does, which names none itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub request_ids: Vec<RequestId>,
    /// The state after it of the thing it is about.
    #[schema(value_type = Object)]
    pub body: Value,
}

impl From<TimelineRow> for Event {
    fn from(row: TimelineRow) -> Self {
        Self {
            seq: row.seq,
            id: row.id,
            type_name: row.type_name,
            version: row.version,
            time: row.time,
            subject: row.subject,
            patient_id: row.patient_id,
            causation_id: row.causation_id,
            request_ids: Vec::new(),
            body: row.body,
        }
    }
}
