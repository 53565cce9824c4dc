//! Keys that come again: whoever has a number after somebody else is never taken for them.

use agent::setup::files;
use kit_link::{FactFrame, FromEdge, NewEpoch, Resume};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::desk::{Driven, Folder, Line, SECOND_MAPPING, SECOND_SCHEMA};
use crate::edge::request;
use crate::foreign::{connected, id_of};

const AMEND: &str = "patients.update_patient";
const REGISTER: &str = "patients.register_patient";
/// Patient 1 of [`Folder::foreign`] goes, and another comes.
const REUSE: &str = "DELETE FROM patient WHERE pat_nr = 1;
    INSERT INTO patient (nachname, vorname, geb_datum, akte)
        VALUES ('Kaya', 'Ali', '1.2.1990', 'B-1');";

/// A practice that counts its rows, and whose tables do not say AUTOINCREMENT.
fn counting() -> Folder {
    let folder = Folder::empty();
    folder.delete(files::CLINIC);
    folder.desk().execute_batch(&SECOND_SCHEMA.replace(" AUTOINCREMENT", "")).unwrap();
    folder.map(SECOND_MAPPING);
    let people = "INSERT INTO patient (nachname, vorname, geb_datum, akte)
            VALUES ('Müller', 'Änne', '3.5.1980', 'A-1');
        INSERT INTO arzt (nachname) VALUES ('Weiß');
        INSERT INTO sprechzeit VALUES (1, 'Mo', '08:00', '18:00', 30);";
    folder.desk().execute_batch(people).unwrap();
    folder
}

fn last<'a>(facts: &'a [FactFrame], type_name: &str) -> &'a FactFrame {
    facts.iter().rfind(|fact| fact.type_name == type_name).expect(type_name)
}

/// The id of the last patient that was told of.
fn newest(clinic: &Folder) -> Value {
    let facts = clinic.facts();
    let told = facts.iter().rfind(|fact| {
        fact.type_name.starts_with("patients.") && !fact.type_name.ends_with("_removed")
    });
    told.unwrap().body["patient_id"].clone()
}

fn ask(agent: &mut Driven, line: &mut Line, position: i64, kind: &str, body: Value) -> Value {
    let frame = FromEdge::Request(request(position, &format!("r{position}"), kind, body));
    agent.receive(line, vec![frame]);
    line.replies.last().unwrap().outcome.clone()
}

