//! From a row that changed to numbered facts: the domain names what happened, the spool numbers it,
//! the shadow remembers it, all in the caller's transaction.

use kit_event::{Observed, Timestamp, UnitSeq};
use kit_link::FactFrame;
use tracing::error;

use crate::domains;
use crate::error::StationError;
use crate::mapping::Table;
use crate::rows::{Row, RowReader};
use crate::shadow::{self, Shadow};
use crate::spool::{Cause, SpoolTx};

/// Publishes rows in one transaction of the spool.
pub struct Publisher<'a> {
    /// The transaction.
    pub tx: &'a SpoolTx<'a>,
    /// Reads images.
    pub reader: RowReader<'a>,
    /// The network's time.
    pub now: Timestamp,
}

/// How the agent came to know of a row's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A trigger saw the row made, or removed.
    MadeOrRemoved,
    /// A trigger saw the row changed.
    Changed,
    /// A comparison of all rows found it different.
    Compared,
    /// A new epoch states it.
    Seeded,
}

impl Publisher<'_> {
    /// Publishes what became of a row; `after` is none when it is gone.
    ///
    /// # Errors
    /// The spool refuses.
    pub fn publish(
        &self,
        table: &Table,
        key: &str,
        after: Option<Row>,
        source: Source,
        cause: &Cause,
    ) -> Result<Vec<FactFrame>, StationError> {
        let thing = table.thing.as_str();
        let before = shadow::get(self.tx.conn(), thing, key)?;
        let observed = self.observed(table, before.as_ref(), after.as_ref(), source);
        let facts = observed
            .into_iter()
            .map(|observed| self.tx.number(observed, cause, self.now))
            .collect::<Result<Vec<_>, _>>()?;
        let seq = facts.last().map(|fact| fact.seq);
        match (after, &before) {
            (None, Some(_)) => shadow::delete(self.tx.conn(), thing, key)?,
            (None, None) => {}
            (Some(row), Some(old)) if seq.is_none() && row.state == old.state => {}
            (Some(row), _) => {
                let known = before.as_ref().map_or(UnitSeq::ZERO, |old| old.seq);
                let published = Shadow {
                    key: key.to_owned(),
                    public_id: row.id,
                    seq: seq.unwrap_or(known),
                    state: row.state,
                };
                shadow::put(self.tx.conn(), thing, &published)?;
            }
        }
        Ok(facts)
    }

    fn observed(
        &self,
        table: &Table,
        before: Option<&Shadow>,
        after: Option<&Row>,
        source: Source,
    ) -> Vec<Observed> {
        let Some(domain) = domains::of_thing(&table.thing) else { return Vec::new() };
        let seeded = source == Source::Seeded;
        if !seeded && before.map(|old| &old.state) == after.map(|row| &row.state) {
            return Vec::new();
        }
        let named = match (before, after) {
            (None, None) => return Vec::new(),
            // What a row was before nobody knows: its state is stated, nothing is said to happen.
            (None, Some(row)) if seeded || source == Source::Changed => {
                domain.snapshot(&table.thing, &row.state).map(|it| vec![it])
            }
            // This epoch has spoken of it already.
            (Some(old), Some(row))
                if seeded
                    && old.state == row.state
                    && old.seq.epoch == self.tx.last_seq().epoch =>
            {
                return Vec::new();
            }
            (Some(old), Some(row)) if seeded && (old.state == row.state || !table.ledger) => {
                domain.snapshot(&table.thing, &row.state).map(|it| vec![it])
            }
            // Readers withdraw by themselves what a new epoch does not state.
            (Some(_), None) if seeded => return Vec::new(),
            (old, row) => {
                domain.observe(&table.thing, old.map(|old| &old.state), row.map(|row| &row.state))
            }
        };
        named.unwrap_or_else(|cause| {
            // A bug of the mapping, never of the practice: every text reads as something. The row
            // is passed over, because stopping here would hold back the whole unit.
            let thing = &table.thing;
            error!(target: "error", thing, %cause, "a row does not read as its thing");
            Vec::new()
        })
    }
}
