//! Every topic has a writer and a reader among the roles: one that nobody writes is a promise
//! without a promiser, one that nobody reads is a leak.
//!
//! A function that names a topic and publishes is a writer of it, one that names it and assigns
//! its partitions is a reader; where the function does neither, the rest of its file decides. Some
//! calls of the bus name their topic themselves. Tests count for nothing.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item};

use crate::Violation;
use crate::tree::TextFile;

/// Folders of the roles that write and read for a living; a demonstration is none.
pub const ROLES: [&str; 4] = [
    "services/edge/src/",
    "services/gateway/src/",
    "services/projector/src/",
    "services/publisher/src/",
];

/// Words of a function that publishes what it names.
const WRITES: [&str; 3] = ["Outgoing", "publish", "enqueue"];
/// Words of a function that reads what it names.
const READS: [&str; 2] = ["assign", "scan"];
/// Calls of the bus that write one topic, and which.
const WRITES_BY_NAME: [(&str, &str); 7] = [
    ("publish_fact", "Facts"),
    ("enqueue_fact", "Facts"),
    ("seal_fact", "Facts"),
    ("seal_public", "Domain"),
    ("publish_request", "Requests"),
    ("publish_reply", "Replies"),
    ("park", "Parked"),
];

/// Topics that people read, and with what; the list shrinks as roles learn to.
const READ_BY_PEOPLE: [(&str, &str); 2] = [
    ("Domain", "analysts and integrators read it; examples/ holds their first consumers"),
    ("Parked", "an operator reads it with kcat until there is a redrive"),
];

/// Who writes and who reads, by topic.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Topics with a writer.
    pub written: BTreeSet<String>,
    /// Topics with a reader.
    pub read: BTreeSet<String>,
}

/// The variants of `enum Topic` in the sources of kit-bus.
#[must_use]
pub fn topics(bus: &[TextFile]) -> Vec<String> {
    let items = bus.iter().filter_map(|file| syn::parse_file(&file.text).ok());
    let topic = items.flat_map(|file| file.items).find_map(|item| match item {
        Item::Enum(item) if item.ident == "Topic" => Some(item),
        _ => None,
    });
    let variants = topic.into_iter().flat_map(|item| item.variants);
    variants.map(|variant| variant.ident.to_string()).collect()
}

/// What several roles do together. A role that looks at what it alone wrote, to know how far it
/// came, is no reader of it: somebody else must be.
pub fn together(roles: impl IntoIterator<Item = Traffic>) -> Traffic {
    let roles: Vec<_> = roles.into_iter().collect();
    let mut all = Traffic::default();
    for (at, role) in roles.iter().enumerate() {
        let others = roles.iter().enumerate().filter(|(other, _)| *other != at);
        let by_others: BTreeSet<_> = others.flat_map(|(_, other)| &other.written).collect();
        let is_read = |topic: &&String| !role.written.contains(*topic) || by_others.contains(topic);
        all.read.extend(role.read.iter().filter(is_read).cloned());
        all.written.extend(role.written.iter().cloned());
    }
    all
}

/// Topics without a writer or a reader, and exceptions that are none any more.
#[must_use]
pub fn violations(topics: &[String], traffic: &Traffic) -> Vec<Violation> {
    let mut found = Vec::new();
    for topic in topics {
        let mut wrong = |what: &str| found.push(Violation::new(format!("Topic::{topic}"), what));
        if !traffic.written.contains(topic) {
            wrong("no role writes it: give it a writer, or take the topic away");
        }
        let by_people = READ_BY_PEOPLE.iter().any(|(name, _)| name == topic);
        match (traffic.read.contains(topic), by_people) {
            (false, false) => wrong("no role reads it: give it a reader, or take the topic away"),
            (true, true) => wrong("a role reads it now: take it off READ_BY_PEOPLE"),
            (true, false) | (false, true) => {}
        }
    }
    found
}

/// What the given files write and read.
///
/// # Panics
/// A file is no Rust.
#[must_use]
pub fn traffic(files: &[TextFile]) -> Traffic {
    let mut traffic = Traffic::default();
    for TextFile { path, text } in files {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut bodies = Bodies::default();
        bodies.visit_file(&file);
        let whole = bodies.words.iter().fold(Words::default(), Words::with);
        for words in &bodies.words {
            words.count(&whole, &bodies.constants, &mut traffic);
        }
    }
    traffic
}

/// What a body says: its words, and the topics that it names.
#[derive(Default, Clone)]
struct Words {
    said: BTreeSet<String>,
    topics: BTreeSet<String>,
}

impl Words {
    fn of(tokens: TokenStream) -> Self {
        let mut words = Self::default();
        words.hear(tokens);
        words
    }

