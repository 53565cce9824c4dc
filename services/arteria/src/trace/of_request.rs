//! The life of a request: accepted, delivered, answered, the facts that it caused.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use kit_bus::{RawRecord, Topic, headers};
use kit_event::{RequestId, Timestamp, UnitId, UnitSeq};
use requests::control::Cancel;
use requests_store::RequestRow;
use serde::Deserialize;
use sqlx::PgPool;
use units::Presence;

use super::log::{Lane, Log, Look, SLACK_MS};
use super::of_fact::{Numbered, of_record, parked_line, published, time_of, visible};
use super::story::{Line, Story};

/// The facts that end a request.
const ENDS: &str = "requests.request_";

/// Finds a request by its id.
pub async fn find(
    log: &Log,
    pool: &PgPool,
    id: &RequestId,
    earliest: Timestamp,
) -> Result<Option<Story>> {
    let unit = id.unit();
    let partition = log.bus.partition_of(unit.as_str());
    let life = Life { log, id, unit, partition, unread: AtomicUsize::new(0) };
    let row = requests_store::request(pool, id).await.ok().flatten();
    let accepted = life.accepted(row.as_ref(), earliest).await?;
    let told = row.as_ref().and_then(|row| row.accepted_at);
    let Some(since) = accepted.as_ref().map(time_of).or(told) else { return Ok(None) };
    let facts = life.facts(since, row.as_ref().and_then(|row| row.seq)).await?;
    let ended = facts.iter().find(|fact| ends(fact)).map(time_of);
    let numbered = Numbered { unit: &life.unit, seqs: numbers(&facts) };
    let (cancels, delivered, reply, parked, withheld, public) = tokio::try_join!(
        life.cancels(accepted.as_ref(), ended),
        life.delivered(accepted.as_ref()),
        life.reply(accepted.as_ref(), ended),
        life.parked(since),
        numbered.parked(log, since),
        published(log, &facts, since),
    )?;
    let mut lines = Vec::new();
    lines.extend(accepted.as_ref().map(accepted_line));
    lines.extend(cancels);
    lines.extend(facts.iter().map(of_record));
    lines.extend(reply);
    lines.extend(delivered);
    lines.extend(parked);
    lines.extend(withheld);
    lines.extend(public);
    let mut now = vec![state(row.as_ref(), &facts)];
    if let Some(last) = numbers(&facts).last() {
        now.push(visible(pool, &life.unit, *last).await);
    }
    now.extend(unread(life.unread.load(Ordering::Relaxed)));
    Ok(Some(Story::new(id.to_string(), lines, now)))
}

/// A line that could not be looked for must not read as one that is not there.
fn unread(records: usize) -> Option<String> {
    let why = "the schema registry does not answer for them";
    (records > 0).then(|| format!("not read, {why}: {records} records on delivery or cancels"))
}

struct Life<'a> {
    log: &'a Log,
    id: &'a RequestId,
    unit: UnitId,
    partition: i32,
    /// Records whose bodies were asked for and whose schema is not at hand.
    unread: AtomicUsize,
}

