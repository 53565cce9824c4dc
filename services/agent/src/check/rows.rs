//! Rows as a domain would see them: three to look at, and all of them counted where something in
//! them does not read.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use rusqlite::Connection;

use crate::check::database;
use crate::domains;
use crate::mapping::tree::{Mistake, shown};
use crate::mapping::{Column, Kind, Table};
use crate::rows::{Image, Row, RowReader, lossy_text, quoted, selected_row};
use crate::values;

/// Rows shown of each table.
const SAMPLE_ROWS: u64 = 3;
/// Rows read of each table: some seconds' worth, and more than most tables have.
const ROWS_READ_MAX: u64 = 200_000;

/// How often something in rows does not read.
struct Unread<'t> {
    column: &'t Column,
    rows: u64,
    first: String,
}

/// What all rows together show.
#[derive(Default)]
struct Counts<'t> {
    read: u64,
    without_key: u64,
    without_row: u64,
    refused: u64,
    first_refused: String,
    unread: Vec<Unread<'t>>,
}

/// Three rows, and how many do not read.
///
/// # Errors
/// The clinic database cannot be read.
pub fn show(
    report: &mut String,
    clinic: &Connection,
    table: &Table,
    reader: &RowReader<'_>,
    mistakes: &mut Vec<Mistake>,
) -> Result<()> {
    let name = quoted(&table.name);
    let reading = || format!("reading {}", table.name);
    let count: u64 = clinic
        .query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get(0))
        .with_context(reading)?;
    // Writing to a String does not fail.
    let _ = writeln!(report, "  {count} rows; as the domain sees the first of them:");
    let sql = format!("SELECT {} FROM {name} LIMIT {ROWS_READ_MAX}", table.selected);
    let mut statement = clinic.prepare(&sql).with_context(reading)?;
    let mut rows = statement.query([]).with_context(reading)?;
    let mut counts = Counts::default();
    while let Some(row) = rows.next().with_context(reading)? {
        let (key, image) = selected_row(table, row).with_context(reading)?;
        let row = reader.row_of(table, &key, &image)?;
        if counts.read < SAMPLE_ROWS {
            let _ = match &row {
                Some(row) => writeln!(report, "    {}", row.state),
                None => writeln!(report, "    {key}: counts as gone, or has no key or id"),
            };
        }
        counts.count(table, &key, &image, row.as_ref());
    }
    counts.tell(report, table);
    if count > 0 && !database::is_kept_unique(clinic, table)? {
        let key = table.key.join(", ");
        let _ = writeln!(report, "  nothing in the database keeps {key} from standing twice");
    }
    if let [key] = table.key.as_slice() {
        tell_alike(report, clinic, table, key).with_context(reading)?;
    }
    if counts.refused > 0 {
        let (rows, first) = (counts.refused, counts.first_refused);
        let problem =
            format!("{rows} rows do not read as {}, the first of them {first}", table.resource);
        mistakes.push(Mistake { line: table.line, problem });
    }
    Ok(())
}

/// Keys that people take for one: as UUIDs they name one resource with several rows.
fn tell_alike(
    report: &mut String,
    clinic: &Connection,
    table: &Table,
    key: &str,
) -> rusqlite::Result<()> {
    let column = quoted(key);
    let sql = format!(
        "SELECT count(*), min(one) FROM (
             SELECT min({column}) AS one FROM {} WHERE typeof({column}) = 'text'
             GROUP BY lower({column}) HAVING count(DISTINCT {column} COLLATE BINARY) > 1)",
        quoted(&table.name)
    );
    let (groups, first): (u64, Option<String>) =
        clinic.query_row(&sql, [], |row| Ok((row.get(0)?, lossy_text(row.get_ref(1)?))))?;
    if let Some(first) = first {
        let first = shown(&first);
        // Writing to a String does not fail.
        let _ = writeln!(
            report,
            "  {groups} keys stand in several rows that differ only in capitals, as {first}: \
             UUIDs among them are one {} to the network, others are several",
            table.resource
        );
    }
    Ok(())
}

impl<'t> Counts<'t> {
    fn count(&mut self, table: &'t Table, key: &str, image: &Image, row: Option<&Row>) {
        self.read += 1;
        let Some(row) = row else {
            let is_without = table.key.iter().any(|name| !image.contains_key(name));
            *(if is_without { &mut self.without_key } else { &mut self.without_row }) += 1;
            return;
        };
        for column in &table.columns {
            let raw = row.state.get(column.raw_field()).and_then(|raw| raw.as_str());
            let is_empty = row.state.get(&column.field).is_none();
            let text = match raw {
                Some(raw) => raw.to_owned(),
                None if is_empty => match values::text_in(column, image) {
                    Some(text) => text,
                    None => continue,
                },
                None => continue,
            };
            match self.unread.iter_mut().find(|it| it.column.field == column.field) {
                Some(unread) => unread.rows += 1,
                None => self.unread.push(Unread { column, rows: 1, first: text }),
            }
        }
        let domain = domains::of_resource(&table.resource).filter(|_| table.facts.is_none());
        if domain.is_some_and(|domain| domain.snapshot(&table.resource, &row.state).is_err()) {
            if self.refused == 0 {
                key.clone_into(&mut self.first_refused);
            }
            self.refused += 1;
        }
    }

    fn tell(&self, report: &mut String, table: &Table) {
        let mut line = |text: String| {
            let _ = writeln!(report, "  {text}");
        };
        if self.read == ROWS_READ_MAX {
            line(format!("only {ROWS_READ_MAX} rows are counted here:"));
        }
        if self.without_key > 0 {
            line(format!("{} rows have no key, and are not captured", self.without_key));
        }
        if self.without_row > 0 {
            line(format!("{} rows count as gone, or have no id", self.without_row));
        }
        for Unread { column, rows, first } in &self.unread {
            let (field, first) = (&column.field, shown(first));
            let why = match (column.codes.is_empty(), column.kind) {
                (false, _) => "is a word of no list".to_owned(),
                (true, kind) => format!("does not read as {}", kind.word()),
            };
            let fate = match (values::open_word(column, table, ""), column.kind) {
                (Some(_), _) => format!("{field} has it as it stands"),
                (None, Kind::Uuid | Kind::Bool) if column.codes.is_empty() => {
                    format!("{field} stays empty")
                }
                (None, _) => format!("it travels as {}", column.raw_field()),
            };
            line(format!("{rows} rows: {}, as {first}, {why}; {fate}", column.name));
        }
    }
}
