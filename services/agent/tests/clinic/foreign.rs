//! A practice with tables, keys, words and clocks of its own, mapped by a file alone.

use agent::identity::Ids;
use agent::setup::files;
use kit_link::{FactFrame, FromEdge, Resume};
use rusqlite::types::Value as Sql;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::desk::{Driven, Folder, Line};
use crate::edge::request;

pub fn connected(clinic: &Folder) -> (Driven, Line) {
    let mut agent = clinic.worker();
    let mut line = agent.connect(None, Resume::Exact);
    agent.receive(&mut line, vec![]);
    (agent, line)
}

/// The public id of a key that the practice gave.
pub fn id_of(clinic: &Folder, table: &str, key: i64) -> Uuid {
    let ids = Ids::open(clinic.unit.clone(), &clinic.path(files::IDS_SECRET)).unwrap();
    ids.of_key(table, &[json!(key)])
}

fn last(clinic: &Folder) -> FactFrame {
    clinic.facts().pop().unwrap()
}

/// What a unit answered a command.
fn ask(
    agent: &mut Driven,
    line: &mut Line,
    position: i64,
    type_name: &str,
    body: Value,
) -> (String, Value) {
    let name = format!("r{position}");
    let frame = FromEdge::Request(request(position, &name, type_name, body));
    agent.receive(line, vec![frame]);
    let outcome = &line.replies.last().unwrap().outcome;
    let word = outcome["reason"].as_str().or(outcome["state"].as_str()).unwrap().to_owned();
    let record = outcome["record_json"].as_str().unwrap_or("null");
    let said = if word == "done" { serde_json::from_str(record).unwrap() } else { outcome.clone() };
    (word, said)
}

fn cell(clinic: &Folder, sql: &str) -> Sql {
    clinic.desk().query_row(sql, [], |row| row.get(0)).unwrap()
}

fn text(words: &str) -> Sql {
    Sql::Text(words.to_owned())
}

#[test]
fn rows_read_in_the_domains_words() {
    let clinic = Folder::foreign();
    let (mut agent, mut line) = connected(&clinic);
    let patient = id_of(&clinic, "patient", 1);
    let stated = line.log.iter().find(|it| it.type_name == "patients.patient_snapshot").unwrap();
    assert_eq!(
        stated.body,
        json!({"patient_id": patient, "mrn": "A-1", "family_name": "Müller", "given_name": "Änne",
            "birth_date": "1980-05-03", "sex": "female", "active": true})
    );
    assert_eq!(patient.get_version_num(), 8);
    clinic
        .desk()
        .execute_batch(
            "INSERT INTO termin (pat_nr, arzt_nr, beginn, ende, zustand, art)
                 VALUES (1, 1, '2026-07-01 10:30', '2026-07-01 11:00', 'geplant', 'Telefon');
             INSERT INTO rechnung (pat_nr, termin_nr, gestellt_am, betrag)
                 VALUES (1, 1, '2026-07-01 12:00', '45.50');
             INSERT INTO zahlung (rechnung_nr, bezahlt_am, betrag, zahlart)
                 VALUES (1, '2026-07-01 12:05', 20.1, 'bar');",
        )
        .unwrap();
    agent.receive(&mut line, vec![]);
    let [visit, invoice, payment] = &line.log[line.log.len() - 3..] else { panic!("three facts") };
    assert_eq!(visit.type_name, "scheduling.appointment_booked");
    assert_eq!(visit.body["patient_id"], json!(patient));
    assert_eq!(visit.body["starts_at"], "2026-07-01T08:30:00Z", "summer time");
    assert_eq!(
        (&visit.body["status"], &visit.body["modality"]),
        (&json!("booked"), &json!("phone"))
    );
    assert_eq!(invoice.body["appointment_id"], visit.body["appointment_id"]);
    assert_eq!(
        (&invoice.body["total_minor"], &invoice.body["currency"]),
        (&json!(4550), &json!("EUR"))
    );
    assert_eq!(payment.body["amount_minor"], 2010, "a REAL, exactly");
    assert_eq!(payment.body["patient_id"], json!(patient), "through its invoice");
    assert_eq!(payment.patient_id, Some(patient));
    assert_eq!(payment.body["method"], "cash");
}

