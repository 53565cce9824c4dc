//! What an import did, counted and named.
//!
//! Every record that was read is written, there already, or skipped for a named reason: the three
//! add up. Names of kinds and reasons are ours, or types that FHIR names; nothing of a patient
//! stands here but the names of files.

use std::collections::BTreeMap;
use std::fmt;

use super::books::Refused;
use super::text::printable;
use crate::Table;
use crate::error::PracticeError;

/// Kinds of resources that are counted by name; a file that invents more is counted as `other`.
const OTHER_KINDS_MAX: usize = 200;
/// The longest name of a kind of resource.
const KIND_CHARS_MAX: usize = 48;
/// Files that are named when they could not be read; more are counted.
const NAMED_MAX: usize = 100;

/// What became of the records of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records read.
    pub read: u64,
    /// Rows written.
    pub written: u64,
    /// Records whose row was there already, and was left alone.
    pub there: u64,
    /// Records without a row, each with a reason.
    pub skipped: u64,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// By the name of the table.
    pub tables: BTreeMap<&'static str, Tally>,
    /// Records that became no row: table and reason.
    pub skipped: BTreeMap<(&'static str, &'static str), u64>,
    /// Where each reason to skip was met first.
    pub first: BTreeMap<(&'static str, &'static str), String>,
    /// Rows that hold less than their record meant to say: table and reason.
    pub lessened: BTreeMap<(&'static str, &'static str), u64>,
    /// Records for which a practice's tables have no place, by the source's name for them.
    pub passed_over: BTreeMap<String, u64>,
    /// Invoices of the clinic that are paid above their total, as Synthea's own figures have it.
    pub overpaid: u64,
    /// What could not be read, and why; at most [`Report::unreadable_count`].
    pub unreadable: Vec<(String, String)>,
    /// How much could not be read.
    pub unreadable_count: u64,
}

impl Report {
    /// What became of the records that belong to a table.
    #[must_use]
    pub fn tally(&self, table: Table) -> Tally {
        self.tables.get(table.name()).copied().unwrap_or_default()
    }

    /// Whether everything could be read.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.unreadable_count == 0
    }

    /// Counts what became of a record; only the database's own rejection comes back.
    pub(super) fn count(
        &mut self,
        table: Table,
        taken: Result<bool, Refused>,
        place: impl FnOnce() -> String,
    ) -> Result<(), PracticeError> {
        match taken {
            Ok(new) => self.wrote(table, new),
            Err(Refused::Skip(reason)) => {
                self.skip(table, reason);
                let first = self.first.entry((table.name(), reason));
                first.or_insert_with(|| printable(&place()));
            }
            Err(Refused::Clinic(error)) => return Err(error),
        }
        Ok(())
    }

    fn wrote(&mut self, table: Table, new: bool) {
        let tally = self.tables.entry(table.name()).or_default();
        tally.read += 1;
        *(if new { &mut tally.written } else { &mut tally.there }) += 1;
    }

    fn skip(&mut self, table: Table, reason: &'static str) {
        let tally = self.tables.entry(table.name()).or_default();
        tally.read += 1;
        tally.skipped += 1;
        *self.skipped.entry((table.name(), reason)).or_default() += 1;
    }

    pub(super) fn lessen(&mut self, table: Table, reason: &'static str) {
        *self.lessened.entry((table.name(), reason)).or_default() += 1;
    }

    pub(super) fn pass_over(&mut self, kind: &str) {
        let known = self.passed_over.contains_key(kind);
        let name: String = printable(kind).chars().take(KIND_CHARS_MAX).collect();
        let full = self.passed_over.len() >= OTHER_KINDS_MAX;
        let name = if known || !full { name } else { "other".to_owned() };
        *self.passed_over.entry(name).or_default() += 1;
    }

    pub(super) fn unreadable(&mut self, name: &str, why: &str) {
        let named = (printable(name), why.to_owned());
        if self.unreadable.contains(&named) {
            return;
        }
        self.unreadable_count += 1;
        if self.unreadable.len() < NAMED_MAX {
            self.unreadable.push(named);
        }
    }

    /// Adds what a committed transaction did.
    pub(super) fn absorb(&mut self, part: Self) {
        for (table, more) in part.tables {
            let tally = self.tables.entry(table).or_default();
            tally.read += more.read;
            tally.written += more.written;
            tally.there += more.there;
            tally.skipped += more.skipped;
        }
        for (key, count) in part.skipped {
            *self.skipped.entry(key).or_default() += count;
        }
        for (key, place) in part.first {
            self.first.entry(key).or_insert(place);
        }
        for (key, count) in part.lessened {
            *self.lessened.entry(key).or_default() += count;
        }
        for (kind, count) in part.passed_over {
            *self.passed_over.entry(kind).or_default() += count;
        }
        let unnamed = part.unreadable_count - part.unreadable.len() as u64;
        for (name, why) in &part.unreadable {
            self.unreadable(name, why);
        }
        self.unreadable_count += unnamed;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<14} {:>9} {:>9} {:>9} {:>9}", "", "read", "written", "there", "skipped")?;
        for table in Table::ALL.into_iter().filter(|table| *table != Table::WorkingHours) {
            let Tally { read, written, there, skipped } = self.tally(table);
            let name = table.name();
            writeln!(f, "{name:<14} {read:>9} {written:>9} {there:>9} {skipped:>9}")?;
        }
        let reasons = [("skipped:", &self.skipped), ("written, but:", &self.lessened)];
        for (title, counts) in reasons.into_iter().filter(|(_, counts)| !counts.is_empty()) {
            writeln!(f, "{title}")?;
            for ((table, reason), count) in counts {
                write!(f, "  {table:<14} {count:>9}  {reason}")?;
                // Only what was skipped has a place, and no reason is both.
                match self.first.get(&(*table, *reason)) {
                    Some(place) => writeln!(f, "; first {place}")?,
                    None => writeln!(f)?,
                }
            }
        }
        if self.overpaid > 0 {
            let (name, count) = (Table::Invoices.name(), self.overpaid);
            writeln!(f, "  {name:<14} {count:>9}  now in the clinic are paid above their total")?;
        }
        if !self.passed_over.is_empty() {
            writeln!(f, "passed over, since a practice's tables have no place for them:")?;
            for (kind, count) in &self.passed_over {
                writeln!(f, "  {count:>9}  {kind}")?;
            }
        }
        if self.unreadable_count > 0 {
            writeln!(f, "{} could not be read:", self.unreadable_count)?;
            for (name, why) in &self.unreadable {
                writeln!(f, "  {name}: {why}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_cannot_fill_the_report_with_names_of_its_own() {
        let mut report = Report::default();
        for number in 0..1_000 {
            report.pass_over(&format!("Kind{number}"));
            report.unreadable(&format!("f{number}"), "no JSON");
            report.unreadable(&format!("f{number}"), "no JSON");
        }
        report.pass_over(&"x".repeat(10_000));
        assert_eq!(report.passed_over.len(), OTHER_KINDS_MAX + 1);
        assert!(report.passed_over.keys().all(|kind| kind.len() <= KIND_CHARS_MAX));
        assert_eq!(report.passed_over.values().sum::<u64>(), 1_001);
        assert_eq!(report.unreadable.len(), NAMED_MAX);
        let mut all = Report::default();
        all.absorb(report.clone());
        assert_eq!(all.passed_over, report.passed_over);
        assert!(!all.complete());
    }
}
