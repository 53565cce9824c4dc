//! What is published is read back: the same, in order, on the partition that everybody computes.

use kit_bus::{Outgoing, Topic, headers};
use kit_event::{Delivery, Request, RequestId, Timestamp, command_hash};
use serde_json::json;
use uuid::Uuid;

use crate::{NOTE_TYPE, bus, fact, first, record, soon, tail};

#[tokio::test]
async fn a_fact_reads_back_as_it_was_published() {
    let bus = bus(3).await;
    let mut sent = fact("hcu-0001", 7);
    sent.patient_id = Some(Uuid::new_v4());
    sent.causation_id = Some(RequestId::derive(&sent.unit, "iss", "sub", "key"));
    sent.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    let placed = bus.publish_fact(&sent).await.unwrap();
    assert_eq!((placed.partition, placed.offset), (bus.partition_of("hcu-0001"), 0));
    let raw = first(&bus, Topic::Facts, placed.partition).await;
    assert_eq!(raw.unit_seq(), Some(sent.seq));
    assert_eq!(raw.ce_type(), Some(NOTE_TYPE));
    assert_eq!(raw.ce_id(), Some(sent.id.to_string().as_str()));
    assert_eq!(raw.header(headers::SOURCE), Some("/units/hcu-0001"));
    assert_eq!(raw.header(headers::SPEC_VERSION), Some("1.0"));
    assert_eq!(bus.open_fact(&raw).await.unwrap(), sent);
}

#[tokio::test]
async fn a_request_reads_back_as_it_was_published() {
    let bus = bus(2).await;
    let unit: kit_event::UnitId = "hcu-0002".parse().unwrap();
    let body = json!({"note_id": "n"});
    let sent = Request {
        id: RequestId::derive(&unit, "iss", "sub", "key"),
        unit,
        type_name: NOTE_TYPE.into(),
        version: 1,
        accepted_at: Timestamp::from_unix_ms(1_000),
        expires_at: Timestamp::from_unix_ms(2_000),
        delivery: Delivery::OnlineOnly,
        command_hash: command_hash(NOTE_TYPE, &body),
        actor: "staff:7".into(),
        reply_partition: Some(1),
        traceparent: None,
        body,
    };
    let placed = bus.publish_request(&sent).await.unwrap();
    let raw = first(&bus, Topic::Requests, placed.partition).await;
    assert_eq!(bus.open_request(&raw).await.unwrap(), sent);
}

#[tokio::test]
async fn anything_else_goes_to_the_partition_named() {
    let bus = bus(4).await;
    let out = Outgoing {
        topic: Topic::Replies,
        partition: Some(3),
        key: "hcu-0001".into(),
        ce_id: "answer-1".into(),
        type_name: NOTE_TYPE.into(),
        version: 1,
        time: Timestamp::from_unix_ms(5),
        headers: vec![("ce_causationid".into(), "x".into())],
        body: json!({"note_id": "n"}),
    };
    let placed = bus.publish(out).await.unwrap();
    assert_eq!(placed.partition, 3);
    let raw = first(&bus, Topic::Replies, 3).await;
    let opened = bus.open(&raw).await.unwrap();
    assert_eq!((opened.id.as_str(), opened.version), ("answer-1", 1));
    assert_eq!(opened.body, json!({"note_id": "n"}));
    assert_eq!(raw.header("ce_causationid"), Some("x"));
}

#[tokio::test]
async fn two_thousand_pipelined_facts_keep_their_order() {
    const COUNT: u64 = 2_000;
    let bus = bus(2).await;
    bus.seal_fact(&fact("hcu-0001", 1)).await.unwrap();
    let deliveries: Vec<_> =
        (1..=COUNT).map(|seq| bus.enqueue_fact(&fact("hcu-0001", seq)).unwrap()).collect();
    let mut offset = -1;
    for delivery in deliveries {
        let placed = soon("a delivery", delivery).await.unwrap();
        assert_eq!(placed.offset, offset + 1);
        offset = placed.offset;
    }
    let mut reader = tail(&bus);
    let partition = bus.partition_of("hcu-0001");
    reader.assign(Topic::Facts, vec![(partition, 0)]).await.unwrap();
    for seq in 1..=COUNT {
        let raw = record(&mut reader).await;
        assert_eq!(raw.unit_seq().unwrap().seq, seq);
    }
}

#[tokio::test]
async fn the_producer_puts_every_unit_where_we_compute_it() {
    let bus = bus(16).await;
    for number in 0..300 {
        let unit = format!("hcu-{number:04}");
        let sealed = bus.seal_fact(&fact(&unit, 1)).await.unwrap();
        let placed = bus.enqueue(sealed).unwrap().await.unwrap();
        assert_eq!(placed.partition, bus.partition_of(&unit), "{unit}");
    }
}

#[tokio::test]
async fn the_same_log_has_one_identity() {
    let bus = bus(2).await;
    let one = bus.log_identity(Topic::Requests, 1);
    assert!(one.ends_with("unit.requests/1"), "{one}");
    assert_eq!(one.split('/').count(), 3);
    assert_ne!(one, bus.log_identity(Topic::Requests, 0));
}

#[tokio::test]
async fn flushing_waits_for_what_is_on_its_way() {
    let bus = bus(2).await;
    let sealed = bus.seal_fact(&fact("hcu-0001", 1)).await.unwrap();
    drop(bus.enqueue(sealed).unwrap());
    bus.flush(crate::SOON).await.unwrap();
    let ends = bus.watermarks(Topic::Facts, bus.partition_of("hcu-0001")).await.unwrap();
    assert_eq!((ends.low, ends.high), (0, 1));
}

#[tokio::test]
async fn the_ends_of_a_topic_are_those_of_its_partitions() {
    let bus = bus(3).await;
    for seq in 1..=4 {
        bus.publish_fact(&fact("hcu-0001", seq)).await.unwrap();
    }
    let ends = bus.ends(Topic::Facts).await.unwrap();
    assert_eq!(ends.len(), 3);
    assert_eq!(ends.values().sum::<i64>(), 4, "{ends:?}");
    for (partition, end) in ends {
        let marks = bus.watermarks(Topic::Facts, partition).await.unwrap();
        assert_eq!(end, marks.high, "partition {partition}");
    }
}
