//! A field that breaks a rule of its own, whatever the unit's records say.

use std::fmt;

/// A field that breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// The field, by its name in the wish.
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
