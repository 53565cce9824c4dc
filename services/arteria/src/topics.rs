//! `arteria topics apply`: creates what is missing, says what differs, changes nothing that is
//! there.

use anyhow::{Context, Result};
use kit_bus::{BusConfig, topics};
use kit_config::Settings;

#[derive(clap::Subcommand)]
pub enum Act {
    /// Creates the topics that are missing; refuses another partition count.
    Apply,
}

pub async fn run(act: Act, settings: Settings) -> Result<()> {
    match act {
        Act::Apply => {
            let report = topics::apply_with(&bus_config(&settings), settings.replication).await?;
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
    let report = topics::apply_with(&bus_config(settings), settings.replication)
        .await
        .context("creating topics")?;
    for difference in &report.differences {
        tracing::warn!(difference, "a topic differs from the design");
    }
    Ok(format!("{} created, {} there", report.created.len(), report.already_there.len()))
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
