//! The OpenAPI 3.1 document, made of the table of routes: what is served is what is described.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::Extension;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, PathsBuilder,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ComponentsBuilder, KnownFormat, Object, ObjectBuilder,
    OneOfBuilder, Ref, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, OpenApiBuilder, RefOr, Required, ResponsesBuilder, Server,
};

use crate::answers::{self, PROBLEM};
use crate::events::TYPES_MAX;
use kit_policy::Permission;
use kit_rest::Route;
use kit_rest::headers::EXPIRES_SECONDS_MAX;
use kit_rest::read::SEARCH_CHARS_MAX;
use kit_rest::route::{BodyDoc, Doc, Gives, Method, NamedSchema};

const BEARER: &str = "bearer";
const ABOUT: &str = "Reads are answered from read models and say how fresh they are \
    (`Arteria-Unit-Seq`, `Arteria-As-Of`, `Arteria-Unit-Online`). Writes are requests to the unit, \
    which alone decides: they want an `Idempotency-Key`, and give the unit's word where it comes \
    in time, else 202 and a tracked request. Every error is `application/problem+json`, and its \
    `type` is a page.";

/// The document as pretty JSON, of these routes.
#[must_use]
pub fn describe(routes: Vec<Route>) -> String {
    let mut paths: BTreeMap<&str, PathItem> = BTreeMap::new();
    let mut schemas: BTreeMap<String, RefOr<Schema>> = BTreeMap::new();
    schemas.insert(PROBLEM.to_owned(), problem_schema());
    for route in routes {
        let (method, path) = (method_of(route.method), route.path);
        let item = PathItem::new(method, operation(route, &mut schemas));
        match paths.get_mut(path) {
            Some(present) => present.merge_operations(item),
            None => {
                paths.insert(path, item);
            }
        }
    }
    let paths =
        paths.into_iter().fold(PathsBuilder::new(), |all, (path, item)| all.path(path, item));
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let components = schemas
        .into_iter()
        .fold(answers::shared(ComponentsBuilder::new()), |all, (name, schema)| {
            all.schema(name, schema)
        })
        .security_scheme(BEARER, bearer);
    let info = InfoBuilder::new()
        .title("Arteria")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT));
    let document = OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([Server::new("/")]))
        .paths(paths.build())
        .components(Some(components.build()));
    // Texts and maps of texts always have a JSON form.
    document.build().to_pretty_json().unwrap_or_default()
}

/// What writes the document; it is written at the first call for it.
#[derive(Clone, Copy)]
pub struct Document(pub fn() -> String);

/// `GET /openapi.json`.
pub async fn document(Extension(Document(write)): Extension<Document>) -> Response {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let mut response = DOCUMENT.get_or_init(write).as_str().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}

const fn method_of(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::Get,
        Method::Post => HttpMethod::Post,
        Method::Patch => HttpMethod::Patch,
        Method::Delete => HttpMethod::Delete,
    }
}

fn operation(mut route: Route, schemas: &mut BTreeMap<String, RefOr<Schema>>) -> OperationBuilder {
    let problems = answers::problems(&route);
    let (path, permission, doc) = (route.path, route.permission, &route.doc);
    let permission_name = permission.name;
    let extension = ExtensionsBuilder::new().add("x-arteria-permission", permission_name).build();
    let mut operation = OperationBuilder::new()
        .operation_id(Some(doc.id))
        .summary(Some(doc.summary))
        .extensions(Some(extension));
    for name in names_in(path) {
        let form =
            if name == "id" && !path.starts_with("/v1/requests") { "uuid" } else { "string" };
        operation = operation.parameter(parameter(name, ParameterIn::Path, true, form, ""));
    }
    for (name, parameter_in, required, form, says) in parameters(path, doc) {
        operation = operation.parameter(parameter(name, parameter_in, required, form, says));
    }
    if let Some(body) = &doc.body {
        operation = operation.request_body(Some(request_body(body, schemas)));
    }
    let none: [&str; 0] = [];
    let token = (permission != Permission::PUBLIC).then(|| SecurityRequirement::new(BEARER, none));
    operation = operation.securities(Some(token));
    let held = |named: NamedSchema| {
        let reference = Ref::from_schema_name(&named.name);
        schemas.insert(named.name, named.schema);
        reference
    };
    let given = answers::successes(&mut route, held);
    let responses = given
        .into_iter()
        .fold(ResponsesBuilder::new(), |all, (status, response)| all.response(status, response));
    let responses = problems
        .into_iter()
        .fold(responses, |all, (status, problem)| all.response(status, problem));
    operation.responses(responses.build())
}

fn names_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

