//! A reader's progress in the tables of its schema: offsets, applied numbers, held records.
//!
//! Every function works on the connection of [`crate::writer`], whose search path is the schema,
//! and inside the caller's transaction where there is one.

use std::collections::HashMap;

use kit_event::{Timestamp, UnitId, UnitSeq};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use crate::error::Act;
use crate::number::{from_columns, to_columns};
use crate::{Reading, StoreError};

/// The offsets table, as (topic, partition) -> next offset.
pub type Offsets = HashMap<(String, i32), i64>;

/// One step of a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// Which topic, by its full name.
    pub topic: String,
    /// Which partition.
    pub partition: i32,
    /// Where this reader left it.
    pub from: i64,
    /// Where it stands after the batch.
    pub to: i64,
}

/// A record that came ahead of a hole, exactly as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRecord {
    /// Whose fact it is: the record's key.
    pub unit: UnitId,
    /// Its number.
    pub seq: UnitSeq,
    /// Its id.
    pub id: Uuid,
    /// Its place on the log.
    pub partition: i32,
    /// Its place on the log.
    pub offset: i64,
    /// The log's own time for it.
    pub timestamp_ms: i64,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its value.
    pub payload: Vec<u8>,
}

/// Makes sure that these tables belong to the log of that Kafka cluster; tables that belong to none
/// yet are its own from now on.
///
/// # Errors
/// [`StoreError::OtherLog`]; Postgres does not answer.
pub async fn belong_to(connection: &mut PgConnection, cluster: &str) -> Result<(), StoreError> {
    sqlx::query("insert into log (cluster) values ($1) on conflict do nothing")
        .bind(cluster)
        .execute(&mut *connection)
        .await
        .writing("log")?;
    let stored: String =
        sqlx::query_scalar("select cluster from log").fetch_one(connection).await.reading("log")?;
    if stored == cluster {
        return Ok(());
    }
    Err(StoreError::OtherLog { stored, found: cluster.to_owned() })
}

/// Reads where each partition stands.
///
/// # Errors
/// Postgres does not answer.
pub async fn load_offsets(connection: &mut PgConnection) -> Result<Offsets, StoreError> {
    let rows: Vec<(String, i32, i64)> =
        sqlx::query_as("select topic, partition, next_offset from offsets")
            .fetch_all(connection)
            .await
            .reading("offsets")?;
    Ok(rows.into_iter().map(|(topic, partition, next)| ((topic, partition), next)).collect())
}

/// Writes where partitions that were never read begin; one that has a position keeps it.
///
/// # Errors
/// Postgres does not answer.
pub async fn begin_offsets(
    connection: &mut PgConnection,
    topic: &str,
    starts: &[(i32, i64)],
) -> Result<(), StoreError> {
    let (partitions, offsets): (Vec<i32>, Vec<i64>) = starts.iter().copied().unzip();
    sqlx::query(
        "insert into offsets (topic, partition, next_offset)
         select $1, p, o from unnest($2::int[], $3::bigint[]) as n(p, o)
         on conflict do nothing",
    )
    .bind(topic)
    .bind(partitions)
    .bind(offsets)
    .execute(connection)
    .await
    .writing("offsets")?;
    Ok(())
}

/// Moves positions of one copy, each only from where this reader left it.
///
/// # Errors
/// [`StoreError::OtherCopy`] when the tables are another copy by now; [`StoreError::ForeignOwner`]
/// when a position stood elsewhere: another process reads for this domain.
pub async fn advance_copy(
    connection: &mut PgConnection,
    copy: Uuid,
    advances: &[Advance],
) -> Result<(), StoreError> {
    let (moved, wanted) = (move_on(connection, Some(copy), advances).await?, advances.len() as u64);
    if moved == wanted {
        return Ok(());
    }
    if crate::copies::identity(connection).await? != copy {
        return Err(StoreError::OtherCopy);
    }
    Err(StoreError::ForeignOwner { moved, wanted })
}

/// As [`advance_copy`], for a reader that has one copy for ever.
///
/// # Errors
/// [`StoreError::ForeignOwner`].
pub async fn advance_offsets(
    connection: &mut PgConnection,
    advances: &[Advance],
) -> Result<(), StoreError> {
    let (moved, wanted) = (move_on(connection, None, advances).await?, advances.len() as u64);
    if moved == wanted { Ok(()) } else { Err(StoreError::ForeignOwner { moved, wanted }) }
}

