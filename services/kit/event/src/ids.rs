//! Opaque names: units, requests, and ids that follow from a request.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// A unit id is 1 to 63 of `a-z`, `0-9` and `-`, and begins with a letter or a digit.
    #[error("a unit id is 1 to 63 lower-case letters, digits and hyphens")]
    Unit,
    /// A request id is `<unit>.<32 hexadecimal digits>`.
    #[error("a request id is a unit id, a dot and 32 hexadecimal digits")]
    Request,
}

/// The longest unit id. 63 is a DNS label, so that a unit may one day have a host name.
pub const UNIT_ID_BYTES_MAX: usize = 63;

/// A healthcare unit: the Kafka key of all that concerns it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnitId(String);

impl UnitId {
    /// The id as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UnitId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let bytes = text.as_bytes();
        let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let fits = !bytes.is_empty() && bytes.len() <= UNIT_ID_BYTES_MAX;
        if fits && plain(&bytes[0]) && bytes.iter().all(|b| plain(b) || *b == b'-') {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::Unit)
        }
    }
}

/// A tracked request: its unit, and a hash of who asked under which `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestId(String);

impl RequestId {
    /// Names the request of `subject` (of `issuer`) under `idempotency_key`: the same three always
    /// give the same id, so a retry is the same request at whatever gateway it arrives.
    #[must_use]
    pub fn derive(unit: &UnitId, issuer: &str, subject: &str, idempotency_key: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [issuer, subject, idempotency_key] {
            // Lengths keep ("ab", "c") and ("a", "bc") apart.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self(format!("{unit}.{}", hex::encode(&hash.finalize()[..16])))
    }

    /// The unit that the request is for.
    #[must_use]
    pub fn unit(&self) -> UnitId {
        UnitId(self.0[..self.0.len() - 33].to_owned())
    }

    /// The id as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RequestId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (unit, hash) = text.rsplit_once('.').ok_or(IdError::Request)?;
        UnitId::from_str(unit).map_err(|_| IdError::Request)?;
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if hash.len() != 32 || !hash.bytes().all(lower_hex) {
            return Err(IdError::Request);
        }
        Ok(Self(text.to_owned()))
    }
}

/// The id of the thing that `request` creates (`resource` is its name, as `appointment`): a
/// `UUIDv8` that a retry derives again, so that no id need be remembered before the unit has
/// decided.
#[must_use]
pub fn derived_id(request: &RequestId, resource: &str) -> Uuid {
    let digest = Sha256::new()
        .chain_update(request.as_str().as_bytes())
        .chain_update([0])
        .chain_update(resource.as_bytes())
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

macro_rules! text_id {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}
text_id!(UnitId);
text_id!(RequestId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_id_is_a_dns_label() {
        assert!("hcu-0001".parse::<UnitId>().is_ok());
        let too_long = "a".repeat(UNIT_ID_BYTES_MAX + 1);
        for bad in ["", "-a", "Hcu", "a.b", "a b", "ü", too_long.as_str()] {
            assert_eq!(bad.parse::<UnitId>(), Err(IdError::Unit), "{bad}");
        }
    }

    #[test]
    fn a_request_id_names_its_unit_and_survives_the_wire() {
        let unit: UnitId = "hcu-0001".parse().unwrap();
        let id = RequestId::derive(&unit, "iss", "sub", "key");
        assert_eq!(id.unit(), unit);
        assert_eq!(id.as_str().parse::<RequestId>().unwrap(), id);
        assert_ne!(id, RequestId::derive(&unit, "is", "ssub", "key"));
        assert!("hcu-0001.zz".parse::<RequestId>().is_err());
    }

    #[test]
    fn a_derived_id_is_a_uuid_of_version_8_and_repeats() {
        let unit: UnitId = "hcu-0001".parse().unwrap();
        let id = RequestId::derive(&unit, "iss", "sub", "key");
        assert_eq!(derived_id(&id, "patient"), derived_id(&id, "patient"));
        assert_ne!(derived_id(&id, "patient"), derived_id(&id, "appointment"));
        assert_eq!(derived_id(&id, "patient").get_version_num(), 8);
    }
}
