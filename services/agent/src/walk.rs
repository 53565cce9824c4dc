//! A walk over every mapped row, in small chunks between live facts: to state them all in a new
//! epoch, or to compare them with the shadow where rows may have changed unseen.
//!
//! A chunk is read in the same transaction as the outbox, and published after what the outbox held:
//! so a row is never published older than a change of it that was already captured. How far the
//! walk is stands in the spool, in the transaction that stored its facts.

use kit_link::FactFrame;
use rusqlite::{Connection, params_from_iter};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::warn;

use crate::books::Books;
use crate::error::{Act, StationError, is_lasting};
use crate::keys;
use crate::mapping::Table;
use crate::present::Batch;
use crate::publish::{Publisher, Source};
use crate::rows::{Image, key_expression, quoted, selected_row};
use crate::shadow;
use crate::spool::{Cause, Spool, SpoolTx};

/// Rows in one chunk: a few milliseconds, so that a request that arrives meanwhile hardly waits.
pub const CHUNK_ROWS: usize = 100;
const NOTE: &str = "walk";

/// Why the walk is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A new epoch states every row.
    Seed,
    /// Rows may have changed unseen.
    Compare,
}

/// How far a walk is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walk {
    /// Why it is made.
    pub purpose: Purpose,
    /// Tables still to walk; the first is under way.
    pub tables: Vec<String>,
    /// Names of things that were walked whole.
    pub done: Vec<String>,
    /// Whether the clinic's rows of the first table are walked, and its shadow is under way.
    pub shadow: bool,
    /// The last key of the last chunk; in the clinic's table its place there.
    pub after: Option<String>,
    /// Tables that are walked for the first time: their rows are stated, and none is said to have
    /// just been made.
    #[serde(default)]
    pub opening: Vec<String>,
}

/// What one chunk holds.
enum Chunk {
    /// Rows of the clinic: key and image; and the place of the last.
    Rows(Vec<(String, Image)>, Option<String>),
    /// Keys of shadow rows, with whether the clinic has the row.
    Shadow(Vec<(String, bool)>),
}

impl Walk {
    pub(crate) fn new(purpose: Purpose, tables: &[Table]) -> Self {
        let tables = tables.iter().map(|table| table.name.clone()).collect();
        let (done, opening) = (Vec::new(), Vec::new());
        Self { purpose, tables, done, shadow: false, after: None, opening }
    }

    pub(crate) fn read(spool: &Spool) -> Result<Option<Self>, StationError> {
        let note = spool.note(NOTE)?;
        // A note that does not read is a walk to begin again, which the next start does.
        Ok(note.and_then(|note| serde_json::from_str(&note).ok()))
    }

    pub(crate) fn store(walk: Option<&Self>, tx: &SpoolTx<'_>) -> Result<(), StationError> {
        match walk.map(serde_json::to_string) {
            Some(Ok(note)) => tx.set_note(NOTE, &note),
            Some(Err(_)) => Err(StationError::SpoolContent { what: "the walk" }),
            None => tx.remove_note(NOTE),
        }
    }

    /// The walk after a chunk; none when it was the last.
    fn after(&self, chunk: &Chunk, resource: Option<&str>) -> Option<Self> {
        let (last, whole) = match chunk {
            Chunk::Rows(rows, last) => (last.as_ref(), rows.len() == CHUNK_ROWS),
            Chunk::Shadow(rows) => (rows.last().map(|(key, _)| key), rows.len() == CHUNK_ROWS),
        };
        let mut next = self.clone();
        if whole {
            next.after = last.cloned();
            return Some(next);
        }
        next.after = None;
        if !self.shadow {
            next.shadow = true;
            return Some(next);
        }
        next.shadow = false;
        next.tables.remove(0);
        next.done.extend(resource.map(str::to_owned));
        (!next.tables.is_empty()).then_some(next)
    }
}

impl Books {
    /// Begins to compare every row with the shadow; a walk that seeds an epoch does that too.
    ///
    /// The spool refuses.
    pub fn compare(&mut self) -> Result<(), StationError> {
        let walk = match self.walk.clone() {
            // It states every row anyway; tables that came meanwhile are walked at its end.
            Some(seed) if seed.purpose == Purpose::Seed => self.with_new_tables(seed),
            Some(_) | None => {
                let opening = self.new_tables()?;
                Walk { opening, ..Walk::new(Purpose::Compare, &self.installed.tables) }
            }
        };
        self.spool.lazily(|tx| Walk::store(Some(&walk), tx))?;
        self.walk = Some(walk);
        Ok(())
    }

    /// Walks one chunk, after what the outbox holds.
    ///
    /// A file is busy or refuses, or the clinic database went back.
    pub fn walk_on(&mut self) -> Result<Vec<FactFrame>, StationError> {
        let Some(walk) = self.walk.clone() else { return Ok(Vec::new()) };
        let Some(table) = walk.tables.first().and_then(|name| self.captured_table(name)) else {
            return self.pass_over_table(&walk);
        };
        let (captured, chunk) = match self.read_chunk(&walk, &table) {
            Err(StationError::Unreadable { table, source }) => {
                let cause = format!("it cannot be read: {source}");
                warn!(target: "error", table, cause, "a table is not captured");
                self.installed.pause_unreadable(&table, cause);
                return self.pass_over_table(&walk);
            }
            read => read?,
        };
        if captured.more {
            self.clinic.flush()?;
            return self.record(&captured, |_, _| Ok(Vec::new()));
        }
        let next = walk.after(&chunk, Some(&table.resource));
        if walk.purpose == Purpose::Compare
            && captured.is_empty()
            && self.is_as_said(&table, &chunk)?
        {
            return self.pass_chunk(&walk, next);
        }
        self.clinic.flush()?;
        let facts = self.record(&captured, |books, tx| {
            let mut facts = books.publish_chunk(tx, &walk, &table, chunk)?;
            if next.is_none() {
                let mut done = walk.done.clone();
                done.push(table.resource.clone());
                facts.extend(books.finish_walk(tx, &walk, done)?);
            }
            Walk::store(next.as_ref(), tx)?;
            books.note_walked(tx, &walk, next.as_ref())?;
            Ok(facts)
        })?;
        self.walk = next;
        Ok(facts)
    }

