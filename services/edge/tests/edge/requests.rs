use std::collections::BTreeSet;

use kit_bus::Topic;
use kit_event::{RequestId, UnitSeq};
use kit_link::{
    Answer, CloseCode, Cursor, FromAgent, FromEdge, LogIdentity, Reply, Resume, limits,
};
use serde_json::json;

use crate::agent::{Agent, hello};
use crate::network::{Network, Unit, on_network};

async fn commands(net: &Network, unit: &Unit, keys: std::ops::Range<u32>) -> Vec<(i64, RequestId)> {
    let mut placed = Vec::new();
    for key in keys {
        let key = key.to_string();
        placed.push((net.command(unit, &key).await.offset, unit.request_id(&key)));
    }
    placed
}

#[test]
fn what_waited_comes_first_and_what_is_live_after_it_and_nothing_twice() {
    on_network(|net| async move {
        let unit = net.unit("backlog");
        let before = commands(net, &unit, 0..5).await;
        let (mut agent, welcome) = Agent::connect(net.edges[0], &unit).await;
        for expected in &before {
            assert_eq!(&agent.request().await, expected);
        }
        let live = commands(net, &unit, 5..8).await;
        for expected in &live {
            assert_eq!(&agent.request().await, expected);
        }
        agent.applied(live[0].0 + 1).await;
        agent.leave().await;
        let (mut agent, again) = Agent::resume(net.edges[1], &unit, &welcome, live[0].0 + 1).await;
        assert_eq!(again.resume, Resume::Exact);
        assert_eq!(agent.request().await, live[1]);
        assert_eq!(agent.request().await, live[2]);
        agent.hears_nothing_for(300).await;
        agent.leave().await;
    });
}

#[test]
fn a_cursor_of_another_log_is_told_of_the_gap() {
    on_network(|net| async move {
        let unit = net.unit("gap");
        let placed = commands(net, &unit, 0..2).await;
        let mut other = hello(&unit);
        let log = LogIdentity("another/unit.requests/0".to_owned());
        other.cursor = Some(Cursor { log, next: 7 });
        let (mut agent, welcome) = Agent::connect_with(net.edges[0], &unit, other).await;
        assert_eq!(welcome.resume, Resume::Gap { from: 7, to: 0 });
        assert_eq!(agent.request().await, placed[0]);
        agent.leave().await;
        let beyond = welcome.head + 1_000;
        let (mut agent, welcome) = Agent::resume(net.edges[0], &unit, &welcome, beyond).await;
        assert_eq!(welcome.resume, Resume::Gap { from: beyond, to: welcome.head });
        let placed = commands(net, &unit, 2..3).await;
        assert_eq!(agent.request().await, placed[0]);
        agent.leave().await;
    });
}

#[test]
fn credits_hold_requests_back_and_cancels_overtake_them() {
    on_network(|net| async move {
        let unit = net.unit("credits");
        let credits = limits::CREDITS;
        let placed = commands(net, &unit, 0..credits + 4).await;
        let cancelled = net.cancel(&unit, "17").await.offset;
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        let FromEdge::Cancel(ahead) = agent.next().await else { panic!("the cancel goes ahead") };
        assert_eq!((ahead.position, ahead.request_id), (None, unit.request_id("17")));
        for expected in &placed[..credits as usize] {
            assert_eq!(&agent.request().await, expected);
        }
        agent.hears_nothing_for(300).await;
        net.cancel(&unit, "18").await;
        let FromEdge::Cancel(live) = agent.next().await else { panic!("a live one goes ahead") };
        assert_eq!((live.position, live.request_id), (None, unit.request_id("18")));
        agent.applied(placed[1].0 + 1).await;
        assert_eq!(agent.request().await, placed[credits as usize]);
        assert_eq!(agent.request().await, placed[credits as usize + 1]);
        agent.hears_nothing_for(300).await;
        agent.applied(placed[credits as usize + 1].0 + 1).await;
        assert_eq!(agent.request().await, placed[credits as usize + 2]);
        assert_eq!(agent.request().await, placed[credits as usize + 3]);
        let FromEdge::Cancel(in_place) = agent.next().await else { panic!("and in its place") };
        assert_eq!(in_place.position, Some(cancelled));
        agent.leave().await;
    });
}

