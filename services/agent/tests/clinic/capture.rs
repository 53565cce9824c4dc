//! What the desk does, as facts.

use serde_json::json;

use crate::desk::{Folder, PATIENT, PRACTITIONER};

#[test]
fn insert_update_and_delete_are_each_a_fact() {
    let clinic = Folder::empty();
    let mut agent = clinic.worker();
    let desk = clinic.desk();
    desk.execute(
        "INSERT INTO patients (patient_id, mrn, family_name, birth_date)
         VALUES (?1, 'M1', 'Silva', '1980-12-31')",
        [PATIENT],
    )
    .unwrap();
    agent.rest();
    desk.execute("UPDATE patients SET phone = '123' WHERE patient_id = ?1", [PATIENT]).unwrap();
    agent.rest();
    desk.execute("UPDATE patients SET active = 0 WHERE patient_id = ?1", [PATIENT]).unwrap();
    agent.rest();
    desk.execute("DELETE FROM patients", []).unwrap();
    agent.rest();
    let expected =
        ["patient_registered", "patient_amended", "patient_deactivated", "patient_removed"];
    assert_eq!(clinic.said(), expected);
    let facts = clinic.facts();
    assert_eq!(facts[0].type_name, "units.epoch_opened");
    assert_eq!(facts[1].body["mrn"], "M1");
    assert_eq!(facts[4].body["phone"], "123", "a removed row says its last state");
    assert_eq!(facts[1].subject.as_deref(), Some(format!("patient/{PATIENT}").as_str()));
    clinic.assert_numbered_without_gaps();
    assert_eq!(clinic.count("SELECT count(*) FROM arteria_outbox"), 0);
}

#[test]
fn a_row_changed_twice_and_several_rows_in_one_transaction_are_each_told() {
    let clinic = Folder::empty();
    let mut agent = clinic.worker();
    clinic
        .desk()
        .execute_batch(&format!(
            "BEGIN;
             INSERT INTO patients (patient_id, family_name) VALUES ('{PATIENT}', 'Silva');
             UPDATE patients SET phone = '1';
             UPDATE patients SET phone = '2';
             INSERT INTO practitioners (practitioner_id, family_name)
                VALUES ('{PRACTITIONER}', 'Reis');
             COMMIT;"
        ))
        .unwrap();
    agent.rest();
    let expected =
        ["patient_registered", "patient_amended", "patient_amended", "practitioner_added"];
    assert_eq!(clinic.said(), expected);
}

#[test]
fn what_is_rolled_back_never_happened() {
    let clinic = Folder::empty();
    let mut agent = clinic.worker();
    clinic
        .desk()
        .execute_batch(&format!(
            "BEGIN; INSERT INTO patients (patient_id, family_name) VALUES ('{PATIENT}', 'x');
             ROLLBACK;"
        ))
        .unwrap();
    agent.rest();
    assert_eq!(clinic.said(), Vec::<String>::new());
}

#[test]
fn ten_thousand_rows_in_one_transaction_are_ten_thousand_facts() {
    let clinic = Folder::empty();
    let mut agent = clinic.worker();
    clinic
        .desk()
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
             INSERT INTO patients (patient_id, family_name) SELECT printf('P-%d', i), 'x' FROM n",
        )
        .unwrap();
    agent.rest();
    assert_eq!(clinic.said().len(), 10_000);
    clinic.assert_numbered_without_gaps();
    assert_eq!(clinic.count("SELECT count(*) FROM arteria_outbox"), 0);
}

#[test]
fn an_update_of_nothing_that_is_mapped_is_no_news() {
    let clinic = Folder::staffed();
    clinic.desk().execute_batch("ALTER TABLE patients ADD COLUMN seen_at TEXT").unwrap();
    let mut agent = clinic.worker();
    clinic.desk().execute("UPDATE patients SET seen_at = 'now', phone = phone", []).unwrap();
    agent.rest();
    assert_eq!(clinic.said(), Vec::<String>::new());
}

