//! What an operation answers, by status: for the OpenAPI document.
//!
//! Headers and problems stand once among the document's components; a response that forgot its
//! description, or a status that nobody described, would make generated clients guess.

use utoipa::openapi::schema::{
    ArrayBuilder, ComponentsBuilder, ObjectBuilder, Ref, Schema, SchemaType, Type,
};
use utoipa::openapi::{Content, ContentBuilder, HeaderBuilder, RefOr, Response, ResponseBuilder};

use crate::sse::EVENT_STREAM;
use kit_policy::Permission;
use kit_rest::Route;
use kit_rest::route::{Gives, Method, NamedSchema};

/// The schema of every error.
pub const PROBLEM: &str = "Problem";

/// Headers of answers, and what they say.
const HEADERS: &[(&str, &str)] = &[
    ("Arteria-As-Of", "When the unit numbered the last fact that the answer holds."),
    ("Arteria-Record-Seq", "With `as_of`: the fact that had last spoken of the record, E-S."),
    ("Arteria-Record-Time", "With `as_of`: when that was."),
    ("Arteria-Request", "The tracked request, at `/v1/requests/{id}`."),
    ("Arteria-Stale-Since", "A later fact about the record, E-S, could not be taken up."),
    ("Arteria-Unit-Online", "Whether a message would reach the unit now: true or false."),
    ("Arteria-Unit-Seq", "The unit's last fact that the answer holds, or that it led to, E-S."),
    ("ETag", "The state's number, E-S in quotes, for `If-Match` and `If-None-Match`."),
    ("Location", "The record, or the tracked request."),
    ("Preference-Applied", "What of `Prefer` was followed."),
    ("Retry-After", "Seconds after which to come again."),
    ("WWW-Authenticate", "Which kind of token is wanted."),
];
const FRESHNESS: &[&str] = &["Arteria-Unit-Seq", "Arteria-As-Of", "Arteria-Unit-Online"];

/// Errors by status: the name among the components, what it says, its headers.
const PROBLEMS: &[(&str, &str, &str, &[&str])] = &[
    (
        "400",
        "Malformed",
        "A parameter of the address, a needed header or the body does not read.",
        &[],
    ),
    ("401", "TokenRefused", "There is no token, or it is not accepted.", &["WWW-Authenticate"]),
    ("404", "NotThere", "What is named does not exist for this caller.", &[]),
    ("408", "TooSlow", "The body did not arrive in time.", &[]),
    (
        "409",
        "Refused",
        "The unit's refusal, or what stands against it.",
        &["Arteria-Request", "Arteria-Unit-Seq"],
    ),
    ("413", "TooLarge", "The body is too large.", &[]),
    ("415", "WrongMediaType", "The body is not `application/json`.", &[]),
    (
        "422",
        "Invalid",
        "A field or header breaks a rule, or the key was used for another request.",
        &[],
    ),
    ("429", "TooMany", "A bound of requests or streams is reached.", &["Retry-After"]),
    ("503", "Away", "A part of the service or the unit is away, or behind.", &["Retry-After"]),
    ("504", "Unanswered", "The unit did not answer in time.", &["Retry-After"]),
    ("default", "Otherwise", "A problem (RFC 9457).", &[]),
];

/// Adds what answers share to the components.
#[must_use]
pub fn shared(components: ComponentsBuilder) -> ComponentsBuilder {
    let text = || ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).build();
    let components = HEADERS.iter().fold(components, |all, (name, says)| {
        let header = HeaderBuilder::new().schema(Some(text())).description(Some(*says));
        all.header(*name, header.build())
    });
    PROBLEMS.iter().fold(components, |all, (_, name, says, headers)| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(PROBLEM))).build();
        let response = said(says, headers).content("application/problem+json", content);
        all.response(*name, response.build())
    })
}

/// The errors of an operation, by status.
#[must_use]
pub fn problems(route: &Route) -> Vec<(&'static str, RefOr<Response>)> {
    let mut given: Vec<&str> = match route.doc.gives {
        Gives::Document { .. } => vec![],
        Gives::Record(_) | Gives::State(_) | Gives::Page(_) => vec!["422", "429", "503"],
        Gives::Tracked(_) => vec!["429", "503"],
        Gives::Live(_) => vec!["409", "422", "429", "503", "504"],
        Gives::Outcome { .. } => vec!["408", "409", "413", "415", "422", "429", "503"],
    };
    if route.permission != Permission::PUBLIC {
        given.extend(["400", "401", "404"]);
    } else if route.path.contains('{') {
        given.push("404");
    }
    if route.doc.streams || route.method == Method::Delete {
        given.push("409");
    }
    given.push("default");
    let described = PROBLEMS.iter().filter(|(status, ..)| given.contains(status));
    described
        .map(|(status, name, ..)| {
            let reference = Ref::new(format!("#/components/responses/{name}"));
            (*status, RefOr::Ref(reference))
        })
        .collect()
}

