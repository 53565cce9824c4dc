//! One request from HELLO to its reply, and a question beside it.

use kit_event::UnitSeq;
use kit_link::{FromAgent, FromEdge, Query};
use serde_json::json;

use crate::desk::{Folder, NOW, PATIENT, PRACTITIONER};
use crate::edge::{Connection, FakeEdge, Running, request, request_id};

pub const APPOINTMENT: &str = "3eaf7f85-6276-4ea1-8faf-3082b2394e5f";

pub fn booking(starts_at: &str, ends_at: &str) -> serde_json::Value {
    json!({"appointment_id": APPOINTMENT, "patient_id": PATIENT,
        "practitioner_id": PRACTITIONER, "starts_at": starts_at, "ends_at": ends_at})
}

#[tokio::test]
async fn a_booking_goes_down_and_comes_back_as_facts_and_a_reply() {
    let clinic = Folder::staffed();
    let mut edge = FakeEdge::start().await;
    let agent = Running::start(&clinic, &edge);
    let mut link = edge.welcome().await;
    edge.seeded(&mut link).await;
    assert_eq!(edge.facts[0].type_name, "units.epoch_opened");
    assert_eq!(edge.count("patients.patient_snapshot"), 2);
    assert_eq!(edge.count("scheduling.working_hours_snapshot"), 1);

    let mut command = request(
        41,
        "one",
        "scheduling.book_appointment",
        booking("2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z"),
    );
    command.traceparent =
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    link.send(&FromEdge::Request(command.clone())).await;
    edge.until(&mut link, |edge, link| {
        link.applied == Some(42) && edge.has("requests.request_done") && !link.replies.is_empty()
    })
    .await;
    let told = edge.facts[edge.facts.len() - 2..].to_vec();
    let (booked, done) = (&told[0], &told[1]);
    assert_eq!(booked.type_name, "scheduling.appointment_booked");
    assert_eq!(booked.body["status"], "booked");
    assert_eq!(booked.causation_id, Some(request_id("one")));
    assert_eq!(booked.traceparent, command.traceparent);
    assert_eq!(done.causation_id, Some(request_id("one")));
    let reply = &link.replies[0];
    assert_eq!(reply.reply_partition, Some(3));
    assert_eq!((reply.record_seq, reply.last_seq), (Some(booked.seq), Some(done.seq)));
    assert_eq!(reply.outcome, done.body);
    assert_eq!(reply.outcome["state"], "done");
    assert_eq!(reply.outcome["position"], 41);
    assert_eq!(reply.outcome["patient_id"], PATIENT);
    let record: serde_json::Value =
        serde_json::from_str(reply.outcome["record_json"].as_str().unwrap()).unwrap();
    assert_eq!(record, booked.body);
    assert_eq!(clinic.count("SELECT count(*) FROM appointments WHERE status = 'booked'"), 1);

    assert_eq!(free_slots(&mut link).await, 5, "six half hours, one taken");

    link.send(&FromEdge::Ping(kit_link::Ping { head: 50, server_time: NOW.parse().unwrap() }))
        .await;
    let pong = loop {
        if let FromAgent::Pong(pong) = link.next().await {
            break pong;
        }
    };
    assert_eq!((pong.next, pong.last_seq), (42, done.seq));
    edge.until(&mut link, |_, link| link.applied == Some(50)).await;
    agent.stop().await;
    assert!(done.seq > UnitSeq::new(1, 1));
    clinic.assert_numbered_without_gaps();
}

/// Asks for the slots of Monday morning; how many there are.
async fn free_slots(link: &mut Connection) -> usize {
    link.send(&FromEdge::Query(Query {
        id: request_id("question"),
        type_name: "scheduling.free_slots".to_owned(),
        expires_at: NOW.parse::<kit_event::Timestamp>().unwrap().plus_ms(30_000),
        traceparent: None,
        reply_partition: Some(5),
        body: json!({"practitioner_id": PRACTITIONER, "from": "2026-03-02T08:00:00Z",
            "to": "2026-03-02T11:00:00Z"}),
    }))
    .await;
    let answer = loop {
        if let FromAgent::Answer(answer) = link.next().await {
            break answer;
        }
    };
    assert_eq!((answer.id, answer.reply_partition), (request_id("question"), Some(5)));
    answer.body.unwrap()["items"].as_array().unwrap().len()
}
