//! The edge: the network's end of the clinic link `unit.v1`.
//!
//! An edge turns sockets into the log and the log into sockets, and keeps nothing of a unit that
//! would be lost with it: facts are acknowledged only after the log has them, requests stay on the
//! log until the unit says that it is done with them, and where a unit stands is read from the log
//! when it connects. So any edge serves any unit, and one that dies is only a reason to connect to
//! another. It uses no consumer group: it assigns itself the partitions that have a unit connected
//! here.
//!
//! It must never know what a fact or a command means (bodies pass through as they are), hold a
//! queue of a unit without a bound, or let one unit's slowness reach another.
//!
//! | module | what it holds |
//! |---|---|
//! | [`listener`], [`places`] | sockets, the upgrade; how many there may be |
//! | [`handshake`] | from HELLO to WELCOME |
//! | [`on_log`], [`durable`] | what of a unit is on the log |
//! | [`facts_index`] | the same of all units of a partition, in one pass |
//! | [`link`] | a link's steady state and its end |
//! | [`session`] | what may follow what; pure |
//! | [`budget`] | what one unit may ask for in a time |
//! | [`codec`], [`fault`] | frames from text; the ends of a link, in words |
//! | [`wire`], [`heartbeat`] | the socket; its heartbeat |
//! | [`numbered`] | facts that cannot be carried as they came; pure |
//! | [`uplink`] | facts on their way to the log |
//! | [`withheld`] | what stands on the log where a fact cannot |
//! | [`tail`], [`backlog`], [`delivery_queue`], [`downlink`] | requests on their way down |
//! | [`traced`] | the edge's steps of a trace |
//! | [`presence`], [`connections`], [`watch`] | where units are, who is connected here |
//! | [`edge`], [`network_time`] | what all links share; what time it is |
//! | [`agent_metrics`], [`metrics`], [`lag`] | what a unit tells of itself; what the edge tells |
//! | [`limits`] | every number |

#![cfg_attr(
    test,
    expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::needless_pass_by_value,
        reason = "numbers of a test are small"
    )
)]

pub mod agent_metrics;
pub mod backlog;
pub mod budget;
pub mod codec;
pub mod connections;
pub mod delivery_queue;
pub mod downlink;
pub mod durable;
pub mod edge;
pub mod facts_index;
pub mod fault;
pub mod handshake;
pub mod heartbeat;
pub mod lag;
pub mod limits;
pub mod link;
pub mod listener;
pub mod metrics;
pub mod network_time;
pub mod numbered;
pub mod on_log;
pub mod places;
pub mod presence;
pub mod session;
pub mod tail;
pub mod traced;
pub mod uplink;
pub mod watch;
pub mod wire;
pub mod withheld;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use kit_bus::{Bus, BusConfig, ReaderOptions, Topic};
use kit_clock::Clock;
use kit_config::Settings;
use kit_lifecycle::{Lifecycle, Need};
use kit_token::{KeySource, Kind, Trusted, Verifier};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::edge::Edge;
use crate::limits::{
    HELLOS_MAX, READER_CHANNEL_RECORDS, SCANS_MAX, SCANS_WARM, TAIL_FETCH_WAIT_MS,
};

/// Starts an edge as `settings` say; it lives as long as `life`.
///
/// # Errors
/// The port is taken, the brokers do not answer, topics are missing, or the agents' keys do not
/// read.
pub async fn run(settings: Settings, life: Lifecycle) -> anyhow::Result<()> {
    start(settings, life).await.map(|_| ())
}

/// As [`run`]; gives the address that the edge listens on, for those who asked for port 0.
///
/// # Errors
/// As [`run`].
pub async fn start(settings: Settings, life: Lifecycle) -> anyhow::Result<SocketAddr> {
    start_with(settings, places::Places::default(), Clock::system(), life).await
}

