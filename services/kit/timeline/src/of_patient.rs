//! The facts that tell a patient something: those that concern it, and those of its unit that speak
//! of its requests without naming it.

use std::collections::HashSet;

use kit_event::{UnitId, UnitSeq};
use kit_store::number::to_columns;
use kit_store::read::{fresh_items, get, page_limit};
use kit_store::{Act, FACT_WITHHELD, Fresh, StoreError};
use sqlx::PgPool;
use uuid::Uuid;

use crate::read_model::{TimelineRow, distinct, line, line_columns, page_sql};
use crate::visible::{VisibleTypes, visible_sql};

/// Which facts to show of a patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientFilter {
    /// Whose.
    pub patient_id: Uuid,
    /// Only facts after this number.
    pub after: UnitSeq,
    /// No fact beyond this number: as far as is known which others speak of this patient.
    pub upto: UnitSeq,
    /// Only these types; all where there is none.
    pub types: Vec<String>,
    /// Facts that name nobody and yet speak of this patient. One that names somebody is left out
    /// whoever asks for it.
    pub also: Vec<UnitSeq>,
    /// Only types that the reader may see: which others the patient has, no number shows.
    pub visible: VisibleTypes,
}

/// What a fact is visible by: a placeholder by the type that it stands in for, too.
macro_rules! visible_fact_sql {
    () => {
        concat!(
            " and ",
            visible_sql!("f.type", "$11::text[], $12::bool[]"),
            " and (f.type <> $13 or ",
            visible_sql!("coalesce(f.body->>'type', '')", "$11::text[], $12::bool[]"),
            ")"
        )
    };
}

/// Both branches read one index in its own order; `also` is as long as a patient has requests.
const PAGE: &str = page_sql!(
    "select f.* from (
        (select ",
    line_columns!(),
    " from timeline.fact f
         where f.unit = $1 and f.patient_id = $5
           and (f.epoch, f.seq) > ($2, $3) and (f.epoch, f.seq) <= ($6, $7)
           and (cardinality($8::text[]) = 0 or f.type = any($8))",
    visible_fact_sql!(),
    " order by f.epoch, f.seq limit $4)
        union all
        (select ",
    line_columns!(),
    " from unnest($9::bigint[], $10::bigint[]) as also(epoch, seq)
         join timeline.fact f on f.unit = $1 and f.epoch = also.epoch and f.seq = also.seq
         where f.patient_id is null
           and (f.epoch, f.seq) > ($2, $3) and (f.epoch, f.seq) <= ($6, $7)
           and (cardinality($8::text[]) = 0 or f.type = any($8))",
    visible_fact_sql!(),
    ")
     ) f order by f.epoch, f.seq limit $4"
);

/// The facts that tell a patient something, after a number, in order.
///
/// # Errors
/// Postgres does not answer.
pub async fn of_patient(
    pool: &PgPool,
    unit: &UnitId,
    filter: &PatientFilter,
    limit: u32,
) -> Result<Fresh<Vec<TimelineRow>>, StoreError> {
    let (after, upto) = (to_columns(filter.after)?, to_columns(filter.upto)?);
    let also: Result<Vec<_>, _> = filter.also.iter().map(|seq| to_columns(*seq)).collect();
    let (epochs, seqs): (Vec<i64>, Vec<i64>) = also?.into_iter().unzip();
    let (prefixes, shown) = filter.visible.columns();
    let rows = sqlx::query(PAGE)
        .bind(unit.as_str())
        .bind(after.0)
        .bind(after.1)
        .bind(i64::from(page_limit(limit)))
        .bind(filter.patient_id)
        .bind(upto.0)
        .bind(upto.1)
        .bind(distinct(&filter.types))
        .bind(epochs)
        .bind(seqs)
        .bind(prefixes)
        .bind(shown)
        .bind(FACT_WITHHELD)
        .fetch_all(pool)
        .await
        .reading("timeline page of a patient")?;
    fresh_items(&rows, "seq", line)
}

/// Whom a stretch of new facts may tell something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concerned {
    /// These patients.
    These(HashSet<Uuid>),
    /// Anybody: it is too long to tell, or speaks of requests without naming whose.
    Anybody,
}

/// Facts of a stretch that are looked at before it counts as concerning anybody. A projector
/// commits some hundred at once.
const STRETCH_FACTS_MAX: i64 = 500;

const CONCERNED: &str = "select distinct n.patient_id from (
    select f.patient_id from timeline.fact f
    where f.unit = $1 and (f.epoch, f.seq) > ($2, $3) and (f.epoch, f.seq) <= ($4, $5)
      and (f.patient_id is not null or starts_with(f.type, 'requests.'))
    order by f.epoch, f.seq limit $6) n";

/// Whom the facts after `after` up to `upto` may tell something.
///
/// # Errors
/// Postgres does not answer.
pub async fn concerned(
    pool: &PgPool,
    unit: &UnitId,
    after: UnitSeq,
    upto: UnitSeq,
) -> Result<Concerned, StoreError> {
    // A new epoch begins with a snapshot of everybody.
    let long = i64::try_from(upto.seq.saturating_sub(after.seq)).unwrap_or(i64::MAX);
    if after.epoch != upto.epoch || long > STRETCH_FACTS_MAX {
        return Ok(Concerned::Anybody);
    }
    let (from, to) = (to_columns(after)?, to_columns(upto)?);
    let rows = sqlx::query(CONCERNED)
        .bind(unit.as_str())
        .bind(from.0)
        .bind(from.1)
        .bind(to.0)
        .bind(to.1)
        .bind(STRETCH_FACTS_MAX)
        .fetch_all(pool)
        .await
        .reading("whom new facts concern")?;
    let mut these = HashSet::with_capacity(rows.len());
    for row in &rows {
        match get::<Option<Uuid>>(row, "patient_id")? {
            Some(patient_id) => these.insert(patient_id),
            None => return Ok(Concerned::Anybody),
        };
    }
    Ok(Concerned::These(these))
}
