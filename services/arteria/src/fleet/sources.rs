//! What the view of the fleet is made of: presence off the log, the read models' own positions and
//! open requests out of Postgres, and what agents told the edges. What does not answer is named and
//! left out: a view with a gap helps more than none.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::join_all;
use gateway::presence::{PresenceReader, PresenceView};
use kit_bus::Bus;
use kit_clock::Clock;
use kit_config::Settings;
use kit_event::{Timestamp, UnitId};
use kit_store::{PAGE_ITEMS_MAX, Standing};
use requests_store::OpenRequests;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use units::Presence;
use units_store::UnitRow;

use super::metrics_text::{self, PAGE_BYTES_MAX, Vitals};
use crate::topics::bus_config;

/// The whole presence topic of 50,000 units is read in a few seconds.
const PRESENCE_WITHIN: Duration = Duration::from_secs(20);
/// An edge that answers at all answers in milliseconds.
const EDGE_WITHIN: Duration = Duration::from_secs(5);
/// One question for each domain at once, and one over.
const CONNECTIONS_MAX: u32 = 8;

/// What was found out, as of `now`.
pub struct Found {
    pub now: Timestamp,
    pub presence: HashMap<UnitId, (Presence, bool)>,
    pub rows: HashMap<UnitId, UnitRow>,
    pub standings: Vec<(&'static str, HashMap<UnitId, Standing>)>,
    pub open: HashMap<UnitId, OpenRequests>,
    pub vitals: HashMap<UnitId, Vitals>,
    pub missing: Vec<String>,
}

/// Asks everybody.
pub async fn ask(settings: &Settings, edges: &[SocketAddr]) -> Result<Found> {
    let clock = Clock::system();
    let pool = kit_store::read_pool(&settings.postgres_url, "arteria-fleet", CONNECTIONS_MAX)?;
    let now = clock.now();
    let (presence, rows, standings, open, told) = tokio::join!(
        presence(settings, clock),
        registry(&pool),
        standings(&pool),
        requests_store::open_by_unit(&pool, now),
        vitals(edges),
    );
    let mut missing = Vec::new();
    let mut or_none = |what: &str, error: String| missing.push(format!("{what}: {error}"));
    let presence = presence.unwrap_or_else(|error| {
        or_none("who is online is not known", format!("{error:#}"));
        HashMap::new()
    });
    let rows = rows.unwrap_or_else(|error| {
        or_none("the registry does not answer", format!("{error:#}"));
        HashMap::new()
    });
    let open = open.unwrap_or_else(|error| {
        or_none("open requests are not known", format!("{:#}", anyhow::Error::new(error)));
        HashMap::new()
    });
    let (standings, silent) = standings;
    missing.extend(silent);
    let (vitals, silent) = told;
    missing.extend(silent);
    Ok(Found { now, presence, rows, standings, open, vitals, missing })
}

/// Folds the whole topic, as a gateway does when it starts.
async fn presence(settings: &Settings, clock: Clock) -> Result<HashMap<UnitId, (Presence, bool)>> {
    let bus = Bus::connect(&bus_config(settings)).await?;
    let view = PresenceView::default();
    let (reader, caught_up) = PresenceReader::start(&bus, view.clone(), clock.clone()).await?;
    let stop = CancellationToken::new();
    let reading = tokio::spawn(reader.run(stop.clone()));
    let read = tokio::time::timeout(PRESENCE_WITHIN, caught_up).await;
    stop.cancel();
    reading.await??;
    read.context("reading presence took too long")??;
    let now = clock.now();
    let all = view.all().into_iter();
    Ok(all
        .map(|presence| {
            let unit = presence.unit_id.clone();
            let online = view.is_online(&unit, now);
            (unit, (presence, online))
        })
        .collect())
}

async fn registry(pool: &PgPool) -> Result<HashMap<UnitId, UnitRow>> {
    let (mut rows, mut after) = (HashMap::new(), None);
    loop {
        let page = units_store::units(pool, None, after.as_deref(), PAGE_ITEMS_MAX).await?;
        rows.extend(page.items.into_iter().map(|row| (row.unit.clone(), row)));
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(rows),
        }
    }
}

type Standings = Vec<(&'static str, HashMap<UnitId, Standing>)>;

async fn standings(pool: &PgPool) -> (Standings, Vec<String>) {
    let domains = projector::domains::ALL.iter().map(|domain| domain.schema());
    let asked =
        domains.map(|domain| async move { (domain, kit_store::standings(pool, domain).await) });
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for (domain, standing) in join_all(asked).await {
        match standing {
            Ok(standing) => found.push((domain, standing)),
            Err(error) => missing
                .push(format!("how {domain} stands is not known: {:#}", anyhow::Error::new(error))),
        }
    }
    (found, missing)
}

async fn vitals(edges: &[SocketAddr]) -> (HashMap<UnitId, Vitals>, Vec<String>) {
    let pages = join_all(edges.iter().map(|edge| page(*edge))).await;
    let (mut found, mut missing) = (HashMap::new(), Vec::new());
    for (edge, page) in edges.iter().zip(pages) {
        match page {
            Ok(page) => metrics_text::read(&page, &mut found),
            Err(error) => missing.push(format!("the edge at {edge} does not tell: {error:#}")),
        }
    }
    (found, missing)
}

async fn page(edge: SocketAddr) -> Result<String> {
    let http = reqwest::Client::builder().timeout(EDGE_WITHIN).build()?;
    let mut answer = http.get(format!("http://{edge}/metrics")).send().await?.error_for_status()?;
    let mut page = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        anyhow::ensure!(page.len() + piece.len() <= PAGE_BYTES_MAX, "its page is too long");
        page.extend_from_slice(&piece);
    }
    String::from_utf8(page).context("its page is no text")
}
