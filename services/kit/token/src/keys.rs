//! Key sets (RFC 7517): where they come from, and when they are read again.
//!
//! A file is looked at once a second, and at once when a token names an unknown key, so that a
//! clinic enrolled a moment ago is let in; a URL is fetched every five minutes, and for an unknown
//! key at most every half minute, so that nobody can make us hammer an issuer. A source that
//! cannot be read leaves the keys as they were.

use std::collections::HashMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant, SystemTime};

use kit_telemetry::chain;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value;

/// Between two looks at a file while every key is known.
const FILE_LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two looks at a file for the sake of unknown keys.
const FILE_LOOK_FOR_UNKNOWN_EVERY: Duration = Duration::from_millis(20);
/// Between two fetches of a URL while every key is known.
const URL_FETCH_EVERY: Duration = Duration::from_mins(5);
/// Between two fetches of a URL for the sake of unknown keys, and after a failure.
const URL_FETCH_FOR_UNKNOWN_EVERY: Duration = Duration::from_secs(30);
/// The largest key set: 50,000 agents at 200 bytes are 10 MB.
const KEY_SET_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Why a key set could not be read.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file could not be read.
    #[error("reading the key set {path}")]
    Read {
        /// Which file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The set is larger than any of ours.
    #[error("the key set {origin} is larger than {KEY_SET_BYTES_MAX} bytes")]
    TooLarge {
        /// File or URL.
        origin: String,
    },
    /// It is no JWKS.
    #[error("the key set {origin} does not read as a JWKS")]
    NoKeySet {
        /// File or URL.
        origin: String,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// The URL did not give it.
    #[cfg(feature = "url")]
    #[error("fetching the key set {url}")]
    Fetch {
        /// Which URL.
        url: String,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
    /// The program was built without an HTTP client.
    #[error("the key set {url} is a URL, and this program reads key sets from files only")]
    UrlUnsupported {
        /// Which URL.
        url: String,
    },
}

/// Where a key set comes from: `http://` and `https://` are URLs, everything else is a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file; absent means empty.
    File(PathBuf),
    /// A URL.
    Url(String),
}

impl FromStr for KeySource {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_url = text.starts_with("https://") || text.starts_with("http://");
        Ok(if is_url { Self::Url(text.to_owned()) } else { Self::File(PathBuf::from(text)) })
    }
}

type Keys = HashMap<String, DecodingKey>;

/// What tells one version of a file from the next.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileVersion {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
}

#[derive(Default)]
struct Looked {
    at: Option<Instant>,
    version: Option<FileVersion>,
}

/// One issuer's keys, kept fresh.
pub(crate) struct KeySet {
    source: KeySource,
    keys: RwLock<Arc<Keys>>,
    looked: Mutex<Looked>,
    /// When the last look for an unknown key began; held while one is under way.
    looking: tokio::sync::Mutex<Option<Instant>>,
    #[cfg(feature = "url")]
    client: reqwest::Client,
}

impl KeySet {
    /// Reads the set for the first time; a file that is not there yet is an empty set.
    pub(crate) async fn open(source: KeySource) -> Result<Self, KeysError> {
        let set = Self {
            source,
            keys: RwLock::default(),
            looked: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
            #[cfg(feature = "url")]
            client: fetch_client(),
        };
        set.look().await?;
        Ok(set)
    }

    /// The key `key_id`; looks at the source again when it is due.
    pub(crate) async fn get(&self, key_id: &str) -> Option<DecodingKey> {
        let found = self.held(key_id);
        if found.is_none() && matches!(self.source, KeySource::File(_)) {
            return self.get_enrolled(key_id).await;
        }
        if !self.due(found.is_some()) {
            return found;
        }
        if let Err(error) = self.look().await {
            // Once a look, and looks are rare: the keys stay as they were.
            tracing::warn!(error = chain(&error), "key set not refreshed");
        }
        self.held(key_id)
    }

    /// A key that the file may have got a moment ago: an agent connects right after it enrolled,
    /// and several may at once. So nobody is refused without a look that began after they asked;
    /// those who ask meanwhile share one look, so strangers cannot make us read the file often.
    async fn get_enrolled(&self, key_id: &str) -> Option<DecodingKey> {
        let asked_at = Instant::now();
        let mut looked_at = self.looking.lock().await;
        if looked_at.is_none_or(|at| at < asked_at) {
            let pause = FILE_LOOK_FOR_UNKNOWN_EVERY;
            if let Some(early) = looked_at.and_then(|at| pause.checked_sub(at.elapsed())) {
                tokio::time::sleep(early).await;
            }
            *looked_at = Some(Instant::now());
            if let Err(error) = self.look().await {
                tracing::warn!(error = chain(&error), "key set not refreshed");
            }
        }
        self.held(key_id)
    }

    fn held(&self, key_id: &str) -> Option<DecodingKey> {
        self.keys.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(key_id).cloned()
    }

    /// Whether to look now; says yes to one caller only, and counts it as looked.
    fn due(&self, known: bool) -> bool {
        let every = match (&self.source, known) {
            (KeySource::File(_), true) => FILE_LOOK_EVERY,
            (KeySource::File(_), false) => FILE_LOOK_FOR_UNKNOWN_EVERY,
            (KeySource::Url(_), true) => URL_FETCH_EVERY,
            (KeySource::Url(_), false) => URL_FETCH_FOR_UNKNOWN_EVERY,
        };
        let mut looked = self.looked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let due = looked.at.is_none_or(|at| at.elapsed() >= every);
        if due {
            looked.at = Some(Instant::now());
        }
        due
    }

