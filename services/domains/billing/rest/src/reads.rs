//! Reading invoices and payments.
//!
//! A statement (an invoice with its balance and payments) changes with each of its payments, so its
//! ETag is the number that the read model has reached with the unit, and no single fact's.

use axum::extract::{Path, State};
use axum::response::Response;
use billing_store::InvoiceFilter;
use http::HeaderMap;
use kit_http::{PageQuery, Problem, QueryText};
use kit_rest::chart;
use kit_rest::read::id_of;
use kit_rest::{App, InUnit};
use kit_store::StoreError;
use kit_store::{Fresh, Row};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The schema of the read model.
const SCHEMA: &str = "billing";

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
    scope.confine(&mut filter.patient_id)?;
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
    app.record_of_patient(&scope, &headers, found)
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
    app.record_of_patient(&scope, &headers, found)
}

/// The statement under the number that the read model has reached.
fn of_that_moment(mut found: Fresh<Option<Row>>) -> Fresh<Option<Row>> {
    if let (Some(row), Some(freshness)) = (&mut found.value, found.freshness) {
        row.seq = freshness.seq;
    }
    found
}

/// Invoices of one patient that are added up on the first page of a chart; nobody has as many.
const ADDED_UP_MAX: u32 = 500;

/// What is owed in each currency, on the first page of a chart. An invoice whose balance nobody
/// can say is counted apart.
pub async fn of_chart(page: chart::Page<'_>) -> Result<Option<Map<String, Value>>, StoreError> {
    let filter = InvoiceFilter { patient_id: Some(page.patient), ..InvoiceFilter::default() };
    let found = billing_store::invoices(page.pool, page.unit, &filter, None, ADDED_UP_MAX).await?;
    let more = found.value.next.is_some();
    let mut owed: BTreeMap<String, i128> = BTreeMap::new();
    let mut unknown = 0_u32;
    for row in found.value.items {
        match (row.state["currency"].as_str(), row.state["balance_minor"].as_i64()) {
            (Some(currency), Some(minor)) => {
                *owed.entry(currency.to_owned()).or_default() += i128::from(minor);
            }
            _ => unknown += 1,
        }
    }
    let items: Vec<Value> = owed
        .into_iter()
        .map(|(currency, minor)| {
            json!({"currency": currency, "balance_minor": i64::try_from(minor).ok()})
        })
        .collect();
    let balance = json!({"items": items, "invoices_unknown": unknown, "invoices_more": more});
    Ok(Some(Map::from_iter([("balance".to_owned(), balance)])))
}