#[test]
fn a_correction_of_case_is_news_even_where_the_column_ignores_case() {
    let clinic = Folder::empty();
    clinic
        .desk()
        .execute_batch(&format!(
            "DROP TABLE practitioners;
             CREATE TABLE practitioners (practitioner_id TEXT PRIMARY KEY,
                family_name TEXT COLLATE NOCASE, given_name TEXT, specialty TEXT, active INTEGER);
             INSERT INTO practitioners VALUES ('{PRACTITIONER}', 'reis', NULL, NULL, 1)"
        ))
        .unwrap();
    let mut agent = clinic.worker();
    clinic.desk().execute("UPDATE practitioners SET family_name = 'Reis'", []).unwrap();
    agent.rest();
    assert_eq!(clinic.said(), ["practitioner_snapshot"], "its state before was never published");
    clinic.desk().execute("UPDATE practitioners SET family_name = 'REIS'", []).unwrap();
    agent.rest();
    assert_eq!(clinic.said(), ["practitioner_snapshot", "practitioner_amended"]);
}

#[test]
fn a_replaced_row_is_amended() {
    let clinic = Folder::empty();
    let mut agent = clinic.worker();
    let desk = clinic.desk();
    for name in ["Silva", "Sousa"] {
        desk.execute(
            "INSERT OR REPLACE INTO patients (patient_id, family_name) VALUES (?1, ?2)",
            (PATIENT, name),
        )
        .unwrap();
        agent.rest();
    }
    assert_eq!(clinic.said(), ["patient_registered", "patient_amended"]);
}

#[test]
fn a_row_that_replace_took_away_unseen_is_found_by_comparison() {
    let clinic = Folder::empty();
    clinic.desk().execute_batch("CREATE UNIQUE INDEX one_mrn ON patients (mrn)").unwrap();
    clinic.seeded();
    let mut agent = clinic.worker();
    agent.rest();
    let desk = clinic.desk();
    for id in ["a", "b"] {
        desk.execute(
            "INSERT OR REPLACE INTO patients (patient_id, mrn, family_name) VALUES (?1, 'M', 'x')",
            [id],
        )
        .unwrap();
        agent.rest();
    }
    assert_eq!(clinic.said(), ["patient_registered", "patient_registered"]);
    agent.stop();
    clinic.worker().rest();
    assert_eq!(clinic.said(), ["patient_registered", "patient_registered", "patient_removed"]);
}

#[test]
fn a_changed_key_is_one_row_gone_and_another_made() {
    let clinic = Folder::empty();
    let mut agent = clinic.worker();
    let desk = clinic.desk();
    desk.execute("INSERT INTO patients (patient_id, family_name) VALUES ('a', 'x')", []).unwrap();
    agent.rest();
    desk.execute("UPDATE patients SET patient_id = 'b'", []).unwrap();
    agent.rest();
    assert_eq!(clinic.said(), ["patient_registered", "patient_removed", "patient_registered"]);
    let facts = clinic.facts();
    assert_eq!(facts[1].subject, facts[2].subject);
    assert_ne!(facts[2].subject, facts[3].subject);
}

#[test]
fn a_rebuilt_table_gets_its_triggers_back_and_its_rows_compared() {
    let clinic = Folder::staffed();
    clinic.seeded();
    let mut agent = clinic.worker();
    agent.rest();
    clinic
        .desk()
        .execute_batch(
            "BEGIN;
             CREATE TABLE rebuilt AS SELECT * FROM patients;
             DROP TABLE patients;
             ALTER TABLE rebuilt RENAME TO patients;
             UPDATE patients SET city = 'Porto' WHERE family_name = 'Silva';
             COMMIT;",
        )
        .unwrap();
    let before = clinic.said().len();
    agent.rest();
    assert_eq!(clinic.said()[before..], ["patient_amended"]);
    clinic.desk().execute("UPDATE patients SET city = 'Faro'", []).unwrap();
    agent.rest();
    assert_eq!(clinic.said().len(), before + 3);
}

#[test]
fn the_journal_mode_is_the_practices_own() {
    for mode in ["delete", "truncate", "persist", "wal"] {
        let clinic = Folder::empty();
        clinic.desk().pragma_update(None, "journal_mode", mode).unwrap();
        let mut agent = clinic.worker();
        clinic
            .desk()
            .execute("INSERT INTO patients (patient_id, family_name) VALUES ('a', 'x')", [])
            .unwrap();
        agent.rest();
        assert_eq!(clinic.said(), ["patient_registered"], "{mode}");
        let kept: String =
            clinic.desk().query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, if mode == "wal" { "wal" } else { "delete" }, "{mode}");
    }
}

