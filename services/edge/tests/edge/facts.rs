use kit_bus::{Topic, schemas};
use kit_event::UnitSeq;
use kit_link::{CloseCode, FactFrame, FromAgent, FromEdge, Resume};
use serde_json::json;

use crate::agent::{Agent, hello};
use crate::network::{Network, Unit, fact_id, on_network, promise};

fn seq(epoch: u32, seq: u64) -> UnitSeq {
    UnitSeq::new(epoch, seq)
}

async fn durable(net: &Network, unit: &Unit, facts_offset: Option<i64>) -> Option<UnitSeq> {
    let mut hello = hello(unit);
    hello.facts_offset = facts_offset;
    let (agent, welcome) = Agent::connect_with(net.edges[0], unit, hello).await;
    agent.leave().await;
    if let Some(durable) = welcome.durable {
        assert_eq!(durable.id, fact_id(durable.seq));
    }
    welcome.durable.map(|durable| durable.seq)
}

#[test]
fn a_first_agent_is_welcomed_and_its_facts_are_on_the_log_when_they_are_acknowledged() {
    on_network(|net| async move {
        let unit = net.unit("first");
        let (mut agent, welcome) = Agent::connect(net.edges[0], &unit).await;
        assert_eq!((welcome.unit.clone(), welcome.durable), (unit.id.clone(), None));
        assert_eq!(welcome.resume, Resume::Exact);
        for number in 1..=3 {
            agent.fact(1, number).await;
        }
        let ack = agent.acked(1, 3).await;
        let records = net.of_unit(Topic::Facts, &unit).await;
        let numbers: Vec<_> = records.iter().filter_map(kit_bus::RawRecord::unit_seq).collect();
        assert_eq!(numbers, [seq(1, 1), seq(1, 2), seq(1, 3)]);
        assert_eq!(records[2].offset, ack.facts_offset);
        let fact = net.bus.open_fact(&records[2]).await.unwrap();
        assert_eq!(fact.body, json!({"note": "1-3"}));
        agent.leave().await;
    });
}

#[test]
fn another_edge_knows_what_is_durable_wherever_the_scan_begins() {
    on_network(|net| async move {
        let unit = net.unit("durable");
        let neighbour = net.neighbour(&unit, "neighbour");
        let (mut agent, _) = Agent::connect(net.edges[1], &unit).await;
        for number in 1..=5 {
            agent.fact(2, number).await;
        }
        let offset = agent.acked(2, 5).await.facts_offset;
        agent.leave().await;
        let (mut other, _) = Agent::connect(net.edges[1], &neighbour).await;
        other.fact(1, 1).await;
        let foreign = other.acked(1, 1).await.facts_offset;
        other.leave().await;
        for begin in [None, Some(offset), Some(foreign), Some(offset + 1_000), Some(-4)] {
            assert_eq!(durable(net, &unit, begin).await, Some(seq(2, 5)), "from {begin:?}");
        }
    });
}

#[test]
fn nothing_above_a_hole_is_durable() {
    on_network(|net| async move {
        let unit = net.unit("hole");
        for number in [1, 2, 4, 5] {
            net.bus.publish_fact(&unit.fact(seq(1, number))).await.unwrap();
        }
        assert_eq!(durable(net, &unit, None).await, Some(seq(1, 2)));
        net.bus.publish_fact(&unit.fact(seq(1, 3))).await.unwrap();
        assert_eq!(durable(net, &unit, None).await, Some(seq(1, 5)));
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        agent.fact(1, 6).await;
        agent.acked(1, 6).await;
        agent.leave().await;
    });
}

#[test]
fn a_number_that_jumps_or_an_epoch_that_is_over_ends_the_link() {
    on_network(|net| async move {
        let unit = net.unit("jump");
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        agent.fact(3, 1).await;
        agent.acked(3, 1).await;
        agent.fact(3, 3).await;
        agent.closed().await.expect(CloseCode::ProtocolError, "expected fact 3-2, got 3-3");
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        agent.fact(2, 1).await;
        agent.closed().await.expect(CloseCode::StaleEpoch, "the unit is in 3");
        let (mut agent, welcome) = Agent::connect(net.edges[0], &unit).await;
        assert_eq!(welcome.durable.unwrap().seq, seq(3, 1), "nothing of it reached the log");
        agent.fact(5, 2).await;
        agent.closed().await.expect(CloseCode::ProtocolError, "expected fact 5-1");
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        agent.fact(5, 1).await;
        agent.acked(5, 1).await;
        agent.leave().await;
    });
}

#[test]
fn a_type_without_a_schema_waits_and_holds_up_nobody_else() {
    on_network(|net| async move {
        let unit = net.unit("waits");
        let other = net.neighbour(&unit, "flows");
        let unheard = format!("edgetest.late_x{:08x}", rand::random::<u32>());
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        let mut fact = FactFrame::from(unit.fact(seq(1, 1)));
        fact.type_name.clone_from(&unheard);
        agent.send(&FromAgent::Fact(fact)).await;
        agent.fact(1, 2).await;
        let (mut quick, _) = Agent::connect(net.edges[0], &other).await;
        quick.fact(1, 1).await;
        quick.acked(1, 1).await;
        agent.hears_nothing_for(700).await;
        assert!(net.of_unit(Topic::Facts, &unit).await.is_empty(), "order is kept");
        schemas::apply(&net.registry_url, &[promise(&unheard)]).await.unwrap();
        agent.acked(1, 2).await;
        agent.leave().await;
        quick.leave().await;
    });
}

