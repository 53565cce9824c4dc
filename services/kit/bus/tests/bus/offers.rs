//! Schemas that an operator offers, into a real registry.

use kit_body::{Candidate, OfferError, Offered, RegistryError, Schemas};

use crate::config;

const A: &str = r#"{"name":"a","type":"string"}"#;
const B: &str = r#"{"name":"b","type":["null","int"],"default":null}"#;

/// A type that no other test knows, with these fields.
struct Own(String);

impl Own {
    fn fresh() -> Self {
        Self(format!("T{}", uuid::Uuid::new_v4().simple()))
    }

    fn with(&self, fields: &[&str]) -> Candidate {
        let (name, fields) = (&self.0, fields.join(","));
        let head = format!(r#""type":"record","name":"{name}","namespace":"arteria.bustests""#);
        Candidate::read(&format!(r#"{{{head},"fields":[{fields}]}}"#)).unwrap()
    }
}

async fn registry() -> Schemas {
    Schemas::new(&config(1).await.registry_url).unwrap()
}

#[tokio::test]
async fn an_offer_becomes_the_next_version_and_repeating_it_changes_nothing() {
    let (registry, own) = (registry().await, Own::fresh());
    let (one, two) = (own.with(&[A]), own.with(&[A, B]));
    assert_eq!(registry.offer(&one, None).await.unwrap(), Offered::Registered { version: 1 });
    assert_eq!(registry.offer(&two, Some(2)).await.unwrap(), Offered::Registered { version: 2 });
    for (candidate, version) in [(&one, 1), (&two, 2)] {
        let again = registry.offer(candidate, Some(version)).await.unwrap();
        assert_eq!(again, Offered::AlreadyThere { version });
    }
    let held = registry.versions(&one.type_name).await.unwrap();
    assert_eq!(held.len(), 2);
    assert_eq!(held[1].fingerprint, two.schema.fingerprint());
    let catalog = registry.catalog().await.unwrap();
    let listed = catalog.iter().find(|it| it.type_name.as_ref() == Some(&one.type_name)).unwrap();
    assert_eq!((listed.subject.as_str(), listed.versions.len()), (one.schema.name(), 2));
}

#[tokio::test]
async fn what_does_not_go_with_any_earlier_version_is_told_by_its_field() {
    let (registry, own) = (registry().await, Own::fresh());
    registry.offer(&own.with(&[A]), None).await.unwrap();
    registry.offer(&own.with(&[A, B]), None).await.unwrap();
    let (c, number) = (r#"{"name":"c","type":"string"}"#, r#"{"name":"a","type":"int"}"#);
    for (fields, said) in [
        (vec![A, c], "$.c: is only on one side and has no default"),
        (vec![number], "$.a: changed its type"),
        (vec![B], "$.a: is only on one side and has no default"),
    ] {
        let error = registry.offer(&own.with(&fields), None).await.unwrap_err();
        let OfferError::Incompatible { version: 3, complaints, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(complaints.len(), 2, "against each earlier version: {complaints:?}");
        assert!(complaints[0].contains(said), "{complaints:?}");
    }
    assert_eq!(registry.versions(&own.with(&[A]).type_name).await.unwrap().len(), 2);
}

#[tokio::test]
async fn another_version_than_it_can_be_and_other_words_under_one_are_refused() {
    let (registry, own) = (registry().await, Own::fresh());
    let error = registry.offer(&own.with(&[A]), Some(2)).await.unwrap_err();
    assert!(matches!(error, OfferError::Version { asked: 2, possible: 1, .. }), "{error}");
    registry.offer(&own.with(&[A]), None).await.unwrap();
    let marked = A.replace('}', r#","arteria.public":true}"#);
    let error = registry.offer(&own.with(&[&marked]), None).await.unwrap_err();
    assert!(matches!(error, OfferError::OtherWords { version: 1, .. }), "{error}");
    let spaced = own.with(&[&A.replace(',', " ,\n ")]);
    let again = registry.offer(&spaced, None).await.unwrap();
    assert_eq!(again, Offered::AlreadyThere { version: 1 }, "spaces are no words");
}

#[tokio::test]
async fn two_operators_at_once_register_one_version() {
    let (registry, own) = (registry().await, Own::fresh());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (registry, candidate) = (registry.clone(), own.with(&[A]));
        tasks.spawn(async move { registry.offer(&candidate, None).await.unwrap() });
    }
    tasks.join_all().await;
    assert_eq!(registry.versions(&own.with(&[A]).type_name).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_registry_that_is_away_is_told_as_away() {
    let registry = Schemas::new("http://127.0.0.1:1/apis/ccompat/v7").unwrap();
    let error = registry.offer(&Own::fresh().with(&[A]), None).await.unwrap_err();
    let OfferError::Registry { source: RegistryError::Away { .. }, .. } = error else {
        panic!("{error:?}")
    };
    assert!(matches!(registry.catalog().await, Err(RegistryError::Away { .. })));
}
