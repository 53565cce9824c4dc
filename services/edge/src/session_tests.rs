use serde_json::json;
use uuid::Uuid;

use super::*;

fn unit() -> UnitId {
    "hcu-0001".parse().unwrap()
}

impl Session {
    fn says(&mut self, text: &str) -> Result<Received, Fault> {
        self.receive(text, Timestamp::from_unix_ms(7))
    }
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

fn end(received: Result<Received, Fault>) -> (CloseCode, String) {
    let fault = received.unwrap_err();
    (fault.code, fault.detail)
}

#[test]
fn facts_come_one_after_the_other() {
    let mut link = session(Some(UnitSeq::new(3, 7)), 0);
    assert!(matches!(link.says(&fact("3-8")), Ok(Received::Fact(fact)) if fact.unit == unit()));
    let (code, detail) = end(link.says(&fact("3-10")));
    assert_eq!(code, CloseCode::ProtocolError);
    assert_eq!(detail, "expected fact 3-9, got 3-10");
    let (code, detail) = end(link.says(&fact("3-8")));
    assert_eq!((code, detail.as_str()), (CloseCode::ProtocolError, "expected fact 3-9, got 3-8"));
}

#[test]
fn an_epoch_opens_at_its_seq_1_and_ends_the_one_before() {
    let mut link = session(Some(UnitSeq::new(3, 7)), 0);
    let (_, detail) = end(link.says(&fact("5-2")));
    assert_eq!(detail, "expected fact 5-1, got 5-2");
    link.says(&fact("4-1")).unwrap();
    link.says(&fact("4-2")).unwrap();
    let (code, _) = end(link.says(&fact("3-8")));
    assert_eq!(code, CloseCode::StaleEpoch);
}

#[test]
fn the_first_fact_of_all_is_seq_1_of_an_epoch_above_0() {
    let (code, detail) = end(session(None, 0).says(&fact("1-5")));
    assert_eq!((code, detail.as_str()), (CloseCode::ProtocolError, "expected fact 1-1, got 1-5"));
    session(None, 0).says(&fact("1-1")).unwrap();
    assert!(session(None, 0).says(&fact("0-0")).is_err());
}

#[test]
fn acks_follow_confirmations_in_order() {
    let mut link = session(None, 0);
    for seq in ["1-1", "1-2"] {
        link.says(&fact(seq)).unwrap();
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
        link.says(&fact(&format!("1-{seq}"))).unwrap();
    }
    let next = fact(&format!("1-{}", limits::CREDITS + 1));
    assert_eq!(end(link.says(&next)).0, CloseCode::CreditsExceeded);
    link.confirmed(1).unwrap();
    link.says(&next).unwrap();
}

#[test]
fn facts_asked_for_again_come_out_of_order_and_move_nothing() {
    let mut link = session(Some(UnitSeq::new(3, 7)), 0);
    assert!(link.says(&fact("3-5")).is_err());
    let (from, to) = (UnitSeq::new(3, 4), UnitSeq::new(3, 5));
    link.asks_again(&Resend { position: None, from, to });
    link.says(&fact("3-5")).unwrap();
    link.says(&fact("3-8")).unwrap();
    assert_eq!(link.confirmed(99).unwrap(), Ack { durable: UnitSeq::new(3, 7), facts_offset: 40 });
    assert_eq!(link.confirmed(100).unwrap().durable, UnitSeq::new(3, 8));
    assert!(link.says(&fact("3-6")).is_err(), "3-6 was not asked for");
}

#[test]
fn facts_of_an_epoch_that_is_over_may_be_asked_for_again_and_move_nothing() {
    let mut link = session(Some(UnitSeq::new(3, 7)), 0);
    let (from, to) = (UnitSeq::new(2, 4), UnitSeq::new(2, 5));
    link.asks_again(&Resend { position: None, from, to });
    assert!(matches!(link.says(&fact("2-4")), Ok(Received::Fact(_))));
    assert_eq!(end(link.says(&fact("2-6"))).0, CloseCode::StaleEpoch, "2-6 was not asked for");
    assert_eq!(link.confirmed(99).unwrap(), Ack { durable: UnitSeq::new(3, 7), facts_offset: 40 });
    link.says(&fact("3-8")).unwrap();
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
    assert_eq!(link.says(r#"{"frame":"applied","next":16}"#).unwrap(), Received::Applied);
    assert_eq!(link.credits(), limits::CREDITS as usize - 1);
    assert_eq!(link.applied_next(), 16);
}

#[test]
fn a_cursor_moves_neither_back_nor_ahead_of_what_was_sent() {
    let mut link = session(None, 10);
    link.sends(12);
    let (code, detail) = end(link.says(r#"{"frame":"applied","next":14}"#));
    assert_eq!(code, CloseCode::ProtocolError);
    assert_eq!(detail, "the cursor is at 14; nothing above 13 was sent");
    link.tells_head(30);
    let pong = r#"{"frame":"pong","next":30,"last_seq":"1-9","spool_facts":4}"#;
    let (last_seq, spool_facts) = (UnitSeq::new(1, 9), Some(4));
    let told = Pong { next: 30, last_seq, spool_facts, ..Pong::default() };
    assert_eq!(link.says(pong).unwrap(), Received::Pong(told));
    let (_, detail) = end(link.says(r#"{"frame":"applied","next":29}"#));
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
    assert!(matches!(link.says(&reply("hcu-0001", 3)), Ok(Received::Reply(3, _))));
    let (_, detail) = end(link.says(&reply("hcu-0001", 4)));
    assert_eq!(detail, "reply_partition 4 is not within 0 to 3");
    let (_, detail) = end(link.says(&reply("hcu-0002", 3)));
    assert_eq!(detail, "the request is not of unit hcu-0001");
}

#[test]
fn an_outcome_goes_once_to_who_asked_on_this_link_and_nowhere_else() {
    let mut link = session(None, 0);
    let id = |number: usize| -> RequestId { format!("hcu-0001.{number:032x}").parse().unwrap() };
    let received = |link: &mut Session, number: usize, partition: i32| {
        let reply = json!({
            "frame": "reply", "request_id": id(number), "reply_partition": partition, "outcome": {},
        });
        matches!(link.says(&reply.to_string()), Ok(Received::Reply(..)))
    };
    link.asks(id(1), Some(2));
    link.asks(id(1), Some(3));
    link.asks(id(2), None);
    assert!(!received(&mut link, 1, 1), "nobody asked from there");
    assert!(received(&mut link, 1, 3) && received(&mut link, 1, 2));
    assert!(!received(&mut link, 1, 2), "once for each time it was asked");
    assert!(!received(&mut link, 2, 0), "nobody waits for it");
    assert!(!received(&mut link, 3, 0), "it was never asked");
    for number in 10..=(10 + ASKED_MAX) {
        link.asks(id(number), Some(0));
    }
    assert!(!received(&mut link, 10, 0), "so much was asked since that nobody waits any more");
    assert!(received(&mut link, 11, 0));
}

/// A fact with one member changed, or taken out where the value is null.
fn fact_with(name: &str, value: serde_json::Value) -> String {
    let mut fact: serde_json::Value = serde_json::from_str(&fact("1-1")).unwrap();
    fact[name] = value;
    fact.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    fact.to_string()
}

fn uncarriable(text: &str) -> (Fact, String) {
    let mut link = session(None, 0);
    match link.says(text) {
        Ok(Received::Uncarriable(fact, cause)) => {
            assert_eq!(fact.seq, UnitSeq::new(1, 1), "{text}");
            assert!(matches!(link.says(&self::fact("1-2")), Ok(Received::Fact(_))), "{text}");
            (*fact, cause)
        }
        other => panic!("{text} gave {other:?}"),
    }
}

#[test]
fn whatever_a_numbered_fact_says_its_number_counts_and_the_next_one_follows() {
    let long = "a.".to_owned() + &"b".repeat(126);
    for bad in ["", "booked", "Scheduling.booked", "a.b.c", "scheduling.", "a. b", "a.b_2", &long] {
        let (fact, cause) = uncarriable(&fact_with("type", json!(bad)));
        assert!(cause.starts_with("type: ") && fact.type_name.len() <= 127, "{bad}: {cause}");
    }
    let control = json!("lab.\u{1b}[31m");
    assert_eq!(uncarriable(&fact_with("type", control)).0.type_name, "lab.31m");
    let other = json!(format!("hcu-0002.{}", "0".repeat(32)));
    let (fact, cause) = uncarriable(&fact_with("causation_id", other));
    assert_eq!(
        (fact.causation_id, cause.as_str()),
        (None, "causation_id: it is no request of unit hcu-0001")
    );
    for (name, bad) in [
        ("type", json!(7)),
        ("type", json!(null)),
        ("version", json!(0)),
        ("version", json!(-1)),
        ("version", json!(1e300)),
        ("time", json!("yesterday")),
        ("time", json!(null)),
        ("subject", json!("no slash")),
        ("subject", json!("thing/\n")),
        ("subject", json!(format!("thing/{}", "x".repeat(300)))),
        ("subject", json!({"a": 1})),
        ("patient_id", json!("17")),
        ("causation_id", json!("17")),
        ("traceparent", json!(17)),
        ("body", json!(null)),
    ] {
        let (fact, cause) = uncarriable(&fact_with(name, bad));
        assert!(cause.contains(name) || cause.starts_with("fact: "), "{name}: {cause}");
        assert_eq!(fact.id, Uuid::nil());
    }
}

#[test]
fn an_id_that_is_none_is_replaced_by_the_same_each_time() {
    let (first, _) = uncarriable(&fact_with("id", json!("17")));
    assert_eq!(uncarriable(&fact_with("id", json!("17"))).0.id, first.id);
    assert_ne!(uncarriable(&fact_with("id", json!("18"))).0.id, first.id);
    assert_ne!(uncarriable(&fact_with("id", json!(null))).0.id, first.id);
}

#[test]
fn a_body_that_no_parser_takes_is_kept_as_text() {
    let deep = "[".repeat(200) + &"]".repeat(200);
    let control = "\"a\u{1}b\"";
    for body in [r#""\ud800""#, "1e999", &deep, control, "{\"a\":", "nonsense"] {
        let text = fact("1-1").replace("\"body\":{}", "").replace(",}", "}").replace("{,", "{");
        let text = text.trim_end_matches('}').to_owned() + &format!(",\"body\":{body}}}");
        let (fact, _) = uncarriable(&text);
        assert_eq!(fact.body, json!(text), "{body}");
        assert_eq!(
            (fact.type_name.as_str(), fact.id),
            ("scheduling.appointment_booked", Uuid::nil())
        );
    }
}

#[test]
fn a_fact_in_too_large_a_frame_is_withheld_and_any_other_frame_ends_the_link() {
    let large = json!({"note": "x".repeat(limits::FRAME_BYTES_MAX)});
    let (fact, cause) = uncarriable(&fact_with("body", large.clone()));
    assert_eq!((fact.body, cause.as_str()), (large, "a frame is at most 65536 bytes here"));
    let pong = json!({"frame": "pong", "next": 0, "x": "x".repeat(limits::FRAME_BYTES_MAX)});
    assert_eq!(end(session(None, 0).says(&pong.to_string())).0, CloseCode::FrameTooLarge);
}

#[test]
fn a_number_that_no_unit_comes_to_ends_the_link() {
    let (code, detail) = end(session(None, 0).says(&fact("4000000000-1")));
    assert_eq!(code, CloseCode::ProtocolError);
    assert_eq!(detail, "no unit comes from fact 0-0 to 4000000000-1");
    let mut last = session(Some(UnitSeq::new(3, u64::MAX)), 0);
    assert_eq!(end(last.says(&fact("3-1"))).0, CloseCode::ProtocolError);
}

#[test]
fn hello_comes_once() {
    let hello = json!({
        "frame": "hello", "token": "t", "versions": ["unit.v1"], "agent_version": "1",
        "request_types": [], "install_epoch": 0,
    });
    assert_eq!(end(session(None, 0).says(&hello.to_string())).0, CloseCode::ProtocolError);
}

#[test]
fn a_frame_of_a_later_version_is_named_and_passed_over() {
    let received = session(None, 0).says(r#"{"frame":"reauth","token":"x"}"#).unwrap();
    assert_eq!(received, Received::Unknown("reauth".to_owned()));
}
