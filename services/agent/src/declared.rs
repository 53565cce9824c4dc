//! Tables as the practice's database declares them: their columns, what keeps their keys unique,
//! and why a name that a mapping uses is no table that can be captured.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension};

use crate::error::{Act, WorkerError};

/// The columns of a table by their names in lower case: SQLite minds no case in names.
pub type Columns = BTreeMap<String, Declared>;

/// Names by which SQLite tells rows apart that have no key; they change when a database is packed.
const ROWIDS: [&str; 3] = ["rowid", "oid", "_rowid_"];
/// What begins the names of SQLite's own tables.
const SYSTEM_PREFIX: &str = "sqlite_";

/// What is declared of one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declared {
    /// Whether it is the key, and SQLite gives it to a row that has none.
    pub is_assigned: bool,
    /// Whether the number of a removed row may come again: it is assigned without AUTOINCREMENT.
    pub comes_again: bool,
    /// Whether it is computed from others, so that nobody writes it.
    pub is_generated: bool,
}

/// A table's columns; none where there is no such table, or none that takes triggers.
///
/// The clinic database is busy.
pub fn columns_of(conn: &Connection, table: &str) -> Result<Columns, WorkerError> {
    if no_triggers(table) {
        return Ok(Columns::new());
    }
    let read = || -> rusqlite::Result<Columns> {
        // A sole INTEGER PRIMARY KEY is the rowid, unless an index had to be made for it, as in a
        // table WITHOUT ROWID. A hidden column is 2 or 3 where it is computed.
        conn.prepare_cached(
            "SELECT lower(c.name), lower(c.type) = 'integer' AND c.pk = 1
                 AND (SELECT count(*) FROM pragma_table_info(t.name) k WHERE k.pk > 0) = 1
                 AND NOT EXISTS (SELECT 1 FROM pragma_index_list(t.name) i WHERE i.origin = 'pk'),
                 c.hidden > 1, NOT upper(t.sql) GLOB '*AUTOINCREMENT*'
             FROM sqlite_master t JOIN pragma_table_xinfo(t.name) c
             WHERE t.type = 'table' AND t.name = ?1 COLLATE NOCASE AND c.hidden <> 1
                 AND NOT upper(ltrim(t.sql)) GLOB 'CREATE VIRTUAL *'",
        )?
        .query_map([table], |row| {
            let (is_assigned, is_generated) = (row.get(1)?, row.get(2)?);
            let comes_again = is_assigned && row.get(3)?;
            Ok((row.get(0)?, Declared { is_assigned, comes_again, is_generated }))
        })?
        .collect()
    };
    read().clinic("reading a table's columns")
}

/// Why what has this name cannot be captured, in words for who maps it; none where there is nothing
/// of the name.
///
/// The clinic database is busy.
pub fn unfit(conn: &Connection, table: &str) -> Result<Option<&'static str>, WorkerError> {
    if no_triggers(table) {
        return Ok(Some("it is SQLite's own, which takes no triggers"));
    }
    let kind: Option<String> = conn
        .prepare_cached(
            "SELECT CASE WHEN upper(ltrim(sql)) GLOB 'CREATE VIRTUAL *' THEN 'virtual' ELSE type END
             FROM sqlite_master WHERE name = ?1 COLLATE NOCASE",
        )
        .and_then(|mut statement| statement.query_row([table], |row| row.get(0)).optional())
        .clinic("looking for a table")?;
    Ok(match kind.as_deref() {
        Some("view") => Some("it is a view, which takes no triggers: map the tables that it reads"),
        Some("virtual") => Some("it is a virtual table, which takes no triggers"),
        _ => None,
    })
}

/// Whether a name is one of a rowid.
#[must_use]
pub fn is_rowid(column: &str) -> bool {
    ROWIDS.iter().any(|name| column.eq_ignore_ascii_case(name))
}

