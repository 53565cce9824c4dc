//! Requests as one more writer of the clinic.

use std::time::{Duration, Instant};

use kit_event::UnitSeq;
use kit_link::{Cancel, FromEdge, RequestFrame, Resume};
use serde_json::{Value, json};

use crate::desk::{Driven, Folder, Line, OTHER_PATIENT, PATIENT, PRACTITIONER};
use crate::edge::{request, request_id};
use crate::walkthrough::{APPOINTMENT, booking};

const BOOK: &str = "scheduling.book_appointment";

fn connected(clinic: &Folder) -> (Driven, Line) {
    let mut agent = clinic.worker();
    let mut line = agent.connect(None, Resume::Exact);
    agent.receive(&mut line, vec![]);
    (agent, line)
}

fn at_nine(position: i64, name: &str) -> RequestFrame {
    request(position, name, BOOK, booking("2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z"))
}

fn down(request: &RequestFrame) -> Vec<FromEdge> {
    vec![FromEdge::Request(request.clone())]
}

fn cancel(position: Option<i64>, name: &str) -> FromEdge {
    FromEdge::Cancel(Cancel {
        position,
        request_id: request_id(name),
        actor: "staff:9".to_owned(),
        traceparent: None,
        reply_partition: Some(7),
    })
}

fn word(line: &Line, n: usize) -> (&str, Option<&str>) {
    let outcome = &line.replies[n].outcome;
    (outcome["state"].as_str().unwrap(), outcome["reason"].as_str())
}

#[test]
fn two_requests_and_the_desk_race_for_one_slot() {
    let clinic = Folder::staffed();
    let (mut agent, mut line) = connected(&clinic);
    // The desk's row is committed a moment before, and not yet captured.
    clinic
        .desk()
        .execute(
            "INSERT INTO appointments VALUES ('desk', ?1, ?2, '2026-03-02T08:45:00Z',
             '2026-03-02T09:15:00Z', 'booked', NULL, NULL)",
            [OTHER_PATIENT, PRACTITIONER],
        )
        .unwrap();
    let mut later = booking("2026-03-02T09:15:00Z", "2026-03-02T09:45:00Z");
    let free = request(2, "two", BOOK, later.clone());
    later["appointment_id"] = json!(PATIENT);
    let taken = request(3, "three", BOOK, later);
    let mut frames = down(&at_nine(1, "one"));
    frames.extend(down(&free));
    frames.extend(down(&taken));
    agent.receive(&mut line, frames);
    assert_eq!(word(&line, 0), ("rejected", Some("slot-taken")));
    assert_eq!(word(&line, 1), ("done", None));
    assert_eq!(word(&line, 2), ("rejected", Some("slot-taken")));
    assert_eq!(line.applied, Some(4));
    assert_eq!(clinic.count("SELECT count(*) FROM appointments"), 2);
    let told = &line.types()[line.log.len() - 5..];
    let expected = [
        "scheduling.appointment_booked",
        "requests.request_rejected",
        "scheduling.appointment_booked",
        "requests.request_done",
        "requests.request_rejected",
    ];
    assert_eq!(told, expected);
    assert_eq!(line.replies[0].outcome["patient_id"], PATIENT, "a refusal is its patient's too");
    assert_eq!(line.replies[0].record_seq, None);
}

#[test]
fn a_request_that_comes_again_is_answered_and_not_repeated() {
    let clinic = Folder::staffed();
    let (mut agent, mut line) = connected(&clinic);
    agent.receive(&mut line, down(&at_nine(1, "one")));
    let facts = line.log.len();
    // On the same link, and further down the log as a gateway's retry.
    agent.receive(&mut line, down(&at_nine(1, "one")));
    agent.receive(&mut line, down(&at_nine(5, "one")));
    assert_eq!(line.replies.len(), 3);
    for reply in &line.replies[1..] {
        assert_eq!(reply.outcome, line.replies[0].outcome);
        assert_eq!(reply.last_seq, line.replies[0].last_seq);
        assert_eq!(reply.record_seq, line.replies[0].record_seq);
    }
    assert_eq!(line.applied, Some(6));
    assert_eq!(line.log.len(), facts);
    drop(agent);
    // After a crash the position that had no effect of its own is remembered as well.
    let (mut agent, mut line) = connected_again(&clinic, line);
    agent.receive(&mut line, down(&at_nine(6, "one")));
    assert_eq!(line.replies.len(), 1);
    assert_eq!(clinic.count("SELECT count(*) FROM appointments"), 1);
}

fn connected_again(clinic: &Folder, line: Line) -> (Driven, Line) {
    let mut agent = clinic.worker();
    let mut next = agent.connect(line.durable(), Resume::Exact);
    agent.receive(&mut next, vec![]);
    (agent, next)
}

