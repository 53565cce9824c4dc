//! The list of REST faces, as the gateway serves them and the OpenAPI document describes them.
//!
//! A new domain is a line here and a folder beside the others; a law of `tests/tidy` forbids a list
//! anywhere else. It never names a route.

#![deny(clippy::match_wildcard_for_single_variants, clippy::wildcard_enum_match_arm)]

use std::sync::Arc;

use kit_request::ports::RequestBook;
use kit_rest::Face;
use sqlx::PgPool;

/// Every face, in no order that matters.
pub static ALL: [&'static dyn Face; 6] = [
    &patients_rest::Patients,
    &scheduling_rest::Scheduling,
    &billing_rest::Billing,
    &records_rest::MedicalRecords,
    &requests_rest::Requests,
    &units_rest::Units,
];

/// The routes of all faces.
pub fn routes() -> Vec<kit_rest::Route> {
    ALL.iter().flat_map(|face| face.routes()).collect()
}

/// The read model of requests, by which every unit is asked.
#[must_use]
pub fn book(pool: &PgPool) -> Arc<dyn RequestBook> {
    Arc::new(requests_rest::PgBook(pool.clone()))
}
