//! Modules that import each other in a circle: whoever changes one must have all of them in mind.
//!
//! An edge is a path from one module to another of the same crate (`crate::`, `super::`, `self::`),
//! in an import, in code or within a macro; tests do not count, nor does a name that a module only
//! hands on (`pub use`). What stands in a circle is counted for each crate. The crates that have
//! circles are listed with their size, which may only shrink.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemUse, Macro, Path, UseTree, Visibility};

use crate::Violation;
use crate::tree::TextFile;

/// A module, by the names that lead to it from the crate's root.
type Module = Vec<String>;

/// The modules of one crate and what each imports of the others.
#[derive(Debug, Default)]
pub struct Crate {
    modules: BTreeMap<Module, Names>,
}

#[derive(Debug, Default)]
struct Names {
    /// Paths from the root that the module names.
    named: BTreeSet<Vec<String>>,
    /// What it hands on: the name, and the path from the root that it stands for.
    handed_on: BTreeMap<String, Vec<String>>,
}

/// The modules that stand in some circle, by the folder of their crate. A crate without circles is
/// not among them.
///
/// # Panics
/// A file is no Rust.
#[must_use]
pub fn circles(files: &[TextFile]) -> BTreeMap<String, Vec<Vec<String>>> {
    let mut crates: BTreeMap<&str, Crate> = BTreeMap::new();
    for file in files {
        if let Some((folder, module)) = place(&file.path) {
            crates.entry(folder).or_default().read(module, file);
        }
    }
    let found = crates.into_iter().map(|(folder, of)| (folder.to_owned(), of.circles()));
    found.filter(|(_, circles)| !circles.is_empty()).collect()
}

/// The crate's folder and the module that a file of product code is.
fn place(path: &str) -> Option<(&str, Module)> {
    let (folder, inner) = path.split_once("/src/")?;
    let mut module: Module = inner.strip_suffix(".rs")?.split('/').map(str::to_owned).collect();
    if matches!(module.last().map(String::as_str), Some("lib" | "main" | "mod")) {
        module.pop();
    }
    let is_test = |name: &String| name == "tests" || name.ends_with("_tests");
    (!module.iter().any(is_test)).then_some((folder, module))
}

impl Crate {
    fn read(&mut self, module: Module, file: &TextFile) {
        let parsed = syn::parse_file(&file.text);
        let parsed = parsed.unwrap_or_else(|error| panic!("{}: {error}", file.path));
        let mut reading = Reading { module: &module, names: Names::default() };
        reading.visit_file(&parsed);
        let names = reading.names;
        self.modules.entry(module).or_default().take(names);
    }

    /// The module that a path from the root leads to, through what modules hand on.
    fn resolve(&self, path: &[String], steps: usize) -> Module {
        let known = (0..=path.len()).rev().find(|n| self.modules.contains_key(&path[..*n]));
        let (module, rest) = path.split_at(known.unwrap_or_default());
        let handed_on = rest.first().and_then(|name| self.modules.get(module)?.handed_on.get(name));
        match handed_on {
            Some(path) if steps > 0 => self.resolve(path, steps - 1),
            _ => module.to_vec(),
        }
    }

    fn circles(&self) -> Vec<Vec<String>> {
        let steps = self.modules.len();
        let edges = |of: &Names| -> BTreeSet<Module> {
            of.named.iter().map(|path| self.resolve(path, steps)).collect()
        };
        let graph: BTreeMap<&Module, BTreeSet<Module>> =
            self.modules.iter().map(|(module, names)| (module, edges(names))).collect();
        let reach: BTreeMap<&Module, BTreeSet<Module>> =
            graph.keys().map(|from| (*from, reachable(&graph, from))).collect();
        let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
        for (module, reached) in &reach {
            let back = |other: &&Module| reach.get(other).is_some_and(|it| it.contains(*module));
            let circle: Vec<String> = reached.iter().filter(back).map(shown).collect();
            if circle.len() > 1 {
                found.insert(circle);
            }
        }
        found.into_iter().collect()
    }
}

