//! The tables of the reference schema, and their rows as REST must show them.
//!
//! The rules are read off the contract, not off the agent: names as in the schema, `active` a
//! boolean, empty (or blank) fields absent, a date, time or amount that does not parse under
//! `<name>_raw`.

use chrono::{DateTime, NaiveDate, SecondsFormat, Timelike, Utc};
use rusqlite::types::ValueRef;
use serde_json::{Map, Value, json};

/// A row in REST's names; empty fields are absent.
pub type Row = Map<String, Value>;

/// A table of the reference schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// One registration in this unit.
    Patients,
    /// Who sees patients.
    Practitioners,
    /// When they do.
    WorkingHours,
    /// The diary.
    Appointments,
    /// What is owed.
    Invoices,
    /// What was paid.
    Payments,
}

impl Table {
    /// Every table, each after those that it refers to.
    pub const ALL: [Self; 6] = [
        Self::Patients,
        Self::Practitioners,
        Self::WorkingHours,
        Self::Appointments,
        Self::Invoices,
        Self::Payments,
    ];

    /// Its name in SQL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Patients => "patients",
            Self::Practitioners => "practitioners",
            Self::WorkingHours => "working_hours",
            Self::Appointments => "appointments",
            Self::Invoices => "invoices",
            Self::Payments => "payments",
        }
    }

    /// Its columns in the schema's order; the key comes first.
    #[must_use]
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Patients => &[
                "patient_id",
                "mrn",
                "family_name",
                "given_name",
                "birth_date",
                "sex",
                "phone",
                "email",
                "address_line",
                "city",
                "postal_code",
                "country",
                "deceased_on",
                "active",
            ],
            Self::Practitioners => {
                &["practitioner_id", "family_name", "given_name", "specialty", "active"]
            }
            Self::WorkingHours => &["practitioner_id", "weekday", "starts", "ends", "slot_min"],
            Self::Appointments => &[
                "appointment_id",
                "patient_id",
                "practitioner_id",
                "starts_at",
                "ends_at",
                "status",
                "modality",
                "reason",
            ],
            Self::Invoices => &[
                "invoice_id",
                "patient_id",
                "appointment_id",
                "issued_at",
                "currency",
                "total_minor",
                "status",
            ],
            Self::Payments => &[
                "payment_id",
                "invoice_id",
                "paid_at",
                "currency",
                "amount_minor",
                "method",
                "reference",
            ],
        }
    }

    /// The column that names a row; of working hours, whose they are.
    #[must_use]
    pub const fn key(self) -> &'static str {
        self.columns()[0]
    }

    /// `SELECT` of every column, without a `WHERE`.
    pub(crate) fn select(self) -> String {
        format!("SELECT {} FROM {}", self.columns().join(", "), self.name())
    }

    /// The row that a [`Table::select`] stands on.
    pub(crate) fn read(self, row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
        let mut out = Row::new();
        for (index, column) in self.columns().iter().enumerate() {
            put(&mut out, column, row.get_ref(index)?);
        }
        Ok(out)
    }
}

/// Puts one column into a row by REST's rules.
fn put(out: &mut Row, column: &str, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => {}
        ValueRef::Integer(flag) if column == "active" => {
            out.insert(column.to_owned(), json!(flag != 0));
        }
        ValueRef::Integer(number) => {
            out.insert(column.to_owned(), json!(number));
        }
        // Half a cent is no amount, whatever program wrote it.
        ValueRef::Real(number) if column.ends_with("_minor") => {
            out.insert(format!("{column}_raw"), json!(number.to_string()));
        }
        ValueRef::Real(number) => {
            out.insert(column.to_owned(), json!(number));
        }
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            put_text(out, column, &String::from_utf8_lossy(bytes));
        }
    }
}

fn put_text(out: &mut Row, column: &str, text: &str) {
    if text.trim().is_empty() {
        return;
    }
    let parsed = if column.ends_with("_minor") {
        // The column would have made a number of it, if it were one.
        None
    } else if column == "birth_date" || column == "deceased_on" {
        date(text)
    } else if column.ends_with("_at") {
        instant(text)
    } else {
        Some(text.to_owned())
    };
    match parsed {
        Some(parsed) => out.insert(column.to_owned(), Value::String(parsed)),
        None => out.insert(format!("{column}_raw"), Value::String(text.to_owned())),
    };
}

fn date(text: &str) -> Option<String> {
    let parsed = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (parsed.format("%Y-%m-%d").to_string() == text).then(|| text.to_owned())
}

/// RFC 3339 of any offset, as the UTC text that REST shows: whole seconds without a fraction.
fn instant(text: &str) -> Option<String> {
    let parsed = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    let whole = parsed.nanosecond() / 1_000_000 == 0;
    let form = if whole { SecondsFormat::Secs } else { SecondsFormat::Millis };
    Some(parsed.to_rfc3339_opts(form, true))
}

/// How what REST shows differs from the clinic's row, one line a field; nothing where they agree.
///
/// Only the table's own fields are compared: REST may show more. Null, empty and absent are one.
#[must_use]
pub fn differences(table: Table, row: &Row, rest: &Value) -> Vec<String> {
    let filled = |value: Option<&Value>| match value {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(value) => Some(value.clone()),
    };
    let mut found = Vec::new();
    for column in table.columns() {
        for field in [(*column).to_owned(), format!("{column}_raw")] {
            let (clinic, shown) = (filled(row.get(&field)), filled(rest.get(&field)));
            if clinic != shown {
                found.push(format!("{field}: the clinic holds {clinic:?}, REST shows {shown:?}"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_does_not_parse_is_kept_beside_the_empty_field() {
        let mut row = Row::new();
        put_text(&mut row, "birth_date", "31/12/1980");
        put_text(&mut row, "starts_at", "tomorrow 9h");
        put_text(&mut row, "ends_at", "2026-03-01T10:30:00+01:00");
        put_text(&mut row, "phone", " ");
        put_text(&mut row, "amount_minor", "12,50");
        put(&mut row, "total_minor", ValueRef::Real(12.5));
        let expected = json!({
            "birth_date_raw": "31/12/1980",
            "starts_at_raw": "tomorrow 9h",
            "ends_at": "2026-03-01T09:30:00Z",
            "amount_minor_raw": "12,50",
            "total_minor_raw": "12.5",
        });
        assert_eq!(Value::Object(row), expected);
    }

    #[test]
    fn a_difference_names_its_field() {
        let row: Row = serde_json::from_value(json!({"patient_id": "p", "mrn": "1"})).unwrap();
        let same = json!({"patient_id": "p", "mrn": "1", "phone": null, "more": 1});
        assert!(differences(Table::Patients, &row, &same).is_empty());
        let other = json!({"patient_id": "p", "mrn": "2"});
        let found = differences(Table::Patients, &row, &other);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("mrn: "), "{found:?}");
    }
}
