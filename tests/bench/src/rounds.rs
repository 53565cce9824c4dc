//! Bookings and the floor in rounds that take turns, on a broker that is warm.
//!
//! A Java broker needs thousands of records before its compiler has done with them, and the bare
//! floor gains more by it than the path: measured cold, the ratio flatters. A noisy minute of the
//! machine meets one round and not the median of them.

use anyhow::{Context, Result, ensure};

use crate::booking::Bookings;
use crate::figures::{Figures, Spread};
use crate::floor::Floor;
use crate::place::{Place, variable};
use crate::spent::{self, Spent};

/// What is measured, and after what.
#[derive(clap::Args)]
#[group(id = "booking")]
pub struct Args {
    /// Measured bookings of each level, and as many round trips of the floor.
    #[arg(long, default_value_t = 2_000)]
    tries: usize,
    /// Round trips of the floor before anything is measured; a quarter as many bookings.
    #[arg(long, default_value_t = 10_000)]
    warm_up: usize,
    /// Rounds of each level; floor and path take turns.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many requests are in flight; a level for each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32])]
    in_flight: Vec<usize>,
}

/// The reach that the design names: p50 and p99 of the path over those of the floor, and its
/// processor time.
const REACH_P50: f64 = 1.5;
const REACH_P99: f64 = 2.0;
const REACH_CPU: f64 = 2.0;
/// Round trips of one look at the warming floor.
const LOOK: usize = 1_000;
/// The floor is steady when the medians of so many looks differ by no more than this.
const STEADY_LOOKS: usize = 3;
const STEADY_WIDTH: f64 = 1.10;
/// Looks after which it is measured all the same, and said so.
const LOOKS_MAX: usize = 30;
/// Bookings in flight while the path warms up.
const WARM_IN_FLIGHT: usize = 8;

/// Measures every level.
pub async fn run(args: &Args) -> Result<()> {
    ensure!(args.rounds > 0 && args.tries >= args.rounds * 20, "at least 20 tries a round");
    ensure!(!args.in_flight.contains(&0), "nothing in flight measures nothing");
    let place = Place::told()?;
    let token = variable("ARTERIA_TEST_STAFF_TOKEN")?;
    let unit = variable("ARTERIA_TEST_UNIT")?;
    let warm_bookings = args.warm_up / 4;
    let wanted = warm_bookings + args.tries * args.in_flight.len();

    let floor = Floor::start(&place.kafka).await.context("starting the floor")?;
    let mut desk = Bookings::prepare(&place.gateway, &token, &unit, wanted).await?;
    desk.measure(warm_bookings, WARM_IN_FLIGHT).await?;
    let served = warm(&floor, args.warm_up).await?;
    println!("after {warm_bookings} bookings and {served} round trips of the floor:");
    for in_flight in &args.in_flight {
        level(&place, &floor, &mut desk, args, *in_flight).await?;
    }
    floor.stop().await;
    println!();
    println!(
        "Client, broker, roles and clinics share this machine's cores; SQLite and Kafka flushes"
    );
    println!("are as fast as its disk claims. Compare ratios, never the milliseconds.");
    Ok(())
}

/// Makes round trips until the floor is steady.
async fn warm(floor: &Floor, at_least: usize) -> Result<usize> {
    let mut medians = Vec::new();
    loop {
        medians.push(floor.measure(LOOK, 1).await?.quantile_ms(0.5));
        let served = medians.len() * LOOK;
        let mut last = Spread::default();
        medians.iter().rev().take(STEADY_LOOKS).for_each(|median| last.push(*median));
        if served >= at_least && medians.len() >= STEADY_LOOKS && last.width() <= STEADY_WIDTH {
            return Ok(served);
        }
        if medians.len() >= LOOKS_MAX.max(at_least.div_ceil(LOOK)) {
            let [least, _, most] = last.ends();
            println!("the floor is not steady: its p50 moves between {least:.2} and {most:.2} ms");
            return Ok(served);
        }
    }
}

async fn level(
    place: &Place,
    floor: &Floor,
    desk: &mut Bookings,
    args: &Args,
    in_flight: usize,
) -> Result<()> {
    let each = args.tries / args.rounds;
    let (mut bare, mut path) = (Figures::default(), Figures::default());
    let (mut bare_spent, mut path_spent) = (Spent::default(), Spent::default());
    let mut ratios = [Spread::default(), Spread::default()];
    for _ in 0..args.rounds {
        let begin = Spent::until_now(place, floor.peer())?;
        let of_floor = floor.measure(each, in_flight).await?;
        let between = Spent::until_now(place, floor.peer())?;
        let of_path = desk.measure(each, in_flight).await?;
        let end = Spent::until_now(place, floor.peer())?;
        bare_spent.add(&begin, &between);
        path_spent.add(&between, &end);
        for (spread, share) in ratios.iter_mut().zip([0.5, 0.99]) {
            spread.push(of_path.quantile_ms(share) / of_floor.quantile_ms(share));
        }
        bare.join(of_floor);
        path.join(of_path);
    }
    println!();
    println!("{in_flight} in flight, {} rounds of {each} of each", args.rounds);
    println!("{:<34} {:>8} {:>8} {:>8} {:>8}", "milliseconds", "p50", "p90", "p99", "p99.9");
    println!("{}", bare.row("floor"));
    println!("{}", path.row("REST -> clinic -> REST"));
    let cpu = spent::table(&path_spent, &bare_spent, each * args.rounds);
    println!("{:<34} {:>8} {:>8} {:>8}", "over the floor", "minimum", "median", "maximum");
    for (name, spread, reach) in [("p50", &ratios[0], REACH_P50), ("p99", &ratios[1], REACH_P99)] {
        let [least, median, most] = spread.ends();
        let verdict = verdict(median, reach);
        println!("  {name:<32} {least:>7.2}x {median:>7.2}x {most:>7.2}x  {verdict}");
    }
    println!(
        "  {:<32} {:>8} {cpu:>7.2}x {:>8}  {}",
        "processor time",
        "",
        "",
        verdict(cpu, REACH_CPU)
    );
    Ok(())
}

/// Whether a ratio is what the design wants.
fn verdict(ratio: f64, reach: f64) -> String {
    match ratio {
        // A path is made of more than its floor: where it is faster, the floor has stalled.
        ratio if ratio < 1.0 => format!("reach {reach}x: says nothing, the floor stalled"),
        ratio if ratio <= reach => format!("reach {reach}x: reached"),
        _ => format!("reach {reach}x: not reached"),
    }
}
