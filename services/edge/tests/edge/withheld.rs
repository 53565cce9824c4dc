//! Facts that cannot simply go to the log: refused by their schema, of a type or version that
//! nobody registered, or while the registry is away.

use std::time::{Duration, Instant};

use kit_bus::{RawRecord, Topic, headers, schemas};
use kit_event::UnitSeq;
use kit_link::{CloseCode, FactFrame, FromAgent, FromEdge, limits};
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::network::{Network, RESOURCE, Unit, fact_id, on_network, promise};
use crate::registry_gate::Gate;

const WITHHELD: &str = "units.fact_withheld";
/// A value that must show up nowhere but in `parked`.
const CANARY: &str = "Matilde-Conceicao-351";

fn seq(seq: u64) -> UnitSeq {
    UnitSeq::new(1, seq)
}

/// A fact whose body the schema of [`RESOURCE`] refuses.
fn refused(unit: &Unit, number: u64) -> FromAgent {
    let mut fact = FactFrame::from(unit.fact(seq(number)));
    fact.body = json!({"note": {"name": CANARY}});
    FromAgent::Fact(fact)
}

/// A fact of a type of its own.
fn of_type(unit: &Unit, number: u64, type_name: &str, version: u32) -> FromAgent {
    let mut fact = FactFrame::from(unit.fact(seq(number)));
    type_name.clone_into(&mut fact.type_name);
    fact.version = version;
    FromAgent::Fact(fact)
}

/// A type that no other test knows.
fn fresh_type(name: &str) -> String {
    format!("edgetest.{name}_x{:08x}", rand::random::<u32>())
}

/// Waits for the ACK of `number`, and gives what the edge said of withheld facts meanwhile.
async fn acked(agent: &mut Agent, number: u64) -> Vec<String> {
    let mut said = Vec::new();
    loop {
        match agent.next().await {
            FromEdge::Ack(ack) if ack.durable == seq(number) => return said,
            FromEdge::Ack(_) => {}
            FromEdge::Error(error) => {
                assert_eq!(error.problem, "fact-withheld");
                said.push(error.detail);
            }
            other => panic!("expected an ack, got {other:?}"),
        }
    }
}

/// Type, number and id of each of the unit's records on the log.
async fn on_log(net: &Network, unit: &Unit) -> Vec<(String, u64)> {
    let records = net.of_unit(Topic::Facts, unit).await;
    let line = |record: &RawRecord| {
        let number = record.unit_seq().unwrap();
        assert_eq!(record.ce_id(), Some(fact_id(number).to_string().as_str()));
        (record.ce_type().unwrap().to_owned(), number.seq)
    };
    records.iter().map(line).collect()
}

fn lines(all: &[(&str, u64)]) -> Vec<(String, u64)> {
    all.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect()
}

#[test]
fn a_refused_body_is_parked_and_a_placeholder_keeps_its_number() {
    on_network(|net| async move {
        let unit = net.unit("refused");
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        agent.fact(1, 1).await;
        agent.send(&refused(&unit, 2)).await;
        agent.fact(1, 3).await;
        let mut said = acked(&mut agent, 3).await;
        if said.is_empty() {
            let FromEdge::Error(error) = agent.next().await else { panic!("an error frame") };
            said.push(error.detail);
        }
        let cause = "$.note must be a string, not an object";
        assert_eq!(said, [format!("1-2 {RESOURCE} v1: {cause}")]);
        assert_eq!(on_log(net, &unit).await, lines(&[(RESOURCE, 1), (WITHHELD, 2), (RESOURCE, 3)]));
        let records = net.of_unit(Topic::Facts, &unit).await;
        let placeholder = net.bus.open_fact(&records[1]).await.unwrap();
        assert_eq!(placeholder.subject.as_deref(), Some("thing/1"));
        let body = &placeholder.body;
        assert_eq!((&body["unit_id"], &body["type"]), (&json!(unit.id), &json!(RESOURCE)));
        assert_eq!((&body["version"], &body["subject"]), (&json!(1), &json!("thing/1")));
        assert_eq!(body["cause"], cause);
        assert_eq!(body.as_object().unwrap().len(), 5, "and nothing else: {body}");
        let parked = net.of_unit(Topic::Parked, &unit).await;
        assert_eq!(parked.len(), 1);
        let body: Value = serde_json::from_slice(parked[0].payload.as_ref().unwrap()).unwrap();
        assert_eq!(body, json!({"note": {"name": CANARY}}));
        assert_eq!(parked[0].unit_seq(), Some(seq(2)));
        assert_eq!(parked[0].ce_type(), Some(RESOURCE));
        assert_eq!(parked[0].header(headers::PARKED_CAUSE), Some(cause));
        let origin = format!("unit.v1/{}/1-2", unit.id);
        assert_eq!(parked[0].header(headers::PARKED_ORIGIN), Some(origin.as_str()));
        let everything = format!("{:?}{:?}", parked[0].headers, records[1].headers);
        assert!(!everything.contains(CANARY), "{everything}");
        agent.leave().await;
    });
}

