//! Facts as they stand in the spool, read back.

use kit_event::{Timestamp, UnitSeq};
use kit_link::{Durable, FactFrame};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::error::{Act, WorkerError};
use crate::spool::Spool;

const COLUMNS: &str =
    "epoch, seq, id, type, version, time_ms, subject, patient_id, causation_id, traceparent, body";

impl Spool {
    /// Facts after `after`, in order, up to and with `to`.
    ///
    /// # Errors
    /// The spool refuses.
    pub fn facts(
        &self,
        after: UnitSeq,
        to: UnitSeq,
        limit: usize,
    ) -> Result<Vec<FactFrame>, WorkerError> {
        let read = || -> rusqlite::Result<Vec<FactFrame>> {
            self.conn()
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM facts
                     WHERE (epoch, seq) > (?1, ?2) AND (epoch, seq) <= (?3, ?4)
                     ORDER BY epoch, seq LIMIT ?5"
                ))?
                .query_map(
                    (
                        after.epoch,
                        after.seq,
                        to.epoch,
                        to.seq,
                        i64::try_from(limit).unwrap_or(i64::MAX),
                    ),
                    fact_frame,
                )?
                .collect()
        };
        read().spool("reading facts")
    }

    /// Facts of one type in an epoch.
    ///
    /// # Errors
    /// The spool refuses.
    pub fn facts_of_type(
        &self,
        epoch: u32,
        type_name: &str,
    ) -> Result<Vec<FactFrame>, WorkerError> {
        let read = || -> rusqlite::Result<Vec<FactFrame>> {
            self.conn()
                .prepare(&format!("SELECT {COLUMNS} FROM facts WHERE epoch = ?1 AND type = ?2"))?
                .query_map((epoch, type_name), fact_frame)?
                .collect()
        };
        read().spool("reading facts of a type")
    }

    /// Facts that wait to be acknowledged, and the time of the oldest.
    ///
    /// # Errors
    /// The spool refuses.
    pub fn unacked(&self, acked: UnitSeq) -> Result<(u64, Option<Timestamp>), WorkerError> {
        let end = self.last_seq();
        // Counted only across epochs: within one, numbers have no gaps.
        let count = if acked.epoch == end.epoch {
            Ok(end.seq.saturating_sub(acked.seq))
        } else {
            self.conn()
                .prepare_cached("SELECT count(*) FROM facts WHERE (epoch, seq) > (?1, ?2)")
                .and_then(|mut statement| {
                    statement.query_row((acked.epoch, acked.seq), |row| row.get(0))
                })
                .spool("counting facts")
        }?;
        let oldest = self.facts(acked, end, 1)?.first().map(|fact| fact.time);
        Ok((count, oldest))
    }
}

/// The last fact in a spool.
///
/// # Errors
/// The spool refuses.
pub fn last(conn: &Connection) -> Result<Option<Durable>, WorkerError> {
    conn.query_row(
        "SELECT epoch, seq, id FROM facts ORDER BY epoch DESC, seq DESC LIMIT 1",
        [],
        |row| Ok(Durable { seq: UnitSeq::new(row.get(0)?, row.get(1)?), id: parsed(row, 2)? }),
    )
    .optional()
    .spool("reading the last fact")
}

fn fact_frame(row: &Row<'_>) -> rusqlite::Result<FactFrame> {
    Ok(FactFrame {
        seq: UnitSeq::new(row.get(0)?, row.get(1)?),
        id: parsed(row, 2)?,
        type_name: row.get(3)?,
        version: row.get(4)?,
        time: Timestamp::from_unix_ms(row.get(5)?),
        subject: row.get(6)?,
        patient_id: optional(row, 7)?,
        causation_id: optional(row, 8)?,
        traceparent: row.get(9)?,
        body: parsed(row, 10)?,
    })
}

fn parsed<T: std::str::FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}

fn optional<T: std::str::FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => parsed(row, column).map(Some),
    }
}
