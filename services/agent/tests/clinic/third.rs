//! A third practice, deliberately unlike the other two: names that must be quoted, keys of several
//! columns, numbers for days and instants, computed columns, tables without a rowid, amounts as
//! people print them.

use agent::check::check;
use agent::identity::Ids;
use agent::setup::files;
use kit_link::FromEdge;
use rusqlite::types::Value as Sql;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::desk::{Driven, Folder, Line};
use crate::edge::request;
use crate::foreign::connected;

const SCHEMA: &str = r#"
CREATE TABLE "cadastro ""geral""" (
    empresa INTEGER NOT NULL, "nº" INTEGER NOT NULL, nome TEXT, sobrenome TEXT,
    completo TEXT AS (nome || ' ' || sobrenome) VIRTUAL, "dt nasc" INTEGER, ativo TEXT,
    PRIMARY KEY (empresa, "nº")) STRICT, WITHOUT ROWID;
CREATE TABLE "order" (
    "select" TEXT PRIMARY KEY, empresa INTEGER, "nº" INTEGER, total TEXT, "quando é" REAL);
CREATE TABLE exame (lab TEXT, amostra TEXT, peso);
CREATE VIEW resumo AS SELECT * FROM exame;
INSERT INTO "cadastro ""geral""" (empresa, "nº", nome, sobrenome, "dt nasc", ativo) VALUES
    (7, 1, 'Zé', 'D''Ávila', 19800503, 'S'), (8, 1, 'Ana', 'Reis', 0, 'N');
INSERT INTO "order" VALUES ('NF/1', 7, 1, '1.234,56', 1793530800.0), ('NF/2', 8, 1, '12.34', 1);
"#;

const MAPPING: &str = r#"
[[table]]
name = 'cadastro "geral"'
thing = "patient"
key = ["empresa", "nº"]
new_key = "next"
[table.columns]
quem = { type = "uuid", of = "patient", field = "patient_id", columns = ["empresa", "nº"] }
nome = { type = "text", field = "given_name" }
sobrenome = { type = "text", field = "family_name" }
completo = { type = "text", field = "mrn" }
"dt nasc" = { type = "date", field = "birth_date", format = "yyyymmdd" }
ativo = { type = "bool", field = "active", codes = { S = true, N = false } }
[table.defaults]
empresa = 7

[[table]]
name = "order"
thing = "invoice"
key = ["select"]
read_only = true
[table.columns]
select = { type = "uuid", of = "invoice", field = "invoice_id" }
quem = { type = "uuid", of = "patient", field = "patient_id", columns = ["empresa", "nº"] }
"quando é" = { type = "timestamp", field = "issued_at", format = "unix" }
[table.columns.total]
type = "money"
field = "total_minor"
currency = "BRL"
decimal_point = ","
thousands = "."
[table.constants]
currency = "BRL"
"#;

const EXAMS: &str = "
[[table]]
name = 'exame'
key = ['lab', 'amostra']
[table.facts]
inserted = 'lab.exam_done'
removed = 'lab.exam_withdrawn'
[table.columns]
peso = 'integer'
";

fn third(mapping: &str) -> Folder {
    let clinic = Folder::empty();
    clinic.delete(files::CLINIC);
    clinic.desk().execute_batch(SCHEMA).unwrap();
    clinic.map(mapping);
    clinic
}

fn told(clinic: &Folder) -> Vec<String> {
    check(&clinic.dir()).unwrap().mistakes.iter().map(ToString::to_string).collect()
}

fn patient_of(clinic: &Folder, key: &[i64]) -> Uuid {
    let ids = Ids::open(clinic.unit.clone(), &clinic.path(files::IDS_SECRET)).unwrap();
    let key: Vec<Value> = key.iter().map(|&part| json!(part)).collect();
    ids.of_key("cadastro \"geral\"", &key)
}

fn ask(agent: &mut Driven, line: &mut Line, at: i64, type_name: &str, body: Value) -> Value {
    let frame = FromEdge::Request(request(at, &format!("r{at}"), type_name, body));
    agent.receive(line, vec![frame]);
    line.replies.last().unwrap().outcome.clone()
}

