//! A clinic's telephone calls become events: a table, a mapping entry and a schema, and nothing is
//! built or restarted. Then a body that its schema refuses, and how it is put right.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use kit_bus::{Bus, Namespace, RawRecord, Topic};
use kit_clock::Clock;
use kit_event::{Fact, Timestamp};
use serde_json::json;
use uuid::Uuid;

use super::facts::Found;
use super::live::Live;
use super::stage::{LOOK_EVERY, SEEN_WITHIN, Stage};
use crate::network::beside_us;
use crate::{parked, schema_files};

const TABLE: &str = include_str!("../../../../examples/voip/table.sql");
const ENTRY: &str = include_str!("../../../../examples/voip/mapping.toml");
const SCHEMA_V1: &str = include_str!("../../../../examples/voip/call_ended.v1.avsc");
const SCHEMA_V2: &str = include_str!("../../../../examples/voip/call_ended.v2.avsc");

const CALL_ENDED: &str = "voip.call_ended";
const WITHHELD: &str = "units.fact_withheld";
/// It stands in the clinic's table and on the unit's own log, and must stand nowhere else.
const NUMBER: &str = "+351 210 555 019";
/// How long the demo's call took.
const CALL_MS: i64 = 83_000;

/// Plays the chapters.
pub async fn calls_become_events(stage: &mut Stage<'_>) -> Result<()> {
    stage.chapter("The clinic's telephone calls become events, and nothing is restarted");
    stage.act("CREATE TABLE phone_calls (...) in clinic.db, by the clinic's telephone system");
    stage.desk.execute(TABLE, &[])?;
    stage.act("arteria schemas register examples/voip/call_ended.v1.avsc");
    let said = schema_files::offer(SCHEMA_V1, &stage.network.settings).await?;
    stage.seen(&said);
    let reference = reference_mapping().await?;
    stage.act("examples/voip/mapping.toml is added to the clinic's mapping.toml");
    write_mapping(stage, &format!("{reference}\n{ENTRY}")).await?;

    let (path, after) = (stage.path("events"), stage.last_seq().await?);
    let mut live = Live::open(&stage.app, &path, &after).await?;
    stage.act("INSERT INTO phone_calls (...) in clinic.db: a call is over");
    let started_at = call(stage, None)?;
    let found = wait_for_call(stage, started_at).await?;
    seen_everywhere(stage, &mut live, &found).await?;
    refused_and_put_right(stage, &mut live, &reference).await
}

async fn refused_and_put_right(
    stage: &mut Stage<'_>,
    live: &mut Live,
    reference: &str,
) -> Result<()> {
    stage.chapter("The telephone system gets a column that the schema does not know");
    stage.act("ALTER TABLE phone_calls ADD COLUMN queue, and mapping.toml names it");
    add_queue(stage)?;
    let with_queue = format!("{reference}\n{ENTRY}queue = \"text\"\n");
    write_mapping(stage, &with_queue).await?;
    stage.act("INSERT INTO phone_calls (...) in clinic.db: a call is over");
    let started_at = call(stage, Some("front desk"))?;
    let withheld = wait_for_withheld(stage).await?;
    let seq = withheld.fact.seq;
    stage.seen(&format!(
        "fact {seq} {WITHHELD} on unit.facts, partition {}, offset {}: {}",
        withheld.partition,
        withheld.offset,
        withheld.fact.body["cause"].as_str().unwrap_or_default()
    ));
    let event = stage.wait_for_event(&seq.to_string()).await?;
    ensure!(event["type"] == WITHHELD, "the timeline holds another type there");
    stage.seen(&format!("GET {}: it stands under its number", stage.path("events")));
    let bus = stage.facts.bus();
    let line = parked::find(&bus, &stage.unit, seq).await?.context("its body is not parked")?;
    stage.seen(&format!("arteria parked: {} {seq}, {}", line.type_name, line.cause));

    stage.act("arteria schemas register examples/voip/call_ended.v2.avsc");
    let said = schema_files::offer(SCHEMA_V2, &stage.network.settings).await?;
    stage.seen(&said);
    stage.act("mapping.toml says version = 2");
    write_mapping(stage, &with_queue.replace("version = 1", "version = 2")).await?;
    stage.act(&format!("arteria reemit --unit {} --seq {seq}", stage.unit));
    let again = parked::Again { unit: stage.unit.clone(), seq, subject: None };
    let found = loop {
        let said = parked::reemit(&again, &stage.network.settings).await?;
        let found = wait_for_either(stage, started_at).await?;
        // The agent may have heard the order before it obeyed what it had read.
        if found.fact.type_name == CALL_ENDED {
            stage.seen(&said);
            break found;
        }
    };
    ensure!(found.fact.body["queue"] == "front desk", "the call was stated without its queue");
    seen_everywhere(stage, live, &found).await
}