    fn hear(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => self.hear(group.stream()),
                TokenTree::Ident(word) => {
                    if word == "Topic"
                        && let Some(TokenTree::Ident(topic)) = tokens.get(at + 3)
                        && !is_pattern(&tokens[at + 4..])
                    {
                        self.topics.insert(topic.to_string());
                    }
                    self.said.insert(word.to_string());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    fn with(mut self, other: &Self) -> Self {
        self.said.extend(other.said.iter().cloned());
        self
    }

    fn says(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.said.contains(*word))
    }

    fn count(&self, file: &Self, constants: &BTreeMap<String, String>, traffic: &mut Traffic) {
        for (call, topic) in WRITES_BY_NAME {
            if self.said.contains(call) {
                traffic.written.insert(topic.to_owned());
            }
        }
        let by_constant = constants.iter().filter(|(name, _)| self.said.contains(*name));
        let topics = self.topics.iter().chain(by_constant.map(|(_, topic)| topic));
        let decides = if self.says(&WRITES) || self.says(&READS) { self } else { file };
        for topic in topics {
            if decides.says(&WRITES) {
                traffic.written.insert(topic.clone());
            }
            if decides.says(&READS) {
                traffic.read.insert(topic.clone());
            }
        }
    }
}

/// The bodies of a file's functions, and its constants that name a topic.
#[derive(Default)]
struct Bodies {
    words: Vec<Words>,
    constants: BTreeMap<String, String>,
}

impl<'ast> Visit<'ast> for Bodies {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            self.words.push(Words::of(tokens(&item.block)));
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.words.push(Words::of(tokens(&item.block)));
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        let words = Words::of(tokens(&item.expr));
        for topic in &words.topics {
            self.constants.insert(item.ident.to_string(), topic.clone());
        }
    }
}

/// Whether what went before is a pattern of a match: an arrow or another pattern follows.
fn is_pattern(rest: &[TokenTree]) -> bool {
    let sign = |at: usize| match rest.get(at) {
        Some(TokenTree::Punct(sign)) => Some(sign.as_char()),
        _ => None,
    };
    sign(0) == Some('|') || (sign(0) == Some('=') && sign(1) == Some('>'))
}

fn tokens(of: &impl quote::ToTokens) -> TokenStream {
    of.to_token_stream()
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = tokens(&attribute.meta).to_string();
        text == "test" || text.ends_with(":: test") || text.replace(' ', "") == "cfg(test)"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Traffic {
        traffic(&[TextFile { path: "planted.rs".into(), text: text.into() }])
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn writers_and_readers_are_told_apart() {
        let text = "
            const LOG: Topic = Topic::Facts;
            fn write() { bus.publish(Outgoing { topic: Topic::Replies, key }) }
            impl X { async fn read(&self) { self.reader.assign(Topic::Requests, starts) } }
            fn tail() { reader.assign(LOG, starts); }
            #[cfg(test)] mod tests { fn f() { reader.assign(Topic::Parked, x) } }
        ";
        let traffic = of(text);
        assert_eq!(traffic.written, set(&["Replies"]));
        assert_eq!(traffic.read, set(&["Facts", "Requests"]));
        assert_eq!(of("fn f() { bus.publish_fact(fact) }").written, set(&["Facts"]));
        assert_eq!(of("fn f() { name(Topic::Facts) }"), Traffic::default());
    }

    #[test]
    fn who_reads_only_what_it_wrote_itself_is_no_reader() {
        let publisher = || of("fn f() { bus.seal_public(x) } fn g() { scan(Topic::Domain(y)) }");
        assert_eq!(publisher().read, set(&["Domain"]));
        assert_eq!(together([publisher()]).read, set(&[]));
        let other = of("fn g() { scan(Topic::Domain(y)) }");
        let all = together([publisher(), other]);
        assert_eq!((all.read, all.written), (set(&["Domain"]), set(&["Domain"])));
    }

    #[test]
    fn a_topic_in_a_pattern_is_no_traffic() {
        let text = "fn f() { assign(Topic::Facts); }
                    fn g() { match t { Topic::Parked | Topic::Replies => {} Topic::Facts => x } }";
        assert_eq!(of(text).read, set(&["Facts"]));
    }

    #[test]
    fn a_topic_without_traffic_is_found() {
        let topics = vec!["Facts".to_owned(), "Parked".to_owned()];
        let both = Traffic { written: set(&["Facts", "Parked"]), read: set(&["Facts"]) };
        assert_eq!(violations(&topics, &both), []);
        assert_eq!(violations(&topics, &Traffic::default()).len(), 3);
        let read = Traffic { read: set(&["Facts", "Parked"]), ..both };
        assert_eq!(violations(&topics, &read).len(), 1);
    }

    #[test]
    fn the_list_of_topics_is_the_enum_of_the_bus() {
        let text = "pub enum Other { X } pub enum Topic { Requests, Facts }".to_owned();
        assert_eq!(topics(&[TextFile { path: "bus.rs".into(), text }]), ["Requests", "Facts"]);
    }
}
