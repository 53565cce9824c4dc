//! What comes in by the back door: clocks, chance, unfinished code, silenced lints.
//!
//! Tokens are looked at, not the syntax tree: what stands within a macro counts too, and what
//! stands in comments and strings does not.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::Violation;

/// A path that may not be named, as its last two parts, and what to do instead.
#[derive(Clone, Copy)]
struct Forbidden {
    path: [&'static str; 2],
    instead: &'static str,
}

const TIME: &str = "time is an argument: take `now: Timestamp`";
const CHANCE: &str = "ids and chance are arguments: take them from the caller";
const CLOCK: &str = "only kit-clock reads the wall clock: take a `Clock`";

/// What no domain names.
const IN_DOMAINS: &[Forbidden] = &[
    Forbidden { path: ["Utc", "now"], instead: TIME },
    Forbidden { path: ["Local", "now"], instead: TIME },
    Forbidden { path: ["SystemTime", "now"], instead: TIME },
    Forbidden { path: ["Instant", "now"], instead: TIME },
    Forbidden { path: ["rand", "rng"], instead: CHANCE },
    Forbidden { path: ["rand", "random"], instead: CHANCE },
    Forbidden { path: ["rand", "thread_rng"], instead: CHANCE },
    Forbidden { path: ["Uuid", "new_v4"], instead: CHANCE },
    Forbidden { path: ["Uuid", "now_v7"], instead: CHANCE },
];

/// What nobody names but kit-clock.
const ANYWHERE: &[Forbidden] = &[
    Forbidden { path: ["Utc", "now"], instead: CLOCK },
    Forbidden { path: ["Local", "now"], instead: CLOCK },
    Forbidden { path: ["SystemTime", "now"], instead: CLOCK },
];

/// Who may read the wall clock: the clock, and the practice, which plays somebody else's software.
const CLOCK_READERS: [&str; 2] = ["services/kit/clock/", "services/practice/"];

const DECLARED: &str = "declare it with kit-metric, which names it once";

/// What nobody names but kit-metric.
const METRICS: &[Forbidden] = &[
    Forbidden { path: ["metrics", "counter"], instead: DECLARED },
    Forbidden { path: ["metrics", "gauge"], instead: DECLARED },
    Forbidden { path: ["metrics", "histogram"], instead: DECLARED },
];
const METRICS_ARE_MADE_IN: &str = "services/kit/metric/";

/// Macros that stand for something unfinished.
const UNFINISHED: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// Everything in one file that came in by the back door.
///
/// # Panics
/// The file is no Rust.
#[must_use]
pub fn violations(path: &str, text: &str) -> Vec<Violation> {
    let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
    let paths = if path.starts_with("services/domains/") {
        IN_DOMAINS
    } else if CLOCK_READERS.iter().any(|reader| path.starts_with(reader)) {
        &[]
    } else {
        ANYWHERE
    };
    let metrics = if path.starts_with(METRICS_ARE_MADE_IN) { &[] } else { METRICS };
    let paths = [paths, metrics].concat();
    let mut scan = Scan { path, paths, found: Vec::new() };
    scan.stream(tokens);
    scan.found
}

struct Scan<'a> {
    path: &'a str,
    paths: Vec<Forbidden>,
    found: Vec<Violation>,
}

