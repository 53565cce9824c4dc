//! What each topic must be: creating the missing, reporting the different.
//!
//! A topic that exists is never changed from here. Its partition count cannot change at all, since
//! that would part a unit from its own past; a differing setting is an operator's decision, and is
//! told in plain words.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::bus::{blocking, know_topics};
use crate::client;
use crate::config::{BusConfig, Topic};
use crate::error::BusError;
use crate::namespace::Namespace;

/// Creating or describing topics; a broker under load takes a second for five of 64 partitions.
pub const ADMIN_MS_MAX: u64 = 30_000;
/// A created topic is seen by every client a moment later; this is how long that moment may be.
pub const SEEN_MS_MAX: u64 = 30_000;
/// The pause between two looks for created topics.
const LOOK_EVERY_MS: u64 = 50;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// What applying did, and what it found different.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Names of the topics created.
    pub created: Vec<String>,
    /// Names of the topics that were there.
    pub already_there: Vec<String>,
    /// What differs in those, in plain words. Nothing was changed.
    pub differences: Vec<String>,
}

/// The settings of a topic that are part of the design.
#[must_use]
pub fn settings(topic: Topic, replicas: i32) -> Vec<(&'static str, String)> {
    let delete_after = |ms: u64, segment_ms: u64| {
        vec![
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", ms.to_string()),
            // Only a closed segment is ever deleted; without a bound a quiet topic keeps a week.
            ("segment.ms", segment_ms.to_string()),
        ]
    };
    let mut settings = match topic {
        Topic::Requests => delete_after(8 * DAY_MS, DAY_MS),
        Topic::Replies => delete_after(4 * HOUR_MS, HOUR_MS),
        Topic::Parked => delete_after(30 * DAY_MS, DAY_MS),
        // The history of a public topic is as long as the record's, so that an analyst who comes
        // late need ask nobody; a shorter one is an operator's policy.
        Topic::Facts | Topic::Domain(_) => vec![
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", "-1".to_owned()),
            ("retention.bytes", "-1".to_owned()),
        ],
        Topic::Presence => vec![
            ("cleanup.policy", "compact".to_owned()),
            ("segment.ms", DAY_MS.to_string()),
            ("min.cleanable.dirty.ratio", "0.1".to_owned()),
            // By the answer to its liveness an edge learns what time it is for the network.
            ("message.timestamp.type", "LogAppendTime".to_owned()),
        ],
    };
    // A confirmed record is on two brokers wherever there are three.
    settings.push(("min.insync.replicas", if replicas >= 3 { "2" } else { "1" }.to_owned()));
    settings
}

/// Creates the missing topics with one replica, as development has one broker.
///
/// # Errors
/// As [`apply_with`].
pub async fn apply(config: &BusConfig) -> Result<Report, BusError> {
    apply_with(config, 1).await
}

/// Creates the missing topics with `replicas` replicas, and says what differs in the others.
///
/// # Errors
/// The brokers do not answer, or a topic has another partition count than is set; then nothing is
/// created.
pub async fn apply_with(config: &BusConfig, replicas: i32) -> Result<Report, BusError> {
    apply_to(config, replicas, Topic::ALL.to_vec()).await
}

/// The same for the public topics of these namespaces, which may be created at any time: whoever
/// first publishes for one creates it.
///
/// # Errors
/// As [`apply_with`].
pub async fn apply_public(
    config: &BusConfig,
    replicas: i32,
    namespaces: &[Namespace],
) -> Result<Report, BusError> {
    apply_to(config, replicas, namespaces.iter().copied().map(Topic::Domain).collect()).await
}

