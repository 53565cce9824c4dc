//! Patients out of Synthea's FHIR R4 bundles: real variety for a clinic database.
//!
//! Bundles are read from a folder, as `*.json` files or within `*.tar.zst` archives. Only the
//! Patient resources matter here, and they stand alone, so conditional references between the rest
//! are no concern. Nothing is passed over in silence: [`Found::skipped`] counts each reason.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use uuid::Uuid;

use crate::error::PracticeError;
use crate::people::Patient;

/// The largest window of the archives, as a power of two: they are packed with `zstd --long=27`.
const WINDOW_LOG_MAX: u32 = 27;

/// What a folder of bundles gave.
#[derive(Debug, Default)]
pub struct Found {
    /// Rows for `patients`, in the order in which they were met.
    pub patients: Vec<Patient>,
    /// What was passed over: reason -> how many.
    pub skipped: BTreeMap<&'static str, usize>,
    seen: HashSet<Uuid>,
}

/// Reads every bundle in a folder and its archives, in the order of their names.
///
/// # Errors
/// A file cannot be read, an archive is damaged, or a `.json` file is no JSON.
pub fn patients(dir: &Path) -> Result<Found, PracticeError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| PracticeError::ReadFile { path, source }
    };
    let entries = std::fs::read_dir(dir).map_err(unreadable(dir))?;
    let paths: Result<Vec<PathBuf>, _> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(unreadable(dir))?;
    paths.sort();
    let mut found = Found::default();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".json") {
            let bytes = std::fs::read(&path).map_err(unreadable(&path))?;
            found.read(&name, &bytes)?;
        } else if name.ends_with(".tar.zst") {
            found.read_archive(&path)?;
        }
    }
    Ok(found)
}

impl Found {
    fn read_archive(&mut self, path: &Path) -> Result<(), PracticeError> {
        let unreadable = |source| PracticeError::ReadFile { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let mut plain = zstd::Decoder::new(file).map_err(unreadable)?;
        plain.window_log_max(WINDOW_LOG_MAX).map_err(unreadable)?;
        let mut archive = tar::Archive::new(plain);
        for entry in archive.entries().map_err(unreadable)? {
            let mut entry = entry.map_err(unreadable)?;
            let name = entry.path().map_err(unreadable)?.to_string_lossy().into_owned();
            if name.ends_with(".json") {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).map_err(unreadable)?;
                self.read(&name, &bytes)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, name: &str, bytes: &[u8]) -> Result<(), PracticeError> {
        let bundle: Value = serde_json::from_slice(bytes)
            .map_err(|source| PracticeError::ParseBundle { name: name.to_owned(), source })?;
        let Some(entries) = bundle.get("entry").and_then(Value::as_array) else {
            self.skip("a file without entries");
            return Ok(());
        };
        for resource in entries.iter().filter_map(|entry| entry.get("resource")) {
            if resource.get("resourceType").and_then(Value::as_str) != Some("Patient") {
                self.skip("a resource that is not a Patient");
                continue;
            }
            match row(resource) {
                Err(reason) => self.skip(reason),
                Ok(patient) if !self.seen.insert(patient.patient_id) => {
                    self.skip("a patient met before");
                }
                Ok(patient) => self.patients.push(patient),
            }
        }
        Ok(())
    }

    fn skip(&mut self, reason: &'static str) {
        *self.skipped.entry(reason).or_default() += 1;
    }
}

/// The patient's row, or why there is none.
fn row(resource: &Value) -> Result<Patient, &'static str> {
    let id = text(resource, "id").and_then(|id| id.parse().ok());
    let patient_id = id.ok_or("a patient whose id is no UUID")?;
    let name = official(resource).ok_or("a patient without a name")?;
    let family_name = text(name, "family").ok_or("a patient without a family name")?;
    let birth_date = text(resource, "birthDate").ok_or("a patient without a birth date")?;
    let address = first(resource, "address");
    let of_address = |field| address.and_then(|address| text(address, field));
    let deceased_on =
        text(resource, "deceasedDateTime").and_then(|at| at.get(..10).map(str::to_owned));
    Ok(Patient {
        patient_id,
        mrn: record_number(resource),
        family_name,
        given_name: joined(name, "given"),
        birth_date: Some(birth_date),
        sex: text(resource, "gender"),
        phone: contact(resource, "phone"),
        email: contact(resource, "email"),
        address_line: address.and_then(|address| joined(address, "line")),
        city: of_address("city"),
        postal_code: of_address("postalCode"),
        country: of_address("country"),
        deceased_on,
        active: resource.get("active").and_then(Value::as_bool).unwrap_or(true),
    })
}

fn text(of: &Value, field: &str) -> Option<String> {
    of.get(field)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn items<'a>(of: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    of.get(field).and_then(Value::as_array).into_iter().flatten()
}

fn first<'a>(of: &'a Value, field: &str) -> Option<&'a Value> {
    items(of, field).next()
}

/// Texts of an array, joined by spaces.
fn joined(of: &Value, field: &str) -> Option<String> {
    let parts: Vec<&str> = items(of, field).filter_map(Value::as_str).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// The official name, else the first.
fn official(resource: &Value) -> Option<&Value> {
    let official = |name: &&Value| name.get("use").and_then(Value::as_str) == Some("official");
    items(resource, "name").find(official).or_else(|| first(resource, "name"))
}

/// The value of the identifier of type `MR`.
fn record_number(resource: &Value) -> Option<String> {
    let is_record = |identifier: &&Value| {
        let codings = identifier.get("type").into_iter().flat_map(|kind| items(kind, "coding"));
        codings.into_iter().any(|coding| coding.get("code").and_then(Value::as_str) == Some("MR"))
    };
    items(resource, "identifier").find(is_record).and_then(|identifier| text(identifier, "value"))
}

fn contact(resource: &Value, system: &str) -> Option<String> {
    let of_system =
        |contact: &&Value| contact.get("system").and_then(Value::as_str) == Some(system);
    items(resource, "telecom").find(of_system).and_then(|contact| text(contact, "value"))
}
