//! From a token's text to a caller.

use jsonwebtoken::{Algorithm, Validation};
use kit_event::Timestamp;
use serde::Deserialize;

use crate::claims::{Claims, InvalidToken, Verified};
use crate::keys::{KeySet, KeySource, KeysError};
use crate::kind::Kind;

/// The longest token that is looked at: 1,000 units of 63 characters do not fit, a day's work does.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// The `typ` of an access token (RFC 9068), in its two spellings.
const TYPES: [&str; 2] = ["at+jwt", "application/at+jwt"];

/// An issuer that is believed for one kind of caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// Which kind it speaks for.
    pub kind: Kind,
    /// Its `iss`.
    pub issuer: String,
    /// Its keys.
    pub keys: KeySource,
}

impl Trusted {
    /// The development issuer of `kind` (or the agents) with the keys at `keys`.
    #[must_use]
    pub fn new(kind: Kind, keys: KeySource) -> Self {
        Self { kind, issuer: kind.issuer().to_owned(), keys }
    }
}

struct TrustedKeys {
    kind: Kind,
    issuer: String,
    keys: KeySet,
}

/// Verifies tokens of the kinds that one border lets in.
pub struct Verifier {
    trusted: Vec<TrustedKeys>,
}

/// Read before the signature, only to find the key set; believed for nothing else.
#[derive(Deserialize)]
struct Claimed {
    iss: String,
}

impl Verifier {
    /// Reads every key set once.
    ///
    /// # Errors
    /// A key set that is there but does not read. A missing file is an empty set.
    pub async fn open(trusted: Vec<Trusted>) -> Result<Self, KeysError> {
        let mut opened = Vec::with_capacity(trusted.len());
        for Trusted { kind, issuer, keys } in trusted {
            let keys = KeySet::open(keys).await?;
            opened.push(TrustedKeys { kind, issuer, keys });
        }
        Ok(Self { trusted: opened })
    }

    /// Verifies a token against the issuers of this border, at the time `now`.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, InvalidToken> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(InvalidToken::Malformed);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| InvalidToken::Malformed)?;
        let typ = header.typ.as_deref().unwrap_or_default();
        if !TYPES.iter().any(|ours| ours.eq_ignore_ascii_case(typ)) {
            return Err(InvalidToken::Type);
        }
        if header.alg != Algorithm::EdDSA || header.crit.is_some() {
            return Err(InvalidToken::Algorithm);
        }
        let claimed: Claimed = jsonwebtoken::dangerous::insecure_decode_claims(token)
            .map_err(|_| InvalidToken::Claims)?;
        let trusted =
            self.trusted.iter().find(|t| t.issuer == claimed.iss).ok_or(InvalidToken::Issuer)?;
        // Only the key id is taken from the header: jku, x5u and jwk name keys that the sender
        // would like us to believe.
        let key_id = header.kid.ok_or(InvalidToken::Key)?;
        let key = trusted.keys.get(&key_id).await.ok_or(InvalidToken::Key)?;
        let decoded = jsonwebtoken::decode::<Claims>(token, &key, &signature_only())
            .map_err(|error| refused(&error))?;
        decoded.claims.verify(trusted.kind, &trusted.issuer, &key_id, now)
    }
}

/// The library verifies the signature only: its rules for claims let too much through, and it
/// reads a clock.
fn signature_only() -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

fn refused(error: &jsonwebtoken::errors::Error) -> InvalidToken {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::InvalidSignature => InvalidToken::Signature,
        ErrorKind::Json(_) | ErrorKind::InvalidClaimFormat(_) => InvalidToken::Claims,
        ErrorKind::InvalidAlgorithm => InvalidToken::Algorithm,
        _ => InvalidToken::Malformed,
    }
}