/// The columns of each constraint that lets no two rows be alike in them, in lower case.
///
/// The clinic database is busy.
pub fn unique_sets(conn: &Connection, table: &str) -> Result<Vec<BTreeSet<String>>, WorkerError> {
    let read = || -> rusqlite::Result<Vec<BTreeSet<String>>> {
        let mut sets: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        // An index over an expression has a column without a name; one over some rows is partial.
        let mut indexed = conn.prepare_cached(
            "SELECT i.name, coalesce(lower(c.name), '') FROM pragma_index_list(?1) i
             JOIN pragma_index_info(i.name) c WHERE i.\"unique\" AND NOT i.partial",
        )?;
        let mut key =
            conn.prepare_cached("SELECT '', lower(name) FROM pragma_table_xinfo(?1) WHERE pk > 0")?;
        for statement in [&mut indexed, &mut key] {
            let rows = statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?;
            for row in rows {
                let (index, column): (String, String) = row?;
                sets.entry(index).or_default().insert(column);
            }
        }
        Ok(sets.into_values().collect())
    };
    read().clinic("reading a table's unique columns")
}

fn no_triggers(table: &str) -> bool {
    table.to_ascii_lowercase().starts_with(SYSTEM_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn practice() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "CREATE TABLE counted (nr INTEGER PRIMARY KEY AUTOINCREMENT, a, b,
                 both AS (a || b), kept AS (a) STORED, UNIQUE (b, a));
             CREATE TABLE reused (nr INTEGER PRIMARY KEY, a);
             CREATE TABLE given (nr INTEGER PRIMARY KEY, a UNIQUE) WITHOUT ROWID;
             CREATE UNIQUE INDEX some ON counted (a) WHERE a IS NOT NULL;
             CREATE UNIQUE INDEX folded ON counted (lower(b));
             CREATE TABLE pairs (Uf TEXT, nr INTEGER, PRIMARY KEY (Uf, nr));
             CREATE VIRTUAL TABLE searched USING fts5 (a);
             CREATE VIEW seen AS SELECT * FROM counted;",
        )
        .unwrap();
        conn
    }

    #[test]
    fn keys_that_sqlite_gives_and_columns_that_it_computes_are_told() {
        let conn = practice();
        let columns = columns_of(&conn, "COUNTED").unwrap();
        assert_eq!(columns.len(), 5);
        assert!(columns["nr"].is_assigned && !columns["a"].is_assigned);
        assert!(columns["both"].is_generated && columns["kept"].is_generated);
        assert!(!columns["a"].is_generated && !columns["nr"].comes_again);
        assert!(columns_of(&conn, "reused").unwrap()["nr"].comes_again);
        assert!(!columns_of(&conn, "given").unwrap()["nr"].comes_again);
        assert!(!columns_of(&conn, "given").unwrap()["nr"].is_assigned);
        assert!(!columns_of(&conn, "pairs").unwrap()["nr"].is_assigned);
    }

    #[test]
    fn what_takes_no_triggers_is_no_table() {
        let conn = practice();
        for (name, why) in [
            ("seen", "a view"),
            ("searched", "a virtual table"),
            ("sqlite_master", "SQLite's own"),
            ("SQLITE_sequence", "SQLite's own"),
        ] {
            assert!(columns_of(&conn, name).unwrap().is_empty(), "{name}");
            assert!(unfit(&conn, name).unwrap().unwrap().contains(why), "{name}");
        }
        assert_eq!(unfit(&conn, "nothing").unwrap(), None);
        assert!(is_rowid("ROWID") && !is_rowid("nr"));
    }

    #[test]
    fn only_whole_constraints_over_columns_keep_keys_apart() {
        let conn = practice();
        let sets = |table| unique_sets(&conn, table).unwrap();
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        assert!(
            sets("counted").contains(&set(&["nr"])) && sets("counted").contains(&set(&["a", "b"]))
        );
        assert!(!sets("counted").contains(&set(&["a"])) && !sets("counted").contains(&set(&["b"])));
        assert_eq!(sets("pairs"), [set(&["nr", "uf"]), set(&["nr", "uf"])]);
    }
}
