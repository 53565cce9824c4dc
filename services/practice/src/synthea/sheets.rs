//! Synthea's CSV: one table for each kind, joined by ids.
//!
//! A claim's row has no total. What its lines charge stands in `claims_transactions.csv`, beside
//! payments and transfers between payers, so that table is read twice: first for the charges, then,
//! when the invoices are there, for the payments.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::Read;
use std::rc::Rc;

use csv::{ByteRecord, Reader, ReaderBuilder};
use rusqlite::ToSql;
use uuid::Uuid;

use super::amount::{Amount, minor};
use super::books::{Books, Refused};
use super::people::split;
use super::report::Report;
use super::resources::{
    LOOSE, NO_AMOUNT, NO_DATE, NO_ID, NO_INVOICE, NO_LENGTH, NO_NAME, NO_PATIENT, NO_PRACTITIONER,
    NO_TIME, NOTHING_PAID, ROUNDED, UNBORN,
};
use super::source::{Rationed, why};
use super::stage::{Sheet, Stage};
use super::text::{cleaned, first_instant, instant};
use crate::Table;
use crate::error::PracticeError;

/// What Synthea's CSV is in; it has no column for it.
const CURRENCY: &str = "USD";
/// Where Synthea's people live; its CSV has no column for it.
const COUNTRY: &str = "US";
/// The longest row, the reader's own buffer included. Rows of Synthea have under a kilobyte; an
/// unclosed quote would otherwise make the rest of a file one field.
const ROW_BYTES_MAX: u64 = 1 << 20;
/// Claims whose charges are remembered while their invoices are not written: a clinic has fewer.
const CLAIMS_MAX: usize = 10_000_000;

/// Why a table was given up.
pub(super) enum Halt {
    Unreadable(&'static str),
    Clinic(PracticeError),
}

impl From<PracticeError> for Halt {
    fn from(error: PracticeError) -> Self {
        Self::Clinic(error)
    }
}

/// What the lines of claims add up to; nothing where a line is no amount.
#[derive(Debug, Default)]
pub(super) struct Charges(HashMap<Uuid, Option<Amount>>);

/// A table being read.
pub(super) struct Rows<R> {
    reader: Reader<Rationed<R>>,
    left: Rc<Cell<u64>>,
    columns: HashMap<String, usize>,
    record: ByteRecord,
}

/// One row of it.
struct Row<'r> {
    columns: &'r HashMap<String, usize>,
    record: &'r ByteRecord,
}

impl<R: Read> Rows<R> {
    /// Reads the line of names.
    pub fn open(bytes: R) -> Result<Self, Halt> {
        let (rationed, left) = Rationed::new(bytes, ROW_BYTES_MAX);
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(rationed);
        let header = reader.byte_headers().map_err(|error| Halt::Unreadable(reason(&error)))?;
        let mut columns = HashMap::new();
        for (at, name) in header.iter().enumerate() {
            let name = String::from_utf8_lossy(name);
            let name = name.trim_start_matches('\u{feff}').trim().to_ascii_uppercase();
            columns.entry(name).or_insert(at);
        }
        Ok(Self { reader, left, columns, record: ByteRecord::new() })
    }

    fn require(&self, names: &[&str]) -> Result<(), Halt> {
        if names.iter().all(|name| self.columns.contains_key(*name)) {
            Ok(())
        } else {
            Err(Halt::Unreadable("a table without the columns that it must have"))
        }
    }

    /// The next row; nothing at the end.
    fn next(&mut self) -> Result<Option<Row<'_>>, Halt> {
        self.left.set(ROW_BYTES_MAX);
        match self.reader.read_byte_record(&mut self.record) {
            Ok(true) => Ok(Some(Row { columns: &self.columns, record: &self.record })),
            Ok(false) => Ok(None),
            Err(error) => Err(Halt::Unreadable(reason(&error))),
        }
    }
}

fn reason(error: &csv::Error) -> &'static str {
    match error.kind() {
        csv::ErrorKind::Io(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            "a row longer than a row can be"
        }
        csv::ErrorKind::Io(error) => why(error),
        _ => "no CSV",
    }
}

impl Row<'_> {
    /// A cell that is text and not empty.
    fn cell(&self, column: &str) -> Option<&str> {
        let bytes = self.record.get(*self.columns.get(column)?)?;
        let text = std::str::from_utf8(bytes).ok()?.trim();
        (!text.is_empty()).then_some(text)
    }

    fn text(&self, column: &str) -> Option<String> {
        cleaned(self.cell(column))
    }

    fn id(&self, column: &str) -> Option<Uuid> {
        self.cell(column)?.parse().ok()
    }
}

