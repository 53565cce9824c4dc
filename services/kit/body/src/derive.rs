//! The Avro schema of a struct, derived from the OpenAPI schema that `utoipa` makes of it.
//!
//! The same struct is the REST body, so the promise to REST and the promise on the log cannot part.
//! Field order and doc comments are kept; what is not required becomes a null union with default
//! null, which is what lets a later version add it. A closed set of words becomes `string`: a
//! reader must have an arm for a word it does not know.
//!
//! The text is built from structs with a fixed order of members, never from a map, because it is
//! compared byte by byte with the released file.

use kit_event::{Date, SchemaSource, Timestamp};
use serde::Serialize;
use utoipa::PartialSchema as _;
use utoipa::openapi::schema::{
    AllOf, ArrayItems, KnownFormat, Object, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr, Schema};

use crate::name::{self, NAMESPACE, NameError};

/// How deep components may refer to each other; a struct within itself has no Avro body.
const REFERENCES_MAX: usize = 16;

/// Why no Avro schema follows from a struct.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeriveError {
    /// The source's type is no type name.
    #[error("naming the record of a schema source")]
    Name(#[from] NameError),
    /// The struct is no object with named fields.
    #[error("{path}: only a struct with named fields can be a body")]
    NotAStruct {
        /// Where.
        path: String,
    },
    /// Something that plain JSON and Avro have no agreed form for.
    #[error("{path}: {what} has no place in a body")]
    Unsupported {
        /// Where.
        path: String,
        /// What.
        what: &'static str,
    },
    /// A reference to a component that is not at hand.
    #[error("{path}: component {component} is unknown; mark the field #[schema(inline)]")]
    UnknownComponent {
        /// Where.
        path: String,
        /// Which.
        component: String,
    },
    /// Components that refer to each other without end.
    #[error("{path}: components refer to each other more than {REFERENCES_MAX} deep")]
    TooDeep {
        /// Where.
        path: String,
    },
}

/// Components that `$ref`s name, as `utoipa::ToSchema::schemas` collects them.
pub type Components = [(String, RefOr<Schema>)];

/// The schema file's text of a source: pretty JSON, a line feed at its end.
///
/// # Errors
/// The struct holds what a body cannot.
pub fn avsc(source: &SchemaSource) -> Result<String, DeriveError> {
    avsc_with(source, &[])
}

/// As [`avsc`], for a struct whose nested ones are components.
///
/// # Errors
/// As [`avsc`].
pub fn avsc_with(source: &SchemaSource, components: &Components) -> Result<String, DeriveError> {
    let (domain, resource) = name::split_promise(source.type_name)?;
    let derivation = Derivation { house: house_types(), components };
    let mut record = derivation.record(&source.schema, &name::camel(resource), "$", 0)?;
    record.namespace = Some(format!("{NAMESPACE}.{domain}"));
    record.doc = Some(source.doc.to_owned()).filter(|doc| !doc.is_empty()).or(record.doc);
    let mut text = serde_json::to_string_pretty(&record).unwrap_or_default();
    text.push('\n');
    Ok(text)
}

#[derive(Serialize)]
struct RecordText {
    r#type: &'static str,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    doc: Option<String>,
    fields: Vec<FieldText>,
}

