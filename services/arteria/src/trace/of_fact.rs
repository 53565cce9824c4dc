//! The life of a fact: on the log, set aside, told to the world, visible.

use std::collections::BTreeSet;

use anyhow::Result;
use kit_bus::{Namespace, RawRecord, Topic, headers};
use kit_event::{Timestamp, UnitId, UnitSeq};
use kit_timeline::EventFilter;
use sqlx::PgPool;

use super::log::{Lane, Log, Look};
use super::story::{Line, Story};

/// Finds a fact by its number.
pub async fn find(
    log: &Log,
    pool: &PgPool,
    unit: &UnitId,
    seq: UnitSeq,
    earliest: Timestamp,
) -> Result<Option<Story>> {
    let partition = log.bus.partition_of(unit.as_str());
    let lane = Lane { topic: Topic::Facts, partition };
    let is_it = |record: &RawRecord| {
        let is_of_unit = record.key.as_deref() == Some(unit.as_str());
        if is_of_unit && record.unit_seq() == Some(seq) { Look::Keep } else { Look::On }
    };
    let found = match hint(pool, unit, seq).await {
        Some(place) => log.after(lane, place, is_it).await?,
        None => log.since(lane, earliest, is_it).await?,
    };
    let since = found.first().map_or(earliest, time_of);
    let mut lines: Vec<Line> = found.iter().map(of_record).collect();
    let numbered = Numbered { unit, seqs: BTreeSet::from([seq]) };
    lines.extend(numbered.parked(log, since).await?);
    if lines.is_empty() {
        return Ok(None);
    }
    lines.extend(published(log, &found, since).await?);
    let mut now = Vec::new();
    if let Some(cause) = found.iter().find_map(|record| record.header(headers::CAUSATION_ID)) {
        now.push(format!("caused by {cause}: `arteria trace {cause}` tells more"));
    }
    now.push(visible(pool, unit, seq).await);
    Ok(Some(Story::new(format!("{unit} {seq}"), lines, now)))
}

/// The timeline knows where it read a fact.
async fn hint(pool: &PgPool, unit: &UnitId, seq: UnitSeq) -> Option<i64> {
    let before = UnitSeq::new(seq.epoch, seq.seq.checked_sub(1)?);
    let filter = EventFilter { after: before, ..EventFilter::default() };
    let found = kit_timeline::events(pool, unit, &filter, 1).await.ok()?;
    found.value.first().filter(|row| row.seq == seq).map(|row| row.offset)
}

/// A fact's line.
pub fn of_record(record: &RawRecord) -> Line {
    let number = record.unit_seq().map(|seq| seq.to_string()).unwrap_or_default();
    let says = format!("{number} {}", record.ce_type().unwrap_or_default());
    Line::of(record, "fact", says)
}

/// When a record came to lie on the log.
pub fn time_of(record: &RawRecord) -> Timestamp {
    Timestamp::from_unix_ms(record.timestamp_ms)
}

/// Facts of a unit by number.
pub struct Numbered<'a> {
    pub unit: &'a UnitId,
    pub seqs: BTreeSet<UnitSeq>,
}

impl Numbered<'_> {
    /// Where they were set aside: withheld by an edge, or unreadable for a reader.
    pub async fn parked(&self, log: &Log, since: Timestamp) -> Result<Vec<Line>> {
        let partition = log.bus.partition_of(self.unit.as_str());
        let lane = Lane { topic: Topic::Parked, partition };
        let is_theirs = |record: &RawRecord| {
            let is_of_unit = record.key.as_deref() == Some(self.unit.as_str());
            let is_theirs = record.unit_seq().is_some_and(|seq| self.seqs.contains(&seq));
            if is_of_unit && is_theirs { Look::Keep } else { Look::On }
        };
        let found = log.since(lane, since, is_theirs).await?;
        Ok(found.iter().map(parked_line).collect())
    }
}

/// Why a record was set aside, and where it came from.
pub fn parked_line(record: &RawRecord) -> Line {
    let origin = record.header(headers::PARKED_ORIGIN).unwrap_or("?");
    let cause = record.header(headers::PARKED_CAUSE).unwrap_or("?");
    Line::of(record, "parked", format!("from {origin}: {cause}"))
}

/// What the world was told of these facts: their ids stand on the topics of their namespaces.
pub async fn published(log: &Log, facts: &[RawRecord], since: Timestamp) -> Result<Vec<Line>> {
    let there: BTreeSet<Namespace> = log.bus.namespaces().await?.into_iter().collect();
    let mut lines = Vec::new();
    for namespace in there {
        let of_it: Vec<&RawRecord> = facts
            .iter()
            .filter(|fact| {
                let named = fact.ce_type().and_then(|name| name.split_once('.'));
                named.is_some_and(|(domain, _)| domain == namespace.as_str())
            })
            .collect();
        let Some(first) = of_it.first() else { continue };
        let mut ids: BTreeSet<&str> = of_it.iter().filter_map(|fact| fact.ce_id()).collect();
        let lane = Lane { topic: Topic::Domain(namespace), partition: first.partition };
        let found = log
            .since(lane, since, |record| {
                let is_theirs = record.ce_id().is_some_and(|id| ids.remove(id));
                match (is_theirs, ids.is_empty()) {
                    (true, true) => Look::Last,
                    (true, false) => Look::Keep,
                    (false, _) => Look::On,
                }
            })
            .await?;
        let line = |record: &RawRecord| {
            Line::of(record, "published", record.ce_type().unwrap_or_default().to_owned())
        };
        lines.extend(found.iter().map(line));
    }
    Ok(lines)
}

/// Whether readers see what a unit stated up to a number.
pub async fn visible(pool: &PgPool, unit: &UnitId, seq: UnitSeq) -> String {
    let domains: Vec<&'static str> =
        projector::domains::ALL.iter().map(|domain| domain.schema()).collect();
    let mut behind = Vec::new();
    for domain in domains {
        match kit_store::positions(pool, std::slice::from_ref(unit), &[domain]).await {
            Ok(at) if at.get(unit).is_some_and(|applied| *applied >= seq) => {}
            Ok(at) => {
                let applied = at.get(unit).map_or_else(|| "nothing".to_owned(), UnitSeq::to_string);
                behind.push(format!("{domain} (at {applied})"));
            }
            Err(_) => return "the read models do not answer".to_owned(),
        }
    }
    if behind.is_empty() {
        format!("visible: every read model holds {seq}")
    } else {
        format!("not everywhere visible: {} behind {seq}", behind.join(", "))
    }
}
