//! Names and papers: no drawers, an essay at the head of each crate, a map in each folder.

use syn::visit::{self, Visit};

use crate::Violation;

/// Names of drawers: whatever lies in one belongs somewhere.
const DRAWERS: [&str; 7] = ["common", "helper", "helpers", "shared", "util", "utilities", "utils"];

/// The fewest lines of the essay at the head of a crate.
pub const ESSAY_LINES_MIN: usize = 3;

/// A crate named as a drawer.
#[must_use]
pub fn crate_named_as_drawer(name: &str) -> Option<Violation> {
    let word = name.split(['-', '_']).find(|word| DRAWERS.contains(word))?;
    Some(Violation::new(name, format!("a crate named {word}: name what it is for")))
}

/// Modules named as drawers, by their file or in it.
///
/// # Panics
/// The file is no Rust.
#[must_use]
pub fn modules_named_as_drawers(path: &str, text: &str) -> Vec<Violation> {
    let drawer = |name: &str| DRAWERS.contains(&name);
    let of_path = path.trim_end_matches(".rs").split('/').filter(|part| drawer(part));
    let mut found: Vec<_> = of_path.map(|part| name_it(path, part)).collect();
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut modules = Modules(Vec::new());
    modules.visit_file(&file);
    found.extend(modules.0.iter().filter(|name| drawer(name)).map(|name| name_it(path, name)));
    found
}

fn name_it(path: &str, drawer: &str) -> Violation {
    Violation::new(path, format!("a module named {drawer}: name what it holds"))
}

struct Modules(Vec<String>);

impl<'ast> Visit<'ast> for Modules {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.0.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
    }
}

/// A crate's root without its essay.
#[must_use]
pub fn missing_essay(path: &str, text: &str) -> Option<Violation> {
    let lines = text.lines().take_while(|line| line.starts_with("//!")).count();
    (lines < ESSAY_LINES_MIN).then(|| {
        let what = "begin with `//!`: what the crate is for, and what it must never know";
        Violation::new(path, format!("{what} (at least {ESSAY_LINES_MIN} lines, found {lines})"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawers_are_found() {
        assert!(crate_named_as_drawer("kit-common").is_some());
        assert!(crate_named_as_drawer("kit-commons-of-venice").is_none());
        assert_eq!(modules_named_as_drawers("services/x/src/util.rs", "").len(), 1);
        assert_eq!(modules_named_as_drawers("services/x/tests/common/mod.rs", "").len(), 1);
        assert_eq!(modules_named_as_drawers("x.rs", "mod a { mod helpers {} }").len(), 1);
        assert_eq!(modules_named_as_drawers("services/x/src/diary.rs", "mod slots;"), []);
    }

    #[test]
    fn a_missing_essay_is_found() {
        assert!(missing_essay("lib.rs", "//! One.\n//! Two.\n").is_some());
        assert!(missing_essay("lib.rs", "//! One.\n//!\n//! Three.\n").is_none());
        assert!(missing_essay("lib.rs", "use x;\n//! One.\n//!\n//! Three.\n").is_some());
    }
}
