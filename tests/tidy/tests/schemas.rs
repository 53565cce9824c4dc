//! Every fact and command has its generated schema, and no promise is ever broken.

use all_domains::ALL;
use kit_body::schemas;
use kit_event::{Domain, SchemaSource};
use tests_tidy::tree::root;
use tests_tidy::{Violation, obey};

fn promised() -> Vec<SchemaSource> {
    let of = |domain: &&dyn Domain| domain.schemas().into_iter().chain(domain.public_schemas());
    ALL.iter().flat_map(of).collect()
}

/// What is told outside is the public form of a fact, of its own domain.
#[test]
fn every_public_promise_is_the_form_of_a_fact_of_its_domain() {
    let mut found = Vec::new();
    for domain in ALL {
        let facts: Vec<_> = domain.schemas().iter().map(|source| source.type_name).collect();
        for source in domain.public_schemas() {
            let fact = source.type_name.strip_prefix("public.");
            if !fact.is_some_and(|fact| facts.contains(&fact)) {
                found.push(Violation::new(source.type_name, "is the public form of no fact"));
            }
            if !source.doc.trim().ends_with('.') {
                found.push(Violation::new(source.type_name, "its doc is no sentence"));
            }
        }
    }
    obey("A public promise is the form of a fact.", found);
}

#[test]
fn every_schema_is_generated_and_compatible_both_ways_with_every_earlier_version() {
    let complaints = schemas::check(&root().join("proto-schemas"), &promised())
        .unwrap_or_else(|error| panic!("checking proto-schemas: {error} ({:?})", source(&error)));
    let found = complaints.into_iter().map(|what| Violation::new("proto-schemas", what));
    obey("Released schemas never change, and read each other.", found.collect());
}

/// A type belongs to its domain, its version is at least 1, and it says in a sentence when it
/// happens.
#[test]
fn every_promise_is_of_its_domain_and_says_when_it_happens() {
    let mut found = Vec::new();
    for domain in ALL {
        let sources = domain.schemas();
        let own = format!("{}.", domain.name());
        let is_own = |name: &str| name.starts_with(&own) || name.starts_with("control.");
        for source in &sources {
            let mut wrong = |what: &str| found.push(Violation::new(source.type_name, what));
            if !is_own(source.type_name) {
                wrong("is promised by another domain than its name says");
            }
            if source.version == 0 {
                wrong("versions begin at 1");
            }
            if !source.doc.trim().ends_with('.') {
                wrong("its doc is no sentence: say when it happens, or what it asks");
            }
        }
        for command in domain.commands().iter().chain(domain.queries()) {
            if !sources.iter().any(|source| source.type_name == *command) {
                found.push(Violation::new(*command, "is read by its domain and has no schema"));
            }
        }
    }
    obey("Each promise is a sentence of its own domain.", found);
}

fn source(error: &dyn std::error::Error) -> Option<String> {
    error.source().map(ToString::to_string)
}
