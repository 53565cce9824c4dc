//! The long-running roles: start the life, run the host, wait for the drain.

use anyhow::Result;
use kit_config::Settings;
use kit_lifecycle::Lifecycle;

pub async fn gateway(settings: Settings) -> Result<()> {
    let life = Lifecycle::start()?;
    life.serve_admin(settings.gateway_admin_addr).await?;
    gateway::run(settings, life.clone()).await?;
    Ok(life.drain().await?)
}

pub async fn edge(settings: Settings) -> Result<()> {
    let life = Lifecycle::start()?;
    life.serve_admin(settings.edge_admin_addr).await?;
    edge::run(settings, life.clone()).await?;
    Ok(life.drain().await?)
}

pub async fn projector(settings: Settings, domain: Option<String>) -> Result<()> {
    let life = Lifecycle::start()?;
    life.serve_admin(settings.projector_admin_addr).await?;
    projector::run(settings, life.clone(), domain).await?;
    Ok(life.drain().await?)
}

pub async fn publisher(settings: Settings) -> Result<()> {
    let life = Lifecycle::start()?;
    life.serve_admin(settings.publisher_admin_addr).await?;
    publisher::run(settings, life.clone()).await?;
    Ok(life.drain().await?)
}
