use serde_json::json;
use uuid::Uuid;

use super::*;

fn unit() -> UnitId {
    "hcu-0001".parse().unwrap()
}

fn session(durable: Option<UnitSeq>, next: i64) -> Session {
    let durable =
        durable.map(|seq| OnLog { durable: Durable { seq, id: Uuid::nil() }, offset: 40 });
    Session::new(unit(), 4, durable, next)
}

fn fact(seq: &str) -> String {
    json!({
        "frame": "fact", "seq": seq, "id": Uuid::nil(), "version": 1, "body": {},
        "type": "scheduling.appointment_booked", "time": "2026-03-01T09:30:00Z",
    })
    .to_string()
}

fn end(heard: Result<Heard, Fault>) -> (CloseCode, String) {
    let fault = heard.unwrap_err();
    (fault.code, fault.detail)
}

#[test]
fn facts_come_one_after_the_other() {
    let mut link = session(Some(UnitSeq::new(3, 7)), 0);
    assert!(matches!(link.hear(&fact("3-8")), Ok(Heard::Fact(fact)) if fact.unit == unit()));
    let (code, detail) = end(link.hear(&fact("3-10")));
    assert_eq!(code, CloseCode::ProtocolError);
    assert_eq!(detail, "expected fact 3-9, got 3-10");
    let (code, detail) = end(link.hear(&fact("3-8")));
    assert_eq!((code, detail.as_str()), (CloseCode::ProtocolError, "expected fact 3-9, got 3-8"));
}

#[test]
fn an_epoch_opens_at_its_seq_1_and_ends_the_one_before() {
    let mut link = session(Some(UnitSeq::new(3, 7)), 0);
    let (_, detail) = end(link.hear(&fact("5-2")));
    assert_eq!(detail, "expected fact 5-1, got 5-2");
    link.hear(&fact("4-1")).unwrap();
    link.hear(&fact("4-2")).unwrap();
    let (code, _) = end(link.hear(&fact("3-8")));
    assert_eq!(code, CloseCode::StaleEpoch);
}

#[test]
fn the_first_fact_of_all_is_seq_1_of_an_epoch_above_0() {
    let (code, detail) = end(session(None, 0).hear(&fact("1-5")));
    assert_eq!((code, detail.as_str()), (CloseCode::ProtocolError, "expected fact 1-1, got 1-5"));
    session(None, 0).hear(&fact("1-1")).unwrap();
    assert!(session(None, 0).hear(&fact("0-0")).is_err());
}

#[test]
fn acks_follow_confirmations_in_order() {
    let mut link = session(None, 0);
    for seq in ["1-1", "1-2"] {
        link.hear(&fact(seq)).unwrap();
    }
    let ack = link.confirmed(90).unwrap();
    assert_eq!(ack, Ack { durable: UnitSeq::new(1, 1), facts_offset: 90 });
    let ack = link.confirmed(95).unwrap();
    assert_eq!(ack, Ack { durable: UnitSeq::new(1, 2), facts_offset: 95 });
    assert_eq!(link.confirmed(96), None);
}

#[test]
fn more_facts_than_credits_end_the_link() {
    let mut link = session(None, 0);
    for seq in 1..=limits::CREDITS {
        link.hear(&fact(&format!("1-{seq}"))).unwrap();
    }
    let next = fact(&format!("1-{}", limits::CREDITS + 1));
    assert_eq!(end(link.hear(&next)).0, CloseCode::CreditsExceeded);
    link.confirmed(1).unwrap();
    link.hear(&next).unwrap();
}

#[test]
fn facts_asked_for_again_come_out_of_order_and_move_nothing() {
    let mut link = session(Some(UnitSeq::new(3, 7)), 0);
    assert!(link.hear(&fact("3-5")).is_err());
    let (from, to) = (UnitSeq::new(3, 4), UnitSeq::new(3, 5));
    link.asks_again(&Resend { position: None, from, to });
    link.hear(&fact("3-5")).unwrap();
    link.hear(&fact("3-8")).unwrap();
    assert_eq!(link.confirmed(99).unwrap(), Ack { durable: UnitSeq::new(3, 7), facts_offset: 40 });
    assert_eq!(link.confirmed(100).unwrap().durable, UnitSeq::new(3, 8));
    assert!(link.hear(&fact("3-6")).is_err(), "3-6 was not asked for");
}

#[test]
fn facts_of_an_epoch_that_is_over_may_be_asked_for_again_and_move_nothing() {
    let mut link = session(Some(UnitSeq::new(3, 7)), 0);
    let (from, to) = (UnitSeq::new(2, 4), UnitSeq::new(2, 5));
    link.asks_again(&Resend { position: None, from, to });
    assert!(matches!(link.hear(&fact("2-4")), Ok(Heard::Fact(_))));
    assert_eq!(end(link.hear(&fact("2-6"))).0, CloseCode::StaleEpoch, "2-6 was not asked for");
    assert_eq!(link.confirmed(99).unwrap(), Ack { durable: UnitSeq::new(3, 7), facts_offset: 40 });
    link.hear(&fact("3-8")).unwrap();
    assert_eq!(link.confirmed(100).unwrap().durable, UnitSeq::new(3, 8));
}