#[test]
fn the_same_key_for_another_command_is_refused_without_a_fact() {
    let clinic = Folder::staffed();
    let (mut agent, mut line) = connected(&clinic);
    agent.receive(&mut line, down(&at_nine(1, "one")));
    let facts = line.log.len();
    let other = request(2, "one", BOOK, booking("2026-03-02T11:00:00Z", "2026-03-02T11:30:00Z"));
    agent.receive(&mut line, down(&other));
    assert_eq!(word(&line, 1), ("rejected", Some("idempotency-key-reused")));
    assert_eq!((line.replies[1].last_seq, line.log.len()), (None, facts));
    assert_eq!(line.applied, Some(3));
}

#[test]
fn a_request_past_its_deadline_expires() {
    let clinic = Folder::staffed();
    let (mut agent, mut line) = connected(&clinic);
    let mut late = at_nine(1, "one");
    late.expires_at = late.accepted_at;
    agent.receive(&mut line, down(&late));
    assert_eq!(word(&line, 0), ("expired", Some("expired")));
    assert_eq!(line.types().last(), Some(&"requests.request_expired"));
    assert_eq!(clinic.count("SELECT count(*) FROM appointments"), 0);
}

#[test]
fn a_cancel_ahead_ends_a_request_that_is_still_to_come() {
    let clinic = Folder::staffed();
    let (mut agent, mut line) = connected(&clinic);
    agent.receive(&mut line, vec![cancel(None, "one")]);
    assert_eq!(word(&line, 0), ("cancelled", Some("cancelled")));
    assert_eq!(line.applied, None, "a cancel ahead moves no cursor");
    agent.receive(&mut line, down(&at_nine(1, "one")));
    agent.receive(&mut line, vec![cancel(Some(2), "one")]);
    assert_eq!(word(&line, 1).0, "cancelled");
    assert_eq!(word(&line, 2).0, "cancelled");
    assert_eq!(line.applied, Some(3));
    assert_eq!(line.types().iter().filter(|t| t.starts_with("requests.")).count(), 1);
    assert_eq!(clinic.count("SELECT count(*) FROM appointments"), 0);
}

#[test]
fn a_cancel_that_came_too_late_says_so() {
    let clinic = Folder::staffed();
    let (mut agent, mut line) = connected(&clinic);
    agent.receive(&mut line, down(&at_nine(1, "one")));
    let facts = line.log.len();
    agent.receive(&mut line, vec![cancel(None, "one"), cancel(Some(2), "one")]);
    assert_eq!(word(&line, 1), ("rejected", Some("too-late")));
    assert_eq!(word(&line, 2), ("rejected", Some("too-late")));
    assert_eq!((line.replies[1].reply_partition, line.log.len()), (Some(7), facts));
    assert_eq!(line.applied, Some(3));
}

#[test]
fn a_cancel_ahead_overtakes_requests_that_wait_for_the_clinic_database() {
    let clinic = Folder::staffed();
    let (mut agent, mut line) = connected(&clinic);
    let desk = clinic.desk();
    desk.execute_batch("BEGIN IMMEDIATE").unwrap();
    agent.receive(&mut line, down(&at_nine(1, "one")));
    assert_eq!(line.replies.len(), 0, "it waits");
    agent.receive(&mut line, vec![cancel(None, "one")]);
    desk.execute_batch("COMMIT").unwrap();
    agent.receive(&mut line, vec![]);
    assert_eq!(word(&line, 0).0, "cancelled");
    assert_eq!(clinic.count("SELECT count(*) FROM appointments"), 0);
}

#[test]
fn a_clinic_database_held_by_another_program_makes_requests_wait_and_loses_none() {
    for mode in ["delete", "wal"] {
        let clinic = Folder::staffed();
        clinic.desk().pragma_update(None, "journal_mode", mode).unwrap();
        let (mut agent, mut line) = connected(&clinic);
        let desk = clinic.desk();
        desk.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let asked = Instant::now();
        agent.receive(&mut line, down(&at_nine(1, "one")));
        while asked.elapsed() < Duration::from_millis(1_300) {
            agent.receive(&mut line, vec![]);
            assert_eq!(line.replies.len(), 0);
        }
        let status = agent::run::read_status(&clinic.dir()).unwrap();
        assert!(status.clinic_busy && status.waiting == 1, "{status}");
        desk.execute_batch("COMMIT").unwrap();
        agent.receive(&mut line, vec![]);
        assert_eq!(word(&line, 0), ("done", None), "{mode}");
        assert_eq!(line.applied, Some(2));
    }
}

