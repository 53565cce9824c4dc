//! Reading the first page of a chart from the parts that the faces offer.

use http::HeaderMap;
use kit_http::Problem;
use kit_http::problem::NOT_FOUND;
use kit_policy::{Resource, authorize};
use kit_store::Freshness;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::Rest;
use crate::chart::{Page, Part};
use crate::guard::InUnit;
use crate::headers::min_seq;

impl Rest {
    /// The page of `patient`, and how fresh its slowest part is.
    ///
    /// # Errors
    /// 404 where there is no such patient, or none within reach; `read-model-behind`.
    pub async fn chart(
        &self,
        scope: &InUnit,
        patient: Uuid,
        headers: &HeaderMap,
    ) -> Result<(Map<String, Value>, Option<Freshness>), Problem> {
        scope.authorize(Some(patient))?;
        let resource = Resource::of(&scope.unit).about(Some(patient));
        let parts: Vec<&Part> = self
            .declared
            .chart
            .iter()
            .filter(|part| authorize(&scope.caller.verified, &part.permission, &resource).is_ok())
            .collect();
        if let Some(wanted) = min_seq(headers)? {
            for part in &parts {
                self.reach_seq(&scope.unit, part.schema, wanted).await?;
            }
        }
        let page =
            Page { pool: &self.pool, unit: &scope.unit, patient, now: self.requests.clock.now() };
        // Before the parts: what they hold is at least as new as it says.
        let schemas: Vec<&'static str> = parts.iter().map(|part| part.schema).collect();
        let freshness = kit_store::freshness(&self.pool, &scope.unit, &schemas).await;
        let freshness = freshness.map_err(|error| self.store_problem(&error))?;
        let mut members = Map::new();
        for part in parts {
            let read = (part.read)(page).await.map_err(|error| self.store_problem(&error))?;
            members.extend(read.ok_or(NOT_FOUND)?);
        }
        Ok((members, freshness))
    }
}