#[test]
fn what_people_type_and_words_that_nobody_listed_travel_as_they_are() {
    let clinic = Folder::foreign();
    let (mut agent, mut line) = connected(&clinic);
    let mut say = |sql: &str| {
        clinic.desk().execute_batch(sql).unwrap();
        agent.receive(&mut line, vec![]);
        last(&clinic).body
    };
    let body = say("UPDATE patient SET geb_datum = 'im Mai', geschlecht = ' w ', geloescht = 'JA'");
    assert_eq!(body["birth_date_raw"], "im Mai");
    assert_eq!((&body["sex"], &body["active"]), (&json!("female"), &json!(false)));
    let book = "INSERT INTO termin (pat_nr, arzt_nr, beginn, ende, zustand) VALUES (1, 1, ";
    // 02:30 was skipped that night, and came twice in autumn.
    let body = say(&format!("{book} '2026-03-29 02:30', '2026-10-25 02:30', 'verschoben')"));
    assert_eq!(body["starts_at_raw"], "2026-03-29 02:30");
    assert_eq!(body["ends_at"], "2026-10-25T00:30:00Z", "the first of the two");
    assert_eq!(body["status"], "verschoben", "an open word");
    let body = say(&format!("{book} 'morgen', '2026-03-03T09:00:00+01:00', 'booked')"));
    assert_eq!(body["starts_at_raw"], "morgen");
    assert_eq!(body["ends_at"], "2026-03-03T08:00:00Z", "an offset of its own counts");
    assert_eq!(body.get("status"), None, "a stranger that looks like one of the domain's words");
    let bill = "INSERT INTO rechnung (pat_nr, gestellt_am, betrag) VALUES (1, '2026-07-01 12:00', ";
    let body = say(&format!("{bill} '45.505')"));
    assert_eq!((body.get("total_minor"), &body["total_minor_raw"]), (None, &json!("45.505")));
    let body = say(&format!("{bill} 'viel')"));
    assert_eq!(body["total_minor_raw"], "viel");
    let body = say(&format!("{bill} 45)"));
    assert_eq!(body["total_minor"], 4500);
}

#[test]
fn a_request_writes_a_row_in_the_practices_own_words() {
    let clinic = Folder::foreign();
    let (mut agent, mut line) = connected(&clinic);
    let (patient, doctor) = (id_of(&clinic, "patient", 1), id_of(&clinic, "arzt", 1));
    let asked = Uuid::from_u128(77);
    let booking = json!({"appointment_id": asked, "patient_id": patient,
        "practitioner_id": doctor, "starts_at": "2026-07-06T08:00:00Z",
        "ends_at": "2026-07-06T08:30:00Z", "modality": "video", "reason": "Husten"});
    let book = "scheduling.book_appointment";
    let (word, record) = ask(&mut agent, &mut line, 1, book, booking.clone());
    assert_eq!(word, "done", "{record}");
    let row = "SELECT pat_nr || '|' || arzt_nr || '|' || beginn || '|' || ende || '|' || zustand ||
        '|' || art || '|' || anlass FROM termin WHERE termin_nr = 1";
    let written = "1|1|2026-07-06 10:00|2026-07-06 10:30|geplant|Video|Husten";
    assert_eq!(cell(&clinic, row), text(written));
    let visit = id_of(&clinic, "termin", 1);
    assert_eq!(record["appointment_id"], json!(visit), "the database gave the key, and so the id");
    assert_eq!(record["starts_at"], "2026-07-06T08:00:00Z");
    let booked = line.log.iter().rfind(|it| it.type_name == "scheduling.appointment_booked");
    assert_eq!(booked.unwrap().subject.as_deref(), Some(format!("appointment/{visit}").as_str()));
    assert_eq!(line.replies[0].record_seq, Some(booked.unwrap().seq), "its ETag");
    // The same again is answered; another command for the time meets the row, local times and all.
    ask(&mut agent, &mut line, 1, book, booking.clone());
    let (word, _) = ask(&mut agent, &mut line, 2, book, booking);
    assert_eq!(word, "slot-taken");
    assert_eq!(clinic.count("SELECT count(*) FROM termin"), 1);
    let cancel = json!({"appointment_id": visit});
    let (word, record) = ask(&mut agent, &mut line, 3, "scheduling.cancel_appointment", cancel);
    assert_eq!((word.as_str(), &record["status"]), ("done", &json!("cancelled")));
    assert_eq!(cell(&clinic, "SELECT zustand FROM termin"), text("storniert"));
}

