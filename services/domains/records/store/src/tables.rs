//! One table for each resource of a chart, all of one shape.

use kit_event::Timestamp;
use kit_store::StoreError;
use kit_store::rows::{Columns, ResourceTable, Searched, Stated, upsert};
use records::rules::first_day;
use records::{Allergy, Condition, Encounter, Immunization, Observation, Procedure, Resource};
use sqlx::PgConnection;

/// Where a row of no known time stands: last of those that are shown from the newest on.
pub const UNDATED_MS: i64 = i64::MIN;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// A resource with a table.
pub trait Charted: Resource {
    /// Its table.
    const TABLE: ResourceTable;
    /// The field by which lists are filtered as `status`.
    const STATUS: &'static str;
    /// Its rows of one patient, from the newest on.
    const LIST: &'static str;
    /// One of its rows.
    const ONE: &'static str;

    /// When it was, where that is known.
    fn at_ms(&self) -> Option<i64>;
}

macro_rules! charted {
    ($name:ident, $table:literal, $key:literal, $status:literal, |$it:ident| $at:expr) => {
        impl Charted for $name {
            const TABLE: ResourceTable = ResourceTable {
                name: $table,
                resource: $name::RESOURCE,
                key: $key,
                searched: &[Searched("patient_id", "uuid"), Searched("at_ms", "bigint")],
            };
            const STATUS: &'static str = $status;
            const LIST: &'static str = concat!(
                "select a.epoch as fresh_epoch, a.seq as fresh_seq, a.time as fresh_time, t.*
                 from records.applied a left join lateral (
                     select t.",
                $key,
                " as id, t.at_ms, t.state, t.epoch, t.seq, t.stale_epoch,
                            t.stale_seq
                     from records.",
                $table,
                " t
                     where t.unit = a.unit and not t.removed and not t.withdrawn
                           and t.patient_id = "
            );
            const ONE: &'static str = concat!(
                "select a.epoch as fresh_epoch, a.seq as fresh_seq, a.time as fresh_time,
                        t.state, t.epoch, t.seq, t.stale_epoch, t.stale_seq
                 from records.applied a
                 left join records.",
                $table,
                " t on t.unit = a.unit and t.",
                $key,
                " = $2
                      and not t.removed and not t.withdrawn
                 where a.unit = $1"
            );

            fn at_ms(&self) -> Option<i64> {
                let $it = self;
                $at
            }
        }
    };
}
charted!(Encounter, "encounter", "encounter_id", "status", |it| ms(it.starts_at));
charted!(Condition, "condition", "condition_id", "clinical_status", |it| {
    it.onset_on.as_deref().and_then(day_ms).or(ms(it.recorded_at))
});
charted!(Allergy, "allergy", "allergy_id", "clinical_status", |it| ms(it.recorded_at));
charted!(Observation, "observation", "observation_id", "status", |it| ms(it.effective_at));
charted!(Procedure, "procedure", "procedure_id", "status", |it| ms(it.performed_at));
charted!(Immunization, "immunization", "immunization_id", "status", |it| ms(it.occurred_at));

fn ms(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::unix_ms)
}

/// The first day of a date that may leave out its day, or month and day.
fn day_ms(text: &str) -> Option<i64> {
    first_day(text).map(|day| i64::from(day.unix_days()) * DAY_MS)
}

/// Writes resources, each of them once.
pub(crate) async fn write<R: Charted>(
    connection: &mut PgConnection,
    states: &[Stated<'_, R>],
) -> Result<(), StoreError> {
    if states.is_empty() {
        return Ok(());
    }
    let at = |s: &Stated<'_, R>| s.resource.at_ms().unwrap_or(UNDATED_MS);
    upsert(connection, &R::TABLE, &Columns::of(states)?, |query| {
        query
            .bind(states.iter().map(|s| s.resource.patient_id()).collect::<Vec<_>>())
            .bind(states.iter().map(at).collect::<Vec<_>>())
    })
    .await
}
