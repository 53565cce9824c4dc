//! A practice's own triggers fire in any order: what is told last is the row as it was committed.

use kit_link::Resume;
use serde_json::Value;

use crate::desk::{Folder, PATIENT};

/// A practice's trigger, and what its desk does.
struct Case {
    name: &'static str,
    trigger: &'static str,
    act: &'static str,
}

const NEW: &str = "aaaaaaaa-0000-4000-8000-000000000001";

const CASES: [Case; 8] = [
    Case {
        name: "fills a column of a new row",
        trigger: "AFTER INSERT ON patients BEGIN
            UPDATE patients SET phone = '1' WHERE patient_id = NEW.patient_id; END",
        act: "INSERT INTO patients (patient_id, family_name) VALUES ('{new}', 'Neu')",
    },
    Case {
        name: "corrects a column",
        trigger: "AFTER UPDATE OF phone ON patients BEGIN
            UPDATE patients SET phone = replace(NEW.phone, ' ', '')
            WHERE patient_id = NEW.patient_id; END",
        act: "UPDATE patients SET phone = '12 34' WHERE patient_id = '{old}'",
    },
    Case {
        name: "takes a new row away",
        trigger: "AFTER INSERT ON patients BEGIN
            DELETE FROM patients WHERE patient_id = NEW.patient_id; END",
        act: "INSERT INTO patients (patient_id, family_name) VALUES ('{new}', 'Neu')",
    },
    Case {
        name: "takes a changed row away",
        trigger: "AFTER UPDATE ON patients BEGIN
            DELETE FROM patients WHERE patient_id = NEW.patient_id; END",
        act: "UPDATE patients SET phone = '5' WHERE patient_id = '{old}'",
    },
    Case {
        name: "gives another key",
        trigger: "AFTER INSERT ON patients BEGIN
            UPDATE patients SET patient_id = 'aaaaaaaa-0000-4000-8000-000000000002'
            WHERE patient_id = NEW.patient_id; END",
        act: "INSERT INTO patients (patient_id, family_name) VALUES ('{new}', 'Neu')",
    },
    Case {
        name: "puts a removed row back",
        trigger: "AFTER DELETE ON patients BEGIN
            INSERT INTO patients (patient_id, family_name) VALUES (OLD.patient_id, 'Again'); END",
        act: "DELETE FROM patients WHERE patient_id = '{old}'",
    },
    Case {
        name: "cancels",
        trigger: "BEFORE UPDATE ON patients BEGIN SELECT RAISE(IGNORE); END",
        act: "UPDATE patients SET phone = '7' WHERE patient_id = '{old}'",
    },
    Case {
        name: "writes many times",
        trigger: "AFTER INSERT ON patients BEGIN
            UPDATE patients SET phone = '1' WHERE patient_id = NEW.patient_id;
            UPDATE patients SET phone = '2' WHERE patient_id = NEW.patient_id;
            UPDATE patients SET family_name = 'Last' WHERE patient_id = NEW.patient_id; END",
        act: "INSERT INTO patients (patient_id, family_name) VALUES ('{new}', 'Neu')",
    },
];

/// When the practice makes its trigger.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Made {
    BeforeOurs,
    AfterOurs,
    Again,
}

#[test]
fn what_is_told_last_is_the_row() {
    for case in &CASES {
        for made in [Made::BeforeOurs, Made::AfterOurs, Made::Again] {
            for mode in ["wal", "delete"] {
                play(case, made, mode);
            }
        }
    }
}

fn play(case: &Case, made: Made, mode: &str) {
    let clinic = Folder::staffed();
    let desk = clinic.desk();
    desk.pragma_update(None, "journal_mode", mode).unwrap();
    let create = format!("CREATE TRIGGER praxis {}", case.trigger);
    if made != Made::AfterOurs {
        desk.execute_batch(&create).unwrap();
    }
    let mut agent = clinic.worker();
    let mut line = agent.connect(None, Resume::Exact);
    agent.receive(&mut line, vec![]);
    match made {
        Made::BeforeOurs => {}
        Made::AfterOurs => desk.execute_batch(&create).unwrap(),
        Made::Again => desk.execute_batch(&format!("DROP TRIGGER praxis; {create}")).unwrap(),
    }
    agent.receive(&mut line, vec![]);
    let act = case.act.replace("{new}", NEW).replace("{old}", PATIENT);
    // Twice in one transaction with other rows: a key's last image need not be the outbox's last.
    desk.execute_batch(&format!(
        "BEGIN; {act}; UPDATE practitioners SET given_name = 'x'; COMMIT;"
    ))
    .unwrap();
    agent.receive(&mut line, vec![]);
    let told = told(&clinic);
    let mut stands = Vec::new();
    let mut statement = desk
        .prepare("SELECT patient_id, family_name, phone FROM patients ORDER BY patient_id")
        .unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let column = |n| row.get::<_, Option<String>>(n).unwrap();
        stands.push((column(0).unwrap(), column(1), column(2)));
    }
    assert_eq!(told, stands, "{} ({made:?}, {mode})", case.name);
}

/// The patients as the network knows them.
fn told(clinic: &Folder) -> Vec<(String, Option<String>, Option<String>)> {
    let mut known = std::collections::BTreeMap::new();
    for fact in clinic.facts() {
        let Some(id) = fact.subject.as_deref().and_then(|it| it.strip_prefix("patient/")) else {
            continue;
        };
        let word = |name: &str| fact.body.get(name).and_then(Value::as_str).map(str::to_owned);
        if fact.type_name.ends_with("_removed") {
            known.remove(id);
        } else {
            known.insert(id.to_owned(), (word("family_name"), word("phone")));
        }
    }
    known.into_iter().map(|(id, (name, phone))| (id, name, phone)).collect()
}
