//! The routes of units, each with its permission beside its handler.

use kit_rest::Route;
use kit_rest::route::Method::Get;
use kit_rest::route::{Doc, Gives, schema_of};

use crate::handlers::{self, Unit};
use crate::permissions::READ_UNITS;

/// All of them.
pub fn all() -> Vec<Route> {
    vec![
        Route::new(
            Get,
            "/v1/units",
            READ_UNITS,
            handlers::list,
            Doc::new("listUnits", "The caller's units", Gives::Page(schema_of::<Unit>())),
        ),
        Route::new(
            Get,
            "/v1/units/{unit}",
            READ_UNITS,
            handlers::one,
            Doc::new(
                "getUnit",
                "A unit: presence, freshness, time zone",
                Gives::State(schema_of::<Unit>()),
            ),
        ),
    ]
}
