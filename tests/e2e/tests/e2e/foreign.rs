//! A practice whose software knows nothing of us: its own tables, numbers for keys, wall times,
//! German words and euros. A mapping file is all that makes it a clinic like the others.

use std::path::Path;

use kit_clock::Clock;
use practice::second::{PraxisDesk, Tabelle};
use practice::{Patient, Row};
use serde_json::{Value, json};
use tests_e2e::{Net, Unit, eventually};

const PATIENTS: u32 = 12;

/// The mapping of the second schema, without the telephone system's table, whose type has a schema
/// of its own.
fn mapping() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../services/practice/schema/second.mapping.toml");
    let text = std::fs::read_to_string(path).expect("the mapping");
    let calls = text.find("# The telephone system").expect("the calls");
    text[..calls].to_owned()
}

/// A clinic of the second schema.
struct Praxis {
    unit: Unit,
}

impl Praxis {
    async fn open(net: &Net, name: &str) -> Self {
        let unit = Unit::prepare(net, name, 0).await;
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(unit.dir.join(format!("clinic.db{end}")));
        }
        let settings = unit.dir.join("agent.toml");
        let text = std::fs::read_to_string(&settings).expect("agent.toml");
        let berlin = text.replace("time_zone = \"UTC\"", "time_zone = \"Europe/Berlin\"");
        std::fs::write(settings, berlin).expect("agent.toml");
        let mut praxis = Self { unit };
        praxis.map(&mapping());
        let now = Clock::system().now().to_utc().naive_utc();
        praxis.desk().seed(7, PATIENTS, now).expect("a population");
        praxis.unit.connect().await;
        praxis.unit.wait_seeded().await;
        praxis
    }

    fn map(&self, text: &str) {
        let draft = self.unit.dir.join("mapping.draft");
        std::fs::write(&draft, text).expect("writing the mapping");
        std::fs::rename(draft, self.unit.dir.join("mapping.toml")).expect("writing the mapping");
    }

    fn desk(&self) -> PraxisDesk {
        PraxisDesk::open(&self.unit.clinic_db()).expect("the second desk")
    }

    fn row(&self, table: Tabelle, number: i64) -> Row {
        let mut row = self.desk().as_rest(table, number).unwrap().expect("a row");
        // A word of its own each, which the mapping knows and the desk does not translate.
        row.remove("method");
        row
    }

    fn cell(&self, table: Tabelle, number: i64, column: &'static str) -> String {
        match self.desk().cell(table, number, column).unwrap().expect("a row") {
            rusqlite::types::Value::Text(text) => text,
            other => format!("{other:?}"),
        }
    }

    async fn list(&self, path: &str) -> Vec<Value> {
        self.unit.rest.get(&self.unit.path(&format!("{path}limit=200"))).await.expect(200).items()
    }

    /// The patient of a number, found by the record number that stands in the row.
    async fn patient(&self, number: i64) -> Value {
        let mrn = self.cell(Tabelle::Patient, number, "akte");
        eventually("a patient", || async {
            self.list(&format!("patients?mrn={mrn}&")).await.into_iter().next()
        })
        .await
    }
}

fn shows(row: &Row, item: &Value) -> bool {
    row.iter().all(|(field, value)| item.get(field) == Some(value))
}

/// Every row is shown once; how many are.
fn assert_shown(table: Tabelle, rows: Vec<Row>, mut items: Vec<Value>) -> usize {
    assert_eq!(rows.len(), items.len(), "{}", table.name());
    let count = rows.len();
    for row in rows {
        let at = items.iter().position(|item| shows(&row, item));
        let at = at.unwrap_or_else(|| panic!("{}: {row:?} is not in {items:#?}", table.name()));
        items.swap_remove(at);
    }
    count
}