#[test]
fn credits_come_back_with_what_is_applied() {
    let mut link = session(None, 10);
    assert_eq!(link.credits(), limits::CREDITS as usize);
    for position in [12, 15, 17] {
        link.sends(position);
    }
    assert_eq!(link.credits(), limits::CREDITS as usize - 3);
    assert_eq!(link.hear(r#"{"frame":"applied","next":16}"#).unwrap(), Heard::Applied);
    assert_eq!(link.credits(), limits::CREDITS as usize - 1);
    assert_eq!(link.applied_next(), 16);
}

#[test]
fn a_cursor_moves_neither_back_nor_ahead_of_what_was_sent() {
    let mut link = session(None, 10);
    link.sends(12);
    let (code, detail) = end(link.hear(r#"{"frame":"applied","next":14}"#));
    assert_eq!(code, CloseCode::ProtocolError);
    assert_eq!(detail, "the cursor is at 14; nothing above 13 was sent");
    link.tells_head(30);
    let pong = r#"{"frame":"pong","next":30,"last_seq":"1-9","spool_facts":4}"#;
    let (last_seq, spool_facts) = (UnitSeq::new(1, 9), Some(4));
    let told = Pong { next: 30, last_seq, spool_facts, ..Pong::default() };
    assert_eq!(link.hear(pong).unwrap(), Heard::Pong(told));
    let (_, detail) = end(link.hear(r#"{"frame":"applied","next":29}"#));
    assert_eq!(detail, "the cursor went back from 30 to 29");
}

#[test]
fn replies_are_of_the_own_unit_and_to_a_partition_that_is_there() {
    let mut link = session(None, 0);
    let reply = |unit: &str, partition: i32| {
        json!({
            "frame": "reply", "request_id": format!("{unit}.{}", "0".repeat(32)),
            "reply_partition": partition, "outcome": {},
        })
        .to_string()
    };
    link.asks(format!("hcu-0001.{}", "0".repeat(32)).parse().unwrap(), Some(3));
    assert!(matches!(link.hear(&reply("hcu-0001", 3)), Ok(Heard::Reply(3, _))));
    let (_, detail) = end(link.hear(&reply("hcu-0001", 4)));
    assert_eq!(detail, "reply_partition 4 is not within 0 to 3");
    let (_, detail) = end(link.hear(&reply("hcu-0002", 3)));
    assert_eq!(detail, "the request is not of unit hcu-0001");
}

#[test]
fn an_outcome_goes_once_to_who_asked_on_this_link_and_nowhere_else() {
    let mut link = session(None, 0);
    let id = |number: usize| -> RequestId { format!("hcu-0001.{number:032x}").parse().unwrap() };
    let heard = |link: &mut Session, number: usize, partition: i32| {
        let reply = json!({
            "frame": "reply", "request_id": id(number), "reply_partition": partition, "outcome": {},
        });
        matches!(link.hear(&reply.to_string()), Ok(Heard::Reply(..)))
    };
    link.asks(id(1), Some(2));
    link.asks(id(1), Some(3));
    link.asks(id(2), None);
    assert!(!heard(&mut link, 1, 1), "nobody asked from there");
    assert!(heard(&mut link, 1, 3) && heard(&mut link, 1, 2));
    assert!(!heard(&mut link, 1, 2), "once for each time it was asked");
    assert!(!heard(&mut link, 2, 0), "nobody waits for it");
    assert!(!heard(&mut link, 3, 0), "it was never asked");
    for number in 10..10 + ASKED_MAX + 1 {
        link.asks(id(number), Some(0));
    }
    assert!(!heard(&mut link, 10, 0), "so much was asked since that nobody waits any more");
    assert!(heard(&mut link, 11, 0));
}

#[test]
fn a_fact_names_its_type_plainly_and_a_cause_of_its_own_unit() {
    for bad in ["", "booked", "Scheduling.booked", "a.b.c", "scheduling.", "a. b", "a.b_2"] {
        let text = fact("1-1").replace("scheduling.appointment_booked", bad);
        assert_eq!(end(session(None, 0).hear(&text)).0, CloseCode::ProtocolError, "{bad}");
    }
    let mut other: serde_json::Value = serde_json::from_str(&fact("1-1")).unwrap();
    other["causation_id"] = json!(format!("hcu-0002.{}", "0".repeat(32)));
    assert!(session(None, 0).hear(&other.to_string()).is_err());
}

#[test]
fn hello_comes_once() {
    let hello = json!({
        "frame": "hello", "token": "t", "versions": ["unit.v1"], "agent_version": "1",
        "request_types": [], "install_epoch": 0,
    });
    assert_eq!(end(session(None, 0).hear(&hello.to_string())).0, CloseCode::ProtocolError);
}

#[test]
fn a_frame_of_a_later_version_is_named_and_passed_over() {
    let heard = session(None, 0).hear(r#"{"frame":"reauth","token":"x"}"#).unwrap();
    assert_eq!(heard, Heard::Unknown("reauth".to_owned()));
}
