//! What an edge does for as long as it lives beside its links: it reads the presence topic, and it
//! says that it is alive.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kit_bus::{
    Bus, BusError, Deferred, OpenError, Polled, RawRecord, Reader, ReaderOptions, Topic,
};
use kit_lifecycle::Latch;
use kit_metric::PARKED;
use kit_telemetry::chain;
use tokio_util::sync::CancellationToken;
use units::presence_map::LIVENESS_EVERY_MS;
use units::{EdgeLiveness, Presence};

use crate::edge::Edge;
use crate::limits::{FIRST_LIVENESS_WITHIN_MS, PRESENCE_FETCH_WAIT_MS, READER_CHANNEL_RECORDS};
use crate::metrics::PRESENCE_UNREADABLE;
use crate::presence::liveness_record;

/// A record that this edge meets as it starts is parked only where it is not much older: whoever
/// ran when it came has parked it.
const PARKED_WITHIN_MS: i64 = 3_600_000;
/// How long the reader waits for a parked copy to be safe; the record itself stays on the topic.
const PARKING_MS_MAX: u64 = 5_000;

/// A reader of the whole presence topic, from its beginning.
///
/// # Errors
/// The brokers do not answer.
pub async fn presence_reader(bus: &Bus) -> Result<Reader, BusError> {
    let reader = bus.reader(
        "edge-presence",
        ReaderOptions {
            fetch_wait_ms: PRESENCE_FETCH_WAIT_MS,
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
    let mut deferred = Deferred::default();
    let mut unread: BTreeSet<i32> = (0..edge.bus.partitions()).collect();
    loop {
        let polled = tokio::select! {
            () = soft.cancelled() => return Ok(()),
            due = deferred.due(&edge.bus) => {
                for (record, opened) in due {
                    take(&edge, &record, opened).await;
                }
                continue;
            }
            polled = reader.next() => polled,
        };
        match polled {
            Some(Polled::Record(record)) => saw(&edge, &mut deferred, &record).await,
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

async fn saw(edge: &Edge, deferred: &mut Deferred, record: &RawRecord) {
    if record.payload.is_none() {
        return; // Forgotten by an operator; nothing is known that a scan would not find.
    }
    let key = record.key.as_deref().unwrap_or_default();
    if key.starts_with(EdgeLiveness::KEY_BEFORE) {
        return; // Of use to those who answer for units, not to edges.
    }
    if let Some(opened) = deferred.open(&edge.bus, record).await {
        take(edge, record, opened).await;
    }
}

async fn take(edge: &Edge, record: &RawRecord, opened: Result<kit_bus::Opened, OpenError>) {
    let (partition, offset) = (record.partition, record.offset);
    match opened.map_err(|error| chain(&error)).and_then(|opened| read(record, opened)) {
        Ok(presence) => {
            let unit = presence.unit_id.clone();
            let conn_epoch = edge.whereabouts.saw(offset, presence, edge.clock.now());
            edge.connections.received(&unit, conn_epoch);
        }
        Err(cause) => {
            tracing::error!(partition, offset, cause, "a presence record is parked");
            park(edge, record, &cause).await;
        }
    }
}

/// What a record says of its own key.
fn read(record: &RawRecord, opened: kit_bus::Opened) -> Result<Presence, String> {
    let presence = serde_json::from_value::<Presence>(opened.body);
    let presence = presence.map_err(|error| error.to_string())?;
    if presence.unit_id.as_str() != opened.key {
        return Err("it is of another unit than its key".to_owned());
    }
    // A connection's number is the offset of its first record.
    if presence.conn_epoch.is_some_and(|epoch| epoch > record.offset) {
        return Err("its connection is one that is not there yet".to_owned());
    }
    Ok(presence)
}

/// Each edge sets the record aside, and again after a restart, because none knows of the others;
/// whoever lists them sees one. The topic keeps it until its key is written anew.
async fn park(edge: &Edge, record: &RawRecord, cause: &str) {
    let age_ms = edge.clock.now().unix_ms() - record.timestamp_ms;
    if !edge.is_caught_up.is_cancelled() && age_ms > PARKED_WITHIN_MS {
        return;
    }
    let within = Duration::from_millis(PARKING_MS_MAX);
    match tokio::time::timeout(within, edge.bus.park(record, cause)).await {
        Ok(Ok(_)) => {
            PARKED.of([PRESENCE_UNREADABLE]).increment(1);
        }
        Ok(Err(error)) => tracing::error!(error = chain(&error), "parking failed"),
        Err(_) => tracing::error!(within_ms = PARKING_MS_MAX, "parking took too long"),
    }
}

/// Says that the edge is alive, and learns from the answer what time it is.
async fn say_alive_once(edge: &Edge) -> anyhow::Result<()> {
    let record = liveness_record(&edge.id, &edge.clock)?;
    if let Some(at) = edge.bus.publish_logged(record).await?.at {
        edge.time.broker_says(at);
    }
    Ok(())
}

/// Learns what time it is before anybody is told. An edge whose broker is slow begins by its own
/// clock, and learns later.
pub async fn learn_time(edge: &Edge) {
    let within = Duration::from_millis(FIRST_LIVENESS_WITHIN_MS);
    match tokio::time::timeout(within, say_alive_once(edge)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = format!("{error:#}"), "the time is not known yet"),
        Err(_) => tracing::warn!("the time is not known yet: the broker does not answer"),
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
        tokio::select! {
            () = soft.cancelled() => return Ok(()),
            said = say_alive_once(&edge) => if let Err(error) = said {
                crate::metrics::LIVENESS_FAILURES.get().increment(1);
                tracing::warn!(error = format!("{error:#}"), "liveness could not be written");
            },
        }
    }
}
