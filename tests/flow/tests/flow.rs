//! Random days, and what must hold at the end of each.

use tests_flow::day::{Told, live};
use tests_flow::weather::Weather;

/// Steps of a day: some forty requests, as many changes at the desk, a dozen lives of the agent.
const STEPS: u32 = 90;

/// Days of the storm: enough that each kind of decision is met many times.
const DAYS: u64 = 14;

/// The seeds to live through: those of the test, or the one that the environment names.
fn seeds(count: u64) -> Vec<u64> {
    let named = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match named("ARTERIA_FLOW_SEED") {
        Some(seed) => vec![seed],
        None => (0..named("ARTERIA_FLOW_SEEDS").unwrap_or(count)).collect(),
    }
}

fn days(count: u64, weather: Weather) -> Told {
    let mut told = Told::default();
    for seed in seeds(count) {
        told.add(&live(seed, weather, STEPS));
    }
    println!("{told:?}");
    told
}

#[test]
fn on_a_calm_day_the_network_shows_the_clinic_and_each_request_once() {
    days(6, Weather::CALM);
}

#[test]
fn in_a_storm_nothing_is_lost_doubled_or_left_behind() {
    let told = days(DAYS, Weather::STORM);
    if told.days < DAYS {
        return;
    }
    // A test that checks nothing would pass too.
    for (what, least) in [
        ("done", 120),
        ("done as matched", 5),
        ("granted a time", 50),
        ("slot taken", 10),
        ("expired", 30),
        ("granted money", 15),
        ("more than is owed", 5),
    ] {
        let checked = told.checked.get(what).copied().unwrap_or_default();
        assert!(checked >= least, "only {checked} times: {what}");
    }
    let weather = (told.cuts, told.breaks, told.cancelled_ahead);
    assert!(weather.0 >= 15 && weather.1 >= 15 && weather.2 >= 15, "{weather:?}");
}

#[test]
fn when_a_unit_numbers_anew_its_rows_and_requests_stay_what_they_were() {
    days(6, Weather::UPHEAVAL);
}

#[test]
fn the_same_seed_gives_the_same_day() {
    assert_eq!(live(7, Weather::STORM, STEPS).facts, live(7, Weather::STORM, STEPS).facts);
}

/// Seed 12 asks for two cancels and their requests in one breath: every frame that goes ahead is
/// obeyed before any command (unit.v1, section 4).
#[test]
fn a_request_that_arrives_after_its_cancel_is_not_made() {
    let _ = live(12, Weather { controls_at_once: true, ..Weather::CALM }, STEPS);
}