type Said = (&'static str, ParameterIn, bool, &'static str, &'static str);

/// Query parameters and headers of an operation.
fn parameters(path: &str, doc: &Doc) -> Vec<Said> {
    let header = |name, required, form, says| (name, ParameterIn::Header, required, form, says);
    let query = |name, form, says| (name, ParameterIn::Query, false, form, says);
    let mut all: Vec<Said> = doc
        .query
        .iter()
        .map(|q| (q.name, ParameterIn::Query, q.required, q.form, q.says))
        .collect();
    match &doc.gives {
        Gives::Record(_) => {
            all.push(header("Arteria-Min-Seq", false, "seq", MIN_SEQ_SAYS));
            all.push(header("If-None-Match", false, "string", "ETags that the caller has."));
        }
        // A list of many units has no number that is one unit's.
        Gives::Page(_) if !path.contains('{') => {}
        Gives::State(_) | Gives::Page(_) => {
            all.push(header("Arteria-Min-Seq", false, "seq", MIN_SEQ_SAYS));
        }
        Gives::Outcome { .. } => {
            all.push(header("Idempotency-Key", true, "key", "The caller's name for the request."));
            all.push(header(
                "Prefer",
                false,
                "string",
                "wait=N (10, at most 60) or respond-async.",
            ));
            all.push(header("Arteria-Delivery", false, "queue|online-only", "queue if absent."));
            all.push(header("Arteria-Expires", false, "seconds", EXPIRES_SAYS));
        }
        Gives::Tracked(_) => {
            all.push(header("Prefer", false, "string", "wait=N (0, at most 60)."));
        }
        Gives::Live(_) => {
            all.push(header("Prefer", false, "string", "wait=N (10, at most 30)."));
        }
        Gives::Document { .. } => {}
    }
    if matches!(doc.gives, Gives::Page(_) | Gives::Live(_)) {
        all.push(query("limit", "count", "Most items of a page (50, at most 200)."));
        all.push(query("cursor", "string", "`next` of the page before."));
    }
    if doc.streams {
        all.push(header("Last-Event-ID", false, "seq", LAST_EVENT_ID_SAYS));
    }
    if doc.if_match {
        all.push(header("If-Match", false, "string", "The ETag that the record must still have."));
    }
    all
}

const LAST_EVENT_ID_SAYS: &str = "Of a stream: goes on after this event, E-S, before `after`.";
const MIN_SEQ_SAYS: &str = "Wait up to 2 s until the read model holds this fact, E-S.";
const EXPIRES_SAYS: &str =
    "Seconds that the request may wait for its unit (86400, at most 604800; online-only 30).";

fn parameter(
    name: &str,
    parameter_in: ParameterIn,
    required: bool,
    form: &str,
    says: &str,
) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(parameter_in)
        .required(if required { Required::True } else { Required::False })
        .description((!says.is_empty()).then_some(says))
        .schema(Some(schema_of_form(form)))
}

/// The schema of a parameter; words with a stroke between are all that it may be.
fn schema_of_form(form: &str) -> RefOr<Schema> {
    let kind = |kind| ObjectBuilder::new().schema_type(SchemaType::Type(kind));
    let string = || kind(Type::String);
    let format = |format| SchemaFormat::KnownFormat(format);
    match form {
        "date" => string().format(Some(format(KnownFormat::Date))).into(),
        "date-time" => string().format(Some(format(KnownFormat::DateTime))).into(),
        "uuid" => string().format(Some(format(KnownFormat::Uuid))).into(),
        "seq" => string().pattern(Some(SEQ_PATTERN)).into(),
        "key" => string().pattern(Some("^[!-~]([ -~]{0,253}[!-~])?$")).into(),
        "search" => string().max_length(Some(SEARCH_CHARS_MAX)).into(),
        "count" => kind(Type::Integer).minimum(Some(1)).into(),
        "seconds" => {
            let most = i64::try_from(EXPIRES_SECONDS_MAX).unwrap_or(i64::MAX);
            kind(Type::Integer).minimum(Some(1)).maximum(Some(most)).into()
        }
        "moment" => {
            OneOfBuilder::new().item(schema_of_form("seq")).item(schema_of_form("date-time")).into()
        }
        "texts" => ArrayBuilder::new().items(string()).max_items(Some(TYPES_MAX)).into(),
        words if words.contains('|') => string().enum_values(Some(words.split('|'))).into(),
        _ => string().into(),
    }
}

/// The number of a fact, E-S.
const SEQ_PATTERN: &str = "^[0-9]{1,10}-[0-9]{1,18}$";

/// The command without what the server sets.
fn request_body(body: &BodyDoc, schemas: &mut BTreeMap<String, RefOr<Schema>>) -> RequestBody {
    let mut command = body.command.clone();
    if let RefOr::T(Schema::Object(object)) = &mut command {
        object.properties.retain(|name, _| !body.set_by_server.contains(&name.as_str()));
        object.required.retain(|name| !body.set_by_server.contains(&name.as_str()));
        if body.partial {
            object.required.clear();
        }
        object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    }
    schemas.insert(body.name.to_owned(), command);
    let required = if body.partial { Required::False } else { Required::True };
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(body.name)));
    RequestBodyBuilder::new()
        .required(Some(required))
        .content("application/json", content.build())
        .build()
}

fn text(says: &str) -> Object {
    let kind = SchemaType::Type(Type::String);
    ObjectBuilder::new().schema_type(kind).description(Some(says)).build()
}

fn problem_schema() -> RefOr<Schema> {
    let error = ObjectBuilder::new()
        .property("field", text("The field, parameter or header."))
        .required("field")
        .property("reason", text("What is wrong with it."))
        .required("reason");
    let status = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Integer));
    ObjectBuilder::new()
        .property("type", text("Its page, `/problems/<name>`."))
        .required("type")
        .property("title", text("One short sentence, the same for each problem of this name."))
        .required("title")
        .property("status", status)
        .required("status")
        .property("detail", text("What exactly."))
        .property("errors", ArrayBuilder::new().items(error))
        .property("instance", text("What our log calls this call."))
        .into()
}
