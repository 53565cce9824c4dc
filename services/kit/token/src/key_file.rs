//! Private keys on disk: PKCS#8 in PEM, readable by their owner only, made once.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use uuid::Uuid;

const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";
/// Columns of base64 in PEM (RFC 7468).
const PEM_COLUMNS: usize = 64;
/// Bits of the mode that let anybody but the owner at the file.
const MODE_OF_OTHERS: u32 = 0o077;

/// Why a private key could not be read or made. Never prints the key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file could not be read.
    #[error("reading the key file {path}")]
    Read {
        /// Which file.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file could not be written.
    #[error("writing the key file {path}")]
    Write {
        /// Which file.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Others may read it, so it is no secret.
    #[error("the key file {path} is open to others; its mode must be 0600")]
    OpenToOthers {
        /// Which file.
        path: String,
    },
    /// It holds no Ed25519 key in PKCS#8.
    #[error("the key file {path} holds no Ed25519 private key")]
    NoKey {
        /// Which file.
        path: String,
    },
    /// The system gave no randomness.
    #[error("making an Ed25519 key")]
    Generate,
}

/// An Ed25519 key pair with the bytes that store it.
pub(crate) struct StoredKey {
    pkcs8: Vec<u8>,
    public: Vec<u8>,
}

impl StoredKey {
    pub(crate) fn generate() -> Result<Self, KeyFileError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| KeyFileError::Generate)?;
        Self::from_pkcs8(document.as_ref().to_vec()).ok_or(KeyFileError::Generate)
    }

    fn from_pkcs8(pkcs8: Vec<u8>) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).ok()?;
        let public = pair.public_key().as_ref().to_vec();
        Some(Self { pkcs8, public })
    }

    pub(crate) fn load(path: &Path) -> Result<Self, KeyFileError> {
        let name = || path.display().to_string();
        let read = |source| KeyFileError::Read { path: name(), source };
        let mode = fs::metadata(path).map_err(read)?.permissions().mode();
        if mode & MODE_OF_OTHERS != 0 {
            return Err(KeyFileError::OpenToOthers { path: name() });
        }
        let text = fs::read_to_string(path).map_err(read)?;
        let no_key = || KeyFileError::NoKey { path: name() };
        let body: String = text
            .trim()
            .strip_prefix(PEM_BEGIN)
            .and_then(|rest| rest.strip_suffix(PEM_END))
            .ok_or_else(no_key)?
            .split_whitespace()
            .collect();
        let pkcs8 = STANDARD.decode(body).map_err(|_| no_key())?;
        Self::from_pkcs8(pkcs8).ok_or_else(no_key)
    }

    /// Stores the key unless the file exists already; true when it is ours that stands there now.
    /// Written whole beside it and then linked, so that no reader sees half a key and of two
    /// processes that make one at once the first wins.
    pub(crate) fn store_new(&self, path: &Path) -> Result<bool, KeyFileError> {
        let write = |source| KeyFileError::Write { path: path.display().to_string(), source };
        let draft = path.with_extension(format!("{}.draft", Uuid::new_v4().simple()));
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create_new(true).mode(0o600).open(&draft).map_err(write)?;
        let stored =
            file.write_all(self.pem().as_bytes()).and_then(|()| file.sync_all()).and_then(|()| {
                match fs::hard_link(&draft, path) {
                    Ok(()) => Ok(true),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                    Err(error) => Err(error),
                }
            });
        fs::remove_file(&draft).map_err(write)?;
        stored.map_err(write)
    }

    pub(crate) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public half as a JWK (RFC 8037) under `key_id`.
    pub(crate) fn public_jwk(&self, key_id: &str) -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
            "kid": key_id, "x": URL_SAFE_NO_PAD.encode(&self.public),
        })
    }

    /// A key id that follows from the key: the first 16 hexadecimal digits of its public half.
    pub(crate) fn key_id(&self) -> String {
        self.public[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn pem(&self) -> String {
        let body = STANDARD.encode(&self.pkcs8);
        let mut pem = format!("{PEM_BEGIN}\n");
        let mut rest = body.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(PEM_COLUMNS));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str(PEM_END);
        pem.push('\n');
        pem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("staff.key");
        let first = StoredKey::generate().unwrap();
        assert!(first.store_new(&path).unwrap());
        assert!(!StoredKey::generate().unwrap().store_new(&path).unwrap());
        assert_eq!(StoredKey::load(&path).unwrap().public, first.public);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left behind");
    }

    #[test]
    fn a_key_open_to_others_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("staff.key");
        StoredKey::generate().unwrap().store_new(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(StoredKey::load(&path), Err(KeyFileError::OpenToOthers { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "no key at all").unwrap();
        assert!(matches!(StoredKey::load(&path), Err(KeyFileError::NoKey { .. })));
    }
}
