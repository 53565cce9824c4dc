//! What a token must say, and the caller that it becomes.

use kit_event::{Timestamp, UnitId};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::kind::Kind;

/// How far clocks of issuer and verifier may differ for `exp` and `nbf` (FAPI 2.0: 10 s).
pub const LEEWAY_SECONDS: i64 = 10;
/// An `iat` this far ahead is a lie or a broken clock; less is a clinic computer's drift.
pub const IAT_AHEAD_SECONDS: i64 = 60;
/// Longest subject and token id. RFC 9068 names no bound; ids of issuers are far shorter.
pub const TEXT_CLAIM_BYTES_MAX: usize = 255;
/// Most units in one token; who needs more is an admin.
pub const UNITS_MAX: usize = 1_000;

/// Why a token was refused. Never holds any part of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum InvalidToken {
    /// It is no compact JWS of three parts with JSON in them, or longer than any of ours.
    #[error("the token does not read as a JWT")]
    Malformed,
    /// `typ` is not `at+jwt`: an id token or a token of another protocol.
    #[error("the token is not an access token (typ at+jwt)")]
    Type,
    /// `alg` is not `EdDSA`, or the header asks for extensions (`crit`).
    #[error("the token is not signed with EdDSA")]
    Algorithm,
    /// Nobody we trust has this `iss`.
    #[error("the token's issuer is not trusted here")]
    Issuer,
    /// The issuer's key set holds no key of this `kid`.
    #[error("the token's key is unknown")]
    Key,
    /// The signature does not fit.
    #[error("the token's signature is wrong")]
    Signature,
    /// A required claim is missing or of the wrong type.
    #[error("a claim of the token is missing or of the wrong type")]
    Claims,
    /// `aud` is not exactly the audience of its kind.
    #[error("the token is for another audience")]
    Audience,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` lies ahead.
    #[error("the token is not valid yet")]
    NotYet,
    /// `exp` is further from `iat` than its kind may live, or before it.
    #[error("the token lives longer than its kind may")]
    Lifetime,
    /// The claims do not fit the kind: a patient without a registration, a unit that is none.
    #[error("the token's claims do not fit its kind")]
    KindClaims,
}

/// The claims of RFC 9068 that every token must carry, and ours. Derived, so that a claim that
/// stands twice is refused as well.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: String,
    pub exp: i64,
    pub iat: i64,
    pub jti: String,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<UnitId>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub patient: Option<Uuid>,
}

/// An optional claim may be absent; null is a wrong type.
fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A caller whose token passed every rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Which kind of caller.
    pub kind: Kind,
    /// Who issued the token.
    pub issuer: String,
    /// Who calls, within the issuer.
    pub subject: String,
    /// The units that the caller belongs to; an admin belongs to none and sees all.
    pub units: Vec<UnitId>,
    /// The registration that a patient's token speaks for.
    pub patient: Option<Uuid>,
    /// The token's own id.
    pub token_id: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Verified {
    /// Whether the unit exists for this caller at all.
    #[must_use]
    pub fn sees(&self, unit: &UnitId) -> bool {
        self.kind == Kind::Admin || self.units.contains(unit)
    }

    /// `<kind>:<subject>`, as records name who asked.
    #[must_use]
    pub fn actor(&self) -> String {
        format!("{}:{}", self.kind, self.subject)
    }
}

impl Claims {
    /// Applies every rule on claims. The signature has been verified before.
    pub(crate) fn verify(
        self,
        kind: Kind,
        issuer: &str,
        key_id: &str,
        now: Timestamp,
    ) -> Result<Verified, InvalidToken> {
        if self.iss != issuer {
            return Err(InvalidToken::Issuer);
        }
        if self.aud != kind.audience() {
            return Err(InvalidToken::Audience);
        }
        let fits = |text: &str| !text.is_empty() && text.len() <= TEXT_CLAIM_BYTES_MAX;
        if !fits(&self.sub) || !fits(&self.jti) {
            return Err(InvalidToken::Claims);
        }
        self.verify_times(kind, now)?;
        let (units, patient) = self.scope(kind, key_id)?;
        Ok(Verified {
            kind,
            issuer: self.iss,
            subject: self.sub,
            units,
            patient,
            token_id: self.jti,
            expires_at: Timestamp::from_unix_ms(self.exp.saturating_mul(1000)),
        })
    }

    fn verify_times(&self, kind: Kind, now: Timestamp) -> Result<(), InvalidToken> {
        let now_seconds = now.unix_ms().div_euclid(1000);
        if now_seconds > self.exp.saturating_add(LEEWAY_SECONDS) {
            return Err(InvalidToken::Expired);
        }
        if self.iat >= now_seconds + IAT_AHEAD_SECONDS
            || self.nbf.is_some_and(|nbf| nbf > now_seconds + LEEWAY_SECONDS)
        {
            return Err(InvalidToken::NotYet);
        }
        let lifetime_seconds = self.exp.saturating_sub(self.iat);
        if !(0..=kind.lifetime_seconds_max()).contains(&lifetime_seconds) {
            return Err(InvalidToken::Lifetime);
        }
        Ok(())
    }

    /// The units and the registration that a token of this kind must, or must not, name.
    fn scope(&self, kind: Kind, key_id: &str) -> Result<(Vec<UnitId>, Option<Uuid>), InvalidToken> {
        let fits = match kind {
            Kind::Staff | Kind::Partner => {
                !self.units.is_empty() && self.units.len() <= UNITS_MAX && self.patient.is_none()
            }
            Kind::Patient => self.units.len() == 1 && self.patient.is_some(),
            Kind::Admin => self.patient.is_none(),
            Kind::Agent => self.patient.is_none() && self.units.is_empty() && self.sub == key_id,
        };
        if !fits {
            return Err(InvalidToken::KindClaims);
        }
        match kind {
            Kind::Agent => {
                let unit = self.sub.parse().map_err(|_| InvalidToken::KindClaims)?;
                Ok((vec![unit], None))
            }
            Kind::Admin => Ok((Vec::new(), None)),
            Kind::Staff | Kind::Patient | Kind::Partner => Ok((self.units.clone(), self.patient)),
        }
    }
}
