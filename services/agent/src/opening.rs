//! Which tables were walked whole before, so that the rows of a newly mapped one are stated and not
//! told as if each had been made just now.

use std::collections::BTreeSet;

use crate::books::Books;
use crate::error::{Act, StationError};
use crate::spool::SpoolTx;
use crate::walk::Walk;

/// The note that lists them.
const NOTE: &str = "walked_tables";

impl Books {
    /// Captured tables that were never walked whole.
    pub(crate) fn new_tables(&self) -> Result<Vec<String>, StationError> {
        let walked = self.walked_tables()?;
        let tables = self.installed.tables.iter().map(|table| &table.name);
        Ok(tables.filter(|name| !walked.contains(*name)).cloned().collect())
    }

    /// A walk that also goes over tables that are new since it began.
    pub(crate) fn with_new_tables(&self, mut walk: Walk) -> Walk {
        for table in &self.installed.tables {
            if !walk.tables.contains(&table.name) && !walk.done.contains(&table.resource) {
                walk.tables.push(table.name.clone());
            }
        }
        walk
    }

    /// Remembers the table that a walk has just left behind.
    pub(crate) fn note_walked(
        &self,
        tx: &SpoolTx<'_>,
        walk: &Walk,
        next: Option<&Walk>,
    ) -> Result<(), StationError> {
        let left = walk.tables.first();
        let Some(left) = left.filter(|_| next.and_then(|next| next.tables.first()) != left) else {
            return Ok(());
        };
        let mut walked = self.walked_tables()?;
        if !walked.insert(left.clone()) {
            return Ok(());
        }
        let note = serde_json::to_string(&walked)
            .map_err(|_| StationError::SpoolContent { what: "the walked tables" })?;
        tx.set_note(NOTE, &note)
    }

    /// As noted; a spool of an older agent tells by what stands in its shadow.
    fn walked_tables(&self) -> Result<BTreeSet<String>, StationError> {
        if let Some(note) = self.spool.note(NOTE)? {
            return Ok(serde_json::from_str(&note).unwrap_or_default());
        }
        let resources: BTreeSet<String> = self
            .spool
            .conn()
            .prepare("SELECT DISTINCT thing FROM shadow")
            .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
            .spool("reading the shadow's things")?;
        let stated = self.mapping.tables.iter().filter(|table| resources.contains(&table.resource));
        Ok(stated.map(|table| table.name.clone()).collect())
    }
}
