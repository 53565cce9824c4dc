//! Billing at REST: invoices and payments.
//!
//! What is declared here is served by `kit-rest`: the routes, their permissions, the commands and
//! the problems that a unit may answer with. No handler of a command is written here, and nothing
//! here knows how a unit carries one out.

#![deny(clippy::match_wildcard_for_single_variants, clippy::wildcard_enum_match_arm)]

mod commands;
mod permissions;
mod reads;
mod routes;

use billing::Payment;
use kit_event::UnitId;
use kit_policy::Permission;
use kit_rest::chart::Part;
use kit_rest::face::RecordRead;
use kit_rest::{Face, Route};
use sqlx::PgPool;
use uuid::Uuid;

/// The face.
pub struct Billing;

impl Face for Billing {
    fn name(&self) -> &'static str {
        "billing"
    }

    fn routes(&self) -> Vec<Route> {
        routes::all()
    }

    fn permissions(&self) -> &'static [Permission] {
        permissions::ALL
    }

    fn reads(&self) -> Permission {
        permissions::READ_INVOICES
    }

    fn chart(&self) -> Option<Part> {
        Some(Part {
            schema: "billing",
            permission: permissions::READ_INVOICES,
            read: |page| Box::pin(reads::of_chart(page)),
        })
    }

    fn problems(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        billing::PROBLEMS
    }

    fn record<'a>(
        &self,
        pool: &'a PgPool,
        unit: &'a UnitId,
        kind: &str,
        id: Uuid,
    ) -> Option<RecordRead<'a>> {
        (kind == Payment::RESOURCE)
            .then(|| Box::pin(billing_store::payment(pool, unit, id)) as RecordRead<'a>)
    }
}
