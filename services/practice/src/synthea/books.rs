//! The clinic's side of an import: ids of its own, and rows that are written once.

use kit_event::UnitId;
use rusqlite::{Connection, OptionalExtension, ToSql};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Table;
use crate::error::{PracticeError, during};

/// A clinic's tables within one transaction of an import.
pub(super) struct Books<'c> {
    pub connection: &'c Connection,
    pub unit: &'c UnitId,
}

/// How an explanation of benefits was paid; no table of Synthea has the word.
pub(super) const BY_INSURANCE: &str = "insurance";

/// What Synthea tells payments in. Its explanations of benefits and its tables tell different sums
/// of the same claim, so that a claim is paid by one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// FHIR's explanations of benefits.
    Benefits,
    /// The lines of `claims_transactions.csv`.
    Transactions,
}

/// Why a record became no row.
#[derive(Debug)]
pub(super) enum Refused {
    /// Something about the record, as the report names it.
    Skip(&'static str),
    /// The database does not take it; the import ends.
    Clinic(PracticeError),
}

impl From<PracticeError> for Refused {
    fn from(error: PracticeError) -> Self {
        Self::Clinic(error)
    }
}

impl Books<'_> {
    /// The id that a record of the source has in this clinic: the same at every import, and
    /// another one in every clinic, since one registration belongs to one unit.
    pub fn id(&self, table: Table, source: &str) -> Uuid {
        let mut hash = Sha256::new();
        for part in ["synthea", self.unit.as_str(), table.name(), source] {
            // Lengths keep ("ab", "c") and ("a", "bc") apart.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// [`Books::id`] of a record that the source names by a UUID.
    pub fn id_of(&self, table: Table, source: Uuid) -> Uuid {
        self.id(table, &source.hyphenated().to_string())
    }

    /// Whether the clinic has this row.
    pub fn holds(&self, table: Table, id: &Uuid) -> Result<bool, PracticeError> {
        let act = "looking for a row";
        let sql = format!("SELECT 1 FROM {} WHERE {} = ?1", table.name(), table.key());
        let mut statement = self.connection.prepare_cached(&sql).map_err(during(act))?;
        statement.exists([id.to_string()]).map_err(during(act))
    }

    /// The row's id, where the clinic has it.
    pub fn known(&self, table: Table, id: Uuid) -> Result<Option<Uuid>, PracticeError> {
        Ok(self.holds(table, &id)?.then_some(id))
    }

    /// Whose invoice it is.
    pub fn patient_of(&self, invoice: Uuid) -> Result<Option<Uuid>, PracticeError> {
        let act = "looking for the patient of an invoice";
        let sql = "SELECT patient_id FROM invoices WHERE invoice_id = ?1";
        let mut statement = self.connection.prepare_cached(sql).map_err(during(act))?;
        let found = statement.query_row([invoice.to_string()], |row| row.get::<_, String>(0));
        Ok(found.optional().map_err(during(act))?.and_then(|id| id.parse().ok()))
    }

    /// Whether an import has written payments of this form for an invoice. Those of the desk have
    /// no id that follows from their reference.
    pub fn paid_by(&self, invoice: Uuid, form: Form) -> Result<bool, PracticeError> {
        let act = "looking for the payments of an invoice";
        let sql = "SELECT payment_id, reference, method FROM payments WHERE invoice_id = ?1";
        let mut statement = self.connection.prepare_cached(sql).map_err(during(act))?;
        let mut rows = statement.query([invoice.to_string()]).map_err(during(act))?;
        while let Some(row) = rows.next().map_err(during(act))? {
            let text = |at| row.get::<_, Option<String>>(at).ok().flatten().unwrap_or_default();
            let ours = text(0) == self.id(Table::Payments, &text(1)).to_string();
            if ours && (text(2) == BY_INSURANCE) == (form == Form::Benefits) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes a row, its columns in the order of [`Table::columns`], unless one with its key is
    /// there: what the clinic holds is the clinic's, whatever a source says later. Whether it was
    /// written.
    pub fn put(&self, table: Table, row: &[&dyn ToSql]) -> Result<bool, PracticeError> {
        let act = "writing an imported row";
        let marks = vec!["?"; table.columns().len()].join(", ");
        let (name, key, columns) = (table.name(), table.key(), table.columns().join(", "));
        let sql = format!(
            "INSERT INTO {name} ({columns}) VALUES ({marks}) ON CONFLICT ({key}) DO NOTHING"
        );
        let mut statement = self.connection.prepare_cached(&sql).map_err(during(act))?;
        Ok(statement.execute(row).map_err(during(act))? > 0)
    }
}