async fn move_on(
    connection: &mut PgConnection,
    copy: Option<Uuid>,
    advances: &[Advance],
) -> Result<u64, StoreError> {
    let topics: Vec<&str> = advances.iter().map(|a| a.topic.as_str()).collect();
    let partitions: Vec<i32> = advances.iter().map(|a| a.partition).collect();
    let from: Vec<i64> = advances.iter().map(|a| a.from).collect();
    let to: Vec<i64> = advances.iter().map(|a| a.to).collect();
    let done = sqlx::query(
        "update offsets o set next_offset = n.upto
         from unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[])
              as n(topic, partition, since, upto)
         where o.topic = n.topic and o.partition = n.partition and o.next_offset = n.since
             and ($5::uuid is null or $5 = (select id from copy))",
    )
    .bind(topics)
    .bind(partitions)
    .bind(from)
    .bind(to)
    .bind(copy)
    .execute(connection)
    .await
    .writing("offsets")?;
    Ok(done.rows_affected())
}

/// Reads where this reader stands with every unit, held facts included.
///
/// # Errors
/// Postgres does not answer, or holds what no version wrote.
pub async fn load_readings(
    connection: &mut PgConnection,
) -> Result<HashMap<UnitId, Reading>, StoreError> {
    let rows = sqlx::query("select unit, epoch, seq, id, seen_epoch, seen_seq from applied")
        .fetch_all(&mut *connection)
        .await
        .reading("applied")?;
    let mut readings = HashMap::with_capacity(rows.len());
    for row in rows {
        let applied = from_columns(row.get("epoch"), row.get("seq"))?;
        let seen = from_columns(row.get("seen_epoch"), row.get("seen_seq"))?;
        let reading = Reading::restored(applied, row.get("id"), seen);
        readings.insert(unit_from(row.get("unit"))?, reading);
    }
    let held: Vec<(String, i64, i64, Uuid)> =
        sqlx::query_as("select unit, epoch, seq, id from held")
            .fetch_all(connection)
            .await
            .reading("held")?;
    for (unit, epoch, seq, id) in held {
        let reading: &mut Reading = readings.entry(unit_from(&unit)?).or_default();
        reading.restore_held(from_columns(epoch, seq)?, id);
    }
    Ok(readings)
}

/// Stores where this reader stands with the units of a batch. `time` is that of the last fact
/// applied; none where nothing was applied, and then the stored one stays.
///
/// # Errors
/// Postgres does not answer.
pub async fn save_readings(
    connection: &mut PgConnection,
    readings: &[(&UnitId, &Reading, Option<Timestamp>)],
) -> Result<(), StoreError> {
    let mut units = Vec::with_capacity(readings.len());
    let (mut epochs, mut seqs) = (Vec::new(), Vec::new());
    let (mut seen_epochs, mut seen_seqs) = (Vec::new(), Vec::new());
    let (mut ids, mut times) = (Vec::new(), Vec::new());
    for (unit, reading, time) in readings {
        let (epoch, seq) = to_columns(reading.applied())?;
        let (seen_epoch, seen_seq) = to_columns(reading.seen())?;
        units.push(unit.as_str());
        epochs.push(epoch);
        seqs.push(seq);
        ids.push(reading.applied_id());
        times.push(time.map(Timestamp::to_utc));
        seen_epochs.push(seen_epoch);
        seen_seqs.push(seen_seq);
    }
    sqlx::query(
        "insert into applied (unit, epoch, seq, id, time, seen_epoch, seen_seq)
         select n.unit, n.epoch, n.seq, n.id, coalesce(n.time, to_timestamp(0)), n.se, n.ss
         from unnest($1::text[], $2::bigint[], $3::bigint[], $4::uuid[], $5::timestamptz[],
                     $6::bigint[], $7::bigint[]) as n(unit, epoch, seq, id, time, se, ss)
         on conflict (unit) do update set epoch = excluded.epoch, seq = excluded.seq,
             id = excluded.id, seen_epoch = excluded.seen_epoch, seen_seq = excluded.seen_seq,
             time = case when excluded.time = to_timestamp(0) then applied.time
                         else excluded.time end",
    )
    .bind(units)
    .bind(epochs)
    .bind(seqs)
    .bind(ids)
    .bind(times)
    .bind(seen_epochs)
    .bind(seen_seqs)
    .execute(connection)
    .await
    .writing("applied")?;
    Ok(())
}

