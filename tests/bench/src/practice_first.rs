//! What a practice's own program notices of an agent beside it: how long its statements take and
//! how many fail, with and without, in turns, in both kinds of journal.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::Connection;

use crate::clinics::beside_us;
use crate::figures::Figures;
use crate::place::Place;

#[derive(clap::Args)]
#[group(id = "practice")]
pub struct Args {
    /// Transactions of each pattern, with and without an agent.
    #[arg(long, default_value_t = 200)]
    practice_tries: usize,
}

/// Turns with and without an agent, so that a noisy minute meets both.
const TURNS: usize = 4;
/// An agent states the clinic's few rows well within this.
const SETTLED_AFTER: Duration = Duration::from_secs(3);
const PATIENT: &str = "0b7f4c52-3f43-4b7e-9d7c-0d5f8f6a1b2c";
const PRACTITIONER: &str = "2d9f6e74-5165-4d90-9f9e-2f71a1283d4e";

/// What the practice's program does again and again.
#[derive(Clone, Copy)]
enum Pattern {
    /// A transaction that reads, thinks for 20 ms and writes, right after another statement; with a
    /// busy timeout.
    ReadThenWrite,
    /// One statement without a busy timeout.
    Single,
}

#[derive(Default)]
struct Seen {
    times: Figures,
    failed: usize,
}

pub fn run(args: &Args) -> Result<()> {
    ensure!(args.practice_tries >= TURNS * 10, "fewer than {} tries say nothing", TURNS * 10);
    let place = Place::told()?;
    println!("the practice's own writes, {} of each, {TURNS} turns", args.practice_tries);
    println!(
        "{:<34} {:>8} {:>8} {:>8} {:>8} {:>7}",
        "milliseconds", "p50", "p90", "p99", "p99.9", "failed"
    );
    for mode in ["wal", "delete"] {
        for pattern in [Pattern::ReadThenWrite, Pattern::Single] {
            compare(&place, args.practice_tries, mode, pattern)?;
        }
    }
    Ok(())
}

fn compare(place: &Place, tries: usize, mode: &str, pattern: Pattern) -> Result<()> {
    let (mut alone, mut beside) = (Seen::default(), Seen::default());
    let word = match pattern {
        Pattern::ReadThenWrite => "read, then write",
        Pattern::Single => "single",
    };
    for turn in 0..TURNS {
        for with_agent in [false, true] {
            let name = format!("practice-{mode}-{}-{turn}-{with_agent}", word.len());
            let clinic = make(place, &name, mode)?;
            let agent = with_agent.then(|| Agent::start(&clinic)).transpose()?;
            let seen = if with_agent { &mut beside } else { &mut alone };
            write(&clinic, tries / TURNS, pattern, seen)?;
            if let Some(agent) = agent {
                agent.stop()?;
            }
        }
    }
    println!("{} {:>7}", alone.times.row(&format!("{word} ({mode}), alone")), alone.failed);
    println!("{} {:>7}", beside.times.row(&format!("{word} ({mode}), agent")), beside.failed);
    let ratio = |share| beside.times.quantile_ms(share) / alone.times.quantile_ms(share);
    println!(
        "{:<34} {:>7.2}x {:>8} {:>7.2}x {:>8} {:>+7}",
        "  with over without",
        ratio(0.5),
        "",
        ratio(0.99),
        "",
        beside.failed as i64 - alone.failed as i64
    );
    Ok(())
}

/// A clinic with a patient and a practitioner.
fn make(place: &Place, name: &str, mode: &str) -> Result<PathBuf> {
    let dir = place.home.join("practice").join(name);
    let made = Command::new(beside_us("arteria-agent")?)
        .args(["init", "--dir"])
        .arg(&dir)
        .args(["--unit", name, "--edge", &place.edge, "--keys"])
        .arg(&place.keys)
        .output()?;
    if !made.status.success() {
        bail!("arteria-agent init: {}", String::from_utf8_lossy(&made.stderr));
    }
    let desk = Connection::open(dir.join("clinic.db"))?;
    desk.pragma_update(None, "journal_mode", mode)?;
    desk.execute_batch(&format!(
        "INSERT INTO patients (patient_id, family_name) VALUES ('{PATIENT}', 'Silva');
         INSERT INTO practitioners (practitioner_id, family_name) VALUES ('{PRACTITIONER}', 'Reis')"
    ))?;
    Ok(dir)
}

fn write(clinic: &Path, tries: usize, pattern: Pattern, seen: &mut Seen) -> Result<()> {
    let desk = Connection::open(clinic.join("clinic.db"))?;
    let wait_ms = match pattern {
        Pattern::ReadThenWrite => 10_000,
        Pattern::Single => 0,
    };
    desk.busy_timeout(Duration::from_millis(wait_ms))?;
    for n in 0..tries {
        let begun = Instant::now();
        let done = match pattern {
            Pattern::Single => desk.execute_batch(&patient()),
            Pattern::ReadThenWrite => {
                let before = desk.execute_batch(&patient());
                before.and_then(|()| read_then_write(&desk, n))
            }
        };
        seen.times.push(begun.elapsed());
        seen.failed += usize::from(done.is_err());
        if !desk.is_autocommit() {
            desk.execute_batch("ROLLBACK")?;
        }
        // At all distances, so that no rhythm of the agent's is met or missed by luck.
        std::thread::sleep(Duration::from_micros(n as u64 * 7_919 % 30_000));
    }
    Ok(())
}

fn patient() -> String {
    let id = uuid::Uuid::new_v4();
    format!("INSERT INTO patients (patient_id, family_name) VALUES ('{id}', 'Neu')")
}

fn read_then_write(desk: &Connection, n: usize) -> rusqlite::Result<()> {
    desk.execute_batch("BEGIN; SELECT count(*) FROM appointments")?;
    std::thread::sleep(Duration::from_millis(20));
    let (id, year) = (uuid::Uuid::new_v4(), 2_027 + n);
    desk.execute_batch(&format!(
        "INSERT INTO appointments (appointment_id, patient_id, practitioner_id, starts_at, ends_at,
             status) VALUES ('{id}', '{PATIENT}', '{PRACTITIONER}', '{year}-01-01T09:00:00Z',
             '{year}-01-01T09:30:00Z', 'booked'); COMMIT"
    ))
}

struct Agent(Child);

impl Agent {
    fn start(clinic: &Path) -> Result<Self> {
        let child = Command::new(beside_us("arteria-agent")?)
            .args(["run", "--dir"])
            .arg(clinic)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting an agent")?;
        std::thread::sleep(SETTLED_AFTER);
        Ok(Self(child))
    }

    fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(self.0.id().try_into()?), Signal::SIGTERM)?;
        ensure!(self.0.wait()?.success(), "the agent did not end well");
        Ok(())
    }
}
