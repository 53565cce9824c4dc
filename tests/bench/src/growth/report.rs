//! What is printed: one line for each wave, and at the end the last beside the first.

use std::time::Duration;

use anyhow::Result;

use super::reads::Measured;
use super::sizes::folder_bytes;
use super::sizes::{self, Cpu};
use crate::place::Place;

/// What one wave cost.
pub struct Wave {
    pub rows: u64,
    pub seeding: Duration,
    pub facts: i64,
    pub on_log: Duration,
    pub visible: Duration,
    pub published: Duration,
    pub cpu: Cpu,
    pub agents_cpu: f64,
}

/// The kinds of reads, as [`Report::push`] orders them.
const READS: [&str; 4] =
    ["patient by id", "patients by name", "the same page again", "events page"];

/// The growing table.
pub struct Report<'a> {
    place: &'a Place,
    patients: u32,
    lines: Vec<Line>,
}

struct Line {
    units: u32,
    cost_ms: f64,
    reads_ms: [f64; READS.len()],
}

impl<'a> Report<'a> {
    pub fn begin(place: &'a Place, patients: u32) -> Self {
        println!(
            "{:>6} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>9}  \
             disk GB: clinics kafka postgres",
            "units",
            "patients",
            "rows/s",
            "log/s",
            "visible/s",
            "public/s",
            "cpu ms/k",
            "id ms",
            "name ms",
            "again ms",
            "events ms"
        );
        Self { place, patients, lines: Vec::new() }
    }

    pub fn push(&mut self, wave: Wave, reads: Measured, units: u32) -> Result<()> {
        let rate = |count: f64, time: Duration| count / time.as_secs_f64();
        let facts = wave.facts as f64;
        let central: f64 = wave.cpu.0.values().sum();
        let cost_ms = central * 1e6 / facts;
        let reads = [&reads.patient, &reads.name, &reads.name_again, &reads.events];
        let reads_ms = reads.map(|figures| figures.quantile_ms(0.5));
        let tails_ms = reads.map(|figures| figures.quantile_ms(0.99));
        let home = &self.place.home;
        let disk = [crate::clinics::FOLDER, "kafka", "postgres"]
            .map(|folder| folder_bytes(&home.join(folder)) as f64 / 1e9);
        println!(
            "{units:>6} {:>10} {:>9.0} {:>9.0} {:>9.0} {:>9.0} {cost_ms:>9.1} {:>8.2} {:>8.2} \
             {:>8.2} {:>9.2}  {:>16.2} {:>5.2} {:>8.2}",
            u64::from(units) * u64::from(self.patients),
            rate(wave.rows as f64, wave.seeding),
            rate(facts, wave.on_log),
            rate(facts, wave.visible),
            rate(facts, wave.published),
            reads_ms[0],
            reads_ms[1],
            reads_ms[2],
            reads_ms[3],
            disk[0],
            disk[1],
            disk[2],
        );
        let each = wave.cpu.0.iter().map(|(name, s)| format!("{name} {:.1}", s * 1e6 / facts));
        let each: Vec<_> = each.collect();
        println!(
            "       cpu ms for 1,000 facts: {}, agents {:.1}; p99 ms {:.1} {:.1} {:.1} {:.1}",
            each.join(", "),
            wave.agents_cpu * 1e6 / facts,
            tails_ms[0],
            tails_ms[1],
            tails_ms[2],
            tails_ms[3]
        );
        let memory = sizes::memory(self.place)?;
        let resident = memory.iter().map(|(name, b)| format!("{name} {} MB", b / 1_000_000));
        println!("       resident: {}", resident.collect::<Vec<_>>().join(", "));
        self.lines.push(Line { units, cost_ms, reads_ms });
        Ok(())
    }

    /// The last wave over the first.
    pub fn end(&self) {
        let (Some(first), Some(last)) = (self.lines.first(), self.lines.last()) else { return };
        let ratio = |now: f64, then: f64| now / then;
        println!();
        println!("last wave ({} units) over the first ({} units):", last.units, first.units);
        println!("  processor time for a fact  {:.2}x", ratio(last.cost_ms, first.cost_ms));
        for (n, name) in READS.into_iter().enumerate() {
            let times = ratio(last.reads_ms[n], first.reads_ms[n]);
            println!("  {name:<26} {times:.2}x at p50");
        }
        println!("Clients, broker, roles and clinics share this machine's cores and its disk.");
    }
}
