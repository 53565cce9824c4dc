//! Scheduling at REST: practitioners, free slots, appointments.
//!
//! What is declared here is served by `kit-rest`: the routes, their permissions, the commands and
//! the problems that a unit may answer with. No handler of a command is written here, and nothing
//! here knows how a unit carries one out.

#![deny(clippy::match_wildcard_for_single_variants, clippy::wildcard_enum_match_arm)]

mod commands;
mod permissions;
mod reads;
mod routes;
mod slots;

use kit_event::UnitId;
use kit_policy::Permission;
use kit_rest::chart::Part;
use kit_rest::face::RecordRead;
use kit_rest::{Face, Route};
use scheduling::Appointment;
use sqlx::PgPool;
use uuid::Uuid;

/// The face.
pub struct Scheduling;

impl Face for Scheduling {
    fn name(&self) -> &'static str {
        "scheduling"
    }

    fn routes(&self) -> Vec<Route> {
        routes::all()
    }

    fn permissions(&self) -> &'static [Permission] {
        permissions::ALL
    }

    fn reads(&self) -> Permission {
        permissions::READ_APPOINTMENTS
    }

    fn reads_apart(&self) -> &'static [(&'static str, Permission)] {
        &[
            ("scheduling.practitioner_", permissions::READ_PRACTITIONERS),
            ("scheduling.working_hours_", permissions::READ_PRACTITIONERS),
        ]
    }

    fn chart(&self) -> Option<Part> {
        Some(Part {
            schema: "scheduling",
            permission: permissions::READ_APPOINTMENTS,
            read: |page| Box::pin(reads::of_chart(page)),
        })
    }

    fn problems(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        scheduling::PROBLEMS
    }

    fn record<'a>(
        &self,
        pool: &'a PgPool,
        unit: &'a UnitId,
        kind: &str,
        id: Uuid,
    ) -> Option<RecordRead<'a>> {
        (kind == Appointment::RESOURCE)
            .then(|| Box::pin(scheduling_store::appointment(pool, unit, id)) as RecordRead<'a>)
    }
}
