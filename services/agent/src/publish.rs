//! From a row that changed to numbered facts: the domain names what happened, the spool numbers it,
//! the last published state remembers it, all in the caller's transaction. Of a generic type no
//! domain knows anything: its mapping names the fact, and the row is its body.

use kit_event::{Timestamp, UnitSeq};
use kit_link::FactFrame;
use serde_json::Value;
use tracing::error;
use uuid::Uuid;

use crate::domains;
use crate::error::WorkerError;
use crate::generations;
use crate::last_published::{self, LastPublished};
use crate::mapping::{Facts, Table};
use crate::rows::{Image, Row, RowReader};
use crate::spool::{Cause, Named, SpoolTx};

/// The field by which every thing names its patient.
pub const PATIENT_FIELD: &str = "patient_id";

/// Publishes rows in one transaction of the spool.
pub struct Publisher<'a> {
    /// The transaction.
    pub tx: &'a SpoolTx<'a>,
    /// Reads images.
    pub reader: RowReader<'a>,
    /// When what is published happened, or was found, by the network's time.
    pub at: Timestamp,
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
    /// A new epoch, or the first scan of a newly mapped table, states it.
    Seeded,
}

impl Publisher<'_> {
    /// The row under a key, of the generation of the key that it is; first the facts that end the
    /// one before, where the row was replaced by another. `by_request` says whether a request made
    /// it.
    ///
    /// # Errors
    /// The spool refuses.
    pub fn row(
        &self,
        table: &Table,
        key: &str,
        image: &Image,
        source: Source,
        by_request: bool,
    ) -> Result<(Vec<FactFrame>, Option<Row>), WorkerError> {
        let spool = self.tx.conn();
        let row = self.reader.row_of(table, key, image)?;
        let Some(name) = reusable(table, key) else { return Ok((Vec::new(), row)) };
        let known = generations::of(spool, &table.ids_of, &name)?;
        let mut facts = Vec::new();
        if known.is_empty() || known.iter().any(|it| it.living) {
            let (Some(row), true) = (&row, source != Source::Changed) else {
                return Ok((facts, row));
            };
            let before = last_published::get(spool, &table.resource, key)?;
            if before.is_none_or(|it| !generations::is_another(table, &it.state, &row.state)) {
                return Ok((facts, Some(row.clone())));
            }
            facts = self.removed(table, key, &Cause::default())?;
        }
        let known = generations::of(spool, &table.ids_of, &name)?;
        let proof = row.as_ref().and_then(|row| {
            let proof = generations::proof(self.reader.ids, table, &row.state);
            proof.filter(|_| !by_request)
        });
        let former = known.iter().find(|it| proof.is_some() && it.proof == proof).cloned();
        let stands = match former {
            Some(former) => former,
            None => generations::next(spool, &known)?,
        };
        generations::begin(spool, &table.ids_of, &name, stands)?;
        Ok((facts, self.reader.row_of(table, key, image)?))
    }

    /// Publishes that a row is gone from the clinic; what comes under its key later is another.
    ///
    /// # Errors
    /// The spool refuses.
    pub fn removed(
        &self,
        table: &Table,
        key: &str,
        cause: &Cause,
    ) -> Result<Vec<FactFrame>, WorkerError> {
        self.ended(table, key)?;
        self.publish(table, key, None, Source::MadeOrRemoved, cause)
    }

    /// Remembers that what comes under a key later is another, and says nothing.
    ///
    /// # Errors
    /// The spool refuses.
    pub fn ended(&self, table: &Table, key: &str) -> Result<(), WorkerError> {
        let spool = self.tx.conn();
        let Some(name) = reusable(table, key) else { return Ok(()) };
        let last = last_published::get(spool, &table.resource, key)?;
        let proof = last.and_then(|it| generations::proof(self.reader.ids, table, &it.state));
        generations::end(spool, &table.ids_of, &name, proof)
    }

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
    ) -> Result<Vec<FactFrame>, WorkerError> {
        let resource = table.resource.as_str();
        let before = last_published::get(self.tx.conn(), resource, key)?;
        let named = self.named(table, before.as_ref(), after.as_ref(), source);
        let facts = self.number(named, cause)?;
        let seq = facts.last().map(|fact| fact.seq);
        match (after, &before) {
            (None, Some(_)) => last_published::delete(self.tx.conn(), resource, key)?,
            (None, None) => {}
            (Some(row), Some(old)) if seq.is_none() && row.state == old.state => {}
            (Some(row), _) => {
                let known = before.as_ref().map_or(UnitSeq::ZERO, |old| old.seq);
                self.remember(resource, key, row, seq.unwrap_or(known))?;
            }
        }
        Ok(facts)
    }

    /// States a row as it is now, or its end, whatever was said of it before.
    ///
    /// # Errors
    /// The spool refuses.
    pub fn restate(
        &self,
        table: &Table,
        key: &str,
        last: Option<&Value>,
        now: Option<Row>,
    ) -> Result<Vec<FactFrame>, WorkerError> {
        let named = match (&now, last) {
            (Some(row), _) => snapshot(table, &row.state, &row.id),
            (None, Some(last)) => ended(table, last),
            (None, None) => Vec::new(),
        };
        let facts = self.number(named, &Cause::default())?;
        match (now, facts.last()) {
            (Some(row), Some(fact)) => self.remember(&table.resource, key, row, fact.seq)?,
            (None, _) => last_published::delete(self.tx.conn(), &table.resource, key)?,
            (Some(_), None) => {}
        }
        Ok(facts)
    }

    fn number(&self, named: Vec<Named>, cause: &Cause) -> Result<Vec<FactFrame>, WorkerError> {
        named.into_iter().map(|fact| self.tx.number(fact, cause, self.at)).collect()
    }

    fn remember(
        &self,
        resource: &str,
        key: &str,
        row: Row,
        seq: UnitSeq,
    ) -> Result<(), WorkerError> {
        let key = key.to_owned();
        let published = LastPublished { key, public_id: row.id, seq, state: row.state };
        last_published::put(self.tx.conn(), resource, &published)
    }

    fn named(
        &self,
        table: &Table,
        before: Option<&LastPublished>,
        after: Option<&Row>,
        source: Source,
    ) -> Vec<Named> {
        let seeded = source == Source::Seeded;
        if !seeded && before.map(|old| &old.state) == after.map(|row| &row.state) {
            return Vec::new();
        }
        match (before, after) {
            (None, None) => Vec::new(),
            // What a row was before nobody knows: its state is stated, nothing is said to happen.
            (None, Some(row)) if seeded || source == Source::Changed => {
                snapshot(table, &row.state, &row.id)
            }
            // This epoch has spoken of it already.
            (Some(old), Some(row))
                if seeded
                    && old.state == row.state
                    && old.seq.epoch == self.tx.last_seq().epoch =>
            {
                Vec::new()
            }
            (Some(old), Some(row)) if seeded && (old.state == row.state || !table.ledger) => {
                snapshot(table, &row.state, &row.id)
            }
            // Readers withdraw by themselves what a new epoch does not state.
            (Some(_), None) if seeded => Vec::new(),
            (old, row) => observed(table, old, row),
        }
    }
}

