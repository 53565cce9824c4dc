//! What REST must show of the second practice's rows.
//!
//! The conversions are read off the schema's comments and are this file's own.

use chrono::{NaiveDate, NaiveDateTime, SecondsFormat, TimeZone, Utc};
use chrono_tz::Europe::Berlin;
use rusqlite::OptionalExtension;
use rusqlite::types::Value as Sql;
use serde_json::{Value, json};

use super::{DATE, PraxisDesk, Tabelle, WALL};
use crate::error::{PracticeError, during};
use crate::tables::Row;

/// How a call's wall time stands.
const WALL_SECONDS: &str = "%Y-%m-%d %H:%M:%S";

/// How the text of a column reads.
enum Reading {
    Plain,
    Date,
    Wall(&'static str),
    Euros,
    Words(&'static [(&'static str, &'static str)]),
    /// The word that means no; any other means yes.
    Unless(&'static str),
}

const VISIT_STATES: &[(&str, &str)] = &[
    ("geplant", "booked"),
    ("erschienen", "arrived"),
    ("erledigt", "fulfilled"),
    ("storniert", "cancelled"),
    ("nicht erschienen", "noshow"),
];
const INVOICE_STATES: &[(&str, &str)] =
    &[("offen", "issued"), ("bezahlt", "issued"), ("storniert", "voided")];
const SEXES: &[(&str, &str)] = &[("M", "male"), ("W", "female"), ("D", "other")];
const MODALITIES: &[(&str, &str)] =
    &[("Praxis", "in-person"), ("Telefon", "phone"), ("Video", "video")];

/// Columns of text: their name, REST's name, and how they read.
const TEXTS: &[(&str, &str, Reading)] = &[
    ("akte", "mrn", Reading::Plain),
    ("nachname", "family_name", Reading::Plain),
    ("vorname", "given_name", Reading::Plain),
    ("telefon", "phone", Reading::Plain),
    ("mail", "email", Reading::Plain),
    ("strasse", "address_line", Reading::Plain),
    ("plz", "postal_code", Reading::Plain),
    ("ort", "city", Reading::Plain),
    ("land", "country", Reading::Plain),
    ("fachgebiet", "specialty", Reading::Plain),
    ("anlass", "reason", Reading::Plain),
    ("zahlart", "method", Reading::Plain),
    ("beleg", "reference", Reading::Plain),
    ("geb_datum", "birth_date", Reading::Date),
    ("verstorben_am", "deceased_on", Reading::Date),
    ("beginn", "starts_at", Reading::Wall(WALL)),
    ("ende", "ends_at", Reading::Wall(WALL)),
    ("gestellt_am", "issued_at", Reading::Wall(WALL)),
    ("bezahlt_am", "paid_at", Reading::Wall(WALL)),
    ("begonnen_am", "started_at", Reading::Wall(WALL_SECONDS)),
    ("betrag", "total_minor", Reading::Euros),
    ("geschlecht", "sex", Reading::Words(SEXES)),
    ("art", "modality", Reading::Words(MODALITIES)),
    ("geloescht", "active", Reading::Unless("ja")),
    ("ausgeschieden", "active", Reading::Unless("ja")),
];

impl PraxisDesk {
    /// How many rows a table holds.
    ///
    /// # Errors
    /// The database does not answer.
    pub fn count(&self, table: Tabelle) -> Result<i64, PracticeError> {
        let sql = format!("SELECT count(*) FROM {}", table.name());
        self.connection.query_row(&sql, [], |row| row.get(0)).map_err(during("counting rows"))
    }

    /// The numbers of a table's rows, in order.
    ///
    /// # Errors
    /// The database does not answer.
    pub fn numbers(&self, table: Tabelle) -> Result<Vec<i64>, PracticeError> {
        let act = "reading numbers";
        let sql = format!("SELECT {0} FROM {1} ORDER BY {0}", table.key(), table.name());
        let mut statement = self.connection.prepare_cached(&sql).map_err(during(act))?;
        let numbers = statement.query_map([], |row| row.get(0)).map_err(during(act))?;
        numbers.collect::<Result<_, _>>().map_err(during(act))
    }

    /// One cell, as SQLite holds it.
    ///
    /// # Errors
    /// There is no such column, or the database does not answer.
    pub fn cell(
        &self,
        table: Tabelle,
        number: i64,
        column: &'static str,
    ) -> Result<Option<Sql>, PracticeError> {
        let sql = format!("SELECT {column} FROM {} WHERE {} = ?1", table.name(), table.key());
        let cell = self.connection.query_row(&sql, [number], |row| row.get(0)).optional();
        cell.map_err(during("reading a cell"))
    }

    /// What REST must show of a row, ids left out; nothing where there is no such row.
    ///
    /// # Errors
    /// The database does not answer.
    pub fn as_rest(&self, table: Tabelle, number: i64) -> Result<Option<Row>, PracticeError> {
        let act = "reading a row at the second desk";
        let sql = format!("SELECT * FROM {} WHERE {} = ?1", table.name(), table.key());
        let mut statement = self.connection.prepare_cached(&sql).map_err(during(act))?;
        let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
        let cells = statement.query_row([number], |row| {
            (0..names.len()).map(|at| row.get(at)).collect::<Result<Vec<Sql>, _>>()
        });
        let Some(cells) = cells.optional().map_err(during(act))? else { return Ok(None) };
        let mut out = Row::new();
        for (name, cell) in names.iter().zip(cells) {
            match cell {
                Sql::Text(text) if !text.trim().is_empty() => put(&mut out, table, name, &text),
                Sql::Real(euros) if name == "betrag" => {
                    #[expect(clippy::cast_possible_truncation, reason = "rounded before")]
                    let minor = (euros * 100.0).round() as i64;
                    out.insert("amount_minor".to_owned(), json!(minor));
                }
                Sql::Integer(seconds) if name == "dauer_s" => {
                    out.insert("duration_s".to_owned(), json!(seconds));
                }
                Sql::Null | Sql::Integer(_) | Sql::Real(_) | Sql::Text(_) | Sql::Blob(_) => {}
            }
        }
        if matches!(table, Tabelle::Rechnung | Tabelle::Zahlung) {
            out.insert("currency".to_owned(), json!("EUR"));
        }
        Ok(Some(out))
    }
}

/// Puts a column of text into a row in REST's name and form; text that does not read to what its
/// column means stands under `<name>_raw`, and an unknown word as it is.
fn put(out: &mut Row, table: Tabelle, column: &str, text: &str) {
    let states = if table == Tabelle::Rechnung { INVOICE_STATES } else { VISIT_STATES };
    let state = [("zustand", "status", Reading::Words(states))];
    let Some((_, field, reading)) = TEXTS.iter().chain(&state).find(|(name, ..)| *name == column)
    else {
        return;
    };
    let read: Option<Value> = match reading {
        Reading::Plain => Some(json!(text)),
        Reading::Date => NaiveDate::parse_from_str(text, DATE).ok().map(|date| json!(date)),
        Reading::Wall(form) => instant(text, form).map(Value::String),
        Reading::Euros => cents(text).map(|cents| json!(cents)),
        Reading::Words(pairs) => {
            let known = pairs.iter().find(|(word, _)| *word == text);
            Some(json!(known.map_or(text, |(_, meaning)| meaning)))
        }
        Reading::Unless(no) => Some(json!(text != *no)),
    };
    match read {
        Some(value) => out.insert((*field).to_owned(), value),
        None => out.insert(format!("{field}_raw"), json!(text)),
    };
}

/// The instant of a wall time of Berlin, the first where it comes twice; none where the clocks skip
/// it.
fn instant(text: &str, form: &str) -> Option<String> {
    let wall = NaiveDateTime::parse_from_str(text, form).ok()?;
    let at = Berlin.from_local_datetime(&wall).earliest()?.with_timezone(&Utc);
    Some(at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// Cents of euros with two decimals after a point.
fn cents(text: &str) -> Option<i64> {
    let (euros, cents) = text.split_once('.')?;
    if cents.len() != 2 {
        return None;
    }
    format!("{euros}{cents}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_times_of_berlin_become_instants_on_the_days_that_clocks_change_too() {
        let at = |text| instant(text, WALL);
        assert_eq!(at("2026-03-01 14:30").as_deref(), Some("2026-03-01T13:30:00Z"));
        assert_eq!(at("2026-07-01 14:30").as_deref(), Some("2026-07-01T12:30:00Z"));
        assert_eq!(at("2026-03-29 02:30"), None);
        assert_eq!(at("2026-10-25 02:30").as_deref(), Some("2026-10-25T00:30:00Z"));
        assert_eq!(at("morgen"), None);
    }

    #[test]
    fn euros_become_cents_and_nothing_else_does() {
        assert_eq!(
            (cents("45.50"), cents("-0.05"), cents("0.99")),
            (Some(4550), Some(-5), Some(99))
        );
        assert!(["45,50", "45", "45.5", "x.00", ""].iter().all(|text| cents(text).is_none()));
    }
}
