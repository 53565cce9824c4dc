//! What a record said at some moment: the last fact of its subject by then.

use kit_event::{Timestamp, UnitId, UnitSeq};
use kit_store::number::to_columns;
use kit_store::read::{fresh_items, get};
use kit_store::{Act, EPOCH_SEEDED, Fresh, StoreError};
use sqlx::PgPool;
use uuid::Uuid;

use crate::read_model::{TimelineRow, line, line_columns, page_sql};

/// A moment of a unit's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Right after a fact.
    Seq(UnitSeq),
    /// At a time. A unit's facts carry the time of the change, which need not grow with the number;
    /// of those that lie at or before the moment the one with the greatest number counts.
    Time(Timestamp),
}

/// Which record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// `<thing>/<id>`.
    pub name: &'a str,
    /// How the types of its own facts begin, as `patients.patient_`. Others may speak of the same
    /// subject without stating it.
    pub types: &'a str,
    /// The thing, as an epoch names those that it has stated anew.
    pub resource: &'a str,
}

/// What was last said of a record at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// The fact.
    pub fact: TimelineRow,
    /// The unit had by then stated anew everything that it still had, and this was not among it.
    pub withdrawn: bool,
}

/// Subjects have few facts, so that the filters behind the index stay cheap: by time, and by type.
macro_rules! said_sql {
    ($by_then:literal, $seeded_by_then:literal) => {
        page_sql!(
            "select ",
            line_columns!(),
            ", exists (select from timeline.fact s
                   where s.unit = $1 and s.type = $4 and s.epoch > f.epoch and ",
            $seeded_by_then,
            " and s.body->'things' ? $5) as withdrawn
             from timeline.fact f
             where f.unit = $1 and hashtextextended(f.subject, 0) = hashtextextended($2, 0)
               and f.subject = $2 and starts_with(f.type, $3) and ",
            $by_then,
            " order by f.epoch desc, f.seq desc limit 1"
        )
    };
}

const BY_SEQ: &str = said_sql!("(f.epoch, f.seq) <= ($6, $7)", "(s.epoch, s.seq) <= ($6, $7)");
const BY_TIME: &str = said_sql!("f.time <= $6", "s.time <= $6");
const EVER: &str = "select f.patient_id from timeline.fact f
    where f.unit = $1 and hashtextextended(f.subject, 0) = hashtextextended($2, 0)
      and f.subject = $2 and starts_with(f.type, $3)
    order by f.epoch, f.seq limit 1";

/// The last fact of a record at a moment; none where nothing was said of it by then.
///
/// # Errors
/// Postgres does not answer.
pub async fn said(
    pool: &PgPool,
    unit: &UnitId,
    subject: Subject<'_>,
    moment: Moment,
) -> Result<Fresh<Option<Said>>, StoreError> {
    let query = match moment {
        Moment::Seq(_) => sqlx::query(BY_SEQ),
        Moment::Time(_) => sqlx::query(BY_TIME),
    };
    let query = query
        .bind(unit.as_str())
        .bind(subject.name)
        .bind(subject.types)
        .bind(EPOCH_SEEDED)
        .bind(subject.resource);
    let query = match moment {
        Moment::Seq(seq) => {
            let (epoch, seq) = to_columns(seq)?;
            query.bind(epoch).bind(seq)
        }
        Moment::Time(time) => query.bind(time.to_utc()),
    };
    let rows = query.fetch_all(pool).await.reading("what a record said")?;
    let found = fresh_items(&rows, "seq", |row| {
        Ok(Said { fact: line(row)?, withdrawn: get(row, "withdrawn")? })
    })?;
    Ok(Fresh { freshness: found.freshness, value: found.value.into_iter().next() })
}

/// A record that the unit stated at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EverSaid {
    /// The one patient whom it concerned at first.
    pub patient_id: Option<Uuid>,
}

/// Whether the unit ever stated such a record.
///
/// # Errors
/// Postgres does not answer.
pub async fn ever_said(
    pool: &PgPool,
    unit: &UnitId,
    subject: Subject<'_>,
) -> Result<Option<EverSaid>, StoreError> {
    let row = sqlx::query(EVER)
        .bind(unit.as_str())
        .bind(subject.name)
        .bind(subject.types)
        .fetch_optional(pool)
        .await
        .reading("what a record ever said")?;
    row.map(|row| Ok(EverSaid { patient_id: get(&row, "patient_id")? })).transpose()
}