/// Writes a whole table, or adds up its charges.
pub(super) fn take<R: Read>(
    sheet: Sheet,
    stage: Stage,
    mut rows: Rows<R>,
    books: &Books<'_>,
    charges: &mut Charges,
    report: &mut Report,
) -> Result<(), Halt> {
    let columns: &[&str] = match sheet {
        Sheet::Providers => &["ID", "NAME"],
        Sheet::Patients => &["ID", "LAST"],
        Sheet::Encounters => &["ID", "START", "STOP", "PATIENT", "PROVIDER"],
        Sheet::Claims => &["ID", "PATIENTID"],
        Sheet::Transactions => &["ID", "CLAIMID", "TYPE"],
    };
    rows.require(columns)?;
    while let Some(row) = rows.next()? {
        let (table, taken) = match sheet {
            Sheet::Providers => (Table::Practitioners, provider(&row, books)),
            Sheet::Patients => (Table::Patients, patient(&row, books, report)),
            Sheet::Encounters => (Table::Appointments, encounter(&row, books)),
            Sheet::Claims => (Table::Invoices, claim(&row, books, charges, report)),
            Sheet::Transactions if stage == Stage::Charges => {
                charges.add(&row)?;
                continue;
            }
            Sheet::Transactions => match row.cell("TYPE") {
                Some("PAYMENT") => (Table::Payments, payment(&row, books, report)),
                Some("CHARGE") => continue,
                other => {
                    let kind = other.unwrap_or("without a type");
                    report.pass_over(&format!("transaction {kind}"));
                    continue;
                }
            },
        };
        report.count(table, taken)?;
    }
    Ok(())
}

impl Charges {
    /// Adds the line of a claim, where the row is one.
    fn add(&mut self, row: &Row<'_>) -> Result<(), Halt> {
        let (Some("CHARGE"), Some(claim)) = (row.cell("TYPE"), row.id("CLAIMID")) else {
            return Ok(());
        };
        if self.0.len() >= CLAIMS_MAX {
            return Err(Halt::Unreadable("more claims than an import takes"));
        }
        let nothing = Some(Amount { minor: 0, rounded: false });
        let sum = self.0.entry(claim).or_insert(nothing);
        let line = row.cell("AMOUNT").and_then(|text| minor(text, CURRENCY));
        *sum = sum.zip(line).and_then(|(sum, line)| {
            let minor = sum.minor.checked_add(line.minor)?;
            Some(Amount { minor, rounded: sum.rounded || line.rounded })
        });
        Ok(())
    }
}

fn provider(row: &Row<'_>, books: &Books<'_>) -> Result<bool, Refused> {
    let source = row.id("ID").ok_or(NO_ID)?;
    let name = row.text("NAME").ok_or(NO_NAME)?;
    let (given, family) = split(&name);
    let row: [&dyn ToSql; 5] = [
        &books.id_of(Table::Practitioners, source).to_string(),
        &family,
        &given,
        &row.text("SPECIALITY").or_else(|| row.text("SPECIALTY")).map(|name| name.to_lowercase()),
        &true,
    ];
    Ok(books.put(Table::Practitioners, &row)?)
}

fn patient(row: &Row<'_>, books: &Books<'_>, report: &mut Report) -> Result<bool, Refused> {
    let source = row.id("ID").ok_or(NO_ID)?;
    let given = [row.text("FIRST"), row.text("MIDDLE")];
    let given = given.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let sex = match row.cell("GENDER") {
        Some("M") => Some("male".to_owned()),
        Some("F") => Some("female".to_owned()),
        other => cleaned(other),
    };
    let birth_date = row.text("BIRTHDATE");
    let cells: [&dyn ToSql; 14] = [
        &books.id_of(Table::Patients, source).to_string(),
        &source.to_string(),
        &row.text("LAST").ok_or(NO_NAME)?,
        &cleaned(Some(&given)),
        &birth_date,
        &sex,
        &None::<String>,
        &None::<String>,
        &row.text("ADDRESS"),
        &row.text("CITY"),
        &row.text("ZIP"),
        &COUNTRY,
        &row.text("DEATHDATE"),
        &true,
    ];
    let new = books.put(Table::Patients, &cells)?;
    if new && birth_date.is_none() {
        report.lessen(Table::Patients, UNBORN);
    }
    Ok(new)
}

