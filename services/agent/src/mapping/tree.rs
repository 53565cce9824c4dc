//! A mapping file as a tree whose every part knows its line, so that all mistakes can be told at
//! once, each where it stands.

use std::cell::RefCell;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One mistake in a mapping file. It quotes names that stand in the file, never a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, in one sentence.
    pub problem: String,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

/// Longest piece of the file that a mistake quotes.
const QUOTED_CHARS_MAX: usize = 60;

/// A piece of the file inside a mistake.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// Collects mistakes by line.
pub struct Mistakes {
    /// Where each line begins, so that a file with a mistake in each of its lines is told in a
    /// moment.
    lines: Vec<usize>,
    found: RefCell<Vec<Mistake>>,
}

impl Mistakes {
    /// None found yet.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Self { lines, found: RefCell::new(Vec::new()) }
    }

    /// A mistake at a byte of the file.
    pub fn at(&self, byte: usize, problem: impl Into<String>) {
        let line = self.line_of(byte);
        self.found.borrow_mut().push(Mistake { line, problem: problem.into() });
    }

    /// The line of a byte, from 1.
    pub fn line_of(&self, byte: usize) -> usize {
        self.lines.partition_point(|&begin| begin <= byte)
    }

    /// The first byte of a line.
    pub fn byte_of(&self, line: usize) -> usize {
        self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// How many were found so far.
    pub fn count(&self) -> usize {
        self.found.borrow().len()
    }

    /// All of them, in the order of lines.
    pub fn into_all(self) -> Vec<Mistake> {
        let mut all = self.found.into_inner();
        all.sort();
        all.dedup();
        all
    }
}

/// One table of the file, of which each key is to be taken once.
pub struct Part<'a, 't> {
    table: &'a DeTable<'t>,
    /// Where it begins.
    pub at: usize,
    taken: RefCell<Vec<&'a str>>,
    mistakes: &'a Mistakes,
}

/// One value of the file, and where it stands.
#[derive(Clone, Copy)]
pub struct Found<'a, 't> {
    value: &'a DeValue<'t>,
    /// Where its key begins.
    pub at: usize,
}

impl<'a, 't> Part<'a, 't> {
    /// A part of the file.
    pub fn new(table: &'a DeTable<'t>, at: usize, mistakes: &'a Mistakes) -> Self {
        Self { table, at, taken: RefCell::new(Vec::new()), mistakes }
    }

    /// The value of a key.
    pub fn take(&self, key: &'static str) -> Option<Found<'a, 't>> {
        if !self.taken.borrow().contains(&key) {
            self.taken.borrow_mut().push(key);
        }
        let (name, value) = self.table.get_key_value(key)?;
        Some(Found { value: value.get_ref(), at: name.span().start })
    }

    /// The text of a key.
    pub fn text(&self, key: &'static str) -> Option<(String, usize)> {
        let found = self.take(key)?;
        if let Some(text) = found.value.as_str() {
            Some((text.to_owned(), found.at))
        } else {
            self.wrong(found, key, "a text");
            None
        }
    }

    /// The text of a key that must be there.
    pub fn wanted(&self, key: &'static str) -> Option<(String, usize)> {
        if self.table.get(key).is_none() {
            self.mistakes.at(self.at, format!("{key} is missing"));
        }
        self.text(key)
    }

    /// The yes or no of a key; no where it is missing.
    pub fn flag(&self, key: &'static str) -> bool {
        let Some(found) = self.take(key) else { return false };
        found.value.as_bool().unwrap_or_else(|| {
            self.wrong(found, key, "true or false");
            false
        })
    }

    /// The texts of a key that holds a list of them.
    pub fn texts(&self, key: &'static str) -> Option<(Vec<String>, usize)> {
        let found = self.take(key)?;
        let Some(items) = found.value.as_array() else {
            self.wrong(found, key, "a list of texts");
            return None;
        };
        let mut texts = Vec::new();
        for item in items {
            match item.get_ref().as_str() {
                Some(text) => texts.push(text.to_owned()),
                None => self.wrong(found, key, "a list of texts"),
            }
        }
        Some((texts, found.at))
    }

    /// The table of a key.
    pub fn part(&self, key: &'static str) -> Option<Part<'a, 't>> {
        let found = self.take(key)?;
        found.part(self.mistakes).or_else(|| {
            self.wrong(found, key, "a table");
            None
        })
    }

    /// Every key with its value, in the order of the file.
    pub fn entries(&self) -> Vec<(&'a str, Found<'a, 't>)> {
        let mut entries: Vec<_> = self
            .table
            .iter()
            .map(|(name, value)| {
                let found = Found { value: value.get_ref(), at: name.span().start };
                (name.get_ref().as_ref(), found)
            })
            .collect();
        entries.sort_by_key(|(_, found)| found.at);
        entries
    }

    /// A key that nobody took is a slip of the pen.
    pub fn finish(&self, what: &str) {
        let taken = self.taken.borrow();
        for (name, found) in self.entries() {
            if !taken.contains(&name) {
                let known = taken.join(", ");
                let problem = format!("{what} has no {}; it may have {known}", shown(name));
                self.mistakes.at(found.at, problem);
            }
        }
    }

    fn wrong(&self, found: Found<'_, '_>, key: &str, wanted: &str) {
        self.mistakes.at(found.at, format!("{key} is {wanted}"));
    }
}

impl<'a, 't> Found<'a, 't> {
    /// Its text.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    /// Its table.
    pub fn part(&self, mistakes: &'a Mistakes) -> Option<Part<'a, 't>> {
        self.value.as_table().map(|table| Part::new(table, self.at, mistakes))
    }

    /// Its tables, where it is a list of them.
    pub fn parts(&self, mistakes: &'a Mistakes) -> Option<Vec<Part<'a, 't>>> {
        let items = self.value.as_array()?;
        let part = |item: &'a Spanned<DeValue<'t>>| {
            let table = item.get_ref().as_table()?;
            Some(Part::new(table, item.span().start, mistakes))
        };
        items.iter().map(part).collect()
    }

    /// Its whole number.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        let number = self.value.as_integer()?;
        i64::from_str_radix(number.as_str(), number.radix()).ok()
    }

    /// A plain value: text, whole number, or yes and no.
    pub fn plain(&self) -> Option<serde_json::Value> {
        let text = self.text().map(serde_json::Value::from);
        text.or_else(|| self.integer().map(serde_json::Value::from))
            .or_else(|| self.value.as_bool().map(serde_json::Value::from))
    }
}
