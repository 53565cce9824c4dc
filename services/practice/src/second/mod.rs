//! A second practice: the desk of `schema/second.sql`.
//!
//! It proves that an agent can serve a practice whose software knows nothing of us, by a mapping
//! file alone. So this desk thinks in its own words: numbers for keys, wall times of Berlin, German
//! states, euros. What REST must show of a row is said by [`PraxisDesk::as_rest`], with conversions
//! of its own; ids are left out, since only the agent knows what public id a number has.

use std::path::Path;

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rusqlite::{Connection, Params, ToSql, params, params_from_iter};

use crate::error::{PracticeError, during};
use crate::people::Patient;
use crate::seed::BUSY_WAIT;

mod oracle;
mod population;

/// The second practice schema; running it twice changes nothing.
pub const SECOND_SCHEMA: &str = include_str!("../../schema/second.sql");

/// How a wall time stands in `beginn`, `ende`, `gestellt_am` and `bezahlt_am`.
const WALL: &str = "%Y-%m-%d %H:%M";
/// How a date stands.
const DATE: &str = "%d.%m.%Y";

/// A table of the second schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tabelle {
    /// Patients.
    Patient,
    /// Practitioners.
    Arzt,
    /// The diary.
    Termin,
    /// Invoices.
    Rechnung,
    /// Payments.
    Zahlung,
    /// Phone calls.
    Anruf,
}

impl Tabelle {
    /// Its name in SQL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Arzt => "arzt",
            Self::Termin => "termin",
            Self::Rechnung => "rechnung",
            Self::Zahlung => "zahlung",
            Self::Anruf => "anruf",
        }
    }

    /// The column that numbers its rows.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Patient => "pat_nr",
            Self::Arzt => "arzt_nr",
            Self::Termin => "termin_nr",
            Self::Rechnung => "rechnung_nr",
            Self::Zahlung => "zahlung_nr",
            Self::Anruf => "anruf_nr",
        }
    }
}

/// A call as the telephone system writes it.
#[derive(Debug, Clone, Copy)]
pub struct Anruf<'a> {
    /// The patient, where the number is known.
    pub pat_nr: Option<i64>,
    /// The other number.
    pub nummer: &'a str,
    /// `ein` or `aus`.
    pub richtung: &'a str,
    /// `yyyy-mm-dd HH:MM:SS`, wall time.
    pub begonnen_am: &'a str,
    /// Seconds of speech.
    pub dauer_s: i64,
    /// `angenommen`, `verpasst` or `mailbox`.
    pub ergebnis: &'a str,
}

/// One program with a database of the second schema open.
pub struct PraxisDesk {
    connection: Connection,
}

impl PraxisDesk {
    /// Opens the database at `path`, made with the second schema where it is missing.
    ///
    /// # Errors
    /// The file is no database, or another program holds it too long.
    pub fn open(path: &Path) -> Result<Self, PracticeError> {
        let failed = |source| PracticeError::Open { path: path.to_owned(), source };
        let connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(BUSY_WAIT).map_err(failed)?;
        connection.pragma_update(None, "foreign_keys", false).map_err(failed)?;
        connection.execute_batch(SECOND_SCHEMA).map_err(failed)?;
        Ok(Self { connection })
    }

    /// Fills an empty practice: two doctors with hours, `patients` patients with a visit, an
    /// invoice, a payment and a call each, around the wall time `now`. The same seed and `now` give
    /// the same practice; one with patients is left alone.
    ///
    /// # Errors
    /// The database refuses a row; then nothing has changed.
    pub fn seed(&self, seed: u64, patients: u32, now: NaiveDateTime) -> Result<(), PracticeError> {
        if self.count(Tabelle::Patient)? > 0 {
            return Ok(());
        }
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(during("beginning to seed"))?;
        let filled = population::fill(self, &mut StdRng::seed_from_u64(seed), patients, now);
        let end = if filled.is_ok() { "COMMIT" } else { "ROLLBACK" };
        self.connection.execute_batch(end).map_err(during("ending the seed"))?;
        filled
    }

    // === What people do ===

