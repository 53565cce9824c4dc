//! Fills an empty clinic with a plausible past and future.

use std::path::Path;
use std::time::Duration;

use chrono_tz::Tz;
use kit_event::{Timestamp, UnitId};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::bills::BillsOf;
use crate::diary::{Appointment, DiaryOf};
use crate::error::{PracticeError, during};
use crate::words::land_of;
use crate::{CLINIC_DB, SCHEMA, people};

/// How much of everything.
#[derive(Debug, Clone)]
pub struct Population {
    /// Registered patients.
    pub patients: u32,
    /// Practitioners; six to ten where not told.
    pub practitioners: Option<usize>,
    /// The unit's zone: its working hours, its country and most of its names follow from it.
    pub time_zone: Tz,
    /// Days of diary before today.
    pub past_days: u32,
    /// Days of diary after today.
    pub coming_days: u32,
}

impl Default for Population {
    /// The clinic of the demonstration.
    fn default() -> Self {
        Self {
            patients: 2_000,
            practitioners: None,
            time_zone: Tz::UTC,
            past_days: 90,
            coming_days: 30,
        }
    }
}

impl Population {
    /// A clinic of `patients` in `time_zone`, otherwise as usual.
    #[must_use]
    pub fn of(patients: u32, time_zone: Tz) -> Self {
        Self { patients, time_zone, ..Self::default() }
    }

    /// A register of `patients` in `time_zone` and little else: two practitioners and a few days of
    /// diary. Networks that grow by thousands of clinics are made of these.
    #[must_use]
    pub fn register(patients: u32, time_zone: Tz) -> Self {
        let (past_days, coming_days) = (REGISTER_DAYS, REGISTER_DAYS);
        Self { practitioners: Some(2), past_days, coming_days, ..Self::of(patients, time_zone) }
    }
}

/// Days of diary before and after today in a clinic that is mostly a register.
const REGISTER_DAYS: u32 = 5;
/// Pages that a database which is being filled may keep in memory, in KiB: all of a large clinic,
/// so that rows under random keys are not written to disk again and again before the commit.
const FILLING_CACHE_KIB: i64 = 64 << 10;

/// What [`seed`] found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seeded {
    /// The clinic had patients already and was left alone.
    LeftAlone {
        /// How many.
        patients: u32,
    },
    /// The clinic was empty and now holds these.
    Filled {
        /// Patients.
        patients: u32,
        /// Practitioners.
        practitioners: u32,
        /// Appointments, past and coming.
        appointments: u32,
    },
}

/// How long a practice's program waits for a lock that another program holds.
pub(crate) const BUSY_WAIT: Duration = Duration::from_mins(1);

/// A seed that follows from the unit's name, so that a clinic is born the same everywhere (FNV-1a,
/// which no library version changes).
#[must_use]
pub fn seed_of(unit: &UnitId) -> u64 {
    unit.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// [`seed`] of `clinic.db` in the clinic's folder, under the seed of its unit.
///
/// # Errors
/// As [`seed`].
pub fn seed_clinic(
    dir: &Path,
    unit: &UnitId,
    population: &Population,
    now: Timestamp,
) -> Result<Seeded, PracticeError> {
    seed(&dir.join(CLINIC_DB), seed_of(unit), population, now)
}

/// Fills the clinic database at `path`, made with the reference schema where it is missing. The
/// same seed, population and hour give the same rows. A clinic with patients is left alone.
///
/// # Errors
/// The database cannot be opened or written; nothing is half done.
pub fn seed(
    path: &Path,
    seed: u64,
    population: &Population,
    now: Timestamp,
) -> Result<Seeded, PracticeError> {
    let mut connection = open(path)?;
    connection
        .pragma_update(None, "cache_size", -FILLING_CACHE_KIB)
        .map_err(during("making room to seed"))?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(during("beginning to seed"))?;
    let patients: u32 = transaction
        .query_row("SELECT count(*) FROM patients", [], |row| row.get(0))
        .map_err(during("counting patients"))?;
    if patients > 0 {
        return Ok(Seeded::LeftAlone { patients });
    }
    let filled = fill(&transaction, seed, population, now)?;
    transaction.commit().map_err(during("committing the seed"))?;
    Ok(filled)
}

/// Opens (or makes) a clinic database as a modern practice program does: in WAL mode, unless
/// another program has it open at the moment, with foreign keys declared and not enforced.
pub(crate) fn open(path: &Path) -> Result<Connection, PracticeError> {
    let failed = |source| PracticeError::Open { path: path.to_owned(), source };
    let connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(Duration::ZERO).map_err(failed)?;
    match connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())) {
        Ok(()) => {}
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
        Err(source) => return Err(failed(source)),
    }
    connection.busy_timeout(BUSY_WAIT).map_err(failed)?;
    connection.pragma_update(None, "foreign_keys", false).map_err(failed)?;
    connection.execute_batch(SCHEMA).map_err(failed)?;
    Ok(connection)
}

fn fill(
    connection: &Connection,
    seed: u64,
    population: &Population,
    now: Timestamp,
) -> Result<Seeded, PracticeError> {
    let rng = &mut StdRng::seed_from_u64(seed);
    let mut bills = BillsOf::new(seed, now);
    let land = land_of(population.time_zone);
    let today = now.to_utc().with_timezone(&population.time_zone).date_naive();
    let mut living = Vec::new();
    for number in 0..population.patients {
        let patient = people::patient(rng, land, today, number);
        patient.write(connection, "INSERT")?;
        if patient.active {
            living.push(patient.patient_id);
        }
    }
    let count = population.practitioners.unwrap_or_else(|| rng.random_range(6..=10));
    let staff = people::staff(rng, land, count);
    let mut appointments = 0;
    for (practitioner, hours) in &staff {
        practitioner.write(connection)?;
        for hours in hours {
            hours.write(connection)?;
        }
        if living.is_empty() {
            continue;
        }
        let diary = DiaryOf {
            hours,
            patients: &living,
            zone: population.time_zone,
            now,
            past_days: population.past_days,
            coming_days: population.coming_days,
        };
        for appointment in diary.fill(rng) {
            appointment.write(connection)?;
            bill(connection, &mut bills, &appointment)?;
            appointments += 1;
        }
    }
    let practitioners = u32::try_from(count).unwrap_or(u32::MAX);
    Ok(Seeded::Filled { patients: population.patients, practitioners, appointments })
}

fn bill(
    connection: &Connection,
    bills: &mut BillsOf,
    visit: &Appointment,
) -> Result<(), PracticeError> {
    let Some((invoice, payments)) = bills.of(visit) else { return Ok(()) };
    invoice.write(connection)?;
    payments.iter().try_for_each(|payment| payment.write(connection))
}
