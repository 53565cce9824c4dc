//! What a domain's store offers to the projector, which holds a list of them and no domain noun.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use kit_event::{Fact, Request, UnitId, UnitSeq};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::error::Act;
use crate::rows::{self, ResourceTable};
use crate::{Step, StoreError};

/// Work on the projector's connection.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The fact that ends the opening of an epoch. Its name is part of the reader rules: what was not
/// seen in the epoch is withdrawn, in every domain.
pub const EPOCH_SEEDED: &str = "units.epoch_seeded";
/// The type of the placeholder that stands in for a fact whose body was withheld; its body names
/// the type that it stands in for, as `type`.
pub const FACT_WITHHELD: &str = "units.fact_withheld";

/// The cause of what only Postgres found unfit; its own words may quote the data.
const REFUSED_BY_POSTGRES: &str = "postgres refused its data";

/// A fact and its place on `unit.facts`.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The fact; every domain that reads it has the same one.
    pub fact: Arc<Fact>,
    /// Its partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// When it was put on the log, in milliseconds since 1970, by the clock of the edge that put it
    /// there: what orders facts of different partitions.
    pub logged_ms: i64,
}

/// A request and its place on `unit.requests`.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The request.
    pub request: Request,
    /// Which log: `<cluster id>/<topic>/<partition>`.
    pub log: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset there.
    pub position: i64,
}

/// A stretch of `unit.requests` that the log no longer has, and that a copy has not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Which log: `<cluster id>/<topic>/<partition>`.
    pub log: String,
    /// The first position of it.
    pub from: i64,
    /// The first position after it.
    pub to: i64,
}

/// A fact that reads, and that a domain cannot take up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unapplied {
    /// Its place in the slice that was given.
    pub index: usize,
    /// Why, without anything of its body.
    pub cause: String,
}

/// A thing whose present state could not be taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    /// Whose.
    pub unit: UnitId,
    /// Its name, as `appointment`.
    pub resource: String,
    /// Its id, as the fact's subject names it.
    pub id: String,
    /// The fact that could not be taken up.
    pub since: UnitSeq,
}

impl Stale {
    /// The thing that `fact` is about, where its subject names one.
    #[must_use]
    pub fn of(fact: &Fact) -> Option<Self> {
        let (resource, id) = fact.subject.as_deref()?.split_once('/')?;
        let (unit, since) = (fact.unit.clone(), fact.seq);
        Some(Self { unit, resource: resource.to_owned(), id: id.to_owned(), since })
    }
}

/// A unit has stated all its things anew in an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeded {
    /// Which unit.
    pub unit: UnitId,
    /// The epoch that is whole now.
    pub epoch: u32,
    /// Names of the things that were stated; only of these is what was not seen withdrawn.
    pub resources: Vec<String>,
}

impl Seeded {
    /// What [`EPOCH_SEEDED`] says; none where its body names no things.
    #[must_use]
    pub fn of(fact: &Fact) -> Option<Self> {
        let named = fact.body.get("things")?.as_array()?;
        let resources: Option<Vec<String>> =
            named.iter().map(|resource| resource.as_str().map(str::to_owned)).collect();
        Some(Self { unit: fact.unit.clone(), epoch: fact.seq.epoch, resources: resources? })
    }
}

