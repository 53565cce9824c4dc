//! Who holds which unit: the state that edges and gateways fold from `unit.presence`.
//!
//! A connection's number is the offset of its first presence record, so numbers of one unit (one
//! partition) grow with the log, and nobody needs a lock to hand them out: the higher one holds the
//! unit, whatever arrives later. A holder counts only while its edge is alive, so that a killed
//! edge, which can write nothing any more, takes its units offline by its silence.

use std::collections::HashMap;

use kit_event::{Timestamp, UnitId};

use crate::presence::{EdgeLiveness, Presence};

/// How often an edge says that it is alive.
pub const LIVENESS_EVERY_MS: i64 = 2_000;
/// A unit is online only while its edge's liveness arrived within this time: three of the records
/// may be late before anybody is called away.
pub const LIVENESS_WITHIN_MS: i64 = 6_000;
/// By how much two records of one edge may arrive further apart, or closer, than they were written,
/// and still have come as they were written.
pub const LIVENESS_JITTER_MS_MAX: i64 = 1_000;

/// A record of the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PresenceRecord {
    /// Under a unit's key.
    Unit(Presence),
    /// Under `edge/<id>`.
    Edge(EdgeLiveness),
}

/// What a record did to the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A connection with a higher number took the unit; whoever held it before closes its socket.
    Took {
        /// The unit.
        unit: UnitId,
        /// The new connection's number.
        conn_epoch: i64,
    },
    /// The present connection, or the unit's absence, told news of itself.
    Told {
        /// The unit.
        unit: UnitId,
    },
    /// The present connection ended: the unit is away.
    Left {
        /// The unit.
        unit: UnitId,
    },
    /// A record of an older connection came late and changed nothing here. In the compacted log it
    /// now stands last, so the edge that holds the unit writes its own again.
    Late {
        /// The unit.
        unit: UnitId,
        /// The number that stands.
        conn_epoch: i64,
    },
    /// An edge is alive.
    Heard,
}

/// A unit's connection as it stands, or its absence.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Standing {
    conn_epoch: i64,
    presence: Presence,
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// It has its number. Its agent may have left before it was welcomed.
    Announced,
    /// It was welcomed, and told news of itself since.
    Established,
    /// It ended, and no other came.
    Over,
}

/// The connection that holds a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder<'a> {
    /// The edge at which the agent is connected.
    pub edge_id: &'a str,
    /// The connection's number.
    pub conn_epoch: i64,
}

/// What a reader knows of an edge's life.
///
/// No two clocks are compared for it, as any may be wrong by hours. Both are only asked how much
/// time passed between two records: the edge's for when they were written, the reader's for when
/// they came. Records that come as far apart as they were written come as they are written; those
/// that come closer are what a reader that was cut off finds waiting, and the last words of an edge
/// that died meanwhile may be among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Life {
    /// The last record, by the edge's clock.
    said_at: Timestamp,
    /// When it came, by the reader's; none where it was there before the reader.
    arrived_at: Option<Timestamp>,
    /// What lies between the two where a record is not late.
    distance_ms: i64,
    /// When the edge was last alive, by the reader's clock.
    alive_at: Option<Timestamp>,
}

impl Life {
    /// A first record that came just now.
    fn begins(said_at: Timestamp, now: Timestamp) -> Self {
        let distance_ms = now.unix_ms() - said_at.unix_ms();
        Self { said_at, arrived_at: Some(now), distance_ms, alive_at: Some(now) }
    }

    fn hears(self, said_at: Timestamp, now: Timestamp) -> Self {
        let Some(arrived_at) = self.arrived_at else { return Self::begins(said_at, now) };
        let distance_ms = now.unix_ms() - said_at.unix_ms();
        let came_ms = now.unix_ms() - arrived_at.unix_ms();
        let written_ms = said_at.unix_ms() - self.said_at.unix_ms();
        let apart = came_ms >= LIVENESS_EVERY_MS / 2;
        let as_written = apart && (came_ms - written_ms).abs() <= LIVENESS_JITTER_MS_MAX;
        if as_written || distance_ms <= self.distance_ms {
            return Self::begins(said_at, now);
        }
        let was_alive_at = now.plus_ms(self.distance_ms - distance_ms);
        let alive_at = self.alive_at.max(Some(was_alive_at));
        Self { said_at, arrived_at: Some(now), alive_at, ..self }
    }
}

/// Every unit and edge that the topic has spoken of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PresenceMap {
    units: HashMap<UnitId, Standing>,
    edges: HashMap<String, Life>,
}

/// The one rule of being online: some edge holds the unit's connection, and that edge was heard
/// within [`LIVENESS_WITHIN_MS`]. `heard` is when its last liveness record arrived.
#[must_use]
pub fn online(presence: &Presence, heard: Option<Timestamp>, now: Timestamp) -> bool {
    presence.edge_id.is_some()
        && heard.is_some_and(|heard| now.unix_ms() - heard.unix_ms() <= LIVENESS_WITHIN_MS)
}

