//! Birth and death of the process.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use kit_bus::{Bus, BusConfig, Topic};
use kit_clock::Clock;
use kit_config::Settings;
use kit_lifecycle::{Lifecycle, Need};
use kit_request::limits::Limits;
use kit_request::pending::Pending;
use kit_request::{Requests, counts};
use kit_rest::Rest;
use kit_rest::face::{Records, declared};
use kit_rest::reached::Reached;
use kit_store::{READ_CONNECTIONS_MAX, read_pool};
use kit_telemetry::chain;
use kit_token::{Kind, Trusted, Verifier};
use rand::Rng;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::Gateway;
use crate::presence::{PresenceReader, PresenceView};
use crate::replies::Replies;
use crate::streams::Streams;
use crate::watch::Watcher;

/// Pause before Postgres is asked again at the start.
const POSTGRES_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Serves REST until the process drains.
///
/// # Errors
/// Something that it cannot live without is not there.
pub async fn run(settings: Settings, life: Lifecycle) -> anyhow::Result<()> {
    let waits = life.readiness();
    let (kafka, postgres) = (waits.latch("kafka"), waits.latch("postgres"));
    let (presence_latch, http) = (waits.latch("presence"), waits.latch("http"));
    let clock = Clock::system();
    let verifier = Verifier::open(trusted(&settings)?).await?;
    let pool = read_pool(&settings.postgres_url, "arteria-gateway", READ_CONNECTIONS_MAX)?;
    let listener = kit_http::serve::bind(settings.gateway_addr).await?;

    let bus = Bus::connect(&bus_config(&settings)).await?;
    let pending = Pending::default();
    let reply_partition = reply_partition(&settings, bus.partitions());
    // We serve only once we can hear answers, and know who is connected.
    let replies = Replies::listen(&bus, reply_partition, pending.clone()).await?;
    let presence = PresenceView::default();
    let (presence_reader, caught_up) =
        PresenceReader::start(&bus, presence.clone(), clock.clone()).await?;
    kafka.release();

    // Both logs are heard until the last answer is given, which is after the soft token.
    let served = CancellationToken::new();
    life.spawn("replies", replies.run(served.clone()));
    life.spawn("presence", presence_reader.run(served.clone()));
    caught_up.await.context("catching up with presence")?;
    presence_latch.release();
    if !reach(&pool, &life).await {
        served.cancel();
        return Ok(());
    }
    postgres.release();

    watch_over(&life, &bus, &pool, reply_partition);
    describe();
    crate::metrics::describe();
    let streams = Streams::default();
    let book = all_rest::book(&pool);
    let watcher = Watcher::new(streams.clone(), pool.clone(), book.clone(), clock.clone());
    life.spawn("streams", watcher.run(served.clone()));
    let requests = Requests {
        clock,
        log: Arc::new(bus),
        book,
        records: Arc::new(Records { pool: pool.clone(), faces: &all_rest::ALL }),
        presence: Arc::new(presence.clone()),
        pending,
        limits: Limits::default(),
        reply_partition,
        unit_queue_max: settings.unit_queue_max,
        soft: life.soft(),
    };
    let declared = declared(&all_rest::ALL);
    let rest = Arc::new(Rest { verifier, requests, pool, declared, reached: Reached::default() });
    let gateway = Gateway { rest, presence, streams };
    let routes = crate::table::router(Arc::new(gateway));
    tracing::info!(addr = %settings.gateway_addr, reply_partition, "serving REST");
    http.release();
    kit_http::serve(listener, routes, life.soft(), life.hard()).await;
    served.cancel();
    Ok(())
}

/// Says what is counted, so that every series begins at 0.
fn describe() {
    let routes = crate::table::routes();
    counts::describe(routes.iter().filter_map(|route| Some(route.command?.type_name)));
    kit_http::observe::describe_metrics(
        routes.iter().map(|route| (route.method.as_str(), route.path)),
    );
}

/// Without the log only reads are left; without Postgres nothing is. Without the registry whatever
/// was met before goes on.
fn watch_over(life: &Lifecycle, bus: &Bus, pool: &PgPool, partition: i32) {
    let schemas = bus.schemas().clone();
    life.watch("registry", Need::Part, move || {
        let schemas = schemas.clone();
        async move { schemas.answers().await }
    });
    let (bus, pool) = (bus.clone(), pool.clone());
    life.watch("kafka", Need::Part, move || {
        let bus = bus.clone();
        async move { bus.watermarks(Topic::Replies, partition).await.is_ok() }
    });
    life.watch("postgres", Need::Whole, move || {
        let pool = pool.clone();
        async move { sqlx::query("select 1").execute(&pool).await.is_ok() }
    });
}

/// Waits until Postgres answers; false when the process drains first.
async fn reach(pool: &PgPool, life: &Lifecycle) -> bool {
    let soft = life.soft();
    loop {
        match sqlx::query("select 1").execute(pool).await {
            Ok(_) => return true,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "waiting for Postgres");
            }
        }
        tokio::select! {
            () = soft.cancelled() => return false,
            () = tokio::time::sleep(POSTGRES_AGAIN_AFTER) => {}
        }
    }
}

/// The issuers of everybody but agents, who have no business here.
fn trusted(settings: &Settings) -> anyhow::Result<Vec<Trusted>> {
    let kinds = [Kind::Staff, Kind::Patient, Kind::Partner, Kind::Admin];
    kinds
        .into_iter()
        .map(|kind| {
            let source = settings
                .key_source(kind.as_str())
                .with_context(|| format!("no key source for {kind} tokens"))?;
            let keys = source.jwks.parse()?;
            Ok(Trusted { kind, issuer: source.issuer.clone(), keys })
        })
        .collect()
}

fn bus_config(settings: &Settings) -> BusConfig {
    BusConfig {
        brokers: settings.kafka.clone(),
        registry_url: settings.registry_url.clone(),
        topic_prefix: settings.topic_prefix.clone(),
        partitions: settings.partitions,
    }
}

/// Any partition will do, because replies that nobody awaits are ignored; one of its own only
/// spares two gateways each other's replies.
fn reply_partition(settings: &Settings, partitions: i32) -> i32 {
    #[expect(clippy::disallowed_methods, reason = "drawn at the border")]
    let drawn = || rand::rng().random_range(0..partitions.max(1));
    settings.reply_partition.map_or_else(drawn, |named| named.rem_euclid(partitions.max(1)))
}
