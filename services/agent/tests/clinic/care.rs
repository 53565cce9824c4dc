//! What people do to a clinic's files, and what the agent makes of it.

use agent::capture::{Switch, switch};
use agent::config::Config;
use agent::failpoints::{Failpoints, Step};
use agent::setup::files;
use agent::{run, waiting};
use kit_link::Resume;

use crate::desk::{Folder, PATIENT};

fn phone(clinic: &Folder, number: &str) {
    let sql = "UPDATE patients SET phone = ?1 WHERE patient_id = ?2";
    clinic.desk().execute(sql, [number, PATIENT]).unwrap();
}

#[test]
fn what_changes_while_capture_is_off_is_found_by_comparison() {
    let clinic = Folder::staffed();
    clinic.seeded();
    let mut agent = clinic.worker();
    agent.rest();
    let before = clinic.said().len();
    switch(&clinic.dir(), Switch::Off).unwrap();
    phone(&clinic, "1");
    agent.rest();
    phone(&clinic, "2");
    agent.rest();
    assert_eq!(clinic.said().len(), before, "triggers write nothing");
    switch(&clinic.dir(), Switch::On).unwrap();
    agent.rest();
    assert_eq!(clinic.said()[before..], ["patient_amended"], "what is left of two changes");
    assert_eq!(clinic.facts().last().unwrap().body["phone"], "2");
}

#[test]
fn an_updater_may_drop_a_column_while_capture_is_removed_and_pauses_that_table_only() {
    let clinic = Folder::staffed();
    clinic.seeded();
    let mut agent = clinic.worker();
    agent.rest();
    let before = clinic.said().len();
    let drop_column = "ALTER TABLE practitioners DROP COLUMN specialty";
    assert!(clinic.desk().execute_batch(drop_column).is_err(), "a trigger names it");
    switch(&clinic.dir(), Switch::Remove).unwrap();
    agent.rest();
    clinic.desk().execute_batch(drop_column).unwrap();
    agent.rest();
    phone(&clinic, "1");
    agent.rest();
    assert_eq!(clinic.said().len(), before, "a running agent does not put triggers back");
    switch(&clinic.dir(), Switch::On).unwrap();
    agent.rest();
    assert_eq!(clinic.said()[before..], ["patient_amended"]);
    let paused = &agent.worker.stores().installed.paused;
    assert_eq!(paused["practitioners"], "the column specialty is missing");
    assert_eq!(paused.len(), 1);
    phone(&clinic, "2");
    agent.rest();
    assert_eq!(clinic.said()[before..], ["patient_amended", "patient_amended"]);
}

#[test]
fn a_full_outbox_closes_the_gate_without_an_agent() {
    let clinic = Folder::staffed();
    clinic.seeded();
    clinic.worker().stop();
    let desk = clinic.desk();
    let newest: i64 = desk
        .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'arteria_outbox'", [], |row| {
            row.get(0)
        })
        .unwrap_or(0);
    desk.execute("UPDATE arteria_gate SET closes_at = ?1", [newest + 2]).unwrap();
    for number in ["1", "2", "3", "4"] {
        phone(&clinic, number);
    }
    assert_eq!(clinic.count("SELECT count(*) FROM arteria_outbox"), 2);
    assert_eq!(clinic.count("SELECT open FROM arteria_gate"), 0);
    clinic.worker().rest();
    let amended = clinic.said().iter().filter(|t| *t == "patient_amended").count();
    assert_eq!(amended, 3, "two that were captured, and what became of the others");
    assert_eq!(clinic.facts().last().unwrap().body["phone"], "4");
    assert_eq!(clinic.count("SELECT open FROM arteria_gate"), 1);
}

#[test]
fn a_power_cut_in_the_middle_of_healing_a_restore_heals_it_again() {
    let clinic = Folder::staffed();
    let mut agent = clinic.worker();
    let mut line = agent.connect(None, Resume::Exact);
    agent.receive(&mut line, vec![]);
    agent.stop();
    let backup = clinic.back_up(files::CLINIC);
    let mut agent = clinic.worker();
    let mut later = agent.connect(line.durable(), Resume::Exact);
    let command = crate::walkthrough::booking("2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z");
    let command = crate::edge::request(1, "one", "scheduling.book_appointment", command);
    agent.receive(&mut later, vec![kit_link::FromEdge::Request(command)]);
    agent.stop();
    clinic.restore(&backup);
    let cut = clinic.worker_with(Failpoints::stop_at(Step::RestoreBeforeEpoch, 0));
    assert!(cut.is_err());
    let mut agent = clinic.worker();
    let mut again = agent.connect(later.durable(), Resume::Exact);
    agent.receive(&mut again, vec![]);
    let opened = again.types().iter().filter(|t| **t == "units.epoch_opened").count();
    let undone = again.types().iter().filter(|t| **t == "requests.request_undone").count();
    assert_eq!((opened, undone), (1, 1));
}