#[test]
fn dates_and_times_travel_as_people_type_them() {
    let clinic = Folder::empty();
    let mut agent = clinic.worker();
    clinic
        .desk()
        .execute_batch(
            "INSERT INTO patients (patient_id, family_name, birth_date, mrn, active)
                VALUES (17, x'00ff', '31/12/1980', 5.5, 'yes');
             INSERT INTO appointments VALUES ('a', '17', 'p', '2026-03-02 9:30',
                '2026-03-02T10:00:00+01:00', 'tentative', NULL, '');",
        )
        .unwrap();
    agent.rest();
    assert_eq!(clinic.said(), ["patient_registered", "appointment_amended"]);
    let facts = clinic.facts();
    let (patient, appointment) = (&facts[1].body, &facts[2].body);
    assert_eq!(patient["birth_date_raw"], "31/12/1980");
    assert_eq!(patient.get("birth_date"), None);
    assert_eq!((&patient["mrn"], &patient["active"]), (&json!("5.5"), &json!(true)));
    assert_eq!(appointment["starts_at_raw"], "2026-03-02 9:30");
    assert_eq!(appointment["ends_at"], "2026-03-02T09:00:00Z");
    assert_eq!(appointment["patient_id"], patient["patient_id"], "one id wherever it stands");
    assert_eq!(appointment.get("reason"), None);
}

#[test]
fn a_practice_that_lacks_a_table_or_a_column_keeps_the_other_tables() {
    let clinic = Folder::empty();
    clinic
        .desk()
        .execute_batch(
            "DROP TABLE working_hours; DROP INDEX patients_by_mrn;
             ALTER TABLE practitioners DROP COLUMN specialty;",
        )
        .unwrap();
    let mut agent = clinic.worker();
    clinic
        .desk()
        .execute("INSERT INTO patients (patient_id, family_name) VALUES ('a', 'x')", [])
        .unwrap();
    agent.rest();
    assert_eq!(clinic.said(), ["patient_registered"]);
    let installed = &agent.worker.stores().installed;
    assert!(installed.paused.contains_key("working_hours"));
    assert_eq!(installed.paused["practitioners"], "the column specialty is missing");
}

#[test]
fn names_are_found_in_whatever_case_and_a_table_that_takes_no_triggers_is_left() {
    let clinic = Folder::empty();
    clinic
        .desk()
        .execute_batch(
            "DROP TABLE practitioners; DROP TABLE working_hours;
             CREATE TABLE Practitioners (Practitioner_ID TEXT PRIMARY KEY, FAMILY_NAME TEXT,
                 Given_Name TEXT, Specialty TEXT, Active INTEGER);
             CREATE VIRTUAL TABLE working_hours
                 USING fts5(practitioner_id, weekday, starts, ends, slot_min);",
        )
        .unwrap();
    let mut agent = clinic.worker();
    clinic
        .desk()
        .execute_batch(
            "INSERT INTO practitioners (practitioner_id, family_name) VALUES ('p', 'Reis')",
        )
        .unwrap();
    agent.rest();
    assert_eq!(clinic.said(), ["practitioner_added"]);
    assert_eq!(clinic.facts().last().unwrap().body["family_name"], "Reis");
    let paused = &agent.worker.stores().installed.paused;
    assert!(paused["working_hours"].contains("takes no triggers"), "{paused:?}");
}

#[test]
fn a_row_without_a_key_hurts_nobody() {
    let clinic = Folder::empty();
    clinic
        .desk()
        .execute_batch(
            "DROP TABLE practitioners;
             CREATE TABLE practitioners (practitioner_id TEXT PRIMARY KEY, family_name TEXT,
                 given_name TEXT, specialty TEXT, active INTEGER);",
        )
        .unwrap();
    let mut agent = clinic.worker();
    clinic
        .desk()
        .execute_batch(
            "INSERT INTO practitioners (practitioner_id, family_name)
             VALUES (NULL, 'x'), ('p', 'y')",
        )
        .unwrap();
    agent.rest();
    assert_eq!(clinic.said(), ["practitioner_added"]);
}
