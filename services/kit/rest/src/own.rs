//! What a patient may reach: the own records, and of the others not even that they exist.

use std::time::{Duration, Instant};

use kit_http::Problem;
use kit_http::problem::NOT_FOUND;
use kit_store::StoreError;
use uuid::Uuid;

use crate::Rest;
use crate::guard::{InUnit, out_of_reach};

/// A patient may move what it booked a moment ago, or pay what the desk billed a moment ago, before
/// the read model has heard of it; for so long a record that is not there is looked for.
const OWN_WITHIN: Duration = Duration::from_millis(750);
/// Between two such looks.
const OWN_LOOK_EVERY: Duration = Duration::from_millis(50);

/// Lets a command about a record through. Whose record it is must be known before anything is sent
/// only for who is confined to the own ones; of the others the unit itself says whether there is
/// such a record. `look` tells its patient, once it is there.
///
/// # Errors
/// 404; the read model does not answer.
pub async fn authorize_record<F>(
    rest: &Rest,
    scope: &InUnit,
    look: impl Fn() -> F,
) -> Result<(), Problem>
where
    F: Future<Output = Result<Option<Option<Uuid>>, StoreError>>,
{
    if scope.caller.confine().map_err(out_of_reach)?.is_none() {
        return scope.authorize(None);
    }
    let begun = Instant::now();
    loop {
        if let Some(patient) = look().await.map_err(|error| rest.store_problem(&error))? {
            if let Err(out_of_reach) = scope.authorize(patient) {
                // As long as for what is not there, so that the time does not tell the two apart.
                tokio::time::sleep(OWN_WITHIN.saturating_sub(begun.elapsed())).await;
                return Err(out_of_reach);
            }
            return Ok(());
        }
        if begun.elapsed() >= OWN_WITHIN {
            return Err(NOT_FOUND.into());
        }
        tokio::time::sleep(OWN_LOOK_EVERY).await;
    }
}