#[test]
fn a_payment_is_written_in_decimals() {
    let clinic = Folder::foreign();
    clinic
        .desk()
        .execute_batch(
            "INSERT INTO rechnung (pat_nr, gestellt_am, betrag)
                 VALUES (1, '2026-03-01 12:00', '45.50');",
        )
        .unwrap();
    let (mut agent, mut line) = connected(&clinic);
    let invoice = id_of(&clinic, "rechnung", 1);
    let pay = |amount: i64| {
        json!({"payment_id": Uuid::from_u128(5), "invoice_id": invoice, "currency": "EUR",
            "amount_minor": amount, "method": "card"})
    };
    let (word, _) = ask(&mut agent, &mut line, 1, "billing.record_payment", pay(4551));
    assert_eq!(word, "amount-exceeds-balance");
    let (word, record) = ask(&mut agent, &mut line, 2, "billing.record_payment", pay(4540));
    assert_eq!(word, "done", "{record}");
    assert_eq!(record["amount_minor"], 4540);
    assert_eq!(record["patient_id"], json!(id_of(&clinic, "patient", 1)));
    let row = "SELECT betrag FROM zahlung WHERE zahlart = 'karte' AND rechnung_nr = 1";
    assert_eq!(cell(&clinic, row), Sql::Real(45.4));
}

#[test]
fn patients_are_registered_found_and_merged() {
    let clinic = Folder::foreign();
    let (mut agent, mut line) = connected(&clinic);
    let register = |mrn: &str| {
        json!({"patient_id": Uuid::from_u128(9), "family_name": "Öz", "birth_date": "1999-12-31",
            "sex": "other", "mrn": mrn})
    };
    let new = "patients.register_patient";
    let (word, _) = ask(&mut agent, &mut line, 1, new, register("A-1"));
    assert_eq!(word, "duplicate-mrn");
    let (word, record) = ask(&mut agent, &mut line, 2, new, register("A-2"));
    assert_eq!(word, "done", "{record}");
    let row = "SELECT geb_datum || geschlecht || geloescht FROM patient WHERE pat_nr = 2";
    assert_eq!(cell(&clinic, row), text("31.12.1999Dnein"));
    let (old, stays) = (id_of(&clinic, "patient", 1), id_of(&clinic, "patient", 2));
    assert_eq!(record["patient_id"], json!(stays));
    let merge = json!({"patient_id": old, "into_patient_id": stays});
    let (word, record) = ask(&mut agent, &mut line, 3, "patients.merge_patients", merge.clone());
    assert_eq!((word.as_str(), &record["merged_into"]), ("done", &json!(stays)));
    let merged = line.log.iter().rfind(|it| it.type_name.starts_with("patients.")).unwrap();
    assert_eq!(merged.type_name, "patients.patient_merged");
    let (word, _) = ask(&mut agent, &mut line, 4, "patients.merge_patients", merge);
    assert_eq!(word, "already-merged");
    // The desk merges too, and takes it back.
    clinic.desk().execute_batch("UPDATE patient SET zusammengefuehrt_mit = NULL").unwrap();
    agent.receive(&mut line, vec![]);
    assert_eq!(last(&clinic).type_name, "patients.patient_amended");
    clinic
        .desk()
        .execute_batch("UPDATE patient SET zusammengefuehrt_mit = 1 WHERE pat_nr = 2")
        .unwrap();
    agent.receive(&mut line, vec![]);
    let fact = last(&clinic);
    assert_eq!(fact.type_name, "patients.patient_merged");
    assert_eq!(fact.body["merged_into"], json!(old));
}

