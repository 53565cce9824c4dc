//! Namespaces: the first part of a type, and the last of the public topic that its events go to.
//!
//! They come from types that clinics' mapping files name, so neither their number nor their length
//! is ours: both are bounded here. A topic is named in every record, metric and error, so a name is
//! kept once, for as long as the process lives, and is afterwards as cheap to carry as a number.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use kit_body::name;

/// The longest namespace. Ours have ten letters; a broker takes 249 for a topic with its prefix.
pub const NAMESPACE_BYTES_MAX: usize = 63;
/// Namespaces that a process carries. A house has a dozen; a clinic that invents more of them than
/// this is at fault, and is told so.
pub const NAMESPACES_MAX: usize = 512;

/// What stands before a namespace in the name of its topic.
pub(crate) const BEFORE: &str = "domain.";

/// Names of topics met so far.
static KNOWN: Mutex<BTreeMap<&'static str, Namespace>> = Mutex::new(BTreeMap::new());

/// The namespace of a public topic. Behind two references, because it stands in every error of the
/// bus, and one to a text is twice as wide.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace(&'static &'static str);

/// Why a text is no namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NamespaceError {
    /// Not lower-case words of letters and digits joined by `_`, or too long.
    #[error(
        "a namespace is at most {NAMESPACE_BYTES_MAX} lower-case letters, digits and _, as voip"
    )]
    Unreadable,
    /// Too many others were met before.
    #[error("this process carries {NAMESPACES_MAX} namespaces already")]
    TooMany,
}

impl Namespace {
    /// The topic's name without a prefix, as `domain.voip`.
    #[must_use]
    pub const fn topic(self) -> &'static str {
        self.0
    }

    /// The namespace itself, as `voip`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        &self.0[BEFORE.len()..]
    }
}

impl FromStr for Namespace {
    type Err = NamespaceError;

    fn from_str(text: &str) -> Result<Self, NamespaceError> {
        // What may stand before the dot of a type may stand here, and nothing else.
        let of_type = text.len() <= NAMESPACE_BYTES_MAX && !text.contains('.');
        if !of_type || name::split(&format!("{text}.x")).is_err() {
            return Err(NamespaceError::Unreadable);
        }
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        keep(&mut known, format!("{BEFORE}{text}"))
    }
}

fn keep(
    known: &mut BTreeMap<&'static str, Namespace>,
    topic: String,
) -> Result<Namespace, NamespaceError> {
    if let Some(known) = known.get(topic.as_str()) {
        return Ok(*known);
    }
    if known.len() >= NAMESPACES_MAX {
        return Err(NamespaceError::TooMany);
    }
    let text: &'static str = Box::leak(topic.into_boxed_str());
    let namespace = Namespace(Box::leak(Box::new(text)));
    known.insert(text, namespace);
    Ok(namespace)
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Topic;

    #[test]
    fn a_namespace_names_its_topic_and_is_kept_once() {
        let voip: Namespace = "voip".parse().unwrap();
        assert_eq!((voip.topic(), voip.as_str()), ("domain.voip", "voip"));
        let again: Namespace = String::from("voip").parse().unwrap();
        assert!(std::ptr::eq(voip.topic(), again.topic()));
        assert_eq!(Topic::Domain(voip).name("t1."), "t1.domain.voip");
        assert_eq!(Topic::of_name("t1.", "t1.domain.voip"), Some(Topic::Domain(voip)));
        assert_eq!(Topic::of_name("t1.", "t1.unit.facts"), Some(Topic::Facts));
        assert_eq!(Topic::of_name("t1.", "unit.facts"), None);
    }

    #[test]
    fn what_no_type_begins_with_is_no_namespace() {
        let long = "a".repeat(NAMESPACE_BYTES_MAX + 1);
        for bad in ["", "a.b", "A", "a b", "../x", "a__b", "7a", "public", "ü", long.as_str()] {
            assert_eq!(bad.parse::<Namespace>(), Err(NamespaceError::Unreadable), "{bad}");
        }
    }

    #[test]
    fn their_number_is_bounded() {
        let mut known = BTreeMap::new();
        for n in 0..NAMESPACES_MAX {
            keep(&mut known, format!("domain.many{n}")).unwrap();
        }
        let again = keep(&mut known, "domain.many7".to_owned());
        assert_eq!(again.unwrap().as_str(), "many7");
        let more = keep(&mut known, "domain.more".to_owned());
        assert_eq!(more, Err(NamespaceError::TooMany));
    }
}