fn register(family_name: &str) -> Value {
    json!({"patient_id": Uuid::from_u128(5), "family_name": family_name, "given_name": "Bia",
        "birth_date": "1990-02-28"})
}

#[test]
fn rows_read_whatever_the_practice_calls_and_keeps_them() {
    let clinic = third(MAPPING);
    let (_agent, line) = connected(&clinic);
    let of = |type_name: &str| -> Vec<Value> {
        let facts = line.log.iter().filter(|fact| fact.type_name == type_name);
        facts.map(|fact| fact.body.clone()).collect()
    };
    let (ze, ana) = (patient_of(&clinic, &[7, 1]), patient_of(&clinic, &[8, 1]));
    assert_eq!(
        of("patients.patient_snapshot"),
        [
            json!({"patient_id": ze, "given_name": "Zé", "family_name": "D'Ávila",
                "mrn": "Zé D'Ávila", "birth_date": "1980-05-03", "active": true}),
            json!({"patient_id": ana, "given_name": "Ana", "family_name": "Reis",
                "mrn": "Ana Reis", "birth_date_raw": "0", "active": false}),
        ]
    );
    let invoices = of("billing.invoice_snapshot");
    assert_eq!(
        (&invoices[0]["total_minor"], &invoices[0]["issued_at"], &invoices[0]["patient_id"]),
        (&json!(123_456), &json!("2026-11-01T11:00:00Z"), &json!(ze))
    );
    assert_eq!(invoices[1]["total_minor_raw"], "12.34", "a dot is no decimal point here");
}

