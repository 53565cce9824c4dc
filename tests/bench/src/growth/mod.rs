//! `make growth`: hundreds of clinics loaded through the whole path, and what that costs.
//!
//! Clinics come in waves: each is made and filled by the practice's own software, its agent is
//! started, and the wave counts as loaded when an app sees every clinic of it `seeded`. After each
//! wave the same reads are made as after the first one, and the sizes of everything are taken. Then
//! its agents stop, since a clinic has its own machine and these share ours.
//!
//! What counts is how the figures change from the first wave to the last: processor time for a
//! thousand facts, milliseconds of a read, bytes for a patient. The absolute rates belong to a
//! machine on which clients, broker, roles and clinics share the same cores.

mod log_end;
mod reads;
mod report;
pub mod sizes;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::clinics::{self, Clinic, Clinics};
use crate::place::Place;
use log_end::LogEnd;
use report::{Report, Wave};

/// What of the load is told on the command line.
#[derive(clap::Args)]
#[group(id = "growth")]
pub struct Args {
    /// Clinics in all.
    #[arg(long, default_value_t = 500)]
    pub units: u32,
    /// Patients of each.
    #[arg(long, default_value_t = 10_000)]
    pub patients: u32,
    /// Clinics that are loaded at the same time.
    #[arg(long, default_value_t = 10)]
    pub wave: u32,
    /// Reads of each kind after each wave.
    #[arg(long, default_value_t = 200)]
    pub reads: usize,
}

/// Free disk below which the load stops, told, instead of filling the machine.
const DISK_FREE_BYTES_MIN: u64 = 4 << 30;
/// Days of diary on both sides of today: the load is about patients.
const DIARY_DAYS: u32 = 2;
/// A wave that has not arrived after this is stuck.
const WAVE_WITHIN: Duration = Duration::from_mins(30);

/// Loads every wave and prints what each cost.
pub async fn run(args: Args) -> Result<()> {
    ensure!(args.units > 0 && args.wave > 0 && args.reads > 0, "nothing to load or to read");
    let place = Place::told()?;
    let clinics = Clinics::new(&place, args.patients, DIARY_DAYS);
    let log = LogEnd::open(&place.kafka)?;
    let mut reads = reads::Reads::new(&place)?;
    let mut report = Report::begin(&place, args.patients);
    let mut first = 1;
    while first <= args.units {
        let last = args.units.min(first + args.wave - 1);
        let wave = load(&place, &clinics, &log, first..=last).await?;
        reads.learn(&wave.1)?;
        let figures = reads.measure(args.reads).await?;
        report.push(wave.0, figures, last)?;
        let free_bytes = sizes::free_bytes(&place.home)?;
        ensure!(free_bytes > DISK_FREE_BYTES_MIN, "stopped: {free_bytes} bytes of disk are free");
        first = last + 1;
    }
    report.end();
    Ok(())
}

async fn load(
    place: &Place,
    clinics: &Clinics,
    log: &LogEnd,
    numbers: std::ops::RangeInclusive<u32>,
) -> Result<(Wave, Vec<Clinic>)> {
    let begun = Instant::now();
    let made = clinics.make(numbers).await?;
    let seeding = begun.elapsed();

    let (cpu, facts, public) = (sizes::cpu(place)?, log.facts()?, log.public()?);
    let begun = Instant::now();
    let mut agents = clinics.start(&made)?;
    let mut on_log = None;
    let mut waiting: Vec<&Clinic> = made.iter().collect();
    while !waiting.is_empty() {
        ensure!(begun.elapsed() < WAVE_WITHIN, "a wave took longer than {WAVE_WITHIN:?}");
        // An agent that died would make this wait for nothing.
        for agent in &mut agents {
            ensure!(agent.try_wait()?.is_none(), "an agent ended by itself");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        if on_log.is_none() && log.facts()? - facts >= clinics.at_least(&made) {
            on_log = Some(begun.elapsed());
        }
        let mut still = Vec::new();
        for clinic in waiting {
            if !clinics.is_seeded(clinic).await? {
                still.push(clinic);
            }
        }
        waiting = still;
    }
    let visible = begun.elapsed();
    let facts = log.facts()? - facts;
    let published = published(log, public, facts, begun).await?;
    // Taken before the agents end: a process that is gone takes its account with it.
    let (cpu, agents_cpu) = (sizes::cpu(place)?.since(&cpu), sizes::cpu_of_children(&agents)?);
    for agent in agents {
        clinics::stop(agent).await.context("stopping an agent")?;
    }
    let on_log = on_log.unwrap_or(visible);
    let rows = made.iter().map(|clinic| clinic.rows).sum();
    let wave = Wave { rows, seeding, facts, on_log, visible, published, cpu, agents_cpu };
    Ok((wave, made))
}

/// Waits until the publisher has passed on what it passes on: every fact has one public event, or
/// none, so the public topics have arrived when they stand still.
async fn published(log: &LogEnd, from: i64, facts: i64, begun: Instant) -> Result<Duration> {
    let mut last = (log.public()?, begun.elapsed());
    let mut still = 0;
    while last.0 - from < facts && still < 10 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = log.public()?;
        still = if now == last.0 { still + 1 } else { 0 };
        if now != last.0 {
            last = (now, begun.elapsed());
        }
    }
    Ok(last.1)
}
