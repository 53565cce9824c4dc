//! What facts of the network itself ask of who wants to see them: those of requests, and those of
//! units.

use kit_policy::Permission;
use kit_rest::facts::FactAccess;
use kit_rest::{Face, Route};
use serde_json::Value;

use crate::permissions::{READ_REQUESTS, READ_UNITS};

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

/// Facts about requests.
struct Requests;

impl Face for Requests {
    fn name(&self) -> &'static str {
        "requests"
    }

    fn routes(&self) -> Vec<Route> {
        Vec::new()
    }

    fn permissions(&self) -> &'static [Permission] {
        &[]
    }

    fn reads(&self) -> Permission {
        READ_REQUESTS
    }

    fn shown(&self, mut body: Value) -> Value {
        if let Some(fields) = body.as_object_mut().filter(|it| it.contains_key("request_id")) {
            fields.retain(|name, _| OUTCOME_FIELDS.contains(&name.as_str()));
        }
        body
    }

    fn problems(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        &[]
    }
}

/// Facts about units.
struct Units;

impl Face for Units {
    fn name(&self) -> &'static str {
        "units"
    }

    fn routes(&self) -> Vec<Route> {
        Vec::new()
    }

    fn permissions(&self) -> &'static [Permission] {
        &[]
    }

    fn reads(&self) -> Permission {
        READ_UNITS
    }

    fn problems(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        &[]
    }
}

/// Which facts a caller may see.
pub fn fact_access() -> FactAccess {
    let own: [&'static dyn Face; 2] = [&Requests, &Units];
    FactAccess::of(all_rest::ALL.iter().copied().chain(own))
}
