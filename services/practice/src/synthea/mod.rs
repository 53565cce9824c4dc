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
//!   completes it. A document that names what is in none yet waits until the others were read.
//! - **Twice is once.** Ids follow from the unit and the source's own ids, and a row that is there
//!   is left alone, whatever has become of it since. Where FHIR and tables tell of the same people,
//!   as they do where Synthea writes both, each visit and each bill is taken from one of them.
//!
//! The input is somebody else's: every size has a bound, no name of a file is ever written to, and
//! a damaged part costs itself alone.
//!
//! | module | what it holds |
//! |---|---|
//! | `source` | files of the folder and entries of archives, rationed |
//! | `stage` | what is read when |
//! | `lines`, `document`, `fhir`, `reference` | JSON: bundles, resources, what refers to what |
//! | `resources`, `people` | resources as rows; practitioners that were met |
//! | `rows`, `sheets` | CSV, and its rows as the clinic's |
//! | `charges` | what the lines of CSV claims add up to |
//! | `amount`, `text` | money, text and times, one value at a time |
//! | `books` | ids and rows of the clinic |
//! | `report` | what was done, counted |

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use kit_event::UnitId;
use rusqlite::TransactionBehavior;

use crate::error::{PracticeError, during};
use crate::{Desk, Table, seed};

mod amount;
mod books;
mod charges;
mod document;
mod fhir;
mod lines;
mod people;
mod reference;
mod report;
mod resources;
mod rows;
mod sheets;
mod source;
mod stage;
mod text;

pub use report::{Report, Tally};

use books::Books;
use charges::Charges;
use document::Unread;
use lines::{lines, whole};
use people::{Practitioners, Told};
use resources::Taker;
use sheets::Clerk;
use source::{Halt, Item, Sources, find, why};
use stage::{Form, Sheet, Stage};

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
        told: Told::default(),
        report: Report::default(),
        turn: Turn::First,
        waiting: BTreeSet::new(),
        settled: 0,
        met: Vec::new(),
    };
    for kind in &sources.passed_over {
        import.report.pass_over(kind);
    }
    for (name, why) in &sources.unreadable {
        import.report.unreadable(name, why);
    }
    if sources.is_empty() && sources.unreadable.is_empty() {
        let why = "nothing there that Synthea writes (.json, .ndjson or .csv)";
        import.report.unreadable(&dir.display().to_string(), why);
    }
    for stage in Stage::ALL {
        import.settled = 0;
        for at in 0..sources.found.len() {
            import.visit(stage, &sources, at)?;
        }
        if stage == Stage::Patients {
            import.settle(&sources)?;
        }
    }
    if import.met.contains(&Sheet::Encounters) && !import.met.contains(&Sheet::Claims) {
        // Synthea 2 writes no claims: what a visit cost stands beside it, and nobody is billed.
        import.report.pass_over("table of encounters' costs, without claims.csv");
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

/// How often a document is looked at that names something of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    First,
    /// What waits is tried again, since more is known.
    Again,
    /// Nothing more will be known.
    Last,
}

/// A claim names a visit and a visit a patient: each may lie in a document of its own.
const TURNS_MAX: usize = 4;

/// An import under way.
struct Import<'a> {
    desk: Desk,
    unit: &'a UnitId,
    people: Practitioners,
    charges: Charges,
    told: Told,
    report: Report,
    turn: Turn,
    /// Documents that name something that was not there: the number of the source, and the name.
    waiting: BTreeSet<(usize, String)>,
    /// Documents that were written in this stage.
    settled: u64,
    /// Tables that were met.
    met: Vec<Sheet>,
}

/// What a transaction works with.
struct Within<'t> {
    books: Books<'t>,
    people: &'t mut Practitioners,
    charges: &'t mut Charges,
    known: &'t Told,
    told: Told,
    report: Report,
    waits: bool,
}