fn reachable(graph: &BTreeMap<&Module, BTreeSet<Module>>, from: &Module) -> BTreeSet<Module> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from.clone()];
    while let Some(module) = open.pop() {
        for next in graph.get(&module).into_iter().flatten() {
            if reached.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    reached
}

fn shown(module: &Module) -> String {
    if module.is_empty() { "the root".to_owned() } else { module.join("::") }
}

impl Names {
    fn take(&mut self, other: Self) {
        self.named.extend(other.named);
        self.handed_on.extend(other.handed_on);
    }
}

struct Reading<'a> {
    module: &'a Module,
    names: Names,
}

impl Reading<'_> {
    /// The path from the root, where one leads there.
    fn rooted(&self, path: &[String]) -> Option<Vec<String>> {
        let mut at = match path.first()?.as_str() {
            "crate" => Vec::new(),
            "self" => self.module.clone(),
            "super" => self.module[..self.module.len().checked_sub(1)?].to_vec(),
            _ => return None,
        };
        for name in &path[1..] {
            if name == "super" {
                at.pop();
            } else {
                at.push(name.clone());
            }
        }
        Some(at)
    }

    fn name(&mut self, path: &[String]) {
        self.names.named.extend(self.rooted(path));
    }

    fn import(&mut self, tree: &UseTree, path: &mut Vec<String>, hands_on: bool) {
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.import(&step.tree, path, hands_on);
                path.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, path, hands_on);
                }
            }
            UseTree::Name(name) => self.leaf(&name.ident.to_string(), None, path, hands_on),
            UseTree::Rename(name) => {
                let known_as = name.rename.to_string();
                self.leaf(&name.ident.to_string(), Some(known_as), path, hands_on);
            }
            UseTree::Glob(_) => self.name(path),
        }
    }

    fn leaf(&mut self, name: &str, known_as: Option<String>, path: &[String], hands_on: bool) {
        let mut whole = path.to_vec();
        if name != "self" {
            whole.push(name.to_owned());
        }
        if !hands_on {
            return self.name(&whole);
        }
        // `pub use errors::Broken` in a module names its own child.
        let first = whole.first().cloned().unwrap_or_default();
        let relative = !matches!(first.as_str(), "crate" | "self" | "super");
        let within = if relative { [&["self".to_owned()], &whole[..]].concat() } else { whole };
        if let Some(target) = self.rooted(&within) {
            let known_as = known_as.or_else(|| target.last().cloned()).unwrap_or_default();
            self.names.handed_on.insert(known_as, target);
        }
    }

    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(ident) if ident == "crate" || ident == "super" => {
                    let path = path_in(&tokens[at..]);
                    if path.len() > 1 {
                        self.name(&path);
                    }
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
}

/// The path with which some tokens begin.
fn path_in(tokens: &[TokenTree]) -> Vec<String> {
    let mut path = Vec::new();
    let mut rest = tokens;
    while let [TokenTree::Ident(name), after @ ..] = rest {
        path.push(name.to_string());
        match after {
            [TokenTree::Punct(a), TokenTree::Punct(b), next @ ..]
                if a.as_char() == ':' && b.as_char() == ':' =>
            {
                rest = next;
            }
            _ => break,
        }
    }
    path
}

impl<'ast> Visit<'ast> for Reading<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let hands_on = !matches!(item.vis, Visibility::Inherited);
        self.import(&item.tree, &mut Vec::new(), hands_on);
    }

    /// `pub(crate)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast Path) {
        let names: Vec<String> = path.segments.iter().map(|it| it.ident.to_string()).collect();
        self.name(&names);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.tokens(item.tokens.clone());
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Fn(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    let meta = &attribute.meta;
    meta.path().is_ident("cfg")
        && meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
}

/// Reads the list: a folder and a number on each line.
#[must_use]
pub fn read(text: &str) -> BTreeMap<String, usize> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).filter_map(known).collect()
}

fn known((folder, size): (&str, &str)) -> Option<(String, usize)> {
    Some((folder.to_owned(), size.trim().parse().ok()?))
}

