//! Every route, every kind of caller, own and foreign unit: made from the table of routes and the
//! permissions, so that a route that is added is tested by being added.

mod desk;

use std::collections::BTreeSet;

use desk::{Answer, Desk, FOREIGN, OTHER, PATIENT, UNIT};
use gateway::table::routes;
use kit_event::RequestId;
use kit_policy::{Permission, Reach};
use kit_rest::Route;
use kit_token::Kind;
use serde_json::{Value, json};

const CALLERS: [Kind; 4] = [Kind::Staff, Kind::Patient, Kind::Partner, Kind::Admin];

/// The address of a route in `unit`, about the patient or request of that unit.
fn address(route: &Route, unit: &str, patient: &str) -> String {
    let request = RequestId::derive(&unit.parse().unwrap(), "i", "s", "k").to_string();
    let id = if route.path.contains("requests/{id}") { &request } else { patient };
    let id = if route.path.contains("appointments/{id}") { OTHER } else { id };
    route.path.replace("{unit}", unit).replace("{id}", id).replace("{name}", "not-found")
}

/// A body and a query that every route can do something with.
fn with_query(path: String) -> String {
    if path.ends_with("/slots") {
        let range = "from=2026-03-02T08:00:00Z&to=2026-03-03T08:00:00Z";
        return format!("{path}?practitioner_id={OTHER}&{range}");
    }
    path
}

fn body(route: &Route) -> Option<Value> {
    let times = json!({"starts_at": "2026-03-02T09:00:00Z", "ends_at": "2026-03-02T09:30:00Z"});
    match (route.method.as_str(), route.path) {
        ("POST", path) if path.ends_with("/patients") => {
            Some(json!({"family_name": "Silva", "birth_date": "1980-01-31"}))
        }
        ("POST", path) if path.ends_with("/appointments") => Some(json!({
            "patient_id": PATIENT, "practitioner_id": OTHER,
            "starts_at": times["starts_at"], "ends_at": times["ends_at"],
        })),
        ("POST", path) if path.ends_with("/reschedule") => Some(times),
        ("POST", path) if path.ends_with("/payments") => {
            Some(json!({"invoice_id": OTHER, "amount_minor": 100, "currency": "EUR"}))
        }
        ("POST", path) if path.ends_with("/encounters") => Some(json!({"patient_id": PATIENT})),
        ("POST", path) if RECORDED.iter().any(|list| path.ends_with(list)) => {
            Some(json!({"code_system": "http://loinc.org", "code": "8867-4"}))
        }
        ("PATCH", path) if RECORDED.iter().any(|list| path.contains(list)) => {
            Some(json!({"display": "Heart rate"}))
        }
        ("POST", path) if path.ends_with("/merge") => Some(json!({"into_patient_id": OTHER})),
        ("POST", _) => Some(json!({})),
        ("PATCH", _) => Some(json!({"phone": "+351 900 000 000"})),
        _ => None,
    }
}

/// What can be entered into a chart.
const RECORDED: [&str; 4] = ["/observations", "/conditions", "/allergies", "/immunizations"];

async fn call(desk: &Desk, token: Option<&str>, route: &Route, unit: &str, who: &str) -> Answer {
    let path = with_query(address(route, unit, who));
    let key = [("idempotency-key", "k"), ("prefer", "respond-async")];
    desk.call_with(token, route.method.as_str(), &path, &key, body(route)).await
}

#[tokio::test]
async fn without_a_token_everything_but_the_pages_is_401() {
    let desk = Desk::open().await;
    for route in routes() {
        for token in [None, Some("x"), Some("a.b.c")] {
            let answer = call(&desk, token, &route, UNIT, PATIENT).await;
            let public = route.permission == Permission::PUBLIC;
            let what = format!("{} {}", route.method.as_str(), route.path);
            assert_eq!(answer.status == 401, !public, "{what}");
            assert_eq!(answer.headers.contains_key("www-authenticate"), !public, "{what}");
        }
    }
    assert!(desk.published().is_empty());
}

#[tokio::test]
async fn a_foreign_unit_does_not_exist_and_a_missing_permission_is_no_address() {
    let mut all = tokio::task::JoinSet::new();
    for route in routes().into_iter().filter(|route| route.permission != Permission::PUBLIC) {
        all.spawn(async move {
            for kind in CALLERS {
                as_kind(&route, kind).await;
            }
        });
    }
    all.join_all().await;
}

