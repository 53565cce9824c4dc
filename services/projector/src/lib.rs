//! The projector: facts off the log, rows into Postgres.
//!
//! One connection for each domain, and one reader of the facts for all of a process, which lets go
//! of whoever keeps the others waiting: a slow or halted domain holds up no other, and each can be
//! a process of its own (`--domain x`). A batch's rows, the units' numbers and the log's offsets
//! are committed in one transaction, and the offsets only from where this process left them: a
//! crash at any point loses all of it or none, and a second process for the same domain finds out
//! at its first commit and stops.
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
//! | `feed`, `facts` | one reader for all domains, and each domain's way to it |
//! | `lazy_record` | a record, opened at most once for all domains |
//! | `batch_reader` | facts and requests of one domain, in batches |
//! | `intake` | a record becomes a numbered fact, a request, or unreadable |
//! | `plan` | what a batch will write, by the reader rules |
//! | `table_writer` | writes one copy of a domain's tables |
//! | `commit` | one transaction |
//! | `repair` | what the coordinator asks of units: resends, new epochs |
//! | [`rebuild`] | a fresh copy beside the live one, and the way back |
//! | `metrics` | what it tells about itself |
//! | `standing` | how far its domains are on the log, and how long readers trail it |
//! | `traced` | steps of traces |
//! | `alarm` | what people must look at |

#![cfg_attr(
    test,
    expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "numbers of a test are small"
    )
)]

mod alarm;
mod batch_reader;
mod commit;
pub mod domains;
mod error;
mod facts;
mod feed;
pub mod host;
mod intake;
mod lazy_record;
mod metrics;
mod plan;
pub mod rebuild;
mod repair;
mod session;
mod spacing;
mod standing;
mod table_writer;
mod traced;

use kit_bus::{Bus, BusConfig, Topic};
use kit_clock::Clock;
use kit_config::Settings;
use kit_lifecycle::{Lifecycle, Need};

pub use host::Host;
pub use rebuild::Rebuild;
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
    watch_over(&life, &host.bus, &host.postgres_url)?;
    metrics::describe(&chosen);
    host.tell_standing(&life);
    for domain in chosen {
        host.start(&life, domain);
    }
    Ok(())
}

/// Without the log or Postgres nothing becomes visible. Without the registry, types that were met
/// before go on.
fn watch_over(life: &Lifecycle, bus: &Bus, postgres_url: &str) -> anyhow::Result<()> {
    let schemas = bus.schemas().clone();
    life.watch("registry", Need::Part, move || {
        let schemas = schemas.clone();
        async move { schemas.answers().await }
    });
    let (bus, pool) =
        (bus.clone(), kit_store::read_pool(postgres_url, "arteria-projector-look", 1)?);
    life.watch("kafka", Need::Whole, move || {
        let bus = bus.clone();
        async move { bus.watermarks(Topic::Facts, 0).await.is_ok() }
    });
    life.watch("postgres", Need::Whole, move || {
        let pool = pool.clone();
        async move { sqlx::query("select 1").execute(&pool).await.is_ok() }
    });
    Ok(())
}