impl PresenceMap {
    /// Takes the record at `offset` of its partition, which reached this reader at `now`.
    pub fn apply(&mut self, record: PresenceRecord, offset: i64, now: Timestamp) -> Change {
        match record {
            PresenceRecord::Unit(presence) => self.place(presence, offset),
            PresenceRecord::Edge(liveness) => self.hear(liveness, now),
        }
    }

    /// Takes a record that stood on the topic before the reader began, at `now`. Of an edge it may
    /// be the last word: what its clock says is believed only where it says just now, so that a
    /// reader that starts among clocks that agree need not wait for the next record.
    pub fn replay(&mut self, record: PresenceRecord, offset: i64, now: Timestamp) -> Change {
        match record {
            PresenceRecord::Unit(presence) => self.place(presence, offset),
            PresenceRecord::Edge(EdgeLiveness { edge_id, at }) => {
                let is_now = (now.unix_ms() - at.unix_ms()).abs() <= LIVENESS_WITHIN_MS;
                let alive_at = is_now.then(|| at.min(now));
                let life = Life { said_at: at, arrived_at: None, distance_ms: 0, alive_at };
                self.edges.insert(edge_id, life);
                Change::Heard
            }
        }
    }

    fn place(&mut self, presence: Presence, offset: i64) -> Change {
        let unit = presence.unit_id.clone();
        let conn_epoch = presence.conn_epoch.unwrap_or(offset);
        let stands = self.units.get(&unit).map(|standing| standing.conn_epoch);
        if let Some(higher) = stands.filter(|stands| conn_epoch < *stands) {
            return Change::Late { unit, conn_epoch: higher };
        }
        let change = if presence.edge_id.is_none() {
            Change::Left { unit: unit.clone() }
        } else if stands == Some(conn_epoch) {
            Change::Told { unit: unit.clone() }
        } else {
            Change::Took { unit: unit.clone(), conn_epoch }
        };
        self.units.insert(unit, Standing { conn_epoch, presence });
        change
    }

    fn hear(&mut self, EdgeLiveness { edge_id, at }: EdgeLiveness, now: Timestamp) -> Change {
        let life = match self.edges.get(&edge_id) {
            Some(life) => life.hears(at, now),
            None => Life::begins(at, now),
        };
        self.edges.insert(edge_id, life);
        Change::Heard
    }

    /// Whether a message to the unit would reach its agent now.
    #[must_use]
    pub fn is_online(&self, unit: &UnitId, now: Timestamp) -> bool {
        self.presence(unit).is_some_and(|presence| online(presence, self.heard_of(presence), now))
    }

    /// The last presence record that stands for the unit; none for a unit never seen.
    #[must_use]
    pub fn presence(&self, unit: &UnitId) -> Option<&Presence> {
        self.units.get(unit).map(|standing| &standing.presence)
    }

    /// The number of the unit's last connection, and what its last record says of it.
    #[must_use]
    pub fn connection(&self, unit: &UnitId) -> Option<(i64, Connection)> {
        let Standing { conn_epoch, presence } = self.units.get(unit)?;
        let connection = match (&presence.edge_id, presence.conn_epoch) {
            (None, _) => Connection::Over,
            (Some(_), None) => Connection::Announced,
            (Some(_), Some(_)) => Connection::Established,
        };
        Some((*conn_epoch, connection))
    }

    /// The connection that holds the unit, whether or not its edge is still alive.
    #[must_use]
    pub fn holder(&self, unit: &UnitId) -> Option<Holder<'_>> {
        let standing = self.units.get(unit)?;
        let edge_id = standing.presence.edge_id.as_deref()?;
        Some(Holder { edge_id, conn_epoch: standing.conn_epoch })
    }

    /// How far the unit is in its log of requests: it has done with every position below.
    #[must_use]
    pub fn applied_next(&self, unit: &UnitId) -> Option<i64> {
        self.presence(unit)?.applied_next
    }

    /// Every unit that was ever seen, in no order.
    pub fn units(&self) -> impl Iterator<Item = &Presence> {
        self.units.values().map(|standing| &standing.presence)
    }

    /// How many units are online.
    #[must_use]
    pub fn online_count(&self, now: Timestamp) -> usize {
        self.units().filter(|presence| online(presence, self.heard_of(presence), now)).count()
    }

    fn heard_of(&self, presence: &Presence) -> Option<Timestamp> {
        self.edges.get(presence.edge_id.as_deref()?)?.alive_at
    }
}

#[cfg(test)]
#[path = "presence_map_tests.rs"]
mod tests;
