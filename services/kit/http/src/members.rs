//! The members of a body, as they stood in it: in their order, and with those that stand twice.
//!
//! A JSON reader commonly keeps the last of two members of one name; where they are amounts of
//! money, nobody can say which was meant. And a name that a careless client made of a person's must
//! not come back in an error: it is repeated only where it looks like a field of ours.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::problem::{INVALID_FIELDS, Problem};

/// Longest name of a field or parameter; ours are half as long.
const NAME_CHARS_MAX: usize = 40;

/// Whether a name looks like one of ours, so that an error may repeat it.
pub(crate) fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    text.len() <= NAME_CHARS_MAX
        && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && text.bytes().all(plain)
}

/// A JSON text.
pub(crate) enum Json {
    /// An object.
    Object(Members),
    /// Anything else.
    Other,
}

/// What an object holds.
#[derive(Default)]
pub(crate) struct Members {
    fields: Map<String, Value>,
    /// Where the first stands whose name no field can have.
    odd: Option<usize>,
    /// The first that stands more than once.
    twice: Option<String>,
}

impl Members {
    /// The fields, each of which stands once.
    pub(crate) fn into_fields(self) -> Result<Map<String, Value>, Problem> {
        let problem = Problem::from(INVALID_FIELDS);
        if let Some(place) = self.odd {
            let reason = format!("the name of member {place} is that of no field");
            return Err(problem.field("", reason));
        }
        match self.twice {
            Some(name) => Err(problem.field(name, "stands more than once")),
            None => Ok(self.fields),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Members::default();
        let mut place = 0;
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            place += 1;
            if !is_name(&name) {
                members.odd.get_or_insert(place);
            } else if members.fields.contains_key(&name) {
                members.twice.get_or_insert(name);
            } else {
                members.fields.insert(name, value);
            }
        }
        Ok(Json::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Json::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }
}