#[test]
fn an_edge_that_dies_after_parking_leaves_no_hole_and_begins_anew() {
    on_network(|net| async move {
        let unit = net.unit("died-early");
        // What the dead edge did: the body is parked, and nothing else.
        let FromAgent::Fact(frame) = refused(&unit, 1) else { panic!("a fact") };
        net.bus.park_fact(&frame.into_fact(unit.id.clone()), "what the first said").await.unwrap();
        let (mut agent, welcome) = Agent::connect(net.edges[0], &unit).await;
        assert_eq!(welcome.durable, None);
        agent.send(&refused(&unit, 1)).await;
        acked(&mut agent, 1).await;
        assert_eq!(on_log(net, &unit).await, lines(&[(WITHHELD, 1)]));
        let parked = net.of_unit(Topic::Parked, &unit).await;
        assert_eq!(parked.len(), 2, "twice, under one id");
        assert_eq!(parked[0].ce_id(), parked[1].ce_id());
        agent.leave().await;
    });
}

#[test]
fn an_edge_that_dies_before_the_ack_has_made_the_number_durable() {
    on_network(|net| async move {
        let unit = net.unit("died-late");
        let FromAgent::Fact(frame) = refused(&unit, 1) else { panic!("a fact") };
        let fact = frame.into_fact(unit.id.clone());
        net.bus.park_fact(&fact, "cause").await.unwrap();
        let placeholder = edge::withheld::placeholder(&fact, "cause").unwrap();
        net.bus.publish_fact(&placeholder).await.unwrap();
        let (mut agent, welcome) = Agent::connect(net.edges[1], &unit).await;
        let durable = welcome.durable.unwrap();
        assert_eq!((durable.seq, durable.id), (seq(1), fact_id(seq(1))));
        agent.fact(1, 2).await;
        agent.acked(1, 2).await;
        assert_eq!(on_log(net, &unit).await, lines(&[(WITHHELD, 1), (RESOURCE, 2)]));
        assert_eq!(net.of_unit(Topic::Parked, &unit).await.len(), 1);
        agent.leave().await;
    });
}

