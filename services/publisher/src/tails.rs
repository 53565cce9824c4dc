//! What was told already of the events behind the checkpoints.
//!
//! A producer without gaps leaves on each partition a beginning of what was enqueued, so the source
//! offset in the headers rises along it. Here and there it may fall: where one publisher took over
//! from another that was not quite dead, or where somebody else wrote. So a tail is read backwards,
//! in growing stretches, until a whole stretch is of before the checkpoint; and an event counts as
//! told only where its id does too.

use std::collections::HashSet;
use std::time::Duration;

use kit_bus::{Bus, Namespace, Scans, Topic, Watermarks, headers};
use kit_event::{Fact, UnitId, UnitSeq};
use uuid::Uuid;

use crate::error::SessionError;

/// The first stretch of a tail that is read. A batch has at most a thousand events, and after a
/// clean end there are none behind the checkpoint.
const STRETCH_RECORDS_MIN: i64 = 256;
/// How much longer each further stretch is.
const STRETCH_GROWS_BY: i64 = 8;
/// Tails read side by side. Each is a few milliseconds of waiting for a broker.
pub(crate) const AT_ONCE: usize = 8;
/// What a killed process had put on the wire may still be on its way into the broker. The ends are
/// looked at again after this, until they stand still.
const SETTLES_MS: u64 = 200;

/// Events of one lane that are on their topics already.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    events: HashSet<(Namespace, UnitId, UnitSeq, Uuid)>,
}

impl Sent {
    /// Whether the event was told already; it is asked once.
    pub fn take(&mut self, namespace: Namespace, fact: &Fact) -> bool {
        let event = || (namespace, fact.unit.clone(), fact.seq, fact.id);
        !self.events.is_empty() && self.events.remove(&event())
    }

    /// How many events are on their topics already.
    pub fn count(&self) -> usize {
        self.events.len()
    }
}

/// Reads what is behind `checkpoint` on the public topics' partition of that number.
pub(crate) async fn read(
    bus: &Bus,
    scans: &Scans,
    namespaces: &[Namespace],
    partition: i32,
    checkpoint: i64,
) -> Result<Sent, SessionError> {
    let mut ends = self::ends(bus, namespaces, partition).await?;
    loop {
        let mut sent = Sent::default();
        for (namespace, end) in &ends {
            read_one(scans, &mut sent, *namespace, partition, checkpoint, *end).await?;
        }
        if sent.count() == 0 {
            return Ok(sent);
        }
        // Only where a process died in the middle of something may more be on its way.
        tokio::time::sleep(Duration::from_millis(SETTLES_MS)).await;
        let now = self::ends(bus, namespaces, partition).await?;
        if now == ends {
            return Ok(sent);
        }
        ends = now;
    }
}

async fn ends(
    bus: &Bus,
    namespaces: &[Namespace],
    partition: i32,
) -> Result<Vec<(Namespace, Watermarks)>, SessionError> {
    let mut ends = Vec::with_capacity(namespaces.len());
    for namespace in namespaces {
        ends.push((*namespace, bus.watermarks(Topic::Domain(*namespace), partition).await?));
    }
    Ok(ends)
}

async fn read_one(
    scans: &Scans,
    sent: &mut Sent,
    namespace: Namespace,
    partition: i32,
    checkpoint: i64,
    end: Watermarks,
) -> Result<(), SessionError> {
    let (mut to, mut stretch) = (end.high, STRETCH_RECORDS_MIN);
    while to > end.low {
        let from = end.low.max(to - stretch);
        let mut scan = scans.scan(Topic::Domain(namespace), partition, from, to).await?;
        let mut is_before = true;
        while let Some(record) = scan.next().await {
            let record = record?;
            // What is none of ours says nothing.
            let Some(offset) = record.header(headers::SOURCE_OFFSET) else { continue };
            let Ok(offset) = offset.parse::<i64>() else { continue };
            if offset < checkpoint {
                continue;
            }
            is_before = false;
            let unit = record.key.as_deref().and_then(|key| key.parse().ok());
            let id = record.ce_id().and_then(|id| id.parse().ok());
            if let (Some(unit), Some(seq), Some(id)) = (unit, record.unit_seq(), id) {
                sent.events.insert((namespace, unit, seq, id));
            }
        }
        if is_before {
            return Ok(());
        }
        to = from;
        stretch *= STRETCH_GROWS_BY;
    }
    Ok(())
}
