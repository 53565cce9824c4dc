//! A fact that was withheld from readers is redriven: its thing is stated anew, as it is now.
//!
//! The old number stays what it is; the new fact has one of its own. Of a domain's thing it is a
//! snapshot, of a generic type the one that states a row, and the removal where the row is gone.

use kit_event::UnitSeq;
use kit_link::FactFrame;

use crate::error::{WorkerError, is_lasting};
use crate::last_published;
use crate::mapping::Table;
use crate::present::{Batch, row_by_key};
use crate::publish::Publisher;
use crate::rows::Row;
use crate::stores::Stores;

/// What became of the command to state a thing anew.
#[derive(Debug)]
pub enum Restated {
    /// These facts state it.
    Facts(Vec<FactFrame>),
    /// Nothing here knows what the fact spoke of.
    Unknown,
}

impl Stores {
    /// States anew the thing that the fact `seq` spoke of; `subject` names it where the spool does
    /// not hold that fact any more. The caller has drained the outbox before.
    ///
    /// # Errors
    /// A file is busy or refuses, or the clinic database went back.
    pub fn reemit(&mut self, seq: UnitSeq, subject: Option<&str>) -> Result<Restated, WorkerError> {
        let before = UnitSeq::new(seq.epoch, seq.seq.saturating_sub(1));
        let held = self.spool.facts(before, seq, 1)?.into_iter().next();
        let held = held.filter(|fact| fact.seq == seq);
        let named = held.as_ref().and_then(|fact| fact.subject.clone());
        let Some(named) = named.or_else(|| subject.map(str::to_owned)) else {
            return Ok(Restated::Unknown);
        };
        let Some((word, id)) = named.split_once('/') else { return Ok(Restated::Unknown) };
        let Some(table) = self.captured_by_word(word) else { return Ok(Restated::Unknown) };
        let said = last_published::find(self.spool.conn(), &table.resource, id)?;
        let key = said.as_ref().map(|said| said.key.clone()).unwrap_or_default();
        let now = match said.as_ref().map(|_| self.row_by_key(&table, &key)) {
            // Nobody but the practice's own program can read the table.
            Some(Err(WorkerError::Clinic { source, .. })) if is_lasting(&source) => {
                return Ok(Restated::Unknown);
            }
            read => read.transpose()?.flatten(),
        };
        // A removal that was withheld left nothing but its own body.
        let last = said.map(|said| said.state).or(held.map(|fact| fact.body));
        if now.is_none() && last.is_none() {
            return Ok(Restated::Unknown);
        }
        let facts = self.record(&Batch::default(), |stores, tx| {
            let at = stores.setup.clock.now();
            let publisher = Publisher { tx, reader: stores.reader(), at };
            publisher.restate(&table, &key, last.as_ref(), now)
        })?;
        Ok(Restated::Facts(facts))
    }

    /// Of a table whose capture is paused nobody could say whether a row is gone.
    fn captured_by_word(&self, word: &str) -> Option<Table> {
        self.installed.tables.iter().find(|table| table.subject_word() == word).cloned()
    }

    /// A row as it stands in the clinic; none where it is gone.
    fn row_by_key(&self, table: &Table, key: &str) -> Result<Option<Row>, WorkerError> {
        let image = self.clinic.read(|conn| row_by_key(conn, table, key))?;
        match image {
            Some(image) => self.reader().row_of(table, key, &image),
            None => Ok(None),
        }
    }
}
