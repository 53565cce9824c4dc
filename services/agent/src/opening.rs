//! Which tables were scanned whole before, so that the rows of a newly mapped one are stated and
//! not told as if each had been made just now.

use std::collections::BTreeSet;

use crate::error::{Act, WorkerError};
use crate::scan::TableScan;
use crate::spool::SpoolTx;
use crate::stores::Stores;

/// The note that lists them.
const NOTE: &str = "walked_tables";

impl Stores {
    /// Captured tables that were never scanned whole.
    pub(crate) fn new_tables(&self) -> Result<Vec<String>, WorkerError> {
        let scanned = self.scanned_tables()?;
        let tables = self.installed.tables.iter().map(|table| &table.name);
        Ok(tables.filter(|name| !scanned.contains(*name)).cloned().collect())
    }

    /// A scan that also goes over tables that are new since it began.
    pub(crate) fn with_new_tables(&self, mut scan: TableScan) -> TableScan {
        for table in &self.installed.tables {
            if !scan.tables.contains(&table.name) && !scan.done.contains(&table.resource) {
                scan.tables.push(table.name.clone());
            }
        }
        scan
    }

    /// Remembers the table that a scan has just left behind.
    pub(crate) fn note_scanned(
        &self,
        tx: &SpoolTx<'_>,
        scan: &TableScan,
        next: Option<&TableScan>,
    ) -> Result<(), WorkerError> {
        let left = scan.tables.first();
        let Some(left) = left.filter(|_| next.and_then(|next| next.tables.first()) != left) else {
            return Ok(());
        };
        let mut scanned = self.scanned_tables()?;
        if !scanned.insert(left.clone()) {
            return Ok(());
        }
        let note = serde_json::to_string(&scanned)
            .map_err(|_| WorkerError::SpoolContent { what: "the walked tables" })?;
        tx.set_note(NOTE, &note)
    }

    /// As noted; a spool of an older agent tells by what stands in its last published state.
    pub(crate) fn scanned_tables(&self) -> Result<BTreeSet<String>, WorkerError> {
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
