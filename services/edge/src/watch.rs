//! What an edge does for as long as it lives beside its links: it reads the presence topic, and it
//! says that it is alive.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kit_bus::{Bus, BusError, Polled, RawRecord, Reader, ReaderOptions, Topic};
use kit_lifecycle::Latch;
use tokio_util::sync::CancellationToken;
use units::Presence;
use units::presence_map::LIVENESS_EVERY_MS;

use crate::edge::Edge;
use crate::limits::{READER_CHANNEL_RECORDS, TAIL_FETCH_WAIT_MS};
use crate::presence::liveness_record;
use crate::uplink::{chain, registry_pauses};

/// A reader of the whole presence topic, from its beginning.
///
/// # Errors
/// The brokers do not answer.
pub async fn presence_reader(bus: &Bus) -> Result<Reader, BusError> {
    let reader = bus.reader(
        "edge-presence",
        ReaderOptions {
            fetch_wait_ms: TAIL_FETCH_WAIT_MS,
            channel_records: READER_CHANNEL_RECORDS,
            end_of_partition: true,
            ..ReaderOptions::default()
        },
    )?;
    let mut starts = Vec::new();
    for partition in 0..bus.partitions() {
        starts.push((partition, bus.watermarks(Topic::Presence, partition).await?.low));
    }
    reader.assign(Topic::Presence, starts).await?;
    Ok(reader)
}

/// Reads the presence topic; `caught_up` is released when its end was seen on every partition.
///
/// # Errors
/// The reader ended.
pub async fn watch_presence(
    edge: Arc<Edge>,
    mut reader: Reader,
    caught_up: Latch,
    soft: CancellationToken,
) -> Result<(), BusError> {
    let mut caught_up = Some(caught_up);
    let mut unread: BTreeSet<i32> = (0..edge.bus.partitions()).collect();
    loop {
        let polled = tokio::select! {
            () = soft.cancelled() => return Ok(()),
            polled = reader.next() => polled,
        };
        match polled {
            Some(Polled::Record(record)) => saw(&edge, &record).await,
            Some(Polled::EndOfPartition { partition, .. }) => {
                unread.remove(&partition);
                if unread.is_empty()
                    && let Some(latch) = caught_up.take()
                {
                    latch.release();
                    edge.is_caught_up.cancel();
                }
            }
            // Compaction took the place away; what is left is the newest of each key.
            Some(Polled::OutOfRange { partition, low, .. }) => {
                reader.assign(Topic::Presence, vec![(partition, low)]).await?;
            }
            Some(Polled::Failed(error @ BusError::Read { fatal: true, .. })) => return Err(error),
            Some(Polled::Failed(error)) => {
                tracing::warn!(error = chain(&error), "reading presence is interrupted");
            }
            None => return Err(BusError::Thread { reader: reader.name().to_owned() }),
        }
    }
}

async fn saw(edge: &Edge, record: &RawRecord) {
    let Some(unit) = record.key.as_deref().and_then(|key| key.parse().ok()) else {
        return; // An edge's liveness: of use to those who answer for units, not to edges.
    };
    if record.payload.is_none() {
        return; // Forgotten by an operator; nothing is known that a scan would not find.
    }
    let mut pauses = registry_pauses();
    let opened = loop {
        match edge.bus.open(record).await {
            Err(error) if error.is_worth_waiting() => {
                tracing::warn!(error = chain(&error), "presence waits for the schema registry");
                if let Some(pause) = pauses.next() {
                    tokio::time::sleep(pause).await;
                }
            }
            opened => break opened,
        }
    };
    let presence = opened.map_err(|error| chain(&error)).and_then(|opened| {
        serde_json::from_value::<Presence>(opened.body).map_err(|error| error.to_string())
    });
    match presence {
        Ok(presence) if presence.unit_id == unit => {
            let conn_epoch = edge.whereabouts.saw(record.offset, presence, edge.clock.now());
            edge.roster.heard(&unit, conn_epoch);
        }
        Ok(_) => {
            tracing::warn!(%unit, offset = record.offset, "a presence under another unit's key")
        }
        Err(error) => {
            tracing::warn!(%unit, offset = record.offset, error, "a presence that does not read");
        }
    }
}

/// Says every two seconds that the edge is alive, until the soft token.
///
/// # Errors
/// None; it ends only by the token.
pub async fn say_alive(edge: Arc<Edge>, soft: CancellationToken) -> anyhow::Result<()> {
    let mut every = tokio::time::interval(Duration::from_millis(LIVENESS_EVERY_MS.unsigned_abs()));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = soft.cancelled() => return Ok(()),
            _ = every.tick() => {}
        }
        let said = async {
            let record = liveness_record(&edge.id, &edge.clock)?;
            anyhow::Ok(edge.bus.publish(record).await?)
        };
        tokio::select! {
            () = soft.cancelled() => return Ok(()),
            said = said => if let Err(error) = said {
                crate::figures::LIVENESS_FAILURES.get().increment(1);
                tracing::warn!(error = format!("{error:#}"), "liveness could not be written");
            },
        }
    }
}
