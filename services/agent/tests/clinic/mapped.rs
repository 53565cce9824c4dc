//! A mapping that changes while the agent runs, a practice that changes its tables, and what
//! `mapping check` says of both.

use std::time::Duration;

use agent::check::check;
use agent::setup::files;
use agent::status;
use kit_link::Resume;

use crate::desk::{Driven, Folder, Line, SECOND_MAPPING};
use crate::foreign::{connected, id_of};

/// The agent looks at its mapping file once a second.
const LOOK: Duration = Duration::from_millis(1_050);

fn calls_mapping() -> &'static str {
    &SECOND_MAPPING[SECOND_MAPPING.find("[[table]]\nname = \"anruf\"").unwrap()..]
}

fn without_calls() -> String {
    SECOND_MAPPING.replace(calls_mapping(), "")
}

fn look(agent: &mut Driven, line: &mut Line) {
    std::thread::sleep(LOOK);
    agent.receive(line, vec![]);
}

fn call(clinic: &Folder, number: &str) {
    let sql = "INSERT INTO anruf (pat_nr, nummer, richtung, begonnen_am, ergebnis)
        VALUES (1, ?1, 'aus', '2026-03-02 09:00:00', 'verpasst')";
    clinic.desk().execute(sql, [number]).unwrap();
}

fn told(line: &Line, type_name: &str) -> usize {
    line.log.iter().filter(|fact| fact.type_name == type_name).count()
}

#[test]
fn a_table_that_is_mapped_while_the_agent_runs_is_walked_and_captured() {
    let clinic = Folder::foreign();
    clinic.map(&without_calls());
    call(&clinic, "1");
    call(&clinic, "2");
    let (mut agent, mut line) = connected(&clinic);
    assert_eq!(told(&line, "voip.call_ended"), 0);
    clinic.map(SECOND_MAPPING);
    look(&mut agent, &mut line);
    assert_eq!(told(&line, "voip.call_ended"), 2, "the rows that stood there");
    call(&clinic, "3");
    agent.receive(&mut line, vec![]);
    assert_eq!(told(&line, "voip.call_ended"), 3);
    let facts = line.log.len();
    // Taken out again its rows stay said; put back nothing is said twice.
    clinic.map(&without_calls());
    look(&mut agent, &mut line);
    call(&clinic, "4");
    agent.receive(&mut line, vec![]);
    assert_eq!(line.log.len(), facts);
    clinic.map(SECOND_MAPPING);
    look(&mut agent, &mut line);
    assert_eq!(line.log.len(), facts + 1, "what was missed");
}

#[test]
fn rows_of_a_newly_mapped_table_are_stated_and_not_said_to_have_happened_now() {
    let clinic = Folder::foreign();
    let only_patients =
        &SECOND_MAPPING[..SECOND_MAPPING.find("[[table]]\nname = \"arzt\"").unwrap()];
    clinic.map(only_patients);
    let (mut agent, mut line) = connected(&clinic);
    clinic.map(SECOND_MAPPING);
    look(&mut agent, &mut line);
    assert_eq!(told(&line, "scheduling.practitioner_snapshot"), 1);
    assert_eq!(told(&line, "scheduling.practitioner_added"), 0);
    let patients = line.log.iter().filter(|fact| fact.type_name.starts_with("patients.")).count();
    assert_eq!(patients, 1, "the tables that were known are as said");
    assert!(told(&line, "units.epoch_opened") == 1, "no new epoch");
}

#[test]
fn a_mapping_with_mistakes_changes_nothing_and_is_told_on_the_status() {
    let clinic = Folder::foreign();
    let (mut agent, mut line) = connected(&clinic);
    clinic.map("[[table]]\nname = ");
    look(&mut agent, &mut line);
    call(&clinic, "1");
    agent.receive(&mut line, vec![]);
    assert_eq!(told(&line, "voip.call_ended"), 1, "the last good one is obeyed");
    look(&mut agent, &mut line);
    let shown = status::read(agent.worker.stores().spool.conn()).unwrap();
    assert!(shown.mapping.as_ref().unwrap().contains("line 2"), "{shown}");
    drop(agent);
    let mut agent = clinic.worker();
    agent.rest();
    assert_eq!(agent.worker.stores().installed.tables.len(), 8, "also after a restart");
    clinic.map(SECOND_MAPPING);
    std::thread::sleep(LOOK);
    agent.rest();
    std::thread::sleep(LOOK);
    agent.rest();
    assert_eq!(status::read(agent.worker.stores().spool.conn()).unwrap().mapping, None);
}

