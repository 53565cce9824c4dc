//! Tracked requests at REST: shown, awaited, listed, cancelled.
//!
//! What is declared here is served by `kit-rest`. Requests are how every unit is asked, whatever
//! the domain, so the crate also answers for their read model to `kit-request` ([`PgBook`]); it
//! never knows what a request asks.

#![deny(clippy::match_wildcard_for_single_variants, clippy::wildcard_enum_match_arm)]

mod book;
mod cancel;
mod handlers;
mod permissions;
mod routes;

use kit_policy::Permission;
use kit_rest::{Face, Route};
use serde_json::Value;

pub use book::PgBook;

/// What the outcome of a request shows among events. The record is a fact of its own and goes by
/// its own permission; who asked, the hash of what was asked and the place in the log are nobody's.
const OUTCOME_FIELDS: [&str; 13] = [
    "request_id",
    "type",
    "state",
    "reason",
    "title",
    "detail",
    "record_thing",
    "record_id",
    "patient_id",
    "accepted_at",
    "expires_at",
    "delivery",
    "decided_at",
];

/// The face.
pub struct Requests;

impl Face for Requests {
    fn name(&self) -> &'static str {
        "requests"
    }

    fn routes(&self) -> Vec<Route> {
        routes::all()
    }

    fn permissions(&self) -> &'static [Permission] {
        permissions::ALL
    }

    fn reads(&self) -> Permission {
        permissions::READ_REQUESTS
    }

    fn shown(&self, mut body: Value) -> Value {
        if let Some(fields) = body.as_object_mut().filter(|it| it.contains_key("request_id")) {
            fields.retain(|name, _| OUTCOME_FIELDS.contains(&name.as_str()));
        }
        body
    }

    fn problems(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        requests::PROBLEMS
    }
}
