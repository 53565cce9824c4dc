//! Types that no domain names, facts stated anew, and the moment of a change.

use kit_clock::Clock;
use kit_event::{Timestamp, UnitSeq};
use kit_link::{FactFrame, FromEdge, Reemit};
use serde_json::json;

use crate::desk::{Driven, Folder, Line, PATIENT};
use crate::foreign::{connected, id_of};

const CALL: &str = "INSERT INTO anruf (pat_nr, nummer, richtung, begonnen_am, dauer_s, ergebnis,
    notiz) VALUES (1, '+49 30 1', 'ein', '2026-03-02 09:15:30', 61, 'angenommen', 'geheim')";

fn calls(line: &Line) -> Vec<&FactFrame> {
    line.log.iter().filter(|fact| fact.type_name.starts_with("voip.")).collect()
}

fn say(clinic: &Folder, agent: &mut Driven, line: &mut Line, sql: &str) {
    clinic.desk().execute_batch(sql).unwrap();
    agent.receive(line, vec![]);
}

fn reemit(position: Option<i64>, seq: UnitSeq, subject: Option<&str>) -> FromEdge {
    FromEdge::Reemit(Reemit { position, seq, subject: subject.map(str::to_owned) })
}

#[test]
fn a_table_of_a_generic_type_is_facts_of_that_type() {
    let clinic = Folder::foreign();
    let (mut agent, mut line) = connected(&clinic);
    say(&clinic, &mut agent, &mut line, CALL);
    let (call, patient) = (id_of(&clinic, "anruf", 1), id_of(&clinic, "patient", 1));
    let fact = calls(&line)[0];
    assert_eq!((fact.type_name.as_str(), fact.version), ("voip.call_ended", 1));
    assert_eq!(fact.subject.as_deref(), Some(format!("call/{call}").as_str()));
    assert_eq!(fact.patient_id, Some(patient));
    assert_eq!(
        fact.body,
        json!({"call_id": call, "patient_id": patient, "number": "+49 30 1",
            "direction": "inbound", "started_at": "2026-03-02T08:15:30Z", "duration_s": 61,
            "result": "answered"}),
        "and no notes"
    );
    say(&clinic, &mut agent, &mut line, "UPDATE anruf SET notiz = 'anders'");
    assert_eq!(calls(&line).len(), 1, "what is not mapped is nobody's news");
    say(&clinic, &mut agent, &mut line, "UPDATE anruf SET dauer_s = 62");
    assert_eq!(calls(&line)[1].body["duration_s"], 62);
    say(&clinic, &mut agent, &mut line, "DELETE FROM anruf");
    assert_eq!(calls(&line).len(), 2, "no fact is named for the end of a row");
    let changed = crate::desk::SECOND_MAPPING
        .replace("[table.facts]\ninserted = \"voip.call_ended\"", "type = \"voip.call\"");
    drop((agent, line));
    let clinic = Folder::foreign();
    clinic.map(&changed);
    let (mut agent, mut line) = connected(&clinic);
    for sql in [CALL, "UPDATE anruf SET ergebnis = 'besetzt'", "DELETE FROM anruf"] {
        say(&clinic, &mut agent, &mut line, sql);
    }
    let told = calls(&line);
    let types: Vec<&str> = told.iter().map(|fact| fact.type_name.as_str()).collect();
    assert_eq!(types, ["voip.call_changed", "voip.call_changed", "voip.call_removed"]);
    assert_eq!(told[1].body.get("result"), None);
    assert_eq!(told[1].body["result_raw"], "besetzt", "a generic type's words are its schema's");
}

