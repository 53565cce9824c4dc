//! `arteria parked` and `arteria reemit`: what was put aside, and how an operator has it stated
//! anew. Bodies are never shown: cause, type, unit, number and time say where to look.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, ensure};
use kit_bus::headers::{self, DataSchema};
use kit_bus::{Bus, RawRecord, Topic};
use kit_clock::Clock;
use kit_config::Settings;
use kit_event::{Delivery, Request, RequestId, Timestamp, UnitId, UnitSeq, command_hash};
use requests::control::Reemit;

use crate::topics::bus_config;

/// Lines that are kept while the topic is read; the oldest go first. `parked` is no archive.
const KEPT_MAX: usize = 10_000;
/// Longest text of a header that is shown.
const SHOWN_CHARS_MAX: usize = 200;
/// A control waits for its unit as long as any request may.
const CONTROL_LIVES_MS: i64 = 7 * 24 * 3_600 * 1_000;
/// Who asks, in the control's id and as its actor.
const ACTOR: &str = "operator:arteria";

#[derive(clap::Args)]
pub struct Parked {
    /// Only the parked records of this unit.
    #[arg(long, global = true)]
    pub unit: Option<UnitId>,
    #[command(subcommand)]
    pub act: Option<Act>,
}

/// What is done with parked records.
#[derive(clap::Subcommand)]
pub enum Act {
    /// Processes the record of this origin again, or all records of the unit.
    Redrive {
        /// Where it came from, as `arteria parked` shows it: unit.facts/3/17.
        origin: Option<String>,
    },
    /// Drops the record of this origin, or all records of the unit, without processing it.
    Drop {
        /// Where it came from, as `arteria parked` shows it: unit.facts/3/17.
        origin: Option<String>,
    },
}

#[derive(clap::Args)]
pub struct Again {
    /// The unit.
    #[arg(long)]
    pub unit: UnitId,
    /// The number of the withheld fact, for example 1-42.
    #[arg(long)]
    pub seq: UnitSeq,
    /// The record, for example call/7; by default the one in the parked record.
    #[arg(long, value_parser = subject)]
    pub subject: Option<String>,
}

/// One parked record, without its body.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    at_ms: i64,
    pub unit: String,
    pub seq: Option<UnitSeq>,
    pub type_name: String,
    version: Option<u32>,
    pub cause: String,
    pub origin: String,
    pub subject: Option<String>,
    id: Option<String>,
}

impl Line {
    pub fn of(record: &RawRecord) -> Self {
        let header = |name: &str| record.header(name).map(shown);
        let data_schema = record.header(headers::DATA_SCHEMA).and_then(DataSchema::parse);
        Self {
            at_ms: record.timestamp_ms,
            unit: record.key.as_deref().map_or_else(|| "-".to_owned(), shown),
            seq: record.unit_seq(),
            type_name: header(headers::TYPE).unwrap_or_else(|| "-".to_owned()),
            version: data_schema.map(|named| named.version),
            cause: header(headers::PARKED_CAUSE).unwrap_or_else(|| "-".to_owned()),
            origin: header(headers::PARKED_ORIGIN).unwrap_or_else(|| "-".to_owned()),
            subject: header(headers::SUBJECT),
            id: header(headers::ID),
        }
    }

    /// One event may be parked again and again: a reader that died began anew.
    fn same(&self) -> (String, Option<UnitSeq>, String, String) {
        let event = self.id.clone().unwrap_or_else(|| self.origin.clone());
        (self.unit.clone(), self.seq, event, self.cause.clone())
    }

    fn print(&self, times: usize) {
        let seq = self.seq.map_or_else(|| "-".to_owned(), |seq| seq.to_string());
        let version = self.version.map_or_else(String::new, |version| format!(" v{version}"));
        let about = self.subject.as_deref().unwrap_or("-");
        let at = Timestamp::from_unix_ms(self.at_ms);
        println!("{at}  {}  {seq}  {}{version}  about {about}", self.unit, self.type_name);
        let again = if times > 1 { format!(", parked {times} times") } else { String::new() };
        println!("    {}  (from {}{again})", self.cause, self.origin);
    }
}

