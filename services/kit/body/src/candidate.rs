//! A schema that an operator offers for a type, read with suspicion before the registry hears of
//! it: it must be Avro, of the table, and called as its type is.

use kit_event::type_name::TYPE_NAME_BYTES_MAX;
use serde_json::Value;

use crate::name;
use crate::schema::{BodySchema, SchemaError};

/// What a field says that may leave the house: the publisher carries the fields so marked, and no
/// others, to the topics of analysts.
pub const PUBLIC_MARK: &str = "arteria.public";

/// Why a text is no schema for a type.
#[derive(Debug, thiserror::Error)]
pub enum CandidateError {
    /// Nothing there.
    #[error("the file is empty")]
    Empty,
    /// Not a schema, or not of the table.
    #[error("reading the schema")]
    Schema(#[from] SchemaError),
    /// The record's name says no type.
    #[error(
        "the record is called {record}; the record of the type voip.call_ended is called \
         arteria.voip.CallEnded"
    )]
    Name {
        /// What it is called, cut short.
        record: String,
    },
    /// The type's name would not pass the clinic link.
    #[error("the type's name has {bytes} bytes, at most {TYPE_NAME_BYTES_MAX} may travel")]
    LongName {
        /// How many.
        bytes: usize,
    },
    /// A mark that is neither true nor false.
    #[error("{path}: {PUBLIC_MARK} must be true or false")]
    Mark {
        /// Where.
        path: String,
    },
}

/// A schema that fits the table, and the type that its name says.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// `<domain>.<name>`.
    pub type_name: String,
    /// The text, as it will stand in the registry.
    pub text: String,
    /// The schema.
    pub schema: BodySchema,
    /// The record's own fields that are marked [`PUBLIC_MARK`], in their order.
    pub public: Vec<String>,
}

impl Candidate {
    /// Reads a candidate from the text of its file.
    ///
    /// # Errors
    /// It is no schema that a type could have.
    pub fn read(text: &str) -> Result<Self, CandidateError> {
        if text.trim().is_empty() {
            return Err(CandidateError::Empty);
        }
        let schema = BodySchema::parse(text)?;
        let type_name = type_of(schema.name())?;
        let json: Value = serde_json::from_str(text).unwrap_or_default();
        check_marks(&json, "$")?;
        let public = marked(&json);
        Ok(Self { type_name, text: text.to_owned(), schema, public })
    }

    /// How many fields the record itself has.
    #[must_use]
    pub fn fields(&self) -> usize {
        self.schema.record().fields.len()
    }
}

/// The one type whose record is called so.
fn type_of(record: &str) -> Result<String, CandidateError> {
    let bytes = name::spelt(record).map_or(0, |spelt| spelt.len());
    if bytes > TYPE_NAME_BYTES_MAX {
        return Err(CandidateError::LongName { bytes });
    }
    let type_name = name::type_name(record);
    // There and back again: `callEnded` would name the type of `CallEnded`.
    let same = |text: &String| {
        // The public form of a type is not an operator's to write.
        name::split(text).is_ok() && name::record_name(text).is_ok_and(|back| back == record)
    };
    type_name.filter(same).ok_or_else(|| CandidateError::Name {
        record: record.chars().take(TYPE_NAME_BYTES_MAX).collect(),
    })
}

fn fields(record: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let fields = record.get("fields").and_then(Value::as_array).into_iter().flatten();
    fields.filter_map(|field| Some((field.get("name")?.as_str()?, field)))
}

fn marked(record: &Value) -> Vec<String> {
    let public = fields(record).filter(|(_, field)| field.get(PUBLIC_MARK) == Some(&true.into()));
    public.map(|(name, _)| name.to_owned()).collect()
}

/// A mark that is misspelt in its value would silently keep a field in the house, or worse.
fn check_marks(schema: &Value, path: &str) -> Result<(), CandidateError> {
    match schema {
        Value::Array(branches) => branches.iter().try_for_each(|one| check_marks(one, path)),
        Value::Object(_) => {
            for (name, field) in fields(schema) {
                let path = format!("{path}.{name}");
                if field.get(PUBLIC_MARK).is_some_and(|mark| !mark.is_boolean()) {
                    return Err(CandidateError::Mark { path });
                }
                check_marks(field.get("type").unwrap_or(&Value::Null), &path)?;
            }
            let items = schema.get("items").unwrap_or(&Value::Null);
            check_marks(items, &format!("{path}[]"))?;
            let inner = schema.get("type").filter(|inner| !inner.is_string());
            check_marks(inner.unwrap_or(&Value::Null), path)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}
