//! The list of all routes, and the router made of it.

use std::sync::Arc;

use axum::{Extension, Router, middleware};
use kit_policy::Permission;
use kit_request::tracked::TrackedRequest;
use kit_rest::Route;
use kit_rest::guard::{Guard, guard};
use kit_rest::route::Method::{Delete, Get};
use kit_rest::route::{Doc, Gives, schema_of};

use crate::Gateway;
use crate::events::{self, Event};
use crate::permissions::{
    CANCEL_REQUESTS, READ_EVENTS, READ_PATIENT_EVENTS, READ_REQUESTS, READ_UNITS,
};
use crate::units_routes::{self as units_at, Unit};
use crate::{openapi, problems, requests_routes as requests_at};

/// Every route of the gateway.
#[must_use]
pub fn routes() -> Vec<Route> {
    [all_rest::routes(), requests(), network(), timeline(), pages()].into_iter().flatten().collect()
}

/// The router: each route behind its guard, everything dressed.
pub fn router(gateway: Arc<Gateway>) -> Router {
    let rest = gateway.rest.clone();
    let mut router = Router::new();
    for route in routes() {
        let guarded = Guard { rest: rest.clone(), permission: route.permission };
        let handler = route.handler.route_layer(middleware::from_fn_with_state(guarded, guard));
        router = router.route(route.path, handler);
    }
    kit_http::dress(router.layer(Extension(gateway)).with_state(rest))
}

fn requests() -> Vec<Route> {
    let tracked = || Gives::Tracked(schema_of::<TrackedRequest>());
    vec![
        Route::new(
            Get,
            "/v1/requests/{id}",
            READ_REQUESTS,
            requests_at::one,
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
            requests_at::cancel,
            Doc::new("cancelRequest", "Cancel a request that waits for its unit", tracked()),
        ),
        Route::new(
            Get,
            "/v1/units/{unit}/requests",
            READ_REQUESTS,
            requests_at::list,
            Doc::new(
                "listRequests",
                "Requests to a unit, the newest first",
                Gives::Page(schema_of::<TrackedRequest>()),
            )
            .query("state", REQUEST_STATES, "Only those in this state."),
        ),
    ]
}

fn network() -> Vec<Route> {
    vec![
        Route::new(
            Get,
            "/v1/units",
            READ_UNITS,
            units_at::list,
            Doc::new("listUnits", "The caller's units", Gives::Page(schema_of::<Unit>())),
        ),
        Route::new(
            Get,
            "/v1/units/{unit}",
            READ_UNITS,
            units_at::one,
            Doc::new(
                "getUnit",
                "A unit: presence, freshness, time zone",
                Gives::State(schema_of::<Unit>()),
            ),
        ),
    ]
}

fn timeline() -> Vec<Route> {
    vec![
        Route::new(
            Get,
            "/v1/units/{unit}/events",
            READ_EVENTS,
            events::of_unit,
            events_doc(
                "listEvents",
                "The unit's numbered facts, of every type that the caller may read",
            ),
        ),
        Route::new(
            Get,
            "/v1/patients/{id}/events",
            READ_PATIENT_EVENTS,
            events::of_patient,
            events_doc(
                "listPatientEvents",
                "The facts that tell a patient something: those that concern it, and those that \
                 speak of its requests. As a stream also, without an `id`, `request_overdue` (the \
                 tracked request) when a deadline passes without the unit's word",
            ),
        ),
    ]
}

fn pages() -> Vec<Route> {
    let document = |media_type| Gives::Document { media_type };
    vec![
        Route::new(
            Get,
            "/problems/{name}",
            Permission::PUBLIC,
            problems::page,
            Doc::new("getProblem", "What a problem means", document("text/html")),
        ),
        Route::new(
            Get,
            "/openapi.json",
            Permission::PUBLIC,
            openapi::document,
            Doc::new("getOpenApi", "This document", document("application/json")),
        ),
    ]
}

const REQUEST_STATES: &str = "accepted|delivered|overdue|done|rejected|expired|cancelled|undone";

fn events_doc(id: &'static str, summary: &'static str) -> Doc {
    Doc::new(id, summary, Gives::Page(schema_of::<Event>()))
        .query("after", "seq", "Only facts after this number, E-S.")
        .query("type", "texts", "Only this type; may stand several times.")
        .streams()
}
