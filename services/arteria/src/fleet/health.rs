//! A unit's state as the fleet's view shows it, and what ails it. Pure.

use std::collections::{BTreeSet, HashMap};

use kit_event::{Timestamp, UnitId, UnitSeq};
use requests_store::OpenRequests;
use serde::Serialize;

use super::metrics_text::Vitals;
use super::sources::Found;

/// Facts on the log and not in the read models at which a unit counts as behind: more than a busy
/// desk writes in a second.
const BEHIND_FACTS: u64 = 256;
/// A fact that has waited so long in a clinic that is connected should have left.
const UNSENT_SECONDS: f64 = 60.0;

/// What may ail a unit; the worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ail {
    /// Its opening facts are not all there.
    Opening,
    /// Its agent is not connected.
    Away,
    /// The read models trail its facts on the log.
    Behind,
    /// Facts wait in the clinic though it is connected.
    Unsent,
    /// A request is past its deadline and the unit has not spoken.
    Overdue,
    /// It is away and requests wait for it.
    Awaited,
    /// Some tables are not captured.
    Paused,
    /// A fact is missing on the log, and some domain holds the unit.
    OnHold,
}

impl Ail {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Away => "away",
            Self::Behind => "behind",
            Self::Unsent => "unsent",
            Self::Overdue => "overdue",
            Self::Awaited => "awaited",
            Self::Paused => "paused",
            Self::OnHold => "on-hold",
        }
    }
}

/// A unit in the view. What is not known is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnitView {
    pub unit: UnitId,
    pub online: Option<bool>,
    pub since: Option<Timestamp>,
    pub agent_version: Option<String>,
    /// The last fact on the log, as its edge said.
    pub durable_seq: Option<UnitSeq>,
    /// The last fact that every domain has applied.
    pub applied_seq: Option<UnitSeq>,
    pub as_of: Option<Timestamp>,
    /// Facts between the two; none where they are of two epochs.
    pub lag_facts: Option<u64>,
    pub spool_facts: Option<u64>,
    pub oldest_unsent_seconds: Option<f64>,
    pub paused_tables: Option<u64>,
    /// The domains that hold it.
    pub on_hold: Vec<&'static str>,
    pub open_requests: Option<u64>,
    pub overdue_requests: Option<u64>,
    pub oldest_open_at: Option<Timestamp>,
    pub ails: BTreeSet<Ail>,
}

/// Every unit that anybody knows, the sickest first, then by name.
pub fn units(found: &Found) -> Vec<UnitView> {
    let mut names: BTreeSet<&UnitId> = found.rows.iter().flat_map(HashMap::keys).collect();
    names.extend(found.presence.iter().flat_map(HashMap::keys));
    names.extend(found.open.iter().flat_map(HashMap::keys));
    names.extend(found.standings.iter().flatten().flat_map(|(_, standing)| standing.keys()));
    let mut units: Vec<UnitView> = names.into_iter().map(|unit| view(found, unit)).collect();
    // The order of the names stands where nothing else decides.
    units.sort_by(|a, b| {
        let worst = |unit: &UnitView| unit.ails.last().copied();
        worst(b).cmp(&worst(a)).then(b.ails.len().cmp(&a.ails.len()))
    });
    units
}

fn view(found: &Found, unit: &UnitId) -> UnitView {
    let told = found.presence.as_ref().map(|units| units.get(unit));
    let online = told.map(|told| told.is_some_and(|(_, online)| *online));
    let presence = told.flatten().map(|(presence, _)| presence);
    let row = found.rows.as_ref().and_then(|rows| rows.get(unit));
    let standings: Vec<_> = found
        .standings
        .iter()
        .flatten()
        .filter_map(|(domain, of)| of.get(unit).map(|standing| (*domain, standing)))
        .collect();
    let last = standings.iter().min_by_key(|(_, standing)| standing.applied);
    let on_hold = standings.iter().filter(|(_, it)| it.is_on_hold()).map(|(domain, _)| *domain);
    let open = found.open.as_ref().map(|open| open.get(unit));
    // A unit without a link has nobody at the edges to tell of its spool.
    let vitals = found.vitals.get(unit).filter(|_| online != Some(false));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let count = |number: f64| number as u64;
    let requests = |count: fn(&OpenRequests) -> i64| {
        open.map(|open| open.map_or(0, |it| count(it).unsigned_abs()))
    };
    let mut view = UnitView {
        unit: unit.clone(),
        online,
        since: presence.map(|it| it.since),
        agent_version: presence
            .and_then(|it| it.agent_version.clone())
            .or_else(|| row.map(|row| row.agent_version.clone())),
        durable_seq: presence.and_then(|it| it.durable_seq),
        applied_seq: last.map(|(_, it)| it.applied),
        as_of: last.map(|(_, it)| it.as_of),
        lag_facts: None,
        spool_facts: vitals.map(|it| count(it.spool_facts)),
        oldest_unsent_seconds: vitals.map(|it| it.oldest_unsent_seconds),
        paused_tables: vitals.map(|it| count(it.paused_tables)),
        on_hold: on_hold.collect(),
        open_requests: requests(|it| it.open),
        overdue_requests: requests(|it| it.overdue),
        oldest_open_at: open.flatten().and_then(|it| it.oldest),
        ails: BTreeSet::new(),
    };
    view.lag_facts = lag(view.durable_seq, view.applied_seq);
    let is_seeded = row.is_none_or(|row| row.seeded);
    let has_standings = found.standings.is_some();
    view.ails = ails(&view, vitals, is_seeded, has_standings).into_iter().collect();
    view
}

/// An edge tells once a second what is durable, so the read models may be ahead of its word.
fn lag(durable: Option<UnitSeq>, applied: Option<UnitSeq>) -> Option<u64> {
    let (durable, applied) = (durable?, applied?);
    (durable.epoch == applied.epoch).then(|| durable.seq.saturating_sub(applied.seq))
}

/// What is not known ails nobody.
fn ails(
    view: &UnitView,
    vitals: Option<&Vitals>,
    is_seeded: bool,
    has_standings: bool,
) -> Vec<Ail> {
    let is_behind = match (view.durable_seq, view.applied_seq) {
        (Some(durable), Some(applied)) => {
            durable > applied && view.lag_facts.is_none_or(|facts| facts >= BEHIND_FACTS)
        }
        (Some(_), None) => has_standings,
        (None, _) => false,
    };
    let is_unsent = vitals.is_some_and(|it| it.oldest_unsent_seconds >= UNSENT_SECONDS);
    let is_away = view.online == Some(false);
    [
        (!is_seeded, Ail::Opening),
        (is_away, Ail::Away),
        (is_behind, Ail::Behind),
        (is_unsent, Ail::Unsent),
        (view.overdue_requests > Some(0), Ail::Overdue),
        (is_away && view.open_requests > Some(0), Ail::Awaited),
        (view.paused_tables > Some(0), Ail::Paused),
        (!view.on_hold.is_empty(), Ail::OnHold),
    ]
    .into_iter()
    .filter_map(|(is_so, ail)| is_so.then_some(ail))
    .collect()
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