    async fn look(&self) -> Result<(), KeysError> {
        let text = match &self.source {
            KeySource::File(path) => match self.read_changed(path).await? {
                Some(text) => text,
                None => return Ok(()),
            },
            KeySource::Url(url) => self.fetch(url).await?,
        };
        let keys = parse(&text, &self.source.to_string())?;
        *self.keys.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    /// The file's text where it differs from what was read last.
    async fn read_changed(&self, path: &std::path::Path) -> Result<Option<Vec<u8>>, KeysError> {
        use std::os::unix::fs::MetadataExt;
        let read = |source| KeysError::Read { path: path.display().to_string(), source };
        let version = match tokio::fs::metadata(path).await {
            Ok(meta) => {
                FileVersion { modified: meta.modified().ok(), bytes: meta.len(), inode: meta.ino() }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(read(error)),
        };
        if version.bytes > KEY_SET_BYTES_MAX {
            return Err(KeysError::TooLarge { origin: path.display().to_string() });
        }
        {
            let mut looked = self.looked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            looked.at = Some(Instant::now());
            if looked.version.as_ref() == Some(&version) {
                return Ok(None);
            }
            looked.version = Some(version);
        }
        tokio::fs::read(path).await.map(Some).map_err(read)
    }

    #[cfg(feature = "url")]
    async fn fetch(&self, url: &str) -> Result<Vec<u8>, KeysError> {
        let failed = |source| KeysError::Fetch { url: url.to_owned(), source };
        let mut response = self
            .client
            .get(url)
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(failed)?;
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if (text.len() + chunk.len()) as u64 > KEY_SET_BYTES_MAX {
                return Err(KeysError::TooLarge { origin: url.to_owned() });
            }
            text.extend_from_slice(&chunk);
        }
        self.looked.lock().unwrap_or_else(std::sync::PoisonError::into_inner).at =
            Some(Instant::now());
        Ok(text)
    }

    #[cfg(not(feature = "url"))]
    async fn fetch(&self, url: &str) -> Result<Vec<u8>, KeysError> {
        Err(KeysError::UrlUnsupported { url: url.to_owned() })
    }
}

/// An issuer that answers slower than this is away; a verifier does not wait for it.
#[cfg(feature = "url")]
const FETCH_WITHIN: Duration = Duration::from_secs(3);

#[cfg(feature = "url")]
fn fetch_client() -> reqwest::Client {
    // A redirect would let whoever holds the name send us for keys elsewhere.
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(FETCH_WITHIN)
        .build()
        .unwrap_or_default()
}

impl std::fmt::Display for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => f.write_str(url),
        }
    }
}

#[derive(Deserialize)]
struct KeySetText {
    keys: Vec<Value>,
}

/// The usable keys of a JWKS: Ed25519, for signatures, with an id. Others are for somebody else
/// (RFC 7517 section 5), so they are passed over and spoil nothing.
fn parse(text: &[u8], origin: &str) -> Result<Keys, KeysError> {
    let set: KeySetText = serde_json::from_slice(text)
        .map_err(|source| KeysError::NoKeySet { origin: origin.to_owned(), source })?;
    Ok(set.keys.into_iter().filter_map(usable).collect())
}

fn usable(value: Value) -> Option<(String, DecodingKey)> {
    /// Length of an Ed25519 public key.
    const PUBLIC_BYTES: usize = 32;
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let AlgorithmParameters::OctetKeyPair(pair) = &jwk.algorithm else {
        return None;
    };
    let for_signatures = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature))
        && matches!(jwk.common.key_algorithm, None | Some(KeyAlgorithm::EdDSA));
    if pair.curve != EllipticCurve::Ed25519 || !for_signatures {
        return None;
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    let whole = key.try_get_as_bytes().is_ok_and(|bytes| bytes.len() == PUBLIC_BYTES);
    if !whole {
        return None;
    }
    Some((jwk.common.key_id.clone()?, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_for_somebody_else_are_passed_over() {
        let text = br#"{"keys":[
            {"kty":"oct","kid":"a","k":"AAAA"},
            {"kty":"OKP","crv":"Ed25519","kid":"enc","use":"enc",
             "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
            {"kty":"OKP","crv":"Ed25519","kid":"short","x":"AAAA"},
            {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
            {"kty":"new"}, 7,
            {"kty":"OKP","crv":"Ed25519","kid":"good",
             "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        let keys = parse(text, "test").unwrap();
        assert_eq!(keys.keys().collect::<Vec<_>>(), ["good"]);
        assert!(parse(b"{}", "test").is_err());
        assert!(parse(b"{\"keys\":", "test").is_err());
    }

    #[tokio::test]
    async fn a_file_is_read_again_when_it_changes_and_kept_when_it_breaks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("set.json");
        let set = KeySet::open(KeySource::File(path.clone())).await.unwrap();
        assert!(set.get("good").await.is_none());
        let text = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"good",
            "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        std::fs::write(&path, text).unwrap();
        tokio::time::sleep(FILE_LOOK_FOR_UNKNOWN_EVERY).await;
        assert!(set.get("good").await.is_some());
        std::fs::write(&path, "torn").unwrap();
        tokio::time::sleep(FILE_LOOK_EVERY).await;
        assert!(set.get("good").await.is_some());
    }
}