impl Import<'_> {
    fn visit(&mut self, stage: Stage, sources: &Sources, at: usize) -> Result<(), PracticeError> {
        let source = &sources.found[at];
        match source.visit(stage, |item, bytes| self.take(stage, at, item, bytes)) {
            Ok(()) => Ok(()),
            Err(Halt::Read(error)) => {
                self.report.unreadable(source.name(), why(&error));
                Ok(())
            }
            Err(Halt::Clinic(error)) => Err(error),
        }
    }

    /// Writes the documents that waited for others. When nothing more comes of trying, they are
    /// written without what is missing.
    fn settle(&mut self, sources: &Sources) -> Result<(), PracticeError> {
        // Where nothing was written at all, nobody has come whom somebody waited for.
        let mut last = self.settled == 0;
        for turn in 1.. {
            last |= turn == TURNS_MAX;
            self.turn = if last { Turn::Last } else { Turn::Again };
            let before = self.settled;
            let of: BTreeSet<usize> = self.waiting.iter().map(|(at, _)| *at).collect();
            for at in of {
                for stage in [Stage::Practitioners, Stage::Patients] {
                    self.visit(stage, sources, at)?;
                }
            }
            if last || self.waiting.is_empty() {
                break;
            }
            last = self.settled == before;
        }
        self.turn = Turn::First;
        Ok(())
    }

    /// Takes in one file or entry. What cannot be read is named, and has changed nothing.
    fn take(
        &mut self,
        stage: Stage,
        at: usize,
        item: &Item<'_>,
        bytes: &mut dyn Read,
    ) -> Result<(), PracticeError> {
        if self.turn != Turn::First && !self.waiting.contains(&(at, item.name.to_owned())) {
            return Ok(());
        }
        match item.form {
            Form::Document => match whole(bytes) {
                Ok(bytes) => self.document(at, item, &bytes),
                Err(why) => {
                    self.unreadable(item, why);
                    Ok(())
                }
            },
            Form::Lines => self.within(item, None, |within| lines(within, item, None, bytes)),
            Form::MixedLines => {
                self.within(item, None, |within| lines(within, item, Some(stage), bytes))
            }
            Form::Sheet(sheet) => {
                self.met.push(sheet);
                self.within(item, None, |within| within.clerk(item).take(sheet, stage, bytes))
            }
            Form::OtherSheet => Ok(()),
        }
    }

    fn document(&mut self, at: usize, item: &Item<'_>, bytes: &[u8]) -> Result<(), PracticeError> {
        match document::read(bytes) {
            Ok(contents) => self.within(item, Some(at), |within| {
                Ok(contents.take(&mut within.taker(item.scope, item.name), None)?)
            }),
            Err(Unread::Untyped) if item.beside_fhir => {
                self.report.pass_over("file of Synthea's own JSON");
                Ok(())
            }
            Err(unread) => {
                self.unreadable(item, unread.why());
                Ok(())
            }
        }
    }

    fn unreadable(&mut self, item: &Item<'_>, why: &str) {
        self.report.unreadable(item.name, why);
    }

    /// Does something in one transaction, whose counts count only when it is committed. A document
    /// of the source `may_wait` is taken back when it names what is not there yet.
    fn within(
        &mut self,
        item: &Item<'_>,
        may_wait: Option<usize>,
        work: impl FnOnce(&mut Within<'_>) -> Result<(), rows::Halt>,
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
            known: &self.told,
            told: Told::default(),
            report: Report::default(),
            waits: false,
        };
        let done = work(&mut within);
        let Within { told, report: part, waits, .. } = within;
        match done {
            Ok(()) => {
                let key = may_wait.map(|at| (at, item.name.to_owned()));
                if let Some(key) = key {
                    if waits && self.turn != Turn::Last {
                        self.waiting.insert(key);
                        return transaction.rollback().map_err(during("taking an import back"));
                    }
                    self.waiting.remove(&key);
                    self.settled += 1;
                }
                transaction.commit().map_err(during("committing an import"))?;
                self.told.extend(told);
                self.report.absorb(part);
                Ok(())
            }
            Err(rows::Halt::Unreadable(why)) => {
                transaction.rollback().map_err(during("taking an import back"))?;
                self.unreadable(item, &why);
                Ok(())
            }
            Err(rows::Halt::Clinic(error)) => Err(error),
        }
    }
}

impl Within<'_> {
    fn taker<'w>(&'w mut self, scope: &'w str, place: &'w str) -> Taker<'w> {
        Taker {
            books: &self.books,
            people: self.people,
            report: &mut self.report,
            scope,
            place,
            told: &mut self.told,
            waits: &mut self.waits,
        }
    }

    fn clerk<'w>(&'w mut self, item: &'w Item<'_>) -> Clerk<'w> {
        Clerk {
            books: &self.books,
            told: self.known,
            charges: self.charges,
            report: &mut self.report,
            name: item.name,
        }
    }
}