#[test]
fn a_placeholder_of_a_mended_version_is_a_fact_of_the_new_version() {
    on_network(|net| async move {
        let unit = net.unit("mended");
        let kind = fresh_type("mended");
        let v1 = promise(&kind);
        schemas::apply(&net.registry_url, std::slice::from_ref(&v1)).await.unwrap();
        let with_more = |number, version| {
            let FromAgent::Fact(mut fact) = of_type(&unit, number, &kind, version) else {
                panic!("a fact")
            };
            fact.body = json!({"note": "x", "more": "y"});
            FromAgent::Fact(fact)
        };
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        agent.send(&with_more(1, 1)).await;
        // That it was withheld may be told before its ack or after it.
        if acked(&mut agent, 1).await.is_empty() {
            let told = agent.next().await;
            assert!(matches!(&told, FromEdge::Error(it) if it.problem == "fact-withheld"));
        }
        // Version 2 is not there yet: the unit waits. It is registered: the unit goes on.
        agent.send(&with_more(2, 2)).await;
        agent.hears_nothing_for(1_000).await;
        let mut v2 = v1.clone();
        v2.version = 2;
        v2.text = v1.text.replace(
            "\"fields\":[",
            "\"fields\":[{\"name\":\"more\",\"type\":[\"null\",\"string\"],\"default\":null},",
        );
        let registered_at = Instant::now();
        schemas::apply(&net.registry_url, &[v1, v2]).await.unwrap();
        acked(&mut agent, 2).await;
        let took = registered_at.elapsed();
        assert!(took < Duration::from_secs(2), "the unit waited {took:?} after it was registered");
        assert_eq!(on_log(net, &unit).await, lines(&[(WITHHELD, 1), (&kind, 2)]));
        agent.leave().await;
    });
}

#[test]
fn while_the_registry_is_away_known_types_flow_and_new_ones_wait() {
    on_network(|net| async move {
        let gate = Gate::before(&net.registry_url).await;
        let (addr, _life) = net.edge_with_registry(&gate.url(&net.registry_url)).await;
        let (unit, other) = (net.unit("away-new"), net.unit("away-known"));
        let (mut quick, _) = Agent::connect(addr, &other).await;
        quick.fact(1, 1).await;
        quick.acked(1, 1).await;
        let (mut agent, _) = Agent::connect(addr, &unit).await;
        let kind = fresh_type("away");
        schemas::apply(&net.registry_url, &[promise(&kind)]).await.unwrap();
        gate.shut();
        agent.send(&of_type(&unit, 1, &kind, 1)).await;
        agent.fact(1, 2).await;
        for number in 2..=5 {
            quick.fact(1, number).await;
            quick.acked(1, number).await;
        }
        agent.hears_nothing_for(1_500).await;
        assert!(on_log(net, &unit).await.is_empty(), "order is kept");
        gate.open();
        let opened_at = Instant::now();
        agent.acked(1, 2).await;
        let took = opened_at.elapsed();
        assert!(
            took < Duration::from_secs(3),
            "the unit waited {took:?} for a registry that is back"
        );
        assert_eq!(on_log(net, &unit).await, lines(&[(&kind, 1), (RESOURCE, 2)]));
        agent.leave().await;
        quick.leave().await;
    });
}

#[test]
fn a_refusal_is_not_found_out_while_the_registry_is_away() {
    on_network(|net| async move {
        let gate = Gate::before(&net.registry_url).await;
        let (addr, _life) = net.edge_with_registry(&gate.url(&net.registry_url)).await;
        let unit = net.unit("away-refused");
        let (mut agent, _) = Agent::connect(addr, &unit).await;
        gate.shut();
        // Nothing of RESOURCE is held here yet: it may be anything but a placeholder.
        agent.send(&refused(&unit, 1)).await;
        agent.hears_nothing_for(1_000).await;
        assert!(net.of_unit(Topic::Parked, &unit).await.is_empty());
        gate.open();
        acked(&mut agent, 1).await;
        assert_eq!(on_log(net, &unit).await, lines(&[(WITHHELD, 1)]));
        agent.leave().await;
    });
}

