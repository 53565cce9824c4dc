//! What only a whole mapping tells: names that two tables share, ids of things that none holds, and
//! fields that a domain does not have or has otherwise.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::domains::{self, Promised};
use crate::mapping::column::{Column, Kind};
use crate::mapping::file::Entry;
use crate::mapping::tree::{Mistakes, shown};
use crate::mapping::{COLUMNS_MAX, NewKey, Table};

/// What ends the name of a field that names another thing.
const ID_SUFFIX: &str = "_id";

/// Tells what is wrong between the parts of a mapping.
pub fn check(entries: &[Entry], mistakes: &Mistakes) {
    let resources: BTreeSet<&str> =
        entries.iter().map(|entry| entry.table.resource.as_str()).collect();
    let mut names = BTreeSet::new();
    let mut words = BTreeSet::new();
    for entry in entries {
        let table = &entry.table;
        if !names.insert(table.name.to_lowercase()) {
            mistakes.at(entry.at, format!("{} is mapped twice", shown(&table.name)));
        }
        if !words.insert(table.subject_word()) {
            mistakes.at(entry.at, format!("two tables hold {}", table.subject_word()));
        }
        let tables: Vec<&Table> = entries.iter().map(|entry| &entry.table).collect();
        check_columns(entry, &tables, &resources, mistakes);
        check_fields(entry, &resources, mistakes);
        check_new_key(entry, mistakes);
    }
}

fn check_columns(
    entry: &Entry,
    tables: &[&Table],
    resources: &BTreeSet<&str>,
    mistakes: &Mistakes,
) {
    let table = &entry.table;
    let at = |column: &Column| entry.columns_at.get(&column.field).copied().unwrap_or(entry.at);
    let own: BTreeSet<&str> = table.columns.iter().flat_map(Column::own).collect();
    let own = own.into_iter().chain(table.key.iter().map(String::as_str)).collect::<BTreeSet<_>>();
    if own.len() > COLUMNS_MAX {
        mistakes.at(entry.at, format!("a trigger carries at most {COLUMNS_MAX} columns"));
    }
    let mut spelt = BTreeSet::new();
    for name in own.iter().filter(|name| !spelt.insert(name.to_lowercase())) {
        let problem = format!("{} is spelt in two ways; SQLite minds no case", shown(name));
        mistakes.at(entry.at, problem);
    }
    for column in &table.columns {
        if let Some(of) = column.of.as_deref().filter(|of| !resources.contains(of)) {
            mistakes.at(at(column), format!("no table of this mapping holds {}", shown(of)));
        }
        let named = tables.iter().find(|other| Some(&other.resource) == column.of.as_ref());
        if named.is_some_and(|other| other.has_id_beside_key()) && column.field != table.id {
            let of = column.of.as_deref().unwrap_or_default();
            let problem = format!("the id of {of} is not its key, so no other row can name it");
            mistakes.at(at(column), problem);
        }
        let Some(through) = &column.through else { continue };
        let looked_up = table.looked_up().any(|(other, _)| other.name == through.column);
        if looked_up {
            let problem = format!("{} is looked up itself", shown(&through.column));
            mistakes.at(at(column), problem);
        }
    }
}

/// Fields are those of the domain, hold what it expects, and each is mapped once.
fn check_fields(entry: &Entry, resources: &BTreeSet<&str>, mistakes: &Mistakes) {
    let table = &entry.table;
    let known = if table.facts.is_none() { domains::fields_of(&table.resource) } else { None };
    let mut seen = BTreeSet::new();
    let columns = table.columns.iter().map(|column| (&column.field, column.line));
    let constants = table.constants.iter().map(|constant| (&constant.name, constant.line));
    for (field, line) in columns.chain(constants) {
        if !seen.insert(field) {
            let problem = format!("the field {} is mapped twice", shown(field));
            mistakes.at(mistakes.byte_of(line), problem);
        }
    }
    let Some(known) = known else { return };
    for column in &table.columns {
        let at = mistakes.byte_of(column.line);
        match known.get(&column.field) {
            Some(&promised) => check_kind(column, promised, resources, at, mistakes),
            None => no_field(table, &column.field, &known, at, mistakes),
        }
    }
    for constant in &table.constants {
        let at = mistakes.byte_of(constant.line);
        match known.get(&constant.name) {
            Some(&promised) if !is_value_of(&constant.value, promised) => {
                let wanted = Kind::words_for(promised);
                mistakes.at(at, format!("{} wants a value of {wanted}", shown(&constant.name)));
            }
            Some(_) => {}
            None => no_field(table, &constant.name, &known, at, mistakes),
        }
    }
    if !known.contains_key(&table.id) {
        mistakes.at(entry.at, format!("id {} is no field of {}", shown(&table.id), table.resource));
    }
}

fn no_field(
    table: &Table,
    field: &str,
    known: &BTreeMap<String, Promised>,
    at: usize,
    mistakes: &Mistakes,
) {
    let fields: Vec<&str> =
        known.keys().filter(|name| !name.ends_with("_raw")).map(String::as_str).collect();
    let (of, has) = (&table.resource, fields.join(", "));
    mistakes.at(at, format!("{of} has no field {}; it has {has}", shown(field)));
}

/// A column of another type would leave the domain's field empty in every row, or hold it against
/// the row as a whole.
fn check_kind(
    column: &Column,
    promised: Promised,
    resources: &BTreeSet<&str>,
    at: usize,
    mistakes: &Mistakes,
) {
    if !column.kind.gives(promised) {
        let wanted = Kind::words_for(promised);
        let problem =
            format!("{} wants the type {wanted}, not {}", column.field, column.kind.word());
        return mistakes.at(at, problem);
    }
    let named = column.field.strip_suffix(ID_SUFFIX);
    let Some(resource) = named.filter(|resource| domains::of_resource(resource).is_some()) else {
        return;
    };
    let is_meant = match &column.of {
        // One that no table holds is told as that.
        Some(of) => of == resource || !resources.contains(of.as_str()),
        // Its rows may have ids of their own that this mapping need not know.
        None => !resources.contains(resource),
    };
    if promised == Promised::Id && !is_meant {
        let problem = format!("{} names a {resource}: say of = {}", column.field, shown(resource));
        mistakes.at(at, problem);
    }
}

fn is_value_of(value: &Value, promised: Promised) -> bool {
    match promised {
        Promised::Bool => value.is_boolean(),
        Promised::Integer => value.is_i64(),
        Promised::Text | Promised::Date | Promised::Instant | Promised::Id => value.is_string(),
        Promised::Other => true,
    }
}

/// A new row's key: what is not fixed for all rows is one column, or nobody could say it.
fn check_new_key(entry: &Entry, mistakes: &Mistakes) {
    let table = &entry.table;
    let is_fixed = |column: &&String| table.defaults.iter().any(|given| given.name == **column);
    let open = table.key.iter().filter(|column| !is_fixed(column)).count();
    match table.new_key {
        Some(NewKey::Assigned) if table.key.len() > 1 => {
            mistakes.at(entry.at, "a database assigns no key of several columns");
        }
        Some(NewKey::Next) if open > 1 => {
            let problem =
                "new_key = \"next\" is for one column; give the others in [table.defaults]";
            mistakes.at(entry.at, problem);
        }
        Some(_) | None => {}
    }
}
