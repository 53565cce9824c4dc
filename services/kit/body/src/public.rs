//! The public form of a type that is only a schema: the fields that its schema marks with
//! `"arteria.public": true`, and nothing else.
//!
//! A type that a domain knows has its public form in the domain's own words. Any other has a schema
//! that somebody registered, and what nobody marked stays in the house: the form is made by taking
//! marked fields over, never by leaving marked ones out.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::name::{self, NAMESPACE};
use crate::registry::{Registered, RegistryError, Schemas};
use crate::schema::{BodySchema, SchemaError};
use crate::schemas::Promise;
use crate::shape::{DEPTH_MAX, Record, Shape};

/// The attribute of a field that may be told to everybody.
pub const MARK: &str = "arteria.public";

/// What an Avro type is called that needs no definition.
const PRIMITIVES: [&str; 8] =
    ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// Why a schema has no public form.
#[derive(Debug, thiserror::Error)]
pub enum PublicError {
    /// The schema itself, or its public form, does not load.
    #[error("loading the schema of a public form")]
    Load(#[from] SchemaError),
    /// The type's name is no name.
    #[error("naming a public form")]
    Name(#[from] name::NameError),
    /// A marked field whose type is defined elsewhere: a definition may hold more than is marked.
    #[error("{path}: a public field defines its type in place")]
    Reference {
        /// Where.
        path: String,
    },
    /// A mark that is neither true nor false.
    #[error("{path}: {MARK} is true or false")]
    Mark {
        /// Where.
        path: String,
    },
}

/// The public form of a type's schema; none where no field is marked.
///
/// # Errors
/// The text is no schema of the table, or marks what cannot be told by itself.
pub fn form(type_name: &str, version: u32, text: &str) -> Result<Option<Promise>, PublicError> {
    // Whatever is odd about the whole schema shows here, before anything is taken out of it.
    BodySchema::parse(text)?;
    let (domain, name) = name::split(type_name)?;
    let Ok(Value::Object(schema)) = serde_json::from_str(text) else { return Ok(None) };
    let Some(fields) = marked(&schema, "$", 0)? else { return Ok(None) };
    let mut public = Map::new();
    public.insert("type".to_owned(), json!("record"));
    public.insert("name".to_owned(), json!(name::camel(name)));
    public.insert("namespace".to_owned(), json!(format!("{NAMESPACE}.{}.{domain}", name::PUBLIC)));
    public.extend(schema.get("doc").map(|doc| ("doc".to_owned(), doc.clone())));
    public.insert("fields".to_owned(), Value::Array(fields));
    let text = serde_json::to_string_pretty(&Value::Object(public)).unwrap_or_default();
    BodySchema::parse(&text)?;
    Ok(Some(Promise { type_name: name::public(type_name), version, text }))
}

/// The marked fields of a record; none where there is none.
fn marked(
    record: &Map<String, Value>,
    path: &str,
    depth: usize,
) -> Result<Option<Vec<Value>>, PublicError> {
    let fields = record.get("fields").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut kept = Vec::new();
    for field in fields {
        let Some(field) = field.as_object() else { continue };
        let name = field.get("name").and_then(Value::as_str).unwrap_or_default();
        let path = format!("{path}.{name}");
        match field.get(MARK) {
            None | Some(Value::Bool(false)) => continue,
            Some(Value::Bool(true)) => {}
            Some(_) => return Err(PublicError::Mark { path }),
        }
        let of = field.get("type").unwrap_or(&Value::Null);
        if let Some(of) = told(of, &path, depth + 1)? {
            let mut told = field.clone();
            // Aliases are names of the inner form, and no reader of this one has met them.
            told.remove("aliases");
            told.insert("type".to_owned(), of);
            kept.push(Value::Object(told));
        }
    }
    Ok((!kept.is_empty()).then_some(kept))
}

/// The type of a marked field, with only what is marked within it.
fn told(of: &Value, path: &str, depth: usize) -> Result<Option<Value>, PublicError> {
    let reference = || PublicError::Reference { path: path.to_owned() };
    if depth > DEPTH_MAX {
        return Err(reference());
    }
    match of {
        Value::String(name) if PRIMITIVES.contains(&name.as_str()) => Ok(Some(of.clone())),
        Value::Array(branches) => {
            let mut kept = Vec::with_capacity(branches.len());
            for branch in branches {
                match told(branch, path, depth + 1)? {
                    Some(branch) => kept.push(branch),
                    None => return Ok(None),
                }
            }
            Ok(Some(Value::Array(kept)))
        }
        Value::Object(one) => match one.get("type").and_then(Value::as_str) {
            Some("record") => {
                let Some(fields) = marked(one, path, depth)? else { return Ok(None) };
                let mut record = one.clone();
                // It takes on the namespace of the public form around it.
                record.remove("namespace");
                record.remove("aliases");
                record.insert("fields".to_owned(), Value::Array(fields));
                Ok(Some(Value::Object(record)))
            }
            Some("array") => {
                let items = one.get("items").unwrap_or(&Value::Null);
                let items = told(items, path, depth + 1)?;
                Ok(items.map(|items| json!({"type": "array", "items": items})))
            }
            Some(name) if PRIMITIVES.contains(&name) => Ok(Some(of.clone())),
            _ => Err(reference()),
        },
        _ => Err(reference()),
    }
}

impl BodySchema {
    /// What of a body this schema has a field for.
    #[must_use]
    pub fn project(&self, body: &Value) -> Value {
        project_record(self.record(), body)
    }
}

fn project_record(record: &Record, body: &Value) -> Value {
    let Some(body) = body.as_object() else { return Value::Null };
    let told = record.fields.iter().filter_map(|field| {
        let value = body.get(&field.name)?;
        Some((field.name.clone(), project(&field.shape, value)))
    });
    Value::Object(told.collect())
}

fn project(shape: &Shape, value: &Value) -> Value {
    match (shape, value) {
        (Shape::Record(record), Value::Object(_)) => project_record(record, value),
        (Shape::Array(item), Value::Array(items)) => {
            Value::Array(items.iter().map(|one| project(item, one)).collect())
        }
        (Shape::Nullable { value: inner, .. }, value) => project(inner, value),
        (_, value) => value.clone(),
    }
}

impl Schemas {
    /// The public form of a type's version, registered where it was not; none where the schema
    /// marks no field.
    ///
    /// # Errors
    /// The registry is away, does not know the type's version, or refuses its public form.
    pub async fn public_form(
        &self,
        type_name: &str,
        version: u32,
    ) -> Result<Option<Registered>, RegistryError> {
        let wanted = format!("{type_name} v{version}");
        let of_type = self.versions(type_name).await?;
        let Some(found) = of_type.into_iter().find(|one| one.version == version) else {
            return Err(RegistryError::Unknown { wanted, for_ms: 0 });
        };
        let refuse = |source| RegistryError::Public { wanted: wanted.clone(), source };
        let form = form(type_name, version, &found.text);
        let Some(promise) = form.map_err(|error| refuse(Arc::new(error)))? else {
            return Ok(None);
        };
        let schema = BodySchema::parse(&promise.text);
        let schema = Arc::new(schema.map_err(|error| refuse(Arc::new(error.into())))?);
        let known = |all: Vec<crate::Version>| {
            let same = all.into_iter().find(|one| one.fingerprint == schema.fingerprint());
            same.map(|one| Registered { id: one.id, schema: schema.clone() })
        };
        if let Some(registered) = known(self.versions(&promise.type_name).await?) {
            return Ok(Some(registered));
        }
        let posted = self.post(&promise, &wanted).await;
        // Refused because another process was faster: what it put there counts.
        match known(self.versions(&promise.type_name).await?) {
            Some(registered) => Ok(Some(registered)),
            None => posted.and(Err(RegistryError::Unknown { wanted, for_ms: 0 })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::SCHEMA_BYTES_MAX;

    const CALL: &str = r#"{"type":"record","name":"CallEnded","namespace":"arteria.voip",
      "doc":"A call ended.","fields":[
      {"name":"call_id","type":"string","arteria.public":true,"doc":"Which."},
      {"name":"number","type":["null","string"],"default":null},
      {"name":"words","type":"string","arteria.public":false},
      {"name":"ended_at","default":null,"arteria.public":true,
       "type":["null",{"type":"long","logicalType":"timestamp-millis"}]},
      {"name":"legs","arteria.public":true,"type":{"type":"array","items":
        {"type":"record","name":"Leg","fields":[{"name":"seconds","type":"int",
        "arteria.public":true},{"name":"caller","type":"string"}]}}}]}"#;

    #[test]
    fn only_marked_fields_are_taken_over_at_every_depth() {
        let promise = form("voip.call_ended", 2, CALL).unwrap().unwrap();
        assert_eq!((promise.type_name.as_str(), promise.version), ("public.voip.call_ended", 2));
        for secret in ["number", "words", "caller"] {
            assert!(!promise.text.contains(secret), "{secret}: {}", promise.text);
        }
        let schema = BodySchema::parse(&promise.text).unwrap();
        assert_eq!(schema.name(), "arteria.public.voip.CallEnded");
        let body = json!({"call_id": "7", "number": "+351 1", "words": "Canary",
            "ended_at": "2026-03-01T09:30:00Z", "legs": [{"seconds": 3, "caller": "Canary"}]});
        let told = schema.project(&body);
        let expected = json!({"call_id": "7", "ended_at": "2026-03-01T09:30:00Z",
            "legs": [{"seconds": 3}]});
        assert_eq!(told, expected);
        assert_eq!(schema.decode(&schema.encode(&told).unwrap()).unwrap(), expected);
    }

    #[test]
    fn a_schema_without_marks_has_no_public_form() {
        let none = CALL.replace("true", "false");
        assert_eq!(form("voip.call_ended", 1, &none).unwrap(), None);
        let only_outside = CALL.replace("\"int\",\n        \"arteria.public\":true", "\"int\"");
        let promise = form("voip.call_ended", 1, &only_outside).unwrap().unwrap();
        assert!(!promise.text.contains("legs"), "a record of nothing is left out");
    }

    #[test]
    fn what_cannot_be_told_by_itself_is_refused() {
        let reference = r#"{"type":"record","name":"A","fields":[
          {"name":"one","type":{"type":"record","name":"B","fields":[
            {"name":"secret","type":"string"}]}},
          {"name":"two","type":"B","arteria.public":true}]}"#;
        assert!(matches!(form("a.b", 1, reference), Err(PublicError::Reference { .. })));
        let mark = CALL.replace("\"arteria.public\":false", "\"arteria.public\":\"yes\"");
        assert!(matches!(form("voip.call_ended", 1, &mark), Err(PublicError::Mark { .. })));
        let huge = format!("{{\"type\":\"record\",\"doc\":\"{}\"}}", "x".repeat(SCHEMA_BYTES_MAX));
        for bad in ["", "{}", "7", "[]", "\"string\"", huge.as_str()] {
            assert!(matches!(form("a.b", 1, bad), Err(PublicError::Load(_))), "{bad:.20}");
        }
        assert!(matches!(form("public.a.b", 1, CALL), Err(PublicError::Name(_))));
    }
}