/// Modules in circles, of each crate.
#[must_use]
pub fn sizes(circles: &BTreeMap<String, Vec<Vec<String>>>) -> BTreeMap<String, usize> {
    let count = |of: &Vec<Vec<String>>| of.iter().map(Vec::len).sum();
    circles.iter().map(|(folder, of)| (folder.clone(), count(of))).collect()
}

/// Crates with more in circles than is listed, each with its circles.
#[must_use]
pub fn beyond(
    circles: &BTreeMap<String, Vec<Vec<String>>>,
    listed: &BTreeMap<String, usize>,
) -> Vec<Violation> {
    let sizes = sizes(circles);
    let grown = circles.iter().filter(|(folder, _)| {
        let may = listed.get(*folder).copied().unwrap_or_default();
        sizes.get(*folder).is_some_and(|size| *size > may)
    });
    grown
        .map(|(folder, of)| {
            let (may, size) = (listed.get(folder).copied().unwrap_or_default(), sizes[folder]);
            let lines: Vec<String> = of.iter().map(|circle| circle.join(", ")).collect();
            let what = format!(
                "{size} modules import each other in circles, and {may} may: {}; move what they \
                 share into a module that imports neither",
                lines.join("; and ")
            );
            Violation::new(folder, what)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let file = |(name, text): &(&str, &str)| TextFile {
            path: format!("services/planted/src/{name}.rs"),
            text: (*text).to_owned(),
        };
        let files: Vec<_> = files.iter().map(file).collect();
        circles(&files).remove("services/planted").unwrap_or_default()
    }

    #[test]
    fn two_modules_that_import_each_other_are_a_circle() {
        let one = [("a", "use crate::b::B;"), ("b", "fn f() -> crate::a::A { f() }")];
        assert_eq!(found(&one), [["a", "b"]]);
        let in_a_macro = [("a", "use crate::b::B;"), ("b", "fn f() { say!(crate::a::A) }")];
        assert_eq!(found(&in_a_macro), [["a", "b"]]);
        assert_eq!(found(&[("a", "use crate::b::B;"), ("b", "use std::fmt;")]).len(), 0);
    }

    #[test]
    fn what_a_module_hands_on_is_no_import_and_stands_for_what_it_names() {
        let root = "mod a; mod b; pub use a::A; pub struct Shared;";
        let files = [("lib", root), ("a", "use crate::Shared;"), ("b", "use crate::A;")];
        assert_eq!(found(&files).len(), 0);
        let files = [("lib", root), ("a", "use crate::b::B;"), ("b", "use crate::A;")];
        assert_eq!(found(&files), [["a", "b"]]);
        let within = [("lib", "use crate::a::A;"), ("a", "pub(crate) struct A;")];
        assert_eq!(found(&within).len(), 0, "a visibility is no import");
        let root = "mod a; use crate::a::A; pub struct Shared(A);";
        assert_eq!(found(&[("lib", root), ("a", "use crate::Shared;")]), [["the root", "a"]]);
    }

    #[test]
    fn a_child_and_its_parent_are_two_modules_and_tests_are_none() {
        let child = [("a/mod", "mod b; use self::b::B;"), ("a/b", "use super::A;")];
        assert_eq!(found(&child), [["a", "a::b"]]);
        let test = "#[cfg(test)] mod tests { use crate::b::B; }";
        assert_eq!(found(&[("a", test), ("b", "use crate::a::A;")]).len(), 0);
        let helper = [("a_tests", "use crate::b::B;"), ("b", "use crate::a_tests::A;")];
        assert_eq!(found(&helper).len(), 0);
    }

    #[test]
    fn a_listed_crate_may_shrink_and_not_grow() {
        let circle = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            BTreeMap::from([("services/x".to_owned(), vec![names])])
        };
        let listed = read("# why\nservices/x 2\n");
        assert_eq!(beyond(&circle(&["a", "b"]), &listed), []);
        assert_eq!(beyond(&circle(&["a", "b", "c"]), &listed).len(), 1);
        assert_eq!(beyond(&circle(&["a", "b"]), &BTreeMap::new()).len(), 1);
    }
}