#[test]
fn a_wrong_cursor_ends_the_link() {
    on_network(|net| async move {
        let unit = net.unit("cursor");
        let placed = commands(net, &unit, 0..1).await;
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        agent.request().await;
        agent.applied(placed[0].0 + 2).await;
        agent.closed().await.expect(CloseCode::ProtocolError, "nothing above");
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        agent.request().await;
        agent.applied(placed[0].0 + 1).await;
        agent.applied(placed[0].0).await;
        agent.closed().await.expect(CloseCode::ProtocolError, "the cursor went back");
    });
}

#[test]
fn a_query_goes_at_once_or_never() {
    on_network(|net| async move {
        let unit = net.unit("query");
        net.query(&unit, "old", -1_000).await;
        net.command(&unit, "1").await;
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        agent.request().await;
        for _ in 0..limits::CREDITS {
            net.command(&unit, &rand::random::<u32>().to_string()).await;
        }
        for _ in 1..limits::CREDITS {
            agent.request().await;
        }
        net.query(&unit, "late", -1).await;
        net.query(&unit, "now", 20_000).await;
        let FromEdge::Query(query) = agent.next().await else { panic!("credits hold no query") };
        assert_eq!(query.id, unit.request_id("now"));
        assert_eq!(query.body, json!({"note": "now"}));
        agent.leave().await;
    });
}

fn reply(unit: &Unit, key: &str, partition: i32) -> Reply {
    let request_id = unit.request_id(key);
    let outcome = json!({"request_id": request_id, "state": "done", "later_member": 1});
    Reply {
        request_id,
        reply_partition: Some(partition),
        last_seq: Some(UnitSeq::new(1, 9)),
        record_seq: None,
        traceparent: None,
        outcome,
    }
}

fn answer(unit: &Unit, key: &str, partition: i32) -> Answer {
    Answer {
        id: unit.request_id(key),
        reply_partition: Some(partition),
        traceparent: None,
        body: Some(json!({"items": []})),
        reason: None,
        detail: None,
    }
}

