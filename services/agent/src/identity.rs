//! Public ids of things: the UUID that stands in the row, or one derived from what stands there.
//!
//! A practice may number its patients 1, 2, 3. Outside the unit such a number would name nobody, so
//! it becomes a `UUIDv8` of an HMAC under the unit's own secret: always the same one, and no way
//! back for anybody who lacks the secret.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use hmac::{Hmac, Mac};
use kit_event::UnitId;
use rand::RngCore;
use serde_json::Value;
use sha2::Sha256;
use uuid::Uuid;

use crate::error::WorkerError;
use crate::generations::Generation;

/// Bytes of the unit's secret: the size of SHA-256's output, as RFC 2104 advises.
const SECRET_BYTES: usize = 32;

/// Makes public ids of one unit.
#[derive(Clone)]
pub struct Ids {
    unit: UnitId,
    secret: [u8; SECRET_BYTES],
}

impl Ids {
    /// Ids of `unit` under `secret`.
    #[must_use]
    pub fn new(unit: UnitId, secret: [u8; SECRET_BYTES]) -> Self {
        Self { unit, secret }
    }

    /// Reads the unit's secret at `path`, or makes it (mode 0600) where there is none.
    ///
    /// # Errors
    /// The file cannot be read or made, or holds something else.
    pub fn open(unit: UnitId, path: &Path) -> Result<Self, WorkerError> {
        let failed = |source| WorkerError::File { path: path.to_owned(), source };
        let mut secret = [0; SECRET_BYTES];
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(mut file) => {
                #[expect(clippy::disallowed_methods, reason = "a secret, drawn once for a unit")]
                rand::rng().fill_bytes(&mut secret);
                file.write_all(&secret).and_then(|()| file.sync_all()).map_err(failed)?;
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let mut file = std::fs::File::open(path).map_err(failed)?;
                file.read_exact(&mut secret).map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
        Ok(Self { unit, secret })
    }

    /// The unit.
    #[must_use]
    pub fn unit(&self) -> &UnitId {
        &self.unit
    }

    /// The public id of what `text` names in the rows of `table`.
    #[must_use]
    pub fn of_text(&self, table: &str, text: &str) -> Uuid {
        match written_uuid(text) {
            Some(id) => id,
            None => self.derive(table, &[text.to_owned()]),
        }
    }

    /// The public id of what one part of a key names in the rows of `table`.
    #[must_use]
    pub fn of_part(&self, table: &str, part: &Value) -> Uuid {
        self.of_text(table, &key_text(part))
    }

    /// The public id of a row that has none of its own, made of its key.
    pub fn of_key(&self, table: &str, key: &[Value]) -> Uuid {
        let parts: Vec<String> = key.iter().map(key_text).collect();
        self.derive(table, &parts)
    }

    /// The public id of a resource that had a key after others ([`crate::generations`]).
    #[must_use]
    pub fn of_generation(&self, table: &str, key: &str, generation: &Generation) -> Uuid {
        let key = key.to_owned();
        match generation.number {
            0 => self.derive(table, &[key]),
            number => self.derive(table, &[key, number.to_string(), generation.salt.clone()]),
        }
    }

    /// A word by which the same text of a table is known again, and that tells nothing of it.
    pub fn proof(&self, table: &str, text: &str) -> String {
        let parts = ["proof", table, text].map(str::to_owned);
        self.derive(table, &parts).simple().to_string()
    }

    fn derive(&self, table: &str, key: &[String]) -> Uuid {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret)
            .expect("an HMAC takes a key of any length");
        for part in [self.unit.as_str(), table].into_iter().chain(key.iter().map(String::as_str)) {
            // Lengths keep ("ab", "c") and ("a", "bc") apart.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        let digest = mac.finalize().into_bytes();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }
}

/// A UUID in its usual form of 36 characters; other spellings are texts like any other.
fn written_uuid(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::parse_str(text).ok()).flatten()
}

/// The text of a key's part that another row may have after this one; a UUID names one resource.
#[must_use]
pub fn reusable(part: &Value) -> Option<String> {
    let text = key_text(part);
    written_uuid(&text).is_none().then_some(text)
}

/// The number 5 and the text 5 name the same row, wherever they stand.
fn key_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(unit: &str, byte: u8) -> Ids {
        Ids::new(unit.parse().unwrap(), [byte; SECRET_BYTES])
    }

    #[test]
    fn a_uuid_stays_and_everything_else_becomes_one() {
        let ids = ids("hcu-0001", 7);
        let own = "0b7f4c52-3f43-4b7e-9d7c-0d5f8f6a1b2c";
        assert_eq!(ids.of_text("patients", own).to_string(), own);
        assert_eq!(ids.of_text("patients", &own.to_uppercase()).to_string(), own);
        let made = ids.of_text("patients", "17");
        assert_eq!(made.get_version_num(), 8);
        assert_eq!(made, ids.of_key("patients", &[Value::from(17)]));
        assert_ne!(made, ids.of_text("practitioners", "17"));
    }

    #[test]
    fn another_unit_or_another_secret_gives_another_id() {
        let id = ids("hcu-0001", 7).of_text("patients", "17");
        assert_ne!(id, ids("hcu-0002", 7).of_text("patients", "17"));
        assert_ne!(id, ids("hcu-0001", 8).of_text("patients", "17"));
    }

    #[test]
    fn the_secret_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ids.secret");
        let unit: UnitId = "hcu-0001".parse().unwrap();
        let first = Ids::open(unit.clone(), &path).unwrap().of_text("t", "1");
        assert_eq!(Ids::open(unit, &path).unwrap().of_text("t", "1"), first);
    }
}