#[test]
fn what_the_practices_own_schema_refuses_is_refused_without_a_word_of_the_row() {
    let clinic = Folder::staffed();
    clinic
        .desk()
        .execute_batch(
            "CREATE TRIGGER house_rule BEFORE INSERT ON appointments
             BEGIN SELECT RAISE(ABORT, 'patient Silva owes us 300'); END",
        )
        .unwrap();
    let (mut agent, mut line) = connected(&clinic);
    agent.receive(&mut line, down(&at_nine(1, "one")));
    assert_eq!(word(&line, 0), ("rejected", Some("agent-failed")));
    assert!(!line.replies[0].outcome.to_string().contains("Silva"));
    assert_eq!(line.applied, Some(2), "and the next request goes on");
    assert_eq!(line.types().last(), Some(&"requests.request_rejected"));
}

#[test]
fn a_command_of_a_later_version_and_a_command_that_does_not_read_are_refused() {
    let clinic = Folder::staffed();
    let (mut agent, mut line) = connected(&clinic);
    agent.receive(&mut line, down(&request(1, "one", "scheduling.dance", json!({}))));
    agent.receive(&mut line, down(&request(2, "two", BOOK, json!({"mood": 1}))));
    assert_eq!(word(&line, 0), ("rejected", Some("request-type-unknown")));
    assert_eq!(word(&line, 1), ("rejected", Some("request-malformed")));
}

#[test]
fn an_if_match_of_a_record_changed_meanwhile_is_refused() {
    let clinic = Folder::staffed();
    let (mut agent, mut line) = connected(&clinic);
    agent.receive(&mut line, down(&at_nine(1, "one")));
    let etag = line.replies[0].record_seq.unwrap();
    let command =
        |etag: UnitSeq| -> Value { json!({"appointment_id": APPOINTMENT, "if_match": etag}) };
    clinic.desk().execute("UPDATE appointments SET reason = 'cough'", []).unwrap();
    let arrive = "scheduling.arrive_appointment";
    agent.receive(&mut line, down(&request(2, "two", arrive, command(etag))));
    assert_eq!(word(&line, 1), ("rejected", Some("changed-meanwhile")));
    let amended = line.log.iter().rev().find(|f| f.type_name.ends_with("amended")).unwrap().seq;
    agent.receive(&mut line, down(&request(3, "three", arrive, command(amended))));
    assert_eq!(word(&line, 2), ("done", None));
}

#[test]
fn a_practice_that_numbers_its_rows_is_asked_by_public_ids() {
    let clinic = Folder::empty();
    clinic
        .desk()
        .execute_batch(
            "INSERT INTO patients (patient_id, family_name) VALUES (17, 'Silva');
             INSERT INTO practitioners (practitioner_id, family_name) VALUES ('dr5', 'Reis');
             INSERT INTO working_hours VALUES ('dr5', 1, '08:00', '18:00', 30);",
        )
        .unwrap();
    let (mut agent, mut line) = connected(&clinic);
    let id = |line: &Line, resource: &str| {
        let fact = line.log.iter().find(|f| f.type_name.ends_with(&format!("{resource}_snapshot")));
        fact.unwrap().body[format!("{resource}_id")].clone()
    };
    let mut command = booking("2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z");
    command["patient_id"] = id(&line, "patient");
    command["practitioner_id"] = id(&line, "practitioner");
    agent.receive(&mut line, down(&request(1, "one", BOOK, command.clone())));
    assert_eq!(word(&line, 0), ("done", None));
    let key = "SELECT count(*) FROM appointments WHERE patient_id = 17 AND practitioner_id = 'dr5'";
    assert_eq!(clinic.count(key), 1);
    assert_eq!(line.log.last().unwrap().body["patient_id"], command["patient_id"]);
}

#[test]
fn a_request_that_stops_the_agent_is_refused_at_the_third_start() {
    use agent::failpoints::{Failpoints, Step};
    let clinic = Folder::staffed();
    let (agent, line) = connected(&clinic);
    drop(agent);
    for _ in 0..2 {
        let failing = Failpoints::stop_at(Step::ApplyBeforeCommit, 0);
        let mut agent = clinic.worker_with(failing).unwrap();
        let mut again = agent.connect(line.durable(), Resume::Exact);
        agent.receive(&mut again, vec![]);
        assert!(agent.try_receive(&mut again, down(&at_nine(1, "one"))).is_err());
    }
    let (mut agent, mut line) = connected_again(&clinic, line);
    agent.receive(&mut line, down(&at_nine(1, "one")));
    assert_eq!(word(&line, 0), ("rejected", Some("agent-failed")));
    agent.receive(&mut line, down(&at_nine(2, "two")));
    assert_eq!(word(&line, 1), ("done", None), "others are tried as ever");
}
