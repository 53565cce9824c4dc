//! The development issuer: key pairs under one folder, and tokens at a command.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use kit_event::{Timestamp, UnitId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::claims::Claims;
use crate::key_file::{KeyFileError, StoredKey};
use crate::kind::Kind;

/// Why the development issuer gave no token.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// In production tokens come from a real issuer.
    #[error("the development issuer does not work when ARTERIA_ENV=production")]
    Production,
    /// Agents sign their own tokens.
    #[error("agents sign their own tokens; the development issuer has no key for them")]
    Agent,
    /// What was asked for would be refused by every verifier.
    #[error("a {kind} token needs {needs}")]
    Grant {
        /// Which kind.
        kind: Kind,
        /// What is missing or too much.
        needs: &'static str,
    },
    /// The folder for keys could not be made.
    #[error("making the keys folder {path}")]
    Folder {
        /// Which folder.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A key pair could not be read or made.
    #[error("the {kind} key of the development issuer")]
    Key {
        /// Whose key.
        kind: Kind,
        /// Why not.
        #[source]
        source: KeyFileError,
    },
    /// A key set could not be written.
    #[error("writing the key set {path}")]
    KeySet {
        /// Which file.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The token could not be signed.
    #[error("signing a {kind} token")]
    Sign {
        /// Which kind.
        kind: Kind,
        /// Why not.
        #[source]
        source: jsonwebtoken::errors::Error,
    },
}

/// Issues tokens for staff, patients, partners and admins on a developer's machine.
pub struct Issuer {
    keys: Vec<(Kind, StoredKey)>,
}

/// The kinds that it has a key for.
const KINDS: [Kind; 4] = [Kind::Staff, Kind::Patient, Kind::Partner, Kind::Admin];

impl Issuer {
    /// Opens the issuer whose keys stand in `keys_dir`; makes those that are missing, with their
    /// `<kind>.jwks.json` beside them. Several processes may do so at once.
    ///
    /// # Errors
    /// Production, or a folder that cannot be read and written.
    pub fn open(keys_dir: &Path, production: bool) -> Result<Self, IssuerError> {
        if production {
            return Err(IssuerError::Production);
        }
        fs::create_dir_all(keys_dir).map_err(|source| IssuerError::Folder {
            path: keys_dir.display().to_string(),
            source,
        })?;
        let mut keys = Vec::with_capacity(KINDS.len());
        for kind in KINDS {
            let key = open_key(&keys_dir.join(format!("{kind}.key")))
                .map_err(|source| IssuerError::Key { kind, source })?;
            let set = json!({"keys": [key.public_jwk(&key.key_id())]});
            let path = keys_dir.join(format!("{kind}.jwks.json"));
            write_key_set(&path, &set)?;
            keys.push((kind, key));
        }
        Ok(Self { keys })
    }

    /// Signs a token for `subject` that lives `ttl` from `now`.
    ///
    /// # Errors
    /// What is asked for does not fit the kind; the signature failed.
    pub fn issue(
        &self,
        kind: Kind,
        subject: &str,
        units: &[UnitId],
        patient: Option<Uuid>,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<String, IssuerError> {
        let (_, key) = self.keys.iter().find(|(k, _)| *k == kind).ok_or(IssuerError::Agent)?;
        refuse_misfit(kind, units, patient, ttl)?;
        let iat = now.unix_ms().div_euclid(1000);
        let claims = Claims {
            iss: kind.issuer().to_owned(),
            aud: kind.audience().to_owned(),
            sub: subject.to_owned(),
            exp: iat.saturating_add_unsigned(ttl.as_secs()),
            iat,
            jti: Uuid::new_v4().to_string(),
            nbf: None,
            client_id: Some("arteria-cli".to_owned()),
            units: units.to_vec(),
            patient,
        };
        sign(&claims, &key.key_id(), key).map_err(|source| IssuerError::Sign { kind, source })
    }
}

fn refuse_misfit(
    kind: Kind,
    units: &[UnitId],
    patient: Option<Uuid>,
    ttl: Duration,
) -> Result<(), IssuerError> {
    let needs = match kind {
        Kind::Staff | Kind::Partner if units.is_empty() => "at least one unit",
        Kind::Patient if units.len() != 1 => "exactly one unit",
        Kind::Patient if patient.is_none() => "the id of the patient's registration",
        Kind::Staff | Kind::Partner | Kind::Admin if patient.is_some() => "no patient",
        Kind::Agent => return Err(IssuerError::Agent),
        _ if ttl.as_secs() > kind.lifetime_seconds_max().unsigned_abs() => {
            "a life of a day at most"
        }
        _ => return Ok(()),
    };
    Err(IssuerError::Grant { kind, needs })
}

pub(crate) fn sign(
    claims: &Claims,
    key_id: &str,
    key: &StoredKey,
) -> Result<String, jsonwebtoken::errors::Error> {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some("at+jwt".to_owned());
    header.kid = Some(key_id.to_owned());
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(key.pkcs8()))
}

/// The key at `path`, made where there is none.
pub(crate) fn open_key(path: &Path) -> Result<StoredKey, KeyFileError> {
    if !path.exists() {
        StoredKey::generate()?.store_new(path)?;
    }
    StoredKey::load(path)
}

/// Replaces a key set whole, so that no reader sees half of one; leaves an equal one untouched.
fn write_key_set(path: &Path, set: &Value) -> Result<(), IssuerError> {
    let text = format!("{set:#}\n");
    if fs::read_to_string(path).is_ok_and(|present| present == text) {
        return Ok(());
    }
    replace_file(path, text.as_bytes())
        .map_err(|source| IssuerError::KeySet { path: path.display().to_string(), source })
}

/// Writes a file beside `path` and renames it there.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft: PathBuf = path.with_extension(format!("{}.draft", Uuid::new_v4().simple()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&draft)?;
    let replaced = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&draft, path));
    if replaced.is_err() {
        fs::remove_file(&draft)?;
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn production_has_no_development_issuer() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Issuer::open(dir.path(), true), Err(IssuerError::Production)));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_no_verifier_would_take_is_not_issued() {
        let dir = tempfile::tempdir().unwrap();
        let issuer = Issuer::open(dir.path(), false).unwrap();
        let unit: UnitId = "hcu-0001".parse().unwrap();
        let now = Timestamp::from_unix_ms(1_770_000_000_000);
        let ask = |kind, units: &[UnitId], patient, hours: u64| {
            issuer.issue(kind, "x", units, patient, Duration::from_secs(hours * 3600), now)
        };
        assert!(ask(Kind::Staff, &[], None, 1).is_err());
        assert!(ask(Kind::Patient, std::slice::from_ref(&unit), None, 1).is_err());
        assert!(ask(Kind::Patient, &[], Some(Uuid::nil()), 1).is_err());
        assert!(ask(Kind::Staff, std::slice::from_ref(&unit), Some(Uuid::nil()), 1).is_err());
        assert!(ask(Kind::Staff, std::slice::from_ref(&unit), None, 25).is_err());
        assert!(matches!(ask(Kind::Agent, &[], None, 1), Err(IssuerError::Agent)));
        assert!(ask(Kind::Staff, std::slice::from_ref(&unit), None, 1).is_ok());
    }

    #[test]
    fn opening_twice_keeps_the_keys() {
        let dir = tempfile::tempdir().unwrap();
        let first = Issuer::open(dir.path(), false).unwrap();
        let again = Issuer::open(dir.path(), false).unwrap();
        let ids = |issuer: &Issuer| issuer.keys.iter().map(|k| k.1.key_id()).collect::<Vec<_>>();
        assert_eq!(ids(&first), ids(&again));
    }
}