/// That a call is in the timeline, in the live stream and on the topic of analysts.
async fn seen_everywhere(stage: &mut Stage<'_>, live: &mut Live, found: &Found) -> Result<()> {
    let Found { fact, partition, offset, .. } = found;
    let (seq, version) = (fact.seq.to_string(), fact.version);
    stage.seen(&format!(
        "fact {seq} {CALL_ENDED} v{version} on unit.facts, partition {partition}, offset {offset}"
    ));
    let event = stage.wait_for_event(&seq).await?;
    ensure!(event["type"] == CALL_ENDED, "the timeline holds another type there");
    stage.seen(&format!("GET {}?type={CALL_ENDED}: it is there", stage.path("events")));
    let event = live.wait_for(&seq, SEEN_WITHIN).await?;
    ensure!(event["body"]["outcome"] == "answered", "the stream brought another call");
    stage.seen("the stream of the same address (SSE) brought it");
    let public = wait_for_public(&stage.facts.bus(), fact).await?;
    let opened = stage.facts.bus().open(&public).await?;
    let text = format!("{} {:?}", opened.body, opened.headers);
    ensure!(opened.body["outcome"] == "answered", "domain.voip holds another call");
    ensure!(!text.contains(NUMBER), "the number stands on domain.voip");
    stage.seen(&format!(
        "domain.voip, partition {}, offset {}: the same call, without the number",
        public.partition, public.offset
    ));
    Ok(())
}

/// The mapping of the tables that the clinic has already.
async fn reference_mapping() -> Result<String> {
    let output = tokio::process::Command::new(beside_us("arteria-agent")?)
        .args(["mapping", "reference"])
        .output()
        .await
        .context("running arteria-agent mapping reference")?;
    ensure!(output.status.success(), "arteria-agent mapping reference failed");
    String::from_utf8(output.stdout).context("reading the reference mapping")
}

/// Writes the mapping file and waits until the agent has read it.
async fn write_mapping(stage: &Stage<'_>, text: &str) -> Result<()> {
    let dir = stage.network.unit_dir(&stage.unit);
    let (path, draft) = (dir.join("mapping.toml"), dir.join("mapping.draft"));
    // Whole or not at all: the agent looks at the file whenever it changes.
    std::fs::write(&draft, text).with_context(|| format!("writing {}", draft.display()))?;
    std::fs::rename(&draft, &path).with_context(|| format!("writing {}", path.display()))?;
    let (applied, begun) = (dir.join("mapping.applied.toml"), Instant::now());
    while std::fs::read_to_string(&applied).ok().as_deref() != Some(text) {
        ensure!(begun.elapsed() < SEEN_WITHIN, "the agent did not take {}", path.display());
        tokio::time::sleep(LOOK_EVERY).await;
    }
    stage.seen("the agent has read it");
    Ok(())
}

/// The column is there already where the demo was played before.
fn add_queue(stage: &Stage<'_>) -> Result<()> {
    let there = stage.desk.execute("UPDATE phone_calls SET queue = queue WHERE 0", &[]).is_ok();
    if !there {
        stage.desk.execute("ALTER TABLE phone_calls ADD COLUMN queue TEXT", &[])?;
    }
    Ok(())
}

