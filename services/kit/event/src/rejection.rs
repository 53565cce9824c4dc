//! Why a unit does not grant a command, in the words that every domain shares.

use crate::UnitSeq;
use crate::rules::unquoted;

/// A problem's slug, its title, and what a reader of its page should know. The slug is the last
/// part of a problem's `type` and never changes.
pub type Problem = (&'static str, &'static str, &'static str);

/// Of any command: a field asks for what no record may hold.
pub const FIELD_RULES: Problem = (
    "field-rules",
    "A field breaks its rule",
    "The request reads well and asks for something that no record may hold; the detail names each \
     field and its rule.",
);
/// Of any command that named the state it was made for.
pub const CHANGED_MEANWHILE: Problem = (
    "changed-meanwhile",
    "The record was changed meanwhile",
    "If-Match named a state that is no longer the record's present one: somebody, at the desk or \
     by another request, was faster. Read the record again and decide again.",
);

/// Where a record stands, for the detail of [`CHANGED_MEANWHILE`].
#[must_use]
pub fn found_at(found: &Option<UnitSeq>) -> String {
    found.map_or_else(|| "a change that has no number yet".to_owned(), |seq| seq.to_string())
}

/// The unit's rejection of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The problem's name, as `slot-taken`: the last part of the problem's `type`.
    pub slug: &'static str,
    /// One short sentence for people, the same for each rejection of that name.
    pub title: &'static str,
    /// What exactly, without personal data of anybody else.
    pub detail: String,
}

impl Rejection {
    /// A rejection by that name.
    pub fn of(problem: Problem, detail: impl Into<String>) -> Self {
        let (slug, title, _) = problem;
        Self { slug, title, detail: detail.into() }
    }

    /// The agent has no domain that reads this type; an older agent met a newer command.
    #[must_use]
    pub fn unknown_type(type_name: &str) -> Self {
        Self {
            slug: "request-type-unknown",
            title: "The unit's agent does not know this kind of request",
            detail: format!("no domain of this agent reads {type_name}"),
        }
    }

    /// The body does not read as the command that its type names. The detail says what kind of
    /// value stood where, and not the value.
    #[must_use]
    pub fn malformed(type_name: &str, error: &serde_json::Error) -> Self {
        Self {
            slug: "request-malformed",
            title: "The request does not read as its type",
            detail: format!("{type_name}: {}", unquoted(&error.to_string())),
        }
    }

    /// The clinic database could not be read or written for this request.
    pub fn agent_failed(detail: impl Into<String>) -> Self {
        Self {
            slug: "agent-failed",
            title: "The unit's agent could not carry out the request",
            detail: detail.into(),
        }
    }
}
