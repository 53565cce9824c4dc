//! Practitioners and appointments at REST.

use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;
use kit_event::{Timestamp, derived_id};
use kit_http::{JsonObject, PageQuery, Problem, QueryText, read_fields};
use scheduling::{
    Appointment, ArriveAppointment, BookAppointment, CancelAppointment, Command, FulfilAppointment,
    NoshowAppointment, RescheduleAppointment, Status,
};
use scheduling_store::{AppointmentFilter, PractitionerFilter};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::as_of::{self, AsOf, Kind};
use crate::caller::InUnit;
use crate::fields::{canonical, check, refuse_set, set};
use crate::headers::{WriteHeaders, if_match};
use crate::own::{must_be_own, only_own};
use crate::patients_routes::search;
use crate::read::id_of;
use crate::slots::Instanted;
use crate::write::{App, Wish};

/// The schema of the read model.
const SCHEMA: &str = "scheduling";
/// What has a past here.
const APPOINTMENT: Kind = Kind {
    thing: Appointment::THING,
    types: "scheduling.appointment_",
    shown: as_of::shown::<Appointment>,
};
/// Where appointments are found in a unit.
const COLLECTION: &str = "appointments";
/// Fields of the wish to book that the gateway sets.
pub const BOOK_SET: &[&str] = &["appointment_id"];
/// Fields of every wish about a booked appointment that the gateway sets.
pub const CHANGE_SET: &[&str] = &["appointment_id", "if_match"];

/// `GET /v1/units/{unit}/practitioners`.
///
/// # Errors
/// Parameters that do not read; the read model's errors.
pub async fn practitioners(
    State(app): State<App>,
    scope: InUnit,
    headers: HeaderMap,
    mut query: QueryText,
) -> Result<Response, Problem> {
    let page = PageQuery::take(&mut query);
    let filter = PractitionerFilter { specialty: search(&mut query, "specialty") };
    query.finish()?;
    let (unit, after) = (&scope.unit, page.after.as_deref());
    let read = || scheduling_store::practitioners(&app.pool, unit, &filter, after, page.limit);
    let found = app.fresh(unit, SCHEMA, &headers, read).await?;
    Ok(app.records(unit, found))
}

/// `GET /v1/units/{unit}/practitioners/{id}`.
///
/// # Errors
/// 404; the read model's errors.
pub async fn practitioner(
    State(app): State<App>,
    scope: InUnit,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
    query: QueryText,
) -> Result<Response, Problem> {
    query.finish()?;
    let (unit, id) = (&scope.unit, id_of(&id)?);
    let read = || scheduling_store::practitioner(&app.pool, unit, id);
    let found = app.fresh(unit, SCHEMA, &headers, read).await?;
    app.record(unit, &headers, found)
}

/// `GET /v1/units/{unit}/appointments`.
///
/// # Errors
/// Parameters that do not read; the read model's errors.
pub async fn appointments(
    State(app): State<App>,
    scope: InUnit,
    headers: HeaderMap,
    mut query: QueryText,
) -> Result<Response, Problem> {
    let page = PageQuery::take(&mut query);
    let mut filter = AppointmentFilter {
        patient_id: query.take_id("patient_id"),
        practitioner_id: query.take_id("practitioner_id"),
        from: query.take::<Instanted>("from").map(Timestamp::from),
        to: query.take::<Instanted>("to").map(Timestamp::from),
        status: query.take("status"),
    };
    if filter.status.as_deref().is_some_and(|status| Status::parse(status).is_none()) {
        let words: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
        query.refuse("status", format!("is one of {}", words.join(", ")));
    }
    query.finish()?;
    only_own(&scope, &mut filter.patient_id)?;
    let (unit, after) = (&scope.unit, page.after.as_deref());
    let read = || scheduling_store::appointments(&app.pool, unit, &filter, after, page.limit);
    let found = app.fresh(unit, SCHEMA, &headers, read).await?;
    Ok(app.records(unit, found))
}

