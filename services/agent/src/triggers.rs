//! What the agent puts into a clinic database: six small tables and three triggers for each mapped
//! table.
//!
//! Triggers run inside the practice's own transactions, so they may never fail and never be slow:
//! one insert of text each, behind a capture switch that is one row. The outbox closes the capture
//! switch by itself when it is full, because an agent that is switched off cannot.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use crate::declared::{self, Columns, columns_of};
use crate::error::{Act, WorkerError, is_busy};
use crate::generations;
use crate::ledger;
use crate::mapping::{Mapping, NewKey, Table};
use crate::rows::{image_expression, key_expression, literal, quoted};

/// Outbox rows at which the capture switch closes: a year of a busy practice, some hundred
/// megabytes.
pub const OUTBOX_ROWS_MAX: i64 = 1_000_000;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS arteria_outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, op TEXT NOT NULL, tbl TEXT NOT NULL, key TEXT NOT NULL,
    image TEXT, request_id TEXT, traceparent TEXT, at INTEGER);
CREATE TABLE IF NOT EXISTS arteria_gate (
    one INTEGER PRIMARY KEY CHECK (one = 1), open INTEGER NOT NULL, cause TEXT NOT NULL,
    closes_at INTEGER NOT NULL, compare INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS arteria_cause (
    one INTEGER PRIMARY KEY CHECK (one = 1), request_id TEXT, traceparent TEXT);
CREATE TABLE IF NOT EXISTS arteria_mark (
    one INTEGER PRIMARY KEY CHECK (one = 1), nonce TEXT NOT NULL);
INSERT OR IGNORE INTO arteria_cause (one) VALUES (1);
";

/// The clinic's clock in milliseconds since 1970, in words that SQLite has known since 2004: the
/// practice's own program runs our triggers with its own SQLite.
const NOW_MS: &str = "CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)";

const FULL_TRIGGER: &str = "CREATE TRIGGER arteria_outbox_full AFTER INSERT ON arteria_outbox \
WHEN NEW.id >= (SELECT closes_at FROM arteria_gate) \
BEGIN UPDATE arteria_gate SET open = 0, cause = 'outbox-full' WHERE open; END";

/// Why a table is paused that the database does not have.
const MISSING: &str = "the table is missing";

/// What stands in the clinic database after a check.
#[derive(Debug, Default, Clone)]
pub struct Installed {
    /// The tables that are captured, without the columns that the database lacks.
    pub tables: Vec<Table>,
    /// Optional tables that the practice does without.
    pub absent: BTreeSet<String>,
    /// Tables that are not captured, and why.
    pub paused: BTreeMap<String, String>,
    /// Those of the paused tables that only a look at their rows showed to be unreadable.
    pub unreadable: BTreeMap<String, String>,
    /// Mapped columns that the database lacks, as `table.column`.
    pub missing: Vec<String>,
    /// Keys whose numbers SQLite gives again after a removal, as `table.column`.
    pub come_again: Vec<String>,
    /// Tables whose triggers had to be made: rows may have changed unseen.
    pub renewed: Vec<String>,
}

impl Installed {
    /// A table whose rows cannot be read is not captured from now on.
    pub fn pause_unreadable(&mut self, table: &str, cause: String) {
        self.tables.retain(|captured| captured.name != table);
        self.paused.insert(table.to_owned(), cause.clone());
        self.unreadable.insert(table.to_owned(), cause);
    }

    /// An optional table whose rows were stated before is missed, not done without.
    pub fn pause_lost(&mut self, scanned: &BTreeSet<String>) {
        let (lost, absent) =
            std::mem::take(&mut self.absent).into_iter().partition(|name| scanned.contains(name));
        self.absent = absent;
        let lost: BTreeSet<String> = lost;
        self.paused.extend(lost.into_iter().map(|name| (name, MISSING.to_owned())));
    }
}

/// Checks tables and triggers, and makes what is missing or differs, in one transaction. With
/// `capture` off nothing of a practice's own table is touched.
///
/// The clinic database is busy or refuses.
pub fn install(
    conn: &Connection,
    mapping: &Mapping,
    capture: bool,
) -> Result<Installed, WorkerError> {
    let mut installed = survey(conn, mapping)?;
    let wanted: BTreeMap<String, String> = installed
        .tables
        .iter()
        .flat_map(triggers_of)
        .chain([("arteria_outbox_full".to_owned(), FULL_TRIGGER.to_owned())])
        .collect();
    let present = present_triggers(conn)?;
    let ready = has_tables(conn)? && has_moments(conn)? && has_generations(conn)?;
    if ready && (present == wanted || !capture) {
        return Ok(installed);
    }
    let tx = begin(conn)?;
    if !ready {
        tx.execute_batch(TABLES).clinic("making the agent's tables")?;
        if !has_moments(&tx)? {
            // Made by an agent that did not note when a row changed.
            tx.execute_batch("ALTER TABLE arteria_outbox ADD COLUMN at INTEGER")
                .clinic("bringing the outbox up to date")?;
        }
        tx.execute(
            "INSERT OR IGNORE INTO arteria_gate VALUES (1, 1, '', ?1, 0)",
            [OUTBOX_ROWS_MAX],
        )
        .clinic("making the gate")?;
        tx.execute_batch(ledger::TABLE).clinic("making the ledger")?;
        tx.execute_batch(generations::COPY).clinic("making the table of generations")?;
        installed = survey(&tx, mapping)?;
    }
    if capture {
        renew(&tx, &mut installed, &present)?;
    }
    tx.commit().clinic("installing triggers")?;
    Ok(installed)
}

/// Drops every trigger of ours, so that a practice's updater may change its tables.
///
/// The clinic database is busy or refuses.
pub fn remove(conn: &Connection) -> Result<usize, WorkerError> {
    let present = present_triggers(conn)?;
    let tx = begin(conn)?;
    for name in present.keys() {
        drop_trigger(&tx, name)?;
    }
    tx.commit().clinic("removing triggers")?;
    Ok(present.len())
}

/// Whether the agent's own tables stand in the database.
///
/// The clinic database is busy.
pub fn has_tables(conn: &Connection) -> Result<bool, WorkerError> {
    conn.query_row(
        "SELECT count(*) = 5 FROM sqlite_master WHERE type = 'table' AND name IN
         ('arteria_outbox', 'arteria_gate', 'arteria_cause', 'arteria_mark', 'arteria_applied')",
        [],
        |row| row.get(0),
    )
    .clinic("looking for the agent's tables")
}

/// Whether the outbox notes the moment of each change.
fn has_moments(conn: &Connection) -> Result<bool, WorkerError> {
    Ok(columns_of(conn, "arteria_outbox")?.contains_key("at"))
}

/// Whether there is a place for generations of keys.
fn has_generations(conn: &Connection) -> Result<bool, WorkerError> {
    Ok(!columns_of(conn, "arteria_generations")?.is_empty())
}

fn begin(conn: &Connection) -> Result<rusqlite::Transaction<'_>, WorkerError> {
    rusqlite::Transaction::new_unchecked(conn, rusqlite::TransactionBehavior::Immediate)
        .clinic("beginning to install")
}

