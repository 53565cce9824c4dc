//! Medical records at REST: encounters, conditions, allergies, observations, procedures and
//! immunizations, and the first page of a chart.
//!
//! What is declared here is served by `kit-rest`: the routes, their permissions, the commands and
//! the problems that a unit may answer with. No handler of a command is written here, and nothing
//! here knows how a unit carries one out.

#![deny(clippy::match_wildcard_for_single_variants, clippy::wildcard_enum_match_arm)]

mod commands;
mod permissions;
mod reads;
mod routes;
mod summary;

use kit_event::UnitId;
use kit_policy::Permission;
use kit_rest::chart::Part;
use kit_rest::face::RecordRead;
use kit_rest::{Face, Route};
use records::{Allergy, Condition, Encounter, Immunization, Observation, Resource};
use records_store::one;
use sqlx::PgPool;
use uuid::Uuid;

/// The face.
pub struct MedicalRecords;

impl Face for MedicalRecords {
    fn name(&self) -> &'static str {
        "records"
    }

    fn routes(&self) -> Vec<Route> {
        routes::all()
    }

    fn permissions(&self) -> &'static [Permission] {
        permissions::ALL
    }

    fn reads(&self) -> Permission {
        permissions::READ_CHARTS
    }

    fn chart(&self) -> Option<Part> {
        Some(Part {
            schema: "records",
            permission: permissions::READ_CHARTS,
            read: |page| Box::pin(reads::of_chart(page)),
        })
    }

    fn problems(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        records::PROBLEMS
    }

    fn record<'a>(
        &self,
        pool: &'a PgPool,
        unit: &'a UnitId,
        kind: &str,
        id: Uuid,
    ) -> Option<RecordRead<'a>> {
        Some(match kind {
            Encounter::RESOURCE => Box::pin(one::<Encounter>(pool, unit, id)),
            Condition::RESOURCE => Box::pin(one::<Condition>(pool, unit, id)),
            Allergy::RESOURCE => Box::pin(one::<Allergy>(pool, unit, id)),
            Observation::RESOURCE => Box::pin(one::<Observation>(pool, unit, id)),
            Immunization::RESOURCE => Box::pin(one::<Immunization>(pool, unit, id)),
            _ => return None,
        })
    }
}
