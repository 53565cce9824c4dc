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
/// How far an edge's clock may be from a reader's. A record older than this is not news: a reader
/// that starts meets the last words of edges that died long ago, and must not take them for alive.
pub const LIVENESS_SKEW_MS_MAX: i64 = 60_000;

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

/// The connection that holds a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder<'a> {
    /// The edge at which the agent is connected.
    pub edge_id: &'a str,
    /// The connection's number.
    pub conn_epoch: i64,
}

/// Every unit and edge that the topic has spoken of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PresenceMap {
    units: HashMap<UnitId, Standing>,
    heard: HashMap<String, Timestamp>,
}

/// The one rule of being online: some edge holds the unit's connection, and that edge was heard
/// within [`LIVENESS_WITHIN_MS`]. `heard` is when its last liveness record arrived.
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

    fn hear(&mut self, liveness: EdgeLiveness, now: Timestamp) -> Change {
        let newest_possible = liveness.at.plus_ms(LIVENESS_SKEW_MS_MAX);
        let arrived = now.min(newest_possible);
        let heard = self.heard.entry(liveness.edge_id).or_insert(arrived);
        *heard = arrived.max(*heard);
        Change::Heard
    }

    /// Whether a message to the unit would reach its agent now.
    pub fn is_online(&self, unit: &UnitId, now: Timestamp) -> bool {
        self.presence(unit).is_some_and(|presence| online(presence, self.heard_of(presence), now))
    }

    /// The last presence record that stands for the unit; none for a unit never seen.
    pub fn presence(&self, unit: &UnitId) -> Option<&Presence> {
        self.units.get(unit).map(|standing| &standing.presence)
    }

    /// The connection that holds the unit, whether or not its edge is still alive.
    pub fn holder(&self, unit: &UnitId) -> Option<Holder<'_>> {
        let standing = self.units.get(unit)?;
        let edge_id = standing.presence.edge_id.as_deref()?;
        Some(Holder { edge_id, conn_epoch: standing.conn_epoch })
    }

    /// How far the unit is in its log of requests: it has done with every position below.
    pub fn applied_next(&self, unit: &UnitId) -> Option<i64> {
        self.presence(unit)?.applied_next
    }

    /// Every unit that was ever seen, in no order.
    pub fn units(&self) -> impl Iterator<Item = &Presence> {
        self.units.values().map(|standing| &standing.presence)
    }

    /// How many units are online.
    pub fn online_count(&self, now: Timestamp) -> usize {
        self.units().filter(|presence| online(presence, self.heard_of(presence), now)).count()
    }

    fn heard_of(&self, presence: &Presence) -> Option<Timestamp> {
        self.heard.get(presence.edge_id.as_deref()?).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: i64 = 1_772_366_400_000;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(NOON + ms)
    }

    fn unit() -> UnitId {
        "hcu-0001".parse().unwrap()
    }

    fn record(edge: Option<&str>, conn_epoch: Option<i64>) -> PresenceRecord {
        PresenceRecord::Unit(Presence {
            unit_id: unit(),
            edge_id: edge.map(str::to_owned),
            conn_epoch,
            since: at(0),
            agent_version: None,
            applied_next: None,
            durable_seq: None,
            durable_id: None,
            facts_offset: None,
            log: None,
        })
    }

    fn alive(edge: &str, said: i64) -> PresenceRecord {
        PresenceRecord::Edge(EdgeLiveness { edge_id: edge.to_owned(), at: at(said) })
    }

    #[test]
    fn the_first_record_of_a_connection_is_numbered_by_its_own_offset() {
        let mut map = PresenceMap::default();
        let took = map.apply(record(Some("e1"), None), 40, at(0));
        assert_eq!(took, Change::Took { unit: unit(), conn_epoch: 40 });
        let told = map.apply(record(Some("e1"), Some(40)), 41, at(0));
        assert_eq!(told, Change::Told { unit: unit() });
        assert_eq!(map.holder(&unit()), Some(Holder { edge_id: "e1", conn_epoch: 40 }));
    }

    #[test]
    fn a_unit_is_online_only_while_its_edge_was_heard_within_six_seconds() {
        let mut map = PresenceMap::default();
        map.apply(record(Some("e1"), None), 40, at(0));
        assert!(!map.is_online(&unit(), at(0)), "an edge never heard is not alive");
        map.apply(alive("e1", 0), 1, at(0));
        assert!(map.is_online(&unit(), at(6_000)));
        assert!(!map.is_online(&unit(), at(6_001)));
        map.apply(alive("e2", 6_000), 2, at(6_000));
        assert!(!map.is_online(&unit(), at(6_001)), "another edge's life does not count");
        map.apply(alive("e1", 8_000), 3, at(8_000));
        assert!(map.is_online(&unit(), at(8_000)));
        assert_eq!(map.online_count(at(8_000)), 1);
    }

    #[test]
    fn a_lower_connection_that_comes_late_loses() {
        let mut map = PresenceMap::default();
        map.apply(record(Some("e1"), None), 40, at(0));
        map.apply(record(Some("e2"), None), 50, at(0));
        for late in [record(Some("e1"), Some(40)), record(None, Some(40))] {
            let change = map.apply(late, 51, at(0));
            assert_eq!(change, Change::Late { unit: unit(), conn_epoch: 50 });
            assert_eq!(map.holder(&unit()).unwrap().edge_id, "e2");
        }
    }

    #[test]
    fn a_unit_that_left_is_away_at_once_and_may_come_back() {
        let mut map = PresenceMap::default();
        map.apply(record(Some("e1"), None), 40, at(0));
        map.apply(alive("e1", 0), 1, at(0));
        assert_eq!(map.apply(record(None, Some(40)), 41, at(0)), Change::Left { unit: unit() });
        assert!(!map.is_online(&unit(), at(0)));
        assert_eq!(map.holder(&unit()), None);
        assert!(map.presence(&unit()).is_some());
        let back = map.apply(record(Some("e1"), None), 42, at(0));
        assert_eq!(back, Change::Took { unit: unit(), conn_epoch: 42 });
        assert!(map.is_online(&unit(), at(0)));
    }

    #[test]
    fn last_words_of_an_edge_long_dead_do_not_make_its_units_online() {
        let mut map = PresenceMap::default();
        map.apply(record(Some("e1"), None), 40, at(0));
        map.apply(alive("e1", -3_600_000), 1, at(0));
        assert!(!map.is_online(&unit(), at(0)));
    }

    #[test]
    fn an_edge_whose_clock_is_a_little_off_is_alive_all_the_same() {
        for off in [-30_000, 0, 30_000] {
            let mut map = PresenceMap::default();
            map.apply(record(Some("e1"), None), 40, at(0));
            map.apply(alive("e1", off), 1, at(0));
            assert!(map.is_online(&unit(), at(6_000)), "off by {off} ms");
            assert!(!map.is_online(&unit(), at(6_001)), "off by {off} ms");
        }
    }

    #[test]
    fn the_cursor_is_the_one_of_the_record_that_stands() {
        let mut map = PresenceMap::default();
        assert_eq!(map.applied_next(&unit()), None);
        let PresenceRecord::Unit(mut presence) = record(Some("e1"), Some(40)) else {
            unreachable!()
        };
        presence.applied_next = Some(7);
        map.apply(PresenceRecord::Unit(presence), 41, at(0));
        assert_eq!(map.applied_next(&unit()), Some(7));
        map.apply(record(Some("e1"), Some(39)), 42, at(0));
        assert_eq!(map.applied_next(&unit()), Some(7));
    }

    proptest! {
        /// Whatever arrives in whatever order, the highest connection ever seen stands.
        #[test]
        fn the_highest_connection_stands(epochs in prop::collection::vec(0i64..50, 1..20)) {
            let mut map = PresenceMap::default();
            for (offset, epoch) in epochs.iter().enumerate() {
                let edge = format!("e{epoch}");
                map.apply(record(Some(&edge), Some(*epoch)), offset as i64, at(0));
            }
            let highest = *epochs.iter().max().unwrap();
            let edge = format!("e{highest}");
            let holder = Holder { edge_id: &edge, conn_epoch: highest };
            prop_assert_eq!(map.holder(&unit()), Some(holder));
        }
    }
}
