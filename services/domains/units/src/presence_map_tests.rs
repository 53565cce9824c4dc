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
fn a_connection_is_announced_then_established_then_over() {
    let mut map = PresenceMap::default();
    assert_eq!(map.connection(&unit()), None);
    map.apply(record(Some("e1"), None), 40, at(0));
    assert_eq!(map.connection(&unit()), Some((40, Connection::Announced)));
    map.apply(record(Some("e1"), Some(40)), 41, at(0));
    assert_eq!(map.connection(&unit()), Some((40, Connection::Established)));
    map.apply(record(None, Some(40)), 42, at(0));
    assert_eq!(map.connection(&unit()), Some((40, Connection::Over)));
    map.apply(record(Some("e2"), Some(39)), 43, at(0));
    assert_eq!(map.connection(&unit()), Some((40, Connection::Over)));
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

/// Hours that any two machines' clocks may be apart.
const HOUR: i64 = 3_600_000;

#[test]
fn last_words_of_an_edge_long_dead_do_not_make_its_units_online() {
    for said in [-HOUR, -7_000, HOUR] {
        let mut map = PresenceMap::default();
        map.replay(record(Some("e1"), None), 40, at(0));
        map.replay(alive("e1", said), 1, at(0));
        assert!(!map.is_online(&unit(), at(0)), "said {said} ms from now");
    }
    let mut map = PresenceMap::default();
    map.replay(record(Some("e1"), None), 40, at(0));
    map.replay(alive("e1", -1_500), 1, at(0));
    assert!(map.is_online(&unit(), at(0)), "clocks agree, and it was said just now");
    assert!(!map.is_online(&unit(), at(4_501)));
}

#[test]
fn an_edge_is_alive_whatever_its_clock_says() {
    for off in [-24 * HOUR, -67_000, -30_000, 0, 30_000, 67_000, 24 * HOUR] {
        for was_there in [false, true] {
            let mut map = PresenceMap::default();
            map.apply(record(Some("e1"), None), 40, at(0));
            if was_there {
                map.replay(alive("e1", off - 2_000), 1, at(0));
            }
            for round in 0..5 {
                let now = round * LIVENESS_EVERY_MS;
                map.apply(alive("e1", off + now), 1, at(now + 40 * (round % 2)));
                assert!(map.is_online(&unit(), at(now + 6_000)), "off by {off} ms");
            }
            assert!(!map.is_online(&unit(), at(14_041)), "off by {off} ms");
        }
    }
}

#[test]
fn a_clock_that_is_set_takes_nobody_offline() {
    for step in [-HOUR, -90_000, 90_000, HOUR] {
        let mut map = PresenceMap::default();
        map.apply(record(Some("e1"), None), 40, at(0));
        for round in 0..10 {
            let now = round * LIVENESS_EVERY_MS;
            let said = if round < 5 { now } else { now + step };
            map.apply(alive("e1", said), 1, at(now));
            assert!(map.is_online(&unit(), at(now + 1_999)), "round {round}, step {step}");
        }
    }
}

#[test]
fn what_a_reader_that_was_cut_off_finds_waiting_tells_when_it_was_written() {
    for off in [-HOUR, 0, HOUR] {
        let mut map = PresenceMap::default();
        map.apply(record(Some("e1"), None), 40, at(0));
        map.apply(alive("e1", off), 1, at(0));
        // It hears nothing for ten minutes; the edge died after one of them.
        let found = 600_000;
        for said in (2_000..60_000).step_by(2_000) {
            map.apply(alive("e1", off + said), 1, at(found + said / 1_000));
            assert!(!map.is_online(&unit(), at(found + said / 1_000)), "off by {off} ms");
        }
        // An edge that lives is found alive by its newest record.
        for said in (60_000..=found).step_by(2_000) {
            map.apply(alive("e1", off + said), 1, at(found + 100));
        }
        assert!(map.is_online(&unit(), at(found + 100)), "off by {off} ms");
    }
}

#[test]
fn a_log_that_is_slow_for_good_takes_nobody_offline_for_good() {
    let mut map = PresenceMap::default();
    map.apply(record(Some("e1"), None), 40, at(0));
    map.apply(alive("e1", 0), 1, at(0));
    for round in 1..5 {
        let said = round * LIVENESS_EVERY_MS;
        map.apply(alive("e1", said), 1, at(said + 20_000));
    }
    assert!(map.is_online(&unit(), at(28_000)));
}

#[test]
fn the_cursor_is_the_one_of_the_record_that_stands() {
    let mut map = PresenceMap::default();
    assert_eq!(map.applied_next(&unit()), None);
    let PresenceRecord::Unit(mut presence) = record(Some("e1"), Some(40)) else { unreachable!() };
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
