//! No wildcard arm over facts: the compiler's list of missing arms is how a new fact is added.
//!
//! Any enum whose name ends in `Fact` counts, under its own name or as `Self` within its `impl`. A
//! wildcard is an arm without a guard that takes whatever comes: `_`, a bare name, or a tuple of
//! these.

use syn::visit::{self, Visit};
use syn::{Arm, ExprMatch, ItemImpl, Pat, Path, Type};

use crate::Violation;

/// Attributes that every domain crate's `lib.rs` denies.
pub const DENIED: [&str; 2] =
    ["clippy::wildcard_enum_match_arm", "clippy::match_wildcard_for_single_variants"];

/// The wildcard arms over facts in one file.
///
/// # Panics
/// The file is no Rust.
#[must_use]
pub fn wildcard_arms(path: &str, text: &str) -> Vec<Violation> {
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut matches = Matches { path, within_fact: false, found: Vec::new() };
    matches.visit_file(&file);
    matches.found
}

/// The denied lints that a domain's `lib.rs` does not deny.
///
/// # Panics
/// The file is no Rust.
#[must_use]
pub fn missing_denials(path: &str, text: &str) -> Vec<Violation> {
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let denied =
        file.attrs.iter().filter(|a| a.path().is_ident("deny") || a.path().is_ident("forbid"));
    let lists = denied.filter_map(|attribute| attribute.meta.require_list().ok());
    let named: String = lists.map(|list| list.tokens.to_string().replace(' ', "")).collect();
    let missing = DENIED.iter().filter(|lint| !named.contains(**lint));
    missing.map(|lint| Violation::new(path, format!("add #![deny({lint})]"))).collect()
}

struct Matches<'a> {
    path: &'a str,
    within_fact: bool,
    found: Vec<Violation>,
}

impl<'ast> Visit<'ast> for Matches<'_> {
    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let outer = self.within_fact;
        self.within_fact = matches!(&*item.self_ty, Type::Path(of) if names_fact(&of.path, 0));
        visit::visit_item_impl(self, item);
        self.within_fact = outer;
    }

    fn visit_expr_match(&mut self, item: &'ast ExprMatch) {
        let over_facts = item.arms.iter().any(|arm| {
            let mut paths = Paths { within_fact: self.within_fact, found: false };
            paths.visit_pat(&arm.pat);
            paths.found
        });
        if over_facts {
            for arm in item.arms.iter().filter(|arm| takes_whatever_comes(arm)) {
                let line = arm.fat_arrow_token.spans[0].start().line;
                let what = "a wildcard arm over facts: name every fact that is meant";
                self.found.push(Violation::new(format!("{}:{line}", self.path), what));
            }
        }
        visit::visit_expr_match(self, item);
    }
}

/// Whether one of the segments, but for the last `but`, is the name of an enum of facts.
fn names_fact(path: &Path, but: usize) -> bool {
    let segments = path.segments.iter().rev().skip(but);
    segments.into_iter().any(|segment| segment.ident.to_string().ends_with("Fact"))
}

/// Looks for a path to a variant of an enum of facts within a pattern.
struct Paths {
    within_fact: bool,
    found: bool,
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_path(&mut self, path: &'ast Path) {
        let of_self = self.within_fact && path.segments.first().is_some_and(|s| s.ident == "Self");
        self.found |= of_self || names_fact(path, 1);
        visit::visit_path(self, path);
    }
}

fn takes_whatever_comes(arm: &Arm) -> bool {
    arm.guard.is_none() && is_wild(&arm.pat)
}

fn is_wild(pattern: &Pat) -> bool {
    match pattern {
        Pat::Wild(_) | Pat::Rest(_) => true,
        // A bare lower-case name binds anything; a constant or a unit variant is upper-case.
        Pat::Ident(name) => match &name.subpat {
            Some((_, inner)) => is_wild(inner),
            None => name.ident.to_string().starts_with(|c: char| c.is_lowercase() || c == '_'),
        },
        Pat::Tuple(tuple) => tuple.elems.iter().all(is_wild),
        Pat::Paren(inner) => is_wild(&inner.pat),
        Pat::Reference(inner) => is_wild(&inner.pat),
        Pat::Or(any) => any.cases.iter().any(is_wild),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(arms: &str) -> usize {
        let text = format!("fn f(x: Fact) {{ match x {{ {arms} }} }}");
        wildcard_arms("planted.rs", &text).len()
    }

    #[test]
    fn a_planted_wildcard_is_found() {
        for planted in [
            "Fact::A => 1, _ => 2",
            "Some(Fact::A(_)) => 1, _ => 2",
            "crate::PatientFact::Added => 1, other => 2",
            "(Fact::A, 1) => 1, (_, _) => 2",
            "&Fact::A { .. } => 1, any @ _ => 2",
        ] {
            assert_eq!(found(planted), 1, "{planted}");
        }
        let own = "impl PatientFact { fn f(self) { match self { Self::A => 1, _ => 2 } } }";
        assert_eq!(wildcard_arms("planted.rs", own).len(), 1);
    }

    #[test]
    fn arms_that_name_what_they_mean_are_lawful() {
        for lawful in [
            "Fact::A(_) => 1, Fact::B { .. } | Fact::C => 2",
            "Some(Fact::A) => 1, None => 2",
            "Status::A => 1, _ => 2",
            "Fact::A if x => 1, Fact::A => 2",
        ] {
            assert_eq!(found(lawful), 0, "{lawful}");
        }
        let own = "impl Status { fn f(self) { match self { Self::A => 1, _ => 2 } } }";
        assert_eq!(wildcard_arms("planted.rs", own), []);
    }

    #[test]
    fn a_missing_denial_is_found() {
        let both = "#![deny(clippy::wildcard_enum_match_arm)]\n\
                    #![deny(clippy::match_wildcard_for_single_variants)]";
        assert_eq!(missing_denials("lib.rs", both), []);
        assert_eq!(missing_denials("lib.rs", "#![deny(clippy::wildcard_enum_match_arm)]").len(), 1);
        assert_eq!(missing_denials("lib.rs", "//! Nothing.").len(), 2);
    }
}
