//! `arteria-agent mapping check`: what the agent would capture, table by table and column by
//! column, with three rows as the domain would see them, and every mistake by its line.
//!
//! It runs at the clinic and prints to the terminal of who maps the practice, so it may show rows;
//! nothing of it goes into a log.

mod database;
mod rows;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use crate::clinic::Clinic;
use crate::config::Config;
use crate::declared::{Columns, columns_of};
use crate::domains;
use crate::identity::Ids;
use crate::mapping::source::MappingFile;
use crate::mapping::tree::Mistake;
use crate::mapping::{Column, Currency, Mapping, MappingError, NewKey, Table};
use crate::rows::RowReader;
use crate::setup::files;
use crate::triggers;

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
    let reader = RowReader { mapping: &mapping, ids: &ids, spool: None };
    let mut mistakes = Vec::new();
    let installed = triggers::survey(&clinic, &mapping)?;
    for table in mapping.tables.iter().filter(|table| !table.ledger) {
        let columns = columns_of(&clinic, &table.name)?;
        let before = mistakes.len();
        database::judge(&clinic, table, &columns, &mut mistakes)?;
        match installed.tables.iter().find(|captured| captured.name == table.name) {
            Some(captured) if mistakes.len() == before => {
                describe(&mut report, captured, &columns);
                rows::show(&mut report, &clinic, captured, &reader, &mut mistakes)?;
            }
            None if installed.absent.contains(&table.name) => {
                let _ = writeln!(report, "\n{}: the practice has no such table", table.name);
            }
            Some(_) | None => {
                let _ = writeln!(report, "\n{}: not captured", table.name);
            }
        }
    }
    mistakes.sort();
    Ok(Checked { report, mistakes })
}

/// What is captured of a table.
fn describe(report: &mut String, table: &Table, columns: &Columns) {
    // Writing to a String does not fail.
    let _ = writeln!(report, "\n{} -> {}", table.name, meaning(table));
    let _ = writeln!(report, "  key: {}; {}", table.key.join(", "), writing(table));
    for key in &table.key {
        if columns.get(&key.to_ascii_lowercase()).is_some_and(|column| column.comes_again) {
            let _ = writeln!(
                report,
                "  {key} has no AUTOINCREMENT: the number of a removed row comes again; what \
                 has it then is another {} to the network",
                table.resource
            );
        }
    }
    for column in &table.columns {
        let _ = writeln!(report, "  {} -> {} ({})", place(column), column.field, details(column));
    }
    for constant in &table.constants {
        let _ = writeln!(report, "  always {} -> {}", constant.value, constant.name);
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
        let domain = domains::of_resource(&table.resource).map_or("", |domain| domain.name());
        return format!("{} of {domain}", table.resource);
    };
    let named = [("new", &facts.inserted), ("changed", &facts.changed), ("gone", &facts.removed)];
    let named: Vec<String> = named
        .iter()
        .filter_map(|(when, name)| name.as_ref().map(|name| format!("{when}: {name}")))
        .collect();
    format!("{} (version {}; {})", table.resource, facts.version, named.join(", "))
}

fn writing(table: &Table) -> &'static str {
    let is_given = |key: &&String| table.defaults.iter().any(|given| given.name == **key);
    let open = table.key.iter().filter(|key| !is_given(key)).count();
    match (table.read_only || table.facts.is_some(), table.new_key) {
        (true, _) => "requests never write it",
        (false, _) if open > 1 => "requests change its rows and add none: its key has parts",
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
    let is_absolute =
        column.format.as_ref().is_some_and(super::mapping::format::Format::is_absolute);
    details.extend(column.zone.filter(|_| !is_absolute).map(|zone| format!("in {zone}")));
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

/// The mapping of a clinic's folder, for commands beside the agent.
///
/// # Errors
/// It has mistakes, and there is none from before.
pub fn mapping_of(dir: &Path) -> Result<Mapping> {
    let Ok(config) = Config::load(dir) else { return Ok(Mapping::reference()?) };
    let file = MappingFile::of(dir, config.mapping.as_deref(), &config.time_zone);
    Ok(file.load_or_last()?)
}
