//! The list of all routes, and the router made of it.

use std::sync::Arc;

use axum::{Extension, Router, middleware};
use kit_policy::Permission;
use kit_rest::Route;
use kit_rest::guard::{Guard, guard};
use kit_rest::route::Method::Get;
use kit_rest::route::{Doc, Gives, schema_of};

use crate::Gateway;
use crate::event::Event;
use crate::events;
use crate::openapi::{self, Document};
use crate::permissions::{READ_EVENTS, READ_PATIENT_EVENTS};
use crate::problems;

/// Every route of the gateway.
#[must_use]
pub fn routes() -> Vec<Route> {
    [all_rest::routes(), timeline(), pages()].into_iter().flatten().collect()
}

/// The OpenAPI document, for `arteria schemas write`.
#[must_use]
pub fn openapi() -> String {
    openapi::describe(routes())
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
    kit_http::dress(
        router.layer(Extension(gateway)).layer(Extension(Document(openapi))).with_state(rest),
    )
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

fn events_doc(id: &'static str, summary: &'static str) -> Doc {
    Doc::new(id, summary, Gives::Page(schema_of::<Event>()))
        .query("after", "seq", "Only facts after this number, E-S.")
        .query("type", "texts", "Only this type; may stand several times.")
        .streams()
}