#[test]
fn an_endless_remark_does_not_hold_back_the_unit() {
    let clinic = Folder::staffed();
    clinic.seeded();
    let mut agent = clinic.worker();
    let mut line = agent.connect(None, Resume::Exact);
    agent.receive(&mut line, vec![]);
    phone(&clinic, &"0".repeat(1_000_000));
    agent.receive(&mut line, vec![]);
    let text = serde_json::to_string(line.log.last().unwrap()).unwrap();
    assert!(text.len() <= kit_link::limits::FRAME_BYTES_MAX);
    phone(&clinic, "1");
    agent.receive(&mut line, vec![]);
    assert_eq!(line.log.last().unwrap().body["phone"], "1");
}

/// The desk pastes a letter into the reason of a visit, and then somebody cancels it by a request.
#[test]
fn a_success_is_told_as_one_however_long_the_record_is() {
    for capture in [Switch::On, Switch::Off] {
        let clinic = Folder::staffed();
        clinic.seeded();
        let mut agent = clinic.worker();
        let mut line = agent.connect(None, Resume::Exact);
        let book = crate::walkthrough::booking("2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z");
        let book = crate::edge::request(1, "one", "scheduling.book_appointment", book);
        agent.receive(&mut line, vec![kit_link::FromEdge::Request(book)]);
        let paste = "UPDATE appointments SET reason = ?1";
        clinic.desk().execute(paste, ["\"äöü\n".repeat(25_000)]).unwrap();
        agent.receive(&mut line, vec![]);
        switch(&clinic.dir(), capture).unwrap();
        let cancel = serde_json::json!({"appointment_id": crate::walkthrough::APPOINTMENT});
        let cancel = crate::edge::request(2, "two", "scheduling.cancel_appointment", cancel);
        // It comes again, as a retry does.
        for _ in 0..2 {
            let frame = kit_link::FromEdge::Request(cancel.clone());
            agent.receive(&mut line, vec![frame]);
            let reply = line.replies.last().unwrap();
            assert_eq!(reply.outcome["state"], "done", "{capture:?}");
            let record = reply.outcome["record_json"].as_str().unwrap();
            let record: serde_json::Value = serde_json::from_str(record).unwrap();
            assert_eq!(record["status"], "cancelled");
            assert!(record["reason"].as_str().unwrap().ends_with('…'), "it says that it is cut");
            let frame = serde_json::to_string(reply).unwrap();
            assert!(frame.len() <= kit_link::limits::FRAME_BYTES_MAX);
        }
    }
}

#[test]
fn the_status_and_the_requests_are_told_beside_the_agent_and_after_it() {
    let clinic = Folder::staffed();
    let mut agent = clinic.worker();
    let mut line = agent.connect(None, Resume::Exact);
    let command = crate::walkthrough::booking("2026-03-02T03:00:00Z", "2026-03-02T03:30:00Z");
    let command = crate::edge::request(1, "one", "scheduling.book_appointment", command);
    agent.receive(&mut line, vec![kit_link::FromEdge::Request(command)]);
    std::thread::sleep(std::time::Duration::from_millis(1_050));
    agent.rest();
    let status = run::read_status(&clinic.dir()).unwrap();
    assert!(status.link.contains("connected since"), "{}", status.link);
    assert_eq!(
        (status.acked, status.last),
        (line.durable().unwrap().seq, line.durable().unwrap().seq)
    );
    assert_eq!((status.unacked, status.outbox, status.capture_switch.as_str()), (0, 0, "open"));
    assert_eq!(status.cursor.as_deref(), Some("2 of cluster/unit.requests/3"));
    let text = waiting::show(&clinic.dir()).unwrap();
    assert!(text.contains("rejected  scheduling.book_appointment"), "{text}");
    agent.stop();
    let status = run::read_status(&clinic.dir()).unwrap().to_string();
    assert!(status.contains("stopped"), "{status}");
}

