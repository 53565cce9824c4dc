//! The list of all routes, and the router made of it.

use axum::Router;
use axum::middleware;
use patients::Patient;
use scheduling::{Appointment, Practitioner, Slot};
use utoipa::PartialSchema;

use crate::billing_routes as billing_at;
use crate::caller::{Guard, guard};
use crate::events::{self, Event};
use crate::merge_routes as merge_at;
use crate::openapi;
use crate::patients_routes as patients_at;
use crate::permission::Permission;
use crate::problems;
use crate::requests_routes as requests_at;
use crate::route::Method::{Delete, Get, Patch, Post};
use crate::route::{BodyDoc, Doc, Gives, Route, schema_of};
use crate::scheduling_routes as scheduling_at;
use crate::slots;
use crate::tracked::TrackedRequest;
use crate::units_routes::{self as units_at, Unit};
use crate::write::App;

/// Every route of the gateway.
pub fn routes() -> Vec<Route> {
    [
        patients(),
        merge_at::routes(),
        practitioners(),
        appointments(),
        visits(),
        billing_at::routes(),
        requests(),
        network(),
        timeline(),
        pages(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The router: each route behind its guard, everything dressed.
pub fn router(app: App) -> Router {
    let mut router = Router::new();
    for route in routes() {
        let guarded = Guard { gateway: app.clone(), permission: route.permission };
        let handler = route.handler.route_layer(middleware::from_fn_with_state(guarded, guard));
        router = router.route(route.path, handler);
    }
    kit_http::dress(router.with_state(app))
}

fn patients() -> Vec<Route> {
    vec![
        Route::new(
            Get,
            "/v1/units/{unit}/patients",
            Permission::ListPatients,
            patients_at::list,
            Doc::new("listPatients", "Patients of a unit", Gives::Page(schema_of::<Patient>()))
                .query("name", "search", "Begins a word of the name; without case and accents.")
                .query("birth_date", "date", "Born on that day.")
                .query("mrn", "search", "The unit's own number for the patient, exactly."),
        ),
        Route::new(
            Post,
            "/v1/units/{unit}/patients",
            Permission::WritePatients,
            patients_at::register,
            Doc::new("registerPatient", "Register a patient", outcome::<Patient>(true)).body(
                BodyDoc {
                    name: "RegisterPatient",
                    wish: patients::RegisterPatient::schema(),
                    set_by_gateway: patients_at::REGISTER_SET,
                    partial: false,
                },
            ),
        ),
        Route::new(
            Get,
            "/v1/units/{unit}/patients/{id}",
            Permission::ReadPatient,
            patients_at::one,
            Doc::new("getPatient", "One patient", Gives::Record(schema_of::<Patient>()))
                .query("as_of", "moment", AS_OF_SAYS),
        ),
        Route::new(
            Patch,
            "/v1/units/{unit}/patients/{id}",
            Permission::WritePatients,
            patients_at::amend,
            Doc::new("amendPatient", "Change the fields that are named", outcome::<Patient>(false))
                .if_match()
                .body(BodyDoc {
                    name: "AmendPatient",
                    wish: patients::UpdatePatient::schema(),
                    set_by_gateway: patients_at::UPDATE_SET,
                    partial: true,
                }),
        ),
        Route::new(
            Get,
            "/v1/patients/{id}",
            Permission::ReadPatient,
            patients_at::anywhere,
            Doc::new(
                "findPatient",
                "One patient, wherever it is registered",
                Gives::Record(schema_of::<Patient>()),
            )
            .query("as_of", "moment", AS_OF_SAYS),
        ),
    ]
}

fn practitioners() -> Vec<Route> {
    vec![
        Route::new(
            Get,
            "/v1/units/{unit}/practitioners",
            Permission::ReadPractitioners,
            scheduling_at::practitioners,
            Doc::new(
                "listPractitioners",
                "Practitioners of a unit",
                Gives::Page(schema_of::<Practitioner>()),
            )
            .query("specialty", "search", "As the unit writes it."),
        ),
        Route::new(
            Get,
            "/v1/units/{unit}/practitioners/{id}",
            Permission::ReadPractitioners,
            scheduling_at::practitioner,
            Doc::new("getPractitioner", "One practitioner", record::<Practitioner>()),
        ),
        Route::new(
            Get,
            "/v1/units/{unit}/slots",
            Permission::AskSlots,
            slots::free,
            Doc::new(
                "listFreeSlots",
                "Free slots of a practitioner, asked of the unit itself",
                Gives::Live(schema_of::<Slot>()),
            )
            .required("practitioner_id", "uuid", "Whose slots.")
            .required("from", "date-time", "Slots that begin at this instant or later.")
            .required("to", "date-time", "Slots that begin before this instant."),
        ),
    ]
}

fn appointments() -> Vec<Route> {
    vec![
        Route::new(
            Get,
            "/v1/units/{unit}/appointments",
            Permission::ReadAppointments,
            scheduling_at::appointments,
            Doc::new(
                "listAppointments",
                "Appointments of a unit",
                Gives::Page(schema_of::<Appointment>()),
            )
            .query("patient_id", "uuid", "Of this patient.")
            .query("practitioner_id", "uuid", "With this practitioner.")
            .query("from", "date-time", "Beginning at this instant or later.")
            .query("to", "date-time", "Beginning before this instant.")
            .query("status", APPOINTMENT_STATES, "Only those in this status."),
        ),
        Route::new(
            Post,
            "/v1/units/{unit}/appointments",
            Permission::BookAppointments,
            scheduling_at::book,
            Doc::new("bookAppointment", "Book an appointment", outcome::<Appointment>(true)).body(
                BodyDoc {
                    name: "BookAppointment",
                    wish: scheduling::BookAppointment::schema(),
                    set_by_gateway: scheduling_at::BOOK_SET,
                    partial: false,
                },
            ),
        ),
        Route::new(
            Get,
            "/v1/units/{unit}/appointments/{id}",
            Permission::ReadAppointments,
            scheduling_at::appointment,
            Doc::new("getAppointment", "One appointment", record::<Appointment>())
                .query("as_of", "moment", AS_OF_SAYS),
        ),
        Route::new(
            Post,
            "/v1/units/{unit}/appointments/{id}/cancel",
            Permission::BookAppointments,
            scheduling_at::cancel,
            moves("cancelAppointment", "Cancel an appointment").body(BodyDoc {
                name: "CancelAppointment",
                wish: scheduling::CancelAppointment::schema(),
                set_by_gateway: scheduling_at::CHANGE_SET,
                partial: true,
            }),
        ),
        Route::new(
            Post,
            "/v1/units/{unit}/appointments/{id}/reschedule",
            Permission::BookAppointments,
            scheduling_at::reschedule,
            moves("rescheduleAppointment", "Move an appointment").body(BodyDoc {
                name: "RescheduleAppointment",
                wish: scheduling::RescheduleAppointment::schema(),
                set_by_gateway: scheduling_at::CHANGE_SET,
                partial: false,
            }),
        ),
    ]
}

fn visits() -> Vec<Route> {
    vec![
        Route::new(
            Post,
            "/v1/units/{unit}/appointments/{id}/arrive",
            Permission::ConductVisits,
            scheduling_at::arrive,
            moves("arriveAppointment", "The patient has come"),
        ),
        Route::new(
            Post,
            "/v1/units/{unit}/appointments/{id}/fulfil",
            Permission::ConductVisits,
            scheduling_at::fulfil,
            moves("fulfilAppointment", "The visit has taken place"),
        ),
        Route::new(
            Post,
            "/v1/units/{unit}/appointments/{id}/noshow",
            Permission::ConductVisits,
            scheduling_at::noshow,
            moves("noshowAppointment", "The patient has not come"),
        ),
    ]
}

fn requests() -> Vec<Route> {
    let tracked = || Gives::Tracked(schema_of::<TrackedRequest>());
    vec![
        Route::new(
            Get,
            "/v1/requests/{id}",
            Permission::ReadRequests,
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
            Permission::CancelRequests,
            requests_at::cancel,
            Doc::new("cancelRequest", "Cancel a request that waits for its unit", tracked()),
        ),
        Route::new(
            Get,
            "/v1/units/{unit}/requests",
            Permission::ReadRequests,
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
            Permission::ReadUnits,
            units_at::list,
            Doc::new("listUnits", "The caller's units", Gives::Page(schema_of::<Unit>())),
        ),
        Route::new(
            Get,
            "/v1/units/{unit}",
            Permission::ReadUnits,
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
            Permission::ReadEvents,
            events::of_unit,
            events_doc("listEvents", "The unit's numbered facts, of any type"),
        ),
        Route::new(
            Get,
            "/v1/patients/{id}/events",
            Permission::ReadPatientEvents,
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
            Permission::Public,
            problems::page,
            Doc::new("getProblem", "What a problem means", document("text/html")),
        ),
        Route::new(
            Get,
            "/openapi.json",
            Permission::Public,
            openapi::document,
            Doc::new("getOpenApi", "This document", document("application/json")),
        ),
    ]
}

const APPOINTMENT_STATES: &str = "booked|arrived|fulfilled|cancelled|noshow";
const REQUEST_STATES: &str = "accepted|delivered|overdue|done|rejected|expired|cancelled|undone";
const AS_OF_SAYS: &str = "What it said then: right after a fact, E-S, or at an RFC 3339 time; \
     `Arteria-Record-Seq` and `Arteria-Record-Time` say when it had last been spoken of.";

fn events_doc(id: &'static str, summary: &'static str) -> Doc {
    Doc::new(id, summary, Gives::Page(schema_of::<Event>()))
        .query("after", "seq", "Only facts after this number, E-S.")
        .query("type", "texts", "Only this type; may stand several times.")
        .streams()
}

fn record<T: utoipa::ToSchema>() -> Gives {
    Gives::Record(schema_of::<T>())
}

fn outcome<T: utoipa::ToSchema>(created: bool) -> Gives {
    Gives::Outcome { record: schema_of::<T>(), created }
}

fn moves(id: &'static str, summary: &'static str) -> Doc {
    Doc::new(id, summary, outcome::<Appointment>(false)).if_match()
}
