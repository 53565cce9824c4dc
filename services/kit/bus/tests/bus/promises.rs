//! Schemas in the registry: in order, once, and never another in their place.

use kit_body::{RegistryError, Schemas};
use kit_bus::schemas::{self, Promise};

use crate::{config, note_promise};

/// A type that no other test knows.
fn own(fields: &[&str]) -> Vec<Promise> {
    let word = format!("t{}", uuid::Uuid::new_v4().simple());
    let record = kit_body::name::camel(&word);
    let promise = |(index, fields): (usize, &&str)| Promise {
        type_name: format!("bustests.{word}"),
        version: index as u32 + 1,
        text: format!(
            r#"{{"type":"record","name":"{record}","namespace":"arteria.bustests",
                 "fields":[{fields}]}}"#
        ),
    };
    fields.iter().enumerate().map(promise).collect()
}

const A: &str = r#"{"name":"a","type":"string"}"#;
const AB: &str =
    r#"{"name":"a","type":"string"},{"name":"b","type":["null","int"],"default":null}"#;
const C: &str = r#"{"name":"c","type":"string"}"#;

#[tokio::test]
async fn every_version_is_registered_in_order_and_only_once() {
    let registry = config(1).await.registry_url;
    let promises = own(&[A, AB]);
    let first = schemas::apply(&registry, &promises).await.unwrap();
    assert_eq!(first.registered.len(), 2);
    let second = schemas::apply(&registry, &promises).await.unwrap();
    assert!(second.registered.is_empty());
    let held = Schemas::new(&registry).unwrap();
    let one = held.by_version(&promises[0].type_name, 1).await.unwrap();
    let two = held.by_version(&promises[0].type_name, 2).await.unwrap();
    assert_ne!(one.id, two.id);
    assert_eq!(held.by_id(one.id).await.unwrap().fingerprint(), one.schema.fingerprint());
}

#[tokio::test]
async fn the_registry_refuses_what_does_not_read_both_ways() {
    let registry = config(1).await.registry_url;
    let error = schemas::apply(&registry, &own(&[A, C])).await.unwrap_err();
    assert!(matches!(error, RegistryError::Refused { .. }), "{error:?}");
    assert!(!error.is_worth_waiting());
}

#[tokio::test]
async fn another_schema_in_the_place_of_ours_is_told() {
    let registry = config(1).await.registry_url;
    let promises = own(&[A]);
    schemas::apply(&registry, &promises).await.unwrap();
    let mut changed = promises;
    changed[0].text = changed[0].text.replace(A, AB);
    let error = schemas::apply(&registry, &changed).await.unwrap_err();
    assert!(matches!(error, RegistryError::Another { .. }), "{error:?}");
}

#[tokio::test]
async fn a_type_that_nobody_registered_is_unknown_and_not_away() {
    let registry = config(1).await.registry_url;
    let schemas = Schemas::new(&registry).unwrap();
    for _ in 0..2 {
        let error = schemas.by_version("bustests.nobody_registered_this", 1).await.unwrap_err();
        assert!(matches!(error, RegistryError::Unknown { .. }), "{error:?}");
    }
    schemas.register(&[note_promise()]).await.unwrap();
}

#[tokio::test]
async fn many_may_register_the_same_at_once() {
    let registry = config(1).await.registry_url;
    for _ in 0..4 {
        let promises = own(&[A, AB]);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (registry, promises) = (registry.clone(), promises.clone());
            tasks.spawn(async move { schemas::apply(&registry, &promises).await });
        }
        for outcome in tasks.join_all().await {
            outcome.unwrap();
        }
    }
}