/// A domain's tables, as the projector fills them. Every function runs inside the projector's
/// transaction, on a connection whose search path is the domain's schema.
pub trait Projection: Send + Sync + 'static {
    /// The domain's name, and that of its schema.
    fn schema(&self) -> &'static str;

    /// Its migrations.
    fn steps(&self) -> &'static [Step];

    /// Whether facts of this type change its tables. Others only move the unit's number.
    fn reads(&self, type_name: &str) -> bool;

    /// Whether it reads `unit.requests` beside the facts.
    fn reads_requests(&self) -> bool {
        false
    }

    /// Whether it speaks for all domains: it keeps every fact, so it alone parks what does not
    /// read, reports forks and asks for what is missing.
    fn is_coordinator(&self) -> bool {
        false
    }

    /// Writes the rows of facts, which come in the order of each unit's numbers. Gives back those
    /// that it cannot take up.
    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        entries: &'a [Entry],
    ) -> Work<'a, Vec<Unapplied>>;

    /// Its tables of things, which are withdrawn and stale by the usual columns.
    fn resources(&self) -> &'static [ResourceTable] {
        &[]
    }

    /// Marks the rows of units that were not seen in the epoch; deletes none.
    fn withdraw<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        seeded: &'a [Seeded],
    ) -> Work<'a, ()> {
        Box::pin(rows::withdraw(connection, self.resources(), seeded))
    }

    /// Marks the rows of things whose newer state could not be taken up.
    fn mark_stale<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        stale: &'a [Stale],
    ) -> Work<'a, ()> {
        Box::pin(rows::mark_stale(connection, self.resources(), stale))
    }

    /// Writes the rows of requests; none but [`Projection::reads_requests`] gets any.
    fn accept<'a>(&'a self, connection: &'a mut PgConnection, asked: &'a [Asked]) -> Work<'a, ()> {
        let _ = (connection, asked);
        Box::pin(async { Ok(()) })
    }

    /// Takes over from the live copy, which stands in the schema `live`, what stretches of
    /// `unit.requests` said that the log no longer has. The rows become as if those stretches had
    /// just been read.
    fn inherit<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        live: &'a str,
        gaps: &'a [Gap],
    ) -> Work<'a, ()> {
        let _ = (connection, live, gaps);
        Box::pin(async { Ok(()) })
    }

    /// Tables that tell what this reader has done, which no log tells. They are not compared, and a
    /// copy that becomes the live one takes their rows over.
    fn own_deeds(&self) -> &'static [&'static str] {
        &[]
    }

    /// The ids stored under these numbers; only the keeper has them.
    fn known_ids<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        numbers: &'a [(UnitId, UnitSeq)],
    ) -> Work<'a, HashMap<(UnitId, UnitSeq), Uuid>> {
        let _ = (connection, numbers);
        Box::pin(async { Ok(HashMap::new()) })
    }
}

/// Applies each fact under a savepoint of its own, so that one that Postgres itself refuses (text
/// too long for an index, a number out of range) is set aside instead of holding up all units.
/// Slow, hence only tried after the same facts failed together.
///
/// # Errors
/// Postgres does not answer.
pub async fn apply_one_by_one(
    projection: &dyn Projection,
    connection: &mut PgConnection,
    entries: &[Entry],
) -> Result<Vec<Unapplied>, StoreError> {
    let mut refused = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let mut savepoint = connection.begin().await.writing("savepoint")?;
        match projection.apply(&mut savepoint, std::slice::from_ref(entry)).await {
            Ok(alone) => {
                savepoint.commit().await.writing("savepoint")?;
                refused.extend(alone.into_iter().map(|r| Unapplied { index, cause: r.cause }));
            }
            Err(error) if error.is_refused_data() => {
                savepoint.rollback().await.writing("savepoint")?;
                refused.push(Unapplied { index, cause: REFUSED_BY_POSTGRES.to_owned() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}

/// As [`apply_one_by_one`], for requests.
///
/// # Errors
/// Postgres does not answer.
pub async fn accept_one_by_one(
    projection: &dyn Projection,
    connection: &mut PgConnection,
    asked: &[Asked],
) -> Result<Vec<Unapplied>, StoreError> {
    let mut refused = Vec::new();
    for (index, one) in asked.iter().enumerate() {
        let mut savepoint = connection.begin().await.writing("savepoint")?;
        match projection.accept(&mut savepoint, std::slice::from_ref(one)).await {
            Ok(()) => savepoint.commit().await.writing("savepoint")?,
            Err(error) if error.is_refused_data() => {
                savepoint.rollback().await.writing("savepoint")?;
                refused.push(Unapplied { index, cause: REFUSED_BY_POSTGRES.to_owned() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}