fn reusable(table: &Table, key: &str) -> Option<String> {
    table.reusable(&serde_json::from_str::<Vec<Value>>(key).ok()?)
}

/// What happened between two states of a row.
fn observed(table: &Table, old: Option<&LastPublished>, row: Option<&Row>) -> Vec<Named> {
    if let Some(facts) = &table.facts {
        return match (old, row) {
            (Some(old), Some(row)) if old.public_id != row.id => [
                generic(facts, facts.removed.as_deref(), &old.state, &old.public_id),
                generic(facts, facts.inserted.as_deref(), &row.state, &row.id),
            ]
            .into_iter()
            .flatten()
            .collect(),
            (None, Some(row)) => {
                generic(facts, facts.inserted.as_deref(), &row.state, &row.id).into_iter().collect()
            }
            (Some(_), Some(row)) => {
                generic(facts, facts.changed.as_deref(), &row.state, &row.id).into_iter().collect()
            }
            (Some(old), None) => {
                let named = generic(facts, facts.removed.as_deref(), &old.state, &old.public_id);
                named.into_iter().collect()
            }
            (None, None) => Vec::new(),
        };
    }
    let Some(domain) = domains::of_resource(&table.resource) else { return Vec::new() };
    let (old, row) = (old.map(|old| &old.state), row.map(|row| &row.state));
    let named = domain.observe(&table.resource, old, row);
    read_or_none(table, named.map(|named| named.into_iter().map(Named::from).collect()))
}

/// The present state, of which nothing is said to have happened.
fn snapshot(table: &Table, state: &Value, id: &str) -> Vec<Named> {
    if let Some(facts) = &table.facts {
        return generic(facts, facts.stated(), state, id).into_iter().collect();
    }
    let Some(domain) = domains::of_resource(&table.resource) else { return Vec::new() };
    read_or_none(table, domain.snapshot(&table.resource, state).map(|it| vec![it.into()]))
}

/// The end of a row of which only the last state is known.
fn ended(table: &Table, last: &Value) -> Vec<Named> {
    let id = last.get(&table.id).and_then(Value::as_str).unwrap_or_default().to_owned();
    let last_published = LastPublished {
        key: String::new(),
        public_id: id,
        seq: UnitSeq::ZERO,
        state: last.clone(),
    };
    observed(table, Some(&last_published), None)
}

/// A fact that the mapping names; none where it names none for this.
fn generic(facts: &Facts, type_name: Option<&str>, state: &Value, id: &str) -> Option<Named> {
    let patient = state.get(PATIENT_FIELD).and_then(Value::as_str);
    Some(Named {
        type_name: type_name?.to_owned(),
        version: facts.version,
        subject: format!("{}/{id}", facts.word),
        patient_id: patient.and_then(|id| id.parse::<Uuid>().ok()),
        body: state.clone(),
    })
}

fn read_or_none(table: &Table, named: Result<Vec<Named>, serde_json::Error>) -> Vec<Named> {
    named.unwrap_or_else(|_| {
        // A bug of the mapping, never of the practice: every text reads as something. The row is
        // passed over, because stopping here would hold back the whole unit. The parser's own words
        // may quote the row.
        let resource = &table.resource;
        error!(target: "error", resource, "a row does not read as its thing");
        Vec::new()
    })
}
