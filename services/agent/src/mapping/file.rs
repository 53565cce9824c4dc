//! Reads a mapping file: every mistake in it, each by its line, or the mapping.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use toml::de::DeTable;

use crate::domains;
use crate::mapping::tree::{Found, Mistakes, Part, shown};
use crate::mapping::{
    Given, Gone, Mapping, MappingError, NewKey, Table, column_file, generic, together,
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
const RESERVED_DOMAINS: [&str; 5] = ["control", "public", "cloud", "arteria", "audit"];

/// Who wrote the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// We did: it may name the agent's own ledger.
    Agent,
    /// The practice, or who maps it.
    Practice,
}

/// One table, and where in the file what must be checked against others stands.
pub struct Entry {
    /// The table.
    pub table: Table,
    /// Where its name stands.
    pub at: usize,
    /// Where each field's column stands.
    pub columns_at: BTreeMap<String, usize>,
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
        let span = error.span().unwrap_or_default();
        let named = text.get(span.clone()).filter(|_| error.message() == "duplicate key");
        let named = named.map_or_else(String::new, |name| format!(" {}", shown(name)));
        mistakes.at(span.start, format!("{}{named}", error.message()));
    }
    if !errors.is_empty() {
        // What such a file would mean is a guess, and mistakes in it would be too.
        return Err(MappingError::Mistakes(mistakes.into_all()));
    }
    let entries = entries(tree.get_ref(), zone, author, &mistakes);
    together::check(&entries, &mistakes);
    let found = mistakes.into_all();
    if !found.is_empty() {
        return Err(MappingError::Mistakes(found));
    }
    let tables = entries.into_iter().map(|entry| entry.table.finished()).collect();
    Ok(Mapping { tables })
}

fn entries(tree: &DeTable<'_>, zone: Tz, author: Author, mistakes: &Mistakes) -> Vec<Entry> {
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
pub fn zone_of(part: &Part<'_, '_>, mistakes: &Mistakes) -> Option<Tz> {
    let (name, at) = part.text("zone")?;
    let zone = name.parse().ok();
    if zone.is_none() {
        mistakes.at(at, format!("{} is no IANA time zone, as Europe/Lisbon", shown(&name)));
    }
    zone
}

/// Tells a name that cannot be one.
pub fn check_name(name: &str, at: usize, mistakes: &Mistakes) {
    if name.trim().is_empty() {
        mistakes.at(at, "a name is not empty");
    } else if name.chars().count() > NAME_CHARS_MAX {
        mistakes.at(at, format!("a name has at most {NAME_CHARS_MAX} characters"));
    } else if name.chars().any(char::is_control) {
        mistakes.at(at, "a name holds no control characters");
    }
}

fn entry(part: &Part<'_, '_>, zones: Zones, author: Author, mistakes: &Mistakes) -> Option<Entry> {
    let (name, name_at) = part.wanted("name")?;
    check_name(&name, name_at, mistakes);
    if author == Author::Practice && name.to_ascii_lowercase().starts_with(OWN_PREFIX) {
        mistakes.at(name_at, "tables of the agent are not mapped");
    }
    let (resource, facts) = resource_of(part, mistakes)?;
    let zones = Zones { named: zone_of(part, mistakes).or(zones.named), ..zones };
    let key = key_of(part, mistakes);
    let word = facts.as_ref().map_or(resource.as_str(), |facts| &facts.word);
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
        resource,
        facts,
        key,
        id,
        ledger,
        read_only: part.flag("read_only"),
        optional: part.flag("optional"),
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

fn key_of(part: &Part<'_, '_>, mistakes: &Mistakes) -> Vec<String> {
    let Some((key, at)) = part.texts("key") else {
        if part.take("key").is_none() {
            mistakes.at(part.at, "key is missing: the columns that name a row");
        }
        return Vec::new();
    };
    if key.is_empty() {
        mistakes.at(at, "a key has at least one column");
    }
    for (n, name) in key.iter().enumerate() {
        check_name(name, at, mistakes);
        if key[..n].iter().any(|other| other.eq_ignore_ascii_case(name)) {
            mistakes.at(at, format!("the key names {} twice", shown(name)));
        }
    }
    key
}

fn resource_of(
    part: &Part<'_, '_>,
    mistakes: &Mistakes,
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
        (Some((resource, at)), None) => {
            if domains::of_resource(&resource).is_none() {
                let known: Vec<&str> = domains::resources().collect();
                let known = known.join(", ");
                mistakes.at(at, format!("no domain knows {}; known: {known}", shown(&resource)));
                return None;
            }
            Some((resource, None))
        }
        (None, Some((resource, facts))) => Some((resource, Some(facts))),
        (None, None) => {
            if mistakes.count() == before {
                mistakes.at(part.at, "a table has a thing, or a type of its own");
            }
            None
        }
    }
}

fn new_key(part: &Part<'_, '_>, mistakes: &Mistakes) -> Option<NewKey> {
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

fn gone(part: &Part<'_, '_>, mistakes: &Mistakes) -> Option<Gone> {
    let listed = part.part("gone")?;
    let column = listed.wanted("column");
    let words = listed.texts("words");
    listed.finish("gone");
    let (Some((column, at)), Some((words, _))) = (column, words) else {
        mistakes.at(listed.at, "gone names a column and the words that mean it");
        return None;
    };
    check_name(&column, at, mistakes);
    Some(Gone { column, words, line: mistakes.line_of(at) })
}

fn plain_entries(part: &Part<'_, '_>, key: &'static str, mistakes: &Mistakes) -> Vec<Given> {
    let Some(listed) = part.part(key) else { return Vec::new() };
    let plain = |(name, found): (&str, Found<'_, '_>)| {
        check_name(name, found.at, mistakes);
        let value = found.plain();
        if value.is_none() {
            mistakes.at(found.at, "a value here is a text, a whole number, true or false");
        }
        let line = mistakes.line_of(found.at);
        value.map(|value| Given { name: name.to_owned(), value, line })
    };
    listed.entries().into_iter().filter_map(plain).collect()
}
