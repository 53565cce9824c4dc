//! A scan over every mapped row, in small chunks between live facts: to state them all in a new
//! epoch, or to compare them with the last published state where rows may have changed unseen.
//!
//! A chunk is read in the same transaction as the outbox, and published after what the outbox held:
//! so a row is never published older than a change of it that was already captured. How far the
//! scan is stands in the spool, in the transaction that stored its facts.

use kit_link::FactFrame;
use rusqlite::{Connection, params_from_iter};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::warn;

use crate::error::{Act, WorkerError, is_lasting};
use crate::keys;
use crate::last_published;
use crate::mapping::Table;
use crate::present::Batch;
use crate::publish::{Publisher, Source};
use crate::rows::{Image, key_expression, quoted, selected_row};
use crate::spool::{Cause, Spool, SpoolTx};
use crate::stores::Stores;

/// Rows in one chunk: a few milliseconds, so that a request that arrives meanwhile hardly waits.
pub const CHUNK_ROWS: usize = 100;
const NOTE: &str = "walk";

/// Why the scan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A new epoch states every row.
    Seed,
    /// Rows may have changed unseen.
    Compare,
}

/// How far a scan is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableScan {
    /// Why it is made.
    pub purpose: Purpose,
    /// Tables still to scan; the first is under way.
    pub tables: Vec<String>,
    /// Names of things that were scanned whole.
    pub done: Vec<String>,
    /// Whether the clinic's rows of the first table are scanned, and its last published state is
    /// under way.
    #[serde(rename = "shadow")]
    pub last_published: bool,
    /// The last key of the last chunk; in the clinic's table its place there.
    pub after: Option<String>,
    /// Tables that are scanned for the first time: their rows are stated, and none is said to have
    /// just been made.
    #[serde(default)]
    pub opening: Vec<String>,
}

/// What one chunk holds.
enum Chunk {
    /// Rows of the clinic: key and image; and the place of the last.
    Rows(Vec<(String, Image)>, Option<String>),
    /// Keys of last published state rows, with whether the clinic has the row.
    LastPublished(Vec<(String, bool)>),
}

impl TableScan {
    pub(crate) fn new(purpose: Purpose, tables: &[Table]) -> Self {
        let tables = tables.iter().map(|table| table.name.clone()).collect();
        let (done, opening) = (Vec::new(), Vec::new());
        Self { purpose, tables, done, last_published: false, after: None, opening }
    }

    pub(crate) fn read(spool: &Spool) -> Result<Option<Self>, WorkerError> {
        let note = spool.note(NOTE)?;
        // A note that does not read is a scan to begin again, which the next start does.
        Ok(note.and_then(|note| serde_json::from_str(&note).ok()))
    }

    pub(crate) fn store(scan: Option<&Self>, tx: &SpoolTx<'_>) -> Result<(), WorkerError> {
        match scan.map(serde_json::to_string) {
            Some(Ok(note)) => tx.set_note(NOTE, &note),
            Some(Err(_)) => Err(WorkerError::SpoolContent { what: "the walk" }),
            None => tx.remove_note(NOTE),
        }
    }

    /// The scan after a chunk; none when it was the last.
    fn after(&self, chunk: &Chunk, resource: Option<&str>) -> Option<Self> {
        let (last, whole) = match chunk {
            Chunk::Rows(rows, last) => (last.as_ref(), rows.len() == CHUNK_ROWS),
            Chunk::LastPublished(rows) => {
                (rows.last().map(|(key, _)| key), rows.len() == CHUNK_ROWS)
            }
        };
        let mut next = self.clone();
        if whole {
            next.after = last.cloned();
            return Some(next);
        }
        next.after = None;
        if !self.last_published {
            next.last_published = true;
            return Some(next);
        }
        next.last_published = false;
        next.tables.remove(0);
        next.done.extend(resource.map(str::to_owned));
        (!next.tables.is_empty()).then_some(next)
    }
}

impl Stores {
    /// Begins to compare every row with the last published state; a scan that seeds an epoch does
    /// that too.
    ///
    /// The spool refuses.
    pub fn compare(&mut self) -> Result<(), WorkerError> {
        let scan = match self.scan.clone() {
            // It states every row anyway; tables that came meanwhile are scanned at its end.
            Some(seed) if seed.purpose == Purpose::Seed => self.with_new_tables(seed),
            Some(_) | None => {
                let opening = self.new_tables()?;
                TableScan { opening, ..TableScan::new(Purpose::Compare, &self.installed.tables) }
            }
        };
        self.spool.lazily(|tx| TableScan::store(Some(&scan), tx))?;
        self.scan = Some(scan);
        Ok(())
    }

