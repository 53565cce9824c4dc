//! Patients at REST: who is registered.
//!
//! What is declared here is served by `kit-rest`: the routes, their permissions, the commands and
//! the problems that a unit may answer with. No handler of a command is written here, and nothing
//! here knows how a unit carries one out.

#![deny(clippy::match_wildcard_for_single_variants, clippy::wildcard_enum_match_arm)]

mod commands;
mod permissions;
mod reads;
mod routes;

use kit_event::UnitId;
use kit_policy::Permission;
use kit_rest::chart::Part;
use kit_rest::face::{Home, RecordRead};
use kit_rest::{Face, Route};
use patients::Patient;
use sqlx::PgPool;
use uuid::Uuid;

/// The face.
pub struct Patients;

impl Face for Patients {
    fn name(&self) -> &'static str {
        "patients"
    }

    fn routes(&self) -> Vec<Route> {
        routes::all()
    }

    fn permissions(&self) -> &'static [Permission] {
        permissions::ALL
    }

    fn reads(&self) -> Permission {
        permissions::READ_PATIENT
    }

    fn chart(&self) -> Option<Part> {
        Some(Part {
            schema: "patients",
            permission: permissions::READ_PATIENT,
            read: |page| Box::pin(reads::of_chart(page)),
        })
    }

    fn problems(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        patients::PROBLEMS
    }

    fn record<'a>(
        &self,
        pool: &'a PgPool,
        unit: &'a UnitId,
        kind: &str,
        id: Uuid,
    ) -> Option<RecordRead<'a>> {
        (kind == Patient::RESOURCE)
            .then(|| Box::pin(patients_store::patient(pool, unit, id)) as RecordRead<'a>)
    }

    fn home<'a>(&self, pool: &'a PgPool, patient: Uuid) -> Option<Home<'a>> {
        Some(Box::pin(patients_store::unit_of_patient(pool, patient)))
    }
}
