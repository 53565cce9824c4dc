//! The mapping: which tables are captured and what their columns mean to the domains.
//!
//! One file generates the triggers, the row readers and the row writers, so a new table is an entry
//! in it and a schema, and no code. [`file`] reads it and tells every mistake by its line, with
//! [`together`] those that only the whole shows;
//! [`source`] finds it and sees it change; [`format`] and [`money`] know how people write dates and
//! amounts.

pub mod column;
pub mod column_file;
pub mod file;
pub mod format;
pub mod generic;
pub mod money;
pub mod source;
pub mod together;
pub mod tree;

use std::collections::BTreeSet;

use chrono_tz::Tz;
use serde_json::Value;
use uuid::Uuid;

use crate::identity::{self, Ids};
pub use crate::mapping::column::{Amount, Code, Column, Currency, Kind, Through};
pub use crate::mapping::generic::Facts;
use crate::mapping::tree::Mistake;
use crate::rows::selected_expression;

/// Columns of one table. SQLite functions take at most 127 arguments, two for each column.
pub const COLUMNS_MAX: usize = 60;

/// The mapping of the agent's own ledger, which every mapping has.
const LEDGER: &str = include_str!("ledger.toml");

/// The mapping of the reference practice schema.
pub const REFERENCE: &str = include_str!("reference.toml");

/// Why a mapping is refused.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// It has mistakes.
    #[error("the mapping has {} mistakes, the first at {}", .0.len(), first(.0))]
    Mistakes(Vec<Mistake>),
    /// It cannot be read from the disk.
    #[error("reading {path}")]
    Read {
        /// Which file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

fn first(mistakes: &[Mistake]) -> String {
    mistakes.first().map_or_else(|| "no line".to_owned(), Mistake::to_string)
}

/// Every mapped table, in the order in which a snapshot scans them.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// The tables.
    pub tables: Vec<Table>,
}

/// One mapped table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name in the clinic database.
    pub name: String,
    /// The thing that a row is, as domains name it; of a generic type the whole `voip.call`.
    pub resource: String,
    /// The facts of a generic type, which no domain names.
    pub facts: Option<Facts>,
    /// Its key columns.
    pub key: Vec<String>,
    /// The field that holds the public id.
    pub id: String,
    /// The name under which public ids are derived from keys: the table's first name, so that a
    /// table that the practice renames keeps its ids.
    pub ids_of: String,
    /// Whether it is the agent's own ledger.
    pub ledger: bool,
    /// Whether requests may not write it.
    pub read_only: bool,
    /// Whether a practice may do without it.
    pub optional: bool,
    /// Where the key of a new row comes from; as the table is made, where nothing is said.
    pub new_key: Option<NewKey>,
    /// Fields that every row has alike.
    pub constants: Vec<Given>,
    /// What a new row has in columns that no domain knows.
    pub defaults: Vec<Given>,
    /// By which word in which column the practice marks a row as gone.
    pub gone: Option<Gone>,
    /// Its mapped columns.
    pub columns: Vec<Column>,
    /// The columns of its own that an image holds.
    pub images: Vec<String>,
    /// SQL for key and columns of a row, made once.
    pub selected: String,
    /// The line of the mapping file at which it begins.
    pub line: usize,
}

/// Where the key of a row that a request makes comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewKey {
    /// It is the public id.
    PublicId,
    /// The database assigns it.
    Assigned,
    /// One more than the greatest.
    Next,
}

/// A value that the mapping gives for all rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// Of which field, or column.
    pub name: String,
    /// The value.
    pub value: Value,
    /// The line of the mapping file at which it stands.
    pub line: usize,
}

/// A row that the practice keeps and does not mean any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The column that says so.
    pub column: String,
    /// The words that mean it.
    pub words: Vec<String>,
    /// The line of the mapping file at which it stands.
    pub line: usize,
}

impl Mapping {
    /// The mapping of the reference practice schema and of the agent's own ledger.
    ///
    /// # Errors
    /// Never: a test reads the same text.
    pub fn reference() -> Result<Self, MappingError> {
        Self::parse(REFERENCE, Tz::UTC)
    }

