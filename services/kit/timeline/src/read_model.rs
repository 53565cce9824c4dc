//! The table `fact`: its only writer and reader.

use std::collections::{BTreeSet, HashMap};

use kit_event::{RequestId, Timestamp, UnitId, UnitSeq};
use kit_store::json::storable;
use kit_store::number::to_columns;
use kit_store::read::{fresh_items, get, page_limit, seq_of};
use kit_store::{Act, Entry, Fresh, Projection, Seeded, Stale, Step, StoreError, Unapplied, Work};
use serde_json::Value;
use sqlx::types::Json;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// The timeline's projection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timeline;

impl Timeline {
    /// The name of the schema.
    pub const SCHEMA: &'static str = "timeline";
}

const STEPS: &[Step] = &[
    Step { version: 1001, name: "fact", sql: include_str!("../migrations/1001_fact.sql") },
    Step { version: 1002, name: "repair", sql: include_str!("../migrations/1002_repair.sql") },
    Step { version: 1003, name: "subject", sql: include_str!("../migrations/1003_subject.sql") },
];

/// A line of the timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct TimelineRow {
    /// Its number.
    pub seq: UnitSeq,
    /// Its id.
    pub id: Uuid,
    /// Its type.
    pub type_name: String,
    /// Version of the type's schema.
    pub version: u32,
    /// When the unit numbered it.
    pub time: Timestamp,
    /// `<thing>/<id>`.
    pub subject: Option<String>,
    /// The one patient it concerns.
    pub patient_id: Option<Uuid>,
    /// The request that caused it.
    pub causation_id: Option<RequestId>,
    /// Its partition of `unit.facts`.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// The state after it of the thing it is about.
    pub body: Value,
}

/// Which facts to show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only facts after this number.
    pub after: UnitSeq,
    /// Only these types; all where there is none.
    pub types: Vec<String>,
    /// Only facts that concern this patient.
    pub patient_id: Option<Uuid>,
}

impl Projection for Timeline {
    fn schema(&self) -> &'static str {
        Self::SCHEMA
    }

    fn steps(&self) -> &'static [Step] {
        STEPS
    }

    fn reads(&self, _type_name: &str) -> bool {
        true
    }

    fn is_coordinator(&self) -> bool {
        true
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        entries: &'a [Entry],
    ) -> Work<'a, Vec<Unapplied>> {
        Box::pin(insert(connection, entries))
    }

    /// What happened stays what happened.
    fn withdraw<'a>(&'a self, _: &'a mut PgConnection, _: &'a [Seeded]) -> Work<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// A line is no state of a thing.
    fn mark_stale<'a>(&'a self, _: &'a mut PgConnection, _: &'a [Stale]) -> Work<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// What was asked of units, and which of them know of their forks: asked again, it would only
    /// make them work.
    fn own_deeds(&self) -> &'static [&'static str] {
        &["repair", "fork"]
    }

    fn known_ids<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        numbers: &'a [(UnitId, UnitSeq)],
    ) -> Work<'a, HashMap<(UnitId, UnitSeq), Uuid>> {
        Box::pin(known_ids(connection, numbers))
    }
}

async fn insert(
    connection: &mut PgConnection,
    entries: &[Entry],
) -> Result<Vec<Unapplied>, StoreError> {
    let mut numbers = (Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
    let mut bodies = Vec::with_capacity(entries.len());
    for entry in entries {
        let (epoch, seq) = to_columns(entry.fact.seq)?;
        numbers.0.push(epoch);
        numbers.1.push(seq);
        bodies.push(Json(storable(&entry.fact.body)));
    }
    let texts = |of: fn(&Entry) -> Option<&str>| {
        entries.iter().map(|e| of(e).map(without_nul)).collect::<Vec<_>>()
    };
    sqlx::query(
        "insert into fact (unit, epoch, seq, id, type, version, time, subject, patient_id,
                           causation_id, partition, log_offset, body)
         select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::uuid[], $5::text[],
             $6::int[], $7::timestamptz[], $8::text[], $9::uuid[], $10::text[], $11::int[],
             $12::bigint[], $13::jsonb[])
         on conflict do nothing",
    )
    .bind(texts(|e| Some(e.fact.unit.as_str())))
    .bind(numbers.0)
    .bind(numbers.1)
    .bind(entries.iter().map(|e| e.fact.id).collect::<Vec<_>>())
    .bind(texts(|e| Some(&e.fact.type_name)))
    .bind(entries.iter().map(|e| e.fact.version.cast_signed()).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.fact.time.to_utc()).collect::<Vec<_>>())
    .bind(texts(|e| e.fact.subject.as_deref()))
    .bind(entries.iter().map(|e| e.fact.patient_id).collect::<Vec<_>>())
    .bind(texts(|e| e.fact.causation_id.as_ref().map(RequestId::as_str)))
    .bind(entries.iter().map(|e| e.partition).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.offset).collect::<Vec<_>>())
    .bind(bodies)
    .execute(connection)
    .await
    .writing("timeline facts")?;
    Ok(Vec::new())
}

/// Headers are text from outside as bodies are; see [`storable`].
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

