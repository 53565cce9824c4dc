//! The publisher: the record of all units, told to the world outside in its public form.
//!
//! `unit.facts` is the house's own. What analysts and integrators read is `domain.<namespace>`: the
//! same events, minimised, in order per unit, each once. Each partition of the record has a lane,
//! a task of its own, which takes a batch by the rules of every reader ([`kit_store::Reading`]),
//! writes it to the same partition number of the public topics, waits until the brokers have all of
//! it, and only then stores how far it is. A record carries the offset that let it be told; after a
//! crash a lane goes on at its checkpoint, and the tails of the public topics say which of the
//! events behind it were told already. So a crash at any point leaves no hole and no double.
//!
//! It rests on three things. The producer is gapless: nothing overtakes a record, so what a crash
//! leaves on a partition is a beginning of what was enqueued. The checkpoint is stored last. And it
//! is conditional: a second publisher takes the work over, and the first ends at its next
//! checkpoint; only between the two may an event come twice, under the same id.
//!
//! What of a fact may be told is decided in its domain ([`kit_event::Domain::publish`]); of a type
//! that no domain knows it is what its schema marks. The host knows offsets, tails and topics. It
//! must never name a thing of a domain, and never put into a log line what stood in a body.
//!
//! | module | what it holds, in the order in which a record meets it |
//! |---|---|
//! | [`host`] | [`Host`]: sessions across outages, and the drain |
//! | `session` | one session: position, tails, lanes, and who feeds them |
//! | `tails` | what was told already behind the checkpoints |
//! | `lane` | the life of one partition |
//! | `intake` | a record becomes a numbered fact, or counts as not received |
//! | `plan` | what a batch tells, by the reader rules |
//! | `forms` | the public form of a fact, its schema and its topic |
//! | `checkpoint` | positions, numbers and held records, in one conditional transaction |
//! | [`failpoints`] | where tests kill the process |
//! | `alarm`, `metrics` | what people must look at, and what dashboards show |
//! | [`asyncapi`] | the public topics as a document |

mod alarm;
pub mod asyncapi;
mod checkpoint;
mod error;
pub mod failpoints;
mod forms;
pub mod host;
mod intake;
mod lane;
mod metrics;
mod plan;
mod session;
mod tails;
mod yaml;

use kit_bus::{Bus, BusConfig, Delivering, Topic};
use kit_clock::Clock;
use kit_config::Settings;
use kit_lifecycle::{Lifecycle, Need};

pub use host::Host;

/// Connects to the log and starts publishing; returns once it runs.
///
/// # Errors
/// The log is away, or its topics are missing.
pub async fn run(settings: Settings, life: Lifecycle) -> anyhow::Result<()> {
    metrics::describe();
    let config = BusConfig {
        brokers: settings.kafka,
        registry_url: settings.registry_url,
        topic_prefix: settings.topic_prefix,
        partitions: settings.partitions,
    };
    let bus = Bus::connect_with(&config, Delivering::Gapless).await?;
    watch_over(&life, &bus, &settings.postgres_url)?;
    let host = Host::new(bus, settings.postgres_url, settings.replication, Clock::system());
    host.start(&life);
    Ok(())
}

/// Without the log or the checkpoints nothing is told. Without the registry, types that were met
/// before go on.
fn watch_over(life: &Lifecycle, bus: &Bus, postgres_url: &str) -> anyhow::Result<()> {
    let schemas = bus.schemas().clone();
    life.watch("registry", Need::Part, move || {
        let schemas = schemas.clone();
        async move { schemas.answers().await }
    });
    let (bus, pool) =
        (bus.clone(), kit_store::read_pool(postgres_url, "arteria-publisher-look", 1)?);
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