/// `GET /v1/units/{unit}/appointments/{id}`.
///
/// # Errors
/// 404; the read model's errors.
pub async fn appointment(
    State(app): State<App>,
    scope: InUnit,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
    mut query: QueryText,
) -> Result<Response, Problem> {
    let as_of = query.take::<AsOf>("as_of");
    query.finish()?;
    let (unit, id) = (&scope.unit, id_of(&id)?);
    if let Some(AsOf(moment)) = as_of {
        let which = (&APPOINTMENT, id);
        return app.record_as_of(&scope.caller, unit, which, moment, &headers).await;
    }
    let read = || scheduling_store::appointment(&app.pool, unit, id);
    let found = app.fresh(unit, SCHEMA, &headers, read).await?;
    scope.caller.must_see_patient(found.value.as_ref().and_then(|row| patient_of(&row.state)))?;
    app.record(unit, &headers, found)
}

fn patient_of(state: &Value) -> Option<Uuid> {
    state.get("patient_id")?.as_str()?.parse().ok()
}

/// `POST /v1/units/{unit}/appointments`.
///
/// # Errors
/// Headers and fields that do not read; the unit's refusal.
pub async fn book(
    State(app): State<App>,
    scope: InUnit,
    headers: HeaderMap,
    query: QueryText,
    JsonObject(mut fields): JsonObject,
) -> Result<Response, Problem> {
    query.finish()?;
    let write = WriteHeaders::read(&headers)?;
    let id = scope.caller.request_id(&scope.unit, &write.key);
    refuse_set(&fields, BOOK_SET)?;
    set(&mut fields, "appointment_id", derived_id(&id, "appointment"));
    let wish: BookAppointment = read_fields(fields)?;
    check(Command::Book(wish.clone()).validate())?;
    scope.caller.must_see_patient(Some(wish.patient_id))?;
    let wish = wish_of(BookAppointment::TYPE, &wish, true)?;
    app.ask(&scope, id, write, wish).await
}

macro_rules! changes {
    ($($(#[$doc:meta])* $handler:ident = $wish:ident as $variant:ident;)+) => {
        $($(#[$doc])*
        ///
        /// # Errors
        /// Headers and fields that do not read; the unit's refusal.
        pub async fn $handler(
            State(app): State<App>,
            scope: InUnit,
            Path((_, id)): Path<(String, String)>,
            headers: HeaderMap,
            query: QueryText,
            JsonObject(fields): JsonObject,
        ) -> Result<Response, Problem> {
            query.finish()?;
            let wish: $wish = change(&app, &scope, &id, &headers, fields).await?;
            check(Command::$variant(wish.clone()).validate())?;
            let wish = wish_of($wish::TYPE, &wish, false)?;
            let write = WriteHeaders::read(&headers)?;
            let id = scope.caller.request_id(&scope.unit, &write.key);
            app.ask(&scope, id, write, wish).await
        })+
    };
}
changes! {
    /// `POST /v1/units/{unit}/appointments/{id}/cancel`.
    cancel = CancelAppointment as Cancel;
    /// `POST /v1/units/{unit}/appointments/{id}/reschedule`.
    reschedule = RescheduleAppointment as Reschedule;
    /// `POST /v1/units/{unit}/appointments/{id}/arrive`.
    arrive = ArriveAppointment as Arrive;
    /// `POST /v1/units/{unit}/appointments/{id}/fulfil`.
    fulfil = FulfilAppointment as Fulfil;
    /// `POST /v1/units/{unit}/appointments/{id}/noshow`.
    noshow = NoshowAppointment as Noshow;
}

/// Reads a wish about the appointment `id`, which must be within the caller's reach.
async fn change<W: DeserializeOwned>(
    app: &App,
    scope: &InUnit,
    id: &str,
    headers: &HeaderMap,
    mut fields: Map<String, Value>,
) -> Result<W, Problem> {
    let appointment_id = id_of(id)?;
    WriteHeaders::read(headers)?;
    refuse_set(&fields, CHANGE_SET)?;
    set(&mut fields, "appointment_id", appointment_id);
    if let Some(seq) = if_match(headers)? {
        set(&mut fields, "if_match", seq);
    }
    let wish = read_fields(fields)?;
    must_be_own(app, scope, || async {
        let found = scheduling_store::appointment(&app.pool, &scope.unit, appointment_id).await?;
        Ok(found.value.map(|row| patient_of(&row.state)))
    })
    .await?;
    Ok(wish)
}

fn wish_of(type_name: &'static str, wish: &impl Serialize, creates: bool) -> Result<Wish, Problem> {
    let body = canonical(wish)?;
    let not_there = (!creates).then_some("appointment-unknown");
    let (version, collection) = (Command::VERSION, COLLECTION);
    Ok(Wish { type_name, version, body, collection, creates, not_there })
}
