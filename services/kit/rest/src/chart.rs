//! The first page of a patient's chart, to which every domain may add members of its own.
//!
//! Nobody here knows what stands on it: a face offers a part ([`crate::Face::chart`]), and whoever
//! shows the page asks for all parts that the caller may see.

use kit_event::{Timestamp, UnitId};
use kit_policy::Permission;
use kit_request::ports::Later;
use kit_store::StoreError;
use serde_json::{Map, Value};
use sqlx::PgPool;
use uuid::Uuid;

/// Members of the page; none where the domain knows nobody of that id, and so there is no page.
pub type Members<'a> = Later<'a, Result<Option<Map<String, Value>>, StoreError>>;

/// Whose page, and when it is read.
#[derive(Clone, Copy)]
pub struct Page<'a> {
    /// The read models.
    pub pool: &'a PgPool,
    /// The unit.
    pub unit: &'a UnitId,
    /// The patient.
    pub patient: Uuid,
    /// The present time.
    pub now: Timestamp,
}

/// Reads a domain's part of a page.
pub type ReadPart = for<'a> fn(Page<'a>) -> Members<'a>;

/// A domain's part of the page.
#[derive(Clone, Copy)]
pub struct Part {
    /// The read model on which it waits.
    pub schema: &'static str,
    /// What a caller must be allowed for to see it.
    pub permission: Permission,
    /// How it is read.
    pub read: ReadPart,
}
