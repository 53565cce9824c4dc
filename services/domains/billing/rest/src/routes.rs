//! The routes of billing, each with its permission beside its handler.

use billing::{Payment, RecordPayment, RefundPayment, Statement};
use kit_rest::Route;
use kit_rest::route::Method::{Get, Post};
use kit_rest::route::{BodyDoc, Doc, Gives, schema_of};
use utoipa::PartialSchema;

use crate::permissions::{PAY, READ_INVOICES, REFUND};
use crate::{commands, reads};

/// All of them.
pub fn all() -> Vec<Route> {
    vec![
        Route::new(
            Get,
            "/v1/units/{unit}/invoices",
            READ_INVOICES,
            reads::invoices,
            Doc::new(
                "listInvoices",
                "Invoices of a unit with their balances, the newest first",
                Gives::Page(schema_of::<Statement>()),
            )
            .query("patient_id", "uuid", "Of this patient.")
            .query("appointment_id", "uuid", "For this appointment."),
        ),
        Route::new(
            Get,
            "/v1/units/{unit}/invoices/{id}",
            READ_INVOICES,
            reads::invoice,
            Doc::new(
                "getInvoice",
                "One invoice, its balance and its payments",
                Gives::Record(schema_of::<Statement>()),
            ),
        ),
        Route::new(
            Get,
            "/v1/units/{unit}/payments/{id}",
            READ_INVOICES,
            reads::payment,
            Doc::new("getPayment", "One payment or refund", Gives::Record(schema_of::<Payment>())),
        ),
        Route::command(
            Post,
            "/v1/units/{unit}/payments",
            PAY,
            &commands::PAY,
            Doc::new("recordPayment", "Say that an invoice was paid", paid()).body(BodyDoc {
                name: "RecordPayment",
                command: RecordPayment::schema(),
                set_by_server: commands::PAY_SET,
                partial: false,
            }),
        ),
        Route::command(
            Post,
            "/v1/units/{unit}/payments/{id}/refund",
            REFUND,
            &commands::REFUND,
            Doc::new("refundPayment", "A payment was given back", paid()).body(BodyDoc {
                name: "RefundPayment",
                command: RefundPayment::schema(),
                set_by_server: commands::REFUND_SET,
                partial: true,
            }),
        ),
    ]
}

fn paid() -> Gives {
    Gives::Outcome { record: schema_of::<Payment>(), created: true }
}
