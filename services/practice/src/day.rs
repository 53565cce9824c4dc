//! A day at the desk: a random but plausible mix of what people there do.

use kit_event::Timestamp;
use rand::Rng;
use rand::seq::IndexedRandom;
use uuid::Uuid;

use crate::error::{PracticeError, during};
use crate::people::{self, phone};
use crate::words::land_of;
use crate::{Desk, Table};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// How far ahead people book, in days.
const BOOKING_HORIZON_DAYS: i64 = 25;
/// Record numbers of the day begin here, above those of any seed.
const FIRST_NUMBER: u32 = 5_000_000;

/// What was done, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Day {
    /// Patients registered.
    pub registered: u32,
    /// Patients changed.
    pub amended: u32,
    /// Registrations taken out of use.
    pub deactivated: u32,
    /// Appointments made.
    pub booked: u32,
    /// Appointments moved.
    pub moved: u32,
    /// Appointments cancelled.
    pub cancelled: u32,
    /// Appointments that moved on to arrived, fulfilled or noshow.
    pub attended: u32,
    /// Appointments entered by mistake and deleted again, in two transactions.
    pub deleted: u32,
    /// Transactions begun and taken back.
    pub rolled_back: u32,
    /// Operations for which there was nobody or no slot.
    pub idle: u32,
}

/// Does `operations` random things, each in a transaction of its own (the mistakes in two). The
/// same generator on the same clinic does the same.
///
/// # Errors
/// The database does not take one of them.
pub fn day(
    desk: &mut Desk,
    rng: &mut impl Rng,
    now: Timestamp,
    operations: u32,
) -> Result<Day, PracticeError> {
    let mut done = Day::default();
    for _ in 0..operations {
        let counted = match rng.random_range(0..100) {
            0..18 => register(desk, rng, now)?.then_some(&mut done.registered),
            18..42 => amend(desk, rng)?.then_some(&mut done.amended),
            42..45 => deactivate(desk, rng)?.then_some(&mut done.deactivated),
            45..70 => book(desk, rng, now)?.map(|_| &mut done.booked),
            70..78 => move_one(desk, rng, now)?.then_some(&mut done.moved),
            78..86 => step(desk, rng, "booked", &["cancelled"])?.then_some(&mut done.cancelled),
            86..92 => step(desk, rng, "booked", &["arrived", "arrived", "noshow"])?
                .then_some(&mut done.attended),
            92..96 => step(desk, rng, "arrived", &["fulfilled"])?.then_some(&mut done.attended),
            96..98 => mistake(desk, rng, now)?.then_some(&mut done.deleted),
            _ => think_again(desk, rng)?.then_some(&mut done.rolled_back),
        };
        *counted.unwrap_or(&mut done.idle) += 1;
    }
    Ok(done)
}

fn register(desk: &Desk, rng: &mut impl Rng, now: Timestamp) -> Result<bool, PracticeError> {
    let today = now.to_utc().with_timezone(&desk.time_zone()).date_naive();
    let number = FIRST_NUMBER + rng.random_range(0..90_000_000);
    let mut patient = people::patient(rng, land_of(desk.time_zone()), today, number);
    (patient.active, patient.deceased_on) = (true, None);
    desk.register_patient(&patient)?;
    Ok(true)
}

fn amend(desk: &Desk, rng: &mut impl Rng) -> Result<bool, PracticeError> {
    let Some(patient) = someone(desk, rng)? else { return Ok(false) };
    let land = land_of(desk.time_zone());
    if rng.random_bool(0.5) {
        desk.amend(Table::Patients, &patient, &[("phone", &phone(rng, land))])?;
    } else {
        let (city, postal) = people::pick(rng, land.cities);
        let house = rng.random_range(1..180);
        let line = format!("{} {house}", people::pick(rng, land.streets));
        let changes: [(&str, &dyn rusqlite::ToSql); 3] =
            [("address_line", &line), ("city", city), ("postal_code", postal)];
        desk.amend(Table::Patients, &patient, &changes)?;
    }
    Ok(true)
}

