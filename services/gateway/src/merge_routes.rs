//! Merging two registrations of one person, at REST.

use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;
use kit_http::{JsonObject, Problem, QueryText, read_fields};
use patients::{MergePatients, Patient};
use utoipa::PartialSchema;

use crate::caller::InUnit;
use crate::fields::{canonical, refuse_set, set};
use crate::headers::{WriteHeaders, if_match};
use crate::permission::Permission;
use crate::read::id_of;
use crate::route::Method::Post;
use crate::route::{BodyDoc, Doc, Gives, Route, schema_of};
use crate::write::{App, Wish};

/// Where patients are found in a unit.
const COLLECTION: &str = "patients";
/// Fields of the wish to merge that the gateway sets.
pub const MERGE_SET: &[&str] = &["patient_id", "if_match"];

/// The one route.
pub fn routes() -> Vec<Route> {
    let record = Gives::Outcome { record: schema_of::<Patient>(), created: false };
    vec![Route::new(
        Post,
        "/v1/units/{unit}/patients/{id}/merge",
        Permission::WritePatients,
        merge,
        Doc::new("mergePatients", "Merge a registration into another of the same person", record)
            .if_match()
            .body(BodyDoc {
                name: "MergePatients",
                wish: MergePatients::schema(),
                set_by_gateway: MERGE_SET,
                partial: false,
            }),
    )]
}

/// `POST /v1/units/{unit}/patients/{id}/merge`: the registration in the address is merged away.
///
/// # Errors
/// Headers and fields that do not read; the unit's refusal.
pub async fn merge(
    State(app): State<App>,
    scope: InUnit,
    Path((_, patient_id)): Path<(String, String)>,
    headers: HeaderMap,
    query: QueryText,
    JsonObject(mut fields): JsonObject,
) -> Result<Response, Problem> {
    query.finish()?;
    let patient_id = id_of(&patient_id)?;
    scope.caller.must_see_patient(Some(patient_id))?;
    let write = WriteHeaders::read(&headers)?;
    let insists = if_match(&headers)?;
    let id = scope.caller.request_id(&scope.unit, &write.key);
    refuse_set(&fields, MERGE_SET)?;
    set(&mut fields, "patient_id", patient_id);
    if let Some(seq) = insists {
        set(&mut fields, "if_match", seq);
    }
    let wish: MergePatients = read_fields(fields)?;
    let wish = Wish {
        type_name: MergePatients::TYPE,
        version: patients::Command::VERSION,
        body: canonical(&wish)?,
        collection: COLLECTION,
        creates: false,
        not_there: Some("patient-unknown"),
    };
    app.ask(&scope, id, write, wish).await
}
