//! When the numbering goes on, and when it begins anew.

use agent::setup::files;
use kit_event::UnitSeq;
use kit_link::{Durable, FromEdge, NewEpoch, Resend, Resume};
use uuid::Uuid;

use crate::desk::{Driven, Folder, Line, OTHER_PATIENT, PATIENT};
use crate::edge::{LOG, request};
use crate::walkthrough::booking;

const BOOK: &str = "scheduling.book_appointment";

fn connect(agent: &mut Driven, durable: Option<Durable>) -> Line {
    let mut line = agent.connect(durable, Resume::Exact);
    agent.receive(&mut line, vec![]);
    line
}

fn stranger(seq: UnitSeq) -> Option<Durable> {
    Some(Durable { seq, id: Uuid::from_u128(7) })
}

fn phone(clinic: &Folder, number: &str) {
    let sql = "UPDATE patients SET phone = ?1 WHERE patient_id = ?2";
    clinic.desk().execute(sql, [number, PATIENT]).unwrap();
}

/// A clinic that is connected and whole in epoch 1, with one booking done.
fn whole() -> (Folder, Driven, Line) {
    let clinic = Folder::staffed();
    let mut agent = clinic.worker();
    let mut line = connect(&mut agent, None);
    let command = booking("2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z");
    agent.receive(&mut line, vec![FromEdge::Request(request(1, "one", BOOK, command))]);
    assert_eq!(line.types().last(), Some(&"requests.request_done"));
    (clinic, agent, line)
}

