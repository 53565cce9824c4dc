//! A plausible second practice, around a wall time.

use chrono::{NaiveDateTime, TimeDelta};
use rand::Rng;
use rand::rngs::StdRng;
use rusqlite::params;

use super::{Anruf, PraxisDesk, Tabelle};
use crate::error::PracticeError;
use crate::people;
use crate::words::{REASONS, SPECIALTIES, land_of};

/// What a visit costs, in cents.
const PRICES_MINOR: &[i64] = &[4_550, 1_072, 12_000, 2_145, 905];
/// How long each visit takes.
const VISIT_MIN: i64 = 15;

/// Doctors with hours; patients, each with a visit, an invoice, a payment and a call.
pub(super) fn fill(
    desk: &PraxisDesk,
    rng: &mut StdRng,
    patients: u32,
    now: NaiveDateTime,
) -> Result<(), PracticeError> {
    let doctors = [doctor(desk, "Grünwald", 0)?, doctor(desk, "Öztürk", 1)?];
    let land = land_of(chrono_tz::Europe::Berlin);
    for number in 0..patients {
        let patient = people::patient(rng, land, now.date(), number);
        let pat_nr = desk.aufnehmen(&patient)?;
        let days = rng.random_range(-60..60);
        let hour = rng.random_range(8..17);
        let beginn = (now.date() + TimeDelta::days(days)).and_hms_opt(hour, 0, 0).unwrap_or(now);
        let arzt_nr = doctors[number as usize % doctors.len()];
        let termin_nr = desk.eintragen(pat_nr, arzt_nr, beginn, VISIT_MIN)?;
        let anlass = people::pick(rng, REASONS);
        desk.amend(Tabelle::Termin, termin_nr, "anlass", anlass)?;
        if beginn < now {
            past_visit(desk, rng, pat_nr, termin_nr, beginn)?;
        }
        let begonnen_am = (beginn - TimeDelta::days(1)).format("%Y-%m-%d %H:%M:%S").to_string();
        desk.telefonieren(&Anruf {
            pat_nr: Some(pat_nr),
            nummer: &people::phone(rng, land),
            richtung: people::pick::<&str>(rng, &["ein", "aus"]),
            begonnen_am: &begonnen_am,
            dauer_s: rng.random_range(0..600),
            ergebnis: people::pick::<&str>(rng, &["angenommen", "verpasst", "mailbox"]),
        })?;
    }
    Ok(())
}

/// What became of a visit: half of the kept ones are paid.
fn past_visit(
    desk: &PraxisDesk,
    rng: &mut StdRng,
    pat_nr: i64,
    termin_nr: i64,
    beginn: NaiveDateTime,
) -> Result<(), PracticeError> {
    let zustand = *people::pick(rng, &["erledigt", "erledigt", "storniert", "nicht erschienen"]);
    desk.zustand(termin_nr, zustand)?;
    if zustand != "erledigt" {
        return Ok(());
    }
    let cents = *people::pick(rng, PRICES_MINOR);
    let later = beginn + TimeDelta::minutes(2 * VISIT_MIN);
    let rechnung_nr = desk.berechnen(pat_nr, Some(termin_nr), later, cents)?;
    if people::chance(rng, 50) {
        let zahlart = *people::pick(rng, &["bar", "karte", "ueberweisung"]);
        desk.bezahlen(rechnung_nr, later, cents as f64 / 100.0, zahlart)?;
        desk.amend(Tabelle::Rechnung, rechnung_nr, "zustand", &"bezahlt")?;
    }
    Ok(())
}

fn doctor(desk: &PraxisDesk, nachname: &str, index: usize) -> Result<i64, PracticeError> {
    let sql = "INSERT INTO arzt (nachname, vorname, fachgebiet) VALUES (?1, 'Kim', ?2)";
    let arzt_nr = desk.insert(sql, params![nachname, SPECIALTIES[index]])?;
    let sql = "INSERT INTO sprechzeit (arzt_nr, wochentag, von, bis) VALUES (?1, ?2, ?3, ?4)";
    for wochentag in ["Mo", "Di", "Mi", "Do", "Fr"] {
        desk.execute(sql, &[&arzt_nr, &wochentag, &"08:00", &"12:00"])?;
        desk.execute(sql, &[&arzt_nr, &wochentag, &"14:00", &"17:30"])?;
    }
    Ok(arzt_nr)
}
