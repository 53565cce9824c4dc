//! The routes of tracked requests, each with its permission beside its handler.

use kit_request::tracked::TrackedRequest;
use kit_rest::Route;
use kit_rest::route::Method::{Delete, Get};
use kit_rest::route::{Doc, Gives, schema_of};

use crate::permissions::{CANCEL_REQUESTS, READ_REQUESTS};
use crate::{cancel, handlers};

const REQUEST_STATES: &str = "accepted|delivered|overdue|done|rejected|expired|cancelled|undone";

/// All of them.
pub fn all() -> Vec<Route> {
    let tracked = || Gives::Tracked(schema_of::<TrackedRequest>());
    vec![
        Route::new(
            Get,
            "/v1/requests/{id}",
            READ_REQUESTS,
            handlers::one,
            Doc::new(
                "getRequest",
                "A tracked request; `Prefer: wait=N` waits for its end",
                tracked(),
            ),
        ),
        Route::new(
            Delete,
            "/v1/requests/{id}",
            CANCEL_REQUESTS,
            cancel::cancel,
            Doc::new("cancelRequest", "Cancel a request that waits for its unit", tracked()),
        ),
        Route::new(
            Get,
            "/v1/units/{unit}/requests",
            READ_REQUESTS,
            handlers::list,
            Doc::new(
                "listRequests",
                "Requests to a unit, the newest first",
                Gives::Page(schema_of::<TrackedRequest>()),
            )
            .query("state", REQUEST_STATES, "Only those in this state."),
        ),
    ]
}
