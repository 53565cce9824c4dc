//! The shape of a chart's first page, for the OpenAPI document.

use records::{Allergy, Condition, Encounter, Immunization, Observation};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What a chart's first page shows, in one answer: of each list the newest 20, and nothing that was
/// entered in error.
#[derive(Serialize, ToSchema)]
pub struct ChartSummary {
    /// The patient's registration.
    #[schema(value_type = Object)]
    pub patient: Value,
    /// Allergies and intolerances.
    pub allergies: Vec<Allergy>,
    /// Problems and diagnoses.
    pub conditions: Vec<Condition>,
    /// Observations of the category `vital-signs`.
    pub vitals: Vec<Observation>,
    /// Observations of the category `laboratory`.
    pub results: Vec<Observation>,
    /// Vaccinations.
    pub immunizations: Vec<Immunization>,
    /// Meetings.
    pub encounters: Vec<Encounter>,
    /// The next booked appointment, or null.
    #[schema(value_type = Option<Object>)]
    pub next_appointment: Value,
    /// What is owed: `items` with `currency` and `balance_minor`; `invoices_unknown` counts
    /// invoices whose balance nobody can say.
    #[schema(value_type = Object)]
    pub balance: Value,
}
