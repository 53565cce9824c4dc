//! The mapping file: which tables are captured and what their columns mean to the domains.
//!
//! One file generates the triggers, the row readers and the row writers, so a new table is an entry
//! here and a schema, and no code.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::rows::selected_expression;

/// Columns of one table. SQLite functions take at most 127 arguments, two for each column.
pub const COLUMNS_MAX: usize = 60;

/// The mapping of the reference practice schema.
const REFERENCE: &str = include_str!("reference.toml");

/// Why a mapping is refused.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// It is not the TOML that a mapping is.
    #[error("the mapping does not read")]
    Read(#[source] toml::de::Error),
    /// It contradicts itself.
    #[error("table {table} of the mapping: {problem}")]
    Table {
        /// Which table.
        table: String,
        /// What is wrong.
        problem: &'static str,
    },
}

/// Every mapped table, in the order in which a snapshot walks them.
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
    /// The thing that a row is, as domains name it.
    pub thing: String,
    /// Its key columns.
    pub key: Vec<String>,
    /// The field that holds the public id.
    pub id: String,
    /// Whether it is the agent's own ledger.
    pub ledger: bool,
    /// Its mapped columns.
    pub columns: Vec<Column>,
    /// SQL for key and columns of a row, made once.
    pub selected: String,
}

/// One mapped column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name in the clinic database.
    pub name: String,
    /// Its name in the domain.
    pub field: String,
    /// What it holds.
    pub kind: Kind,
    /// The thing that an id names.
    pub of: Option<String>,
}

/// What a column holds, for the domain; the database may hold anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Any text.
    Text,
    /// `YYYY-MM-DD`, else the text goes to `<field>_raw`.
    Date,
    /// RFC 3339, else the text goes to `<field>_raw`.
    Timestamp,
    /// 0 or 1, or the usual words.
    Bool,
    /// A whole number.
    Integer,
    /// A UUID, or an id that is made one.
    Uuid,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    table: Vec<FileTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTable {
    name: String,
    thing: String,
    key: Vec<String>,
    id: String,
    #[serde(default)]
    ledger: bool,
    columns: BTreeMap<String, FileColumn>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum FileColumn {
    Short(Kind),
    Long(LongColumn),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LongColumn {
    #[serde(rename = "type")]
    kind: Kind,
    field: Option<String>,
    of: Option<String>,
}

impl Mapping {
    /// The mapping of the reference practice schema and of the agent's own ledger.
    ///
    /// # Errors
    /// Never: a test reads the same text.
    pub fn reference() -> Result<Self, MappingError> {
        Self::parse(REFERENCE)
    }

    /// Reads a mapping file.
    ///
    /// # Errors
    /// What does not read, or what contradicts itself.
    pub fn parse(text: &str) -> Result<Self, MappingError> {
        let file: File = toml::from_str(text).map_err(MappingError::Read)?;
        let tables: Vec<Table> = file.table.into_iter().map(Table::from).collect();
        let things: BTreeSet<&str> = tables.iter().map(|table| table.thing.as_str()).collect();
        for table in &tables {
            table.check(&things)?;
        }
        Ok(Self { tables })
    }

    /// The table of this name.
    pub fn by_name(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// The table whose rows are this thing.
    pub fn by_thing(&self, thing: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.thing == thing)
    }
}

impl From<FileTable> for Table {
    fn from(file: FileTable) -> Self {
        let columns = file
            .columns
            .into_iter()
            .map(|(name, column)| match column {
                FileColumn::Short(kind) => Column { field: name.clone(), name, kind, of: None },
                FileColumn::Long(long) => Column {
                    field: long.field.unwrap_or_else(|| name.clone()),
                    name,
                    kind: long.kind,
                    of: long.of,
                },
            })
            .collect();
        Self {
            name: file.name,
            thing: file.thing,
            key: file.key,
            id: file.id,
            ledger: file.ledger,
            columns,
            selected: String::new(),
        }
        .with_selected()
    }
}

impl Table {
    /// The column that holds a domain field.
    pub fn column(&self, field: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.field == field)
    }

    /// The same table without the columns that `present`, in lower case, does not hold: SQLite
    /// minds no case in names.
    pub fn narrowed(&self, present: &BTreeSet<String>) -> Self {
        let mut narrowed = self.clone();
        let holds = |column: &Column| present.contains(&column.name.to_ascii_lowercase());
        narrowed.columns.retain(holds);
        narrowed.with_selected()
    }

    fn with_selected(mut self) -> Self {
        self.selected = selected_expression(&self);
        self
    }

    fn check(&self, things: &BTreeSet<&str>) -> Result<(), MappingError> {
        let refuse = |problem| Err(MappingError::Table { table: self.name.clone(), problem });
        let mapped = |name: &String| self.columns.iter().any(|column| &column.name == name);
        if self.key.is_empty() || !self.key.iter().all(mapped) {
            return refuse("every key column must be mapped, and there must be one");
        }
        if self.columns.len() > COLUMNS_MAX {
            return refuse("it maps more columns than a trigger can carry");
        }
        let strange = |of: &Option<String>| of.as_deref().is_some_and(|of| !things.contains(of));
        if self.columns.iter().any(|column| strange(&column.of)) {
            return refuse("an id is of a thing that no table holds");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_mapping_reads() {
        let mapping = Mapping::reference().unwrap();
        let things: Vec<&str> = mapping.tables.iter().map(|table| table.thing.as_str()).collect();
        assert_eq!(things, ["patient", "practitioner", "working_hours", "appointment", "request"]);
        assert_eq!(mapping.by_name("patients").unwrap().columns.len(), 14);
    }

    #[test]
    fn a_mapping_that_contradicts_itself_is_refused() {
        let table = |rest: &str| format!("[[table]]\nname='t'\nthing='t'\nid='a'\n{rest}");
        for bad in [
            table("key=[]\n[table.columns]\na='text'"),
            table("key=['b']\n[table.columns]\na='text'"),
            table("key=['a']\n[table.columns]\na={type='uuid',of='nobody'}"),
            table("key=['a']\nmood='fine'\n[table.columns]\na='text'"),
            table("key=['a']\n[table.columns]\na='colour'"),
        ] {
            assert!(Mapping::parse(&bad).is_err(), "{bad}");
        }
    }
}
