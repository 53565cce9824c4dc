//! The laws of the house, as functions that find violations.
//!
//! Each law is an ordinary test under `tests/`, which runs a checker of this crate over the whole
//! tree and fails with a list of what to do. The checkers take text and give violations, so each is
//! also tested on a small planted violation: a law that cannot fail is no law.
//!
//! Nothing here knows what the product does; only how its code must be laid out.
//!
//! | module | law |
//! |---|---|
//! | [`tree`] | where the files and crates are |
//! | [`arrows`] | host -> domain -> kit, and who may link what |
//! | [`facts`] | no wildcard arm over facts |
//! | [`size`] | length of functions, files and lines; the ratchet |
//! | [`ambient`] | no clock, chance, unfinished code or silenced lint by the back door |
//! | [`circles`] | modules that import each other in a circle; the list that shrinks |
//! | [`lists`] | the only lists of domains are `services/domains/all*` |
//! | [`names`] | no drawers, an essay in each crate, a map in each folder |
//! | [`topics`] | every topic has a writer and a reader |
//! | [`words`] | nothing unfinished and nothing of a workplace in what we ship |

pub mod ambient;
pub mod arrows;
pub mod circles;
pub mod facts;
pub mod lists;
pub mod names;
pub mod size;
pub mod topics;
pub mod tree;
pub mod words;

/// Where a law is broken, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// A path from the root, with a line where there is one; or a crate.
    pub place: String,
    /// What is wrong and what to do.
    pub what: String,
}

impl Violation {
    /// A violation at a place.
    pub fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }
}

/// Fails with every violation, one a line.
///
/// # Panics
/// There is a violation.
pub fn obey(law: &str, mut violations: Vec<Violation>) {
    violations.sort();
    violations.dedup();
    let lines: Vec<_> = violations.iter().map(|v| format!("  {}: {}", v.place, v.what)).collect();
    assert!(lines.is_empty(), "{law}\n{} violation(s):\n{}\n", lines.len(), lines.join("\n"));
}