fn renew(
    conn: &Connection,
    installed: &mut Installed,
    present: &BTreeMap<String, String>,
) -> Result<(), WorkerError> {
    let mut kept = BTreeSet::from(["arteria_outbox_full".to_owned()]);
    if present.get("arteria_outbox_full").map(String::as_str) != Some(FULL_TRIGGER) {
        drop_trigger(conn, "arteria_outbox_full")?;
        conn.execute_batch(FULL_TRIGGER).clinic("making the outbox's trigger")?;
    }
    let mut captured = Vec::new();
    for table in std::mem::take(&mut installed.tables) {
        match renew_table(conn, &table, present) {
            Ok(renewed) => {
                kept.extend(triggers_of(&table).map(|(name, _)| name));
                if renewed {
                    installed.renewed.push(table.name.clone());
                }
                captured.push(table);
            }
            // A virtual table takes no triggers; the others are captured all the same.
            Err(WorkerError::Clinic { source, .. }) if !is_busy(&source) => {
                installed.paused.insert(table.name, format!("it takes no triggers: {source}"));
            }
            Err(other) => return Err(other),
        }
    }
    installed.tables = captured;
    for stale in present.keys().filter(|name| !kept.contains(*name)) {
        drop_trigger(conn, stale)?;
    }
    Ok(())
}

/// Makes the triggers of a table that are missing or differ; whether any did.
fn renew_table(
    conn: &Connection,
    table: &Table,
    present: &BTreeMap<String, String>,
) -> Result<bool, WorkerError> {
    let mut differs = false;
    for (name, sql) in triggers_of(table) {
        if present.get(&name) != Some(&sql) {
            differs = true;
            drop_trigger(conn, &name)?;
            conn.execute_batch(&sql).clinic("making a trigger")?;
        }
    }
    Ok(differs)
}

fn drop_trigger(conn: &Connection, name: &str) -> Result<(), WorkerError> {
    conn.execute_batch(&format!("DROP TRIGGER IF EXISTS {}", quoted(name)))
        .clinic("dropping a trigger")
}

