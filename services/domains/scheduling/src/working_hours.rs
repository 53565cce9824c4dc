//! One stretch of a practitioner's weekly hours, as rows hold it, and what happened to it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::facts::{Fact, WorkingHoursFact};

/// A stretch of wall time, in the unit's zone, in which a practitioner sees patients every week.
/// Any program may have written the row, so that only the id is certain; what does not read as a
/// weekday or as a time of day opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct WorkingHours {
    /// Public id, made of practitioner, weekday and beginning.
    pub working_hours_id: Uuid,
    /// Whose hours they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub practitioner_id: Option<Uuid>,
    /// ISO weekday, 1 (Monday) to 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekday: Option<i64>,
    /// Beginning, as `HH:MM` of wall time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<String>,
    /// End, as `HH:MM` of wall time; `24:00` is the end of the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<String>,
    /// Length of one slot of the grid, in minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_min: Option<i64>,
}

impl WorkingHours {
    /// The thing's name in mapping files and subjects.
    pub const RESOURCE: &'static str = "working_hours";
}

/// Names what happened to working hours between two committed versions of their row; two facts
/// only where the row's identity itself changed (its practitioner, weekday or beginning).
#[must_use]
pub fn observe(before: Option<&WorkingHours>, after: Option<&WorkingHours>) -> Vec<Fact> {
    let fact = |kind, of: &WorkingHours| Fact::WorkingHours(kind, of.clone());
    match (before, after) {
        (None, None) => vec![],
        (None, Some(new)) => vec![fact(WorkingHoursFact::Added, new)],
        (Some(old), None) => vec![fact(WorkingHoursFact::Removed, old)],
        (Some(old), Some(new)) if old.working_hours_id != new.working_hours_id => {
            vec![fact(WorkingHoursFact::Removed, old), fact(WorkingHoursFact::Added, new)]
        }
        (Some(old), Some(new)) if old == new => vec![],
        (Some(_), Some(new)) => vec![fact(WorkingHoursFact::Amended, new)],
    }
}
