//! What a desk does beside a plain day: deletes, typing errors, replaced rows, other keys, hours
//! that change, transactions that are taken back.

use kit_event::Timestamp;
use practice::{Desk, Patient, PracticeError, Practitioner, Table, WorkingHours};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use uuid::Uuid;

/// Dates and times as people type them.
const TYPED: [&str; 5] =
    ["31/12/1980", "tomorrow 9h", "", "2026-03-30T11:00:00+02:00", "1980-02-30"];
/// Statuses that the network knows, and one that it does not.
const STATUSES: [&str; 6] = ["booked", "arrived", "fulfilled", "cancelled", "noshow", "in-room"];
const TEXTS: [&str; 5] = ["Évora", "d'Aubigné; DROP", "  ", "line\nline", "\u{1F600} 東京"];

/// An id that follows from the seed.
pub fn id(rng: &mut StdRng) -> Uuid {
    uuid::Builder::from_random_bytes(rng.random()).into_uuid()
}

/// The id of some row, in an order that does not depend on random ids.
pub fn some(desk: &Desk, rng: &mut StdRng, table: Table) -> Option<Uuid> {
    let rows = desk.rows_where(table, "1 ORDER BY rowid", &[]).expect("rows");
    rows.choose(rng)?.get(table.key())?.as_str()?.parse().ok()
}

/// Does one odd thing. Where there is nobody to do it to, nothing happens.
pub fn mischief(desk: &mut Desk, rng: &mut StdRng, now: Timestamp) {
    let done = match rng.random_range(0..16) {
        0..2 => mistype(desk, rng),
        2 => delete(desk, rng),
        3 => restate(desk, rng),
        4 => replace(desk, rng),
        5 => rename(desk, rng),
        6 => hours(desk, rng),
        7 => staff(desk, rng),
        8 => hire(desk, rng),
        9 => several(desk, rng),
        10 => another_patient(desk, rng),
        11..15 => money(desk, rng, now),
        _ => text(desk, rng),
    };
    match done {
        Ok(()) | Err(PracticeError::NoSuchRow { .. }) => {}
        Err(error) => panic!("the desk failed: {error:?}"),
    }
}

fn of<T: Copy>(rng: &mut StdRng, all: &[T]) -> T {
    *all.choose(rng).expect("a list that is not empty")
}

fn mistype(desk: &Desk, rng: &mut StdRng) -> Result<(), PracticeError> {
    let (table, column) = of(
        rng,
        &[
            (Table::Patients, "birth_date"),
            (Table::Patients, "deceased_on"),
            (Table::Appointments, "starts_at"),
            (Table::Appointments, "ends_at"),
        ],
    );
    let (row, typed) = (some(desk, rng, table), of(rng, &TYPED));
    row.map_or(Ok(()), |row| desk.amend(table, &row, &[(column, &typed)]))
}

fn delete(desk: &Desk, rng: &mut StdRng) -> Result<(), PracticeError> {
    let table = of(rng, &[Table::Patients, Table::Appointments, Table::Appointments]);
    some(desk, rng, table).map_or(Ok(()), |row| desk.delete(table, &row))
}

fn restate(desk: &Desk, rng: &mut StdRng) -> Result<(), PracticeError> {
    let (row, status) = (some(desk, rng, Table::Appointments), of(rng, &STATUSES));
    row.map_or(Ok(()), |row| desk.set_status(&row, status))
}

fn replace(desk: &Desk, rng: &mut StdRng) -> Result<(), PracticeError> {
    let known = some(desk, rng, Table::Patients).unwrap_or_default();
    let patient_id = if rng.random_bool(0.7) { known } else { id(rng) };
    desk.replace_patient(&Patient { patient_id, ..Patient::named("Replaced", of(rng, &TEXTS)) })
}

fn rename(desk: &Desk, rng: &mut StdRng) -> Result<(), PracticeError> {
    let (row, new) = (some(desk, rng, Table::Patients), id(rng).to_string());
    row.map_or(Ok(()), |row| desk.amend(Table::Patients, &row, &[("patient_id", &new)]))
}

