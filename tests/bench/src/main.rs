//! `make bench`: how long a booking takes through the whole path, beside a bare floor.
//!
//! The floor is a program that makes only the steps that no design could leave out: HTTP in, a
//! record on Kafka and back, a WebSocket frame out and back, two SQLite commits with
//! `synchronous=FULL` in a process of its own, a second record on Kafka and back, HTTP out. Both
//! are measured in one run, in turns, by the same client, one request in flight, on one broker.
//! What counts is the ratio: the absolute figures belong to this machine and its disk.
//!
//! This program must never share code with the roles it measures: it is an outsider with a token.

mod booking;
mod clinics;
mod figures;
mod floor;
mod growth;
mod peer;
mod place;
mod practice_first;
mod visible;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};

use crate::figures::Figures;
use crate::place::{Place, variable};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Bookings through REST, one in flight, beside the floor; then desks' commits until REST.
    Bench {
        #[command(flatten)]
        booking: Tries,
        #[command(flatten)]
        visible: visible::Args,
        #[command(flatten)]
        practice: practice_first::Args,
        /// Leaves out the others.
        #[arg(long)]
        only: Option<Part>,
    },
    /// Loads hundreds of clinics through the whole path, in waves.
    Growth(growth::Args),
    /// The floor's other end: a WebSocket client with a SQLite file.
    #[command(hide = true)]
    Peer {
        /// `ws://...` of the floor.
        url: String,
        /// Where its two databases go.
        dir: std::path::PathBuf,
    },
}

#[derive(clap::Args)]
struct Tries {
    /// Measured bookings of each.
    #[arg(long, default_value_t = 2_000)]
    tries: usize,
    /// Unmeasured bookings of each, for the broker's compiler to warm up.
    #[arg(long, default_value_t = 500)]
    warm_up: usize,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Part {
    Booking,
    Visible,
    /// What the practice's own program notices of an agent beside it.
    Practice,
}

/// Turns in which floor and system are measured, so that a noisy minute meets both.
const TURNS: usize = 4;
/// The reach that the design names: p50 and p99 of the path over those of the floor.
const REACH_P50: f64 = 1.5;
const REACH_P99: f64 = 2.0;

fn main() -> Result<()> {
    match Cli::parse().act {
        Act::Bench { practice, only: Some(Part::Practice), .. } => practice_first::run(&practice),
        Act::Bench { booking, visible, only, .. } => runtime()?.block_on(async {
            if only != Some(Part::Visible) {
                compare(booking.tries, booking.warm_up).await?;
            }
            if only != Some(Part::Booking) {
                println!();
                visible::run(&visible).await?;
            }
            Ok(())
        }),
        Act::Growth(args) => runtime()?.block_on(growth::run(args)),
        Act::Peer { url, dir } => peer::run(&url, &dir),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

async fn compare(tries: usize, warm_up: usize) -> Result<()> {
    ensure!(tries >= TURNS * 10, "fewer than {} tries say nothing", TURNS * 10);
    let Place { kafka, gateway, .. } = Place::told()?;
    let token = variable("ARTERIA_TEST_STAFF_TOKEN")?;
    let unit = variable("ARTERIA_TEST_UNIT")?;

    let floor = floor::Floor::start(&kafka).await.context("starting the floor")?;
    let mut desk = booking::Bookings::prepare(&gateway, &token, &unit, tries + warm_up).await?;
    println!(
        "one booking in flight, {tries} tries of each in {TURNS} turns, after {warm_up} of each"
    );
    floor.measure(warm_up).await?;
    desk.measure(warm_up).await?;

    let (mut bare, mut path) = (Figures::default(), Figures::default());
    for _ in 0..TURNS {
        bare.extend(floor.measure(tries / TURNS).await?);
        path.extend(desk.measure(tries / TURNS).await?);
    }
    floor.stop().await;

    println!();
    println!("{:<34} {:>8} {:>8} {:>8} {:>8}", "milliseconds", "p50", "p90", "p99", "p99.9");
    println!("{}", bare.row("floor"));
    println!("{}", path.row("REST -> clinic -> REST"));
    let ratio = |q: f64| path.quantile_ms(q) / bare.quantile_ms(q);
    println!(
        "{:<34} {:>7.2}x {:>7.2}x {:>7.2}x {:>7.2}x",
        "path over floor",
        ratio(0.5),
        ratio(0.9),
        ratio(0.99),
        ratio(0.999)
    );
    println!();
    println!("{}", verdict("p50", ratio(0.5), REACH_P50));
    println!("{}", verdict("p99", ratio(0.99), REACH_P99));
    println!(
        "Client, broker, roles and clinic share this machine's cores; SQLite and Kafka flushes"
    );
    println!("are as fast as its disk claims. Compare ratios, never the milliseconds.");
    Ok(())
}

fn verdict(name: &str, ratio: f64, reach: f64) -> String {
    let word = match ratio {
        // A path is made of more than its floor: where it is faster, the floor has stalled.
        ratio if ratio < 1.0 => "says nothing, the floor stalled",
        ratio if ratio <= reach => "reached",
        _ => "not reached",
    };
    format!("{name}: {ratio:.2}x the floor; to reach: {reach}x: {word}")
}