#[test]
fn no_chain_of_merges_comes_to_be_and_a_desks_own_is_seen_through() {
    let clinic = Folder::foreign();
    clinic
        .desk()
        .execute_batch(
            "INSERT INTO patient (nachname, vorname) VALUES ('Zwei', 'B'), ('Drei', 'C'),
                 ('Vier', 'D');
             UPDATE patient SET zusammengefuehrt_mit = 2 WHERE pat_nr = 1;",
        )
        .unwrap();
    let (mut agent, mut line) = connected(&clinic);
    let [first, second, third, fourth] = [1, 2, 3, 4].map(|nr| id_of(&clinic, "patient", nr));
    let chain = "SELECT group_concat(pat_nr || '>' || ifnull(zusammengefuehrt_mit, '-'), ' ') FROM
        (SELECT * FROM patient ORDER BY pat_nr)";
    let merge = json!({"patient_id": second, "into_patient_id": third});
    let (word, record) = ask(&mut agent, &mut line, 1, "patients.merge_patients", merge);
    assert_eq!((word.as_str(), &record["patient_id"]), ("done", &json!(second)));
    assert_eq!(cell(&clinic, chain), text("1>3 2>3 3>- 4>-"), "who was merged before goes along");
    let merged: Vec<_> = line.log.iter().filter(|it| it.type_name.ends_with("_merged")).collect();
    assert_eq!(merged.len(), 2);
    // The desk makes a chain, and then a circle; a booking names the one that stays, or one of it.
    let doctor = id_of(&clinic, "arzt", 1);
    let book = json!({"appointment_id": Uuid::from_u128(77), "patient_id": first,
        "practitioner_id": doctor, "starts_at": "2026-07-06T08:00:00Z",
        "ends_at": "2026-07-06T08:30:00Z"});
    for (at, sql, stays) in [
        (2, "UPDATE patient SET zusammengefuehrt_mit = 4 WHERE pat_nr = 3", fourth),
        (3, "UPDATE patient SET zusammengefuehrt_mit = 1 WHERE pat_nr = 4", fourth),
    ] {
        clinic.desk().execute_batch(sql).unwrap();
        let (word, outcome) =
            ask(&mut agent, &mut line, at, "scheduling.book_appointment", book.clone());
        assert_eq!(word, "patient-merged");
        assert!(outcome["detail"].as_str().unwrap().ends_with(&stays.to_string()), "{outcome}");
    }
    let dead = "UPDATE patient SET zusammengefuehrt_mit = NULL, verstorben_am = '1.2.2026'";
    clinic.desk().execute_batch(dead).unwrap();
    let (word, _) = ask(&mut agent, &mut line, 4, "scheduling.book_appointment", book);
    assert_eq!(word, "patient-deceased");
}

#[test]
fn what_the_practice_keeps_to_itself_or_has_no_word_for_is_refused_with_a_reason() {
    let clinic = Folder::foreign();
    let mapping = crate::desk::SECOND_MAPPING
        .replace("field = \"phone\" }", "field = \"phone\", read_only = true }")
        .replace("mail = { type = \"text\", field = \"email\" }\n", "")
        .replace("zusammengefuehrt_mit = {", "zusammengefuehrt_mit = { read_only = true,");
    clinic.map(&mapping);
    let (mut agent, mut line) = connected(&clinic);
    let (patient, doctor) = (id_of(&clinic, "patient", 1), id_of(&clinic, "arzt", 1));
    let refused = "not-writable-at-unit";
    let mut amend = |position: i64, field: &str, value: &str| {
        let mut body = json!({"patient_id": patient, "fields": [field]});
        body[field] = json!(value);
        ask(&mut agent, &mut line, position, "patients.update_patient", body)
    };
    let (word, said) = amend(1, "phone", "555-1234");
    assert_eq!(word, refused);
    assert!(said["detail"].as_str().unwrap().contains("phone of patient"), "{said}");
    assert_eq!(amend(2, "email", "a@b.example").0, refused, "no column holds it");
    assert_eq!(amend(3, "sex", "unknown").0, refused, "the practice has no word for it");
    assert_eq!(amend(4, "city", "Ulm").0, "done");
    let into = json!({"patient_id": patient, "into_patient_id": Uuid::from_u128(1)});
    let (word, _) = ask(&mut agent, &mut line, 5, "patients.merge_patients", into);
    assert_eq!(word, "merge-unsupported");
    let twice = |starts: &str, ends: &str| {
        json!({"appointment_id": Uuid::from_u128(3), "patient_id": patient,
            "practitioner_id": doctor, "starts_at": starts, "ends_at": ends})
    };
    // 02:15 the second time: the column could not say it back.
    clinic.desk().execute_batch("UPDATE sprechzeit SET wochentag = 'So', von = '00:00'").unwrap();
    let body = twice("2026-10-25T01:15:00Z", "2026-10-25T01:30:00Z");
    let (word, said) = ask(&mut agent, &mut line, 6, "scheduling.book_appointment", body);
    assert!([refused, "outside-working-hours"].contains(&word.as_str()), "{said}");
    assert_eq!(clinic.count("SELECT count(*) FROM termin"), 0);
}

