//! A field that breaks a rule of its own, whatever the unit's records say.

use std::fmt;

/// A field that breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// The field, by its name in the command.
    pub field: String,
    /// What the rule wants, as the end of a sentence that begins with the field's name.
    pub reason: String,
}

impl FieldProblem {
    /// A problem of `field`.
    pub fn new(field: &str, reason: impl Into<String>) -> Self {
        Self { field: field.to_owned(), reason: reason.into() }
    }

    /// Fields that were looked at one by one, each with what is wrong with it.
    ///
    /// # Errors
    /// Every field with which anything is.
    pub fn check<const N: usize>(
        looked_at: [(&str, Option<String>); N],
    ) -> Result<(), Vec<FieldProblem>> {
        let problems: Vec<_> = looked_at
            .into_iter()
            .filter_map(|(field, broken)| Some(Self::new(field, broken?)))
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// All problems in one line.
    pub fn sentence(problems: &[Self]) -> String {
        problems.iter().map(Self::to_string).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.reason)
    }
}

/// serde's sentence without the value that it quotes: what somebody typed into a field is theirs,
/// and what is said of an error ends up in logs. `invalid type: string "x", expected u32` keeps its
/// kinds.
#[must_use]
pub fn unquoted(sentence: &str) -> String {
    if let Some(named) = sentence.strip_prefix("unknown variant `") {
        let known = named.rsplit_once("`, expected ").map(|(_, known)| known);
        return format!("unknown variant, expected {}", known.unwrap_or("another"));
    }
    let Some((what, rest)) = sentence.split_once(": ") else { return sentence.to_owned() };
    let Some((found, expected)) = rest.rsplit_once(", expected ") else {
        return what.to_owned();
    };
    // The value may hold any character, so only words before its first sign are kept.
    let kind = found.split(['"', '`', '\'']).next().unwrap_or_default().trim();
    match kind {
        "" => format!("{what}, expected {expected}"),
        kind => format!("{what}: {kind}, expected {expected}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_value_does_not_repeat_it() {
        for (sentence, said) in [
            ("invalid type: string \"Ana\", expected u32", "invalid type: string, expected u32"),
            ("invalid value: string \"A\", expected day", "invalid value: string, expected day"),
            ("unknown variant `Ana`, expected `a` or `b`", "unknown variant, expected `a` or `b`"),
            ("a b: \"Ana: c\" is no date", "a b"),
            ("missing field `mrn`", "missing field `mrn`"),
        ] {
            assert_eq!(unquoted(sentence), said);
        }
    }
}
