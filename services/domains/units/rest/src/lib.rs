//! Units at REST: the registry, presence, freshness.
//!
//! What is declared here is served by `kit-rest`. The crate never knows how presence is heard of.

#![deny(clippy::match_wildcard_for_single_variants, clippy::wildcard_enum_match_arm)]

pub mod handlers;
mod permissions;
mod routes;

use kit_event::UnitId;
use kit_policy::Permission;
use kit_rest::face::Registered;
use kit_rest::{Face, Route};
use sqlx::PgPool;

/// The face.
pub struct Units;

impl Face for Units {
    fn name(&self) -> &'static str {
        "units"
    }

    fn routes(&self) -> Vec<Route> {
        routes::all()
    }

    fn permissions(&self) -> &'static [Permission] {
        permissions::ALL
    }

    fn reads(&self) -> Permission {
        permissions::READ_UNITS
    }

    fn problems(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        &[]
    }

    fn registered<'a>(&self, pool: &'a PgPool, unit: &'a UnitId) -> Option<Registered<'a>> {
        Some(Box::pin(async move { Ok(units_store::unit(pool, unit).await?.is_some()) }))
    }
}