    /// Scans one chunk, after what the outbox holds.
    ///
    /// A file is busy or refuses, or the clinic database went back.
    pub fn scan_on(&mut self) -> Result<Vec<FactFrame>, WorkerError> {
        let Some(scan) = self.scan.clone() else { return Ok(Vec::new()) };
        let Some(table) = scan.tables.first().and_then(|name| self.captured_table(name)) else {
            return self.pass_over_table(&scan);
        };
        let (captured, chunk) = match self.read_chunk(&scan, &table) {
            Err(WorkerError::Unreadable { table, source }) => {
                let cause = format!("it cannot be read: {source}");
                warn!(target: "error", table, cause, "a table is not captured");
                self.installed.pause_unreadable(&table, cause);
                return self.pass_over_table(&scan);
            }
            read => read?,
        };
        if captured.more {
            self.clinic.flush()?;
            return self.record(&captured, |_, _| Ok(Vec::new()));
        }
        let next = scan.after(&chunk, Some(&table.resource));
        if scan.purpose == Purpose::Compare
            && captured.is_empty()
            && self.is_as_said(&table, &chunk)?
        {
            return self.pass_chunk(&scan, next);
        }
        self.clinic.flush()?;
        let facts = self.record(&captured, |stores, tx| {
            let mut facts = stores.publish_chunk(tx, &scan, &table, chunk)?;
            if next.is_none() {
                let mut done = scan.done.clone();
                done.push(table.resource.clone());
                facts.extend(stores.finish_scan(tx, &scan, done)?);
            }
            TableScan::store(next.as_ref(), tx)?;
            stores.note_scanned(tx, &scan, next.as_ref())?;
            Ok(facts)
        })?;
        self.scan = next;
        Ok(facts)
    }

