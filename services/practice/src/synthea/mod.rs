//! Synthea's people as a clinic's records: FHIR R4 bundles and CSV, read whole or not at all.
//!
//! A folder of Synthea's output fills the reference schema with patients, practitioners, encounters
//! as appointments of the past, claims as invoices and what was paid for them. Rows are written
//! with plain SQL, as any program of a practice writes them; whether an agent looks on is its own
//! affair. Three rules hold:
//!
//! - **Nothing is passed over in silence.** Each record is written, there already, or skipped for a
//!   reason that the [`Report`] counts; what could not be read is named.
//! - **Never half a file.** A bundle, which is one patient, and a table or a file of lines is one
//!   transaction each. An import that dies leaves whole files behind, and running it again
//!   completes it.
//! - **Twice is once.** Ids follow from the unit and the source's own ids, and a row that is there
//!   is left alone, whatever has become of it since.
//!
//! The input is somebody else's: every size has a bound, no name of a file is ever written to, and
//! a damaged part costs itself alone.
//!
//! | module | what it holds |
//! |---|---|
//! | `source` | files of the folder and entries of archives, rationed |
//! | `stage` | what is read when |
//! | `document`, `fhir`, `reference` | JSON: bundles, resources, what refers to what |
//! | `resources`, `people` | resources as rows; practitioners that were met |
//! | `sheets` | CSV as rows |
//! | `amount`, `text` | money, text and times, one value at a time |
//! | `books` | ids and rows of the clinic |
//! | `report` | what was done, counted |

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use kit_event::UnitId;
use rusqlite::TransactionBehavior;

use crate::error::{PracticeError, during};
use crate::{Desk, Table, seed};

mod amount;
mod books;
mod document;
mod fhir;
mod people;
mod reference;
mod report;
mod resources;
mod sheets;
mod source;
mod stage;
mod text;

pub use report::{Report, Tally};

use books::Books;
use people::Practitioners;
use resources::Taker;
use sheets::{Charges, Rows};
use source::{Halt, Item, find, why};
use stage::{Form, Sheet, Stage};

/// The largest JSON document. Synthea's largest patients have 30 MB; a document is kept in memory
/// while it is looked through.
const DOCUMENT_BYTES_MAX: u64 = 128 << 20;
const TOO_LARGE: &str = "larger than a document can be";

/// Imports a folder of Synthea's output, or one file of it, into the clinic database at `clinic`,
/// made with the reference schema where it is missing or empty.
///
/// # Errors
/// The folder cannot be listed, the database has another practice's schema, or it does not take
/// what is written. What was committed before stays, and importing again completes it.
pub fn import(dir: &Path, clinic: &Path, unit: &UnitId) -> Result<Report, PracticeError> {
    let sources = find(dir)?;
    let mut import = Import {
        desk: open(clinic)?,
        unit,
        people: Practitioners::default(),
        charges: Charges::default(),
        report: Report::default(),
    };
    for name in &sources.passed_over {
        let ending = name.rsplit_once('.').map_or("without an ending", |(_, ending)| ending);
        import.report.pass_over(&format!("file .{ending}"));
    }
    for (name, why) in &sources.unreadable {
        import.report.unreadable(name, why);
    }
    for stage in Stage::ALL {
        for source in &sources.found {
            match source.visit(stage, |item, bytes| import.take(stage, item, bytes)) {
                Ok(()) => {}
                Err(Halt::Read(error)) => import.report.unreadable(source.name(), why(&error)),
                Err(Halt::Clinic(error)) => return Err(error),
            }
        }
    }
    import.report.overpaid = overpaid(&import.desk)?;
    Ok(import.report)
}

/// Opens a clinic database as the practice left it. One with tables and without ours belongs to
/// another practice's software, and gets none of them.
fn open(clinic: &Path) -> Result<Desk, PracticeError> {
    if !clinic.exists() {
        seed::open(clinic)?;
    }
    let mut desk = Desk::open(clinic)?;
    let names = desk.tables()?;
    if names.is_empty() {
        desk.transaction(|connection| {
            connection.execute_batch(crate::SCHEMA).map_err(during("making the schema"))
        })?;
    } else if let Some(missing) = Table::ALL.iter().find(|table| !names.contains(table.name())) {
        let (path, table) = (clinic.to_owned(), missing.name());
        return Err(PracticeError::AnotherSchema { path, table });
    }
    Ok(desk)
}

/// Invoices whose payments are more than their total.
fn overpaid(desk: &Desk) -> Result<u64, PracticeError> {
    let sql = "SELECT count(*) FROM invoices i WHERE total_minor < \
               (SELECT sum(amount_minor) FROM payments p WHERE p.invoice_id = i.invoice_id)";
    let count = desk.connection().query_row(sql, [], |row| row.get::<_, i64>(0));
    Ok(count.map_err(during("comparing payments with invoices"))?.unsigned_abs())
}