async fn apply_to(
    config: &BusConfig,
    replicas: i32,
    topics: Vec<Topic>,
) -> Result<Report, BusError> {
    let admin: AdminClient<DefaultClientContext> = client::config(&config.brokers, "admin")
        .create()
        .map_err(|source| BusError::Client { client: "admin".to_owned(), source })?;
    let names: Vec<_> =
        topics.into_iter().map(|topic| (topic, topic.name(&config.topic_prefix))).collect();
    let (asked, wanted) = (config.clone(), names.clone());
    let (admin, there) =
        blocking("asking for topics", move || (there(&admin, &asked, &wanted), admin))
            .await
            .map(flip)?;
    let there = there?;
    let mut report = Report::default();
    for (topic, name) in names.clone() {
        if there.contains(&topic) {
            report.differences.extend(differences(&admin, topic, &name, replicas).await?);
            report.already_there.push(name);
        } else {
            create(&admin, topic, &name, config.partitions, replicas).await?;
            report.created.push(name);
        }
    }
    let asked = config.clone();
    let names: Vec<_> = names.into_iter().map(|(_, name)| name).collect();
    blocking("waiting for created topics", move || wait_until_seen(&admin, &asked, &names))
        .await??;
    Ok(report)
}

fn flip<A, B>((one, two): (A, B)) -> (B, A) {
    (two, one)
}

fn options() -> AdminOptions {
    let timeout = Duration::from_millis(ADMIN_MS_MAX);
    AdminOptions::new().operation_timeout(Some(timeout)).request_timeout(Some(timeout))
}

/// The topics that exist, all with the right partition count.
fn there(
    admin: &AdminClient<DefaultClientContext>,
    config: &BusConfig,
    names: &[(Topic, String)],
) -> Result<Vec<Topic>, BusError> {
    let metadata = admin.inner().fetch_metadata(None, Duration::from_millis(ADMIN_MS_MAX));
    let metadata = metadata
        .map_err(|source| BusError::Metadata { brokers: config.brokers.clone(), source })?;
    let mut there = Vec::new();
    for (topic, name) in names {
        let Some(found) = metadata.topics().iter().find(|found| found.name() == name) else {
            continue;
        };
        let (found, wanted) = (crate::partition::count(found), config.partitions);
        if found != wanted {
            return Err(BusError::Partitions { name: name.clone(), found, wanted });
        }
        there.push(*topic);
    }
    Ok(there)
}

async fn create(
    admin: &AdminClient<DefaultClientContext>,
    topic: Topic,
    name: &str,
    partitions: i32,
    replicas: i32,
) -> Result<(), BusError> {
    let failed = |source| BusError::Admin { name: name.to_owned(), source };
    let settings = settings(topic, replicas);
    let mut new = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
    for (key, value) in &settings {
        new = new.set(key, value);
    }
    for result in admin.create_topics([&new], &options()).await.map_err(failed)? {
        match result {
            // Somebody else was faster; what they made is looked at on the next run.
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(failed(KafkaError::AdminOp(code))),
        }
    }
    Ok(())
}

async fn differences(
    admin: &AdminClient<DefaultClientContext>,
    topic: Topic,
    name: &str,
    replicas: i32,
) -> Result<Vec<String>, BusError> {
    let failed = |source| BusError::Admin { name: name.to_owned(), source };
    let asked = [ResourceSpecifier::Topic(name)];
    let mut differences = Vec::new();
    for described in admin.describe_configs(&asked, &options()).await.map_err(failed)? {
        let described = described.map_err(|code| failed(KafkaError::AdminOp(code)))?;
        for (key, wanted) in settings(topic, replicas) {
            let found = described.get(key).and_then(|entry| entry.value.clone());
            let found = found.unwrap_or_else(|| "not set".to_owned());
            if found != wanted {
                differences.push(format!("topic {name}: {key} is {found}, should be {wanted}"));
            }
        }
    }
    Ok(differences)
}

fn wait_until_seen(
    admin: &AdminClient<DefaultClientContext>,
    config: &BusConfig,
    names: &[String],
) -> Result<(), BusError> {
    let deadline = Instant::now() + Duration::from_millis(SEEN_MS_MAX);
    loop {
        match know_topics(admin.inner(), config, names, deadline) {
            Err(BusError::TopicsMissing { .. } | BusError::Partitions { .. })
                if Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(LOOK_EVERY_MS));
            }
            other => return other,
        }
    }
}