#[tokio::test]
async fn what_stands_in_a_foreign_practice_is_shown_in_the_words_of_the_network() {
    let net = Net::shared();
    let praxis = Praxis::open(&net, "praxis").await;
    let rows = |table: Tabelle| -> Vec<Row> {
        let numbers = praxis.desk().numbers(table).unwrap();
        numbers.into_iter().map(|number| praxis.row(table, number)).collect()
    };
    let mut shown = 0;
    for (table, path) in [
        (Tabelle::Patient, "patients?"),
        (Tabelle::Arzt, "practitioners?"),
        (Tabelle::Termin, "appointments?"),
        (Tabelle::Rechnung, "invoices?"),
    ] {
        shown += assert_shown(table, rows(table), praxis.list(path).await);
    }
    let mut payments = Vec::new();
    for invoice in praxis.list("invoices?").await {
        let id = invoice["invoice_id"].as_str().unwrap();
        let path = praxis.unit.path(&format!("invoices/{id}"));
        let one = praxis.unit.rest.get(&path).await.expect(200);
        for payment in one.body["payments"].as_array().unwrap() {
            assert_eq!(payment["patient_id"], one.body["patient_id"], "through its invoice");
            payments.push(payment.clone());
        }
    }
    shown += assert_shown(Tabelle::Zahlung, rows(Tabelle::Zahlung), payments);
    println!("{shown} rows are shown as the desk means them");

    // What the desk does next, in its own words.
    let number = praxis.desk().aufnehmen(&Patient::named("Jörg", "Neu")).unwrap();
    praxis.desk().amend(Tabelle::Patient, number, "akte", &"N-1").unwrap();
    let patient = praxis.patient(number).await;
    assert!(shows(&praxis.row(Tabelle::Patient, number), &patient), "{patient}");
    praxis.desk().amend(Tabelle::Patient, number, "geb_datum", &"im Mai").unwrap();
    let path = praxis.unit.path(&format!("patients/{}", patient["patient_id"].as_str().unwrap()));
    eventually("a raw date", || async {
        let answer = praxis.unit.rest.get(&path).await.expect(200);
        (answer.body["birth_date_raw"] == "im Mai").then_some(())
    })
    .await;
    let visit = praxis.desk().numbers(Tabelle::Termin).unwrap()[0];
    praxis.desk().zustand(visit, "verschoben").unwrap();
    eventually("a state that nobody listed", || async {
        let items = praxis.list("appointments?").await;
        items.iter().any(|item| item["status"] == "verschoben").then_some(())
    })
    .await;
}

#[tokio::test]
async fn requests_write_rows_in_the_practices_own_words() {
    let net = Net::shared();
    let praxis = Praxis::open(&net, "wuensche").await;
    let unit = &praxis.unit;
    let patient = praxis.patient(1).await["patient_id"].clone();
    let slot = unit.slots(1).await.remove(0);
    let before = praxis.desk().numbers(Tabelle::Termin).unwrap();
    let body = json!({"patient_id": patient, "practitioner_id": slot.practitioner_id,
        "starts_at": slot.starts_at, "ends_at": slot.ends_at, "modality": "video",
        "reason": "Husten"});
    let made = unit.rest.post(&unit.path("appointments"), body.clone()).await.expect(201);
    let number = *praxis.desk().numbers(Tabelle::Termin).unwrap().last().unwrap();
    assert!(!before.contains(&number));
    assert!(shows(&praxis.row(Tabelle::Termin, number), &made.body), "{}", made.body);
    let cell = |column| praxis.cell(Tabelle::Termin, number, column);
    assert_eq!([cell("zustand"), cell("art"), cell("anlass")], ["geplant", "Video", "Husten"]);
    assert_eq!(cell("pat_nr"), "Integer(1)");
    let location = made.must("location");
    let seq = made.must("arteria-unit-seq");
    let read = unit.rest.get_with(&location, &[("arteria-min-seq", &seq)]).await.expect(200);
    assert_eq!(read.body, made.body);
    let again = unit.rest.post(&unit.path("appointments"), body).await;
    again.expect_problem(409, "slot-taken");
    let cancelled = unit.rest.post(&format!("{location}/cancel"), json!({})).await.expect(200);
    assert_eq!(cancelled.body["status"], "cancelled");
    assert_eq!(cell("zustand"), "storniert");

    pays_and_merges(&praxis, patient.as_str().unwrap()).await;
}

async fn pays_and_merges(praxis: &Praxis, patient: &str) {
    let unit = &praxis.unit;
    let now = Clock::system().now().to_utc().naive_utc();
    praxis.desk().berechnen(1, None, now, 4_550).unwrap();
    let invoice = eventually("the invoice", || async {
        let items = praxis.list(&format!("invoices?patient_id={patient}&")).await;
        items.into_iter().find(|item| item["balance_minor"] == 4_550)
    })
    .await;
    let pay = |amount: i64| {
        json!({"invoice_id": invoice["invoice_id"], "amount_minor": amount, "currency": "EUR",
            "method": "card"})
    };
    let path = unit.path("payments");
    unit.rest.post(&path, pay(4_551)).await.expect_problem(409, "amount-exceeds-balance");
    let paid = unit.rest.post(&path, pay(4_510)).await.expect(201);
    let number = *praxis.desk().numbers(Tabelle::Zahlung).unwrap().last().unwrap();
    assert_eq!(praxis.cell(Tabelle::Zahlung, number, "betrag"), "Real(45.1)");
    assert_eq!(praxis.cell(Tabelle::Zahlung, number, "zahlart"), "karte");
    assert!(shows(&praxis.row(Tabelle::Zahlung, number), &paid.body), "{}", paid.body);

    // The desk merges one, a request another; both are told the same.
    let stays = praxis.patient(3).await["patient_id"].clone();
    praxis.desk().zusammenfuehren(2, 3).unwrap();
    eventually("a merge at the desk", || async {
        (praxis.patient(2).await["merged_into"] == stays).then_some(())
    })
    .await;
    let path = unit.path(&format!("patients/{patient}/merge"));
    let into = json!({"into_patient_id": stays});
    let merged = unit.rest.post(&path, into.clone()).await.expect(200);
    assert_eq!(merged.body["merged_into"], stays);
    assert_eq!(praxis.cell(Tabelle::Patient, 1, "zusammengefuehrt_mit"), "Integer(3)");
    unit.rest.post(&path, into).await.expect_problem(409, "already-merged");
    let events = unit.rest.get(&unit.path("events?type=patients.patient_merged")).await.expect(200);
    assert_eq!(events.items().len(), 2);
    merges_once_more(praxis, patient, &path).await;
}