#[test]
fn a_word_for_gone_ends_a_row_and_brings_it_back() {
    let clinic = Folder::foreign();
    let gone = "key = [\"termin_nr\"]\ngone = { column = \"anlass\", words = [\"Papierkorb\"] }";
    clinic.map(&crate::desk::SECOND_MAPPING.replace("key = [\"termin_nr\"]", gone));
    let (mut agent, mut line) = connected(&clinic);
    let mut say = |sql: &str| {
        clinic.desk().execute_batch(sql).unwrap();
        agent.receive(&mut line, vec![]);
        last(&clinic).type_name
    };
    let book = "INSERT INTO termin (pat_nr, arzt_nr, beginn, ende)
        VALUES (1, 1, '2026-07-01 10:30', '2026-07-01 11:00')";
    assert_eq!(say(book), "scheduling.appointment_booked");
    let removed = say("UPDATE termin SET anlass = ' papierkorb'");
    assert_eq!(removed, "scheduling.appointment_removed");
    let facts = clinic.facts().len();
    say("UPDATE termin SET ende = '2026-07-01 11:30'");
    assert_eq!(clinic.facts().len(), facts, "nothing is said of what is gone");
    let back = say("UPDATE termin SET anlass = NULL");
    assert_eq!(back, "scheduling.appointment_snapshot", "it is there; what happened nobody knows");
}

#[test]
fn keys_that_must_be_given_are_the_next_number() {
    let clinic = Folder::foreign();
    clinic
        .desk()
        .execute_batch(
            "DROP TABLE termin;
             CREATE TABLE termin (termin_nr TEXT NOT NULL, pat_nr INTEGER, arzt_nr INTEGER,
                 beginn TEXT, ende TEXT, zustand TEXT, art TEXT, anlass TEXT,
                 mandant INTEGER NOT NULL);",
        )
        .unwrap();
    let given = "key = [\"termin_nr\"]\nnew_key = \"next\"\ndefaults = { mandant = 7 }";
    clinic.map(&crate::desk::SECOND_MAPPING.replace("key = [\"termin_nr\"]", given));
    let (mut agent, mut line) = connected(&clinic);
    let (patient, doctor) = (id_of(&clinic, "patient", 1), id_of(&clinic, "arzt", 1));
    for (position, hour) in [(1, "08"), (2, "09")] {
        let body = json!({"appointment_id": Uuid::from_u128(77), "patient_id": patient,
            "practitioner_id": doctor, "starts_at": format!("2026-07-06T{hour}:00:00Z"),
            "ends_at": format!("2026-07-06T{hour}:30:00Z")});
        let (word, record) =
            ask(&mut agent, &mut line, position, "scheduling.book_appointment", body);
        assert_eq!(word, "done", "{record}");
        assert_eq!(record["appointment_id"], json!(id_of(&clinic, "termin", position)));
    }
    assert_eq!(clinic.count("SELECT sum(mandant) FROM termin"), 14);
}
