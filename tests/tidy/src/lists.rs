//! The only lists of domains are `services/domains/all*`: a new domain is a line there.

use std::collections::BTreeSet;

use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Expr, Token};

use crate::Violation;

/// Where the lists are.
const LISTS: &str = "services/domains/all";
/// Domains named in one array before it is a list of them: two values of domain crates cannot
/// meet by chance; two words can (`units`, `requests`).
const VALUES_MAX: usize = 1;
const WORDS_MAX: usize = 2;

/// Arrays that hold a domain each, or the name of one, of `nouns`.
///
/// # Panics
/// The file is no Rust.
#[must_use]
pub fn violations(path: &str, text: &str, nouns: &BTreeSet<String>) -> Vec<Violation> {
    if path.starts_with(LISTS) {
        return Vec::new();
    }
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut arrays = Arrays { nouns, lines: Vec::new() };
    arrays.visit_file(&file);
    let what = "lists domains: take all_domains::ALL or all_stores::ALL, the only lists";
    arrays.lines.iter().map(|line| Violation::new(format!("{path}:{line}"), what)).collect()
}

struct Arrays<'a> {
    nouns: &'a BTreeSet<String>,
    lines: Vec<usize>,
}

impl Arrays<'_> {
    fn judge<'e>(&mut self, elements: impl Iterator<Item = &'e Expr>, line: usize) {
        let (mut values, mut words) = (BTreeSet::new(), BTreeSet::new());
        for element in elements {
            match bare(element) {
                Expr::Path(path) => values.extend(self.domain_value(&path.path)),
                Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(word), .. }) => {
                    words.extend(self.nouns.get(&word.value()));
                }
                _ => {}
            }
        }
        if values.len() > VALUES_MAX || words.len() > WORDS_MAX {
            self.lines.push(line);
        }
    }

    /// `patients::Patients` or `patients_store::Patients`: the type that stands for the domain.
    fn domain_value(&self, path: &syn::Path) -> Option<String> {
        let [from, value] = path.segments.iter().collect::<Vec<_>>()[..] else { return None };
        let from = from.ident.to_string();
        let noun = ["_store", "_rest"].iter().find_map(|end| from.strip_suffix(end));
        let noun = noun.unwrap_or(&from).to_owned();
        let is_it = value.ident.to_string().to_lowercase() == noun;
        (is_it && self.nouns.contains(&noun)).then_some(noun)
    }
}

fn bare(element: &Expr) -> &Expr {
    match element {
        Expr::Reference(reference) => bare(&reference.expr),
        Expr::MethodCall(call) => bare(&call.receiver),
        other => other,
    }
}

impl<'ast> Visit<'ast> for Arrays<'_> {
    fn visit_expr_array(&mut self, array: &'ast syn::ExprArray) {
        self.judge(array.elems.iter(), array.bracket_token.span.open().start().line);
        visit::visit_expr_array(self, array);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if call.path.is_ident("vec")
            && let Ok(elements) =
                call.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated)
        {
            self.judge(elements.iter(), call.bang_token.span.start().line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        let nouns = "patients billing units".split(' ').map(str::to_owned).collect();
        violations(path, text, &nouns).len()
    }

    #[test]
    fn a_list_of_domains_is_found_wherever_it_stands() {
        for text in [
            "static A: [&dyn D; 2] = [&patients::Patients, &billing::Billing];",
            "fn f() { for it in [&patients_store::Patients, &billing_store::Billing] {} }",
            "fn f() { let w = [patients::Patients.commands(), billing::Billing.commands()]; }",
            "fn f() { let w: Vec<&dyn D> = vec![&patients::Patients, &billing::Billing]; }",
            r#"const A: [&str; 3] = ["patients", "billing", "units"];"#,
        ] {
            assert_eq!(found("services/edge/src/x.rs", text), 1, "{text}");
            assert_eq!(found("services/domains/all/src/lib.rs", text), 0, "{text}");
        }
    }

    #[test]
    fn what_is_no_list_passes() {
        for text in [
            "fn f() { g([patients::PROBLEMS, billing::PROBLEMS]); }",
            "fn f() { g(&patients::Patients, &billing::Billing); }",
            r#"const A: [&str; 3] = ["patients", "units", "practitioners"];"#,
            "const A: [&dyn D; 1] = [&patients::Patients];",
        ] {
            assert_eq!(found("services/edge/src/x.rs", text), 0, "{text}");
        }
    }
}