/// The one that stayed goes too: all that were merged into it go along, and nobody is booked but
/// the one that stays.
async fn merges_once_more(praxis: &Praxis, first: &str, into_third: &str) {
    let unit = &praxis.unit;
    let third = praxis.patient(3).await["patient_id"].as_str().unwrap().to_owned();
    let last = praxis.patient(4).await["patient_id"].clone();
    let path = unit.path(&format!("patients/{third}/merge"));
    unit.rest.post(&path, json!({"into_patient_id": last})).await.expect(200);
    for number in [1, 2, 3] {
        eventually("every registration names the one that stays", || async {
            (praxis.patient(number).await["merged_into"] == last).then_some(())
        })
        .await;
        assert_eq!(praxis.cell(Tabelle::Patient, number, "zusammengefuehrt_mit"), "Integer(4)");
    }
    let merge = json!({"into_patient_id": last});
    unit.rest.post(into_third, merge).await.expect_problem(409, "already-merged");
    let slot = unit.slots(1).await.remove(0);
    let body = json!({"patient_id": first, "practitioner_id": slot.practitioner_id,
        "starts_at": slot.starts_at, "ends_at": slot.ends_at});
    unit.rest.post(&unit.path("appointments"), body).await.expect_problem(409, "patient-merged");
}

#[tokio::test]
async fn a_practice_that_keeps_no_merges_refuses_them() {
    let net = Net::shared();
    let unit = net.unit("nomerge").await;
    let patients = unit.rest.get(&unit.path("patients?limit=2")).await.expect(200).items();
    let id = |n: usize| patients[n]["patient_id"].as_str().unwrap().to_owned();
    let path = unit.path(&format!("patients/{}/merge", id(0)));
    let refused = unit.rest.post(&path, json!({"into_patient_id": id(1)})).await;
    refused.expect_problem(409, "merge-unsupported");
    for bad in [json!({}), json!({"into_patient_id": "x"}), json!({"into": id(1)})] {
        assert_eq!(unit.rest.post(&path, bad).await.status, 422);
    }
}

#[tokio::test]
async fn a_renamed_column_pauses_one_table_until_the_mapping_follows() {
    let net = Net::shared();
    let praxis = Praxis::open(&net, "umbau").await;
    let unit = &praxis.unit;
    let slot = unit.slots(1).await.remove(0);
    let patient = praxis.patient(1).await["patient_id"].clone();
    praxis.desk().execute("ALTER TABLE termin RENAME COLUMN anlass TO grund", &[]).unwrap();
    let status = || async {
        let mut command = net.command("arteria-agent");
        let output = command.args(["status", "--dir"]).arg(&unit.dir).output().await.unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    eventually("a paused table", || async {
        let told = status().await;
        told.contains("termin: the column anlass is missing").then_some(())
    })
    .await;
    // The desk works on; other tables flow, this one waits.
    let number = praxis.desk().aufnehmen(&Patient::named("Ida", "Danach")).unwrap();
    praxis.desk().amend(Tabelle::Patient, number, "akte", &"D-1").unwrap();
    praxis.patient(number).await;
    let visit = praxis.desk().numbers(Tabelle::Termin).unwrap()[0];
    praxis.desk().zustand(visit, "nicht erschienen").unwrap();
    let body = json!({"patient_id": patient, "practitioner_id": slot.practitioner_id,
        "starts_at": slot.starts_at, "ends_at": slot.ends_at});
    let refused = unit.rest.post(&unit.path("appointments"), body.clone()).await;
    refused.expect_problem(409, "table-paused");
    let noshows = || async { praxis.list("appointments?status=noshow&").await.len() };
    let before = noshows().await;
    praxis.map(&mapping().replace("anlass =", "grund ="));
    eventually("what was missed", || async { (noshows().await > before).then_some(()) }).await;
    assert!(status().await.contains("tables paused   none"));
    unit.rest.post(&unit.path("appointments"), body).await.expect(201);
}