#[test]
fn a_new_row_gets_the_open_part_of_its_key_and_a_computed_column_is_not_written() {
    let clinic = third(MAPPING);
    let (mut agent, mut line) = connected(&clinic);
    let done = ask(&mut agent, &mut line, 1, "patients.register_patient", register("Melo"));
    assert_eq!(done["state"], "done", "{done}");
    let new = patient_of(&clinic, &[7, 2]);
    let record: Value = serde_json::from_str(done["record_json"].as_str().unwrap()).unwrap();
    assert_eq!((&record["patient_id"], &record["mrn"]), (&json!(new), &json!("Bia Melo")));
    let written: (i64, i64, Sql) = clinic
        .desk()
        .query_row(
            "SELECT empresa, [nº], [dt nasc] FROM [cadastro \"geral\"] WHERE nome = 'Bia'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!(written, (7, 2, Sql::Integer(19_900_228)));
    let amended = json!({"patient_id": new, "fields": ["family_name"], "family_name": "Reis"});
    let done = ask(&mut agent, &mut line, 2, "patients.update_patient", amended);
    assert_eq!(done["state"], "done", "found by both parts of its key: {done}");
    let mut with_number = register("Lima");
    with_number["mrn"] = json!("A-1");
    let refused = ask(&mut agent, &mut line, 3, "patients.register_patient", with_number);
    assert_eq!(refused["reason"], "not-writable-at-unit", "{refused}");
}

#[test]
fn a_key_of_which_two_parts_are_open_is_refused_and_nothing_is_written() {
    let clinic = third(&MAPPING.replace("[table.defaults]\nempresa = 7", "").replacen(
        "new_key = \"next\"\n",
        "",
        1,
    ));
    let checked = check(&clinic.dir()).unwrap();
    assert!(checked.report.contains("requests change its rows and add none"), "{}", checked.report);
    let (mut agent, mut line) = connected(&clinic);
    let refused = ask(&mut agent, &mut line, 1, "patients.register_patient", register("Melo"));
    assert_eq!(refused["reason"], "not-writable-at-unit", "{refused}");
    assert_eq!(clinic.count("SELECT count(*) FROM \"cadastro \"\"geral\"\"\""), 2);
}

#[test]
fn a_row_without_a_key_is_nobodys_and_is_not_said_to_end() {
    let clinic = third(&format!("{MAPPING}{EXAMS}"));
    let (mut agent, mut line) = connected(&clinic);
    let desk = clinic.desk();
    desk.execute_batch("INSERT INTO exame VALUES (NULL, '1', 2), (NULL, '1', 3), ('L', '1', 4)")
        .unwrap();
    agent.receive(&mut line, vec![]);
    drop((agent, line));
    // The start compares every row with what was said.
    let (_agent, line) = connected(&clinic);
    let exams: Vec<&Value> = line
        .log
        .iter()
        .filter(|fact| fact.type_name.starts_with("lab."))
        .map(|fact| &fact.body["peso"])
        .collect();
    assert!(exams.iter().all(|peso| **peso == json!(4)), "{exams:?}");
    assert!(line.log.iter().all(|fact| fact.type_name != "lab.exam_withdrawn"));
    let checked = check(&clinic.dir()).unwrap();
    for words in [
        "2 rows have no key, and are not captured",
        "nothing in the database keeps lab, amostra from standing twice",
    ] {
        assert!(checked.report.contains(words), "{words} is not in\n{}", checked.report);
    }
}

#[test]
fn a_check_counts_what_does_not_read_in_all_rows() {
    let exams = EXAMS.replace("peso = ", "quem={type='uuid',columns=['lab']}\npeso = ");
    let clinic = third(&format!("{MAPPING}{exams}"));
    clinic
        .desk()
        .execute_batch(
            "INSERT INTO exame SELECT 'L' || value, value, 'leve' FROM json_each('[1,2,3,4,5]');
             UPDATE \"cadastro \"\"geral\"\"\" SET ativo = 'talvez' WHERE empresa = 8",
        )
        .unwrap();
    let checked = check(&clinic.dir()).unwrap();
    assert!(checked.mistakes.is_empty(), "{:?}", checked.mistakes);
    for words in [
        "1 rows: dt nasc, as \"0\", does not read as date; it travels as birth_date_raw",
        "1 rows: ativo, as \"talvez\", is a word of no list; it travels as active_raw",
        "1 rows: total, as \"12.34\", does not read as money; it travels as total_minor_raw",
        "5 rows: peso, as \"leve\", does not read as integer; it travels as peso_raw",
        "5 rows: quem, as \"L1\", does not read as uuid; quem stays empty",
        "completo -> mrn (text; read only)",
        "quando é -> issued_at (timestamp; as unix)",
    ] {
        assert!(checked.report.contains(words), "{words} is not in\n{}", checked.report);
    }
}

#[test]
fn what_cannot_be_captured_is_told_with_its_reason() {
    let exams = |from: &str, to: &str| third(&format!("{MAPPING}{}", EXAMS.replace(from, to)));
    let line = MAPPING.lines().count() + 3;
    let clinic = exams("'exame'", "'resumo'");
    assert!(told(&clinic)[0].contains("resumo: it is a view"), "{:?}", told(&clinic));
    let clinic = exams("'exame'", "'sqlite_schema'");
    assert!(told(&clinic)[0].contains("SQLite's own"), "{:?}", told(&clinic));
    let clinic = exams("['lab', 'amostra']", "['rowid']");
    assert!(told(&clinic)[0].contains("it names no row"), "{:?}", told(&clinic));
    let clinic = exams("['lab', 'amostra']", "['lab']");
    clinic.desk().execute_batch("INSERT INTO exame VALUES ('L', '1', 1), ('L', '2', 2)").unwrap();
    let problem = "lab is no key of exame: 1 of its values stand in several rows";
    assert_eq!(told(&clinic), [format!("line {line}: {problem}")]);
    let clinic = third(&MAPPING.replace("empresa = 7", "empresa = 7\ncompleto = 'x'"));
    assert!(told(&clinic)[0].contains("computed, nobody writes it"), "{:?}", told(&clinic));
}

#[test]
fn a_view_in_place_of_a_table_pauses_it_and_says_why() {
    let clinic = third(&format!("{MAPPING}{}", EXAMS.replace("'exame'", "'resumo'")));
    let agent = clinic.worker();
    let paused = &agent.worker.stores().installed.paused;
    assert!(paused["resumo"].contains("it is a view"), "{paused:?}");
    assert_eq!(paused.len(), 1);
}
