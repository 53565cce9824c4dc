//! What the lines of claims add up to: the total of a CSV claim stands nowhere else.

use std::collections::{HashMap, HashSet};
use std::io::Read;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::amount::{Amount, minor};
use super::rows::{Halt, Row, Rows};
use super::sheets::CURRENCY;

/// Lines that are remembered while their invoices are not written, each with 40 bytes: those of a
/// hundred thousand patients.
const LINES_MAX: usize = 30_000_000;

/// Sums of claims; nothing where a line is no amount, or a table could not be read to its end.
#[derive(Debug, Default)]
pub(super) struct Charges {
    sums: HashMap<Uuid, Option<Amount>>,
    /// Lines that were added. A run that is repeated, or a table that lies there twice, tells the
    /// same line again.
    lines: HashSet<Uuid>,
}

impl Charges {
    /// The total of a claim.
    pub fn of(&self, claim: Uuid) -> Option<Amount> {
        self.sums.get(&claim).copied().flatten()
    }

    /// Adds the lines of a table. Of one that ends badly no claim gets a total: its last lines may
    /// be missing.
    pub fn gather<R: Read>(&mut self, mut rows: Rows<R>) -> Result<(), Halt> {
        let mut met = HashSet::new();
        let mut last = None;
        let gathered = self.gather_into(&mut rows, &mut met, &mut last);
        if gathered.is_err() {
            for claim in met {
                self.sums.insert(claim, None);
            }
        }
        gathered
    }

    fn gather_into<R: Read>(
        &mut self,
        rows: &mut Rows<R>,
        met: &mut HashSet<Uuid>,
        last: &mut Option<Uuid>,
    ) -> Result<(), Halt> {
        while let Some(row) = rows.next()? {
            let claim = row.id("CLAIMID");
            if row.fits() {
                if let (Some("CHARGE"), Some(claim)) = (row.cell("TYPE"), claim) {
                    self.add(claim, &row)?;
                    met.insert(claim);
                }
            } else if let Some(claim) = claim.or(*last) {
                // A row that was cut may have been a line of the claim before it.
                self.sums.insert(claim, None);
            }
            *last = claim.or(*last);
        }
        Ok(())
    }

    fn add(&mut self, claim: Uuid, row: &Row<'_>) -> Result<(), Halt> {
        if self.lines.len() >= LINES_MAX {
            return Err(Halt::Unreadable("more lines of claims than an import takes".to_owned()));
        }
        if row.cell("ID").is_some_and(|id| !self.lines.insert(line(claim, id))) {
            return Ok(());
        }
        let nothing = Some(Amount { minor: 0, rounded: false });
        let sum = self.sums.entry(claim).or_insert(nothing);
        let line = row.cell("AMOUNT").and_then(|text| minor(text, CURRENCY));
        *sum = sum.zip(line).and_then(|(sum, line)| {
            let minor = sum.minor.checked_add(line.minor)?;
            Some(Amount { minor, rounded: sum.rounded || line.rounded })
        });
        Ok(())
    }
}

/// A line's own id, or one made of its claim and what stands in place of an id.
fn line(claim: Uuid, id: &str) -> Uuid {
    id.parse().unwrap_or_else(|_| {
        let hash = Sha256::new().chain_update(claim).chain_update(id).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    })
}