#[test]
fn a_column_that_the_practice_renames_pauses_its_table_only_until_the_mapping_follows() {
    let clinic = Folder::foreign();
    let (mut agent, mut line) = connected(&clinic);
    clinic.desk().execute_batch("ALTER TABLE patient RENAME COLUMN telefon TO rufnummer").unwrap();
    look(&mut agent, &mut line);
    let paused = agent.worker.stores().installed.paused.clone();
    assert_eq!(paused["patient"], "the column telefon is missing");
    assert_eq!(paused.len(), 1);
    let facts = line.log.len();
    clinic.desk().execute_batch("UPDATE patient SET rufnummer = '7', ort = 'Ulm'").unwrap();
    call(&clinic, "1");
    agent.receive(&mut line, vec![]);
    assert_eq!(line.log.len(), facts + 1, "the practice works on, and other tables are captured");
    look(&mut agent, &mut line);
    let shown = status::read(agent.worker.stores().spool.conn()).unwrap();
    assert_eq!(shown.paused, ["patient: the column telefon is missing"]);
    let body = serde_json::json!({"patient_id": id_of(&clinic, "patient", 1), "fields": ["city"],
        "city": "Köln"});
    let amend = crate::edge::request(1, "one", "patients.update_patient", body);
    agent.receive(&mut line, vec![kit_link::FromEdge::Request(amend)]);
    assert_eq!(line.replies[0].outcome["reason"], "table-paused");
    clinic.map(&SECOND_MAPPING.replace("telefon =", "rufnummer ="));
    look(&mut agent, &mut line);
    assert!(agent.worker.stores().installed.paused.is_empty());
    let fact = line.log.last().unwrap();
    assert_eq!(fact.type_name, "patients.patient_amended");
    assert_eq!((&fact.body["phone"], &fact.body["city"]), (&"7".into(), &"Ulm".into()));
}

#[test]
fn a_table_that_is_dropped_and_comes_back_is_walked_again_and_its_readers_stay() {
    let clinic = Folder::foreign();
    clinic
        .desk()
        .execute_batch(
            "INSERT INTO rechnung (pat_nr, gestellt_am, betrag)
                 VALUES (1, '2026-03-01 12:00', '45.50');
             INSERT INTO zahlung (rechnung_nr, bezahlt_am, betrag)
                 VALUES (1, '2026-03-01 13:00', 5);",
        )
        .unwrap();
    let (mut agent, mut line) = connected(&clinic);
    let desk = clinic.desk();
    desk.execute_batch("CREATE TABLE kopie AS SELECT * FROM rechnung; DROP TABLE rechnung")
        .unwrap();
    // Payments look their patient up in invoices: the practice's own writes go on all the same.
    desk.execute_batch(
        "INSERT INTO zahlung (rechnung_nr, bezahlt_am, betrag)
        VALUES (1, '2026-03-01 14:00', 6)",
    )
    .unwrap();
    look(&mut agent, &mut line);
    let paused = &agent.worker.stores().installed.paused;
    assert_eq!(paused["rechnung"], "the table is missing");
    assert_eq!(paused["zahlung"], "the column rechnung.rechnung_nr is missing");
    assert_eq!(paused.len(), 2);
    assert_eq!(told(&line, "billing.invoice_removed"), 0, "nobody knows that they are gone");
    desk.execute_batch(crate::desk::SECOND_SCHEMA).unwrap();
    desk.execute_batch(
        "INSERT INTO rechnung SELECT * FROM kopie; DROP TABLE kopie;
        INSERT INTO rechnung (pat_nr, gestellt_am, betrag) VALUES (1, '2026-03-02 12:00', '9.90')",
    )
    .unwrap();
    look(&mut agent, &mut line);
    look(&mut agent, &mut line);
    assert!(agent.worker.stores().installed.paused.is_empty());
    assert_eq!(told(&line, "billing.invoice_issued"), 1, "the one that is new");
    assert_eq!(told(&line, "billing.invoice_removed"), 0);
    assert_eq!(told(&line, "billing.payment_received"), 1);
    let patient = id_of(&clinic, "patient", 1);
    let payments = line.log.iter().filter(|fact| fact.type_name.starts_with("billing.payment"));
    assert!(
        payments.clone().count() >= 2 && payments.clone().all(|it| it.patient_id == Some(patient))
    );
}

fn calls_are_optional() -> String {
    SECOND_MAPPING.replace("name = \"anruf\"", "name = \"anruf\"\noptional = true")
}

#[test]
fn a_practice_may_do_without_an_optional_table_until_it_has_one() {
    let clinic = Folder::foreign();
    clinic.desk().execute_batch("DROP TABLE anruf").unwrap();
    clinic.map(&calls_are_optional());
    let checked = check(&clinic.dir()).unwrap();
    assert!(checked.mistakes.is_empty(), "{:?}", checked.mistakes);
    assert!(checked.report.contains("anruf: the practice has no such table"));
    let (mut agent, mut line) = connected(&clinic);
    let installed = &agent.worker.stores().installed;
    assert!(installed.paused.is_empty(), "{:?}", installed.paused);
    let status = status::Status::of(&agent.worker).unwrap().to_string();
    assert!(status.contains("tables absent   anruf"), "{status}");
    clinic.desk().execute_batch(crate::desk::SECOND_SCHEMA).unwrap();
    look(&mut agent, &mut line);
    call(&clinic, "1");
    look(&mut agent, &mut line);
    assert_eq!(told(&line, "voip.call_ended"), 1);
    assert!(agent.worker.stores().installed.absent.is_empty());
}

