//! Topics are created once, and what differs is told.

use kit_bus::{Bus, BusConfig, BusError, Topic, topics};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;

use crate::config;

#[tokio::test]
async fn applying_twice_creates_once() {
    let config = config(3).await;
    let first = topics::apply(&config).await.unwrap();
    assert_eq!(first.created.len(), Topic::ALL.len());
    assert!(first.differences.is_empty());
    let second = topics::apply(&config).await.unwrap();
    assert_eq!(second.already_there, first.created);
    assert!(second.created.is_empty() && second.differences.is_empty(), "{second:?}");
    assert_eq!(Bus::connect(&config).await.unwrap().partitions(), 3);
}

#[tokio::test]
async fn another_partition_count_is_refused_with_both_numbers() {
    let config = config(2).await;
    topics::apply(&config).await.unwrap();
    let other = BusConfig { partitions: 5, ..config };
    let error = topics::apply(&other).await.unwrap_err();
    assert!(matches!(error, BusError::Partitions { found: 2, wanted: 5, .. }), "{error}");
    let error = Bus::connect(&other).await.err().unwrap();
    assert!(error.to_string().contains("has 2 partitions, the setting asks for 5"), "{error}");
}

#[tokio::test]
async fn a_differing_setting_is_told_and_left_alone() {
    let config = config(1).await;
    topics::apply(&config).await.unwrap();
    let name = Topic::Facts.name(&config.topic_prefix);
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &config.brokers).create().unwrap();
    let forgetful = AlterConfig::new(ResourceSpecifier::Topic(&name)).set("retention.ms", "1000");
    admin.alter_configs(&[forgetful], &AdminOptions::new()).await.unwrap();
    let expected = format!("topic {name}: retention.ms is 1000, should be -1");
    for _ in 0..2 {
        let report = topics::apply(&config).await.unwrap();
        assert!(report.differences.contains(&expected), "{report:?}");
    }
}

#[tokio::test]
async fn missing_topics_are_named_at_connect() {
    let config = config(1).await;
    let error = Bus::connect(&config).await.err().unwrap();
    let BusError::TopicsMissing { names } = &error else { panic!("{error}") };
    assert_eq!(names.len(), Topic::ALL.len());
    assert!(error.to_string().contains("arteria topics apply"), "{error}");
}
