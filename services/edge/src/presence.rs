//! Where units are, as the presence topic says: what this edge reads of it, and what it writes.
//!
//! Every edge reads the whole topic. From it a new link learns what was durable the last time
//! somebody looked, and an older link that a newer connection has taken over. The topic is
//! compacted, so a late record of an older connection may be the only one left of a unit; the link
//! that it stands over writes its own again.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use kit_bus::{Outgoing, Topic};
use kit_clock::Clock;
use kit_event::{Timestamp, UnitId};
use kit_link::{Durable, LogIdentity};
use tokio::sync::Notify;
use units::{Connection, EdgeLiveness, Presence, PresenceMap, PresenceRecord};
use uuid::Uuid;

use crate::limits::TAKEOVER_WITHIN_MS;
use crate::session::OnLog;

/// Every unit that the topic names; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Whereabouts(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    map: Mutex<PresenceMap>,
    changed: Notify,
}

impl Whereabouts {
    fn map(&self) -> MutexGuard<'_, PresenceMap> {
        self.0.map.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The topic holds `presence` at `offset`; gives the number of the connection that it is of.
    #[must_use]
    pub fn saw(&self, offset: i64, presence: Presence, now: Timestamp) -> i64 {
        let conn_epoch = presence.conn_epoch.unwrap_or(offset);
        self.map().apply(PresenceRecord::Unit(presence), offset, now);
        self.0.changed.notify_waiters();
        conn_epoch
    }

    /// Waits until it is known whether connection `by` of a unit, or a later one, came to stand;
    /// false where it ended before, or does not come to stand in time. A number is given before the
    /// WELCOME, and its agent may have left by then.
    pub async fn came_to_stand(&self, unit: &UnitId, by: i64) -> bool {
        let stands = async {
            loop {
                let changed = self.0.changed.notified();
                let connection = self.map().connection(unit).filter(|(number, _)| *number >= by);
                match connection {
                    Some((_, Connection::Established)) => return true,
                    Some((_, Connection::Over)) => return false,
                    Some((_, Connection::Announced)) | None => changed.await,
                }
            }
        };
        let within = Duration::from_millis(TAKEOVER_WITHIN_MS);
        tokio::time::timeout(within, stands).await.unwrap_or(false)
    }

    /// The connection that holds a unit, on whatever edge.
    #[must_use]
    pub fn conn_epoch(&self, unit: &UnitId) -> Option<i64> {
        self.map().holder(unit).map(|holder| holder.conn_epoch)
    }

    /// What of a unit was durable when its presence was last written, where the network's logs are
    /// still those that the record speaks of.
    #[must_use]
    pub fn on_log(&self, unit: &UnitId, requests_log: &str) -> Option<OnLog> {
        let map = self.map();
        let presence = map.presence(unit)?;
        if presence.log.as_deref().is_some_and(|log| log != requests_log) {
            return None;
        }
        let (seq, id) = (presence.durable_seq?, presence.durable_id?);
        Some(OnLog { durable: Durable { seq, id }, offset: presence.facts_offset? })
    }
}

/// What stays the same in a link's presence.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The unit.
    pub unit: UnitId,
    /// Since when it is connected.
    pub since: Timestamp,
    /// The agent's version.
    pub agent_version: String,
    /// Its log of requests.
    pub log: LogIdentity,
}

impl Standing {
    /// The presence of the unit on `edge_id`, or away.
    pub fn presence(
        &self,
        edge_id: Option<&str>,
        conn_epoch: Option<i64>,
        applied_next: Option<i64>,
        durable: Option<OnLog>,
    ) -> Presence {
        Presence {
            unit_id: self.unit.clone(),
            edge_id: edge_id.map(str::to_owned),
            conn_epoch,
            since: self.since,
            agent_version: Some(self.agent_version.clone()),
            applied_next,
            durable_seq: durable.map(|on| on.durable.seq),
            durable_id: durable.map(|on| on.durable.id),
            facts_offset: durable.map(|on| on.offset),
            log: Some(self.log.0.clone()),
        }
    }
}

/// A unit's presence as a record for its topic.
///
/// # Errors
/// It does not print as JSON, which no presence does.
pub fn presence_record(presence: &Presence, clock: &Clock) -> serde_json::Result<Outgoing> {
    let body = serde_json::to_value(presence)?;
    Ok(record(presence.unit_id.to_string(), Presence::TYPE, body, clock))
}

/// The edge's liveness as a record for its topic.
///
/// # Errors
/// As [`presence_record`].
pub fn liveness_record(edge_id: &str, clock: &Clock) -> serde_json::Result<Outgoing> {
    let liveness = EdgeLiveness { edge_id: edge_id.to_owned(), at: clock.now() };
    let body = serde_json::to_value(&liveness)?;
    Ok(record(EdgeLiveness::key(edge_id), EdgeLiveness::TYPE, body, clock))
}

fn record(key: String, type_name: &str, body: serde_json::Value, clock: &Clock) -> Outgoing {
    Outgoing {
        topic: Topic::Presence,
        partition: None,
        key,
        ce_id: Uuid::new_v4().to_string(),
        type_name: type_name.to_owned(),
        version: 1,
        time: clock.now(),
        headers: Vec::new(),
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit_event::UnitSeq;

    fn presence(conn_epoch: Option<i64>, offset: i64) -> Presence {
        Presence {
            unit_id: "hcu-0001".parse().unwrap(),
            edge_id: Some("a".to_owned()),
            conn_epoch,
            since: Timestamp::from_unix_ms(0),
            agent_version: None,
            applied_next: None,
            durable_seq: Some(UnitSeq::new(1, 9)),
            durable_id: Some(Uuid::nil()),
            facts_offset: Some(offset),
            log: Some("c/unit.requests/3".to_owned()),
        }
    }

    #[test]
    fn a_late_record_of_an_older_connection_is_told_apart() {
        let (seen, now) = (Whereabouts::default(), Timestamp::from_unix_ms(0));
        assert_eq!(seen.saw(12, presence(None, 70), now), 12);
        assert_eq!(seen.saw(15, presence(None, 80), now), 15);
        assert_eq!(seen.saw(17, presence(Some(12), 75), now), 12);
        let unit = "hcu-0001".parse().unwrap();
        assert_eq!(seen.conn_epoch(&unit), Some(15));
        assert_eq!(seen.on_log(&unit, "c/unit.requests/3").unwrap().offset, 80);
    }

    #[test]
    fn what_was_durable_on_another_log_is_not_believed() {
        let (seen, now) = (Whereabouts::default(), Timestamp::from_unix_ms(0));
        let _ = seen.saw(12, presence(None, 70), now);
        assert_eq!(seen.on_log(&"hcu-0001".parse().unwrap(), "d/unit.requests/3"), None);
    }
}