    /// Reads a practice's mapping file; the agent's own ledger is added to it. Local times that
    /// name no zone are of `zone`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, MappingError> {
        let mut mapping = file::read(text, zone, file::Author::Practice)?;
        mapping.tables.extend(file::read(LEDGER, Tz::UTC, file::Author::Agent)?.tables);
        Ok(mapping)
    }

    /// The table of this name; SQLite minds no case in names.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name.eq_ignore_ascii_case(name))
    }

    /// The table whose rows are this thing.
    #[must_use]
    pub fn by_resource(&self, resource: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.resource == resource)
    }
}

impl Table {
    /// The column that holds a domain field.
    #[must_use]
    pub fn column(&self, field: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.field == field)
    }

    /// The word before the `/` in a fact's subject.
    #[must_use]
    pub fn subject_word(&self) -> &str {
        self.facts.as_ref().map_or(&self.resource, |facts| &facts.word)
    }

    /// The public id of the row under a key: the key itself where it is mapped as the id and is a
    /// UUID, else one that is made of it.
    #[must_use]
    pub fn public_id(&self, ids: &Ids, key: &[Value]) -> Uuid {
        match (key, self.column(&self.id)) {
            ([only], Some(_)) => ids.of_part(&self.ids_of, only),
            // One column of several is the id, as the others are the same in every row.
            (parts, Some(column)) if parts.len() == self.key.len() && column.parts.len() == 1 => {
                let at = self.key.iter().position(|name| *name == column.parts[0]);
                match at.map(|at| &parts[at]).filter(|part| !part.is_null()) {
                    Some(part) => ids.of_part(&self.ids_of, part),
                    None => ids.of_key(&self.ids_of, key),
                }
            }
            _ => ids.of_key(&self.ids_of, key),
        }
    }

    /// The text of a key that may come again for another row, where there are such here.
    #[must_use]
    pub fn reusable(&self, key: &[Value]) -> Option<String> {
        if self.ledger || self.has_id_beside_key() {
            return None;
        }
        let part = match (key, self.column(&self.id)) {
            ([only], _) => only,
            (parts, Some(column)) if parts.len() == self.key.len() && column.parts.len() == 1 => {
                let at = self.key.iter().position(|name| *name == column.parts[0])?;
                parts.get(at).filter(|part| !part.is_null())?
            }
            _ => return None,
        };
        identity::reusable(part)
    }

    /// Whether the public id stands in a column that is no part of the key.
    #[must_use]
    pub fn has_id_beside_key(&self) -> bool {
        let beside = |column: &Column| column.parts.iter().all(|part| !self.key.contains(part));
        self.column(&self.id).is_some_and(beside)
    }

    /// The columns that are looked up in other tables.
    pub fn looked_up(&self) -> impl Iterator<Item = (&Column, &Through)> {
        self.columns.iter().filter_map(|column| Some((column, column.through.as_ref()?)))
    }

    /// Columns of its own that must be there, in lower case: SQLite minds no case in names.
    #[must_use]
    pub fn needed(&self) -> BTreeSet<String> {
        let optional = |name: &str| {
            let mut using = self.columns.iter().filter(|column| column.uses(name)).peekable();
            using.peek().is_some() && using.all(|column| column.optional)
        };
        let is_needed = |name: &&String| self.key.contains(name) || !optional(name);
        self.images.iter().filter(is_needed).map(|name| name.to_ascii_lowercase()).collect()
    }

    /// The same table without the optional columns that `present`, in lower case, does not hold.
    #[must_use]
    pub fn narrowed(&self, present: &BTreeSet<String>) -> Self {
        let mut narrowed = self.clone();
        let stands = |name: &str| present.contains(&name.to_ascii_lowercase());
        narrowed.columns.retain(|column| column.own().all(stands));
        narrowed.finished()
    }

    /// The same table without a field.
    #[must_use]
    pub fn without(&self, field: &str) -> Self {
        let mut narrowed = self.clone();
        narrowed.columns.retain(|column| column.field != field);
        narrowed.finished()
    }

    /// Works out what follows from the columns.
    #[must_use]
    pub fn finished(mut self) -> Self {
        let mut images = self.key.clone();
        let own = self.columns.iter().flat_map(Column::own);
        for name in own.chain(self.gone.as_ref().map(|gone| gone.column.as_str())) {
            if !images.iter().any(|known| known == name) {
                images.push(name.to_owned());
            }
        }
        self.images = images;
        self.selected = selected_expression(&self);
        self
    }
}

#[cfg(test)]
mod tests;
