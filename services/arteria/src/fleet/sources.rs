//! What the view of the fleet is made of: presence off the log, the read models' own positions and
//! open requests out of Postgres, and what agents told the edges. What does not answer is named and
//! left out: a view with a gap helps more than none, if nobody can take the gap for an answer.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::future::{join_all, try_join_all};
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

/// The whole presence topic of 50,000 units is read in a few seconds. Brokers that do not answer at
/// all are given up after ten; a registry that is away would be waited for without an end.
const PRESENCE_WITHIN: Duration = Duration::from_secs(20);
/// An edge that answers at all answers in milliseconds.
const EDGE_WITHIN: Duration = Duration::from_secs(5);
/// One question for each domain at once, and one over.
const CONNECTIONS_MAX: u32 = 8;

const POSTGRES: &str = "Postgres does not answer as it should";

/// What was found out, as of `now`. None is what could not be asked; what was asked and is not
/// there is an empty map.
pub struct Found {
    pub now: Timestamp,
    pub presence: Option<HashMap<UnitId, (Presence, bool)>>,
    pub rows: Option<HashMap<UnitId, UnitRow>>,
    /// Of every domain, or of none.
    pub standings: Option<Standings>,
    pub open: Option<HashMap<UnitId, OpenRequests>>,
    pub vitals: HashMap<UnitId, Vitals>,
    /// A sentence for each source that did not answer.
    pub missing: Vec<String>,
}

pub type Standings = Vec<(&'static str, HashMap<UnitId, Standing>)>;

impl Found {
    /// Whether anybody answered who knows the names of the units.
    pub fn is_a_view(&self) -> bool {
        self.presence.is_some() || self.rows.is_some()
    }
}

/// Asks everybody. An edge is a host and a port.
pub async fn ask(settings: &Settings, edges: &[String]) -> Result<Found> {
    let clock = Clock::system();
    let pool = kit_store::read_pool(&settings.postgres_url, "arteria-fleet", CONNECTIONS_MAX)?;
    let now = clock.now();
    let (presence, rows, standings, open, (vitals, silent)) = tokio::join!(
        presence(settings, clock),
        registry(&pool),
        standings(&pool),
        requests_store::open_by_unit(&pool, now),
        vitals(edges),
    );
    let mut gaps = Gaps::default();
    let mut found = Found {
        now,
        presence: gaps.or_none("who is online", presence),
        rows: gaps.or_none("the list of units", rows.context(POSTGRES)),
        standings: gaps.or_none("how far the read models are", standings.context(POSTGRES)),
        open: gaps.or_none("which requests are open", open.context(POSTGRES)),
        vitals,
        missing: Vec::new(),
    };
    found.missing = gaps.sentences().chain(silent).collect();
    Ok(found)
}

/// What is not known, by why: a database that is away is one sentence.
#[derive(Default)]
struct Gaps(Vec<(String, anyhow::Error, Vec<&'static str>)>);

impl Gaps {
    fn or_none<T>(&mut self, what: &'static str, answer: Result<T>) -> Option<T> {
        let error = match answer {
            Ok(answer) => return Some(answer),
            Err(error) => error,
        };
        let root = error.root_cause().to_string();
        match self.0.iter_mut().find(|(known, ..)| *known == root) {
            Some((.., whats)) => whats.push(what),
            None => self.0.push((root, error, vec![what])),
        }
        None
    }

    fn sentences(self) -> impl Iterator<Item = String> {
        let sentence = |(_, error, whats): (_, anyhow::Error, Vec<_>)| {
            format!("not known: {}: {error:#}", whats.join(", "))
        };
        self.0.into_iter().map(sentence)
    }
}

/// Folds the whole topic, as a gateway does when it starts.
async fn presence(settings: &Settings, clock: Clock) -> Result<HashMap<UnitId, (Presence, bool)>> {
    let view = PresenceView::default();
    let folding = fold(settings, view.clone(), clock.clone());
    let Ok(folded) = tokio::time::timeout(PRESENCE_WITHIN, folding).await else {
        let seconds = PRESENCE_WITHIN.as_secs();
        bail!("presence was not read within {seconds} s; does the schema registry answer?");
    };
    folded?;
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

/// Reads until the ends as they are now. Dropped, it reads no more.
async fn fold(settings: &Settings, view: PresenceView, clock: Clock) -> Result<()> {
    let bus = Bus::connect(&bus_config(settings))
        .await
        .with_context(|| format!("Kafka at {} does not answer as it should", settings.kafka))?;
    let (reader, caught_up) = PresenceReader::start(&bus, view, clock).await?;
    tokio::select! {
        ended = reader.run(CancellationToken::new()) => ended,
        reached = caught_up => reached.context("the reader of presence ended"),
    }
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

async fn standings(pool: &PgPool) -> Result<Standings> {
    let domains = projector::domains::ALL.iter().map(|domain| domain.schema());
    let asked = domains.map(|domain| async move {
        anyhow::Ok((domain, kit_store::standings(pool, domain).await?))
    });
    try_join_all(asked).await
}

async fn vitals(edges: &[String]) -> (HashMap<UnitId, Vitals>, Vec<String>) {
    let pages = join_all(edges.iter().map(|edge| page(edge))).await;
    let (mut found, mut missing) = (HashMap::new(), Vec::new());
    for (edge, page) in edges.iter().zip(pages) {
        match page {
            Ok(page) => metrics_text::read(&page, &mut found),
            Err(error) => missing.push(format!(
                "not known: what agents told the edge at {edge}: {}",
                error.root_cause()
            )),
        }
    }
    (found, missing)
}

async fn page(edge: &str) -> Result<String> {
    let http = reqwest::Client::builder().timeout(EDGE_WITHIN).build()?;
    let mut answer = http.get(format!("http://{edge}/metrics")).send().await?.error_for_status()?;
    let mut page = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        anyhow::ensure!(page.len() + piece.len() <= PAGE_BYTES_MAX, "its page is too long");
        page.extend_from_slice(&piece);
    }
    String::from_utf8(page).context("its page is no text")
}