#[test]
fn replies_and_answers_go_to_the_partition_that_was_named() {
    on_network(|net| async move {
        let unit = net.unit("replies");
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        net.command_from(&unit, "1", 2).await;
        agent.request().await;
        net.query_from(&unit, "2", 3).await;
        assert!(matches!(agent.next().await, FromEdge::Query(_)));
        agent.send(&FromAgent::Reply(reply(&unit, "1", 2))).await;
        agent.send(&FromAgent::Answer(answer(&unit, "2", 3))).await;
        let body = first_body(net, 2, &unit).await;
        assert_eq!(body["outcome"]["state"], "done");
        assert_eq!(body["last_seq"], "1-9");
        let body = first_body(net, 3, &unit).await;
        assert_eq!(body["body_json"], r#"{"items":[]}"#);
        let foreign = reply(&net.unit("victim"), "1", 2);
        agent.send(&FromAgent::Reply(foreign)).await;
        agent.closed().await.expect(CloseCode::ProtocolError, "the request is not of unit");
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        while !matches!(agent.next().await, FromEdge::Request(_)) {}
        let mut forged = reply(&unit, "1", 2);
        forged.outcome = json!({"request_id": unit.request_id("7"), "state": "done"});
        agent.send(&FromAgent::Reply(forged)).await;
        agent.closed().await.expect(CloseCode::ProtocolError, "of another request");
    });
}

#[test]
fn what_nobody_asked_for_on_this_link_is_passed_on_to_nobody() {
    on_network(|net| async move {
        let unit = net.unit("unasked");
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        net.command_from(&unit, "1", 2).await;
        agent.request().await;
        agent.send(&FromAgent::Reply(reply(&unit, "never", 2))).await;
        agent.send(&FromAgent::Reply(reply(&unit, "1", 3))).await;
        agent.send(&FromAgent::Answer(answer(&unit, "never", 1))).await;
        for _ in 0..5 {
            agent.send(&FromAgent::Reply(reply(&unit, "1", 2))).await;
        }
        // The ACK comes after the edge has read all of them.
        agent.fact(1, 1).await;
        agent.acked(1, 1).await;
        first_body(net, 2, &unit).await;
        for (partition, count) in [(0, 0), (1, 0), (2, 1), (3, 0)] {
            let records = net.records(Topic::Replies, partition, unit.id.as_str()).await;
            assert_eq!(records.len(), count, "partition {partition}");
        }
        agent.leave().await;
    });
}

async fn first_body(net: &Network, partition: i32, unit: &Unit) -> serde_json::Value {
    for _ in 0..200 {
        let records = net.records(Topic::Replies, partition, unit.id.as_str()).await;
        if let Some(record) = records.first() {
            return net.bus.open(record).await.unwrap().body;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("nothing came to partition {partition}");
}

/// Takes requests and applies them; leaves after `takes` of them, after `until`, or when none
/// comes.
async fn work(mut agent: Agent, takes: usize, until: i64, seen: &mut Vec<i64>) -> i64 {
    let mut next = 0;
    let idle = std::time::Duration::from_millis(400);
    for _ in 0..takes {
        let Ok((position, _)) = tokio::time::timeout(idle, agent.request()).await else { break };
        seen.push(position);
        next = position + 1;
        agent.applied(next).await;
        if position == until {
            break;
        }
    }
    // The cursor's word must be received before the end is.
    agent.leave().await;
    next
}

#[test]
fn from_backlog_to_live_under_load_there_is_neither_hole_nor_double() {
    on_network(|net| async move {
        const COMMANDS: u32 = 1_500;
        let unit = net.unit("load");
        let noisy = net.neighbour(&unit, "noisy");
        let (agent, mut welcome) = Agent::connect(net.edges[0], &unit).await;
        agent.leave().await;
        let (mine, other) = (unit.clone(), noisy.clone());
        let load = tokio::spawn(async move {
            let mut placed = Vec::new();
            for key in 0..COMMANDS {
                placed.push(net.command(&mine, &key.to_string()).await.offset);
                net.command(&other, &key.to_string()).await;
            }
            placed
        });
        let (mut seen, mut next, mut turn) = (Vec::new(), welcome.head, 0);
        while !load.is_finished() {
            turn += 1;
            let (agent, again) = Agent::resume(net.edges[turn % 2], &unit, &welcome, next).await;
            assert_eq!(again.resume, Resume::Exact);
            welcome = again;
            next = work(agent, 60 + turn * 7, i64::MAX, &mut seen).await.max(next);
        }
        let placed = load.await.unwrap();
        let last = *placed.last().unwrap();
        if next <= last {
            let (agent, _) = Agent::resume(net.edges[0], &unit, &welcome, next).await;
            work(agent, usize::MAX, last, &mut seen).await;
        }
        assert!(turn > 3, "the load was over too soon to mean anything");
        assert_eq!(seen, placed);
    });
}

#[test]
fn a_unit_that_takes_nothing_holds_up_nobody_and_finds_everything_later() {
    on_network(|net| async move {
        const COMMANDS: u32 = 400;
        let slow = net.unit("slow");
        let quick = net.neighbour(&slow, "quick");
        let (mut stuck, welcome) = Agent::connect(net.edges[0], &slow).await;
        let (mut lively, _) = Agent::connect(net.edges[0], &quick).await;
        let placed = commands(net, &slow, 0..COMMANDS).await;
        net.command(&quick, "1").await;
        let begun = std::time::Instant::now();
        assert_eq!(lively.request().await.1, quick.request_id("1"));
        assert!(begun.elapsed().as_secs() < 3);
        lively.leave().await;
        let mut ids = BTreeSet::new();
        for expected in &placed {
            let (position, id) = stuck.request().await;
            assert_eq!((position, &id), (expected.0, &expected.1));
            ids.insert(id);
            stuck.applied(position + 1).await;
        }
        assert_eq!(ids.len(), placed.len());
        stuck.hears_nothing_for(200).await;
        stuck.leave().await;
        let (mut again, _) =
            Agent::resume(net.edges[1], &slow, &welcome, placed.last().unwrap().0 + 1).await;
        again.hears_nothing_for(200).await;
        again.leave().await;
    });
}