/// Text of a header as it may go to a terminal; whoever wrote the record chose it.
fn shown(text: &str) -> String {
    let plain = |letter: char| if letter.is_control() { '?' } else { letter };
    text.chars().take(SHOWN_CHARS_MAX).map(plain).collect()
}

fn subject(text: &str) -> Result<String> {
    let whole =
        text.split_once('/').is_some_and(|(resource, id)| !resource.is_empty() && !id.is_empty());
    let plain = text.len() <= SHOWN_CHARS_MAX && !text.chars().any(char::is_control);
    ensure!(whole && plain, "a subject is <thing>/<id>, as call/7");
    Ok(text.to_owned())
}

/// Prints what is parked, oldest first.
pub async fn list(unit: Option<&UnitId>, settings: &Settings) -> Result<()> {
    let bus = Bus::connect(&bus_config(settings)).await?;
    let (mut lines, mut settled) = (Vec::new(), HashSet::new());
    let every = 0..bus.partitions();
    read(&bus, every, |record| {
        if let Some(origin) = settled_origin(&record) {
            settled.insert(origin);
        } else if unit.is_none_or(|unit| record.key.as_deref() == Some(unit.as_str())) {
            lines.push(Line::of(&record));
        }
        if lines.len() >= 2 * KEPT_MAX {
            keep_newest(&mut lines);
        }
    })
    .await?;
    lines.retain(|line| !settled.contains(&line.origin));
    keep_newest(&mut lines);
    let mut times: HashMap<_, usize> = HashMap::new();
    for line in &lines {
        *times.entry(line.same()).or_default() += 1;
    }
    let mut printed = 0;
    for line in &lines {
        if let Some(times) = times.remove(&line.same()) {
            line.print(times);
            printed += 1;
        }
    }
    println!("{printed} parked");
    Ok(())
}

/// The origin that a mark of `parked` settles; none for what is parked.
pub fn settled_origin(record: &RawRecord) -> Option<String> {
    record.header(headers::PARKED_SETTLED)?;
    record.header(headers::PARKED_ORIGIN).map(shown)
}

/// Reads these partitions of the topic from their beginnings. A record of a unit may be parked in
/// any of them: one on a foreign partition stays there.
pub async fn read(
    bus: &Bus,
    partitions: impl Iterator<Item = i32>,
    mut take: impl FnMut(RawRecord),
) -> Result<()> {
    let scans = bus.scans(1);
    for partition in partitions {
        let ends = bus.watermarks(Topic::Parked, partition).await?;
        let mut scan = scans.scan(Topic::Parked, partition, ends.low, ends.high).await?;
        while let Some(record) = scan.next().await {
            take(record?);
        }
    }
    Ok(())
}

fn keep_newest(lines: &mut Vec<Line>) {
    lines.sort();
    lines.drain(..lines.len().saturating_sub(KEPT_MAX));
}

/// What was parked last of a unit's number.
pub async fn find(bus: &Bus, unit: &UnitId, seq: UnitSeq) -> Result<Option<Line>> {
    let mut lines = Vec::new();
    let home = bus.partition_of(unit.as_str());
    read(bus, home..=home, |record| {
        let is_own = record.key.as_deref() == Some(unit.as_str());
        if is_own && settled_origin(&record).is_none() {
            lines.push(Line::of(&record));
        }
    })
    .await?;
    Ok(lines.into_iter().rev().find(|line| line.seq == Some(seq)))
}