impl Scan<'_> {
    fn stream(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for at in 0..tokens.len() {
            self.forbidden_path(&tokens[at..]);
            self.unfinished(&tokens[at..]);
            self.allowed_lint(&tokens[at..]);
            if let TokenTree::Group(group) = &tokens[at] {
                self.stream(group.stream());
            }
        }
    }

    fn add(&mut self, at: &TokenTree, what: String) {
        let line = at.span().start().line;
        self.found.push(Violation::new(format!("{}:{line}", self.path), what));
    }

    fn forbidden_path(&mut self, tokens: &[TokenTree]) {
        let [first, colon, colons, second, ..] = tokens else { return };
        if !is_punct(colon, ':') || !is_punct(colons, ':') {
            return;
        }
        let named = |of: &&Forbidden| is_ident(first, of.path[0]) && is_ident(second, of.path[1]);
        if let Some(Forbidden { path: [a, b], instead }) = self.paths.iter().find(named) {
            self.add(first, format!("{a}::{b}: {instead}"));
        }
    }

    fn unfinished(&mut self, tokens: &[TokenTree]) {
        let [name, bang, TokenTree::Group(_), ..] = tokens else { return };
        if let Some(word) = UNFINISHED.iter().find(|word| is_ident(name, word))
            && is_punct(bang, '!')
        {
            self.add(name, format!("{word}! has no place here: finish it or leave it out"));
        }
    }

    fn allowed_lint(&mut self, tokens: &[TokenTree]) {
        let attribute = match tokens {
            [hash, TokenTree::Group(group), ..] if is_punct(hash, '#') => group,
            [hash, bang, TokenTree::Group(group), ..]
                if is_punct(hash, '#') && is_punct(bang, '!') =>
            {
                group
            }
            _ => return,
        };
        if attribute.delimiter() == Delimiter::Bracket && says_allow(attribute.stream()) {
            let what = "allow: write #[expect(lint, reason = \"...\")], which ends with its cause";
            self.add(&tokens[0], what.into());
        }
    }
}

/// Whether `allow(...)` stands in an attribute, plainly or within `cfg_attr`.
fn says_allow(tokens: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    tokens
        .windows(2)
        .any(|pair| matches!(pair, [name, TokenTree::Group(_)] if is_ident(name, "allow")))
        || tokens.iter().any(|token| match token {
            TokenTree::Group(group) => says_allow(group.stream()),
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => false,
        })
}

fn is_ident(token: &TokenTree, name: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == name)
}

fn is_punct(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        violations(path, text).len()
    }

    #[test]
    fn clocks_and_chance_are_found_where_they_may_not_be() {
        let domain = "services/domains/x/src/lib.rs";
        let clock = "fn f() { let x = chrono::Utc::now(); }";
        assert_eq!(count(domain, clock), 1);
        assert_eq!(count("services/edge/src/lib.rs", clock), 1);
        assert_eq!(count("services/kit/clock/src/lib.rs", clock), 0);
        assert_eq!(count("services/practice/src/lib.rs", clock), 0);
        let measured = "fn f() { assert!(std::time::Instant::now() < x); }";
        assert_eq!(count(domain, measured), 1, "within a macro");
        assert_eq!(count("services/edge/src/lib.rs", measured), 0);
        assert_eq!(count(domain, "fn f() { Uuid::new_v4(); rand::rng(); }"), 2);
        assert_eq!(count(domain, "/// Utc::now()\nfn f() { g(\"Utc::now()\"); }"), 0);
    }

    #[test]
    fn a_metric_is_named_where_it_is_declared() {
        let counted = "fn f() { metrics::counter!(\"arteria_x_total\").increment(1); }";
        assert_eq!(count("services/edge/src/lib.rs", counted), 1);
        assert_eq!(count("services/kit/metric/src/lib.rs", counted), 0);
    }

    #[test]
    fn unfinished_code_and_silenced_lints_are_found() {
        let planted = format!("fn f() {{ {}!() }}", "todo");
        assert_eq!(count("services/edge/src/lib.rs", &planted), 1);
        for attribute in ["allow(dead_code)", "cfg_attr(test, allow(dead_code))"] {
            assert_eq!(count("x.rs", &format!("#[{attribute}] fn f() {{}}")), 1);
            assert_eq!(count("x.rs", &format!("#![{attribute}]")), 1);
        }
        assert_eq!(count("x.rs", "#[expect(dead_code, reason = \"r\")] fn allow(x: u8) {}"), 0);
    }
}
