//! Length of functions, files and lines.
//!
//! A ratchet: offenders of the day it was made stand in `ratchet.txt` with their numbers. A listed
//! one may shrink and never grows; one that is not listed fails.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, Signature};

use crate::Violation;
use crate::tree::TextFile;

/// A function that does not fit a screen is two.
pub const FUNCTION_LINES_MAX: usize = 70;
/// A file that takes minutes to find one's way in is two, its tests counted.
pub const FILE_LINES_MAX: usize = 400;
/// Two files side by side.
pub const LINE_COLUMNS_MAX: usize = 100;

/// Offenders by name (`file <path>`, `fn <path> <name>`) and their lines.
pub type Ratchet = BTreeMap<String, usize>;

/// Every function and file that is longer than it may be.
///
/// # Panics
/// A file is no Rust.
#[must_use]
pub fn too_long(files: &[TextFile]) -> Ratchet {
    let mut found = Ratchet::new();
    for TextFile { path, text } in files {
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            found.insert(format!("file {path}"), lines);
        }
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut functions = Functions(Vec::new());
        functions.visit_file(&file);
        for (name, lines) in functions.0 {
            if lines > FUNCTION_LINES_MAX {
                // Two functions of one name in one file: the longer one stands for both.
                let entry = found.entry(format!("fn {path} {name}")).or_default();
                *entry = lines.max(*entry);
            }
        }
    }
    found
}

struct Functions(Vec<(String, usize)>);

impl Functions {
    /// Counts from the signature (attributes and docs before it are free) to the closing brace.
    fn add(&mut self, signature: &Signature, block: &Block) {
        let first = signature.span().start().line;
        let last = block.brace_token.span.close().end().line;
        self.0.push((signature.ident.to_string(), last - first + 1));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.add(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

/// What the list does not allow: a new offender, or a listed one that grew.
#[must_use]
pub fn beyond(present: &Ratchet, listed: &Ratchet) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, lines) in present {
        match listed.get(name) {
            Some(allowed) if lines <= allowed => {}
            Some(allowed) => found.push(Violation::new(
                name,
                format!("{lines} lines, grown from {allowed}: split it, or shrink it again"),
            )),
            None => found.push(Violation::new(
                name,
                format!(
                    "{lines} lines: split it (a function has at most {FUNCTION_LINES_MAX}, a file \
                     {FILE_LINES_MAX})"
                ),
            )),
        }
    }
    found
}

/// The list after an update: what shrank is lower, what is gone is gone. Only when told to `raise`
/// does it take in what is new or grew.
#[must_use]
pub fn updated(present: &Ratchet, listed: &Ratchet, raise: bool) -> Ratchet {
    let allowed = |name: &String, lines: usize| {
        if raise { Some(lines) } else { listed.get(name).map(|allowed| lines.min(*allowed)) }
    };
    let kept = present.iter().filter_map(|(name, lines)| Some((name, allowed(name, *lines)?)));
    kept.map(|(name, lines)| (name.clone(), lines)).collect()
}

/// Reads `ratchet.txt`: a line is a name and a number; `#` begins a remark.
///
/// # Panics
/// A line has no number.
#[must_use]
pub fn read(text: &str) -> Ratchet {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entry = |line: &str| {
        let (name, number) = line.rsplit_once(' ')?;
        Some((name.to_owned(), number.parse().ok()?))
    };
    lines
        .map(|line| entry(line).unwrap_or_else(|| panic!("ratchet.txt: no number in `{line}`")))
        .collect()
}

/// Writes what [`read`] reads.
#[must_use]
pub fn write(ratchet: &Ratchet) -> String {
    let head = "# Functions and files that are longer than they may be, with their lines. A listed \
                one may\n# shrink and never grows. After shrinking: UPDATE_RATCHET=1 cargo test -p \
                tests-tidy\n";
    let lines = ratchet.iter().map(|(name, lines)| format!("{name} {lines}\n"));
    head.to_owned() + &lines.collect::<String>()
}

/// Lines wider than two files side by side, but for those that hold a URL or lie in a literal of
/// several lines, where a break would change the text.
///
/// # Panics
/// The file is no Rust.
#[must_use]
pub fn too_wide(path: &str, text: &str) -> Vec<Violation> {
    let wide: Vec<_> = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| line.chars().count() > LINE_COLUMNS_MAX && !line.contains("://"))
        .collect();
    if wide.is_empty() {
        return Vec::new();
    }
    let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut literals = Vec::new();
    long_literals(tokens, &mut literals);
    let in_literal = |number| literals.iter().any(|(from, to)| (*from..=*to).contains(&number));
    let wide = wide.into_iter().filter(|(_, number)| !in_literal(*number));
    wide.map(|(line, number)| {
        let columns = line.chars().count();
        let what = format!("{columns} columns: break the line (at most {LINE_COLUMNS_MAX})");
        Violation::new(format!("{path}:{number}"), what)
    })
    .collect()
}

/// First and last line of each literal that spans several.
fn long_literals(tokens: TokenStream, found: &mut Vec<(usize, usize)>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => long_literals(group.stream(), found),
            TokenTree::Literal(literal) => {
                let (from, to) = (literal.span().start().line, literal.span().end().line);
                if from < to {
                    found.push((from, to));
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: usize) -> TextFile {
        let body = "    x();\n".repeat(lines - 2);
        TextFile { path: "planted.rs".into(), text: format!("/// Doc.\nfn long() {{\n{body}}}\n") }
    }

    #[test]
    fn a_long_function_and_a_long_file_are_found() {
        assert_eq!(too_long(&[of(FUNCTION_LINES_MAX)]), Ratchet::new());
        let long = too_long(&[of(FUNCTION_LINES_MAX + 1)]);
        assert_eq!(long, Ratchet::from([("fn planted.rs long".into(), FUNCTION_LINES_MAX + 1)]));
        assert_eq!(too_long(&[of(FILE_LINES_MAX + 1)]).len(), 2);
        let method = "impl X { fn m(&self) {\n".to_owned() + &"\n".repeat(90) + "} }";
        let method = TextFile { path: "planted.rs".into(), text: method };
        assert_eq!(too_long(&[method]).len(), 1);
    }

    #[test]
    fn a_listed_offender_may_shrink_and_never_grows() {
        let listed = Ratchet::from([("fn a f".into(), 80), ("file gone".into(), 500)]);
        let present = |lines| Ratchet::from([("fn a f".to_owned(), lines)]);
        assert_eq!(beyond(&present(80), &listed), []);
        assert_eq!(beyond(&present(75), &listed), []);
        assert_eq!(beyond(&present(81), &listed).len(), 1);
        assert_eq!(beyond(&present(81), &Ratchet::new()).len(), 1);
        assert_eq!(updated(&present(75), &listed, false), present(75));
        assert_eq!(updated(&present(90), &listed, false), present(80));
        assert_eq!(updated(&present(90), &Ratchet::new(), false), Ratchet::new());
        assert_eq!(updated(&present(90), &listed, true), present(90));
        assert_eq!(read(&write(&listed)), listed);
    }

    #[test]
    fn a_wide_line_is_found_unless_a_break_would_change_text() {
        let long = "x".repeat(LINE_COLUMNS_MAX);
        assert_eq!(too_wide("planted.rs", &format!("// {long}\n")).len(), 1);
        assert_eq!(too_wide("planted.rs", &format!("const A: &str = \"{long}\";\n")).len(), 1);
        assert_eq!(too_wide("planted.rs", &format!("// https://{long}\n")), []);
        assert_eq!(too_wide("planted.rs", &format!("const A: &str = r#\"\n{long}x\n\"#;\n")), []);
    }
}
