//! Plain data in the order in which it was given, as YAML that a person reads. It needs no rules of
//! escaping beyond JSON's, since a JSON string is a YAML string.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A value whose members keep their order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    Map(Vec<(String, Tree)>),
    List(Vec<Tree>),
    Leaf(Value),
}

/// A map in the order given.
pub(crate) fn map<K: Into<String>>(members: impl IntoIterator<Item = (K, Tree)>) -> Tree {
    Tree::Map(members.into_iter().map(|(name, member)| (name.into(), member)).collect())
}

/// A text, a number, a boolean.
pub(crate) fn leaf(value: impl Into<Value>) -> Tree {
    Tree::Leaf(value.into())
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        block(self, 0, f)
    }
}

fn block(tree: &Tree, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match tree {
        Tree::Map(members) => members.iter().try_for_each(|(name, member)| {
            indent(depth, f)?;
            entry(name, member, depth, f)
        }),
        Tree::List(items) => items.iter().try_for_each(|item| {
            indent(depth, f)?;
            f.write_str("-")?;
            let Tree::Map(members) = item else { return after(item, depth, f) };
            let Some(((name, member), rest)) = members.split_first() else {
                return f.write_str(" {}\n");
            };
            // The first member stands beside the dash, the others below it.
            f.write_str(" ")?;
            entry(name, member, depth + 1, f)?;
            rest.iter().try_for_each(|(name, member)| {
                indent(depth + 1, f)?;
                entry(name, member, depth + 1, f)
            })
        }),
        Tree::Leaf(value) => writeln!(f, "{value}"),
    }
}

fn entry(name: &str, member: &Tree, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if is_plain(name) {
        f.write_str(name)?;
    } else {
        write!(f, "{}", Value::from(name))?;
    }
    f.write_str(":")?;
    after(member, depth, f)
}

/// What follows a name or a dash.
fn after(tree: &Tree, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match tree {
        Tree::Leaf(value) => writeln!(f, " {value}"),
        Tree::Map(members) if members.is_empty() => f.write_str(" {}\n"),
        Tree::List(items) if items.is_empty() => f.write_str(" []\n"),
        Tree::Map(_) | Tree::List(_) => {
            f.write_str("\n")?;
            block(tree, depth + 1, f)
        }
    }
}

/// Whether a name needs no quotes: a word, and none that YAML takes for something else.
fn is_plain(name: &str) -> bool {
    let odd = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
        && !odd.contains(&name)
}

fn indent(depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    (0..depth).try_for_each(|_| f.write_str("  "))
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InOrder)
    }
}

/// Reads JSON without losing the order of its members.
struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Tree, E> {
        Ok(leaf(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Tree, E> {
        Ok(leaf(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Tree, E> {
        Ok(leaf(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Tree, E> {
        Ok(leaf(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Tree, E> {
        Ok(leaf(value))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some(member) = members.next_entry()? {
            map.push(member);
        }
        Ok(Tree::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_stands_in_blocks_in_its_order_and_text_in_quotes() {
        let json = r#"{"b-c": "x: \"y\"\n#", "a": 1.5, "d": [], "e": {}, "on": null,
            "f": [{"g": "h", "i": [-1, "two", [true]]}, {}]}"#;
        let tree: Tree = serde_json::from_str(json).unwrap();
        let expected = concat!(
            "\"b-c\": \"x: \\\"y\\\"\\n#\"\n",
            "a: 1.5\n",
            "d: []\n",
            "e: {}\n",
            "\"on\": null\n",
            "f:\n",
            "  - g: \"h\"\n",
            "    i:\n",
            "      - -1\n",
            "      - \"two\"\n",
            "      -\n",
            "        - true\n",
            "  - {}\n",
        );
        assert_eq!(tree.to_string(), expected);
    }
}