#[test]
fn hostile_bodies_are_withheld_and_hurt_nobody() {
    on_network(|net| async move {
        let unit = net.unit("hostile");
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        let mut deep = json!(1);
        for _ in 0..100 {
            deep = json!([deep]);
        }
        let long_name = json!({("x".repeat(40_000)): 1, "\u{1b}[31m\n": CANARY});
        let bodies = [json!(null), json!([]), json!(CANARY), json!({"note": deep}), long_name];
        for (number, body) in (1..).zip(bodies) {
            let mut fact = FactFrame::from(unit.fact(seq(number)));
            fact.body = body;
            agent.send(&FromAgent::Fact(fact)).await;
            for detail in acked(&mut agent, number).await {
                let plain = detail.len() < 600 && !detail.contains(CANARY);
                assert!(plain && !detail.chars().any(char::is_control), "{detail}");
            }
        }
        let records = net.of_unit(Topic::Facts, &unit).await;
        for record in &records {
            let fact = net.bus.open_fact(record).await.unwrap();
            assert!(!fact.body.to_string().contains(CANARY), "{}", fact.body);
        }
        assert_eq!(records.len(), 5);
        agent.say(r#"{"frame":"fact","seq":"six"}"#).await;
        loop {
            if let FromEdge::Error(error) = agent.next().await
                && error.problem == CloseCode::ProtocolError.slug()
            {
                break;
            }
        }
    });
}

#[test]
fn no_content_of_a_numbered_fact_stops_its_unit() {
    on_network(|net| async move {
        let unit = net.unit("uncarriable");
        let whole =
            |number: u64| serde_json::to_value(FromAgent::Fact(unit.fact(seq(number)).into()));
        let with = |number: u64, name: &str, value: Value| {
            let mut frame = whole(number).unwrap();
            frame[name] = value;
            frame.to_string()
        };
        let vast = json!({"note": "x".repeat(2 * limits::FRAME_BYTES_MAX)});
        let no_json = with(8, "body", json!("?")).replace("\"?\"", &format!("\"{CANARY}\\ud800\""));
        // What an agent of before numbered by a mapping that `mapping check` took.
        let frames = [
            with(1, "type", json!("lab.covid_19_changed")),
            with(2, "type", json!("no type at all")),
            with(3, "time", json!("12.3.2026")),
            with(4, "subject", json!("a thing")),
            with(5, "patient_id", json!("17")),
            with(6, "version", json!(0)),
            with(7, "body", vast),
            no_json,
            with(9, "causation_id", json!(format!("hcu-0000.{}", "0".repeat(32)))),
        ];
        for frame in &frames {
            // On a link of its own each: the one before must have left the unit able to go on.
            let (mut agent, welcome) = Agent::connect(net.edges[0], &unit).await;
            let number = welcome.durable.map_or(1, |durable| durable.seq.seq + 1);
            agent.say(frame.as_str()).await;
            let said = acked(&mut agent, number).await;
            assert!(said.iter().all(|detail| !detail.contains(CANARY)), "{said:?}");
            agent.leave().await;
        }
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        agent.fact(1, 10).await;
        acked(&mut agent, 10).await;
        let mut expected: Vec<_> = (1..=9).map(|number| (WITHHELD, number)).collect();
        expected.push((RESOURCE, 10));
        assert_eq!(on_log(net, &unit).await, lines(&expected));
        let records = net.of_unit(Topic::Facts, &unit).await;
        let first = net.bus.open_fact(&records[0]).await.unwrap();
        assert_eq!(first.body["type"], "lab.covid_19_changed");
        let parked = net.of_unit(Topic::Parked, &unit).await;
        assert_eq!(parked.len(), 9);
        let kept: Value = serde_json::from_slice(parked[7].payload.as_ref().unwrap()).unwrap();
        assert_eq!(kept, json!(frames[7]), "the text, where the body does not read");
        agent.leave().await;
    });
}

#[test]
fn a_reemit_goes_ahead_and_in_its_place() {
    on_network(|net| async move {
        let unit = net.unit("reemit");
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        let body = json!({"seq": "1-2", "subject": "thing/1"});
        let control = net.request(&unit, "reemit", "control.reemit", body);
        let placed = net.bus.publish_request(&control).await.unwrap();
        for position in [None, Some(placed.offset)] {
            let FromEdge::Reemit(order) = agent.next().await else { panic!("a reemit") };
            assert_eq!((order.position, order.seq), (position, seq(2)));
            assert_eq!(order.subject.as_deref(), Some("thing/1"));
        }
        agent.applied(placed.offset + 1).await;
        agent.leave().await;
    });
}