#[test]
fn more_facts_than_credits_end_the_link() {
    on_network(|net| async move {
        let unit = net.unit("greedy");
        let unheard = format!("edgetest.never_x{:08x}", rand::random::<u32>());
        let (mut agent, welcome) = Agent::connect(net.edges[0], &unit).await;
        for number in 1..=u64::from(welcome.credits) + 1 {
            let mut fact = FactFrame::from(unit.fact(seq(1, number)));
            fact.type_name.clone_from(&unheard);
            agent.send(&FromAgent::Fact(fact)).await;
        }
        agent.closed().await.expect(CloseCode::CreditsExceeded, "16 facts unacknowledged");
    });
}

#[test]
fn facts_asked_for_again_go_to_the_log_again() {
    on_network(|net| async move {
        let unit = net.unit("again");
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        for number in 1..=4 {
            agent.fact(1, number).await;
        }
        let last = agent.acked(1, 4).await;
        let body = json!({"from": "1-2", "to": "1-3"});
        let control = net.request(&unit, "resend", "control.resend", body);
        net.bus.publish_request(&control).await.unwrap();
        let FromEdge::Resend(ahead) = agent.next().await else { panic!("a resend is expected") };
        assert_eq!((ahead.position, ahead.from, ahead.to), (None, seq(1, 2), seq(1, 3)));
        let FromEdge::Resend(placed) = agent.next().await else { panic!("a resend is expected") };
        agent.applied(placed.position.unwrap() + 1).await;
        agent.fact(1, 2).await;
        agent.fact(1, 3).await;
        assert_eq!(agent.acked(1, 4).await, last, "it moves nothing");
        agent.fact(1, 5).await;
        agent.acked(1, 5).await;
        let records = net.of_unit(Topic::Facts, &unit).await;
        let numbers: Vec<u64> =
            records.iter().filter_map(kit_bus::RawRecord::unit_seq).map(|s| s.seq).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 2, 3, 5]);
        agent.leave().await;
    });
}

/// A partition with so many facts that no HELLO scans them for itself.
async fn grown(net: &Network, of: &Unit) -> i64 {
    let count = edge::limits::SCAN_FACTS_MAX as u64 + 5_000;
    net.bus.seal_fact(&of.fact(seq(1, 1))).await.unwrap();
    let mut last = None;
    for number in 1..=count {
        let delivery = loop {
            match net.bus.enqueue_fact(&of.fact(seq(1, number))) {
                Ok(delivery) => break delivery,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            }
        };
        last = Some(delivery);
    }
    last.unwrap().await.unwrap().offset
}

#[test]
fn new_clinics_join_a_grown_partition_by_one_pass_over_it() {
    on_network(|net| async move {
        let (addr, life) = net.edge().await;
        let old = net.unit("grown");
        grown(net, &old).await;
        let read = edge::facts_index::FactsIndex::new(
            net.bus.clone(),
            edge::presence::Whereabouts::default(),
        );
        let partition = net.bus.partition_of(old.id.as_str());
        let ends = net.bus.watermarks(Topic::Facts, partition).await.unwrap();
        let there = ends.low..ends.high;
        let learned = read.learn(&old.id, partition, ends.low, there.clone()).await.unwrap();
        assert_eq!(
            learned.unwrap().durable.seq,
            seq(1, edge::limits::SCAN_FACTS_MAX as u64 + 5_000)
        );
        let passed = read.records_read();
        assert_eq!(passed, u64::try_from(ends.high - ends.low).unwrap());
        for number in 0..10 {
            let unit = net.neighbour(&old, &format!("new-{number}"));
            let found = read.learn(&unit.id, partition, ends.low, there.clone()).await;
            assert_eq!(found.unwrap(), None);
        }
        assert_eq!(read.records_read(), passed, "what was learned is not read again");
        // Through an edge: all at once, and each goes on where it stands.
        let mut joining = Vec::new();
        for number in 0..10 {
            let unit = net.neighbour(&old, &format!("joins-{number}"));
            joining.push(async move {
                let (mut agent, welcome) = Agent::connect(addr, &unit).await;
                assert_eq!(welcome.durable, None);
                agent.fact(1, 1).await;
                agent.acked(1, 1).await;
                agent.leave().await;
                let (agent, welcome) = Agent::connect(addr, &unit).await;
                assert_eq!(welcome.durable.unwrap().seq, seq(1, 1));
                agent.leave().await;
            });
        }
        futures_util::future::join_all(joining).await;
        let (agent, welcome) = Agent::connect(addr, &old).await;
        assert_eq!(welcome.durable.unwrap().seq, learned.unwrap().durable.seq);
        agent.leave().await;
        life.stop();
        life.drain().await.unwrap();
    });
}
