//! Other people's programs on the public topics, in three languages, as their owners would run
//! them: the folders of `examples/`, built by `make test` before this runs.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tests_e2e::{Net, Unit};
use tokio::process::Command;
use uuid::Uuid;

/// A program that reads all of a shared network's topics on a busy machine.
const PROGRAM_WITHIN: Duration = Duration::from_mins(2);
/// Runs of a program until it has seen the unit's last word.
const RUNS_MAX: u32 = 15;

#[tokio::test]
async fn an_analyst_counts_no_shows_by_unit_and_week_from_the_topics_alone() {
    let net = Net::shared();
    let unit = net.unit("analyst").await;
    a_telling_diary(&unit);
    let truth = no_shows_of(&unit);
    assert!(truth.len() >= 3, "{truth:?}");
    let program = || {
        let mut python = Command::new(built("python/bin/python"));
        python.arg(root().join("examples/analytics/noshows.py"));
        python.args(["--bootstrap", &net.kafka, "--registry", &net.registry]);
        python
    };
    until_equal(&unit, &truth, program).await;
}

#[tokio::test]
async fn a_partner_in_java_sums_what_is_owed() {
    let net = Net::shared();
    let unit = net.unit("java").await;
    let [paid, owed] = ["paid", "owed"].map(|_| Uuid::new_v4().to_string());
    let patient = unit.some_patient().to_string();
    let desk = unit.desk();
    for (invoice, total, status) in
        [(&paid, 10_050_i64, "issued"), (&owed, 7_000, "issued"), (&patient, 99, "voided")]
    {
        desk.execute(
            "INSERT INTO invoices (invoice_id, patient_id, issued_at, currency, total_minor,
                 status) VALUES (?1, ?2, '2026-03-02T10:00:00Z', 'CHF', ?3, ?4)",
            &[invoice, &patient, &total, &status],
        )
        .unwrap();
    }
    for (amount, reference) in [(10_050_i64, "whole"), (500, "part"), (-200, "back")] {
        let invoice = if reference == "whole" { &paid } else { &owed };
        desk.execute(
            "INSERT INTO payments (payment_id, invoice_id, paid_at, currency, amount_minor,
                 method, reference) VALUES (?1, ?2, '2026-03-02T11:00:00Z', 'CHF', ?3, 'card', ?4)",
            &[&Uuid::new_v4().to_string(), invoice, &amount, &reference],
        )
        .unwrap();
    }
    let truth = BTreeSet::from([format!("{},CHF,17050,10350", unit.id)]);
    let program = || {
        let mut java = Command::new("java");
        let java_dir = built("java/target");
        let path = format!("{0}/classes:{0}/dependency/*", java_dir.display());
        java.args(["-cp", &path, "example.Balances"]);
        java.env("KAFKA", &net.kafka).env("REGISTRY", &net.registry);
        java
    };
    let only_francs = |line: &str| line.contains(",CHF,");
    until_equal_where(&unit, &truth, program, only_francs).await;
}

#[tokio::test]
async fn a_partner_in_typescript_sees_each_event_once_and_in_order() {
    let net = Net::shared();
    let unit = net.unit("typescript").await;
    a_telling_diary(&unit);
    let rows = unit.desk().rows(practice::Table::Appointments).unwrap();
    let program = || {
        let mut node = Command::new("node");
        node.arg(built("typescript/dist/consumer.js")).arg("--once");
        node.env("KAFKA", &net.kafka).env("REGISTRY", &net.registry);
        // A group of its own begins at the beginning.
        node.env("GROUP", format!("partner-{}", Uuid::new_v4()));
        node
    };
    for run in 1..=RUNS_MAX {
        let text = output(program()).await;
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line"));
        let ours: Vec<Value> = lines.filter(|line| line["unit"] == unit.id.as_str()).collect();
        let ids: BTreeSet<&str> = ours.iter().filter_map(|line| line["id"].as_str()).collect();
        assert_eq!(ids.len(), ours.len(), "an event came twice");
        let number = |line: &Value| -> u64 {
            let seq = line["seq"].as_str().expect("a number");
            seq.rsplit('-').next().expect("a number").parse().expect("a number")
        };
        assert!(ours.is_sorted_by_key(number), "events out of order");
        let last_of = |id: &str| {
            ours.iter().rev().find(|line| line["appointment_id"] == id).map(|l| l["status"].clone())
        };
        let is_same = |row: &practice::Row| {
            last_of(row["appointment_id"].as_str().expect("an id")).as_ref() == Some(&row["status"])
        };
        if rows.iter().all(is_same) {
            return;
        }
        assert!(run < RUNS_MAX, "the consumer never saw the diary as it is");
    }
}