fn names(clinic: &Folder) -> String {
    let all = "SELECT group_concat(nachname || coalesce(telefon, '')) FROM patient";
    clinic.desk().query_row(all, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_number_given_again_names_another_person_to_everybody() {
    let clinic = counting();
    let (mut agent, mut line) = connected(&clinic);
    let former = json!(id_of(&clinic, "patient", 1));
    let visit = "INSERT INTO termin (pat_nr, arzt_nr, beginn, ende, zustand)
        VALUES (1, 1, '2026-07-01 10:30', '2026-07-01 11:00', 'geplant')";
    clinic.desk().execute_batch(visit).unwrap();
    agent.receive(&mut line, vec![]);
    clinic.desk().execute_batch(REUSE).unwrap();
    agent.receive(&mut line, vec![]);
    assert_eq!(last(&line.log, "patients.patient_removed").body["patient_id"], former);
    let newcomer = last(&line.log, "patients.patient_registered").body["patient_id"].clone();
    assert_ne!(newcomer, former);
    // A request that waited for the former patient, and one for the new one.
    let amend = |id: &Value| json!({"patient_id": id, "phone": "351210", "fields": ["phone"]});
    let outcome = ask(&mut agent, &mut line, 1, AMEND, amend(&former));
    assert_eq!(outcome["reason"], "patient-unknown", "{outcome}");
    assert_eq!(names(&clinic), "Kaya");
    let outcome = ask(&mut agent, &mut line, 2, AMEND, amend(&newcomer));
    assert_eq!(outcome["state"], "done", "{outcome}");
    assert_eq!(names(&clinic), "Kaya351210");
    // The visit that was left behind stays the former patient's; a new one is the newcomer's.
    clinic.desk().execute_batch("UPDATE termin SET anlass = 'x'").unwrap();
    clinic.desk().execute_batch(&visit.replace("07-01", "07-02")).unwrap();
    agent.receive(&mut line, vec![]);
    let visits = line.log.iter().rev().filter(|it| it.type_name.starts_with("scheduling."));
    let whose: Vec<&Value> = visits.take(2).map(|it| &it.body["patient_id"]).collect();
    assert_eq!(whose, [&newcomer, &former]);
    // And so it stays in a new epoch and after a restart.
    let order = NewEpoch { position: Some(9), above: 1, reason: "fork".to_owned() };
    agent.receive(&mut line, vec![FromEdge::NewEpoch(order)]);
    assert_eq!(last(&line.log, "patients.patient_snapshot").body["patient_id"], newcomer);
    agent.stop();
    let mut agent = clinic.worker();
    let durable = line.durable();
    let mut again = agent.connect(durable, Resume::Exact);
    agent.receive(&mut again, vec![]);
    assert!(again.log.is_empty(), "{:?}", again.types());
}

#[test]
fn it_makes_no_difference_whether_the_agent_was_there_or_how_it_was_committed() {
    let in_one = format!("BEGIN; {REUSE} COMMIT;");
    for (is_away, sql) in [(false, &in_one), (true, &in_one), (true, &REUSE.to_owned())] {
        let clinic = counting();
        let (mut agent, mut line) = connected(&clinic);
        let former = json!(id_of(&clinic, "patient", 1));
        if is_away {
            agent.stop();
            clinic.desk().execute_batch(sql).unwrap();
            agent = clinic.worker();
            line = agent.connect(line.durable(), Resume::Exact);
        } else {
            clinic.desk().execute_batch(sql).unwrap();
        }
        // The request was on its way: it meets the agent before the change does.
        let amend = json!({"patient_id": former, "phone": "351210", "fields": ["phone"]});
        let outcome = ask(&mut agent, &mut line, 1, AMEND, amend);
        assert_eq!(outcome["reason"], "patient-unknown", "{outcome}");
        assert_ne!(newest(&clinic), former, "{sql}");
        assert_eq!(names(&clinic), "Kaya");
    }
}

#[test]
fn who_is_removed_and_made_again_by_a_program_that_saves_so_stays_who_they_are() {
    let clinic = counting();
    let (mut agent, mut line) = connected(&clinic);
    let id = json!(id_of(&clinic, "patient", 1));
    let save = "DELETE FROM patient WHERE pat_nr = 1;
        INSERT INTO patient (pat_nr, nachname, vorname, geb_datum, telefon)
            VALUES (1, 'Müller', 'Änne', '03.05.1980', '7');";
    clinic.desk().execute_batch(save).unwrap();
    agent.receive(&mut line, vec![]);
    assert_eq!((newest(&clinic), names(&clinic)), (id.clone(), "Müller7".to_owned()));
    // Nothing proves that a namesake without a date of birth is the same.
    clinic.desk().execute_batch(&save.replace("'03.05.1980'", "NULL")).unwrap();
    agent.receive(&mut line, vec![]);
    assert_ne!(newest(&clinic), id);
    // Who comes back after others is known again.
    clinic.desk().execute_batch(save).unwrap();
    agent.receive(&mut line, vec![]);
    assert_eq!(newest(&clinic), id);
}

#[test]
fn an_update_changes_nobody_and_a_row_replaced_by_nothing_alike_is_another() {
    let clinic = counting();
    let (mut agent, mut line) = connected(&clinic);
    let id = json!(id_of(&clinic, "patient", 1));
    let mut say = |sql: &str| {
        clinic.desk().execute_batch(sql).unwrap();
        agent.receive(&mut line, vec![]);
        newest(&clinic)
    };
    let update = "UPDATE patient SET nachname = 'A', vorname = 'B', geb_datum = '1.1.1911'";
    assert_eq!(say(update), id);
    let replace = |last: &str, first: &str, born: &str| {
        format!(
            "REPLACE INTO patient (pat_nr, nachname, vorname, geb_datum)
             VALUES (1, '{last}', '{first}', '{born}')"
        )
    };
    assert_eq!(say(&replace("Neu", "B", "1.1.1911")), id, "married");
    let another = say(&replace("Kaya", "Ali", "1.2.1990"));
    assert_ne!(another, id);
    assert_eq!(say(&replace("Kaya", "Veli", "1.2.1990")), another);
}

#[test]
fn words_as_keys_come_again_too_and_uuids_name_what_they_name() {
    let clinic = Folder::empty();
    let mut agent = clinic.worker();
    let mut line = agent.connect(None, Resume::Exact);
    agent.receive(&mut line, vec![]);
    let uuid = Uuid::from_u128(7).to_string();
    for (key, comes_again) in [("P-7", true), (uuid.as_str(), false)] {
        let mut say = |name: &str| {
            let sql = format!(
                "DELETE FROM patients; INSERT INTO patients (patient_id, family_name)
                 VALUES ('{key}', '{name}')"
            );
            clinic.desk().execute_batch(&sql).unwrap();
            agent.receive(&mut line, vec![]);
            newest(&clinic)
        };
        assert_eq!(say("first") != say("second"), comes_again, "{key}");
    }
}

#[test]
fn a_spool_that_is_lost_takes_no_generation_along() {
    let clinic = counting();
    let (mut agent, mut line) = connected(&clinic);
    let former = json!(id_of(&clinic, "patient", 1));
    clinic.desk().execute_batch("DELETE FROM patient").unwrap();
    agent.receive(&mut line, vec![]);
    let mut ids = vec![former];
    for _ in 0..3 {
        agent.stop();
        clinic.delete(files::SPOOL);
        clinic.desk().execute_batch("DELETE FROM patient").unwrap();
        clinic.desk().execute_batch(REUSE).unwrap();
        agent = clinic.worker();
        line = agent.connect(line.durable(), Resume::Exact);
        agent.receive(&mut line, vec![]);
        let newcomer = newest(&clinic);
        assert!(!ids.contains(&newcomer), "{newcomer} of {ids:?}");
        ids.push(newcomer.clone());
        // Nothing happens, and the spool is lost again.
        agent.stop();
        clinic.delete(files::SPOOL);
        agent = clinic.worker();
        line = agent.connect(line.durable(), Resume::Exact);
        agent.receive(&mut line, vec![]);
        assert_eq!(newest(&clinic), newcomer);
    }
}

#[test]
fn a_clinic_that_went_back_knows_its_people_again_and_gives_no_id_twice() {
    for whole in [false, true] {
        let clinic = counting();
        let (agent, line) = connected(&clinic);
        let former = json!(id_of(&clinic, "patient", 1));
        agent.stop();
        let mut image = vec![clinic.back_up(files::CLINIC)];
        if whole {
            image.push(clinic.back_up(files::SPOOL));
        }
        let mut ids = vec![former.clone()];
        let mut durable = line.durable();
        for _ in 0..2 {
            let mut agent = clinic.worker();
            let mut line = agent.connect(durable, Resume::Exact);
            clinic.desk().execute_batch(REUSE).unwrap();
            agent.receive(&mut line, vec![]);
            let newcomer = newest(&clinic);
            // The same person is known again by whoever remembers them.
            assert!(!ids.contains(&newcomer) || (!whole && newcomer == ids[1]), "{ids:?}");
            ids.push(newcomer);
            durable = line.durable().or(durable);
            agent.stop();
            for file in &image {
                clinic.restore(file);
            }
            let mut agent = clinic.worker();
            let mut line = agent.connect(durable, Resume::Exact);
            agent.receive(&mut line, vec![]);
            assert_eq!(newest(&clinic), former, "whole: {whole}");
            durable = line.durable().or(durable);
            agent.stop();
        }
    }
}

#[test]
fn a_patient_registered_by_a_request_under_a_number_given_again_is_told_by_one_id() {
    let clinic = counting();
    let (mut agent, mut line) = connected(&clinic);
    let former = json!(id_of(&clinic, "patient", 1));
    clinic.desk().execute_batch("DELETE FROM patient").unwrap();
    let register = json!({"patient_id": Uuid::from_u128(9), "family_name": "Müller",
        "given_name": "Änne", "birth_date": "1980-05-03"});
    let outcome = ask(&mut agent, &mut line, 1, REGISTER, register);
    assert_eq!(outcome["state"], "done", "{outcome}");
    assert_eq!(clinic.count("SELECT max(pat_nr) FROM patient"), 1, "the number is given again");
    let told = last(&line.log, "patients.patient_registered");
    assert_eq!(told.body["patient_id"], outcome["record_id"]);
    assert_ne!(outcome["record_id"], former, "a registration is always a new one");
}
