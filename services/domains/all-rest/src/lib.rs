//! The list of REST faces, as the gateway serves them and the OpenAPI document describes them.
//!
//! A new domain is a line here and a folder beside the others; a law of `tests/tidy` forbids a list
//! anywhere else. It never names a route.

#![deny(clippy::match_wildcard_for_single_variants, clippy::wildcard_enum_match_arm)]

use kit_rest::Face;

/// Every face, in no order that matters.
pub static ALL: [&'static dyn Face; 3] =
    [&patients_rest::Patients, &scheduling_rest::Scheduling, &billing_rest::Billing];

/// The routes of all faces.
pub fn routes() -> Vec<kit_rest::Route> {
    ALL.iter().flat_map(|face| face.routes()).collect()
}