#[tokio::test]
async fn the_official_parser_finds_no_error_in_asyncapi_yaml() {
    let mut node = Command::new("node");
    node.arg(root().join("scripts/asyncapi/check.mjs"));
    node.arg(root().join("proto-schemas/asyncapi.yaml")).arg(built("asyncapi"));
    let text = output(node).await;
    assert!(text.contains("AsyncAPI 3."), "{text}");
}

/// Weeks with and without no-shows, a correction, and a removal.
fn a_telling_diary(unit: &Unit) {
    let desk = unit.desk();
    let practitioner = desk.practitioners().unwrap().remove(0).to_string();
    let patient = unit.some_patient().to_string();
    let diary = [
        ("2026-03-02T09:00:00Z", "noshow"),
        ("2026-03-03T09:00:00Z", "noshow"),
        ("2026-03-04T09:00:00Z", "fulfilled"),
        ("2026-03-09T09:00:00Z", "fulfilled"),
        ("2026-03-16T09:00:00Z", "arrived"),
        ("2026-03-17T09:00:00Z", "noshow"),
        // The last Monday of a year lies in the first week of the next.
        ("2025-12-29T09:00:00Z", "noshow"),
        ("2026-03-18T09:00:00Z", "cancelled"),
    ];
    let mut ids = Vec::new();
    for (starts_at, status) in diary {
        let id = Uuid::new_v4();
        let ends_at = starts_at.replace(":00:00Z", ":20:00Z");
        desk.execute(
            "INSERT INTO appointments (appointment_id, patient_id, practitioner_id, starts_at,
                 ends_at, status, modality) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'in-person')",
            &[&id.to_string(), &patient, &practitioner, &starts_at, &ends_at, &status],
        )
        .unwrap();
        ids.push(id);
    }
    desk.set_status(&ids[1], "fulfilled").unwrap();
    desk.delete(practice::Table::Appointments, &ids[5]).unwrap();
    desk.noshow(&ids[4]).unwrap();
}

/// What the clinic itself knows, as the analyst's lines.
fn no_shows_of(unit: &Unit) -> BTreeSet<String> {
    let database = rusqlite::Connection::open(unit.clinic_db()).unwrap();
    let sql = "SELECT ?1 || ',' || strftime('%G-W%V', starts_at) || ',' ||
                   sum(status = 'noshow') || ',' || count(*)
               FROM appointments WHERE status IN ('noshow', 'arrived', 'fulfilled')
               GROUP BY strftime('%G-W%V', starts_at)";
    let mut query = database.prepare(sql).unwrap();
    let lines = query.query_map([unit.id.as_str()], |row| row.get(0)).unwrap();
    lines.collect::<Result<_, _>>().unwrap()
}

async fn until_equal(unit: &Unit, truth: &BTreeSet<String>, program: impl Fn() -> Command) {
    until_equal_where(unit, truth, program, |_| true).await;
}

/// Runs the program until its lines about the unit are the truth.
async fn until_equal_where(
    unit: &Unit,
    truth: &BTreeSet<String>,
    program: impl Fn() -> Command,
    counts: impl Fn(&str) -> bool,
) {
    let ours = format!("{},", unit.id);
    let mut told = BTreeSet::new();
    for _ in 0..RUNS_MAX {
        let text = output(program()).await;
        let lines = text.lines().filter(|line| line.starts_with(&ours) && counts(line));
        told = lines.map(str::to_owned).collect();
        if told == *truth {
            return;
        }
    }
    assert_eq!(told, *truth, "what the program says, and what the clinic knows");
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What `scripts/examples.sh` built, beside the profile's folder that this test runs from.
fn built(path: &str) -> PathBuf {
    let us = std::env::current_exe().expect("our own path");
    let target = us.ancestors().nth(3).expect("the target folder");
    let path = target.join("examples").join(path);
    assert!(path.exists(), "{} is missing; scripts/examples.sh builds it", path.display());
    path
}

async fn output(mut program: Command) -> String {
    program.stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(PROGRAM_WITHIN, program.output()).await;
    let output = ended.expect("a program that ends").expect("a program that starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "it failed: {errors}");
    String::from_utf8(output.stdout).expect("text")
}