async fn known_ids(
    connection: &mut PgConnection,
    numbers: &[(UnitId, UnitSeq)],
) -> Result<HashMap<(UnitId, UnitSeq), Uuid>, StoreError> {
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for (unit, number) in numbers {
        let (epoch, seq) = to_columns(*number)?;
        columns.0.push(unit.as_str());
        columns.1.push(epoch);
        columns.2.push(seq);
    }
    let rows = sqlx::query(
        "select f.unit, f.epoch, f.seq, f.id
         from unnest($1::text[], $2::bigint[], $3::bigint[]) as n(unit, epoch, seq)
         join fact f on f.unit = n.unit and f.epoch = n.epoch and f.seq = n.seq",
    )
    .bind(columns.0)
    .bind(columns.1)
    .bind(columns.2)
    .fetch_all(connection)
    .await
    .reading("timeline ids")?;
    rows.iter()
        .map(|row| {
            let unit: String = get(row, "unit")?;
            let unit = unit.parse().map_err(|_| StoreError::Unreadable { what: "unit id" })?;
            Ok(((unit, seq_of(row, "epoch", "seq")?), get(row, "id")?))
        })
        .collect()
}

/// The columns of a line, for statements that name the table `f`.
macro_rules! line_columns {
    () => {
        "f.epoch, f.seq, f.id, f.type, f.version, f.time, f.subject, f.patient_id, f.causation_id,
         f.partition, f.log_offset, f.body"
    };
}
pub(crate) use line_columns;

/// A page of the lines that `$lines` selects, in order. How fresh it is comes with every line, of
/// the same snapshot, and alone where there is no line.
macro_rules! page_sql {
    ($($lines:expr),+) => {
        concat!(
            "select a.epoch as fresh_epoch, a.seq as fresh_seq, a.time as fresh_time, f.*
             from timeline.applied a left join lateral (",
            $($lines),+,
            ") f on true
             where a.unit = $1
             order by f.epoch, f.seq"
        )
    };
}
pub(crate) use page_sql;

/// Lines after a number under one more condition, read off one index in its own order.
macro_rules! after_sql {
    ($condition:literal) => {
        concat!(
            "select ",
            line_columns!(),
            " from timeline.fact f where f.unit = $1 and (f.epoch, f.seq) > ($2, $3) ",
            $condition,
            " order by f.epoch, f.seq limit $4"
        )
    };
}

/// Each type is read off its own stretch of the index, as many lines as the page has: one statement
/// with `type = any(..)` would sort every line of these types first.
const OF_TYPES: &str = page_sql!(
    "select f.* from unnest($5::text[]) as named(type) cross join lateral (",
    after_sql!("and f.type = named.type"),
    ") f order by f.epoch, f.seq limit $4"
);

/// The facts of a unit after a number, in order.
///
/// # Errors
/// Postgres does not answer.
pub async fn events(
    pool: &PgPool,
    unit: &UnitId,
    filter: &EventFilter,
    limit: u32,
) -> Result<Fresh<Vec<TimelineRow>>, StoreError> {
    let (epoch, seq) = to_columns(filter.after)?;
    // Each filter has an index of its own, so each has a statement of its own.
    let sql = match (filter.types.is_empty(), filter.patient_id.is_some()) {
        (true, false) => page_sql!(after_sql!("")),
        (false, false) => OF_TYPES,
        (true, true) => page_sql!(after_sql!("and f.patient_id = $6")),
        (false, true) => page_sql!(after_sql!("and f.type = any($5) and f.patient_id = $6")),
    };
    let rows = sqlx::query(sql)
        .bind(unit.as_str())
        .bind(epoch)
        .bind(seq)
        .bind(i64::from(page_limit(limit)))
        .bind(distinct(&filter.types))
        .bind(filter.patient_id)
        .fetch_all(pool)
        .await
        .reading("timeline page")?;
    fresh_items(&rows, "seq", line)
}

/// Whether the unit stated a fact of this number.
///
/// # Errors
/// Postgres does not answer.
pub async fn holds(pool: &PgPool, unit: &UnitId, seq: UnitSeq) -> Result<bool, StoreError> {
    let Ok((epoch, seq)) = to_columns(seq) else { return Ok(false) };
    sqlx::query_scalar(
        "select exists (select from timeline.fact f
             where f.unit = $1 and f.epoch = $2 and f.seq = $3)",
    )
    .bind(unit.as_str())
    .bind(epoch)
    .bind(seq)
    .fetch_one(pool)
    .await
    .reading("timeline number")
}

/// A type that is named twice is meant once.
pub(crate) fn distinct(types: &[String]) -> Vec<&str> {
    let named: BTreeSet<&str> = types.iter().map(String::as_str).collect();
    named.into_iter().collect()
}

/// Takes a line off a row that has [`line_columns`].
pub(crate) fn line(row: &sqlx::postgres::PgRow) -> Result<TimelineRow, StoreError> {
    let version: i32 = get(row, "version")?;
    let time: DateTime<Utc> = get(row, "time")?;
    let causation: Option<String> = get(row, "causation_id")?;
    Ok(TimelineRow {
        seq: seq_of(row, "epoch", "seq")?,
        id: get(row, "id")?,
        type_name: get(row, "type")?,
        version: version.cast_unsigned(),
        time: Timestamp::from(time),
        subject: get(row, "subject")?,
        patient_id: get(row, "patient_id")?,
        causation_id: causation.and_then(|id| id.parse().ok()),
        partition: get(row, "partition")?,
        offset: get(row, "log_offset")?,
        body: get(row, "body")?,
    })
}