#[derive(Serialize)]
struct FieldText {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    doc: Option<String>,
    r#type: TypeText,
    /// Only ever null.
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<()>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum TypeText {
    Plain(&'static str),
    Logical {
        r#type: &'static str,
        #[serde(rename = "logicalType")]
        logical_type: &'static str,
    },
    Array {
        r#type: &'static str,
        items: Box<TypeText>,
    },
    Record(Box<RecordText>),
    Union([Box<TypeText>; 2]),
}

impl TypeText {
    fn or_null(self) -> Self {
        match self {
            Self::Union(_) => self,
            other => Self::Union([Box::new(Self::Plain("null")), Box::new(other)]),
        }
    }
}

struct Derivation<'a> {
    house: [(&'static str, RefOr<Schema>); 2],
    components: &'a Components,
}

/// The types of the house that stand in every struct; `utoipa` refers to them by name too.
fn house_types() -> [(&'static str, RefOr<Schema>); 2] {
    [("Timestamp", Timestamp::schema()), ("Date", Date::schema())]
}

impl Derivation<'_> {
    fn record(
        &self,
        schema: &RefOr<Schema>,
        name: &str,
        path: &str,
        references: usize,
    ) -> Result<RecordText, DeriveError> {
        let refuse = || DeriveError::NotAStruct { path: path.to_owned() };
        match self.of(schema, name, path, references)? {
            TypeText::Record(record) => Ok(*record),
            TypeText::Plain(_)
            | TypeText::Logical { .. }
            | TypeText::Array { .. }
            | TypeText::Union(_) => Err(refuse()),
        }
    }

    /// The Avro type of a schema; `name` is for the record that it may be.
    fn of(
        &self,
        schema: &RefOr<Schema>,
        name: &str,
        path: &str,
        references: usize,
    ) -> Result<TypeText, DeriveError> {
        match schema {
            RefOr::Ref(reference) => {
                if references == REFERENCES_MAX {
                    return Err(DeriveError::TooDeep { path: path.to_owned() });
                }
                self.of(self.component(reference, path)?, name, path, references + 1)
            }
            RefOr::T(Schema::Object(object)) => self.object(object, name, path, references),
            RefOr::T(Schema::Array(array)) => {
                let ArrayItems::RefOrSchema(items) = &array.items else {
                    return Err(unsupported(path, "a tuple"));
                };
                let items = self.of(items, name, &format!("{path}[]"), references)?;
                let array = TypeText::Array { r#type: "array", items: Box::new(items) };
                Ok(if holds_null(&array_types(&array_type(schema))) {
                    array.or_null()
                } else {
                    array
                })
            }
            RefOr::T(Schema::OneOf(one)) => self.nullable(&one.items, name, path, references),
            RefOr::T(Schema::AnyOf(any)) => self.nullable(&any.items, name, path, references),
            RefOr::T(Schema::AllOf(all)) => self.merged(all, name, path, references),
            RefOr::T(_) => Err(unsupported(path, "this kind of schema")),
        }
    }

    fn component(&self, reference: &Ref, path: &str) -> Result<&RefOr<Schema>, DeriveError> {
        let wanted = reference.ref_location.rsplit('/').next().unwrap_or_default();
        let house = self.house.iter().map(|(name, schema)| (*name, schema));
        let given = self.components.iter().map(|(name, schema)| (name.as_str(), schema));
        let found = house.chain(given).find(|(name, _)| *name == wanted);
        found.map(|(_, schema)| schema).ok_or_else(|| DeriveError::UnknownComponent {
            path: path.to_owned(),
            component: wanted.to_owned(),
        })
    }

    /// `Option` of a struct: one schema beside null.
    fn nullable(
        &self,
        items: &[RefOr<Schema>],
        name: &str,
        path: &str,
        references: usize,
    ) -> Result<TypeText, DeriveError> {
        let values: Vec<_> = items.iter().filter(|item| !is_null(item)).collect();
        let [value] = values[..] else {
            return Err(unsupported(path, "a choice between types"));
        };
        let value = self.of(value, name, path, references)?;
        Ok(if items.len() > 1 { value.or_null() } else { value })
    }

    /// A struct with flattened ones: their fields in order, as serde writes them.
    fn merged(
        &self,
        all: &AllOf,
        name: &str,
        path: &str,
        references: usize,
    ) -> Result<TypeText, DeriveError> {
        let items: Vec<_> = all.items.iter().filter(|item| words_only(item).is_none()).collect();
        if let [only] = items[..] {
            return self.of(only, name, path, references);
        }
        let mut fields = Vec::new();
        for item in items {
            fields.extend(self.record(item, name, path, references)?.fields);
        }
        let doc = all.description.clone();
        let record =
            RecordText { r#type: "record", name: name.to_owned(), namespace: None, doc, fields };
        Ok(TypeText::Record(Box::new(record)))
    }

    fn object(
        &self,
        object: &Object,
        name: &str,
        path: &str,
        references: usize,
    ) -> Result<TypeText, DeriveError> {
        let types = array_types(&object.schema_type);
        let value = types.iter().find(|one| !matches!(one, Type::Null));
        let plain = match value.ok_or_else(|| unsupported(path, "a value of any type"))? {
            Type::Object => {
                let record = self.fields(object, name, path, references)?;
                TypeText::Record(Box::new(record))
            }
            scalar => scalar_type(scalar, object.format.as_ref(), path)?,
        };
        Ok(if holds_null(&types) { plain.or_null() } else { plain })
    }

    fn fields(
        &self,
        object: &Object,
        name: &str,
        path: &str,
        references: usize,
    ) -> Result<RecordText, DeriveError> {
        if object.additional_properties.is_some() && object.properties.is_empty() {
            return Err(unsupported(path, "a map"));
        }
        let mut fields = Vec::with_capacity(object.properties.len());
        for (field, schema) in &object.properties {
            let path = format!("{path}.{field}");
            let record_name = format!("{name}{}", name::camel(field));
            let mut r#type = self.of(schema, &record_name, &path, references)?;
            if !object.required.contains(field) {
                r#type = r#type.or_null();
            }
            let default = matches!(r#type, TypeText::Union(_)).then_some(());
            fields.push(FieldText { name: field.clone(), doc: doc(schema), r#type, default });
        }
        Ok(RecordText {
            r#type: "record",
            name: name.to_owned(),
            namespace: None,
            doc: object.description.clone(),
            fields,
        })
    }
}

fn scalar_type(
    scalar: &Type,
    format: Option<&SchemaFormat>,
    path: &str,
) -> Result<TypeText, DeriveError> {
    use KnownFormat as F;
    let known = match format {
        Some(SchemaFormat::KnownFormat(known)) => Some(known),
        Some(SchemaFormat::Custom(_)) | None => None,
    };
    Ok(match (scalar, known) {
        (Type::Boolean, _) => TypeText::Plain("boolean"),
        (Type::Integer, Some(F::Int32)) => TypeText::Plain("int"),
        (Type::Integer, _) => TypeText::Plain("long"),
        (Type::Number, Some(F::Float)) => TypeText::Plain("float"),
        (Type::Number, _) => TypeText::Plain("double"),
        (Type::String, Some(F::DateTime)) => {
            TypeText::Logical { r#type: "long", logical_type: "timestamp-millis" }
        }
        (Type::String, Some(F::Date)) => TypeText::Logical { r#type: "int", logical_type: "date" },
        (Type::String, Some(F::Byte)) => TypeText::Plain("bytes"),
        (Type::String, Some(F::Binary)) => return Err(unsupported(path, "raw binary text")),
        (Type::String, _) => TypeText::Plain("string"),
        (Type::Object | Type::Array | Type::Null, _) => {
            return Err(unsupported(path, "a value of any type"));
        }
    })
}

fn array_type(schema: &RefOr<Schema>) -> SchemaType {
    match schema {
        RefOr::T(Schema::Array(array)) => array.schema_type.clone(),
        _ => SchemaType::AnyValue,
    }
}

fn array_types(schema_type: &SchemaType) -> Vec<Type> {
    match schema_type {
        SchemaType::Type(one) => vec![one.clone()],
        SchemaType::Array(several) => several.clone(),
        SchemaType::AnyValue => Vec::new(),
    }
}

fn holds_null(types: &[Type]) -> bool {
    types.iter().any(|one| matches!(one, Type::Null))
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object))
        if array_types(&object.schema_type).iter().all(|one| matches!(one, Type::Null))
            && !matches!(object.schema_type, SchemaType::AnyValue))
}

fn doc(schema: &RefOr<Schema>) -> Option<String> {
    let text = match schema {
        RefOr::Ref(reference) => Some(reference.description.clone()),
        RefOr::T(Schema::Object(object)) => object.description.clone(),
        RefOr::T(Schema::Array(array)) => array.description.clone(),
        RefOr::T(Schema::OneOf(one)) => one.description.clone(),
        RefOr::T(Schema::AnyOf(any)) => any.description.clone(),
        RefOr::T(Schema::AllOf(all)) => {
            all.description.clone().or_else(|| all.items.iter().find_map(words_only))
        }
        RefOr::T(_) => None,
    };
    text.filter(|text| !text.is_empty())
}

/// `utoipa` puts the words of a field whose schema stands inline into an empty object beside it.
fn words_only(schema: &RefOr<Schema>) -> Option<String> {
    let RefOr::T(Schema::Object(object)) = schema else { return None };
    let is_empty = object.properties.is_empty() && object.additional_properties.is_none();
    let is_object = matches!(array_types(&object.schema_type)[..], [Type::Object]);
    if is_empty && is_object { object.description.clone() } else { None }
}

fn unsupported(path: &str, what: &'static str) -> DeriveError {
    DeriveError::Unsupported { path: path.to_owned(), what }
}
