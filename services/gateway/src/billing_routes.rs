//! Invoices and payments at REST.
//!
//! A statement (an invoice with its balance and payments) changes with each of its payments, so its
//! ETag is the number that the read model has reached with the unit, and no single fact's.

use axum::extract::{Path, State};
use axum::response::Response;
use billing::{Command, Payment, RecordPayment, RefundPayment, Statement};
use billing_store::InvoiceFilter;
use http::HeaderMap;
use kit_event::derived_id;
use kit_http::{JsonObject, PageQuery, Problem, QueryText, read_fields};
use kit_store::{Fresh, Row};
use serde::Serialize;
use serde_json::Value;
use utoipa::PartialSchema;

use crate::caller::InUnit;
use crate::fields::{canonical, check, refuse_set, set};
use crate::headers::WriteHeaders;
use crate::own::only_own;
use crate::permission::Permission;
use crate::read::id_of;
use crate::route::Method::{Get, Post};
use crate::route::{BodyDoc, Doc, Gives, Route, schema_of};
use crate::write::{App, Wish};

/// The schema of the read model.
const SCHEMA: &str = "billing";
/// Where payments are found in a unit.
const COLLECTION: &str = "payments";
/// Fields of the wish to pay that the gateway sets.
pub const PAY_SET: &[&str] = &["payment_id", "patient_id"];
/// Fields of the wish to give back that the gateway sets.
pub const REFUND_SET: &[&str] = &["refund_id", "payment_id"];

/// The routes of invoices and payments, each with its permission beside its handler.
pub fn routes() -> Vec<Route> {
    vec![
        Route::new(
            Get,
            "/v1/units/{unit}/invoices",
            Permission::ReadInvoices,
            invoices,
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
            Permission::ReadInvoices,
            invoice,
            Doc::new(
                "getInvoice",
                "One invoice, its balance and its payments",
                Gives::Record(schema_of::<Statement>()),
            ),
        ),
        Route::new(
            Get,
            "/v1/units/{unit}/payments/{id}",
            Permission::ReadInvoices,
            payment,
            Doc::new("getPayment", "One payment or refund", Gives::Record(schema_of::<Payment>())),
        ),
        Route::new(
            Post,
            "/v1/units/{unit}/payments",
            Permission::Pay,
            pay,
            Doc::new("recordPayment", "Say that an invoice was paid", paid()).body(BodyDoc {
                name: "RecordPayment",
                wish: RecordPayment::schema(),
                set_by_gateway: PAY_SET,
                partial: false,
            }),
        ),
        Route::new(
            Post,
            "/v1/units/{unit}/payments/{id}/refund",
            Permission::Refund,
            refund,
            Doc::new("refundPayment", "A payment was given back", paid()).body(BodyDoc {
                name: "RefundPayment",
                wish: RefundPayment::schema(),
                set_by_gateway: REFUND_SET,
                partial: true,
            }),
        ),
    ]
}

fn paid() -> Gives {
    Gives::Outcome { record: schema_of::<Payment>(), created: true }
}

/// `GET /v1/units/{unit}/invoices`.
///
/// # Errors
/// Parameters that do not read; the read model's errors.
pub async fn invoices(
    State(app): State<App>,
    scope: InUnit,
    headers: HeaderMap,
    mut query: QueryText,
) -> Result<Response, Problem> {
    let page = PageQuery::take(&mut query);
    let mut filter = InvoiceFilter {
        patient_id: query.take_id("patient_id"),
        appointment_id: query.take_id("appointment_id"),
    };
    query.finish()?;
    only_own(&scope, &mut filter.patient_id)?;
    let (unit, after) = (&scope.unit, page.after.as_deref());
    let read = || billing_store::invoices(&app.pool, unit, &filter, after, page.limit);
    let found = app.fresh(unit, SCHEMA, &headers, read).await?;
    Ok(app.records(unit, found))
}