    /// Whether every row of the chunk is as it was published. Then nothing need be durable.
    fn is_as_said(&self, table: &Table, chunk: &Chunk) -> Result<bool, WorkerError> {
        let rows = match chunk {
            Chunk::Rows(rows, _) => rows,
            Chunk::LastPublished(rows) => return Ok(rows.iter().all(|(_, stands)| *stands)),
        };
        let _reading = self.spool.begin_reading()?;
        for (key, image) in rows {
            let said = last_published::get(self.spool.conn(), &table.resource, key)?;
            let stands = self.reader().row_of(table, key, image)?;
            if said.map(|said| said.state) != stands.map(|row| row.state) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn pass_chunk(
        &mut self,
        scan: &TableScan,
        next: Option<TableScan>,
    ) -> Result<Vec<FactFrame>, WorkerError> {
        if next.is_none() {
            self.spool.lazily(|tx| TableScan::store(None, tx))?;
        }
        if !scan.opening.is_empty() {
            self.spool.lazily(|tx| self.note_scanned(tx, scan, next.as_ref()))?;
        }
        self.scan = next;
        Ok(Vec::new())
    }

    fn captured_table(&self, name: &str) -> Option<Table> {
        self.installed.tables.iter().find(|table| table.name == name).cloned()
    }

    /// A table that is gone or paused is not scanned, and so is not stated as whole.
    fn pass_over_table(&mut self, scan: &TableScan) -> Result<Vec<FactFrame>, WorkerError> {
        let mut next = TableScan { last_published: false, after: None, ..scan.clone() };
        next.tables = next.tables.into_iter().skip(1).collect();
        let next = (!next.tables.is_empty()).then_some(next);
        let facts = self.record(&Batch::default(), |stores, tx| {
            TableScan::store(next.as_ref(), tx)?;
            match next {
                Some(_) => Ok(Vec::new()),
                None => stores.finish_scan(tx, scan, scan.done.clone()),
            }
        })?;
        self.scan = next;
        Ok(facts)
    }

    fn read_chunk(&self, scan: &TableScan, table: &Table) -> Result<(Batch, Chunk), WorkerError> {
        self.clinic.read(|conn| {
            self.check_mark(conn)?;
            let captured = self.read_outbox(conn)?;
            if !scan.last_published {
                return Ok((captured, rows_after(conn, table, scan.after.as_deref())?));
            }
            let after = scan.after.as_deref().unwrap_or_default();
            let rows =
                last_published::after(self.spool.conn(), &table.resource, after, CHUNK_ROWS)?;
            let stands = |row: last_published::LastPublished| {
                Ok((row.key.clone(), row_stands(conn, table, &row.key)?))
            };
            let rows = rows.into_iter().map(stands).collect::<Result<_, WorkerError>>()?;
            Ok((captured, Chunk::LastPublished(rows)))
        })
    }

    fn publish_chunk(
        &self,
        tx: &SpoolTx<'_>,
        scan: &TableScan,
        table: &Table,
        chunk: Chunk,
    ) -> Result<Vec<FactFrame>, WorkerError> {
        let publisher = Publisher { tx, reader: self.reader(), at: self.setup.clock.now() };
        let source = match scan.purpose {
            Purpose::Seed => Source::Seeded,
            Purpose::Compare if scan.opening.contains(&table.name) => Source::Seeded,
            Purpose::Compare => Source::Compared,
        };
        let mut facts = Vec::new();
        match chunk {
            Chunk::Rows(rows, _) => {
                for (key, image) in rows {
                    let (ended, after) = publisher.row(table, &key, &image, source, false)?;
                    facts.extend(ended);
                    let cause = Cause::default();
                    facts.extend(publisher.publish(table, &key, after, source, &cause)?);
                }
            }
            Chunk::LastPublished(rows) => {
                for (key, _) in rows.into_iter().filter(|(_, stands)| !stands) {
                    // Under another key it still stands: its mapping names its key anew.
                    if last_published::stands_elsewhere(tx.conn(), &table.resource, &key)? {
                        last_published::delete(tx.conn(), &table.resource, &key)?;
                    } else {
                        facts.extend(Self::not_found(&publisher, table, &key, source)?);
                    }
                }
            }
        }
        Ok(facts)
    }

    /// Publishes that the clinic does not have a row any more.
    fn not_found(
        publisher: &Publisher<'_>,
        table: &Table,
        key: &str,
        source: Source,
    ) -> Result<Vec<FactFrame>, WorkerError> {
        let cause = Cause::default();
        if source != Source::Seeded {
            return publisher.removed(table, key, &cause);
        }
        publisher.ended(table, key)?;
        publisher.publish(table, key, None, source, &cause)
    }

    fn finish_scan(
        &self,
        tx: &SpoolTx<'_>,
        scan: &TableScan,
        resources: Vec<String>,
    ) -> Result<Vec<FactFrame>, WorkerError> {
        match scan.purpose {
            Purpose::Compare => Ok(Vec::new()),
            Purpose::Seed => self.state_seeded(tx, resources).map(|fact| vec![fact]),
        }
    }
}

/// Rows in the order of their keys, after a place in it.
fn rows_after(conn: &Connection, table: &Table, after: Option<&str>) -> Result<Chunk, WorkerError> {
    let names: Vec<String> = table.key.iter().map(|name| quoted(name)).collect();
    let keys = names.join(", ");
    // A row without a key cannot be named, and would end the scan.
    let mut conditions: Vec<String> =
        names.iter().map(|name| format!("{name} IS NOT NULL")).collect();
    // A place that an older agent wrote does not read: the table is scanned from its beginning.
    let after = after.and_then(keys::read_place).filter(|after| after.len() == names.len());
    if after.is_some() {
        let marks = vec!["?"; names.len()].join(", ");
        conditions.push(format!("({keys}) > ({marks})"));
    }
    let sql = format!(
        "SELECT {}, {keys} FROM {} WHERE {} ORDER BY {keys} LIMIT {CHUNK_ROWS}",
        table.selected,
        quoted(&table.name),
        conditions.join(" AND "),
    );
    let read = || -> rusqlite::Result<Chunk> {
        let mut statement = conn.prepare_cached(&sql)?;
        let first_key = statement.column_count() - names.len();
        let mut rows = statement.query(params_from_iter(after.into_iter().flatten()))?;
        let (mut read, mut last) = (Vec::new(), None);
        while let Some(row) = rows.next()? {
            read.push(selected_row(table, row)?);
            let key = (0..names.len()).map(|n| row.get_ref(first_key + n));
            last = Some(keys::place(&key.collect::<rusqlite::Result<Vec<_>>>()?));
        }
        Ok(Chunk::Rows(read, last))
    };
    unless_unreadable(table, read().clinic("walking rows"))
}

fn row_stands(conn: &Connection, table: &Table, key: &str) -> Result<bool, WorkerError> {
    let Ok(values) = serde_json::from_str::<Vec<Value>>(key) else { return Ok(false) };
    if values.len() != table.key.len() {
        return Ok(false);
    }
    let conditions: Vec<String> =
        table.key.iter().map(|name| format!("{} = ?", quoted(name))).collect();
    let name = quoted(&table.name);
    let exact = format!("SELECT 1 FROM {name} WHERE {}", conditions.join(" AND "));
    let stands = || -> rusqlite::Result<bool> {
        let parts = values.iter().map(keys::part);
        if conn.prepare_cached(&exact)?.exists(params_from_iter(parts))? {
            return Ok(true);
        }
        if !values.iter().any(may_be_real) {
            return Ok(false);
        }
        // A number with a fraction, in a column that keeps kinds apart, equals no text.
        let spelt = format!("SELECT 1 FROM {name} WHERE {} = ?", key_expression(table, ""));
        conn.prepare_cached(&spelt)?.exists([key])
    };
    unless_unreadable(table, stands().clinic("looking for a row"))
}

fn may_be_real(part: &Value) -> bool {
    let text = part.as_str().unwrap_or_default();
    text.parse::<i64>().is_err() && text.parse::<f64>().is_ok()
}

/// What SQLite refuses for good at one table (a collation or a function that only the practice's
/// program has, a damaged page) is the table's trouble, and no other's.
fn unless_unreadable<T>(table: &Table, read: Result<T, WorkerError>) -> Result<T, WorkerError> {
    match read {
        Err(WorkerError::Clinic { source, .. }) if is_lasting(&source) && !table.ledger => {
            Err(WorkerError::Unreadable { table: table.name.clone(), source })
        }
        read => read,
    }
}