fn hours(desk: &Desk, rng: &mut StdRng) -> Result<(), PracticeError> {
    let Some(whose) = some(desk, rng, Table::Practitioners) else { return Ok(()) };
    let (whose, weekday) = (whose.to_string(), rng.random_range(1..=6_u32));
    let sql = match rng.random_range(0..3) {
        0 => "DELETE FROM working_hours WHERE practitioner_id = ?1 AND weekday = ?2",
        1 => "UPDATE working_hours SET ends = '19:00' WHERE practitioner_id = ?1 AND weekday = ?2",
        _ => "INSERT OR IGNORE INTO working_hours VALUES (?1, ?2, '20:00', '21:00', 15)",
    };
    desk.execute(sql, &[&whose, &weekday]).map(drop)
}

fn staff(desk: &Desk, rng: &mut StdRng) -> Result<(), PracticeError> {
    let (row, active) = (some(desk, rng, Table::Practitioners), rng.random_bool(0.8));
    row.map_or(Ok(()), |row| desk.amend(Table::Practitioners, &row, &[("active", &active)]))
}

fn hire(desk: &mut Desk, rng: &mut StdRng) -> Result<(), PracticeError> {
    let practitioner_id = id(rng);
    let practitioner = Practitioner {
        practitioner_id,
        family_name: of(rng, &TEXTS).to_owned(),
        given_name: None,
        specialty: None,
        active: true,
    };
    let line = |weekday| WorkingHours {
        practitioner_id,
        weekday,
        starts: "08:00".to_owned(),
        ends: "12:00".to_owned(),
        slot_min: 20,
    };
    desk.hire(&practitioner, &[line(1), line(5)]).map(drop)
}

/// Two changes of one row in one transaction, and perhaps none of them after all.
fn several(desk: &mut Desk, rng: &mut StdRng) -> Result<(), PracticeError> {
    let Some(patient) = some(desk, rng, Table::Patients) else { return Ok(()) };
    let sql = format!(
        "UPDATE patients SET phone = '1' WHERE patient_id = '{patient}';
         UPDATE patients SET phone = '2', active = 1 - active WHERE patient_id = '{patient}';
         DELETE FROM appointments WHERE patient_id = '{patient}' AND status = 'noshow';"
    );
    let work = |connection: &rusqlite::Connection| {
        let act = "doing several things";
        connection.execute_batch(&sql).map_err(|source| PracticeError::Sql { act, source })
    };
    if rng.random_bool(0.7) { desk.transaction(work) } else { desk.rolled_back(work) }
}

fn another_patient(desk: &Desk, rng: &mut StdRng) -> Result<(), PracticeError> {
    let rows = (some(desk, rng, Table::Appointments), some(desk, rng, Table::Patients));
    let (Some(appointment), Some(patient)) = rows else { return Ok(()) };
    let patient = patient.to_string();
    desk.amend(Table::Appointments, &appointment, &[("patient_id", &patient)])
}

/// Bills, takes money for whatever invoice, takes bills back, and types amounts that are none.
fn money(desk: &Desk, rng: &mut StdRng, now: Timestamp) -> Result<(), PracticeError> {
    let (invoice, payment) = (some(desk, rng, Table::Invoices), some(desk, rng, Table::Payments));
    let (lost, minor) = (id(rng), rng.random_range(-3..9) * 500);
    let typed = of(rng, &["12,50", "", "4500", "0.5", "gratis"]);
    match rng.random_range(0..8) {
        0..3 => {
            let Some(patient) = some(desk, rng, Table::Patients) else { return Ok(()) };
            let total = rng.random_range(1..9) * 1_000;
            desk.issue_invoice(&patient, None, total, "EUR", now).map(drop)
        }
        3..5 => {
            let known = invoice.filter(|_| rng.random_range(0..5) > 0).unwrap_or(lost);
            desk.pay(&known, minor, of(rng, &["EUR", "EUR", "eur", "USD"]), now).map(drop)
        }
        5 => invoice.map_or(Ok(()), |it| desk.void(&it)),
        6 => payment
            .map_or(Ok(()), |it| desk.amend(Table::Payments, &it, &[("amount_minor", &typed)])),
        _ => payment.map_or(Ok(()), |it| desk.delete(Table::Payments, &it)),
    }
}

fn text(desk: &Desk, rng: &mut StdRng) -> Result<(), PracticeError> {
    let (row, text) = (some(desk, rng, Table::Patients), of(rng, &TEXTS));
    let column = of(rng, &["city", "family_name", "address_line", "email"]);
    row.map_or(Ok(()), |row| desk.amend(Table::Patients, &row, &[(column, &text)]))
}