/// `GET /v1/units/{unit}/invoices/{id}`: with its balance and payments.
///
/// # Errors
/// 404; the read model's errors.
pub async fn invoice(
    State(app): State<App>,
    scope: InUnit,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
    query: QueryText,
) -> Result<Response, Problem> {
    query.finish()?;
    let (unit, id) = (&scope.unit, id_of(&id)?);
    let read = || billing_store::statement(&app.pool, unit, id);
    let found = of_that_moment(app.fresh(unit, SCHEMA, &headers, read).await?);
    must_see(&scope, &found)?;
    app.record(unit, &headers, found)
}

/// `GET /v1/units/{unit}/payments/{id}`.
///
/// # Errors
/// 404; the read model's errors.
pub async fn payment(
    State(app): State<App>,
    scope: InUnit,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
    query: QueryText,
) -> Result<Response, Problem> {
    query.finish()?;
    let (unit, id) = (&scope.unit, id_of(&id)?);
    let read = || billing_store::payment(&app.pool, unit, id);
    let found = app.fresh(unit, SCHEMA, &headers, read).await?;
    must_see(&scope, &found)?;
    app.record(unit, &headers, found)
}

/// The statement under the number that the read model has reached.
fn of_that_moment(mut found: Fresh<Option<Row>>) -> Fresh<Option<Row>> {
    if let (Some(row), Some(freshness)) = (&mut found.value, found.freshness) {
        row.seq = freshness.seq;
    }
    found
}

fn must_see(scope: &InUnit, found: &Fresh<Option<Row>>) -> Result<(), Problem> {
    let patient = |row: &Row| row.state.get("patient_id")?.as_str()?.parse().ok();
    scope.caller.must_see_patient(found.value.as_ref().and_then(patient))
}

/// `POST /v1/units/{unit}/payments`.
///
/// # Errors
/// Headers and fields that do not read; the unit's refusal.
pub async fn pay(
    State(app): State<App>,
    scope: InUnit,
    headers: HeaderMap,
    query: QueryText,
    JsonObject(mut fields): JsonObject,
) -> Result<Response, Problem> {
    query.finish()?;
    let write = WriteHeaders::read(&headers)?;
    let id = scope.caller.request_id(&scope.unit, &write.key);
    refuse_set(&fields, PAY_SET)?;
    set(&mut fields, "payment_id", derived_id(&id, "payment"));
    let wish: RecordPayment = read_fields(fields)?;
    check(Command::Record(wish.clone()).validate())?;
    let wish = wish_of(RecordPayment::TYPE, &wish, None)?;
    app.ask(&scope, id, write, wish).await
}

/// `POST /v1/units/{unit}/payments/{id}/refund`.
///
/// # Errors
/// Headers and fields that do not read; the unit's refusal.
pub async fn refund(
    State(app): State<App>,
    scope: InUnit,
    Path((_, payment_id)): Path<(String, String)>,
    headers: HeaderMap,
    query: QueryText,
    JsonObject(mut fields): JsonObject,
) -> Result<Response, Problem> {
    query.finish()?;
    let payment_id = id_of(&payment_id)?;
    let write = WriteHeaders::read(&headers)?;
    let id = scope.caller.request_id(&scope.unit, &write.key);
    refuse_set(&fields, REFUND_SET)?;
    set(&mut fields, "refund_id", derived_id(&id, "payment"));
    set(&mut fields, "payment_id", payment_id);
    let wish: RefundPayment = read_fields(fields)?;
    check(Command::Refund(wish.clone()).validate())?;
    let wish = wish_of(RefundPayment::TYPE, &wish, Some("payment-unknown"))?;
    app.ask(&scope, id, write, wish).await
}

fn wish_of(
    type_name: &'static str,
    wish: &impl Serialize,
    not_there: Option<&'static str>,
) -> Result<Wish, Problem> {
    let body: Value = canonical(wish)?;
    let (version, collection) = (Command::VERSION, COLLECTION);
    Ok(Wish { type_name, version, body, collection, creates: true, not_there })
}