fn assert_whole(line: &Line, epoch: u32, reason: &str) {
    let opened = &line.log[0];
    assert_eq!(
        (opened.seq, opened.type_name.as_str()),
        (UnitSeq::new(epoch, 1), "units.epoch_opened")
    );
    assert_eq!(opened.body["reason"], reason);
    let seeded = line.log.iter().find(|f| f.type_name == "units.epoch_seeded").expect("seeded");
    assert_eq!(seeded.body["epoch"], epoch);
    let resources: Vec<&str> =
        seeded.body["things"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    let every: Vec<String> = agent::mapping::Mapping::reference()
        .unwrap()
        .tables
        .into_iter()
        .map(|table| table.resource)
        .collect();
    assert_eq!(resources, every);
}

#[test]
fn the_first_connection_states_the_whole_clinic() {
    let (_clinic, _agent, line) = whole();
    assert_whole(&line, 1, "first");
    assert_eq!(line.log[0].body.get("previous"), None);
    assert_eq!(line.types().iter().filter(|t| t.ends_with("_snapshot")).count(), 4);
}

#[test]
fn a_spool_that_holds_the_last_fact_goes_on_after_it() {
    let (clinic, agent, line) = whole();
    drop(agent);
    phone(&clinic, "1");
    let mut agent = clinic.worker();
    // The log has less than what was acknowledged here: everything after it is sent again.
    let durable = &line.log[2];
    let again = connect(&mut agent, Some(Durable { seq: durable.seq, id: durable.id }));
    assert_eq!(again.log[..again.log.len() - 1], line.log[3..]);
    assert_eq!(again.types().last(), Some(&"patients.patient_amended"));
}

#[test]
fn facts_from_before_the_first_connection_keep_their_place() {
    let clinic = Folder::staffed();
    let mut agent = clinic.worker();
    agent.rest();
    clinic
        .desk()
        .execute("INSERT INTO patients (patient_id, family_name) VALUES ('n', 'x')", [])
        .unwrap();
    agent.rest();
    // The log knows the unit already: its spool was lost, or it moved to another machine.
    let line = connect(&mut agent, stranger(UnitSeq::new(3, 90)));
    assert_whole(&line, 4, "spool-lost");
    assert_eq!(line.log[0].body["previous"], 3);
    assert_eq!(line.log[1].type_name, "patients.patient_registered");
    assert_eq!(line.log[1].seq, UnitSeq::new(4, 2));
}

#[test]
fn another_fact_under_the_same_number_is_a_fork() {
    let (_clinic, mut agent, line) = whole();
    let fork = connect(&mut agent, stranger(line.durable().unwrap().seq));
    assert_whole(&fork, 2, "not-in-spool");
    assert_eq!(fork.types().iter().filter(|t| t.ends_with("_snapshot")).count(), 6);
    // Once opened, the epoch stays, even if none of it reached the log.
    let again = connect(&mut agent, stranger(line.durable().unwrap().seq));
    assert_eq!(again.log, fork.log);
}

#[test]
fn a_log_that_lost_everything_is_told_everything() {
    let (_clinic, mut agent, line) = whole();
    let again = connect(&mut agent, None);
    assert_eq!(again.log, line.log);
}

#[test]
fn a_lost_spool_begins_a_new_epoch_and_repeats_no_request() {
    let (clinic, agent, line) = whole();
    agent.stop();
    clinic.delete(files::SPOOL);
    phone(&clinic, "1");
    let mut agent = clinic.worker();
    let mut again = connect(&mut agent, line.durable());
    assert_whole(&again, 2, "spool-lost");
    let command = booking("2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z");
    agent.receive(&mut again, vec![FromEdge::Request(request(1, "one", BOOK, command))]);
    assert_eq!(again.replies[0].outcome["state"], "done");
    assert_eq!(again.types().iter().filter(|t| **t == "requests.request_done").count(), 0);
    assert_eq!(clinic.count("SELECT count(*) FROM appointments"), 1);
    assert_eq!(again.applied, Some(2), "the ledger knew the place in the log");
}

#[test]
fn a_spool_put_back_from_a_backup_begins_a_new_epoch() {
    let (clinic, agent, line) = whole();
    agent.stop();
    let backup = clinic.back_up(files::SPOOL);
    let mut agent = clinic.worker();
    let mut later = connect(&mut agent, line.durable());
    phone(&clinic, "1");
    let command = booking("2026-03-02T11:00:00Z", "2026-03-02T11:30:00Z");
    let mut command = request(2, "two", BOOK, command);
    command.body["appointment_id"] = OTHER_PATIENT.into();
    agent.receive(&mut later, vec![FromEdge::Request(command.clone())]);
    assert_eq!(later.replies[0].outcome["state"], "done");
    agent.stop();
    clinic.restore(&backup);
    let mut agent = clinic.worker();
    let mut again = connect(&mut agent, later.durable());
    assert_whole(&again, 2, "restored");
    assert_eq!(again.types().iter().filter(|t| t.ends_with("undone")).count(), 0);
    agent.receive(&mut again, vec![FromEdge::Request(command)]);
    assert_eq!(again.replies[0].outcome["state"], "done");
    assert_eq!(clinic.count("SELECT count(*) FROM appointments"), 2);
}

#[test]
fn a_clinic_put_back_from_a_backup_undoes_its_lost_requests() {
    let clinic = Folder::staffed();
    let mut agent = clinic.worker();
    let mut line = connect(&mut agent, None);
    agent.stop();
    let backup = clinic.back_up(files::CLINIC);
    let mut agent = clinic.worker();
    let mut next = connect(&mut agent, line.durable());
    let command = booking("2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z");
    let late = {
        let mut late = request(2, "late", BOOK, command.clone());
        late.expires_at = late.accepted_at;
        late
    };
    let book = request(1, "one", BOOK, command);
    agent.receive(&mut next, vec![FromEdge::Request(book.clone()), FromEdge::Request(late)]);
    line.log.append(&mut next.log);
    agent.stop();
    clinic.restore(&backup);
    clinic.desk().execute("DELETE FROM patients WHERE patient_id = ?1", [OTHER_PATIENT]).unwrap();

    let mut agent = clinic.worker();
    let mut again = connect(&mut agent, line.durable());
    assert_whole(&again, 2, "restored");
    let undone: Vec<_> =
        again.log.iter().filter(|f| f.type_name == "requests.request_undone").collect();
    assert_eq!(undone.len(), 1);
    assert_eq!(undone[0].body["request_id"], book.id.as_str());
    assert_eq!(again.types().iter().filter(|t| **t == "patients.patient_snapshot").count(), 1);
    let expired = "SELECT count(*) FROM arteria_applied WHERE state = 'expired'";
    assert_eq!(clinic.count(expired), 1, "a refusal stands");
    agent.receive(&mut again, vec![FromEdge::Request(book)]);
    assert_eq!(again.replies[0].outcome["state"], "undone");
    assert_eq!(
        clinic.count("SELECT count(*) FROM appointments"),
        0,
        "nothing is run again by itself"
    );
    assert_eq!(again.applied, Some(3), "the spool's place in the log counts");
}

#[test]
fn a_clinic_replaced_under_a_running_agent_is_noticed() {
    let (clinic, mut agent, line) = whole();
    clinic.delete(files::CLINIC);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    assert!(agent.try_rest().unwrap_err().wants_reopening());
    drop(agent);
    assert!(clinic.worker_with(agent::failpoints::Failpoints::none()).is_err(), "there is none");
    clinic.init("ws://127.0.0.1:1");
    let mut agent = clinic.worker();
    let again = connect(&mut agent, line.durable());
    assert_whole(&again, 2, "restored");
    assert_eq!(again.types().iter().filter(|t| **t == "requests.request_undone").count(), 1);
}

#[test]
fn an_ordered_epoch_is_opened_once() {
    let (_clinic, mut agent, mut line) = whole();
    let order =
        |position| FromEdge::NewEpoch(NewEpoch { position, above: 1, reason: "fork".to_owned() });
    let before = line.log.len();
    agent.receive(&mut line, vec![order(None), order(Some(9)), order(None)]);
    line.log.drain(..before);
    assert_whole(&line, 2, "fork");
    assert_eq!(line.types().iter().filter(|t| **t == "units.epoch_opened").count(), 1);
    assert_eq!(line.applied, Some(10));
}

#[test]
fn facts_are_sent_again_as_they_were() {
    let (_clinic, mut agent, mut line) = whole();
    let before = line.log.len();
    let (from, to) = (line.log[1].seq, line.log[3].seq);
    agent.receive(&mut line, vec![FromEdge::Resend(Resend { position: Some(4), from, to })]);
    assert_eq!(line.log[before..], line.log[1..4]);
    assert_eq!(line.applied, Some(5));
}

#[test]
fn requests_that_the_log_lost_are_said_to_have_lapsed() {
    let (clinic, mut agent, line) = whole();
    let durable = line.durable();
    let gap = Resume::Gap { from: 2, to: 40 };
    let mut again = agent.connect(durable, gap);
    agent.receive(&mut again, vec![]);
    let fact = &again.log[0];
    assert_eq!(fact.type_name, "requests.range_lapsed");
    assert_eq!((&fact.body["from"], &fact.body["to"]), (&2.into(), &40.into()));
    assert_eq!(fact.body["log"], LOG);
    let command = booking("2026-03-02T11:00:00Z", "2026-03-02T11:30:00Z");
    agent.receive(&mut again, vec![FromEdge::Request(request(45, "two", BOOK, command))]);
    assert_eq!(again.applied, Some(46));
    assert_eq!(clinic.count("SELECT count(*) FROM appointments"), 1, "the id was taken");
}

#[test]
fn a_clinic_put_back_as_a_whole_runs_no_request_again() {
    let clinic = Folder::staffed();
    let mut agent = clinic.worker();
    let mut line = connect(&mut agent, None);
    agent.stop();
    // The image of a disk: both files of one moment, which fit each other.
    let image = [clinic.back_up(files::CLINIC), clinic.back_up(files::SPOOL)];
    let mut agent = clinic.worker();
    let mut next = connect(&mut agent, line.durable());
    let command = booking("2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z");
    let book = request(1, "one", BOOK, command);
    let late = {
        let mut late = request(2, "late", BOOK, book.body.clone());
        late.expires_at = late.accepted_at;
        late
    };
    agent.receive(&mut next, vec![FromEdge::Request(book.clone())]);
    assert_eq!(next.replies[0].outcome["state"], "done");
    line.log.append(&mut next.log);
    agent.stop();
    for file in &image {
        clinic.restore(file);
    }

    let mut agent = clinic.worker();
    let mut again = agent.connect_at(line.durable(), Resume::Exact, 3);
    agent.receive(&mut again, vec![]);
    assert_whole(&again, 2, "restored");
    agent.receive(&mut again, vec![FromEdge::Request(book.clone()), FromEdge::Request(late)]);
    for reply in &again.replies {
        assert_eq!(reply.outcome["state"], "undone");
        assert_eq!(reply.outcome["reason"], "clinic-restored");
    }
    assert_eq!(again.replies.len(), 2);
    let undone = again.types().iter().filter(|t| **t == "requests.request_undone").count();
    assert_eq!(undone, 2);
    assert_eq!(again.types().iter().filter(|t| **t == "scheduling.appointment_booked").count(), 0);
    assert_eq!(clinic.count("SELECT count(*) FROM appointments"), 0);
    // The same again after a restart, and what is asked from now on is carried out.
    drop(agent);
    let mut agent = clinic.worker();
    let mut later = agent.connect_at(again.durable(), Resume::Exact, 4);
    let mut command = request(3, "new", BOOK, book.body.clone());
    command.body["appointment_id"] = OTHER_PATIENT.into();
    agent.receive(&mut later, vec![FromEdge::Request(book), FromEdge::Request(command)]);
    assert_eq!(later.replies[0].outcome["state"], "undone");
    assert_eq!(later.replies[1].outcome["state"], "done");
    assert_eq!(later.log.iter().filter(|f| f.type_name == "units.epoch_opened").count(), 0);
}

#[test]
fn changes_of_a_desk_that_a_restored_outbox_no_longer_knows_are_missed() {
    let (clinic, mut agent, line) = whole();
    agent.rest();
    drop(agent);
    let backup = clinic.back_up(files::CLINIC);
    let mut agent = clinic.worker_quietly();
    let mut next = connect(&mut agent, line.durable());
    phone(&clinic, "1");
    agent.receive(&mut next, vec![]);
    drop(agent);
    // Nothing but the desk wrote since, and after the restore it wrote as many rows again.
    clinic.restore(&backup);
    phone(&clinic, "2");
    let mut agent = clinic.worker_quietly();
    let again = connect(&mut agent, next.durable());
    assert_whole(&again, 2, "restored");
    let told = again.log.iter().rev().find(|f| f.type_name.starts_with("patients.")).unwrap();
    assert!(again.log.iter().any(|f| f.body["phone"] == "2"), "{told:?}");
}