/// A call is over; gives when it began, by which it is known again.
fn call(stage: &Stage<'_>, queue: Option<&str>) -> Result<Timestamp> {
    let ended_at = Clock::system().now();
    let started_at = ended_at.plus_ms(-CALL_MS);
    let (call_id, patient_id) = (Uuid::new_v4().to_string(), stage.patient_id().to_owned());
    let (from, to) = (started_at.to_string(), ended_at.to_string());
    let seconds = CALL_MS / 1_000;
    let of_all =
        "call_id, patient_id, number, direction, started_at, ended_at, duration_s, outcome";
    let values = "?1, ?2, ?3, 'in', ?4, ?5, ?6, 'answered'";
    match queue {
        None => stage.desk.execute(
            &format!("INSERT INTO phone_calls ({of_all}) VALUES ({values})"),
            &[&call_id, &patient_id, &NUMBER, &from, &to, &seconds],
        )?,
        Some(queue) => stage.desk.execute(
            &format!("INSERT INTO phone_calls ({of_all}, queue) VALUES ({values}, ?7)"),
            &[&call_id, &patient_id, &NUMBER, &from, &to, &seconds, &queue],
        )?,
    };
    Ok(started_at)
}

async fn wait_for_call(stage: &mut Stage<'_>, started_at: Timestamp) -> Result<Found> {
    let started_at = json!(started_at.to_string());
    let is_it =
        move |fact: &Fact| fact.type_name == CALL_ENDED && fact.body["started_at"] == started_at;
    stage.wait_for_fact_that(CALL_ENDED, is_it).await
}

/// The call, or one more word that it was withheld.
async fn wait_for_either(stage: &mut Stage<'_>, started_at: Timestamp) -> Result<Found> {
    let started_at = json!(started_at.to_string());
    let is_it = move |fact: &Fact| match fact.type_name.as_str() {
        CALL_ENDED => fact.version == 2 && fact.body["started_at"] == started_at,
        name => name == WITHHELD && fact.body["type"] == CALL_ENDED,
    };
    stage.wait_for_fact_that(CALL_ENDED, is_it).await
}

async fn wait_for_withheld(stage: &mut Stage<'_>) -> Result<Found> {
    let is_it = |fact: &Fact| fact.type_name == WITHHELD && fact.body["type"] == CALL_ENDED;
    stage.wait_for_fact_that(WITHHELD, is_it).await
}

/// The fact's public form, which has its id.
async fn wait_for_public(bus: &Bus, fact: &Fact) -> Result<RawRecord> {
    let begun = Instant::now();
    loop {
        if let Some(record) = find_public(bus, fact).await? {
            return Ok(record);
        }
        ensure!(begun.elapsed() < SEEN_WITHIN, "domain.voip did not bring {}", fact.seq);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn find_public(bus: &Bus, fact: &Fact) -> Result<Option<RawRecord>> {
    let voip: Namespace = "voip".parse()?;
    // The publisher makes the topic with its first event, and a client that asks for the ends of a
    // topic that is not there yet goes on believing so for a while.
    if !bus.namespaces().await?.contains(&voip) {
        return Ok(None);
    }
    let (topic, partition) = (Topic::Domain(voip), bus.partition_of(fact.unit.as_str()));
    // For a moment after it was made, its partitions have no leader.
    let Ok(ends) = bus.watermarks(topic, partition).await else { return Ok(None) };
    let scans = bus.scans(1);
    let mut scan = scans.scan(topic, partition, ends.low, ends.high).await?;
    let id = fact.id.to_string();
    while let Some(record) = scan.next().await {
        let Ok(record) = record else { return Ok(None) };
        if record.ce_id() == Some(id.as_str()) {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn fields(schema: &str) -> Vec<String> {
        let schema: Value = serde_json::from_str(schema).unwrap();
        let fields = schema["fields"].as_array().unwrap();
        fields.iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_mapped_column_is_a_field_of_the_schema_and_of_the_table() {
        let columns = ENTRY.split("[table.columns]").nth(1).unwrap().lines();
        let columns: Vec<_> =
            columns.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).collect();
        assert_eq!(columns.len(), 7);
        for column in columns {
            assert!(fields(SCHEMA_V1).iter().any(|field| field == column), "{column}");
            assert!(TABLE.contains(column), "{column}");
        }
        assert!(!fields(SCHEMA_V1).contains(&"queue".to_owned()));
        assert!(fields(SCHEMA_V2).contains(&"queue".to_owned()));
    }
}