/// An import under way.
struct Import<'a> {
    desk: Desk,
    unit: &'a UnitId,
    people: Practitioners,
    charges: Charges,
    report: Report,
}

/// What a transaction works with.
struct Within<'t> {
    books: Books<'t>,
    people: &'t mut Practitioners,
    charges: &'t mut Charges,
    report: Report,
}

impl Import<'_> {
    /// Takes in one file or entry. What cannot be read is named, and has changed nothing.
    fn take(
        &mut self,
        stage: Stage,
        item: &Item<'_>,
        bytes: &mut dyn Read,
    ) -> Result<(), PracticeError> {
        match item.form {
            Form::Document => match whole(bytes) {
                Ok(bytes) => self.document(item, &bytes),
                Err(why) => self.unreadable(item, why),
            },
            Form::Lines => self.within(item, |within| lines(within, item, bytes)),
            Form::Sheet(sheet) => self.within(item, |within| within.sheet(sheet, stage, bytes)),
            Form::OtherSheet => Ok(()),
        }
    }

    fn document(&mut self, item: &Item<'_>, bytes: &[u8]) -> Result<(), PracticeError> {
        match document::read(bytes) {
            Ok(contents) => self.within(item, |within| Ok(contents.take(&mut within.taker(item))?)),
            Err(why) => self.unreadable(item, why),
        }
    }

    fn unreadable(&mut self, item: &Item<'_>, why: &'static str) -> Result<(), PracticeError> {
        self.report.unreadable(item.name, why);
        Ok(())
    }

    /// Does something in one transaction, whose counts count only when it is committed.
    fn within(
        &mut self,
        item: &Item<'_>,
        work: impl FnOnce(&mut Within<'_>) -> Result<(), sheets::Halt>,
    ) -> Result<(), PracticeError> {
        let transaction = self
            .desk
            .connection_mut()
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(during("beginning to import"))?;
        let mut within = Within {
            books: Books { connection: &transaction, unit: self.unit },
            people: &mut self.people,
            charges: &mut self.charges,
            report: Report::default(),
        };
        let done = work(&mut within);
        let part = within.report;
        match done {
            Ok(()) => {
                transaction.commit().map_err(during("committing an import"))?;
                self.report.absorb(part);
                Ok(())
            }
            Err(sheets::Halt::Unreadable(why)) => {
                transaction.rollback().map_err(during("taking an import back"))?;
                self.unreadable(item, why)
            }
            Err(sheets::Halt::Clinic(error)) => Err(error),
        }
    }
}

impl Within<'_> {
    fn taker<'w>(&'w mut self, item: &'w Item<'_>) -> Taker<'w> {
        Taker {
            books: &self.books,
            people: self.people,
            report: &mut self.report,
            scope: item.scope,
        }
    }

    fn sheet(
        &mut self,
        sheet: Sheet,
        stage: Stage,
        bytes: &mut dyn Read,
    ) -> Result<(), sheets::Halt> {
        let rows = Rows::open(bytes)?;
        sheets::take(sheet, stage, rows, &self.books, self.charges, &mut self.report)
    }
}

/// A whole document, or why there is none.
fn whole(bytes: &mut dyn Read) -> Result<Vec<u8>, &'static str> {
    let mut document = Vec::new();
    match bytes.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut document) {
        Ok(read) if read as u64 > DOCUMENT_BYTES_MAX => Err(TOO_LARGE),
        Ok(_) => Ok(document),
        Err(error) => Err(why(&error)),
    }
}

/// A document in each line. A line that cannot be read is named and costs itself alone.
fn lines(
    within: &mut Within<'_>,
    item: &Item<'_>,
    bytes: &mut dyn Read,
) -> Result<(), sheets::Halt> {
    let mut reader = BufReader::new(bytes);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let mut rationed = (&mut reader).take(DOCUMENT_BYTES_MAX + 1);
        let read = rationed.read_until(b'\n', &mut line);
        if read.map_err(|error| sheets::Halt::Unreadable(why(&error)))? == 0 {
            break;
        }
        let name = || format!("{}, line {number}", item.name);
        if line.len() as u64 > DOCUMENT_BYTES_MAX {
            within.report.unreadable(&name(), TOO_LARGE);
            pass_line(&mut reader).map_err(|error| sheets::Halt::Unreadable(why(&error)))?;
        } else if !line.trim_ascii().is_empty() {
            match document::read(&line) {
                Ok(contents) => contents.take(&mut within.taker(item))?,
                Err(why) => within.report.unreadable(&name(), why),
            }
        }
    }
    Ok(())
}

/// Reads past the rest of a line without keeping it.
fn pass_line(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let (length, ended) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(length);
        if ended {
            return Ok(());
        }
    }
}
