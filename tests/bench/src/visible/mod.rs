//! How long after a clinic's commit an app sees it at REST, under a load that is said.
//!
//! The load: clinics online, whose desks together begin so many operations a second, evenly spaced
//! and without waiting for the network (what a desk does is [`practice::day`]'s mix). Every fifth
//! operation registers a patient, for whose record an app asks until it is there: from the return
//! of the desk's commit to the end of the answer is one figure. Beside the app's view stands that
//! of the projector, over every fact of the same span.
//!
//! The floor of the same run is the same path alone: one registration in flight, and nobody else.

mod app;
mod desks;
mod histogram;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::clinics::{self, Clinic, Clinics};
use crate::figures::Figures;
use crate::place::Place;
use app::App;
use histogram::Histogram;

/// What of the load is told on the command line.
#[derive(clap::Args)]
#[group(id = "visible")]
pub struct Args {
    /// Clinics online.
    #[arg(long, default_value_t = 20)]
    clinics: u32,
    /// Patients of each.
    #[arg(long, default_value_t = 1_000)]
    patients: u32,
    /// Desk operations a second of all clinics together; a series for each.
    #[arg(long, value_delimiter = ',', default_values_t = [50, 200])]
    rates: Vec<u32>,
    /// How long each series lasts.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Registrations of the floor.
    #[arg(long, default_value_t = 500)]
    alone: usize,
}

/// Days of diary on both sides of today: desks move and cancel what is in it.
const DIARY_DAYS: u32 = 10;
/// Clinics that are not whole after this are stuck.
const SEEDED_WITHIN: Duration = Duration::from_mins(5);
/// Between the end of a series and the reading of the projector's histogram: the last facts arrive.
const SETTLE: Duration = Duration::from_secs(2);
/// What the design wants of an app's view at this rate.
const REACH_RATE: u32 = 50;
const REACH_P50_MS: f64 = 10.0;
const REACH_P99_MS: f64 = 30.0;
/// Registrations that are not measured, before the floor.
const WARM_UP: usize = 100;

/// Makes the clinics, then measures the floor and a series for each rate.
pub async fn run(args: &Args) -> Result<()> {
    ensure!(args.clinics > 0 && args.alone > 0 && args.seconds > 0, "nothing to measure");
    ensure!(!args.rates.contains(&0), "a rate of 0 measures nothing");
    let place = Place::told()?;
    let clinics = Clinics::new(&place, args.patients, DIARY_DAYS);
    let made = clinics.make(1..=args.clinics).await?;
    let agents = clinics.start(&made)?;
    seeded(&clinics, &made).await?;

    println!(
        "from the clinic's commit to REST; {} clinics of {} patients online",
        args.clinics, args.patients
    );
    println!("{:<34} {:>8} {:>8} {:>8} {:>8}", "milliseconds", "p50", "p90", "p99", "p99.9");
    let app = App::new(&place)?;
    alone(&app, &made, WARM_UP).await?;
    let floor = alone(&app, &made, args.alone).await?;
    println!("{}", floor.row("alone, one in flight"));
    for rate in &args.rates {
        series(&place, &app, &made, *rate, args.seconds, &floor).await?;
    }
    for agent in agents {
        clinics::stop(agent).await?;
    }
    println!("Desks, agents, broker, roles and app share this machine's cores.");
    Ok(())
}

async fn seeded(clinics: &Clinics, made: &[Clinic]) -> Result<()> {
    let begun = Instant::now();
    for clinic in made {
        while !clinics.is_seeded(clinic).await? {
            ensure!(begun.elapsed() < SEEDED_WITHIN, "{} is not whole", clinic.unit);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

/// One registration after the other, from clinic to clinic.
async fn alone(app: &App, made: &[Clinic], tries: usize) -> Result<Figures> {
    let mut figures = Figures::default();
    for n in 0..tries {
        let committed = desks::register(&made[n % made.len()])?;
        figures.push(app.sees(committed).await?);
    }
    Ok(figures)
}

async fn series(
    place: &Place,
    app: &App,
    made: &[Clinic],
    rate: u32,
    seconds: u64,
    floor: &Figures,
) -> Result<()> {
    let before = Histogram::read(place).await?;
    let (opened, committed) = desks::open(made, rate, Duration::from_secs(seconds));
    let figures = app.sees_all(committed).await?;
    let operations = opened.end().await?;
    tokio::time::sleep(SETTLE).await;
    let spent = Histogram::read(place).await?.since(&before);

    println!("{}", figures.row(&format!("{rate} operations/s, app's view")));
    println!("{}", spent.row("  every fact, projector's view"));
    let times = |share: f64| figures.quantile_ms(share) / floor.quantile_ms(share);
    if rate == REACH_RATE {
        let within = |share, reach_ms| {
            let word =
                if figures.quantile_ms(share) <= reach_ms { "reached" } else { "not reached" };
            format!("{reach_ms:.0} ms {word}")
        };
        println!(
            "  to reach: p50 {}, p99 {}",
            within(0.5, REACH_P50_MS),
            within(0.99, REACH_P99_MS)
        );
    }
    println!("  over alone: p50 {:.2}x, p99 {:.2}x", times(0.5), times(0.99));
    println!(
        "  {operations} operations done, {} of them watched; {} facts became visible",
        figures.count(),
        spent.count()
    );
    Ok(())
}
