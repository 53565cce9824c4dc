//! Real variety: Synthea's people are imported into a clinic, go the whole path, and are read back
//! at REST, by value.
//!
//! Two judges look. One compares every row of the clinic with what REST shows; the other reads
//! Synthea's files itself, knows neither the importer nor the clinic, and asks REST for a few
//! fields of each person. Without `ARTERIA_SYNTHEA` a small input is made here; with it the
//! smallest files of that folder are taken, and with `ARTERIA_SYNTHEA_ALL=1` all of them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use practice::{Row, Table, differences};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests_e2e::{Net, Unit, eventually};

mod source;

use source::Told;

/// What a sample holds: two small archives of the folder that the project's makers use.
const SAMPLE_BYTES: u64 = 1_000_000;
/// Sixty thousand facts on a busy two-core machine, without optimisation.
const OPENING_WITHIN: Duration = Duration::from_mins(15);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Every list is read in pages of this.
const PAGE: usize = 200;

#[tokio::test]
async fn imported_people_their_visits_and_their_bills_are_read_back_equal_at_rest() {
    let input = Input::chosen();
    let net = Net::shared();
    let mut unit = Unit::prepare(&net, "synthea", 0).await;
    let (dir, clinic) = (input.dir.display().to_string(), unit.dir.display().to_string());
    let command = ["practice", "import", "synthea", &dir, "--unit-dir", &clinic];
    let report = net.arteria(&command).await;
    assert!(report.starts_with(' ') && report.contains("patients"), "{report}");
    unit.connect().await;
    wait_seeded(&unit).await;
    let reader = Reader::at_the_opening(&unit).await;

    let equal = reader.every_row().await;
    let told = source::told(&input.dir);
    assert!(!told.is_empty(), "no file of {dir} tells of a patient");
    for person in &told {
        reader.as_the_source_tells(person).await;
    }
    println!("{} rows of Synthea read back equal; {} people as told\n{report}", equal, told.len());
    let again = net.arteria(&command).await;
    let line = again.lines().find(|line| line.starts_with("patients")).expect("a line of patients");
    assert_eq!(line.split_whitespace().nth(2), Some("0"), "a second import wrote: {again}");
}

/// As [`Unit::wait_seeded`], with the time that all of Synthea's people take.
async fn wait_seeded(unit: &Unit) {
    let begun = Instant::now();
    while unit.rest.get(&format!("/v1/units/{}", unit.id)).await.body["seeded"] != true {
        assert!(begun.elapsed() < OPENING_WITHIN, "{} did not finish its opening", unit.id);
        tokio::time::sleep(LOOK_EVERY).await;
    }
    println!("the opening of {} took {:?}", unit.id, begun.elapsed());
}

/// What is imported.
struct Input {
    dir: PathBuf,
    _made: Option<TempDir>,
}

impl Input {
    fn chosen() -> Self {
        let all = std::env::var("ARTERIA_SYNTHEA_ALL").is_ok_and(|all| all == "1");
        match std::env::var_os("ARTERIA_SYNTHEA").map(PathBuf::from) {
            Some(dir) if all => Self { dir, _made: None },
            Some(dir) => Self::sample(&dir),
            None => {
                println!("ARTERIA_SYNTHEA names no folder: a small input is made instead");
                let made = tempfile::tempdir().expect("a folder");
                source::make(made.path());
                Self { dir: made.path().to_owned(), _made: Some(made) }
            }
        }
    }

    /// The smallest files, as long as they fit.
    fn sample(dir: &Path) -> Self {
        let mut files: Vec<(u64, PathBuf)> = std::fs::read_dir(dir)
            .expect("reading ARTERIA_SYNTHEA")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| source::is_read(path))
            .map(|path| (std::fs::metadata(&path).expect("a size").len(), path))
            .collect();
        files.sort();
        let made = tempfile::tempdir().expect("a folder");
        let mut bytes = 0;
        for (size, path) in files {
            bytes += size;
            if bytes > SAMPLE_BYTES {
                break;
            }
            let name = path.file_name().expect("a name");
            std::os::unix::fs::symlink(&path, made.path().join(name)).expect("a link");
        }
        Self { dir: made.path().to_owned(), _made: Some(made) }
    }
}

/// Reads at REST, never behind the clinic's opening.
struct Reader<'u> {
    unit: &'u Unit,
    seq: String,
}

impl<'u> Reader<'u> {
    async fn at_the_opening(unit: &'u Unit) -> Self {
        let path = unit.path("events?type=units.epoch_seeded&limit=1");
        let seq = eventually("the end of the opening in the timeline", || async {
            let answer = unit.rest.get(&path).await;
            let items = answer.body["items"].as_array()?;
            items.first()?["seq"].as_str().map(str::to_owned)
        })
        .await;
        Self { unit, seq }
    }

