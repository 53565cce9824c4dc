//! A clinic to import into, and input made for it.

use std::io::Write;
use std::path::{Path, PathBuf};

use kit_event::UnitId;
use practice::synthea::{Report, import};
use practice::{Desk, PracticeError, Table};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const PATIENT: &str = "43b6ae50-2cca-4934-ad38-282f8934b770";
pub const DOCTOR: &str = "0e99785d-8f2a-45c7-848c-d6b31d1aa50e";
pub const VISIT: &str = "9dc6bb2f-55db-4006-bb87-4a656c51aaa0";
pub const CLAIM: &str = "eb49708e-e3d1-4066-8913-dad5a487eeba";
pub const BENEFIT: &str = "74a28311-a83c-4303-ab14-fc35c1734d47";

/// A folder of input and an empty clinic beside it.
pub struct Ground {
    _dir: TempDir,
    pub input: PathBuf,
    pub clinic: PathBuf,
}

impl Ground {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (input, clinic) = (dir.path().join("input"), dir.path().join("clinic.db"));
        std::fs::create_dir(&input).unwrap();
        Self { _dir: dir, input, clinic }
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.input.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn import(&self) -> Report {
        self.try_import().unwrap()
    }

    pub fn try_import(&self) -> Result<Report, PracticeError> {
        let unit: UnitId = "hcu-0001".parse().unwrap();
        let report = import(&self.input, &self.clinic, &unit)?;
        adds_up(&report);
        Ok(report)
    }

    pub fn desk(&self) -> Desk {
        Desk::open(&self.clinic).unwrap()
    }

    pub fn rows(&self, table: Table) -> Vec<Value> {
        self.desk().rows(table).unwrap().into_iter().map(Value::Object).collect()
    }

    /// The one row of a table.
    pub fn only(&self, table: Table) -> Value {
        let mut rows = self.rows(table);
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.remove(0)
    }

    pub fn dump(&self) -> String {
        Table::ALL.map(|table| json!(self.rows(table)).to_string()).join("\n")
    }

    pub fn count(&self, table: Table) -> u64 {
        self.desk().count(table).unwrap()
    }
}

/// What was read is written, there already, or skipped, and every skip has a reason.
pub fn adds_up(report: &Report) {
    for (table, tally) in &report.tables {
        assert_eq!(tally.read, tally.written + tally.there + tally.skipped, "{table}: {tally:?}");
        let reasons = report.skipped.iter().filter(|((of, _), _)| of == table);
        assert_eq!(tally.skipped, reasons.map(|(_, count)| count).sum::<u64>(), "{table}");
    }
}

/// Reasons and counts of what was skipped, in order.
pub fn skipped(report: &Report) -> Vec<(&'static str, &'static str, u64)> {
    report.skipped.iter().map(|((table, reason), count)| (*table, *reason, *count)).collect()
}

pub fn lessened(report: &Report) -> Vec<(&'static str, &'static str, u64)> {
    report.lessened.iter().map(|((table, reason), count)| (*table, *reason, *count)).collect()
}

pub fn patient() -> Value {
    json!({
        "resourceType": "Patient", "id": PATIENT, "gender": "female", "birthDate": "1937-02-13",
        "deceasedDateTime": "2011-11-30T23:10:00-05:00",
        "identifier": [
            {"system": "a", "value": "not this"},
            {"type": {"coding": [{"code": "MR"}]}, "value": "mr-7"},
        ],
        "name": [
            {"use": "maiden", "family": "Arredondo", "given": ["X"]},
            {"use": "official", "family": "Núñez", "given": ["María", "José"]},
        ],
        "telecom": [
            {"system": "email", "value": "m@example.org"}, {"system": "phone", "value": "555"},
        ],
        "address": [{"line": ["411 Rest", "Apt 37"], "city": "Billerica", "postalCode": "01821",
                     "country": "US"}],
    })
}

pub fn doctor() -> Value {
    json!({
        "resourceType": "Practitioner", "id": DOCTOR, "active": true,
        "identifier": [{"system": "http://npi", "value": "520"}],
        "name": [{"family": "Kassulke", "given": ["June"], "prefix": ["Dr."]}],
    })
}

pub fn role() -> Value {
    json!({
        "resourceType": "PractitionerRole",
        "practitioner": {"identifier": {"system": "http://npi", "value": "520"}},
        "specialty": [{"coding": [{"code": "208D00000X", "display": "General Practice"}]}],
    })
}

pub fn visit() -> Value {
    json!({
        "resourceType": "Encounter", "id": VISIT, "status": "finished", "class": {"code": "AMB"},
        "type": [{"text": "Well child visit"}],
        "subject": {"reference": format!("urn:uuid:{PATIENT}")},
        "participant": [{"individual": {"reference": format!("urn:uuid:{DOCTOR}")}}],
        "period": {"start": "2012-01-18T08:40:05+01:00", "end": "2012-01-18T08:55:05+01:00"},
    })
}

/// A claim of `total`, as its digits stand in JSON.
pub fn claim(total: &str) -> Value {
    let mut claim = json!({
        "resourceType": "Claim", "id": CLAIM, "status": "active",
        "patient": {"reference": format!("urn:uuid:{PATIENT}")},
        "created": "2012-01-18T08:55:05+01:00",
        "item": [{"encounter": [{"reference": format!("urn:uuid:{VISIT}")}]}],
    });
    claim["total"] = money(total);
    claim
}

/// A payment of `amount`, as its digits stand in JSON.
pub fn benefit(amount: &str) -> Value {
    let mut benefit = json!({
        "resourceType": "ExplanationOfBenefit", "id": BENEFIT, "status": "active",
        "claim": {"reference": format!("urn:uuid:{CLAIM}")}, "created": "2012-02-01",
    });
    benefit["payment"] = json!({"amount": money(amount)});
    benefit
}

fn money(digits: &str) -> Value {
    json!({"value": serde_json::from_str::<Value>(digits).unwrap(), "currency": "USD"})
}

pub fn whole() -> Vec<Value> {
    vec![patient(), doctor(), role(), visit(), claim("129.16"), benefit("103.328")]
}

/// The same with a member taken away.
pub fn without(mut of: Value, member: &str) -> Value {
    of.as_object_mut().unwrap().remove(member).unwrap();
    of
}

/// The same with a member set.
pub fn with(mut of: Value, member: &str, value: Value) -> Value {
    of[member] = value;
    of
}

pub fn bundle(resources: &[Value]) -> String {
    let entry = |resource: &Value| {
        let id = resource["id"].as_str().unwrap_or_default();
        json!({"fullUrl": format!("urn:uuid:{id}"), "resource": resource})
    };
    let entries: Vec<_> = resources.iter().map(entry).collect();
    json!({"resourceType": "Bundle", "type": "transaction", "entry": entries}).to_string()
}

/// An archive as `tar` and `zstd` make it.
pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        // `set_path` refuses what a hostile archive would hold.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    zstd::encode_all(tar.into_inner().unwrap().as_slice(), 3).unwrap()
}

pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(content).unwrap();
    packed.finish().unwrap()
}

/// The path of a file of the input.
pub fn path(ground: &Ground, name: &str) -> PathBuf {
    Path::new(&ground.input).join(name)
}
