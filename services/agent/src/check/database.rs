//! What a mapping names and the practice's database does not have, or has otherwise.

use std::collections::BTreeSet;

use anyhow::Result;
use rusqlite::Connection;

use crate::declared::{self, Columns, columns_of};
use crate::mapping::tree::Mistake;
use crate::mapping::{NewKey, Table};
use crate::rows::quoted;

/// Tells every mistake of one table.
///
/// # Errors
/// The clinic database cannot be read.
pub fn judge(
    clinic: &Connection,
    table: &Table,
    columns: &Columns,
    mistakes: &mut Vec<Mistake>,
) -> Result<()> {
    let name = &table.name;
    if is_done_without(clinic, table, columns)? {
        return Ok(());
    }
    if columns.is_empty() {
        mistakes.push(mistake(table.line, no_table(clinic, name)?));
        return Ok(());
    }
    let before = mistakes.len();
    own_columns(table, columns, mistakes);
    looked_up(clinic, table, mistakes)?;
    new_rows(table, columns, mistakes);
    if mistakes.len() == before {
        mistakes.extend(doubled_keys(clinic, table)?);
    }
    Ok(())
}

/// Whether the practice has no such table, and need not have it.
fn is_done_without(clinic: &Connection, table: &Table, columns: &Columns) -> Result<bool> {
    Ok(table.optional && columns.is_empty() && declared::unfit(clinic, &table.name)?.is_none())
}

fn mistake(line: usize, problem: String) -> Mistake {
    Mistake { line, problem }
}

fn no_table(clinic: &Connection, name: &str) -> Result<String> {
    Ok(match declared::unfit(clinic, name)? {
        Some(why) => format!("{name}: {why}"),
        None => format!("the database has no table {name}"),
    })
}

fn own_columns(table: &Table, columns: &Columns, mistakes: &mut Vec<Mistake>) {
    let name = &table.name;
    let lacks = |column: &str| !columns.contains_key(&column.to_ascii_lowercase());
    for key in table.key.iter().filter(|key| lacks(key)) {
        let why = if declared::is_rowid(key) {
            "; a rowid changes when the database is packed, so it names no row"
        } else {
            ""
        };
        let problem = format!("{name} has no column {key}, which is its key{why}");
        mistakes.push(mistake(table.line, problem));
    }
    for column in table.columns.iter().filter(|column| !column.optional) {
        for own in column.own().filter(|own| lacks(own) && !table.key.iter().any(|it| it == own)) {
            mistakes.push(mistake(column.line, format!("{name} has no column {own}")));
        }
    }
    if let Some(gone) = table.gone.as_ref().filter(|gone| lacks(&gone.column)) {
        mistakes.push(mistake(gone.line, format!("{name} has no column {}", gone.column)));
    }
}

fn looked_up(clinic: &Connection, table: &Table, mistakes: &mut Vec<Mistake>) -> Result<()> {
    for (column, through) in table.looked_up().filter(|(column, _)| !column.optional) {
        let other = columns_of(clinic, &through.table)?;
        if other.is_empty() {
            mistakes.push(mistake(column.line, no_table(clinic, &through.table)?));
            continue;
        }
        for wanted in [&through.key, &through.value] {
            if !other.contains_key(&wanted.to_ascii_lowercase()) {
                let problem = format!("{} has no column {wanted}", through.table);
                mistakes.push(mistake(column.line, problem));
            }
        }
    }
    Ok(())
}

/// What a row that a request makes would be given.
fn new_rows(table: &Table, columns: &Columns, mistakes: &mut Vec<Mistake>) {
    let name = &table.name;
    for given in &table.defaults {
        let problem = match columns.get(&given.name.to_ascii_lowercase()) {
            None => format!("{name} has no column {}", given.name),
            Some(declared) if declared.is_generated => {
                format!("{} of {name} is computed, nobody writes it", given.name)
            }
            Some(_) => continue,
        };
        mistakes.push(mistake(given.line, problem));
    }
    let is_assigned = |key: &String| {
        columns.get(&key.to_ascii_lowercase()).is_some_and(|declared| declared.is_assigned)
    };
    if table.new_key == Some(NewKey::Assigned) && !table.key.iter().all(is_assigned) {
        let problem = format!("the database assigns no key to rows of {name}");
        mistakes.push(mistake(table.line, problem));
    }
}

/// Whether a constraint of the database lets no two rows have the same key.
///
/// # Errors
/// The clinic database cannot be read.
pub fn is_kept_unique(clinic: &Connection, table: &Table) -> Result<bool> {
    let key: BTreeSet<String> = table.key.iter().map(|name| name.to_ascii_lowercase()).collect();
    Ok(declared::unique_sets(clinic, &table.name)?.iter().any(|set| set.is_subset(&key)))
}

/// Rows that the key does not tell apart: the last of them that changed would pass for all.
fn doubled_keys(clinic: &Connection, table: &Table) -> Result<Option<Mistake>> {
    if is_kept_unique(clinic, table)? {
        return Ok(None);
    }
    let keys: Vec<String> = table.key.iter().map(|name| quoted(name)).collect();
    let present: Vec<String> = keys.iter().map(|name| format!("{name} IS NOT NULL")).collect();
    let (keys, present) = (keys.join(", "), present.join(" AND "));
    let sql = format!(
        "SELECT count(*) FROM (SELECT 1 FROM {} WHERE {present} GROUP BY {keys} \
         HAVING count(*) > 1)",
        quoted(&table.name)
    );
    let doubled: i64 = clinic.query_row(&sql, [], |row| row.get(0))?;
    let key = table.key.join(", ");
    Ok((doubled > 0).then(|| {
        let problem = format!(
            "{key} is no key of {}: {doubled} of its values stand in several rows",
            table.name
        );
        mistake(table.line, problem)
    }))
}
