use std::collections::HashMap;

use kit_store::Standing;
use requests_store::OpenRequests;
use units::Presence;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(1_772_366_400_000 + seconds * 1_000)
}

fn unit(n: u32) -> UnitId {
    format!("hcu-{n:04}").parse().unwrap()
}

fn seq(seq: u64) -> UnitSeq {
    UnitSeq::new(1, seq)
}

fn nothing() -> Found {
    Found {
        now: at(0),
        presence: Some(HashMap::new()),
        rows: Some(HashMap::new()),
        standings: Some(vec![("timeline", HashMap::new()), ("patients", HashMap::new())]),
        open: Some(HashMap::new()),
        vitals: HashMap::new(),
        missing: Vec::new(),
    }
}

fn add(found: &mut Found, n: u32, online: bool, applied: u64) {
    let presence = Presence {
        unit_id: unit(n),
        edge_id: online.then(|| "e".to_owned()),
        conn_epoch: Some(1),
        since: at(-100),
        agent_version: Some("0.1.0".to_owned()),
        applied_next: None,
        durable_seq: Some(seq(1_000)),
        durable_id: None,
        facts_offset: None,
        log: None,
    };
    found.presence.as_mut().unwrap().insert(unit(n), (presence, online));
    let standing = Standing { applied: seq(applied), as_of: at(-5), seen: seq(applied), held: 0 };
    for (_, standings) in found.standings.as_mut().unwrap() {
        standings.insert(unit(n), standing);
    }
}

#[test]
fn the_sick_come_first_and_the_healthy_in_the_order_of_their_names() {
    let mut found = nothing();
    for n in [5, 1, 3] {
        add(&mut found, n, true, 1_000);
    }
    add(&mut found, 2, false, 1_000);
    add(&mut found, 4, true, 1_000);
    if let Some(standing) = found.standings.as_mut().unwrap()[1].1.get_mut(&unit(4)) {
        standing.seen = seq(1_004);
    }
    let order: Vec<_> = units(&found).into_iter().map(|view| view.unit).collect();
    assert_eq!(order, [unit(4), unit(2), unit(1), unit(3), unit(5)]);
    assert_eq!(units(&found)[0].on_hold, ["patients"]);
}

#[test]
fn a_unit_is_behind_only_when_the_slowest_domain_is_far() {
    let mut found = nothing();
    add(&mut found, 1, true, 1_000);
    if let Some(standing) = found.standings.as_mut().unwrap()[0].1.get_mut(&unit(1)) {
        standing.applied = seq(990);
    }
    let view = units(&found).remove(0);
    assert_eq!((view.lag_facts, view.ails.len()), (Some(10), 1), "{:?}", view.ails);
    add(&mut found, 2, true, 100);
    let view = units(&found).into_iter().find(|view| view.unit == unit(2)).unwrap();
    assert_eq!((view.lag_facts, view.ails), (Some(900), BTreeSet::from([Ail::Behind])));
}

#[test]
fn requests_that_wait_for_an_absent_unit_make_it_worse_than_its_absence() {
    let mut found = nothing();
    add(&mut found, 1, false, 1_000);
    add(&mut found, 2, false, 1_000);
    let open = OpenRequests { open: 3, overdue: 1, oldest: Some(at(-900)) };
    found.open.as_mut().unwrap().insert(unit(2), open);
    let views = units(&found);
    assert_eq!(views[0].unit, unit(2));
    assert_eq!(views[0].ails, BTreeSet::from([Ail::Away, Ail::Overdue, Ail::Awaited]));
    assert_eq!(views[0].oldest_open_at, Some(at(-900)));
}

#[test]
fn what_an_agent_told_counts_while_it_is_connected() {
    let mut found = nothing();
    add(&mut found, 1, true, 1_000);
    add(&mut found, 2, false, 1_000);
    let told = Vitals { spool_facts: 7.0, oldest_unsent_seconds: 61.0, paused_tables: 2.0 };
    found.vitals.insert(unit(1), told);
    found.vitals.insert(unit(2), told);
    let views = units(&found);
    assert_eq!(views[0].ails, BTreeSet::from([Ail::Unsent, Ail::Paused]));
    assert_eq!((views[0].spool_facts, views[1].spool_facts), (Some(7), None));
}

#[test]
fn a_unit_that_only_one_source_knows_is_there() {
    let mut found = nothing();
    found
        .open
        .as_mut()
        .unwrap()
        .insert(unit(9), OpenRequests { open: 1, overdue: 0, oldest: None });
    let views = units(&found);
    assert_eq!(views.len(), 1);
    assert!(views[0].ails.contains(&Ail::Awaited));
}

#[test]
fn what_did_not_answer_is_a_gap_and_no_ailment() {
    let mut found = nothing();
    add(&mut found, 1, true, 1_000);
    found.vitals.insert(unit(1), Vitals { spool_facts: 7.0, ..Vitals::default() });
    let whole = units(&found).remove(0);
    found.presence = None;
    let view = units(&found).remove(0);
    assert_eq!((view.online, view.spool_facts, view.ails.len()), (None, Some(7), 0));

    let mut found = nothing();
    add(&mut found, 1, true, 1_000);
    (found.rows, found.standings, found.open) = (None, None, None);
    let view = units(&found).remove(0);
    assert_eq!((view.applied_seq, view.open_requests, view.lag_facts), (None, None, None));
    assert_eq!((view.online, view.ails.len()), (Some(true), 0));
    assert_eq!((whole.open_requests, whole.applied_seq), (Some(0), Some(seq(1_000))));
    assert!(found.is_a_view());
    found.presence = None;
    assert!(!found.is_a_view() && units(&found).is_empty());
}

#[test]
fn a_unit_that_no_read_model_holds_is_behind() {
    let mut found = nothing();
    add(&mut found, 1, true, 1_000);
    found.standings.as_mut().unwrap().iter_mut().for_each(|(_, of)| of.clear());
    assert_eq!(units(&found)[0].ails, BTreeSet::from([Ail::Behind]));
}
