//! The three servers together: which of them already run, which must be started, and with what.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::config::{Addresses, StackConfig};
use crate::error::StackError;
use crate::ports::holder_of;
use crate::probe::{Answer, Probe};
use crate::process::ProcessSpec;
use crate::supervisor::Supervisor;
use crate::{kafka, postgres, registry};

/// The names of the three servers' processes.
pub const KAFKA: &str = "kafka";
pub const REGISTRY: &str = "registry";
pub const POSTGRES: &str = "postgres";

/// Somebody else's server that is just starting gets this long before its address counts as taken
/// by a stranger.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const ASK_EVERY: Duration = Duration::from_millis(100);

/// The local stack, running: the servers, and the supervisor to which roles may be added.
#[derive(Debug)]
pub struct Stack {
    pub supervisor: Supervisor,
    pub addresses: Addresses,
}

impl Stack {
    /// Takes the home, starts the servers that do not yet answer, and returns when all three are
    /// ready.
    pub async fn up(config: &StackConfig) -> Result<Self, StackError> {
        let supervisor = Supervisor::open(&config.home)?;
        let servers = server_processes(config).await?;
        supervisor.start_wave(servers).await?;
        Ok(Self { supervisor, addresses: config.addresses().clone() })
    }
}

/// Names the servers that must be started, formatted and initialised where that was not yet done.
///
/// A server that already answers at its configured address is not among them. Call it after
/// [`Supervisor::open`], which ends what an earlier run left: a leftover would answer too, and then
/// nobody would restart it.
pub async fn server_processes(config: &StackConfig) -> Result<Vec<ProcessSpec>, StackError> {
    let subjects = Probe::Http(config.registry_addr, registry::READY_PATH.to_owned());
    let asked = [
        (KAFKA, config.kafka_addr, Probe::Kafka(config.kafka_addr), "ARTERIA_KAFKA"),
        (REGISTRY, config.registry_addr, subjects, "ARTERIA_REGISTRY"),
        (POSTGRES, config.postgres_addr, postgres::probe(config), "ARTERIA_POSTGRES"),
    ];
    let mut preparing = Vec::new();
    for (server, addr, probe, variable) in asked {
        if is_running(server, addr, &probe, variable).await? {
            tracing::info!(server, %addr, "already running, so it is used as it is");
            continue;
        }
        if !addr.ip().is_loopback() {
            let reason = "nothing answers".to_owned();
            return Err(StackError::RemoteServerAway { server, addr, reason });
        }
        let config = config.clone();
        preparing.push(tokio::task::spawn_blocking(move || match server {
            KAFKA => kafka::prepare(&config),
            REGISTRY => registry::prepare(&config),
            _ => postgres::prepare(&config),
        }));
    }
    let mut specs = Vec::new();
    for prepared in preparing {
        specs.push(prepared.await.expect("preparing a server does not panic")?);
    }
    Ok(specs)
}

async fn is_running(
    server: &'static str,
    addr: SocketAddr,
    probe: &Probe,
    variable: &'static str,
) -> Result<bool, StackError> {
    let since = Instant::now();
    loop {
        let reason = match probe.ask().await {
            Answer::Ready => return Ok(true),
            Answer::Away => return Ok(false),
            Answer::NotYet => "it did not become ready".to_owned(),
            Answer::Foreign(reason) => reason,
        };
        if since.elapsed() > ANSWER_WITHIN && !addr.ip().is_loopback() {
            return Err(StackError::RemoteServerAway { server, addr, reason });
        }
        if since.elapsed() > ANSWER_WITHIN {
            let holder = holder_of(addr);
            return Err(StackError::ForeignServer { server, addr, holder, reason, variable });
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}
