//! Names and rows that nobody would choose: they are quoted, kept apart, and read as what they are.

use serde_json::json;

use crate::desk::Folder;
use crate::foreign::connected;

/// A table and columns whose names are SQL, quotes, spaces and other alphabets.
const SCHEMA: &str = r#"
    CREATE TABLE "Pat""ienten; DROP TABLE opfer;--" ("Nr. 'eins'" TEXT, "姓 名" TEXT,
        "a""b" TEXT, "select" TEXT, PRIMARY KEY ("Nr. 'eins'", "a""b")) WITHOUT ROWID;
    CREATE TABLE opfer (x); INSERT INTO opfer VALUES (1);"#;

const MAPPING: &str = r#"
[[table]]
name = 'Pat"ienten; DROP TABLE opfer;--'
thing = "patient"
key = ["Nr. 'eins'", 'a"b']

[table.columns]
"姓 名" = { type = "text", field = "family_name" }
select = { type = "text", field = "given_name" }
'Nr. ''' = { type = "text", field = "mrn", optional = true }
"#;

#[test]
fn names_are_quoted_wherever_they_stand() {
    let clinic = Folder::empty();
    clinic.desk().execute_batch(SCHEMA).unwrap();
    clinic.map(&MAPPING.replace("'Nr. '''", "\"x'); DROP TABLE opfer;--\""));
    let (mut agent, mut line) = connected(&clinic);
    let insert = r#"INSERT INTO "Pat""ienten; DROP TABLE opfer;--"
        VALUES ('1''); DROP', '王', 'b', '''; DROP TABLE opfer;--')"#;
    clinic.desk().execute_batch(insert).unwrap();
    agent.receive(&mut line, vec![]);
    let fact = line.log.last().unwrap();
    assert_eq!(fact.type_name, "patients.patient_registered");
    assert_eq!(fact.body["family_name"], "王");
    assert_eq!(fact.body["given_name"], "'; DROP TABLE opfer;--");
    let patient_id = fact.body["patient_id"].clone();
    let body = json!({"patient_id": patient_id, "fields": ["given_name"], "given_name": "x'--"});
    let amend = crate::edge::request(1, "one", "patients.update_patient", body);
    agent.receive(&mut line, vec![kit_link::FromEdge::Request(amend)]);
    assert_eq!(line.replies[0].outcome["state"], "done", "a composite key is found again");
    let sql = r#"SELECT count(*) FROM "Pat""ienten; DROP TABLE opfer;--" WHERE "select" = 'x''--'"#;
    assert_eq!(clinic.count(sql), 1);
    assert_eq!(clinic.count("SELECT count(*) FROM opfer"), 1);
    assert_eq!(agent.worker.stores().installed.missing.len(), 1, "an optional column is left out");
}

#[test]
fn keys_of_several_columns_are_kept_apart_and_named_by_other_rows() {
    let clinic = Folder::empty();
    clinic
        .desk()
        .execute_batch(
            "CREATE TABLE p (m INTEGER, n TEXT, name TEXT, PRIMARY KEY (m, n));
             CREATE TABLE t (nr INTEGER PRIMARY KEY, m INTEGER, n TEXT, tag TEXT, zeit TEXT);
             INSERT INTO p VALUES (1, '23', 'a'), (12, '3', 'b'), (1, NULL, 'nobody');
             INSERT INTO t VALUES (1, 12, '3', '02.07.2026', '9:05'), (2, 12, NULL, '', '9:05');",
        )
        .unwrap();
    clinic.map(
        "[[table]]\nname='p'\nthing='patient'\nkey=['m','n']\n[table.columns]\n\
         name={type='text',field='family_name'}\n\
         [[table]]\nname='t'\nthing='appointment'\nkey=['nr']\n[table.columns]\n\
         who={type='uuid',of='patient',field='patient_id',columns=['m','n']}\n\
         from={type='timestamp',field='starts_at',columns=['tag','zeit'],\
         format='dd.mm.yyyy HH:MM',zone='Europe/Berlin'}\n",
    );
    let (_agent, line) = connected(&clinic);
    let of = |resource: &str| {
        let stated = line.log.iter().filter(|it| it.type_name.ends_with(resource));
        stated.map(|fact| fact.body.clone()).collect::<Vec<_>>()
    };
    let (patients, visits) = (of("patient_snapshot"), of("appointment_snapshot"));
    assert_eq!((patients.len(), visits.len()), (2, 2));
    assert_ne!(patients[0]["patient_id"], patients[1]["patient_id"]);
    assert_eq!(visits[0]["patient_id"], patients[1]["patient_id"]);
    assert_eq!(visits[0]["starts_at"], "2026-07-02T07:05:00Z", "from two columns");
    assert_eq!((visits[1].get("patient_id"), visits[1].get("starts_at_raw")), (None, None));
}