    /// Whether every row of the chunk is as it was published. Then nothing need be durable.
    fn is_as_said(&self, table: &Table, chunk: &Chunk) -> Result<bool, StationError> {
        let rows = match chunk {
            Chunk::Rows(rows, _) => rows,
            Chunk::Shadow(rows) => return Ok(rows.iter().all(|(_, stands)| *stands)),
        };
        let _reading = self.spool.begin_reading()?;
        for (key, image) in rows {
            let said = shadow::get(self.spool.conn(), &table.resource, key)?;
            let stands = self.reader().row_of(table, key, image)?;
            if said.map(|said| said.state) != stands.map(|row| row.state) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn pass_chunk(
        &mut self,
        walk: &Walk,
        next: Option<Walk>,
    ) -> Result<Vec<FactFrame>, StationError> {
        if next.is_none() {
            self.spool.lazily(|tx| Walk::store(None, tx))?;
        }
        if !walk.opening.is_empty() {
            self.spool.lazily(|tx| self.note_walked(tx, walk, next.as_ref()))?;
        }
        self.walk = next;
        Ok(Vec::new())
    }

    fn captured_table(&self, name: &str) -> Option<Table> {
        self.installed.tables.iter().find(|table| table.name == name).cloned()
    }

    /// A table that is gone or paused is not walked, and so is not stated as whole.
    fn pass_over_table(&mut self, walk: &Walk) -> Result<Vec<FactFrame>, StationError> {
        let mut next = Walk { shadow: false, after: None, ..walk.clone() };
        next.tables = next.tables.into_iter().skip(1).collect();
        let next = (!next.tables.is_empty()).then_some(next);
        let facts = self.record(&Batch::default(), |books, tx| {
            Walk::store(next.as_ref(), tx)?;
            match next {
                Some(_) => Ok(Vec::new()),
                None => books.finish_walk(tx, walk, walk.done.clone()),
            }
        })?;
        self.walk = next;
        Ok(facts)
    }

    fn read_chunk(&self, walk: &Walk, table: &Table) -> Result<(Batch, Chunk), StationError> {
        self.clinic.read(|conn| {
            self.check_mark(conn)?;
            let captured = self.read_outbox(conn)?;
            if !walk.shadow {
                return Ok((captured, rows_after(conn, table, walk.after.as_deref())?));
            }
            let after = walk.after.as_deref().unwrap_or_default();
            let rows = shadow::after(self.spool.conn(), &table.resource, after, CHUNK_ROWS)?;
            let stands =
                |row: shadow::Shadow| Ok((row.key.clone(), row_stands(conn, table, &row.key)?));
            let rows = rows.into_iter().map(stands).collect::<Result<_, StationError>>()?;
            Ok((captured, Chunk::Shadow(rows)))
        })
    }

    fn publish_chunk(
        &self,
        tx: &SpoolTx<'_>,
        walk: &Walk,
        table: &Table,
        chunk: Chunk,
    ) -> Result<Vec<FactFrame>, StationError> {
        let publisher = Publisher { tx, reader: self.reader(), at: self.setup.clock.now() };
        let source = match walk.purpose {
            Purpose::Seed => Source::Seeded,
            Purpose::Compare if walk.opening.contains(&table.name) => Source::Seeded,
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
            Chunk::Shadow(rows) => {
                for (key, _) in rows.into_iter().filter(|(_, stands)| !stands) {
                    // Under another key it still stands: its mapping names its key anew.
                    if shadow::stands_elsewhere(tx.conn(), &table.resource, &key)? {
                        shadow::delete(tx.conn(), &table.resource, &key)?;
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
    ) -> Result<Vec<FactFrame>, StationError> {
        let cause = Cause::default();
        if source != Source::Seeded {
            return publisher.removed(table, key, &cause);
        }
        publisher.ended(table, key)?;
        publisher.publish(table, key, None, source, &cause)
    }

    fn finish_walk(
        &self,
        tx: &SpoolTx<'_>,
        walk: &Walk,
        resources: Vec<String>,
    ) -> Result<Vec<FactFrame>, StationError> {
        match walk.purpose {
            Purpose::Compare => Ok(Vec::new()),
            Purpose::Seed => self.state_seeded(tx, resources).map(|fact| vec![fact]),
        }
    }
}

/// Rows in the order of their keys, after a place in it.
fn rows_after(
    conn: &Connection,
    table: &Table,
    after: Option<&str>,
) -> Result<Chunk, StationError> {
    let names: Vec<String> = table.key.iter().map(|name| quoted(name)).collect();
    let keys = names.join(", ");
    // A row without a key cannot be named, and would end the walk.
    let mut conditions: Vec<String> =
        names.iter().map(|name| format!("{name} IS NOT NULL")).collect();
    // A place that an older agent wrote does not read: the table is walked from its beginning.
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

fn row_stands(conn: &Connection, table: &Table, key: &str) -> Result<bool, StationError> {
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
fn unless_unreadable<T>(table: &Table, read: Result<T, StationError>) -> Result<T, StationError> {
    match read {
        Err(StationError::Clinic { source, .. }) if is_lasting(&source) && !table.ledger => {
            Err(StationError::Unreadable { table: table.name.clone(), source })
        }
        read => read,
    }
}
