//! A clinic's own key: made at `init`, told to the agents' key set, used for HELLO.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use kit_event::{Timestamp, UnitId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::claims::Claims;
use crate::issuer::{replace_file, sign};
use crate::key_file::{KeyFileError, StoredKey};
use crate::kind::{AGENT_LIFETIME_SECONDS_MAX, Kind};

/// Why an agent's key did not serve.
#[derive(Debug, thiserror::Error)]
pub enum AgentKeyError {
    /// The key file could not be read or made.
    #[error("the key of unit {unit}")]
    Key {
        /// Whose key.
        unit: UnitId,
        /// Why not.
        #[source]
        source: KeyFileError,
    },
    /// The token for HELLO could not be signed.
    #[error("signing the token of unit {unit}")]
    Sign {
        /// Whose token.
        unit: UnitId,
        /// Why not.
        #[source]
        source: jsonwebtoken::errors::Error,
    },
    /// The agents' key set could not be read or written.
    #[error("adding the key of unit {unit} to {path}")]
    Enrol {
        /// Whose key.
        unit: UnitId,
        /// The agents' key set.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// An agent's key pair. Its key id is its unit.
pub struct AgentKey {
    unit: UnitId,
    key: StoredKey,
}

impl AgentKey {
    /// Makes a key for `unit` and stores it at `path` (mode 0600); an existing one is kept and
    /// returned, so that `init` may run twice.
    ///
    /// # Errors
    /// The file cannot be written, or holds something else.
    pub fn generate(unit: &UnitId, path: &Path) -> Result<Self, AgentKeyError> {
        let key = crate::issuer::open_key(path)
            .map_err(|source| AgentKeyError::Key { unit: unit.clone(), source })?;
        Ok(Self { unit: unit.clone(), key })
    }

    /// Reads the key of `unit` at `path`.
    ///
    /// # Errors
    /// There is none, or others may read it.
    pub fn load(unit: &UnitId, path: &Path) -> Result<Self, AgentKeyError> {
        let key = StoredKey::load(path)
            .map_err(|source| AgentKeyError::Key { unit: unit.clone(), source })?;
        Ok(Self { unit: unit.clone(), key })
    }

    /// The public half, for the agents' key set.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        self.key.public_jwk(self.unit.as_str())
    }

    /// Signs the token that HELLO carries. It has no `nbf`: clinic clocks drift, and `iat` is
    /// given a minute.
    ///
    /// # Errors
    /// The signature failed.
    pub fn sign_hello(&self, now: Timestamp) -> Result<String, AgentKeyError> {
        let iat = now.unix_ms().div_euclid(1000);
        let claims = Claims {
            iss: Kind::Agent.issuer().to_owned(),
            aud: Kind::Agent.audience().to_owned(),
            sub: self.unit.to_string(),
            exp: iat.saturating_add(AGENT_LIFETIME_SECONDS_MAX),
            iat,
            jti: Uuid::new_v4().to_string(),
            nbf: None,
            client_id: None,
            units: Vec::new(),
            patient: None,
        };
        sign(&claims, self.unit.as_str(), &self.key)
            .map_err(|source| AgentKeyError::Sign { unit: self.unit.clone(), source })
    }
}

/// Puts the public key of `unit` into the agents' key set at `path`, in place of an earlier one of
/// that unit. Many processes may do so at once: each holds a lock beside the file while it reads,
/// adds and replaces the whole file.
///
/// Whoever can write this file decides who is a unit. That is right for a developer's machine and
/// for nothing else; enrolment by one-time code takes its place.
///
/// # Errors
/// The file or its lock cannot be read and written, or it holds something else.
pub fn add_agent_key(path: &Path, unit: &UnitId, jwk: &Value) -> Result<(), AgentKeyError> {
    enrol(path, unit, jwk).map_err(|source| AgentKeyError::Enrol {
        unit: unit.clone(),
        path: path.display().to_string(),
        source,
    })
}

fn enrol(path: &Path, unit: &UnitId, jwk: &Value) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let _lock = lock(&path.with_extension("lock"))?;
    let mut keys = match fs::read(path) {
        Ok(text) => serde_json::from_slice::<Value>(&text)?
            .get("keys")
            .and_then(Value::as_array)
            .cloned()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a JWKS"))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    if keys.contains(jwk) {
        return Ok(());
    }
    keys.retain(|key| key.get("kid").and_then(Value::as_str) != Some(unit.as_str()));
    keys.push(jwk.clone());
    replace_file(path, format!("{}\n", json!({"keys": keys})).as_bytes())
}

/// Held until it is dropped, or its process dies.
fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    file.lock()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_at_once_all_stand_in_the_set() {
        let dir = tempfile::tempdir().unwrap();
        let set = dir.path().join("agents.jwks.json");
        std::thread::scope(|scope| {
            for n in 0..16 {
                let (dir, set) = (dir.path(), &set);
                scope.spawn(move || {
                    let unit: UnitId = format!("hcu-{n:04}").parse().unwrap();
                    let path = dir.join(format!("{unit}.key"));
                    let key = AgentKey::generate(&unit, &path).unwrap();
                    add_agent_key(set, &unit, &key.public_jwk()).unwrap();
                    let again = AgentKey::load(&unit, &path).unwrap();
                    add_agent_key(set, &unit, &again.public_jwk()).unwrap();
                });
            }
        });
        let set: Value = serde_json::from_slice(&fs::read(set).unwrap()).unwrap();
        assert_eq!(set["keys"].as_array().unwrap().len(), 16);
    }

    #[test]
    fn a_new_key_takes_the_place_of_the_units_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let set = dir.path().join("agents.jwks.json");
        let unit: UnitId = "hcu-0001".parse().unwrap();
        for name in ["one.key", "two.key"] {
            let key = AgentKey::generate(&unit, &dir.path().join(name)).unwrap();
            add_agent_key(&set, &unit, &key.public_jwk()).unwrap();
        }
        let text: Value = serde_json::from_slice(&fs::read(&set).unwrap()).unwrap();
        assert_eq!(text["keys"].as_array().unwrap().len(), 1);
        fs::write(&set, "[]").unwrap();
        let key = AgentKey::generate(&unit, &dir.path().join("one.key")).unwrap();
        assert!(add_agent_key(&set, &unit, &key.public_jwk()).is_err(), "never overwritten");
    }
}
