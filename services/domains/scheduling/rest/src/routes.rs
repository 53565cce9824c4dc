//! The routes of scheduling, each with its permission beside its handler.

use kit_rest::Route;
use kit_rest::as_of::SAYS as AS_OF_SAYS;
use kit_rest::route::Method::{Get, Post};
use kit_rest::route::{BodyDoc, Doc, Gives, outcome, record, schema_of};
use scheduling::{Appointment, Practitioner, Slot};
use utoipa::PartialSchema;

use crate::permissions::{
    ASK_SLOTS, BOOK_APPOINTMENTS, CONDUCT_VISITS, READ_APPOINTMENTS, READ_PRACTITIONERS,
};
use crate::{commands, reads, slots};

const APPOINTMENT_STATES: &str = "booked|arrived|fulfilled|cancelled|noshow";

/// All of them.
pub fn all() -> Vec<Route> {
    [practitioners(), appointments(), visits()].into_iter().flatten().collect()
}

fn practitioners() -> Vec<Route> {
    vec![
        Route::new(
            Get,
            "/v1/units/{unit}/practitioners",
            READ_PRACTITIONERS,
            reads::practitioners,
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
            READ_PRACTITIONERS,
            reads::practitioner,
            Doc::new("getPractitioner", "One practitioner", record::<Practitioner>()),
        ),
        Route::new(
            Get,
            "/v1/units/{unit}/slots",
            ASK_SLOTS,
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
            READ_APPOINTMENTS,
            reads::appointments,
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
        Route::command(
            Post,
            "/v1/units/{unit}/appointments",
            BOOK_APPOINTMENTS,
            &commands::BOOK,
            Doc::new("bookAppointment", "Book an appointment", outcome::<Appointment>(true)).body(
                BodyDoc {
                    name: "BookAppointment",
                    command: scheduling::BookAppointment::schema(),
                    set_by_server: commands::BOOK_SET,
                    partial: false,
                },
            ),
        ),
        Route::new(
            Get,
            "/v1/units/{unit}/appointments/{id}",
            READ_APPOINTMENTS,
            reads::appointment,
            Doc::new("getAppointment", "One appointment", record::<Appointment>())
                .query("as_of", "moment", AS_OF_SAYS),
        ),
        Route::command(
            Post,
            "/v1/units/{unit}/appointments/{id}/cancel",
            BOOK_APPOINTMENTS,
            &commands::CANCEL,
            moves("cancelAppointment", "Cancel an appointment").body(BodyDoc {
                name: "CancelAppointment",
                command: scheduling::CancelAppointment::schema(),
                set_by_server: commands::CHANGE_SET,
                partial: true,
            }),
        ),
        Route::command(
            Post,
            "/v1/units/{unit}/appointments/{id}/reschedule",
            BOOK_APPOINTMENTS,
            &commands::RESCHEDULE,
            moves("rescheduleAppointment", "Move an appointment").body(BodyDoc {
                name: "RescheduleAppointment",
                command: scheduling::RescheduleAppointment::schema(),
                set_by_server: commands::CHANGE_SET,
                partial: false,
            }),
        ),
    ]
}

fn visits() -> Vec<Route> {
    vec![
        Route::command(
            Post,
            "/v1/units/{unit}/appointments/{id}/arrive",
            CONDUCT_VISITS,
            &commands::ARRIVE,
            moves("arriveAppointment", "The patient has come"),
        ),
        Route::command(
            Post,
            "/v1/units/{unit}/appointments/{id}/fulfil",
            CONDUCT_VISITS,
            &commands::FULFIL,
            moves("fulfilAppointment", "The visit has taken place"),
        ),
        Route::command(
            Post,
            "/v1/units/{unit}/appointments/{id}/noshow",
            CONDUCT_VISITS,
            &commands::NOSHOW,
            moves("noshowAppointment", "The patient has not come"),
        ),
    ]
}

fn moves(id: &'static str, summary: &'static str) -> Doc {
    Doc::new(id, summary, outcome::<Appointment>(false)).if_match()
}