/// As [`start`], with other bounds than the usual ones, and with another clock as the machine's.
///
/// # Errors
/// As [`run`].
pub async fn start_with(
    settings: Settings,
    places: places::Places,
    own: Clock,
    life: Lifecycle,
) -> anyhow::Result<SocketAddr> {
    metrics::describe();
    let addr = settings.edge_addr;
    let listener = TcpListener::bind(addr).await.with_context(|| format!("binding {addr}"))?;
    let addr = listener.local_addr()?;
    let (kafka, caught_up) = (life.readiness().latch("kafka"), life.readiness().latch("presence"));
    let edge = Arc::new(connect(&settings, own).await?);
    kafka.release();
    watch::learn_time(&edge).await;
    let presence = watch::presence_reader(&edge.bus).await?;
    let tail = edge.bus.reader(
        "edge-tail",
        ReaderOptions {
            fetch_wait_ms: TAIL_FETCH_WAIT_MS,
            channel_records: READER_CHANNEL_RECORDS,
            ..ReaderOptions::default()
        },
    )?;
    edge.scans.warm(SCANS_WARM).await?;
    let (one, soft) = (edge.clone(), life.soft());
    life.spawn("presence", async move {
        Ok(watch::watch_presence(one, presence, caught_up, soft).await?)
    });
    let (one, soft) = (edge.clone(), life.soft());
    life.spawn("tail", async move {
        tokio::select! {
            // A draining link fetches nothing new.
            () = soft.cancelled() => Ok(()),
            ended = one.tail.clone().run(tail) => Ok(ended?),
        }
    });
    life.spawn("lag", lag::measure_lag(edge.clone(), life.soft()));
    life.spawn("liveness", watch::say_alive(edge.clone(), life.soft()));
    life.spawn("door", open_listener(listener, places, edge.clone(), life.clone()));
    watch_over(&life, &edge.bus);
    tracing::info!(%addr, edge_id = edge.id, "the edge is up");
    Ok(addr)
}

/// Without the log there is nothing to pass on. Without the registry, types that were met before
/// go on.
fn watch_over(life: &Lifecycle, bus: &Bus) {
    let (bus, schemas) = (bus.clone(), bus.schemas().clone());
    life.watch("registry", Need::Part, move || {
        let schemas = schemas.clone();
        async move { schemas.answers().await }
    });
    life.watch("kafka", Need::Whole, move || {
        let bus = bus.clone();
        async move { bus.watermarks(Topic::Presence, 0).await.is_ok() }
    });
}

/// Lets agents in once it is known where every unit was last seen; until then they queue in the
/// listener's backlog.
async fn open_listener(
    listener: TcpListener,
    places: places::Places,
    edge: Arc<Edge>,
    life: Lifecycle,
) -> anyhow::Result<()> {
    let soft = life.soft();
    tokio::select! {
        () = soft.cancelled() => return Ok(()),
        () = edge.is_caught_up.cancelled() => {}
    }
    // Links, and what they publish, are tasks that the drain waits for, each with a bound.
    listener::keep(listener, places, edge, life).await;
    Ok(())
}

async fn connect(settings: &Settings, own: Clock) -> anyhow::Result<Edge> {
    let config = BusConfig {
        brokers: settings.kafka.clone(),
        registry_url: settings.registry_url.clone(),
        topic_prefix: settings.topic_prefix.clone(),
        partitions: settings.partitions,
    };
    let bus = Bus::connect(&config).await.context("connecting to the log")?;
    let agents = settings.key_source("agent").context("no key source for agents is set")?;
    let trusted = Trusted {
        kind: Kind::Agent,
        issuer: agents.issuer.clone(),
        keys: agents.jwks.parse::<KeySource>()?,
    };
    let verifier = Verifier::open(vec![trusted]).await.context("reading the agents' keys")?;
    let whereabouts = presence::Whereabouts::default();
    let time = Arc::new(network_time::NetworkTime::new(own));
    Ok(Edge {
        id: edge::edge_id(settings.edge_id.as_deref()),
        scans: bus.scans(SCANS_MAX),
        facts_index: facts_index::FactsIndex::new(bus.clone(), whereabouts.clone()),
        bus,
        clock: time.clock(),
        verifier,
        tail: tail::Tail::new(time.clone()),
        time,
        connections: connections::ConnectionRegistry::default(),
        whereabouts,
        budgets: budget::Budgets::default(),
        hellos: Semaphore::new(HELLOS_MAX),
        is_caught_up: CancellationToken::new(),
    })
}
