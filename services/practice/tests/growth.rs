//! A clinic for growth is born quickly: five million people are ten thousand in each of five
//! hundred clinics.

use std::time::{Duration, Instant};

use chrono_tz::Tz;
use practice::{Desk, Population, Table, seed};

/// Fills a clinic, and says how fast it went.
fn filled(population: &Population) -> (Duration, u64) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(practice::CLINIC_DB);
    let began = Instant::now();
    seed(&path, 1, population, "2026-03-18T10:07:00Z".parse().unwrap()).unwrap();
    let took = began.elapsed();
    let desk = Desk::open(&path).unwrap();
    let rows: u64 = Table::ALL.iter().map(|table| desk.count(*table).unwrap()).sum();
    println!("{rows} rows in {took:?}: {:.0} rows/s", rows as f64 / took.as_secs_f64());
    assert_eq!(desk.count(Table::Patients).unwrap(), u64::from(population.patients));
    (took, rows)
}

#[test]
fn ten_thousand_patients_take_a_moment_even_without_optimisation() {
    let (took, rows) = filled(&Population::register(10_000, Tz::Europe__Lisbon));
    assert!((10_000..12_000).contains(&rows), "a register is mostly patients: {rows} rows");
    assert!(took < Duration::from_secs(20), "{took:?}");
    let (_, rows) = filled(&Population::of(10_000, Tz::Europe__Lisbon));
    assert!(rows > 15_000, "{rows} rows");
}
