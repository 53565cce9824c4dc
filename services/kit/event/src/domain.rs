//! How a host sees a domain, and how a domain sees a clinic.
//!
//! A domain crate is pure: it names what happened between two versions of a row
//! ([`Domain::observe`]), and it grants or refuses a command against the records as they stand
//! ([`Domain::decide`]). It reads them through [`Records`], a port that the agent implements once
//! for every mapped table, inside the transaction that will hold the effect. So a host holds a list
//! of domains and no domain noun.

use serde_json::{Map, Value};
use utoipa::openapi::{RefOr, Schema};
use uuid::Uuid;

use crate::{Fact, Rejection, Timestamp, UnitSeq};

/// A pure domain, as hosts see it.
pub trait Domain: Sync {
    /// Its name, the first part of its types and the name of its Postgres schema.
    fn name(&self) -> &'static str;

    /// The things whose rows it observes, as the mapping file names them (`appointment`).
    fn resources(&self) -> &'static [&'static str];

    /// Fields by which a row of a resource is known again after it was removed and made anew; none
    /// where only all of them together tell.
    fn identifying(&self, resource: &str) -> &'static [&'static str] {
        let _ = resource;
        &[]
    }

    /// Names what happened to a thing between two versions of its row, oldest first; mostly one
    /// fact, none where nothing that the domain knows has changed.
    ///
    /// # Errors
    /// A state that does not read as the thing (never for states that the mapping made).
    fn observe(
        &self,
        resource: &str,
        before: Option<&Value>,
        after: Option<&Value>,
    ) -> Result<Vec<Observed>, serde_json::Error>;

    /// The `_snapshot` fact of a thing's present state.
    ///
    /// # Errors
    /// As [`Domain::observe`].
    fn snapshot(&self, resource: &str, state: &Value) -> Result<Observed, serde_json::Error>;

    /// The request types that [`Domain::decide`] takes.
    fn commands(&self) -> &'static [&'static str];

    /// Grants or refuses a command against the records as they stand.
    ///
    /// # Errors
    /// The rejection, which is the unit's word and becomes a fact.
    fn decide(
        &self,
        type_name: &str,
        body: &Value,
        records: &dyn Records,
        now: Timestamp,
    ) -> Result<Granted, Rejection>;

    /// The query types that [`Domain::answer`] takes.
    fn queries(&self) -> &'static [&'static str] {
        &[]
    }

    /// Answers a live query; changes nothing.
    ///
    /// # Errors
    /// The rejection, sent back as the answer.
    fn answer(
        &self,
        type_name: &str,
        body: &Value,
        records: &dyn Records,
        now: Timestamp,
    ) -> Answer {
        let _ = (body, records, now);
        Err(Rejection::unknown_type(type_name))
    }

    /// The present version of every schema that the domain promises: facts, commands, answers.
    fn schemas(&self) -> Vec<SchemaSource>;

    /// What analysts and integrators learn of a fact: the least that is of use, and nothing that
    /// names a person. None for a fact that stays in the house, or is another domain's.
    ///
    /// # Errors
    /// The body does not read as the thing that its type is about.
    fn publish(&self, fact: &Fact) -> Result<Option<PublicEvent>, serde_json::Error> {
        let _ = fact;
        Ok(None)
    }

    /// The present version of every schema of [`Domain::publish`], under `public.<type>`.
    fn public_schemas(&self) -> Vec<SchemaSource> {
        Vec::new()
    }
}

/// A fact as the world outside may know it. Its type, id, number and time are the fact's.
#[derive(Debug, Clone, PartialEq)]
pub struct PublicEvent {
    /// Version of its public schema.
    pub version: u32,
    /// What is told.
    pub body: Value,
}

/// What a live query gives: plain JSON, or the reason for none.
pub type Answer = Result<Value, Rejection>;

/// A fact before it has a number.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// `<domain>.<thing>_<past>`.
    pub type_name: &'static str,
    /// Version of its schema.
    pub version: u32,
    /// `<thing>/<id>`.
    pub subject: String,
    /// The one patient it concerns.
    pub patient_id: Option<Uuid>,
    /// The full state after it.
    pub body: Value,
}