fn encounter(row: &Row<'_>, books: &Books<'_>) -> Result<bool, Refused> {
    let source = row.id("ID").ok_or(NO_ID)?;
    let of = |table, column| row.id(column).map(|id| books.id_of(table, id));
    let patient = of(Table::Patients, "PATIENT").ok_or(NO_PATIENT)?;
    let patient = books.known(Table::Patients, patient)?.ok_or(NO_PATIENT)?;
    let practitioner = of(Table::Practitioners, "PROVIDER").ok_or(NO_PRACTITIONER)?;
    let practitioner = books.known(Table::Practitioners, practitioner)?.ok_or(NO_PRACTITIONER)?;
    let time = |column| row.cell(column).and_then(instant).ok_or(NO_TIME);
    let (starts_at, ends_at) = (time("START")?, time("STOP")?);
    if ends_at <= starts_at {
        return Err(NO_LENGTH);
    }
    let modality =
        if row.cell("ENCOUNTERCLASS") == Some("virtual") { "video" } else { "in-person" };
    let row: [&dyn ToSql; 8] = [
        &books.id_of(Table::Appointments, source).to_string(),
        &patient.to_string(),
        &practitioner.to_string(),
        &starts_at.to_string(),
        &ends_at.to_string(),
        &"fulfilled",
        &modality,
        &row.text("DESCRIPTION"),
    ];
    Ok(books.put(Table::Appointments, &row)?)
}

fn claim(
    row: &Row<'_>,
    books: &Books<'_>,
    charges: &Charges,
    report: &mut Report,
) -> Result<bool, Refused> {
    let source = row.id("ID").ok_or(NO_ID)?;
    let patient = row.id("PATIENTID").map(|id| books.id_of(Table::Patients, id));
    let patient = books.known(Table::Patients, patient.ok_or(NO_PATIENT)?)?.ok_or(NO_PATIENT)?;
    let visit = row.id("APPOINTMENTID").map(|id| books.id_of(Table::Appointments, id));
    let appointment = match visit {
        Some(id) => books.known(Table::Appointments, id)?,
        None => None,
    };
    let times =
        ["LASTBILLEDDATE1", "LASTBILLEDDATEP", "SERVICEDATE"].map(|column| row.cell(column));
    let issued_at = first_instant(&times).ok_or(NO_DATE)?;
    let total = charges.0.get(&source).copied().flatten().ok_or(NO_AMOUNT)?;
    let row: [&dyn ToSql; 7] = [
        &books.id_of(Table::Invoices, source).to_string(),
        &patient.to_string(),
        &appointment.map(|id| id.to_string()),
        &issued_at.to_string(),
        &CURRENCY,
        &total.minor,
        &"issued",
    ];
    let new = books.put(Table::Invoices, &row)?;
    if new && total.rounded {
        report.lessen(Table::Invoices, ROUNDED);
    }
    if new && visit.is_some() && appointment.is_none() {
        report.lessen(Table::Invoices, LOOSE);
    }
    Ok(new)
}

fn payment(row: &Row<'_>, books: &Books<'_>, report: &mut Report) -> Result<bool, Refused> {
    let source = row.id("ID").ok_or(NO_ID)?;
    let invoice = row.id("CLAIMID").map(|id| books.id_of(Table::Invoices, id));
    let invoice = books.known(Table::Invoices, invoice.ok_or(NO_INVOICE)?)?.ok_or(NO_INVOICE)?;
    let text = row.cell("PAYMENTS").or_else(|| row.cell("AMOUNT")).ok_or(NO_AMOUNT)?;
    let amount = minor(text, CURRENCY).ok_or(NO_AMOUNT)?;
    if amount.minor == 0 {
        return Err(NOTHING_PAID);
    }
    let times = ["TODATE", "FROMDATE"].map(|column| row.cell(column));
    let paid_at = first_instant(&times).ok_or(NO_DATE)?;
    let method = match row.cell("METHOD") {
        Some("CC") => Some("card".to_owned()),
        other => cleaned(other).map(|word| word.to_lowercase()),
    };
    let row: [&dyn ToSql; 7] = [
        &books.id_of(Table::Payments, source).to_string(),
        &invoice.to_string(),
        &paid_at.to_string(),
        &CURRENCY,
        &amount.minor,
        &method,
        &source.to_string(),
    ];
    let new = books.put(Table::Payments, &row)?;
    if new && amount.rounded {
        report.lessen(Table::Payments, ROUNDED);
    }
    Ok(new)
}