/// Keeps records that came ahead of a hole.
///
/// # Errors
/// Postgres does not answer.
pub async fn keep_held(
    connection: &mut PgConnection,
    records: &[HeldRecord],
) -> Result<(), StoreError> {
    let mut units = Vec::with_capacity(records.len());
    let (mut epochs, mut seqs, mut headers) = (Vec::new(), Vec::new(), Vec::new());
    for record in records {
        let (epoch, seq) = to_columns(record.seq)?;
        units.push(record.unit.as_str());
        epochs.push(epoch);
        seqs.push(seq);
        headers.push(headers_to_text(&record.headers)?);
    }
    sqlx::query(
        "insert into held (unit, epoch, seq, id, partition, log_offset, timestamp_ms, headers,
                           payload)
         select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::uuid[], $5::int[],
                              $6::bigint[], $7::bigint[], $8::text[], $9::bytea[])",
    )
    .bind(units)
    .bind(epochs)
    .bind(seqs)
    .bind(records.iter().map(|r| r.id).collect::<Vec<_>>())
    .bind(records.iter().map(|r| r.partition).collect::<Vec<_>>())
    .bind(records.iter().map(|r| r.offset).collect::<Vec<_>>())
    .bind(records.iter().map(|r| r.timestamp_ms).collect::<Vec<_>>())
    .bind(headers)
    .bind(records.iter().map(|r| r.payload.as_slice()).collect::<Vec<_>>())
    .execute(connection)
    .await
    .writing("held")?;
    Ok(())
}

/// Reads held records of one unit from `first` to `last`, of one epoch, in order.
///
/// # Errors
/// Postgres does not answer, or holds what no version wrote.
pub async fn read_held(
    connection: &mut PgConnection,
    unit: &UnitId,
    first: UnitSeq,
    last: UnitSeq,
) -> Result<Vec<HeldRecord>, StoreError> {
    let (epoch, low) = to_columns(first)?;
    let (last_epoch, high) = to_columns(last)?;
    let rows = sqlx::query(
        "select epoch, seq, id, partition, log_offset, timestamp_ms, headers, payload from held
         where unit = $1 and (epoch, seq) >= ($2, $3) and (epoch, seq) <= ($4, $5)
         order by epoch, seq",
    )
    .bind(unit.as_str())
    .bind(epoch)
    .bind(low)
    .bind(last_epoch)
    .bind(high)
    .fetch_all(connection)
    .await
    .reading("held")?;
    rows.into_iter()
        .map(|row| {
            Ok(HeldRecord {
                unit: unit.clone(),
                seq: from_columns(row.get("epoch"), row.get("seq"))?,
                id: row.get("id"),
                partition: row.get("partition"),
                offset: row.get("log_offset"),
                timestamp_ms: row.get("timestamp_ms"),
                headers: headers_from_text(row.get("headers"))?,
                payload: row.get("payload"),
            })
        })
        .collect()
}

/// Forgets held records that were applied, abandoned or evicted.
///
/// # Errors
/// Postgres does not answer.
pub async fn drop_held(
    connection: &mut PgConnection,
    gone: &[(UnitId, UnitSeq)],
) -> Result<(), StoreError> {
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for (unit, number) in gone {
        let (epoch, seq) = to_columns(*number)?;
        columns.0.push(unit.as_str());
        columns.1.push(epoch);
        columns.2.push(seq);
    }
    sqlx::query(
        "delete from held h using unnest($1::text[], $2::bigint[], $3::bigint[])
              as n(unit, epoch, seq)
         where h.unit = n.unit and h.epoch = n.epoch and h.seq = n.seq",
    )
    .bind(columns.0)
    .bind(columns.1)
    .bind(columns.2)
    .execute(connection)
    .await
    .writing("held")?;
    Ok(())
}

fn unit_from(text: &str) -> Result<UnitId, StoreError> {
    text.parse().map_err(|_| StoreError::Unreadable { what: "unit id" })
}

/// Headers stand as text, not jsonb: jsonb refuses the character U+0000, and a record that waits
/// for its turn must not be refused here.
fn headers_to_text(headers: &[(String, String)]) -> Result<String, StoreError> {
    serde_json::to_string(headers).map_err(|_| StoreError::Unreadable { what: "header" })
}

fn headers_from_text(text: &str) -> Result<Vec<(String, String)>, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Unreadable { what: "header" })
}