#[test]
fn a_change_of_zone_is_a_fact_of_the_unit() {
    let clinic = Folder::staffed();
    clinic.worker().rest();
    let mut setup =
        agent::setup::Setup::new(&clinic.dir(), clinic.unit.clone(), "Europe/Lisbon").unwrap();
    setup.clock = agent::setup::NetworkClock::new(clinic.clock.clone());
    agent::stores::Stores::open(std::sync::Arc::new(setup)).unwrap();
    let last = clinic.facts().pop().unwrap();
    assert_eq!(last.type_name, "units.unit_amended");
    assert_eq!(last.body["time_zone"], "Europe/Lisbon");
    assert_eq!(Config::load(&clinic.dir()).unwrap().time_zone, "UTC");
}

#[test]
fn old_ledger_rows_go_without_a_word() {
    let clinic = Folder::staffed();
    let mut agent = clinic.worker();
    let mut line = agent.connect(None, Resume::Exact);
    let command = crate::walkthrough::booking("2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z");
    let command = crate::edge::request(1, "one", "scheduling.book_appointment", command);
    agent.receive(&mut line, vec![kit_link::FromEdge::Request(command)]);
    agent.stop();
    let last = clinic.facts().pop();
    clinic.clock.set("2026-04-02T07:00:00Z".parse().unwrap());
    clinic.worker().rest();
    assert_eq!(clinic.count("SELECT count(*) FROM arteria_applied"), 0);
    assert_eq!(clinic.count("SELECT count(*) FROM arteria_outbox"), 0);
    assert_eq!(clinic.count("SELECT count(*) FROM appointments"), 1);
    assert_eq!(clinic.facts().len(), 1, "acknowledged facts go too, but for the last");
    assert_eq!(clinic.facts().pop(), last);
}

#[test]
fn a_snapshot_cut_in_the_middle_goes_on_where_it_was() {
    let clinic = Folder::empty();
    clinic
        .desk()
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO patients (patient_id, family_name) SELECT printf('P-%d', i), 'x' FROM n",
        )
        .unwrap();
    let mut log: Vec<kit_link::FactFrame> = Vec::new();
    let mut passes = 2;
    loop {
        let failpoints = Failpoints::stop_at(Step::SpoolAfterCommit, passes);
        let durable = log.last().map(|f| kit_link::Durable { seq: f.seq, id: f.id });
        let mut agent = clinic.worker_with(failpoints).unwrap();
        let mut line = agent.connect(durable, Resume::Exact);
        let whole = agent.try_receive(&mut line, vec![]).is_ok();
        line.drain();
        log.append(&mut line.log);
        if whole {
            break;
        }
        passes += 1;
    }
    let count = |type_name: &str| log.iter().filter(|f| f.type_name == type_name).count();
    assert_eq!(count("patients.patient_snapshot"), 1_000);
    assert_eq!((count("units.epoch_opened"), count("units.epoch_seeded")), (1, 1));
    assert_eq!(log.last().unwrap().type_name, "units.epoch_seeded");
}

#[test]
fn live_facts_do_not_wait_behind_a_snapshot() {
    let clinic = Folder::staffed();
    clinic
        .desk()
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
             INSERT INTO patients (patient_id, family_name) SELECT printf('P-%d', i), 'x' FROM n",
        )
        .unwrap();
    let mut agent = clinic.worker();
    let mut line = agent.connect(None, Resume::Exact);
    agent.rest();
    clinic
        .desk()
        .execute("INSERT INTO practitioners (practitioner_id, family_name) VALUES ('new', 'x')", [])
        .unwrap();
    agent.rest();
    agent.receive(&mut line, vec![]);
    let live = line.types().iter().position(|t| *t == "scheduling.practitioner_added").unwrap();
    assert!(live < 1_000, "it came after {live} others");
    let seeded = line.types().iter().position(|t| *t == "units.epoch_seeded").unwrap();
    assert!(seeded > 5_000);
}

#[test]
fn requests_are_answered_while_capture_is_off() {
    let clinic = Folder::staffed();
    clinic.seeded();
    let mut agent = clinic.worker();
    let mut line = agent.connect(None, Resume::Exact);
    agent.receive(&mut line, vec![]);
    switch(&clinic.dir(), Switch::Off).unwrap();
    let command = crate::walkthrough::booking("2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z");
    let command = crate::edge::request(1, "one", "scheduling.book_appointment", command);
    agent.receive(&mut line, vec![kit_link::FromEdge::Request(command)]);
    assert_eq!(line.replies[0].outcome["state"], "done");
    assert_eq!((line.replies[0].last_seq, line.applied), (None, Some(2)));
    switch(&clinic.dir(), Switch::On).unwrap();
    agent.receive(&mut line, vec![]);
    let told = &line.types()[line.log.len() - 2..];
    assert_eq!(told, ["scheduling.appointment_booked", "requests.request_done"]);
}