#[test]
fn a_withheld_fact_is_stated_anew_with_the_present_state() {
    let clinic = Folder::foreign();
    let (mut agent, mut line) = connected(&clinic);
    clinic.desk().execute_batch(CALL).unwrap();
    agent.receive(&mut line, vec![]);
    let (seq, subject) = {
        let fact = calls(&line)[0];
        (fact.seq, fact.subject.clone().unwrap())
    };
    clinic.desk().execute_batch("UPDATE anruf SET dauer_s = 99").unwrap();
    agent.receive(&mut line, vec![reemit(None, seq, None), reemit(Some(4), seq, None)]);
    let told = calls(&line);
    assert_eq!(told.len(), 3, "the change, and the state anew, once");
    assert_eq!(told[2].type_name, "voip.call_ended");
    assert_eq!((&told[2].body, &told[2].subject), (&told[1].body, &Some(subject.clone())));
    assert_eq!(line.applied, Some(5));
    agent.receive(&mut line, vec![reemit(Some(4), seq, None)]);
    assert_eq!(calls(&line).len(), 3, "a place in the log is obeyed once");
    // A fact that the spool has forgotten is found by its subject, one of a domain is a snapshot.
    let gone = UnitSeq::new(1, 9_999);
    let patient = format!("patient/{}", id_of(&clinic, "patient", 1));
    agent.receive(&mut line, vec![reemit(Some(5), gone, Some(&subject))]);
    agent.receive(&mut line, vec![reemit(Some(6), gone, Some(&patient))]);
    assert_eq!(calls(&line).len(), 4);
    assert_eq!(line.log.last().unwrap().type_name, "patients.patient_snapshot");
    // What nothing here knows, or what does not read, changes nothing and holds up nothing.
    let facts = line.log.len();
    for (n, odd) in
        [None, Some("call/"), Some("moon/1"), Some("call"), Some("'/--")].iter().enumerate()
    {
        agent.receive(&mut line, vec![reemit(Some(7 + n as i64), gone, *odd)]);
    }
    assert_eq!((line.log.len(), line.applied), (facts, Some(12)));
}

#[test]
fn what_is_gone_is_stated_as_removed() {
    let clinic = Folder::staffed();
    let (mut agent, mut line) = connected(&clinic);
    clinic.desk().execute("DELETE FROM patients WHERE patient_id = ?1", [PATIENT]).unwrap();
    agent.receive(&mut line, vec![]);
    let removed = line.log.last().unwrap().clone();
    assert_eq!(removed.type_name, "patients.patient_removed");
    agent.receive(&mut line, vec![reemit(Some(1), removed.seq, None)]);
    let again = line.log.last().unwrap();
    assert_eq!(
        (again.type_name.as_str(), &again.body),
        ("patients.patient_removed", &removed.body)
    );
    assert!(again.seq > removed.seq);
}

#[test]
fn a_fact_has_the_time_of_its_change_and_not_of_its_numbering() {
    let clinic = Folder::staffed();
    clinic.seeded();
    let before = Clock::system().now();
    clinic.desk().execute("UPDATE patients SET phone = '1'", []).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let mut agent = clinic.worker();
    let now = agent.worker.stores().setup.clock.now();
    agent.rest();
    let fact = clinic.facts().into_iter().rfind(|it| it.type_name == "patients.patient_amended");
    let time = fact.unwrap().time;
    let waited_ms = now.unix_ms() - time.unix_ms();
    let most_ms = Clock::system().now().unix_ms() - before.unix_ms();
    assert!((300..=most_ms + 5).contains(&waited_ms), "{waited_ms} of {most_ms} ms");
    // A clinic's clock that runs ahead does not date facts into the future.
    let ahead = "INSERT INTO arteria_outbox (op, tbl, key, image, at)
        VALUES ('U', 'patients', '[\"x\"]', '{\"patient_id\":\"x\"}', 9999999999999)";
    clinic.desk().execute(ahead, []).unwrap();
    agent.rest();
    assert!(clinic.facts().last().unwrap().time <= agent.worker.stores().setup.clock.now());
}

#[test]
fn an_outbox_of_an_older_agent_is_brought_up_to_date() {
    let clinic = Folder::staffed();
    clinic.seeded();
    let desk = clinic.desk();
    let triggers: Vec<String> = desk
        .prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for name in triggers {
        desk.execute_batch(&format!("DROP TRIGGER \"{name}\"")).unwrap();
    }
    desk.execute_batch("ALTER TABLE arteria_outbox DROP COLUMN at").unwrap();
    desk.execute(
        "INSERT INTO arteria_outbox (op, tbl, key, image) VALUES ('I', 'patients', '[\"x\"]', ?1)",
        [json!({"patient_id": PATIENT.replace('0', "1"), "family_name": "Alt"}).to_string()],
    )
    .unwrap();
    let mut agent = clinic.worker();
    agent.rest();
    let fact = clinic.facts().into_iter().find(|fact| fact.body["family_name"] == "Alt").unwrap();
    let now: Timestamp = agent.worker.stores().setup.clock.now();
    assert_eq!(fact.time, now, "when it happened nobody noted");
    clinic.desk().execute("UPDATE patients SET phone = '7'", []).unwrap();
    agent.rest();
    assert_eq!(clinic.facts().last().unwrap().body["phone"], "7");
}
