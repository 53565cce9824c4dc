//! Random days, and what must hold at the end of each.

use tests_flow::day::{Told, live};
use tests_flow::weather::Weather;

/// Steps of a day: some forty requests, as many changes at the desk, a dozen lives of the agent.
const STEPS: u32 = 90;

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
    days(12, Weather::STORM);
}

#[test]
fn when_a_unit_numbers_anew_its_rows_and_requests_stay_what_they_were() {
    days(6, Weather::UPHEAVAL);
}

#[test]
fn the_same_seed_gives_the_same_day() {
    assert_eq!(live(7, Weather::STORM, STEPS).facts, live(7, Weather::STORM, STEPS).facts);
}

#[test]
fn requests_that_follow_their_cancels_at_once_are_not_made() {
    days(12, Weather { controls_at_once: true, ..Weather::CALM });
}