#[test]
fn a_request_for_records_that_the_practice_does_not_keep_is_refused_for_good() {
    let clinic = Folder::foreign();
    clinic.desk().execute_batch("DROP TABLE patient").unwrap();
    clinic
        .map(&SECOND_MAPPING.replace("name = \"patient\"", "name = \"patient\"\noptional = true"));
    let (mut agent, mut line) = connected(&clinic);
    let body = serde_json::json!({"patient_id": uuid::Uuid::nil(), "fields": ["city"],
        "city": "Köln"});
    let amend = crate::edge::request(1, "one", "patients.update_patient", body);
    agent.receive(&mut line, vec![kit_link::FromEdge::Request(amend)]);
    assert_eq!(line.replies[0].outcome["reason"], "not-writable-at-unit");
}

#[test]
fn an_optional_table_that_was_captured_and_is_gone_is_missed() {
    let clinic = Folder::foreign();
    clinic.map(&calls_are_optional());
    call(&clinic, "1");
    let (mut agent, mut line) = connected(&clinic);
    clinic.desk().execute_batch("DROP TABLE anruf").unwrap();
    look(&mut agent, &mut line);
    assert_eq!(agent.worker.stores().installed.paused["anruf"], "the table is missing");
    assert_eq!(told(&line, "voip.call_removed"), 0, "nobody knows that it is gone");
    drop(agent);
    let agent = clinic.worker();
    assert_eq!(agent.worker.stores().installed.paused["anruf"], "the table is missing");
}

#[test]
fn a_check_explains_what_would_be_captured() {
    let clinic = Folder::foreign();
    let checked = check(&clinic.dir()).unwrap();
    assert!(checked.mistakes.is_empty(), "{:?}", checked.mistakes);
    for words in [
        "patient -> patient of patients",
        "the database assigns keys",
        "geb_datum -> birth_date (date; as dd.mm.yyyy)",
        "beginn -> starts_at (timestamp; as yyyy-mm-dd HH:MM; in Europe/Berlin)",
        "rechnung.pat_nr through rechnung_nr -> patient_id (uuid; of patient; read only)",
        "anruf -> voip.call (version 1; new: voip.call_ended, changed: voip.call_ended)",
        "not captured: mahnstufe",
        "\"family_name\":\"Müller\"",
        "1 rows",
    ] {
        assert!(checked.report.contains(words), "{words} is not in\n{}", checked.report);
    }
    assert!(clinic.path(files::SPOOL).exists(), "it works beside an agent, and changes nothing");
    assert_eq!(clinic.count("SELECT count(*) FROM sqlite_master WHERE name LIKE 'arteria%'"), 0);
}

#[test]
fn a_check_tells_what_the_database_lacks_by_line() {
    let clinic = Folder::foreign();
    clinic
        .desk()
        .execute_batch("ALTER TABLE patient DROP COLUMN telefon; DROP TABLE anruf")
        .unwrap();
    let wrong = SECOND_MAPPING.replace("value = \"pat_nr\"", "value = \"wer\"");
    clinic.map(&wrong);
    let checked = check(&clinic.dir()).unwrap();
    let line_of = |words: &str| 1 + wrong.lines().position(|line| line.contains(words)).unwrap();
    let told: Vec<String> = checked.mistakes.iter().map(ToString::to_string).collect();
    let expected = [
        format!("line {}: patient has no column telefon", line_of("telefon =")),
        format!("line {}: rechnung has no column wer", line_of("value = \"wer\"")),
        format!("line {}: the database has no table anruf", line_of("name = \"anruf\"")),
    ];
    assert_eq!(told, expected);
    assert!(checked.report.contains("arzt -> practitioner"), "the rest is explained all the same");
}

#[test]
fn what_waits_is_told_for_pongs() {
    let clinic = Folder::foreign();
    let mut agent = clinic.worker();
    agent.rest();
    clinic.desk().execute_batch("DROP TABLE anruf").unwrap();
    std::thread::sleep(LOOK);
    agent.rest();
    std::thread::sleep(LOOK);
    agent.rest();
    let waits = agent.worker.waits().unwrap();
    assert_eq!(waits.paused_tables, 1);
    assert!(waits.facts >= 1 && waits.oldest.is_some());
    let mut line = agent.connect(None, Resume::Exact);
    agent.receive(&mut line, vec![]);
    look(&mut agent, &mut line);
    let waits = agent.worker.waits().unwrap();
    assert_eq!((waits.facts, waits.oldest), (0, None));
}
