//! `arteria-agent mapping check`: what the agent would capture, table by table and column by
//! column, with three rows as the domain would see them, and every mistake by its line.
//!
//! It runs at the clinic and prints to the terminal of who maps the practice, so it may show rows;
//! nothing of it goes into a log.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::Connection;

use crate::clinic::Clinic;
use crate::config::Config;
use crate::domains;
use crate::identity::Ids;
use crate::mapping::source::MappingFile;
use crate::mapping::tree::Mistake;
use crate::mapping::{Column, Currency, Mapping, MappingError, NewKey, Table};
use crate::rows::{RowReader, quoted, selected_row};
use crate::setup::files;
use crate::triggers;

/// Rows shown of each table.
const SAMPLE_ROWS: usize = 3;

/// What a check came to.
#[derive(Debug)]
pub struct Checked {
    /// What the agent would capture.
    pub report: String,
    /// Every mistake, in the order of lines.
    pub mistakes: Vec<Mistake>,
}

/// Checks the mapping of the clinic in `dir`.
///
/// # Errors
/// Settings or the clinic database cannot be read.
pub fn check(dir: &Path) -> Result<Checked> {
    let config = Config::load(dir)?;
    let file = MappingFile::of(dir, config.mapping.as_deref(), &config.time_zone);
    let whose = match file.text() {
        Ok(Some(_)) | Err(_) => file.path().display().to_string(),
        Ok(None) => "the reference schema (there is no mapping file)".to_owned(),
    };
    let mut report = format!("mapping: {whose}\n");
    let mapping = match file.load() {
        Ok(mapping) => mapping,
        Err(MappingError::Mistakes(mistakes)) => return Ok(Checked { report, mistakes }),
        Err(other) => return Err(other.into()),
    };
    let clinic = Clinic::open_reader(&dir.join(files::CLINIC))?;
    let ids = Ids::open(config.unit.clone(), &dir.join(files::IDS_SECRET))?;
    let reader = RowReader { mapping: &mapping, ids: &ids };
    let mut mistakes = Vec::new();
    let installed = triggers::survey(&clinic, &mapping)?;
    for table in mapping.tables.iter().filter(|table| !table.ledger) {
        let columns = triggers::columns_of(&clinic, &table.name)?;
        let before = mistakes.len();
        in_database(&clinic, table, &columns, &mut mistakes)?;
        match installed.tables.iter().find(|captured| captured.name == table.name) {
            Some(captured) if mistakes.len() == before => {
                describe(&mut report, captured, &columns);
                sample(&mut report, &clinic, captured, &reader, &mut mistakes)?;
            }
            Some(_) | None => {
                let _ = writeln!(report, "\n{}: not captured", table.name);
            }
        }
    }
    mistakes.sort();
    Ok(Checked { report, mistakes })
}

/// Tells what the mapping names and the database lacks.
fn in_database(
    clinic: &Connection,
    table: &Table,
    columns: &BTreeMap<String, String>,
    mistakes: &mut Vec<Mistake>,
) -> Result<()> {
    let mut tell = |line, problem: String| mistakes.push(Mistake { line, problem });
    let name = &table.name;
    if columns.is_empty() {
        tell(table.line, format!("the database has no table {name}"));
        return Ok(());
    }
    let lacks = |column: &str| !columns.contains_key(&column.to_ascii_lowercase());
    for key in table.key.iter().filter(|key| lacks(key)) {
        tell(table.line, format!("{name} has no column {key}, which is its key"));
    }
    for column in table.columns.iter().filter(|column| !column.optional) {
        for own in column.own().filter(|own| lacks(own) && !table.key.iter().any(|it| it == own)) {
            tell(column.line, format!("{name} has no column {own}"));
        }
    }
    let gone = table.gone.as_ref().map(|gone| &gone.column);
    for own in gone.into_iter().chain(table.defaults.iter().map(|(column, _)| column)) {
        if lacks(own) {
            tell(table.line, format!("{name} has no column {own}"));
        }
    }
    for (column, through) in table.looked_up().filter(|(column, _)| !column.optional) {
        let other = triggers::columns_of(clinic, &through.table)?;
        for wanted in [&through.key, &through.value] {
            if !other.contains_key(&wanted.to_ascii_lowercase()) {
                tell(column.line, format!("{} has no column {wanted}", through.table));
            }
        }
    }
    let assigned = columns.values().any(|kind| kind == "integer key");
    if table.new_key == Some(NewKey::Assigned) && !assigned {
        tell(table.line, format!("the database assigns no key to rows of {name}"));
    }
    Ok(())
}

