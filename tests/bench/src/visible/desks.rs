//! Desks at work, at a pace that does not wait for the network.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kit_clock::Clock;
use practice::{CLINIC_DB, Desk};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::clinics::Clinic;

/// One operation in so many registers a patient whom an app waits for.
const WATCHED_EVERY: u32 = 5;
/// Registrations told and not yet taken; far more than a second of any rate.
const TOLD_MAX: usize = 4_096;

/// A registration that just became durable in its clinic.
pub struct Committed {
    pub unit: String,
    pub token: String,
    pub patient_id: Uuid,
    pub at: Instant,
}

/// The desks of a series.
pub struct Desks(JoinSet<Result<u64>>);

impl Desks {
    /// Waits until all are closed; the operations that they did.
    pub async fn end(mut self) -> Result<u64> {
        let mut operations = 0;
        while let Some(done) = self.0.join_next().await {
            operations += done??;
        }
        Ok(operations)
    }
}

/// Opens the desks of all clinics for `span`; together they begin `rate` operations a second.
pub fn open(clinics: &[Clinic], rate: u32, span: Duration) -> (Desks, Receiver<Committed>) {
    let (tell, told) = channel(TOLD_MAX);
    let mut desks = JoinSet::new();
    let begins = Instant::now();
    let every = Duration::from_secs_f64(clinics.len() as f64 / f64::from(rate));
    for (n, clinic) in (0..).zip(clinics) {
        let first = every.mul_f64(f64::from(n) / clinics.len() as f64);
        let pace = Pace { first: begins + first, every, end: begins + span, turn: n };
        let (clinic, tell) = (clinic.clone(), tell.clone());
        desks.spawn_blocking(move || work(&clinic, pace, &tell));
    }
    (Desks(desks), told)
}

/// When a desk does something.
struct Pace {
    first: Instant,
    every: Duration,
    end: Instant,
    turn: u32,
}

fn work(clinic: &Clinic, pace: Pace, tell: &Sender<Committed>) -> Result<u64> {
    let mut desk = Desk::open(&clinic.dir.join(CLINIC_DB))?;
    let mut rng = StdRng::from_os_rng();
    let mut operations = 0;
    let mut due = pace.first;
    while due < pace.end {
        // A desk that fell behind makes up for it: the load is what was said.
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if (pace.turn + operations).is_multiple_of(WATCHED_EVERY) {
            tell.blocking_send(one(&desk, clinic, &mut rng)?).context("the app is gone")?;
        } else {
            practice::day(&mut desk, &mut rng, Clock::system().now(), 1)?;
        }
        operations += 1;
        due += pace.every;
    }
    Ok(u64::from(operations))
}

/// Registers one patient at the clinic's desk.
pub fn register(clinic: &Clinic) -> Result<Committed> {
    let desk = Desk::open(&clinic.dir.join(CLINIC_DB))?;
    one(&desk, clinic, &mut StdRng::from_os_rng())
}

fn one(desk: &Desk, clinic: &Clinic, rng: &mut StdRng) -> Result<Committed> {
    let today = Clock::system().now().to_utc().date_naive();
    let land = practice::words::land_of(desk.time_zone());
    let number = rng.random_range(0..90_000_000);
    let mut patient = practice::people::patient(rng, land, today, number);
    (patient.active, patient.deceased_on) = (true, None);
    let patient_id = desk.register_patient(&patient)?;
    let (unit, token) = (clinic.unit.clone(), clinic.token.clone());
    Ok(Committed { unit, token, patient_id, at: Instant::now() })
}
