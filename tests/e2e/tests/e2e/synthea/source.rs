//! What Synthea's files say of people, read here without the importer.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use kit_event::Timestamp;
use serde_json::{Value, json};

/// Bundles of each archive that are looked into: enough to be many kinds of lives.
const BUNDLES_OF_EACH: usize = 25;
/// The archives are packed with `zstd --long=27`.
const WINDOW_LOG_MAX: u32 = 27;

/// A few fields of one person.
#[derive(Debug, Default)]
pub struct Told {
    pub mrn: String,
    pub family_name: String,
    pub birth_date: String,
    pub sex: String,
    /// Starts and ends in UTC, in order.
    pub visits: Vec<[String; 2]>,
    /// In order.
    pub totals_minor: Vec<i64>,
    pub paid_minor: i64,
}

/// Whether a file of the folder is one that this judge reads.
pub fn is_read(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.ends_with(".tar.zst") || name.ends_with(".json")
}

/// What the files of a folder tell.
pub fn told(dir: &Path) -> Vec<Told> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).expect("the folder of input") {
        let path = entry.expect("an entry").path();
        if path.to_string_lossy().ends_with(".tar.zst") {
            all.extend(of_archive(&path));
        } else if path.to_string_lossy().ends_with(".json") {
            let bundle = serde_json::from_slice(&std::fs::read(&path).expect("a file"));
            all.extend(of_bundle(&bundle.expect("JSON")));
        }
    }
    for person in &mut all {
        person.visits.sort();
        person.totals_minor.sort_unstable();
    }
    all
}

fn of_archive(path: &Path) -> Vec<Told> {
    let mut plain = zstd::Decoder::new(File::open(path).expect("an archive")).expect("zstd");
    plain.window_log_max(WINDOW_LOG_MAX).expect("a window");
    let (mut people, mut sheets) = (Vec::new(), BTreeMap::new());
    for entry in tar::Archive::new(plain).entries().expect("tar") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a name").to_string_lossy().into_owned();
        let mut text = String::new();
        let end = name.rsplit('.').next().unwrap_or_default();
        if end == "csv" {
            entry.read_to_string(&mut text).expect("a table");
            sheets.insert(name.rsplit('/').next().expect("a name").to_owned(), text);
        } else if end == "json" && people.len() < BUNDLES_OF_EACH {
            entry.read_to_string(&mut text).expect("a bundle");
            people.extend(of_bundle(&serde_json::from_str(&text).expect("JSON")));
        }
    }
    people.extend(of_sheets(&sheets));
    people
}

/// The person of a bundle; none in one that describes hospitals or practitioners.
fn of_bundle(bundle: &Value) -> Option<Told> {
    let resources = || bundle["entry"].as_array().expect("entries").iter().map(|e| &e["resource"]);
    let of = |kind: &'static str| resources().filter(move |r| r["resourceType"] == kind);
    let patient = of("Patient").next()?;
    let record = patient["identifier"].as_array().expect("identifiers").iter();
    let mut record = record.filter(|id| id["type"]["coding"][0]["code"] == "MR");
    let mut told = Told {
        mrn: text(&record.next().expect("a record number")["value"]),
        family_name: text(&patient["name"][0]["family"]),
        birth_date: text(&patient["birthDate"]),
        sex: text(&patient["gender"]),
        ..Told::default()
    };
    // A visit to nobody has no place in a diary.
    for visit in of("Encounter").filter(|visit| visit["participant"].is_array()) {
        told.visits.push(["start", "end"].map(|edge| utc(&text(&visit["period"][edge]))));
    }
    told.totals_minor =
        of("Claim").map(|claim| cents(&claim["total"]["value"].to_string())).collect();
    let paid = of("ExplanationOfBenefit").map(|benefit| &benefit["payment"]["amount"]["value"]);
    told.paid_minor = paid.map(|value| cents(&value.to_string())).sum();
    Some(told)
}

