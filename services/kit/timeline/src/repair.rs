//! What is wrong with a unit's numbering, and how often it was told so.

use kit_event::{UnitId, UnitSeq};
use kit_store::number::to_columns;
use kit_store::read::{get, seq_of};
use kit_store::{Act, StoreError};
use sqlx::PgConnection;
use uuid::Uuid;

/// A number under which two facts came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// Whose numbering split.
    pub unit: UnitId,
    /// The number.
    pub seq: UnitSeq,
    /// The fact that came first, and stands.
    pub kept: Uuid,
    /// The one that came later.
    pub other: Uuid,
}

/// Notes forks; the first of each epoch is enough to end it.
///
/// # Errors
/// Postgres does not answer.
pub async fn note_forks(connection: &mut PgConnection, forks: &[Fork]) -> Result<(), StoreError> {
    for fork in forks {
        let (epoch, seq) = to_columns(fork.seq)?;
        sqlx::query(
            "insert into fork (unit, epoch, seq, kept_id, other_id) values ($1, $2, $3, $4, $5)
             on conflict do nothing",
        )
        .bind(fork.unit.as_str())
        .bind(epoch)
        .bind(seq)
        .bind(fork.kept)
        .bind(fork.other)
        .execute(&mut *connection)
        .await
        .writing("forks")?;
    }
    Ok(())
}

/// The forks that no unit was told of yet.
///
/// # Errors
/// Postgres does not answer.
pub async fn untold_forks(connection: &mut PgConnection) -> Result<Vec<Fork>, StoreError> {
    let rows = sqlx::query("select unit, epoch, seq, kept_id, other_id from fork where not told")
        .fetch_all(connection)
        .await
        .reading("forks")?;
    rows.iter()
        .map(|row| {
            Ok(Fork {
                unit: unit_of(row)?,
                seq: seq_of(row, "epoch", "seq")?,
                kept: get(row, "kept_id")?,
                other: get(row, "other_id")?,
            })
        })
        .collect()
}

/// Notes that the unit was told to leave the fork's epoch.
///
/// # Errors
/// Postgres does not answer.
pub async fn told(connection: &mut PgConnection, fork: &Fork) -> Result<(), StoreError> {
    sqlx::query("update fork set told = true where unit = $1 and epoch = $2")
        .bind(fork.unit.as_str())
        .bind(i64::from(fork.seq.epoch))
        .execute(connection)
        .await
        .writing("forks")?;
    Ok(())
}

/// The resends asked for, as unit -> (end of the hole, how often).
///
/// # Errors
/// Postgres does not answer.
pub async fn resends(
    connection: &mut PgConnection,
) -> Result<Vec<(UnitId, UnitSeq, u32)>, StoreError> {
    let rows = sqlx::query("select unit, epoch, seq, asked from repair")
        .fetch_all(connection)
        .await
        .reading("repairs")?;
    rows.iter()
        .map(|row| {
            let asked: i32 = get(row, "asked")?;
            Ok((unit_of(row)?, seq_of(row, "epoch", "seq")?, asked.cast_unsigned()))
        })
        .collect()
}

/// Notes that what is missing up to `end` was asked for, for the `asked`th time.
///
/// # Errors
/// Postgres does not answer.
pub async fn note_resend(
    connection: &mut PgConnection,
    unit: &UnitId,
    end: UnitSeq,
    asked: u32,
) -> Result<(), StoreError> {
    let (epoch, seq) = to_columns(end)?;
    sqlx::query(
        "insert into repair (unit, epoch, seq, asked, asked_at) values ($1, $2, $3, $4, now())
         on conflict (unit) do update set epoch = excluded.epoch, seq = excluded.seq,
             asked = excluded.asked, asked_at = excluded.asked_at",
    )
    .bind(unit.as_str())
    .bind(epoch)
    .bind(seq)
    .bind(asked.cast_signed())
    .execute(connection)
    .await
    .writing("repairs")?;
    Ok(())
}

fn unit_of(row: &sqlx::postgres::PgRow) -> Result<UnitId, StoreError> {
    let unit: String = get(row, "unit")?;
    unit.parse().map_err(|_| StoreError::Unreadable { what: "unit id" })
}