/// Puts `control.reemit` on `unit.requests`, and gives a word on it.
pub async fn reemit(args: &Again, settings: &Settings) -> Result<String> {
    let (unit, seq) = (&args.unit, args.seq);
    check_known(unit, settings).await?;
    let bus = Bus::connect(&bus_config(settings)).await?;
    let subject = if let Some(subject) = &args.subject {
        Some(subject.clone())
    } else {
        let found = find(&bus, unit, seq).await?;
        let found = found.with_context(|| {
            format!("nothing of {unit} {seq} is parked; name the thing with --subject THING/ID")
        })?;
        found.subject
    };
    let about = subject.clone().unwrap_or_else(|| "what it spoke of".to_owned());
    let placed = bus.publish_request(&control(unit, seq, subject, &Clock::system())?).await?;
    Ok(format!(
        "asked {unit} to state {about} of {seq} anew: unit.requests partition {}, offset {}",
        placed.partition, placed.offset
    ))
}

/// A name with a slip in it would be asked for a week. Where the list of units does not answer, who
/// asks is believed.
async fn check_known(unit: &UnitId, settings: &Settings) -> Result<()> {
    let pool = kit_store::read_pool(&settings.postgres_url, "arteria-reemit", 1)?;
    let found = units_store::unit(&pool, unit).await;
    ensure!(!matches!(found, Ok(None)), "{unit} has never stated anything: is its name right?");
    Ok(())
}

fn control(unit: &UnitId, seq: UnitSeq, subject: Option<String>, clock: &Clock) -> Result<Request> {
    let now = clock.now();
    let body = serde_json::to_value(Reemit { seq, subject })?;
    Ok(Request {
        unit: unit.clone(),
        // Asked twice it is asked twice: the row may have been mended once more in between.
        id: RequestId::derive(unit, "arteria", ACTOR, &format!("reemit/{seq}/{now}")),
        type_name: Reemit::TYPE.to_owned(),
        version: 1,
        accepted_at: now,
        expires_at: now.plus_ms(CONTROL_LIVES_MS),
        delivery: Delivery::Queue,
        command_hash: command_hash(Reemit::TYPE, &body),
        actor: ACTOR.to_owned(),
        reply_partition: None,
        traceparent: None,
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(headers: &[(&str, &str)]) -> RawRecord {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        RawRecord {
            topic: Topic::Parked,
            partition: 0,
            offset: 0,
            key: Some("hcu-0001".to_owned()),
            headers: headers.iter().map(owned).collect(),
            payload: Some(b"Matilde".to_vec()),
            timestamp_ms: 0,
        }
    }

    #[test]
    fn a_line_says_all_but_the_body_and_nothing_that_moves_a_terminal() {
        let line = Line::of(&record(&[
            (headers::TYPE, "voip.call_ended"),
            (headers::UNIT_EPOCH, "1"),
            (headers::UNIT_SEQ, "42"),
            (headers::DATA_SCHEMA, "urn:arteria:schema:arteria.voip.CallEnded:2:00ff00ff00ff00ff"),
            (headers::PARKED_CAUSE, "\u{1b}[2J$.outcome is missing"),
            (headers::SUBJECT, "call/7"),
        ]));
        assert_eq!(line.seq, Some(UnitSeq::new(1, 42)));
        assert_eq!((line.version, line.cause.as_str()), (Some(2), "?[2J$.outcome is missing"));
        assert!(!format!("{line:?}").contains("Matilde"));
        let poison = Line::of(&record(&[]));
        assert_eq!((poison.seq, poison.type_name.as_str()), (None, "-"));
    }

    #[test]
    fn a_subject_is_a_resource_and_an_id() {
        assert_eq!(subject("call/7").unwrap(), "call/7");
        for bad in ["", "call", "/7", "call/", "call/\u{1b}", &"x/".repeat(200)] {
            assert!(subject(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_control_names_the_number_and_the_resource() {
        let unit: UnitId = "hcu-0001".parse().unwrap();
        let resource = Some("call/7".to_owned());
        let control = control(&unit, UnitSeq::new(1, 42), resource, &Clock::system()).unwrap();
        assert_eq!(control.type_name, "control.reemit");
        assert_eq!(control.body, serde_json::json!({"seq": "1-42", "subject": "call/7"}));
    }
}
