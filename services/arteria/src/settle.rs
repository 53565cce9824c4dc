//! `arteria parked redrive` and `arteria parked drop`: what an operator does with parked records.
//!
//! | what is parked | redriven, it |
//! |---|---|
//! | a request | goes on `unit.requests` again |
//! | a fact whose number is missing | goes on `unit.facts` again, and fills the hole |
//! | a fact whose number the record has, or that was never on the log | is asked for anew |
//! | a record of presence | is not: its edge writes it anew |

use std::collections::HashSet;

use anyhow::{Context, Result, bail, ensure};
use kit_bus::{Bus, Origin, RawRecord, Settled, Topic};
use kit_config::Settings;
use kit_event::UnitId;
use sqlx::PgPool;

use crate::parked::{self, Act, Again, Line};
use crate::topics::bus_config;

/// Settles the record of an origin, or all of a unit's.
pub async fn settle(act: &Act, unit: Option<&UnitId>, settings: &Settings) -> Result<()> {
    let bus = Bus::connect(&bus_config(settings)).await?;
    let (Act::Redrive { origin } | Act::Drop { origin }) = act;
    ensure!(
        origin.is_some() || unit.is_some(),
        "name an origin, as `arteria parked` shows it, or a unit with --unit"
    );
    let chosen = chosen(&bus, origin.as_deref(), unit).await?;
    ensure!(!chosen.is_empty(), "nothing of that origin or unit is parked");
    let reads = kit_store::read_pool(&settings.postgres_url, "arteria-parked", 1)?;
    let mut failed = 0;
    for record in &chosen {
        let line = Line::of(record);
        let told = match act {
            Act::Redrive { .. } => redrive(&bus, &reads, settings, record, &line).await,
            Act::Drop { .. } => put_away(&bus, record, &line).await,
        };
        match told {
            Ok(told) => println!("{}: {told}", line.origin),
            Err(error) => {
                failed += 1;
                println!("{}: {error:#}", line.origin);
            }
        }
    }
    let done = chosen.len() - failed;
    ensure!(failed == 0, "{done} settled, {failed} are parked still");
    println!("{done} settled");
    Ok(())
}

/// What is parked and not settled, each origin once.
async fn chosen(bus: &Bus, origin: Option<&str>, unit: Option<&UnitId>) -> Result<Vec<RawRecord>> {
    let (mut found, mut settled, mut seen) = (Vec::new(), HashSet::new(), HashSet::new());
    parked::read(bus, 0..bus.partitions(), |record| {
        if let Some(origin) = parked::settled_origin(&record) {
            settled.insert(origin);
            return;
        }
        let line = Line::of(&record);
        let is_meant = origin.is_none_or(|origin| origin == line.origin)
            && unit.is_none_or(|unit| unit.as_str() == line.unit);
        if is_meant && seen.insert(line.origin) {
            found.push(record);
        }
    })
    .await?;
    found.retain(|record| !settled.contains(&Line::of(record).origin));
    Ok(found)
}

async fn redrive(
    bus: &Bus,
    reads: &PgPool,
    settings: &Settings,
    parked: &RawRecord,
    line: &Line,
) -> Result<String> {
    let told = match Origin::parse(&line.origin).map(|origin| origin.topic) {
        Some(Topic::Requests) => put_again(bus, parked).await?,
        Some(Topic::Facts) => {
            let unit: UnitId = line.unit.parse().context("its key is no unit; drop it")?;
            let seq = line.seq.context("it names no number; drop it")?;
            if kit_timeline::holds(reads, &unit, seq).await? {
                state_anew(settings, line).await?
            } else {
                put_again(bus, parked).await?
            }
        }
        Some(Topic::Presence) => bail!("its edge writes presence anew by itself; drop it"),
        Some(_) => bail!("records of this topic do not go again; drop it"),
        None => state_anew(settings, line).await?,
    };
    bus.settle(parked, Settled::Redriven).await?;
    Ok(told)
}

async fn put_again(bus: &Bus, parked: &RawRecord) -> Result<String> {
    let placed = bus.put_again(bus.restored(parked).await?).await?;
    Ok(format!("redriven to partition {}, offset {}", placed.partition, placed.offset))
}

/// A fact that the record has, or never had, is not repeated: its unit states the present state.
async fn state_anew(settings: &Settings, line: &Line) -> Result<String> {
    let unit = line.unit.parse().context("its key is no unit; drop it")?;
    let seq = line.seq.context("it names no number; drop it")?;
    let subject = line.subject.clone();
    ensure!(subject.is_some(), "it names nothing that could be stated anew; drop it");
    parked::reemit(&Again { unit, seq, subject }, settings).await
}

async fn put_away(bus: &Bus, parked: &RawRecord, line: &Line) -> Result<String> {
    let origin = Origin::parse(&line.origin).filter(|origin| origin.topic == Topic::Presence);
    let mut told = "dropped";
    if let Some(origin) = origin
        && bus.forget(origin).await?
    {
        told = "dropped, and its key is forgotten";
    }
    bus.settle(parked, Settled::Dropped).await?;
    Ok(told.to_owned())
}
