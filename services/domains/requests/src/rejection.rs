//! Why a request got no effect for reasons of its own, whatever it asked for.

use kit_event::{Problem, Rejection, Timestamp};

/// Why a request was refused, or what became of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestRejection {
    /// `expired`
    #[error("the deadline {expires_at} had passed when the unit came to the request")]
    Expired {
        /// The deadline.
        expires_at: Timestamp,
    },
    /// `expired`, by a [`crate::RangeLapsed`].
    #[error("the request never reached the unit")]
    Lapsed,
    /// `cancelled`
    #[error("the request was cancelled before the unit came to it")]
    Cancelled,
    /// `too-late`
    #[error("the unit had decided the request before the cancel reached it")]
    TooLate,
    /// `agent-failed`
    #[error("the unit's agent stopped {tries} times over this request")]
    AgentFailed {
        /// How often it was begun and not ended.
        tries: u32,
    },
    /// `idempotency-key-reused`
    #[error("the Idempotency-Key was used before for another request")]
    IdempotencyKeyReused,
    /// `not-writable-at-unit`
    #[error("{}: {why}", place(.resource, .field))]
    NotWritable {
        /// The thing, as `appointment`.
        resource: String,
        /// Its field; empty for the thing as a whole.
        field: String,
        /// Why, in one sentence.
        why: &'static str,
    },
    /// `table-paused`
    #[error("the unit does not find its {resource} records where they were")]
    TablePaused {
        /// The thing, as `appointment`.
        resource: String,
    },
    /// `undone`
    #[error("the clinic database was restored to a time before this request")]
    Undone,
}

fn place(resource: &str, field: &str) -> String {
    if field.is_empty() { resource.to_owned() } else { format!("{field} of {resource}") }
}

const EXPIRED: Problem = (
    "expired",
    "The request's deadline passed before the unit could carry it out",
    "A request waits for its unit until its deadline (Arteria-Expires, 24 hours unless said \
     otherwise, at most 7 days). The unit came to it later, or never saw it, and did nothing.",
);
const CANCELLED: Problem = (
    "cancelled",
    "The request was cancelled",
    "A cancel reached the unit before the request was carried out; nothing was done.",
);
const TOO_LATE: Problem = (
    "too-late",
    "The unit had decided before the cancel came",
    "Whichever reaches the unit first counts. The request keeps the outcome that it has; what it \
     did can be taken back only by another request.",
);
const AGENT_FAILED: Problem = (
    "agent-failed",
    "The unit's agent could not carry out the request",
    "The clinic database could not be read or written for this request, or the agent stopped over \
     it several times. Nothing was done; other requests go on.",
);
const IDEMPOTENCY_KEY_REUSED: Problem = (
    "idempotency-key-reused",
    "The Idempotency-Key was used before for another request",
    "The same key with the same command is a retry and gets the stored outcome. With another \
     command it is refused, and the first request stands.",
);
const NOT_WRITABLE: Problem = (
    "not-writable-at-unit",
    "The unit's software cannot hold what was asked for",
    "Units keep their records in software of their own. A field may have no place there, no word \
     for the value, or be kept by the practice to itself; the detail says which and why. Nothing \
     was done.",
);
const TABLE_PAUSED: Problem = (
    "table-paused",
    "The unit's records of this kind are not readable just now",
    "The practice's software changed a table that the unit's agent reads, so that the agent leaves \
     it alone until its mapping fits again. Nothing was done; other kinds of request go on.",
);
const UNDONE: Problem = (
    "undone",
    "The clinic was restored to a time before this request",
    "The request was carried out, and a backup of the clinic database that does not hold it was \
     put back later. It is not carried out again by itself.",
);
const TYPE_UNKNOWN: Problem = (
    "request-type-unknown",
    "The unit's agent does not know this kind of request",
    "The agent of this unit is older than the request's type; it must be updated first.",
);
const MALFORMED: Problem = (
    "request-malformed",
    "The request does not read as its type",
    "The unit's agent could not read the body of the request; nothing was done.",
);

/// Every problem that any request can meet at a unit, for the pages at `/problems/<slug>`.
pub const PROBLEMS: &[Problem] = &[
    EXPIRED,
    CANCELLED,
    TOO_LATE,
    AGENT_FAILED,
    IDEMPOTENCY_KEY_REUSED,
    NOT_WRITABLE,
    TABLE_PAUSED,
    UNDONE,
    TYPE_UNKNOWN,
    MALFORMED,
];

impl RequestRejection {
    const fn problem(&self) -> Problem {
        match self {
            Self::Expired { .. } | Self::Lapsed => EXPIRED,
            Self::Cancelled => CANCELLED,
            Self::TooLate => TOO_LATE,
            Self::AgentFailed { .. } => AGENT_FAILED,
            Self::IdempotencyKeyReused => IDEMPOTENCY_KEY_REUSED,
            Self::NotWritable { .. } => NOT_WRITABLE,
            Self::TablePaused { .. } => TABLE_PAUSED,
            Self::Undone => UNDONE,
        }
    }
}

impl From<RequestRejection> for Rejection {
    fn from(refused: RequestRejection) -> Self {
        Self::of(refused.problem(), refused.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_the_kit_speaks_have_their_page_too() {
        let error = serde_json::from_str::<u8>("x").unwrap_err();
        for rejection in [
            Rejection::unknown_type("a.b"),
            Rejection::malformed("a.b", &error),
            Rejection::agent_failed("the disk is full"),
        ] {
            let page = PROBLEMS.iter().find(|(slug, _, _)| *slug == rejection.slug);
            assert_eq!(page.map(|(_, title, _)| *title), Some(rejection.title));
        }
    }
}