    /// Writes a new patient as this practice keeps them; the number that they got.
    ///
    /// # Errors
    /// The database refuses the row.
    pub fn aufnehmen(&self, patient: &Patient) -> Result<i64, PracticeError> {
        let sex = patient.sex.as_deref().and_then(|sex| match sex {
            "male" => Some("M"),
            "female" => Some("W"),
            "other" => Some("D"),
            _ => None,
        });
        let date = |text: &Option<String>| text.as_deref().map(german_date);
        self.insert(
            "INSERT INTO patient (akte, nachname, vorname, geb_datum, geschlecht, telefon, mail, \
             strasse, plz, ort, land, verstorben_am, geloescht) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            params![
                patient.mrn,
                patient.family_name,
                patient.given_name,
                date(&patient.birth_date),
                sex,
                patient.phone,
                patient.email,
                patient.address_line,
                patient.postal_code,
                patient.city,
                patient.country,
                date(&patient.deceased_on),
                if patient.active { "nein" } else { "ja" },
            ],
        )
    }

    /// Takes a record out of use; nothing is ever deleted here.
    ///
    /// # Errors
    /// There is no such patient, or the database does not take it.
    pub fn loeschen(&self, pat_nr: i64) -> Result<(), PracticeError> {
        self.amend(Tabelle::Patient, pat_nr, "geloescht", &"ja")
    }

    /// Notes that `pat_nr` is the same person's record as `bleibt`, which stays.
    ///
    /// # Errors
    /// There is no such patient, or the database does not take it.
    pub fn zusammenfuehren(&self, pat_nr: i64, bleibt: i64) -> Result<(), PracticeError> {
        self.amend(Tabelle::Patient, pat_nr, "zusammengefuehrt_mit", &bleibt)
    }

    /// Writes a visit of `minutes` into the diary from the wall time `beginn`; its number.
    ///
    /// # Errors
    /// The database refuses the row.
    pub fn eintragen(
        &self,
        pat_nr: i64,
        arzt_nr: i64,
        beginn: NaiveDateTime,
        minutes: i64,
    ) -> Result<i64, PracticeError> {
        let ende = beginn + TimeDelta::minutes(minutes);
        self.insert(
            "INSERT INTO termin (pat_nr, arzt_nr, beginn, ende) VALUES (?1, ?2, ?3, ?4)",
            params![pat_nr, arzt_nr, wall(beginn), wall(ende)],
        )
    }

    /// Gives a visit another state (`geplant`, `erschienen`, `erledigt`, `storniert`,
    /// `nicht erschienen`, or any word).
    ///
    /// # Errors
    /// There is no such visit, or the database does not take it.
    pub fn zustand(&self, termin_nr: i64, zustand: &str) -> Result<(), PracticeError> {
        self.amend(Tabelle::Termin, termin_nr, "zustand", &zustand)
    }

    /// Writes an invoice of so many cents; its number.
    ///
    /// # Errors
    /// The database refuses the row.
    pub fn berechnen(
        &self,
        pat_nr: i64,
        termin_nr: Option<i64>,
        gestellt_am: NaiveDateTime,
        cents: i64,
    ) -> Result<i64, PracticeError> {
        let betrag = format!("{}.{:02}", cents / 100, cents % 100);
        self.insert(
            "INSERT INTO rechnung (pat_nr, termin_nr, gestellt_am, betrag) VALUES (?1, ?2, ?3, ?4)",
            params![pat_nr, termin_nr, wall(gestellt_am), betrag],
        )
    }

    /// Writes a payment of so many euros, as this software keeps them: a floating number.
    ///
    /// # Errors
    /// The database refuses the row.
    pub fn bezahlen(
        &self,
        rechnung_nr: i64,
        bezahlt_am: NaiveDateTime,
        euros: f64,
        zahlart: &str,
    ) -> Result<i64, PracticeError> {
        self.insert(
            "INSERT INTO zahlung (rechnung_nr, bezahlt_am, betrag, zahlart) \
             VALUES (?1, ?2, ?3, ?4)",
            params![rechnung_nr, wall(bezahlt_am), euros, zahlart],
        )
    }

    /// Writes a call, as the telephone system does; its number.
    ///
    /// # Errors
    /// The database refuses the row.
    pub fn telefonieren(&self, anruf: &Anruf<'_>) -> Result<i64, PracticeError> {
        self.insert(
            "INSERT INTO anruf (pat_nr, nummer, richtung, begonnen_am, dauer_s, ergebnis, notiz) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'bittet um Rückruf')",
            params![
                anruf.pat_nr,
                anruf.nummer,
                anruf.richtung,
                anruf.begonnen_am,
                anruf.dauer_s,
                anruf.ergebnis
            ],
        )
    }

    /// Changes one column of the row with this number. `column` is the caller's own word, never
    /// somebody's input.
    ///
    /// # Errors
    /// There is no such row or column, or the database does not take it.
    pub fn amend(
        &self,
        table: Tabelle,
        number: i64,
        column: &'static str,
        value: &dyn ToSql,
    ) -> Result<(), PracticeError> {
        let (name, key) = (table.name(), table.key());
        let sql = format!("UPDATE {name} SET {column} = ?1 WHERE {key} = ?2");
        match self.execute(&sql, &[value, &number])? {
            0 => Err(PracticeError::NoSuchRow { table: name, key: number.to_string() }),
            _ => Ok(()),
        }
    }

    /// Runs one statement of any kind; the number of rows that it changed.
    ///
    /// # Errors
    /// The database refuses it.
    pub fn execute(&self, sql: &str, values: &[&dyn ToSql]) -> Result<usize, PracticeError> {
        let act = "running a statement at the second desk";
        self.connection.execute(sql, params_from_iter(values)).map_err(during(act))
    }

    fn insert(&self, sql: &str, values: impl Params) -> Result<i64, PracticeError> {
        let act = "writing a row at the second desk";
        let mut statement = self.connection.prepare_cached(sql).map_err(during(act))?;
        statement.insert(values).map_err(during(act))
    }
}

fn wall(at: NaiveDateTime) -> String {
    at.format(WALL).to_string()
}

/// A date as people there write it; text that is no ISO date stays as it was typed.
fn german_date(text: &str) -> String {
    match text.parse::<NaiveDate>() {
        Ok(date) => date.format(DATE).to_string(),
        Err(_) => text.to_owned(),
    }
}