/// Our triggers as they stand, by name.
fn present_triggers(conn: &Connection) -> Result<BTreeMap<String, String>, WorkerError> {
    let read = || -> rusqlite::Result<BTreeMap<String, String>> {
        conn.prepare(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name GLOB 'arteria_*'",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
    };
    read().clinic("reading triggers")
}

/// Which mapped tables and columns the database has. A table that lacks a column is paused as a
/// whole: what it said without the column would read as if the practice had emptied it.
///
/// The clinic database is busy.
pub fn survey(conn: &Connection, mapping: &Mapping) -> Result<Installed, WorkerError> {
    let mut found = Installed::default();
    for table in &mapping.tables {
        let columns = columns_of(conn, &table.name)?;
        if columns.is_empty() {
            match declared::unfit(conn, &table.name)? {
                None if table.optional => {
                    found.absent.insert(table.name.clone());
                }
                cause => {
                    let cause = cause.unwrap_or(MISSING).to_owned();
                    found.paused.insert(table.name.clone(), cause);
                }
            }
            continue;
        }
        let mut lacking: Vec<String> =
            table.needed().into_iter().filter(|name| !columns.contains_key(name)).collect();
        let mut captured = table.narrowed(&columns.keys().cloned().collect());
        for (column, through) in table.looked_up() {
            let other = columns_of(conn, &through.table)?;
            let lost = [&through.key, &through.value]
                .into_iter()
                .find(|name| !other.contains_key(&name.to_ascii_lowercase()));
            let Some(lost) = lost else { continue };
            let place = format!("{}.{lost}", through.table);
            if column.optional {
                captured = captured.without(&column.field);
                found.missing.push(place);
            } else {
                lacking.push(place);
            }
        }
        if !lacking.is_empty() {
            let cause = format!("the column {} is missing", lacking.join(", "));
            found.paused.insert(table.name.clone(), cause);
            continue;
        }
        let left = table.images.iter().filter(|name| !captured.images.contains(name));
        found.missing.extend(left.map(|name| format!("{}.{name}", table.name)));
        let comes_again = |name: &&String| columns[&name.to_ascii_lowercase()].comes_again;
        let again = captured.key.iter().filter(comes_again);
        found.come_again.extend(again.map(|name| format!("{}.{name}", table.name)));
        captured.new_key.get_or_insert_with(|| new_key(&captured.key, &columns));
        for column in &mut captured.columns {
            let is_generated = |name: &String| columns[&name.to_ascii_lowercase()].is_generated;
            column.read_only |= column.parts.iter().any(is_generated);
        }
        found.tables.push(captured);
    }
    Ok(found)
}

/// Where keys come from, as the table is made.
fn new_key(key: &[String], columns: &Columns) -> NewKey {
    let is_assigned = match key {
        [only] => columns.get(&only.to_ascii_lowercase()).is_some_and(|it| it.is_assigned),
        _ => false,
    };
    if is_assigned { NewKey::Assigned } else { NewKey::PublicId }
}

/// The three triggers of a table, by name, exactly as SQLite keeps their text.
fn triggers_of(table: &Table) -> [(String, String); 3] {
    let capture_switch = "(SELECT open FROM arteria_gate)";
    let cause = "(SELECT request_id FROM arteria_cause), (SELECT traceparent FROM arteria_cause)";
    let cause = format!("{cause}, {NOW_MS}");
    let into = "INSERT INTO arteria_outbox (op, tbl, key, image, request_id, traceparent, at)";
    let tbl = literal(&table.name);
    let (new_key, old_key) = (key_expression(table, "NEW."), key_expression(table, "OLD."));
    let image = image_expression(table, "NEW.");
    let moved = differs(&table.key);
    let touched = differs(&table.images);
    let trigger = |act: &str, when: &str, body: &str| {
        let name = format!("arteria_{}_{}", table.name, act.to_ascii_lowercase());
        let sql = format!(
            "CREATE TRIGGER {} AFTER {act} ON {} WHEN {when} BEGIN {body} END",
            quoted(&name),
            quoted(&table.name)
        );
        (name, sql)
    };
    [
        trigger(
            "INSERT",
            capture_switch,
            &format!("{into} VALUES ('I', {tbl}, {new_key}, {image}, {cause});"),
        ),
        trigger(
            "UPDATE",
            &format!("{capture_switch} AND ({touched})"),
            &format!(
                "{into} SELECT 'D', {tbl}, {old_key}, NULL, {cause} WHERE {moved}; \
                 {into} VALUES (CASE WHEN {moved} THEN 'I' ELSE 'U' END, {tbl}, {new_key}, \
                 {image}, {cause});"
            ),
        ),
        trigger(
            "DELETE",
            capture_switch,
            &format!("{into} VALUES ('D', {tbl}, {old_key}, NULL, {cause});"),
        ),
    ]
}

/// Binary, because a column that ignores case would hide a correction from `smith` to `Smith`.
fn differs(columns: &[String]) -> String {
    let parts: Vec<String> = columns
        .iter()
        .map(|name| format!("OLD.{0} IS NOT NEW.{0} COLLATE BINARY", quoted(name)))
        .collect();
    parts.join(" OR ")
}
