//! Reads a mapping file: every mistake in it, each by its line, or the mapping.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use toml::de::DeTable;

use crate::domains;
use crate::mapping::column::Column;
use crate::mapping::tree::{Found, Mistakes, Part, shown};
use crate::mapping::{
    COLUMNS_MAX, Gone, Mapping, MappingError, NewKey, Table, column_file, generic,
};

/// Largest file that is read: ten thousand columns of it.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Tables of one mapping: three triggers each, and a practice has some dozens that matter.
const TABLES_MAX: usize = 100;
/// Longest name of a table, column or field.
const NAME_CHARS_MAX: usize = 120;
/// What begins the names of the agent's own tables.
const OWN_PREFIX: &str = "arteria_";
/// The first part of types that are not a practice's to name, beside those of the domains.
const RESERVED_DOMAINS: [&str; 4] = ["control", "cloud", "arteria", "audit"];

/// Who wrote the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// We did: it may name the agent's own ledger.
    Agent,
    /// The practice, or who maps it.
    Practice,
}

/// One table, and where in the file what must be checked against others stands.
struct Entry {
    table: Table,
    at: usize,
    columns_at: BTreeMap<String, usize>,
}

/// Reads a mapping file.
///
/// # Errors
/// Every mistake in it.
pub fn read(text: &str, zone: Tz, author: Author) -> Result<Mapping, MappingError> {
    let mistakes = Mistakes::of(text);
    if text.len() > FILE_BYTES_MAX {
        mistakes.at(0, format!("the file has more than {FILE_BYTES_MAX} bytes"));
        return Err(MappingError::Mistakes(mistakes.into_all()));
    }
    let (tree, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        mistakes.at(error.span().map_or(0, |span| span.start), error.message());
    }
    if !errors.is_empty() {
        // What such a file would mean is a guess, and mistakes in it would be too.
        return Err(MappingError::Mistakes(mistakes.into_all()));
    }
    let entries = entries(tree.get_ref(), zone, author, &mistakes);
    check_together(&entries, &mistakes);
    let found = mistakes.into_all();
    if !found.is_empty() {
        return Err(MappingError::Mistakes(found));
    }
    let tables = entries.into_iter().map(|entry| entry.table.finished()).collect();
    Ok(Mapping { tables })
}

fn entries(tree: &DeTable<'_>, zone: Tz, author: Author, mistakes: &Mistakes<'_>) -> Vec<Entry> {
    let root = Part::new(tree, 0, mistakes);
    let named = zone_of(&root, mistakes);
    let tables = root.take("table");
    root.finish("a mapping");
    let Some(parts) = tables.as_ref().and_then(|tables| tables.parts(mistakes)) else {
        let at = tables.map_or(0, |tables| tables.at);
        mistakes.at(at, "a mapping is a list of [[table]]");
        return Vec::new();
    };
    if parts.len() > TABLES_MAX {
        mistakes.at(parts[TABLES_MAX].at, format!("a mapping has at most {TABLES_MAX} tables"));
        return Vec::new();
    }
    let zones = Zones { named, fallback: zone };
    parts.iter().filter_map(|part| entry(part, zones, author, mistakes)).collect()
}

/// The zone that the file names, and the unit's own.
#[derive(Debug, Clone, Copy)]
pub struct Zones {
    /// As the file says; every time of the table is local then.
    pub named: Option<Tz>,
    /// The unit's, for formats without a zone.
    pub fallback: Tz,
}

/// The zone of a part of the file.
pub fn zone_of(part: &Part<'_, '_>, mistakes: &Mistakes<'_>) -> Option<Tz> {
    let (name, at) = part.text("zone")?;
    let zone = name.parse().ok();
    if zone.is_none() {
        mistakes.at(at, format!("{} is no IANA time zone, as Europe/Lisbon", shown(&name)));
    }
    zone
}

/// Tells a name that cannot be one.
pub fn check_name(name: &str, at: usize, mistakes: &Mistakes<'_>) {
    if name.trim().is_empty() {
        mistakes.at(at, "a name is not empty");
    } else if name.chars().count() > NAME_CHARS_MAX {
        mistakes.at(at, format!("a name has at most {NAME_CHARS_MAX} characters"));
    } else if name.chars().any(char::is_control) {
        mistakes.at(at, "a name holds no control characters");
    }
}

fn entry(
    part: &Part<'_, '_>,
    zones: Zones,
    author: Author,
    mistakes: &Mistakes<'_>,
) -> Option<Entry> {
    let (name, name_at) = part.wanted("name")?;
    check_name(&name, name_at, mistakes);
    if author == Author::Practice && name.to_ascii_lowercase().starts_with(OWN_PREFIX) {
        mistakes.at(name_at, "tables of the agent are not mapped");
    }
    let (thing, facts) = thing_of(part, mistakes)?;
    let zones = Zones { named: zone_of(part, mistakes).or(zones.named), ..zones };
    let key = key_of(part, mistakes);
    let word = facts.as_ref().map_or(thing.as_str(), |facts| &facts.word);
    let id = part.text("id").map_or_else(|| format!("{word}_id"), |(id, _)| id);
    let ledger = author == Author::Agent && part.flag("ledger");
    let mut columns = Vec::new();
    let mut columns_at = BTreeMap::new();
    match part.part("columns") {
        Some(listed) => {
            for (name, found) in listed.entries() {
                if let Some(column) = column_file::read(name, found, zones, mistakes) {
                    columns_at.entry(column.field.clone()).or_insert(found.at);
                    columns.push(column);
                }
            }
        }
        None => mistakes.at(part.at, "[table.columns] is missing"),
    }
    let table = Table {
        thing,
        facts,
        key,
        id,
        ledger,
        read_only: part.flag("read_only"),
        new_key: new_key(part, mistakes),
        constants: plain_entries(part, "constants", mistakes),
        defaults: plain_entries(part, "defaults", mistakes),
        gone: gone(part, mistakes),
        columns,
        images: Vec::new(),
        selected: String::new(),
        line: mistakes.line_of(name_at),
        ids_of: part.text("ids_of").map_or_else(|| name.clone(), |(ids_of, _)| ids_of),
        name,
    };
    part.finish("a table");
    Some(Entry { table, at: name_at, columns_at })
}