/// What an operation gives when all went well, by status. `held` keeps a schema and refers to it.
pub fn successes(
    route: &mut Route,
    mut held: impl FnMut(NamedSchema) -> Ref,
) -> Vec<(&'static str, Response)> {
    let (method, streams) = (route.method, route.doc.streams);
    let as_of = route.doc.query.iter().any(|query| query.name == "as_of");
    let nothing = Gives::Document { media_type: "" };
    match std::mem::replace(&mut route.doc.gives, nothing) {
        Gives::Record(named) => {
            let mut headers = [&["ETag", "Arteria-Stale-Since"], FRESHNESS].concat();
            if as_of {
                headers.extend(["Arteria-Record-Seq", "Arteria-Record-Time"]);
            }
            let unchanged = said("The caller has it already (`If-None-Match`).", &headers);
            let record = said("The record.", &headers).content(JSON, content(held(named)));
            vec![("200", record.build()), ("304", unchanged.build())]
        }
        Gives::State(named) => {
            let state = said("As it is now.", FRESHNESS).content(JSON, content(held(named)));
            vec![("200", state.build())]
        }
        Gives::Page(named) | Gives::Live(named) => {
            let says = if streams { STREAM_SAYS } else { "A page." };
            let mut page = said(says, FRESHNESS).content(JSON, content(list_of(held(named))));
            if streams {
                page = page.content(EVENT_STREAM, content(string()));
            }
            vec![("200", page.build())]
        }
        Gives::Tracked(named) => {
            let reference = held(named);
            let headers = ["Preference-Applied", "Arteria-Unit-Seq", "Arteria-Unit-Online"];
            let known = said("The request.", &headers).content(JSON, content(reference.clone()));
            let mut all = vec![("200", known.build())];
            if method == Method::Delete {
                all.push(("202", open(reference)));
            }
            all
        }
        Gives::Outcome { record, created } => {
            let headers =
                ["Location", "ETag", "Arteria-Unit-Seq", "Arteria-Request", "Preference-Applied"];
            let granted = said("The unit granted it: the record.", &headers);
            let granted = granted.content(JSON, content(held(record)));
            let tracked = Ref::from_schema_name("TrackedRequest");
            vec![(if created { "201" } else { "200" }, granted.build()), ("202", open(tracked))]
        }
        Gives::Document { media_type } => {
            let schema = if media_type == JSON { object() } else { string() };
            vec![("200", said("The document.", &[]).content(media_type, content(schema)).build())]
        }
    }
}

const JSON: &str = "application/json";
const STREAM_SAYS: &str = "A page; for `Accept: text/event-stream` a live stream: history after \
    the cursor, then what comes. Each event has `id` (E-S), `event` (the type) and `data` (the \
    item); comments are signs of life; a stream that the server ends says so in a last event \
    `closed` with `reason` and `after`.";

fn said(says: &str, headers: &[&str]) -> ResponseBuilder {
    headers.iter().fold(ResponseBuilder::new().description(says), |response, name| {
        response.header_ref(*name, Ref::new(format!("#/components/headers/{name}")))
    })
}

/// The unit's word is still out.
fn open(tracked: Ref) -> Response {
    said("The unit's word is still out: the tracked request.", &["Location", "Preference-Applied"])
        .content(JSON, content(tracked))
        .build()
}

fn content(schema: impl Into<RefOr<Schema>>) -> Content {
    ContentBuilder::new().schema(Some(schema)).build()
}

fn string() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).into()
}

fn object() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::Object)).into()
}

fn list_of(item: Ref) -> RefOr<Schema> {
    let says = "Give it back as `cursor` for the next page; absent on the last.";
    let next =
        ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).description(Some(says));
    ObjectBuilder::new()
        .property("items", ArrayBuilder::new().items(item))
        .required("items")
        .property("next", next)
        .into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn document() -> Value {
        serde_json::from_str(&crate::openapi()).unwrap()
    }

    fn operations(document: &Value) -> Vec<(String, &Value)> {
        let paths = document["paths"].as_object().unwrap();
        let of_path = |(path, item): (&String, &'_ Value)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(|method| (path.clone(), method.clone())).collect::<Vec<_>>()
        };
        let all = paths.iter().flat_map(of_path);
        all.map(|(path, method)| (format!("{method} {path}"), &document["paths"][path][method]))
            .collect()
    }

    fn references<'d>(value: &'d Value, found: &mut BTreeSet<&'d str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 30, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_response_is_described_as_openapi_wants_it() {
        let document = document();
        for (name, operation) in operations(&document) {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let shared = response["$ref"].as_str().map(|at| at.strip_prefix('#').unwrap());
                let response = shared.map_or(response, |at| document.pointer(at).unwrap());
                let says = response["description"].as_str().unwrap_or_default();
                assert!(!says.is_empty(), "{name} {status}");
            }
            assert!(operation["security"].is_array(), "{name}");
        }
    }

    #[test]
    fn every_status_that_a_problem_can_have_is_described() {
        let known: BTreeSet<&str> = PROBLEMS.iter().map(|(status, ..)| *status).collect();
        for kind in crate::problems::kinds().filter(|kind| ![405, 500].contains(&kind.status)) {
            assert!(known.contains(kind.status.to_string().as_str()), "{}", kind.slug);
        }
        let document = document();
        for (name, operation) in operations(&document) {
            let responses = operation["responses"].as_object().unwrap();
            let is_public = operation["security"].as_array().unwrap().is_empty();
            for status in ["400", "401", "404", "503"] {
                assert!(is_public || responses.contains_key(status), "{name} {status}");
            }
            let writes = operation.get("requestBody").is_some();
            assert!(!writes || responses.contains_key("413"), "{name}");
        }
    }
}