fn deactivate(desk: &Desk, rng: &mut impl Rng) -> Result<bool, PracticeError> {
    let Some(patient) = someone(desk, rng)? else { return Ok(false) };
    desk.deactivate_patient(&patient)?;
    Ok(true)
}

fn book(desk: &Desk, rng: &mut impl Rng, now: Timestamp) -> Result<Option<Uuid>, PracticeError> {
    let practitioners = desk.practitioners()?;
    let (Some(practitioner), Some(patient)) = (practitioners.choose(rng), someone(desk, rng)?)
    else {
        return Ok(None);
    };
    let from = now.plus_ms(rng.random_range(0..BOOKING_HORIZON_DAYS) * DAY_MS + 1);
    let free = desk.free_slots(practitioner, from, from.plus_ms(DAY_MS))?;
    let Some(slot) = free.choose(rng) else { return Ok(None) };
    desk.take_slot(practitioner, *slot, &patient).map(Some)
}

fn move_one(desk: &Desk, rng: &mut impl Rng, now: Timestamp) -> Result<bool, PracticeError> {
    let Some(appointment) = some_appointment(desk, rng, "booked")? else { return Ok(false) };
    let Some(row) = desk.row(Table::Appointments, &appointment)? else { return Ok(false) };
    let practitioner = row.get("practitioner_id").and_then(|id| id.as_str()?.parse().ok());
    let Some(practitioner) = practitioner else { return Ok(false) };
    let from = now.plus_ms(rng.random_range(0..BOOKING_HORIZON_DAYS) * DAY_MS + 1);
    let Some(slot) = desk.next_free(&practitioner, from)? else { return Ok(false) };
    desk.move_appointment(&appointment, slot)?;
    Ok(true)
}

fn step(
    desk: &Desk,
    rng: &mut impl Rng,
    from: &str,
    to: &'static [&'static str],
) -> Result<bool, PracticeError> {
    let Some(appointment) = some_appointment(desk, rng, from)? else { return Ok(false) };
    desk.set_status(&appointment, people::pick::<&str>(rng, to))?;
    Ok(true)
}

fn mistake(desk: &Desk, rng: &mut impl Rng, now: Timestamp) -> Result<bool, PracticeError> {
    let Some(appointment) = book(desk, rng, now)? else { return Ok(false) };
    desk.delete(Table::Appointments, &appointment)?;
    Ok(true)
}

fn think_again(desk: &mut Desk, rng: &mut impl Rng) -> Result<bool, PracticeError> {
    let Some(patient) = someone(desk, rng)? else { return Ok(false) };
    desk.rolled_back(|connection| {
        let sql = "UPDATE patients SET family_name = 'Never' WHERE patient_id = ?1";
        connection.execute(sql, [patient.to_string()]).map_err(during("thinking again"))
    })?;
    Ok(true)
}

/// A random active patient: the next one after a random place in the table.
fn someone(desk: &Desk, rng: &mut impl Rng) -> Result<Option<Uuid>, PracticeError> {
    let place = random_place(desk, rng, Table::Patients)?;
    let found = desk.ids(&format!(
        "SELECT patient_id FROM patients WHERE rowid >= {place} AND active <> 0 \
         ORDER BY rowid LIMIT 1"
    ))?;
    Ok(found.first().copied())
}

/// A random appointment of a status, or one that comes after a random place.
fn some_appointment(
    desk: &Desk,
    rng: &mut impl Rng,
    status: &str,
) -> Result<Option<Uuid>, PracticeError> {
    let place = random_place(desk, rng, Table::Appointments)?;
    let found = desk.ids(&format!(
        "SELECT appointment_id FROM appointments WHERE status = '{status}' \
         ORDER BY rowid < {place}, rowid LIMIT 1"
    ))?;
    Ok(found.first().copied())
}

fn random_place(desk: &Desk, rng: &mut impl Rng, table: Table) -> Result<i64, PracticeError> {
    let sql = format!("SELECT coalesce(max(rowid), 1) FROM {}", table.name());
    let last: i64 = desk
        .connection()
        .query_row(&sql, [], |row| row.get(0))
        .map_err(during("finding a random row"))?;
    Ok(rng.random_range(1..=last.max(1)))
}