/// The promise of one type, as generated from its struct.
pub struct SchemaSource {
    /// `<domain>.<name>`, the type it is the schema of; `public.<domain>.<name>` for the public
    /// form of a fact.
    pub type_name: &'static str,
    /// From 1; a released version never changes.
    pub version: u32,
    /// One sentence: when it happens, what it asks.
    pub doc: &'static str,
    /// The struct's OpenAPI schema; Avro is derived from it (`kit/body`).
    pub schema: RefOr<Schema>,
}

/// A granted command: what to write, and which thing it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Granted {
    /// Row changes, applied in order in one transaction.
    pub changes: Vec<RowChange>,
    /// The thing whose state after the changes is the answer.
    pub record: RecordRef,
}

/// A thing by name and public id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRef {
    /// As `appointment`.
    pub resource: &'static str,
    /// Its public id.
    pub id: Uuid,
}

/// One row to write, in the words of the domain; the mapping turns it into columns.
#[derive(Debug, Clone, PartialEq)]
pub struct RowChange {
    /// The thing and its id.
    pub record: RecordRef,
    /// Insert or update.
    pub operation: RowOperation,
    /// Domain field -> value; for an update only the fields that it touches, null to empty one.
    pub fields: Map<String, Value>,
}

/// What to do with a row. Nothing is ever deleted on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOperation {
    /// The row must not exist yet.
    Insert,
    /// The row must exist.
    Update,
}

/// A clinic's records as they stand inside the running transaction.
pub trait Records {
    /// The thing with this public id, whoever wrote it.
    ///
    /// # Errors
    /// The clinic database did not answer.
    fn get(&self, resource: &str, id: &Uuid) -> Result<Option<Stored>, RecordsError>;

    /// All things that pass every filter, in no promised order.
    ///
    /// # Errors
    /// The clinic database did not answer.
    fn find(&self, resource: &str, filters: &[Filter]) -> Result<Vec<Value>, RecordsError>;

    /// Whether the unit's own software lets this field of a thing be written: a clinic may have no
    /// column for it, or keep the column to itself.
    fn writes(&self, resource: &str, field: &str) -> bool {
        let _ = (resource, field);
        true
    }

    /// The unit's IANA time zone, as `Europe/Lisbon`.
    fn time_zone(&self) -> &str;
}

/// A record and the number of the fact that last spoke of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The thing's state, in the words of its domain.
    pub state: Value,
    /// Its `E-S`; none while a change of it is not yet numbered, so that no `If-Match` fits.
    pub seq: Option<UnitSeq>,
}

/// A condition on one domain field, pushed down to the clinic database.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// The field equals the value.
    Equals(&'static str, Value),
    /// The field reads as an instant, and it is not before this one. How a program wrote it does
    /// not matter: whatever a state shows as an instant is compared as that instant.
    NotBefore(&'static str, Timestamp),
    /// The field reads as an instant before this one.
    Before(&'static str, Timestamp),
}

impl Filter {
    /// Whether a thing in this state passes.
    #[must_use]
    pub fn passes(&self, state: &Value) -> bool {
        let instant = |field: &str| state.get(field)?.as_str()?.parse::<Timestamp>().ok();
        match self {
            Self::Equals(field, value) => state.get(field).unwrap_or(&Value::Null) == value,
            Self::NotBefore(field, bound) => instant(field).is_some_and(|at| at >= *bound),
            Self::Before(field, bound) => instant(field).is_some_and(|at| at < *bound),
        }
    }
}

/// The clinic database did not answer; the agent knows the cause.
#[derive(Debug, thiserror::Error)]
#[error("reading {resource} records")]
pub struct RecordsError {
    /// Which things were being read.
    pub resource: String,
    /// Why it failed.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl From<RecordsError> for Rejection {
    /// Only seen when the failure is lasting: the agent retries a busy database before it refuses.
    fn from(error: RecordsError) -> Self {
        Self::agent_failed(error.to_string())
    }
}