/// The people of a folder of CSV.
fn of_sheets(sheets: &BTreeMap<String, String>) -> Vec<Told> {
    let rows = |name: &str| {
        let text = sheets.get(name).map_or("", String::as_str);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows = reader.deserialize::<BTreeMap<String, String>>();
        rows.map(|row| row.expect("a row")).collect::<Vec<_>>()
    };
    let mut people: BTreeMap<String, Told> = BTreeMap::new();
    for row in rows("patients.csv") {
        let sex = if row["GENDER"] == "M" { "male" } else { "female" };
        let told = Told {
            mrn: row["Id"].clone(),
            family_name: row["LAST"].clone(),
            birth_date: row["BIRTHDATE"].clone(),
            sex: sex.to_owned(),
            ..Told::default()
        };
        people.insert(row["Id"].clone(), told);
    }
    for row in rows("encounters.csv") {
        let person = people.get_mut(&row["PATIENT"]).expect("a patient");
        person.visits.push([utc(&row["START"]), utc(&row["STOP"])]);
    }
    let mut claims: BTreeMap<String, (String, i64)> = BTreeMap::new();
    for row in rows("claims_transactions.csv") {
        let of = (row["PATIENTID"].clone(), 0);
        let claim = claims.entry(row["CLAIMID"].clone()).or_insert(of);
        match row["TYPE"].as_str() {
            "CHARGE" => claim.1 += cents(&row["AMOUNT"]),
            "PAYMENT" => {
                let person = people.get_mut(&row["PATIENTID"]).expect("a patient");
                person.paid_minor += cents(&row["PAYMENTS"]);
            }
            _ => {}
        }
    }
    for (patient, total) in claims.into_values() {
        people.get_mut(&patient).expect("a patient").totals_minor.push(total);
    }
    people.into_values().collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

fn utc(text: &str) -> String {
    text.parse::<Timestamp>().expect("a time").to_string()
}

/// Cents of a decimal by its digits, half a cent up.
fn cents(decimal: &str) -> i64 {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let digits = format!("{fraction}000");
    let number = |text: &str| text.parse::<i64>().expect("digits");
    let up = i64::from(digits.as_bytes()[2] >= b'5');
    100 * number(whole) + number(&digits[..2]) + up
}

/// A small input: staff in a file of its own, and people who refer to them by condition.
pub fn make(dir: &Path) {
    let npi = json!({"system": "http://hl7.org/fhir/sid/us-npi", "value": "9999979359"});
    let staff = json!({"resourceType": "Bundle", "entry": [{"resource": {
        "resourceType": "Practitioner", "id": uuid(0, 0), "identifier": [npi],
        "name": [{"family": "Herman763", "given": ["Paz9"]}],
    }}]});
    std::fs::write(dir.join("practitionerInformation1.json"), staff.to_string()).expect("staff");
    for person in 1..=12 {
        let bundle = json!({"resourceType": "Bundle", "entry": life(person)});
        std::fs::write(dir.join(format!("{person}.json")), bundle.to_string()).expect("a bundle");
    }
}

fn uuid(person: u32, resource: u32) -> String {
    format!("00000000-0000-0000-{person:04x}-{resource:012x}")
}

fn life(person: u32) -> Vec<Value> {
    let subject = json!({"reference": format!("urn:uuid:{}", uuid(person, 1))});
    let mut entries = vec![json!({
        "resourceType": "Patient", "id": uuid(person, 1), "gender": "female",
        "birthDate": format!("19{:02}-02-03", 30 + person),
        "identifier": [{"type": {"coding": [{"code": "MR"}]}, "value": format!("mr-{person}")}],
        "name": [{"use": "official", "family": format!("Núñez{person}"), "given": ["María José"]}],
    })];
    for visit in 0..person {
        let day = format!("20{visit:02}-05-06");
        let id = |resource| uuid(person, 16 * visit + resource);
        let at = |minute: &str| format!("{day}T09:{minute}:00+02:00");
        let who = "Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|9999979359";
        entries.push(json!({
            "resourceType": "Encounter", "id": id(2), "status": "finished", "subject": subject,
            "class": {"code": "AMB"}, "period": {"start": at("00"), "end": at("15")},
            "participant": [{"individual": {"reference": who, "display": "Dr. Paz9 Herman763"}}],
        }));
        let total = json!({"value": 129.16 + f64::from(visit), "currency": "USD"});
        let visited = json!([{"reference": format!("urn:uuid:{}", id(2))}]);
        entries.push(json!({
            "resourceType": "Claim", "id": id(3), "status": "active", "patient": subject,
            "created": at("15"), "item": [{"encounter": visited}], "total": total,
        }));
        let amount = json!({"value": 103.328 + f64::from(visit), "currency": "USD"});
        entries.push(json!({
            "resourceType": "ExplanationOfBenefit", "id": id(4), "status": "active",
            "claim": {"reference": format!("urn:uuid:{}", id(3))}, "created": at("30"),
            "payment": {"amount": amount},
        }));
    }
    entries.into_iter().map(|resource| json!({"resource": resource})).collect()
}
