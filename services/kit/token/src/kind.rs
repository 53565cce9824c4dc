//! The kinds of caller.

use std::fmt;
use std::str::FromStr;

/// Who calls. Each kind has its own issuer, audience and keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A person who works in one or more units.
    Staff,
    /// A person registered in one unit.
    Patient,
    /// A program of another organisation.
    Partner,
    /// A person who runs the network.
    Admin,
    /// A clinic's agent.
    Agent,
}

/// Longest life of a token of people and partners: long enough for a day at a desk, short enough
/// that a lost one heals by itself. Issuers give far shorter ones in production.
pub const LIFETIME_SECONDS_MAX: i64 = 24 * 3600;
/// Longest life of a token that an agent signs for HELLO.
pub const AGENT_LIFETIME_SECONDS_MAX: i64 = 300;

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Staff, Self::Patient, Self::Partner, Self::Admin, Self::Agent];

    /// Its name, as in key files and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Staff => "staff",
            Self::Patient => "patient",
            Self::Partner => "partner",
            Self::Admin => "admin",
            Self::Agent => "agent",
        }
    }

    /// The `iss` of the development issuer, or of agents.
    #[must_use]
    pub const fn issuer(self) -> &'static str {
        match self {
            Self::Staff => "urn:arteria:dev:staff",
            Self::Patient => "urn:arteria:dev:patient",
            Self::Partner => "urn:arteria:dev:partner",
            Self::Admin => "urn:arteria:dev:admin",
            Self::Agent => "urn:arteria:agents",
        }
    }

    /// The one `aud` that its tokens carry.
    #[must_use]
    pub const fn audience(self) -> &'static str {
        match self {
            Self::Staff => "staff-api",
            Self::Patient => "patient-api",
            Self::Partner => "partner-api",
            Self::Admin => "admin-api",
            Self::Agent => "unit.v1",
        }
    }

    /// The greatest difference of `exp` and `iat`, in seconds.
    #[must_use]
    pub const fn lifetime_seconds_max(self) -> i64 {
        match self {
            Self::Staff | Self::Patient | Self::Partner | Self::Admin => LIFETIME_SECONDS_MAX,
            Self::Agent => AGENT_LIFETIME_SECONDS_MAX,
        }
    }
}

/// A text that names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a kind is staff, patient, partner, admin or agent")]
pub struct KindError;

impl FromStr for Kind {
    type Err = KindError;

    fn from_str(text: &str) -> Result<Self, KindError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(KindError)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