fn key_of(part: &Part<'_, '_>, mistakes: &Mistakes<'_>) -> Vec<String> {
    if part.take("key").is_none() {
        mistakes.at(part.at, "key is missing: the columns that name a row");
    }
    let Some((key, at)) = part.texts("key") else { return Vec::new() };
    if key.is_empty() {
        mistakes.at(at, "a key has at least one column");
    }
    key.iter().for_each(|name| check_name(name, at, mistakes));
    key
}

fn thing_of(
    part: &Part<'_, '_>,
    mistakes: &Mistakes<'_>,
) -> Option<(String, Option<generic::Facts>)> {
    let owned: Vec<&str> =
        domains::ALL.iter().map(|domain| domain.name()).chain(RESERVED_DOMAINS).collect();
    let before = mistakes.count();
    let generic = generic::read(part, &owned, mistakes);
    match (part.text("thing"), generic) {
        (Some((_, at)), Some(_)) => {
            mistakes.at(at, "a table is a thing of a domain or has a type of its own, not both");
            None
        }
        (Some((thing, at)), None) => {
            if domains::of_thing(&thing).is_none() {
                let known: Vec<&str> = domains::things().collect();
                let known = known.join(", ");
                mistakes.at(at, format!("no domain knows {}; known: {known}", shown(&thing)));
                return None;
            }
            Some((thing, None))
        }
        (None, Some((thing, facts))) => Some((thing, Some(facts))),
        (None, None) => {
            if mistakes.count() == before {
                mistakes.at(part.at, "a table has a thing, or a type of its own");
            }
            None
        }
    }
}

fn new_key(part: &Part<'_, '_>, mistakes: &Mistakes<'_>) -> Option<NewKey> {
    let (word, at) = part.text("new_key")?;
    match word.as_str() {
        "public_id" => Some(NewKey::PublicId),
        "assigned" => Some(NewKey::Assigned),
        "next" => Some(NewKey::Next),
        _ => {
            mistakes.at(at, "new_key is public_id, assigned or next");
            None
        }
    }
}

fn gone(part: &Part<'_, '_>, mistakes: &Mistakes<'_>) -> Option<Gone> {
    let listed = part.part("gone")?;
    let column = listed.wanted("column");
    let words = listed.texts("words");
    listed.finish("gone");
    let (Some((column, at)), Some((words, _))) = (column, words) else {
        mistakes.at(listed.at, "gone names a column and the words that mean it");
        return None;
    };
    check_name(&column, at, mistakes);
    Some(Gone { column, words })
}

fn plain_entries(
    part: &Part<'_, '_>,
    key: &'static str,
    mistakes: &Mistakes<'_>,
) -> Vec<(String, serde_json::Value)> {
    let Some(listed) = part.part(key) else { return Vec::new() };
    let plain = |(name, found): (&str, Found<'_, '_>)| {
        check_name(name, found.at, mistakes);
        let value = found.plain();
        if value.is_none() {
            mistakes.at(found.at, "a value here is a text, a whole number, true or false");
        }
        value.map(|value| (name.to_owned(), value))
    };
    listed.entries().into_iter().filter_map(plain).collect()
}

/// What only all tables together tell.
fn check_together(entries: &[Entry], mistakes: &Mistakes<'_>) {
    let things: BTreeSet<&str> = entries.iter().map(|entry| entry.table.thing.as_str()).collect();
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
        check_columns(entry, &tables, &things, mistakes);
        check_fields(entry, mistakes);
    }
}

fn check_columns(
    entry: &Entry,
    tables: &[&Table],
    things: &BTreeSet<&str>,
    mistakes: &Mistakes<'_>,
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
        if let Some(of) = column.of.as_deref().filter(|of| !things.contains(of)) {
            mistakes.at(at(column), format!("no table of this mapping holds {}", shown(of)));
        }
        let named = tables.iter().find(|other| Some(&other.thing) == column.of.as_ref());
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

/// Fields are those of the domain, and each is mapped once.
fn check_fields(entry: &Entry, mistakes: &Mistakes<'_>) {
    let table = &entry.table;
    let known = if table.facts.is_none() { domains::fields_of(&table.thing) } else { None };
    let mut seen = BTreeSet::new();
    let columns = table.columns.iter().map(|column| (&column.field, column.line));
    let constants = table.constants.iter().map(|(field, _)| (field, table.line));
    for (field, line) in columns.chain(constants) {
        let at = mistakes.byte_of(line);
        if !seen.insert(field) {
            mistakes.at(at, format!("the field {} is mapped twice", shown(field)));
        }
        let Some(known) = known.as_ref().filter(|known| !known.contains(field)) else { continue };
        let of = &table.thing;
        let fields: Vec<&str> =
            known.iter().filter(|name| !name.ends_with("_raw")).map(String::as_str).collect();
        let problem = format!("{of} has no field {}; it has {}", shown(field), fields.join(", "));
        mistakes.at(at, problem);
    }
    if known.is_some_and(|known| !known.contains(&table.id)) {
        mistakes.at(entry.at, format!("id {} is no field of {}", shown(&table.id), table.thing));
    }
}
