//! What a domain declares of itself at REST.

use std::collections::BTreeMap;

use kit_event::UnitId;
use kit_http::ProblemKind;
use kit_http::problem::KINDS;
use kit_policy::Permission;
use kit_request::ports::{Later, ReadModels};
use kit_store::{Fresh, Row, StoreError};
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::chart::Part;
use crate::declared::Declared;
use crate::facts::{FactAccess, Show};
use crate::problems::{self, rejection_status};
use crate::route::Route;

/// A read of one record, some time later.
pub type RecordRead<'a> = Later<'a, Result<Fresh<Option<Row>>, StoreError>>;

/// Whether a unit is registered, some time later.
pub type Registered<'a> = Later<'a, Result<bool, StoreError>>;

/// The unit that has a patient's registration, some time later.
pub type Home<'a> = Later<'a, Result<Option<UnitId>, StoreError>>;

/// A domain at REST.
pub trait Face: Send + Sync {
    /// The domain's name, which begins its types.
    fn name(&self) -> &'static str;

    /// Its routes, each with its permission and its description.
    fn routes(&self) -> Vec<Route>;

    /// Every permission that its routes name.
    fn permissions(&self) -> &'static [Permission];

    /// What a caller must be allowed for to see facts of its types.
    fn reads(&self) -> Permission;

    /// Resources that have a permission of their own: how the types of their facts begin, as
    /// `scheduling.practitioner_`, and what a caller must be allowed for to see them.
    fn reads_apart(&self) -> &'static [(&'static str, Permission)] {
        &[]
    }

    /// A state among events as the resource shows it at REST: without what it does not show there.
    fn shown(&self, body: Value) -> Value {
        body
    }

    /// What its units may answer: name, title, and what the page says.
    fn problems(&self) -> &'static [(&'static str, &'static str, &'static str)];

    /// The record of a kind, where the kind is this domain's and its commands leave such records.
    fn record<'a>(
        &self,
        pool: &'a PgPool,
        unit: &'a UnitId,
        kind: &str,
        id: Uuid,
    ) -> Option<RecordRead<'a>> {
        let _ = (pool, unit, kind, id);
        None
    }

    /// What this domain adds to the first page of a patient's chart.
    fn chart(&self) -> Option<Part> {
        None
    }

    /// Whether any fact has told of the unit, where this domain keeps the registry of units.
    fn registered<'a>(&self, pool: &'a PgPool, unit: &'a UnitId) -> Option<Registered<'a>> {
        let _ = (pool, unit);
        None
    }

    /// The unit of a patient, where this domain keeps the registrations of patients.
    fn home<'a>(&self, pool: &'a PgPool, patient: Uuid) -> Option<Home<'a>> {
        let _ = (pool, patient);
        None
    }
}

/// Every face that is served.
pub type Faces = &'static [&'static dyn Face];

/// What faces declare, in the form in which it is asked for.
pub fn declared(faces: Faces) -> Declared {
    Declared {
        problems: problem_kinds(faces).collect(),
        facts: fact_access(faces),
        commands: commands(faces),
        chart: faces.iter().filter_map(|face| face.chart()).collect(),
    }
}

/// Every kind of problem: those of everybody, and the rejections of each domain (409 where nothing
/// else is said).
pub fn problem_kinds(faces: Faces) -> impl Iterator<Item = ProblemKind> {
    let rejections = faces.iter().flat_map(|face| face.problems());
    let rejections = rejections.map(|&(slug, title, meaning)| ProblemKind {
        slug,
        status: rejection_status(slug).as_u16(),
        title,
        meaning,
    });
    KINDS.iter().chain(problems::ALL).copied().chain(rejections)
}

/// Which facts a caller may see.
pub fn fact_access(faces: Faces) -> FactAccess {
    let rules = faces.iter().flat_map(|face| {
        let apart = face.reads_apart().iter().map(|(begin, rule)| ((*begin).to_owned(), *rule));
        apart.chain([(format!("{}.", face.name()), face.reads())])
    });
    let shows = faces.iter().map(|face| {
        let show: Show = Box::new(|body| face.shown(body));
        (face.name(), show)
    });
    FactAccess::new(rules, shows)
}

/// What a caller must be allowed for to ask for each command.
fn commands(faces: Faces) -> BTreeMap<&'static str, Permission> {
    let routes = faces.iter().flat_map(|face| face.routes());
    routes.filter_map(|route| Some((route.command?.type_name, route.permission))).collect()
}

/// The read models of records, through the faces of their domains.
pub struct Records {
    /// The read models.
    pub pool: PgPool,
    /// Whose they are.
    pub faces: Faces,
}

impl ReadModels for Records {
    fn record<'a>(
        &'a self,
        unit: &'a UnitId,
        kind: &'a str,
        id: Uuid,
    ) -> Later<'a, Option<Result<Fresh<Option<Row>>, StoreError>>> {
        let read = self.faces.iter().find_map(|face| face.record(&self.pool, unit, kind, id));
        Box::pin(async move {
            match read {
                Some(read) => Some(read.await),
                None => None,
            }
        })
    }

    fn has_unit<'a>(&'a self, unit: &'a UnitId) -> Later<'a, Result<bool, StoreError>> {
        let known = self.faces.iter().find_map(|face| face.registered(&self.pool, unit));
        known.unwrap_or_else(|| Box::pin(async { Ok(false) }))
    }
}
