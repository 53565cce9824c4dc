//! Keys of odd bytes, and tables that only the practice's own program can read.

use agent::queries::Queries;
use agent::setup::files;
use kit_link::{FromAgent, Query, Resume};
use rusqlite::Connection;
use serde_json::json;

use crate::desk::{Folder, NOW, OTHER_PATIENT, PATIENT, PRACTITIONER};
use crate::edge::request_id;
use crate::foreign::connected;

/// Starts an agent on the folder again, which compares every row, and gives what it says.
fn said_by_comparing(clinic: &Folder) -> Vec<String> {
    let before = clinic.facts().len();
    let mut agent = clinic.worker();
    agent.rest();
    drop(agent);
    clinic.facts().split_off(before).into_iter().map(|fact| fact.type_name).collect()
}

#[test]
fn a_living_row_is_never_told_as_removed_whatever_bytes_its_key_has() {
    let clinic = Folder::empty();
    clinic
        .desk()
        .execute_batch(
            "INSERT INTO patients (patient_id, family_name) VALUES
                (CAST(x'4dfc' AS TEXT), 'M'), (CAST(x'4dfd' AS TEXT), 'N'), ('x:12', 'O'),
                (x'12', 'P'), ('x:ray', 'Q'), ('xt:4D', 'R'), (CAST(x'22fe5c0a' AS TEXT), 'S'),
                (1.5, 'T'), ('0.1', 'U'), (x'', 'V'), ('M' || char(65533), 'W')",
        )
        .unwrap();
    let (agent, line) = connected(&clinic);
    drop(agent);
    let told: Vec<_> = line.log.iter().filter(|it| it.type_name.starts_with("pat")).collect();
    let mut ids: Vec<_> = told.iter().map(|it| it.body["patient_id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((told.len(), ids.len()), (11, 11), "each has an id of its own");
    assert_eq!(said_by_comparing(&clinic), Vec::<String>::new());
    let touch = "UPDATE patients SET phone = '1'; DELETE FROM patients WHERE family_name = 'M'";
    clinic.desk().execute_batch(touch).unwrap();
    let mut said = said_by_comparing(&clinic);
    said.sort();
    let amended = said.iter().filter(|it| it.as_str() == "patients.patient_amended").count();
    let removed = said.iter().filter(|it| it.as_str() == "patients.patient_removed").count();
    assert_eq!((amended, removed), (11, 1), "{said:?}");
    assert_eq!(said_by_comparing(&clinic), Vec::<String>::new());
}

#[test]
fn numbers_with_a_fraction_and_texts_are_kept_apart_where_the_column_does() {
    let clinic = Folder::empty();
    let desk = clinic.desk();
    desk.execute_batch("CREATE TABLE p (k PRIMARY KEY, n TEXT)").unwrap();
    for n in 0..250 {
        let sql = format!("INSERT INTO p VALUES ({n}.25, 'r'), ('{n}', 't'), (x'{n:04x}', 'b')");
        desk.execute_batch(&sql).unwrap();
        let latin = format!("INSERT INTO p VALUES (CAST(x'e4{n:02x}' AS TEXT), 'l')");
        desk.execute_batch(&latin).unwrap();
    }
    clinic.map(
        "[[table]]\nname='p'\nthing='patient'\nkey=['k']\n[table.columns]\n\
         n={type='text',field='family_name'}\n",
    );
    let (agent, line) = connected(&clinic);
    drop(agent);
    let told = line.log.iter().filter(|it| it.type_name.starts_with("patients.")).count();
    assert_eq!(told, 1_000, "no chunk skips a row");
    assert_eq!(said_by_comparing(&clinic), Vec::<String>::new());
}

#[test]
fn a_table_that_cannot_be_read_is_paused_and_no_other() {
    for table in [
        "CREATE TABLE p (k TEXT COLLATE own PRIMARY KEY, n TEXT)",
        "CREATE TABLE p (k TEXT PRIMARY KEY, m TEXT, n TEXT AS (own(m)))",
    ] {
        let clinic = Folder::empty();
        let desk = clinic.desk();
        desk.create_collation("own", str::cmp).unwrap();
        let flags = rusqlite::functions::FunctionFlags::SQLITE_DETERMINISTIC;
        desk.create_scalar_function("own", 1, flags, |call| call.get::<Option<String>>(0)).unwrap();
        desk.execute_batch(table).unwrap();
        desk.execute_batch("CREATE TABLE d (k TEXT PRIMARY KEY, n TEXT)").unwrap();
        desk.execute_batch("INSERT INTO p (k) VALUES ('1'), ('2'); INSERT INTO d VALUES ('1','d')")
            .unwrap();
        clinic.map(
            "[[table]]\nname='p'\nthing='patient'\nkey=['k']\n[table.columns]\n\
             n={type='text',field='family_name'}\n\
             [[table]]\nname='d'\nthing='practitioner'\nkey=['k']\n[table.columns]\n\
             n={type='text',field='family_name'}\n",
        );
        let (mut agent, mut line) = connected(&clinic);
        let told = |word: &str, line: &crate::desk::Line| {
            line.log.iter().filter(|it| it.type_name.ends_with(word)).count()
        };
        assert_eq!(told("practitioner_snapshot", &line), 1, "{table}");
        let installed = &agent.worker.stores().installed;
        assert!(installed.paused["p"].contains("cannot be read"), "{:?}", installed.paused);
        desk.execute_batch("INSERT INTO d VALUES ('2', 'e')").unwrap();
        agent.receive(&mut line, vec![]);
        assert_eq!(told("practitioner_added", &line), 1, "{:?}", line.types());
        agent.stop();
        // The drain meets what the triggers told of it before a scan does.
        desk.execute_batch("INSERT INTO p (k) VALUES ('3'); INSERT INTO d VALUES ('3', 'f')")
            .unwrap();
        let told = ["patients.patient_registered", "scheduling.practitioner_added"];
        assert_eq!(said_by_comparing(&clinic), told, "{table}");
    }
}

#[test]
fn queries_read_the_file_that_stands_there_now() {
    let clinic = Folder::staffed();
    let mut agent = clinic.worker();
    agent.connect(None, Resume::Exact);
    agent.rest();
    let (queries, _) = Queries::start(agent.worker.stores().setup.clone()).unwrap();
    let slots = |id: &str| {
        let (out, mut answers) = tokio::sync::mpsc::channel(1);
        let query = Query {
            id: request_id(id),
            type_name: "scheduling.free_slots".to_owned(),
            expires_at: NOW.parse::<kit_event::Timestamp>().unwrap().plus_ms(30_000),
            traceparent: None,
            reply_partition: Some(5),
            body: json!({"practitioner_id": PRACTITIONER, "from": "2026-03-02T08:00:00Z",
                "to": "2026-03-02T18:00:00Z"}),
        };
        queries.ask(query, out);
        let Some(FromAgent::Answer(answer)) = answers.blocking_recv() else { panic!("an answer") };
        let body = answer.body.unwrap_or_else(|| panic!("{:?} {:?}", answer.reason, answer.detail));
        body["items"].as_array().unwrap().len()
    };
    let backup = clinic.back_up(files::CLINIC);
    let free = slots("before");
    clinic
        .desk()
        .execute_batch(&format!(
            "INSERT INTO appointments (appointment_id, patient_id, practitioner_id, starts_at,
                ends_at, status) VALUES ('{OTHER_PATIENT}', '{PATIENT}', '{PRACTITIONER}',
                '2026-03-02T10:00:00Z', '2026-03-02T12:00:00Z', 'booked')"
        ))
        .unwrap();
    assert!(slots("taken") < free);
    let draft = clinic.path("backup.db");
    clinic.restore(&backup);
    std::fs::copy(clinic.path(files::CLINIC), &draft).unwrap();
    std::fs::rename(&draft, clinic.path(files::CLINIC)).unwrap();
    assert_eq!(slots("replaced"), free, "not those of the file that is gone");
    drop(Connection::open(clinic.path(files::CLINIC)).unwrap());
}
