use kit_bus::Topic;
use kit_event::UnitSeq;
use kit_link::{CloseCode, FromEdge, limits};
use units::Presence;

use crate::agent::Agent;
use crate::network::{Network, Unit, now, on_network};

/// The unit's presence records, oldest first, with their offsets.
async fn presence(net: &Network, unit: &Unit) -> Vec<(i64, Presence)> {
    let mut all = Vec::new();
    for record in net.of_unit(Topic::Presence, unit).await {
        let opened = net.bus.open(&record).await.unwrap();
        all.push((record.offset, serde_json::from_value(opened.body).unwrap()));
    }
    all
}

/// Waits until the unit's newest presence record is as wanted.
async fn until(net: &Network, unit: &Unit, wanted: impl Fn(&Presence) -> bool) -> Presence {
    for _ in 0..200 {
        if let Some((_, last)) = presence(net, unit).await.pop().filter(|(_, last)| wanted(last)) {
            return last;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("presence is {:?}", presence(net, unit).await.pop());
}

#[test]
fn the_newest_connection_takes_over_on_the_same_edge_and_on_another() {
    on_network(|net| async move {
        for second in 0..2 {
            let unit = net.unit("supersede");
            let (old, first) = Agent::connect(net.edges[0], &unit).await;
            let (mut new, again) = Agent::connect(net.edges[second], &unit).await;
            assert!(again.conn_epoch > first.conn_epoch);
            old.closed().await.expect(CloseCode::Superseded, "of this unit is newer");
            new.fact(1, 1).await;
            new.acked(1, 1).await;
            let last = until(net, &unit, |last| last.durable_seq.is_some()).await;
            assert_eq!(last.conn_epoch, Some(again.conn_epoch), "the old link writes no absence");
            assert!(last.edge_id.is_some());
            new.leave().await;
        }
    });
}

#[test]
fn presence_tells_connection_progress_and_absence() {
    on_network(|net| async move {
        let unit = net.unit("presence");
        let (mut agent, welcome) = Agent::connect(net.edges[0], &unit).await;
        let first = presence(net, &unit).await.remove(0);
        assert_eq!((first.0, first.1.conn_epoch), (welcome.conn_epoch, None));
        agent.fact(1, 1).await;
        let ack = agent.acked(1, 1).await;
        let placed = net.command(&unit, "1").await;
        agent.request().await;
        agent.applied(placed.offset + 1).await;
        let wanted = |last: &Presence| last.applied_next == Some(placed.offset + 1);
        let last = until(net, &unit, wanted).await;
        assert_eq!(last.durable_seq, Some(UnitSeq::new(1, 1)));
        assert_eq!(last.facts_offset, Some(ack.facts_offset));
        assert_eq!(last.log, Some(welcome.log.0));
        assert_eq!(last.agent_version.as_deref(), Some("test"));
        agent.leave().await;
        let away = until(net, &unit, |last| last.edge_id.is_none()).await;
        assert_eq!(away.conn_epoch, Some(welcome.conn_epoch));
        assert_eq!(away.durable_seq, Some(UnitSeq::new(1, 1)));
    });
}

#[test]
fn over_a_late_record_of_an_older_connection_the_edge_writes_its_own_again() {
    on_network(|net| async move {
        let unit = net.unit("late");
        let (old, first) = Agent::connect(net.edges[0], &unit).await;
        old.leave().await;
        until(net, &unit, |last| last.edge_id.is_none()).await;
        let (agent, welcome) = Agent::connect(net.edges[1], &unit).await;
        let mut late = presence(net, &unit).await.remove(0).1;
        late.conn_epoch = Some(first.conn_epoch);
        late.edge_id = None;
        let record = edge::presence::presence_record(&late, &kit_clock::Clock::system()).unwrap();
        net.bus.publish(record).await.unwrap();
        let wanted = |last: &Presence| last.conn_epoch == Some(welcome.conn_epoch);
        assert!(until(net, &unit, wanted).await.edge_id.is_some());
        agent.leave().await;
    });
}

#[test]
fn a_hello_that_its_agent_gave_up_sends_nobody_away_for_long() {
    on_network(|net| async move {
        for ends in [true, false] {
            let unit = net.unit("abandoned");
            let (agent, welcome) = Agent::connect(net.edges[0], &unit).await;
            let mut given_up = presence(net, &unit).await.remove(0).1;
            given_up.edge_id = Some("another-edge".to_owned());
            given_up.conn_epoch = None;
            let clock = kit_clock::Clock::system();
            let record = edge::presence::presence_record(&given_up, &clock).unwrap();
            let by = net.bus.publish(record).await.unwrap().offset;
            assert!(by > welcome.conn_epoch);
            if ends {
                let over = Presence { edge_id: None, conn_epoch: Some(by), ..given_up };
                let record = edge::presence::presence_record(&over, &clock).unwrap();
                net.bus.publish(record).await.unwrap();
            }
            // The only agent comes back at once, and has the unit.
            agent.closed().await.expect(CloseCode::Resync, "did not come to stand");
            let (agent, again) = Agent::connect(net.edges[0], &unit).await;
            assert!(again.conn_epoch > by);
            agent.leave().await;
        }
    });
}

#[test]
fn an_edge_says_that_it_is_alive() {
    on_network(|net| async move {
        let before = said_alive(net).await;
        let (_, life) = net.edge().await;
        // Its first word, and that it goes on: no other edge began meanwhile that is not counted.
        let mut said = Vec::new();
        for _ in 0..400 {
            let now = said_alive(net).await;
            said = now.into_iter().filter(|(edge, _)| !before.contains_key(edge)).collect();
            if said.iter().any(|(_, times)| *times >= 3) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        life.stop();
        life.drain().await.unwrap();
        assert!(said.iter().any(|(_, times)| *times >= 3), "{said:?}");
    });
}

/// How often each edge said that it is alive.
async fn said_alive(net: &Network) -> std::collections::BTreeMap<String, usize> {
    let mut alive = std::collections::BTreeMap::new();
    let scans = net.bus.scans(1);
    for partition in 0..net.bus.partitions() {
        let ends = net.bus.watermarks(Topic::Presence, partition).await.unwrap();
        let scan = scans.scan(Topic::Presence, partition, ends.low, ends.high).await;
        let mut scan = scan.unwrap();
        while let Some(record) = scan.next().await {
            let key = record.unwrap().key.unwrap();
            if key.starts_with("edge/") {
                *alive.entry(key).or_default() += 1;
            }
        }
    }
    alive
}

#[test]
fn a_draining_edge_confirms_what_it_took_and_says_that_its_units_are_away() {
    on_network(|net| async move {
        let (addr, life) = net.edge().await;
        let unit = net.unit("drain");
        let (mut agent, _) = Agent::connect(addr, &unit).await;
        for number in 1..=5 {
            agent.fact(1, number).await;
        }
        // The edge has read them once it has confirmed any of them or all; wait for the last.
        agent.acked(1, 5).await;
        let begun = std::time::Instant::now();
        life.stop();
        agent.closed().await.expect(CloseCode::Draining, "going away");
        life.drain().await.unwrap();
        assert!(begun.elapsed().as_secs() < 5);
        assert!(presence(net, &unit).await.pop().unwrap().1.edge_id.is_none());
        let (agent, welcome) = Agent::connect(net.edges[0], &unit).await;
        assert_eq!(welcome.durable.unwrap().seq, UnitSeq::new(1, 5));
        agent.leave().await;
    });
}

#[test]
fn a_link_is_asked_when_it_begins_and_when_idle_and_its_cursor_moves_to_the_head() {
    on_network(|net| async move {
        let unit = net.unit("idle");
        let neighbour = net.neighbour(&unit, "busy");
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        let first = agent.ping().await;
        agent.pong(first.head).await;
        let placed = net.command(&neighbour, "1").await;
        // A heartbeat is 20 s, a fifth more or less.
        let heartbeat = std::time::Duration::from_millis(limits::HEARTBEAT_MS * 3 / 2);
        let ping = agent.ping_within(heartbeat).await;
        assert!(ping.head > placed.offset);
        agent.pong(ping.head).await;
        let wanted = |last: &Presence| last.applied_next == Some(ping.head);
        until(net, &unit, wanted).await;
        agent.leave().await;
    });
}

#[test]
fn an_edge_whose_clock_is_hours_off_tells_the_networks_time_and_drops_no_query() {
    on_network(|net| async move {
        for off_ms in [-2 * 3_600_000, 3_600_000] {
            let (addr, life) = net.edge_off_by(off_ms).await;
            let unit = net.unit("clocks");
            let (mut agent, welcome) = Agent::connect(addr, &unit).await;
            let off = welcome.server_time.unix_ms() - now().unix_ms();
            assert!(off.abs() < 3_000, "server_time is {off} ms off");
            let date = httpdate::parse_http_date(&agent.date).unwrap();
            let date = date.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
            let off = i64::try_from(date.as_millis()).unwrap() - now().unix_ms();
            assert!(off.abs() < 3_000, "the date of the upgrade is {off} ms off");
            let ping = agent.ping().await;
            let off = ping.server_time.unix_ms() - now().unix_ms();
            assert!(off.abs() < 3_000, "a ping is {off} ms off");
            net.query(&unit, "live", 20_000).await;
            let FromEdge::Query(query) = agent.next().await else { panic!("a query is expected") };
            assert_eq!(query.id, unit.request_id("live"));
            agent.leave().await;
            life.stop();
            life.drain().await.unwrap();
        }
    });
}