/// What is captured of a table.
fn describe(report: &mut String, table: &Table, columns: &BTreeMap<String, String>) {
    // Writing to a String does not fail.
    let _ = writeln!(report, "\n{} -> {}", table.name, meaning(table));
    let _ = writeln!(report, "  key: {}; {}", table.key.join(", "), writing(table));
    for column in &table.columns {
        let _ = writeln!(report, "  {} -> {} ({})", place(column), column.field, details(column));
    }
    for (field, value) in &table.constants {
        let _ = writeln!(report, "  always {value} -> {field}");
    }
    if let Some(gone) = &table.gone {
        let words = gone.words.join(", ");
        let _ = writeln!(report, "  {} of {words}: the row counts as gone", gone.column);
    }
    let left: Vec<&str> = columns
        .keys()
        .filter(|name| !table.images.iter().any(|image| image.eq_ignore_ascii_case(name)))
        .map(String::as_str)
        .collect();
    if !left.is_empty() {
        let _ = writeln!(report, "  not captured: {}", left.join(", "));
    }
}

fn meaning(table: &Table) -> String {
    let Some(facts) = &table.facts else {
        let domain = domains::of_thing(&table.thing).map_or("", |domain| domain.name());
        return format!("{} of {domain}", table.thing);
    };
    let named = [("new", &facts.inserted), ("changed", &facts.changed), ("gone", &facts.removed)];
    let named: Vec<String> = named
        .iter()
        .filter_map(|(when, name)| name.as_ref().map(|name| format!("{when}: {name}")))
        .collect();
    format!("{} (version {}; {})", table.thing, facts.version, named.join(", "))
}

fn writing(table: &Table) -> &'static str {
    match (table.read_only || table.facts.is_some(), table.new_key) {
        (true, _) => "requests never write it",
        (false, Some(NewKey::Assigned)) => "requests may write it, the database assigns keys",
        (false, Some(NewKey::Next)) => "requests may write it, a new key is the next number",
        (false, _) => "requests may write it, a new key is the public id",
    }
}

fn place(column: &Column) -> String {
    match &column.through {
        Some(through) => {
            format!("{}.{} through {}", through.table, through.value, through.column)
        }
        None => column.parts.join(" + "),
    }
}

fn details(column: &Column) -> String {
    let mut details = vec![column.kind.word().to_owned()];
    details.extend(column.of.as_ref().map(|of| format!("of {of}")));
    details.extend(column.format.as_ref().map(|format| format!("as {format}")));
    details.extend(column.zone.map(|zone| format!("in {zone}")));
    details.extend(column.amount.as_ref().map(|amount| match &amount.currency {
        Currency::Always(code) => format!("in {code}"),
        Currency::Column(name) => format!("in the currency of {name}"),
    }));
    if !column.codes.is_empty() {
        let words: Vec<String> =
            column.codes.iter().map(|code| format!("{:?} is {}", code.word, code.value)).collect();
        details.push(words.join(", "));
    }
    details.extend(column.read_only.then(|| "read only".to_owned()));
    details.extend(column.optional.then(|| "optional".to_owned()));
    details.join("; ")
}

/// Three rows as the domain would see them; rows that it does not take are a mistake.
fn sample(
    report: &mut String,
    clinic: &Connection,
    table: &Table,
    reader: &RowReader<'_>,
    mistakes: &mut Vec<Mistake>,
) -> Result<()> {
    let name = quoted(&table.name);
    let reading = || format!("reading {}", table.name);
    let count: i64 = clinic
        .query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get(0))
        .with_context(reading)?;
    let _ = writeln!(report, "  {count} rows; as the domain sees the first of them:");
    let sql = format!("SELECT {} FROM {name} LIMIT {SAMPLE_ROWS}", table.selected);
    let mut statement = clinic.prepare(&sql).with_context(reading)?;
    let mut rows = statement.query([]).with_context(reading)?;
    while let Some(row) = rows.next().with_context(reading)? {
        let (key, image) = selected_row(table, row).with_context(reading)?;
        let Some(row) = reader.row_of(table, &key, &image) else {
            let _ = writeln!(report, "    {key}: counts as gone, or has no id");
            continue;
        };
        let _ = writeln!(report, "    {}", row.state);
        let domain = domains::of_thing(&table.thing).filter(|_| table.facts.is_none());
        if domain.is_some_and(|domain| domain.snapshot(&table.thing, &row.state).is_err()) {
            let problem = format!("row {key} does not read as {}", table.thing);
            mistakes.push(Mistake { line: table.line, problem });
        }
    }
    Ok(())
}

/// The mapping of a clinic's folder, for commands beside the agent.
///
/// # Errors
/// It has mistakes, and there is none from before.
pub fn mapping_of(dir: &Path) -> Result<Mapping> {
    let Ok(config) = Config::load(dir) else { return Ok(Mapping::reference()?) };
    let file = MappingFile::of(dir, config.mapping.as_deref(), &config.time_zone);
    Ok(file.load_or_last()?)
}
