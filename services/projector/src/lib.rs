//! The projector: facts off the log, rows into Postgres.
//!
//! One reader and one connection for each domain, so that a slow or halted domain holds up no
//! other, and each can be a process of its own (`--domain x`). A batch's rows, the units' numbers
//! and the log's offsets are committed in one transaction, and the offsets only from where this
//! process left them: a crash at any point loses all of it or none, and a second process for the
//! same domain finds out at its first commit and stops.
//!
//! That is also why these commits need not wait for the disk: what a crash of Postgres takes back,
//! it takes back together with the offsets, and the log gives it again.
//!
//! The host knows offsets, batches and states; which facts mean what is behind
//! [`kit_store::Projection`], and in which order a unit's facts are taken is
//! [`kit_store::Reading`]. It must never name a thing of a domain.
//!
//! | module | what it holds, in the order in which a record meets it |
//! |---|---|
//! | [`domains`] | the list of domains |
//! | [`host`] | [`Host`]: a domain's life across outages, halts and the drain |
//! | `session` | Assigned, Catching up, Live, Draining |
//! | `inflow` | the readers of one domain, and batches |
//! | `intake` | a record becomes a numbered fact, a request, or unreadable |
//! | `plan` | what a batch will write, by the reader rules |
//! | `commit` | one transaction |
//! | `repair` | what the keeper asks of units: resends, new epochs |
//! | `alarm` | what people must look at |

mod alarm;
mod commit;
pub mod domains;
mod error;
pub mod host;
mod inflow;
mod intake;
mod plan;
mod repair;
mod session;

use kit_bus::{Bus, BusConfig};
use kit_clock::Clock;
use kit_config::Settings;
use kit_lifecycle::Lifecycle;

pub use host::Host;
pub use repair::Pace;

/// Connects to the log and starts the domains, or the one that `only` names; returns once they run.
///
/// # Errors
/// The log is away, its topics are missing, or no domain has that name.
pub async fn run(settings: Settings, life: Lifecycle, only: Option<String>) -> anyhow::Result<()> {
    let chosen = domains::chosen(only.as_deref())?;
    let config = BusConfig {
        brokers: settings.kafka,
        registry_url: settings.registry_url,
        topic_prefix: settings.topic_prefix,
        partitions: settings.partitions,
    };
    let bus = Bus::connect(&config).await?;
    let host = Host::new(bus, settings.postgres_url, Clock::system());
    for domain in chosen {
        host.start(&life, domain);
    }
    Ok(())
}