    async fn get(&self, path: &str) -> Value {
        let path = self.unit.path(path);
        let headers = [("arteria-min-seq", self.seq.as_str())];
        eventually(&path, || async {
            let answer = self.unit.rest.get_with(&path, &headers).await;
            // Only a read model that is behind may come again; what is not there never will.
            assert!([200, 503].contains(&answer.status), "{path}: {answer:?}");
            (answer.status == 200).then_some(answer.body)
        })
        .await
    }

    async fn all(&self, path: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}&limit={PAGE}{cursor}")).await;
            items.extend(page["items"].as_array().expect("items").iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    /// Compares every row of the clinic with REST; how many there were.
    async fn every_row(&self) -> usize {
        let desk = self.unit.desk();
        let mut equal = 0;
        for patient in desk.patients().unwrap() {
            let id = text(&patient, "patient_id").to_owned();
            let shown = self.get(&format!("patients/{id}")).await;
            same(Table::Patients, &patient, &shown);
            let rows = |table| desk.rows_where(table, "patient_id = ?1", &[&id]).unwrap();
            let (visits, bills) = (rows(Table::Appointments), rows(Table::Invoices));
            let shown = self.all(&format!("appointments?patient_id={id}")).await;
            equal += 1 + same_set(Table::Appointments, &visits, &shown);
            let shown = self.all(&format!("invoices?patient_id={id}")).await;
            same_set(Table::Invoices, &bills, &shown);
            for bill in &bills {
                equal += self.statement(bill).await;
            }
        }
        for practitioner in desk.rows(Table::Practitioners).unwrap() {
            let id = text(&practitioner, "practitioner_id").to_owned();
            same(
                Table::Practitioners,
                &practitioner,
                &self.get(&format!("practitioners/{id}")).await,
            );
            equal += 1;
        }
        equal
    }

    /// Compares an invoice with its payments and its balance; how many rows.
    async fn statement(&self, bill: &Row) -> usize {
        let id = text(bill, "invoice_id").to_owned();
        let shown = self.get(&format!("invoices/{id}")).await;
        same(Table::Invoices, bill, &shown);
        let desk = self.unit.desk();
        let paid = desk.rows_where(Table::Payments, "invoice_id = ?1", &[&id]).unwrap();
        let listed = shown["payments"].as_array().expect("payments");
        let sum: i64 = paid.iter().map(|row| row["amount_minor"].as_i64().unwrap()).sum();
        let balance = bill["total_minor"].as_i64().unwrap() - sum;
        assert_eq!(shown["paid_minor"], sum, "{shown}");
        assert_eq!(shown["balance_minor"], balance, "{shown}");
        1 + same_set(Table::Payments, &paid, listed)
    }

    /// Asks REST for what a file of Synthea says of a person.
    async fn as_the_source_tells(&self, told: &Told) {
        let found = self.all(&format!("patients?mrn={}", told.mrn)).await;
        assert_eq!(found.len(), 1, "{} is registered once", told.mrn);
        let (person, id) = (&found[0], found[0]["patient_id"].as_str().expect("an id"));
        assert_eq!(person["family_name"], json!(told.family_name));
        assert_eq!(person["birth_date"], json!(told.birth_date));
        assert_eq!(person["sex"], json!(told.sex));
        let visits = self.all(&format!("appointments?patient_id={id}")).await;
        let mut times: Vec<_> = visits
            .iter()
            .map(|visit| ["starts_at", "ends_at"].map(|at| visit[at].as_str().unwrap().to_owned()))
            .collect();
        times.sort();
        assert_eq!(times, told.visits, "visits of {}", told.mrn);
        let bills = self.all(&format!("invoices?patient_id={id}")).await;
        let amounts = |field: &str| {
            bills.iter().map(|bill| bill[field].as_i64().expect("an amount")).collect::<Vec<_>>()
        };
        let mut totals = amounts("total_minor");
        totals.sort_unstable();
        assert_eq!(totals, told.totals_minor, "totals of {}", told.mrn);
        let owed: i64 = amounts("balance_minor").iter().sum();
        assert_eq!(owed, totals.iter().sum::<i64>() - told.paid_minor, "paid by {}", told.mrn);
    }
}

fn text<'r>(row: &'r Row, field: &str) -> &'r str {
    row[field].as_str().expect("text")
}

fn same(table: Table, row: &Row, shown: &Value) {
    assert_eq!(differences(table, row, shown), Vec::<String>::new());
}

/// Compares rows with items, whatever their order; how many there are.
fn same_set(table: Table, rows: &[Row], shown: &[Value]) -> usize {
    assert_eq!(rows.len(), shown.len(), "{table:?}");
    for row in rows {
        let key = table.key();
        let item = shown.iter().find(|item| item[key] == row[key]);
        same(table, row, item.unwrap_or_else(|| panic!("REST shows no {table:?} {}", row[key])));
    }
    rows.len()
}
