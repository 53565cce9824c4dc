//! What a patient may reach: the own records, and of the others not even that they exist.

use std::time::{Duration, Instant};

use kit_http::Problem;
use kit_http::problem::NOT_FOUND;
use kit_policy::Reach;
use kit_store::StoreError;
use uuid::Uuid;

use crate::Rest;
use crate::guard::InUnit;

/// A patient may move what it booked a moment ago, or pay what the desk billed a moment ago, before
/// the read model has heard of it; for so long a record that is not there is looked for.
const OWN_WITHIN: Duration = Duration::from_millis(750);
/// Between two such looks.
const OWN_LOOK_EVERY: Duration = Duration::from_millis(50);

/// Confines a list to the caller's own records, where the caller is a patient: to ask for somebody
/// else's is to ask for nothing.
///
/// # Errors
/// 404.
pub fn only_own(scope: &InUnit, asked_for: &mut Option<Uuid>) -> Result<(), Problem> {
    if scope.caller.reach != Reach::Own {
        return Ok(());
    }
    let own = scope.caller.own_patient();
    if asked_for.is_some() && *asked_for != own {
        return Err(NOT_FOUND.into());
    }
    *asked_for = Some(own.ok_or(NOT_FOUND)?);
    Ok(())
}

/// Only for patients: whose record it is must be known before anything is sent. Of the others the
/// unit itself says whether there is such a record. `look` tells its patient, once it is there.
///
/// # Errors
/// 404; the read model does not answer.
pub async fn must_be_own<F>(
    rest: &Rest,
    scope: &InUnit,
    look: impl Fn() -> F,
) -> Result<(), Problem>
where
    F: Future<Output = Result<Option<Option<Uuid>>, StoreError>>,
{
    if scope.caller.reach != Reach::Own {
        return Ok(());
    }
    let begun = Instant::now();
    loop {
        if let Some(patient) = look().await.map_err(|error| rest.store_problem(&error))? {
            if scope.caller.sees_patient(patient) {
                return Ok(());
            }
            // As long as for what is not there, so that the time does not tell the two apart.
            tokio::time::sleep(OWN_WITHIN.saturating_sub(begun.elapsed())).await;
            return Err(NOT_FOUND.into());
        }
        if begun.elapsed() >= OWN_WITHIN {
            return Err(NOT_FOUND.into());
        }
        tokio::time::sleep(OWN_LOOK_EVERY).await;
    }
}
