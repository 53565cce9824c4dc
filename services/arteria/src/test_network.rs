//! `arteria with-network`: a command against a network of its own, on free ports.
//!
//! Tests and benchmarks share one running network and own their units; the network's addresses
//! reach them as `ARTERIA_TEST_*`. Its home is a fresh folder under `target`, deleted when the
//! command has succeeded and kept for a look when it has failed.

use std::process::ExitCode;

use anyhow::{Context, Result};
use kit_clock::Clock;
use kit_config::Settings;
use kit_lifecycle::Lifecycle;
use kit_stack::{StackConfig, free_addr};
use kit_token::{Issuer, Kind};

use crate::network::Network;

/// A token of the shared network lives as long as the longest test run.
const TOKEN_TTL: std::time::Duration = std::time::Duration::from_hours(3);
/// One seeded clinic for whoever needs no unit of their own (the benchmark).
const UNITS: u32 = 1;

pub async fn run(mut settings: Settings, command: Vec<String>) -> Result<ExitCode> {
    let life = Lifecycle::start()?;
    let home = std::path::absolute(format!("target/networks/{}", std::process::id()))?;
    let stack = StackConfig::on_free_ports(&home)?;
    settings.gateway_addr = free_addr();
    settings.edge_addr = free_addr();
    settings.gateway_admin_addr = free_addr();
    settings.edge_admin_addr = free_addr();
    settings.projector_admin_addr = free_addr();
    settings.publisher_admin_addr = free_addr();
    settings.keys_dir = home.join("keys");
    settings.units = UNITS;
    let soft = life.soft();
    let starting = Network::start(settings, stack, &|line| eprintln!("network: {line}"));
    let network = tokio::select! {
        network = starting => network?,
        () = soft.cancelled() => return Ok(ExitCode::FAILURE),
    };
    let mut child = tokio::process::Command::new(&command[0])
        .args(&command[1..])
        .envs(addresses(&network)?)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("running {}", command[0]))?;
    let status = tokio::select! {
        status = child.wait() => Some(status.context("waiting for the command")?),
        () = soft.cancelled() => None,
    };
    network.supervisor.shutdown().await;
    drop(network);
    if status.is_some_and(|status| status.success()) {
        std::fs::remove_dir_all(&home).context("deleting the network's folder")?;
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("network: its logs stay in {}", home.join("logs").display());
    Ok(ExitCode::FAILURE)
}

/// What tests are told.
fn addresses(network: &Network) -> Result<Vec<(&'static str, String)>> {
    let settings = &network.settings;
    let units = network.units()?;
    let issuer = Issuer::open(&settings.keys_dir, settings.production)?;
    let now = Clock::system().now();
    let token = issuer.issue(Kind::Staff, "test-network", &units, None, TOKEN_TTL, now)?;
    Ok(vec![
        ("ARTERIA_TEST_HOME", settings.home.display().to_string()),
        ("ARTERIA_TEST_KEYS", settings.keys_dir.display().to_string()),
        ("ARTERIA_TEST_KAFKA", settings.kafka.clone()),
        ("ARTERIA_TEST_REGISTRY", settings.registry_url.clone()),
        ("ARTERIA_TEST_POSTGRES", settings.postgres_url.clone()),
        ("ARTERIA_TEST_GATEWAY", format!("http://{}", settings.gateway_addr)),
        ("ARTERIA_TEST_EDGE", format!("ws://{}", settings.edge_addr)),
        ("ARTERIA_TEST_PROJECTOR_ADMIN", format!("http://{}", settings.projector_admin_addr)),
        ("ARTERIA_TEST_UNIT", units[0].to_string()),
        ("ARTERIA_TEST_STAFF_TOKEN", token),
    ])
}
