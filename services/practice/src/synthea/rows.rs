//! A table of CSV, row by row, its cells found by the names of their columns.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::Read;
use std::rc::Rc;

use csv::{ByteRecord, Reader, ReaderBuilder};
use uuid::Uuid;

use super::source::{Rationed, why};
use super::stage::Sheet;
use super::text::cleaned;
use crate::error::PracticeError;

/// The longest row, the reader's own buffer included. Rows of Synthea have under a kilobyte; an
/// unclosed quote would otherwise make the rest of a file one field.
const ROW_BYTES_MAX: u64 = 1 << 20;
/// Tables as Synthea writes them. It leaves the line of names out where it appends to tables
/// (`exporter.csv.append_mode`), and then how many cells a row has says which of these it is.
const LAYOUTS: &[(Sheet, &str)] = &[
    (Sheet::Providers, "Id,ORGANIZATION,NAME,GENDER,SPECIALITY,,,,,,,"),
    (Sheet::Providers, "Id,ORGANIZATION,NAME,GENDER,SPECIALITY,,,,,,,,"),
    (Sheet::Patients, "Id,BIRTHDATE,DEATHDATE,,,,,FIRST,LAST,,,,,,GENDER,,ADDRESS,CITY,,,ZIP,,,,"),
    (
        Sheet::Patients,
        "Id,BIRTHDATE,DEATHDATE,,,,,FIRST,LAST,,,,,,GENDER,,ADDRESS,CITY,,,,ZIP,,,,,",
    ),
    (
        Sheet::Patients,
        "Id,BIRTHDATE,DEATHDATE,,,,,FIRST,MIDDLE,LAST,,,,,,GENDER,,ADDRESS,CITY,,,,ZIP,,,,,",
    ),
    (Sheet::Encounters, "Id,START,STOP,PATIENT,,PROVIDER,,ENCOUNTERCLASS,,DESCRIPTION,,,,,"),
    (
        Sheet::Claims,
        "Id,PATIENTID,,,,,,,,,,,,,,,APPOINTMENTID,,SERVICEDATE,,,,,,,,LASTBILLEDDATE1,,\
         LASTBILLEDDATEP,,",
    ),
    (
        Sheet::Transactions,
        "ID,CLAIMID,,,TYPE,AMOUNT,METHOD,FROMDATE,TODATE,,,,,,,,,,,,,,,PAYMENTS,,,,,,,,,",
    ),
];

/// Why a table was given up.
pub(super) enum Halt {
    Unreadable(String),
    Clinic(PracticeError),
}

impl From<PracticeError> for Halt {
    fn from(error: PracticeError) -> Self {
        Self::Clinic(error)
    }
}

/// A table being read.
pub(super) struct Rows<R> {
    reader: Reader<Rationed<R>>,
    left: Rc<Cell<u64>>,
    columns: Columns,
    record: ByteRecord,
    /// The first record is a row, which was not given yet.
    pending: bool,
}

/// Where each column stands, and how many cells a row has.
struct Columns {
    at: HashMap<String, usize>,
    count: usize,
}

/// One row of it.
pub(super) struct Row<'r> {
    columns: &'r Columns,
    record: &'r ByteRecord,
}

impl Columns {
    fn of<'n>(names: impl Iterator<Item = &'n [u8]>) -> Self {
        let (mut at, mut count) = (HashMap::new(), 0);
        for name in names {
            let name = String::from_utf8_lossy(name);
            let name = name.trim_start_matches('\u{feff}').trim().to_ascii_uppercase();
            at.entry(name).or_insert(count);
            count += 1;
        }
        Self { at, count }
    }

    /// The columns of a table without a line of names, by its first row.
    fn of_layout(sheet: Sheet, first: &ByteRecord) -> Result<Self, Halt> {
        let fits = |layout: &&(Sheet, &str)| {
            layout.0 == sheet && layout.1.split(',').count() == first.len()
        };
        let Some((_, names)) = LAYOUTS.iter().find(fits) else {
            let count = first.len();
            let why = format!("no line of column names, and {count} cells fit no table of Synthea");
            return Err(Halt::Unreadable(why));
        };
        Ok(Self::of(names.split(',').map(str::as_bytes)))
    }
}

impl<R: Read> Rows<R> {
    /// Reads the line of names, which must have these, or knows the table by its first row.
    pub fn open(sheet: Sheet, needs: &[&str], bytes: R) -> Result<Self, Halt> {
        let (rationed, left) = Rationed::new(bytes, ROW_BYTES_MAX);
        let mut builder = ReaderBuilder::new();
        let mut reader = builder.flexible(true).has_headers(false).from_reader(rationed);
        let mut record = ByteRecord::new();
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Err(Halt::Unreadable("empty".to_owned())),
            Err(error) => return Err(Halt::Unreadable(reason(&error))),
        }
        let first = record.get(0).and_then(|cell| std::str::from_utf8(cell).ok());
        let first = first.unwrap_or_default().trim_start_matches('\u{feff}');
        let pending = first.trim().parse::<Uuid>().is_ok();
        let columns =
            if pending { Columns::of_layout(sheet, &record)? } else { Columns::of(record.iter()) };
        match needs.iter().find(|name| !columns.at.contains_key(**name)) {
            Some(name) => Err(Halt::Unreadable(format!("a table without a column {name}"))),
            None => Ok(Self { reader, left, columns, record, pending }),
        }
    }

    /// The next row; nothing at the end.
    pub fn next(&mut self) -> Result<Option<Row<'_>>, Halt> {
        if !std::mem::take(&mut self.pending) {
            self.left.set(ROW_BYTES_MAX);
            match self.reader.read_byte_record(&mut self.record) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => return Err(Halt::Unreadable(reason(&error))),
            }
        }
        Ok(Some(Row { columns: &self.columns, record: &self.record }))
    }
}

fn reason(error: &csv::Error) -> String {
    let why = match error.kind() {
        csv::ErrorKind::Io(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            "a row longer than a row can be"
        }
        csv::ErrorKind::Io(error) => why(error),
        _ => "no CSV",
    };
    why.to_owned()
}

impl Row<'_> {
    /// The line that it begins in.
    pub fn line(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::line)
    }

    /// Whether it has a cell for each column. One that has not was cut, or a comma within a field
    /// was not quoted: its cells stand under the wrong names.
    pub fn fits(&self) -> bool {
        let count = self.columns.count;
        self.record.len() >= count && self.record.iter().skip(count).all(<[u8]>::is_empty)
    }

    /// A cell that is text and not empty.
    pub fn cell(&self, column: &str) -> Option<&str> {
        let bytes = self.record.get(*self.columns.at.get(column)?)?;
        let text = std::str::from_utf8(bytes).ok()?.trim_start_matches('\u{feff}').trim();
        (!text.is_empty()).then_some(text)
    }

    pub fn text(&self, column: &str) -> Option<String> {
        cleaned(self.cell(column))
    }

    pub fn id(&self, column: &str) -> Option<Uuid> {
        self.cell(column)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_of_one_table_differ_in_their_number_of_cells() {
        let counts: Vec<_> =
            LAYOUTS.iter().map(|(sheet, names)| (*sheet, names.split(',').count())).collect();
        let expected = [
            (Sheet::Providers, 12),
            (Sheet::Providers, 13),
            (Sheet::Patients, 25),
            (Sheet::Patients, 27),
            (Sheet::Patients, 28),
            (Sheet::Encounters, 15),
            (Sheet::Claims, 31),
            (Sheet::Transactions, 33),
        ];
        assert_eq!(counts, expected);
    }
}
