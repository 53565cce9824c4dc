//! What a domain declares of itself at REST.

use kit_event::UnitId;
use kit_policy::Permission;
use kit_request::ports::Later;
use kit_store::{Fresh, Row, StoreError};
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::route::Route;

/// A read of one record, some time later.
pub type RecordRead<'a> = Later<'a, Result<Fresh<Option<Row>>, StoreError>>;

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
}