async fn as_kind(route: &Route, kind: Kind) {
    let desk = Desk::open().await;
    let what = format!("{kind} {} {}", route.method.as_str(), route.path);
    let allowed = route.permission.reach(kind) != Reach::Nothing;
    let in_unit = route.path.contains("{unit}") || route.path.contains("requests/{id}");
    let foreign = desk.token(kind, FOREIGN);
    let answer = call(&desk, Some(&foreign), route, UNIT, PATIENT).await;
    if !allowed || (in_unit && kind != Kind::Admin) {
        assert_eq!(answer.problem(), (404, "not-found"), "{what} in a foreign unit");
        assert!(desk.published().is_empty(), "{what}");
    }
    let own = desk.token(kind, UNIT);
    let answer = call(&desk, Some(&own), route, UNIT, PATIENT).await;
    // Past the guard there is no Postgres here, so what is allowed is anything but 404; a request
    // that nobody made is 404 for everybody.
    if !route.path.contains("requests/{id}") {
        assert_eq!(answer.status == 404, !allowed, "{what}: {}", answer.status);
    }
    assert_eq!(
        desk.published().is_empty(),
        !allowed
            || route.method.as_str() == "GET" && !route.path.ends_with("/slots")
            || needs_postgres(route, kind),
        "{what}"
    );
}

/// A patient's change of an appointment needs the read model, to know whose it is; and there is no
/// request to cancel.
fn needs_postgres(route: &Route, kind: Kind) -> bool {
    let own = route.path.contains("appointments/{id}");
    route.path.contains("requests/{id}") || (kind == Kind::Patient && own)
}

#[tokio::test]
async fn a_patient_has_its_own_records_and_nobody_elses() {
    let desk = Desk::open().await;
    let token = desk.token(Kind::Patient, UNIT);
    for path in [
        format!("/v1/units/{UNIT}/patients/{OTHER}"),
        format!("/v1/units/{UNIT}/appointments?patient_id={OTHER}"),
        format!("/v1/units/{UNIT}/invoices?patient_id={OTHER}"),
    ] {
        let answer = desk.call_with(Some(&token), "GET", &path, &[], None).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let foreign = json!({
        "patient_id": OTHER, "practitioner_id": OTHER,
        "starts_at": "2026-03-02T09:00:00Z", "ends_at": "2026-03-02T09:30:00Z",
    });
    let path = format!("/v1/units/{UNIT}/appointments");
    let key = [("idempotency-key", "k")];
    let answer = desk.call_with(Some(&token), "POST", &path, &key, Some(foreign)).await;
    assert_eq!(answer.status, 404);
    assert!(desk.published().is_empty());
    let own = json!({
        "patient_id": PATIENT, "practitioner_id": OTHER,
        "starts_at": "2026-03-02T09:00:00Z", "ends_at": "2026-03-02T09:30:00Z",
    });
    let answer = desk.call_with(Some(&token), "POST", &path, &key, Some(own)).await;
    assert_eq!(answer.status, 201);
    assert_eq!(desk.published()[0].actor, "patient:ana");
}

#[test]
fn the_document_lists_every_route_with_its_permission() {
    let document: Value = serde_json::from_str(&gateway::openapi()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let permission = operation["x-arteria-permission"].as_str().unwrap().to_owned();
            described.insert((method.to_uppercase(), path.clone(), permission));
        }
    }
    let served: BTreeSet<_> = routes()
        .iter()
        .map(|route| {
            let permission = route.permission.name.to_owned();
            (route.method.as_str().to_owned(), route.path.to_owned(), permission)
        })
        .collect();
    assert_eq!(described, served);
}

#[test]
fn every_reference_in_the_document_leads_somewhere_and_ids_are_unique() {
    let text = gateway::openapi();
    let document: Value = serde_json::from_str(&text).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for part in text.split("\"#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
    let ids: Vec<_> = routes().iter().map(|route| route.doc.id).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
}

/// The only call of axum's own `route` is the one that puts the guard before the handler.
#[test]
fn no_route_is_built_past_the_table() {
    let services = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders = vec![services.join("gateway/src"), services.join("kit/rest/src")];
    for domain in std::fs::read_dir(services.join("domains")).unwrap() {
        folders.push(domain.unwrap().path().join("rest/src"));
    }
    let mut calls = Vec::new();
    for file in folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        calls.extend(text.matches(".route(").map(|_| name.clone()));
        assert!(!text.contains(".nest("), "{name}");
        assert!(!text.contains("Router::merge("), "{name}");
    }
    assert_eq!(calls, ["table.rs"]);
}

#[test]
fn every_permission_is_declared_once_and_every_route_names_a_declared_one() {
    let all = gateway::permissions::all();
    let names: BTreeSet<_> = all.iter().map(|permission| permission.name).collect();
    assert_eq!(names.len(), all.len(), "a name means one thing");
    let routes = routes();
    for route in &routes {
        assert!(all.contains(&route.permission), "{} {}", route.path, route.permission.name);
    }
    let of_facts: Vec<_> = kit_rest::face::fact_access(&all_rest::ALL).permissions().collect();
    assert!(of_facts.iter().all(|permission| all.contains(permission)));
    for permission in all {
        let named = routes.iter().any(|route| route.permission == permission);
        let named = named || of_facts.contains(&permission);
        assert!(named, "{} is asked for by no route and no fact", permission.name);
    }
}
