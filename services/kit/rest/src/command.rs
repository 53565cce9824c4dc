//! The one handler of every command, driven by what the command's domain declares.

use axum::Extension;
use axum::extract::{RawPathParams, State};
use axum::response::Response;
use http::HeaderMap;
use kit_event::{FieldProblem, RequestId, derived_id};
use kit_http::problem::{INVALID_FIELDS, NOT_FOUND};
use kit_http::{JsonObject, Problem, QueryText, read_fields};
use kit_request::Command;
use kit_request::ports::Later;
use kit_store::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sqlx::PgPool;
use uuid::Uuid;

use crate::fields::{canonical, check, refuse_set, set};
use crate::guard::InUnit;
use crate::headers::{WriteHeaders, if_match};
use crate::own::authorize_record;
use crate::read::id_of;
use crate::{App, Rest};

/// Fields of a body on their way to a command.
pub type Fields = Map<String, Value>;

/// Looks up whom a record concerns, once it is there.
pub type PatientOf = for<'a> fn(
    &'a PgPool,
    &'a kit_event::UnitId,
    Uuid,
) -> Later<'a, Result<Option<Option<Uuid>>, StoreError>>;

/// A command as its domain declares it.
pub struct CommandDef {
    /// Its type, as `scheduling.book_appointment`.
    pub type_name: &'static str,
    /// Version of its schema.
    pub version: u32,
    /// Where its record is found, without the id: `appointments`.
    pub collection: &'static str,
    /// The record that it makes; none where it changes the one in the address.
    pub creates: Option<Creates>,
    /// The field that takes the id in the address.
    pub addressed: Option<&'static str>,
    /// Whether `If-Match` is passed on, as the field `if_match`.
    pub if_match: bool,
    /// Whether the command names the fields that the caller sent, as PATCH does.
    pub names_fields: bool,
    /// The rejection by which the unit says that the record in the address is not there: 404.
    pub not_found: Option<&'static str>,
    /// Fields that callers may not send.
    pub set_by_server: &'static [&'static str],
    /// Whose record it must be, where the caller is confined to its own.
    pub whose: Whose,
    /// Reads the fields strictly, checks the rules that they obey by themselves, and writes them in
    /// canonical form.
    pub read: fn(Fields) -> Result<Value, Problem>,
}

/// The record that a command makes.
#[derive(Debug, Clone, Copy)]
pub struct Creates {
    /// The field that takes its id.
    pub field: &'static str,
    /// The kind of record, from which and the request its id is derived.
    pub kind: &'static str,
}

/// Whose record a command is about.
#[derive(Clone, Copy)]
pub enum Whose {
    /// Nobody's in particular: the permission alone decides.
    Unit,
    /// The patient's whose id stands in the address.
    Address,
    /// The patient's whom this field of the body names.
    Field(&'static str),
    /// The patient's whom the record in the address concerns.
    Record(PatientOf),
}

/// Reads the fields of a command as its struct.
///
/// # Errors
/// `invalid-fields`.
pub fn read<C: DeserializeOwned + Serialize>(
    fields: Fields,
    rules: impl FnOnce(&C) -> Result<(), Vec<FieldProblem>>,
) -> Result<Value, Problem> {
    let command: C = read_fields(fields)?;
    check(rules(&command))?;
    canonical(&command)
}

/// Answers a call of the command's route.
///
/// # Errors
/// Headers and fields that do not read; what is out of reach; the unit's rejection.
pub async fn handle(
    State(rest): State<App>,
    Extension(def): Extension<&'static CommandDef>,
    scope: InUnit,
    params: RawPathParams,
    headers: HeaderMap,
    query: QueryText,
    JsonObject(fields): JsonObject,
) -> Result<Response, Problem> {
    query.finish()?;
    let addressed = match def.addressed {
        None => None,
        Some(field) => {
            let text = params.iter().find(|(name, _)| *name == "id").map(|(_, text)| text);
            Some((field, id_of(text.ok_or(NOT_FOUND)?)?))
        }
    };
    if let (Whose::Address, Some((_, id))) = (def.whose, addressed) {
        scope.authorize(Some(id))?;
    }
    let write = WriteHeaders::read(&headers)?;
    let id = scope.caller.request_id(&scope.unit, &write.key);
    let fields = completed(def, &id, addressed, &headers, fields)?;
    let body = (def.read)(fields)?;
    must_reach(&rest, &scope, def, addressed.map(|(_, id)| id), &body).await?;
    let command = Command { type_name: def.type_name, version: def.version, body };
    let outcome = rest.requests.submit(&scope.caller, &id, &write.terms, &command).await;
    let outcome = outcome.map_err(|error| rest.not_sent(&error))?;
    rest.present(outcome, &write, def)
}

/// The fields with those that are not the caller's to set.
fn completed(
    def: &CommandDef,
    id: &RequestId,
    addressed: Option<(&str, Uuid)>,
    headers: &HeaderMap,
    mut fields: Fields,
) -> Result<Fields, Problem> {
    let insists = if def.if_match { if_match(headers)? } else { None };
    refuse_set(&fields, def.set_by_server)?;
    let named = def.names_fields.then(|| named(&fields)).transpose()?;
    if let Some(Creates { field, kind }) = def.creates {
        set(&mut fields, field, &derived_id(id, kind));
    }
    if let Some((field, addressed)) = addressed {
        set(&mut fields, field, &addressed);
    }
    if let Some(seq) = insists {
        set(&mut fields, "if_match", &seq);
    }
    if let Some(named) = named {
        fields.insert("fields".to_owned(), named.into());
    }
    Ok(fields)
}

/// The names of the fields, so that it is the same command whatever order they were written in.
fn named(fields: &Fields) -> Result<Vec<String>, Problem> {
    let mut named: Vec<String> = fields.keys().cloned().collect();
    if named.is_empty() {
        return Err(Problem::from(INVALID_FIELDS).field("", "names no field to change"));
    }
    named.sort_unstable();
    Ok(named)
}

async fn must_reach(
    rest: &Rest,
    scope: &InUnit,
    def: &CommandDef,
    addressed: Option<Uuid>,
    body: &Value,
) -> Result<(), Problem> {
    match (def.whose, addressed) {
        (Whose::Field(field), _) => {
            let patient = body.get(field).and_then(Value::as_str);
            scope.authorize(patient.and_then(|text| text.parse().ok()))
        }
        (Whose::Record(patient_of), Some(id)) => {
            authorize_record(rest, scope, || patient_of(&rest.pool, &scope.unit, id)).await
        }
        (Whose::Unit | Whose::Address | Whose::Record(_), _) => Ok(()),
    }
}