impl Life<'_> {
    /// The body of a record that only its body can tell of, where it reads.
    async fn open(&self, record: &RawRecord) -> Option<serde_json::Value> {
        match self.log.bus.open(record).await {
            Ok(opened) => Some(opened.body),
            Err(error) => {
                let is_away = usize::from(error.is_worth_waiting());
                self.unread.fetch_add(is_away, Ordering::Relaxed);
                None
            }
        }
    }

    fn lane(&self, topic: Topic) -> Lane {
        Lane { topic, partition: self.partition }
    }

    fn is_of_unit(&self, record: &RawRecord) -> bool {
        record.key.as_deref() == Some(self.unit.as_str())
    }

    async fn accepted(
        &self,
        row: Option<&RequestRow>,
        earliest: Timestamp,
    ) -> Result<Option<RawRecord>> {
        let lane = self.lane(Topic::Requests);
        let here = self.log.bus.log_identity(Topic::Requests, self.partition);
        let placed = row.filter(|row| row.log.as_ref() == Some(&here)).and_then(|row| row.position);
        let is_it = |record: &RawRecord| record.ce_id() == Some(self.id.as_str());
        if let Some(position) = placed {
            return Ok(self.log.at(lane, position).await?.filter(is_it));
        }
        let look = |record: &RawRecord| if is_it(record) { Look::Last } else { Look::On };
        Ok(self.log.since(lane, earliest, look).await?.pop())
    }

    /// Every fact that names the request as its cause, up to the one that ends it. A lapsed range
    /// ends requests with a fact that names none of them: the read model knows its number.
    async fn facts(&self, since: Timestamp, ended_by: Option<UnitSeq>) -> Result<Vec<RawRecord>> {
        let mut seen = BTreeSet::new();
        let look = |record: &RawRecord| {
            let is_caused = record.header(headers::CAUSATION_ID) == Some(self.id.as_str());
            let is_end = ended_by.is_some() && record.unit_seq() == ended_by;
            if !self.is_of_unit(record) || !(is_caused || is_end) {
                return Look::On;
            }
            // A fact that was sent again stands twice on the log.
            if !seen.insert(record.unit_seq()) {
                return Look::On;
            }
            if is_end || ends(record) { Look::Last } else { Look::Keep }
        };
        self.log.since(self.lane(Topic::Facts), since, look).await
    }

    /// Cancels that name it, as long as it was open. Their bodies say which request they mean.
    async fn cancels(
        &self,
        accepted: Option<&RawRecord>,
        ended: Option<Timestamp>,
    ) -> Result<Vec<Line>> {
        let Some(accepted) = accepted else { return Ok(Vec::new()) };
        let until_ms = ended.map_or(i64::MAX, |ended| ended.unix_ms() + SLACK_MS);
        let look = |record: &RawRecord| {
            if record.timestamp_ms > until_ms {
                return Look::Enough;
            }
            let is_cancel = record.ce_type() == Some(Cancel::TYPE);
            if self.is_of_unit(record) && is_cancel { Look::Keep } else { Look::On }
        };
        let after = accepted.offset + 1;
        let mut lines = Vec::new();
        for record in self.log.after(self.lane(Topic::Requests), after, look).await? {
            let Some(body) = self.open(&record).await else { continue };
            if Cancel::deserialize(&body).is_ok_and(|it| it.request_id == *self.id) {
                lines.push(Line::of(&record, "cancel", "asked for".to_owned()));
            }
        }
        Ok(lines)
    }

    /// The first presence record whose cursor is past it. Compaction may have taken earlier ones.
    async fn delivered(&self, accepted: Option<&RawRecord>) -> Result<Option<Line>> {
        let Some(accepted) = accepted else { return Ok(None) };
        let lane = self.lane(Topic::Presence);
        let here = self.log.bus.log_identity(Topic::Requests, self.partition);
        let look = |record: &RawRecord| {
            if self.is_of_unit(record) { Look::Keep } else { Look::On }
        };
        for record in self.log.since(lane, time_of(accepted), look).await? {
            if record.timestamp_ms < accepted.timestamp_ms {
                continue;
            }
            let Some(body) = self.open(&record).await else { continue };
            let Ok(presence) = Presence::deserialize(&body) else { continue };
            let next = presence.applied_next.filter(|next| *next > accepted.offset);
            if let (Some(next), true) = (next, presence.log.as_ref() == Some(&here)) {
                let edge = presence.edge_id.unwrap_or_else(|| "no edge".to_owned());
                let says = format!("the unit's cursor is at {next}, seen by {edge}");
                return Ok(Some(Line::of(&record, "delivered", says)));
            }
        }
        Ok(None)
    }

    async fn reply(
        &self,
        accepted: Option<&RawRecord>,
        ended: Option<Timestamp>,
    ) -> Result<Option<Line>> {
        let Some(accepted) = accepted else { return Ok(None) };
        let named = accepted.header(headers::REPLY_PARTITION).and_then(|text| text.parse().ok());
        let Some(partition) = named.filter(|p| (0..self.log.bus.partitions()).contains(p)) else {
            return Ok(None);
        };
        let until_ms = ended.map_or(i64::MAX, |ended| ended.unix_ms() + SLACK_MS);
        let look = |record: &RawRecord| {
            let is_its = record.header(headers::CAUSATION_ID) == Some(self.id.as_str());
            match (is_its, record.timestamp_ms > until_ms) {
                (true, _) => Look::Last,
                (false, true) => Look::Enough,
                (false, false) => Look::On,
            }
        };
        let lane = Lane { topic: Topic::Replies, partition };
        let found = self.log.since(lane, time_of(accepted), look).await?;
        Ok(found.first().map(|record| {
            Line::of(record, "reply", record.ce_type().unwrap_or_default().to_owned())
        }))
    }

    /// Where the request itself was set aside.
    async fn parked(&self, since: Timestamp) -> Result<Vec<Line>> {
        let look = |record: &RawRecord| {
            let is_it = record.ce_id() == Some(self.id.as_str());
            if self.is_of_unit(record) && is_it { Look::Keep } else { Look::On }
        };
        let found = self.log.since(self.lane(Topic::Parked), since, look).await?;
        Ok(found.iter().map(parked_line).collect())
    }
}

fn accepted_line(record: &RawRecord) -> Line {
    let header = |name| record.header(name).unwrap_or("?");
    let (type_name, delivery) = (header(headers::TYPE), header(headers::DELIVERY));
    let says = format!("{type_name}, {delivery}, until {}", header(headers::EXPIRY_TIME));
    Line::of(record, "accepted", says)
}

fn ends(record: &RawRecord) -> bool {
    record.ce_type().is_some_and(|name| name.starts_with(ENDS))
}

fn numbers(facts: &[RawRecord]) -> BTreeSet<UnitSeq> {
    facts.iter().filter_map(RawRecord::unit_seq).collect()
}

/// The unit's word by the log, else what the read model knows.
fn state(row: Option<&RequestRow>, facts: &[RawRecord]) -> String {
    let word = facts.iter().find_map(|fact| fact.ce_type()?.strip_prefix(ENDS));
    match (word, row) {
        (Some(word), _) => format!("{word}, by the unit's own fact"),
        (None, Some(row)) if !row.is_open() => format!("{}, as the read model says", row.state),
        (None, _) => "open: the unit has not spoken".to_owned(),
    }
}
