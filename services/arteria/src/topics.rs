//! `arteria topics apply`: creates what is missing, says what differs, changes nothing that is
//! there.

use anyhow::{Context, Result};
use kit_bus::{BusConfig, NamespaceError, topics};
use kit_config::Settings;

use crate::schemas::domain_names;

#[derive(clap::Subcommand)]
pub enum Act {
    /// Creates missing topics; fails if one has another number of partitions.
    Apply,
}

pub async fn run(act: Act, settings: Settings) -> Result<()> {
    match act {
        Act::Apply => {
            let report = all(&settings).await?;
            for name in &report.created {
                println!("created  {name}");
            }
            for name in &report.already_there {
                println!("as it is {name}");
            }
            for difference in &report.differences {
                println!("differs  {difference}");
            }
            Ok(())
        }
    }
}

/// Applies and gives a word on it.
pub async fn apply(settings: &Settings) -> Result<String> {
    let report = all(settings).await.context("creating topics")?;
    for difference in &report.differences {
        tracing::warn!(difference, "a topic differs from the design");
    }
    Ok(format!("{} created, {} there", report.created.len(), report.already_there.len()))
}

/// The topics of the house, and the public one of each domain. Those of other namespaces are
/// created by the publisher, when their first event comes.
async fn all(settings: &Settings) -> Result<topics::Report> {
    let (config, replicas) = (bus_config(settings), settings.replication);
    let mut report = topics::apply_with(&config, replicas).await?;
    let namespaces: Vec<_> =
        domain_names().into_iter().map(str::parse).collect::<Result<_, NamespaceError>>()?;
    let public = topics::apply_public(&config, replicas, &namespaces).await?;
    report.created.extend(public.created);
    report.already_there.extend(public.already_there);
    report.differences.extend(public.differences);
    Ok(report)
}

/// How this network's log is reached.
pub fn bus_config(settings: &Settings) -> BusConfig {
    BusConfig {
        brokers: settings.kafka.clone(),
        registry_url: settings.registry_url.clone(),
        topic_prefix: settings.topic_prefix.clone(),
        partitions: settings.partitions,
    }
}
