//! What of Avro the table takes: a loaded schema as a tree without names to look up.

use std::collections::HashMap;
use std::sync::Arc;

use apache_avro::Schema;
use apache_avro::schema::Name;

/// How deep records and arrays may nest. Our bodies need three; a bound spares the stack.
pub const DEPTH_MAX: usize = 16;

/// One node of a schema.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// `boolean`.
    Boolean,
    /// `int`.
    Int,
    /// `long`.
    Long,
    /// `float`.
    Float,
    /// `double`.
    Double,
    /// `string`.
    Text,
    /// `bytes`, base64 in JSON.
    Bytes,
    /// `date`, `YYYY-MM-DD` in JSON.
    Date,
    /// `timestamp-millis`, RFC 3339 UTC in JSON.
    Timestamp,
    /// A union of null and one other shape.
    Nullable {
        /// Which branch null is, 0 or 1.
        null_branch: u8,
        /// The other one.
        value: Arc<Shape>,
    },
    /// `array`.
    Array(Arc<Shape>),
    /// `record`.
    Record(Arc<Record>),
}

/// A record's fields, in the order of the schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its full name.
    pub name: String,
    /// Its fields.
    pub fields: Vec<Field>,
    /// Levels below it, counted once: a short text may name a record within others a billion times.
    height: usize,
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name, the same in JSON.
    pub name: String,
    /// What it holds.
    pub shape: Shape,
    /// Whether a reader may find it absent in the writer's schema.
    pub has_default: bool,
}

/// A schema that the table has no place for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// A kind that plain JSON has no agreed form for.
    #[error("{path}: {kind} has no place in a body")]
    Unsupported {
        /// Where.
        path: String,
        /// Which kind.
        kind: String,
    },
    /// A union of anything but null and one other shape.
    #[error("{path}: a union must be of null and one other type")]
    Union {
        /// Where.
        path: String,
    },
    /// A record that contains itself, or nesting beyond [`DEPTH_MAX`].
    #[error("{path}: nested deeper than {DEPTH_MAX}, or within itself")]
    TooDeep {
        /// Where.
        path: String,
    },
    /// A reference to a record that the schema does not define before it.
    #[error("{path}: refers to a record that is not defined")]
    Undefined {
        /// Where.
        path: String,
    },
    /// The schema is no record.
    #[error("a body's schema must be a record")]
    NotARecord,
}

/// Loads the record that `schema` is.
///
/// # Errors
/// The schema holds something that the table does not take.
pub fn load(schema: &Schema) -> Result<Arc<Record>, ShapeError> {
    let mut loader = Loader { defined: HashMap::new() };
    match loader.shape(schema, "$", 0)? {
        Shape::Record(record) => Ok(record),
        _ => Err(ShapeError::NotARecord),
    }
}

struct Loader {
    /// Records that are whole; one that refers to itself is not yet among them.
    defined: HashMap<Name, Shape>,
}

impl Loader {
    fn shape(&mut self, schema: &Schema, path: &str, depth: usize) -> Result<Shape, ShapeError> {
        if depth > DEPTH_MAX {
            return Err(ShapeError::TooDeep { path: path.to_owned() });
        }
        Ok(match schema {
            Schema::Boolean => Shape::Boolean,
            Schema::Int => Shape::Int,
            Schema::Long => Shape::Long,
            Schema::Float => Shape::Float,
            Schema::Double => Shape::Double,
            Schema::String => Shape::Text,
            Schema::Bytes => Shape::Bytes,
            Schema::Date => Shape::Date,
            Schema::TimestampMillis => Shape::Timestamp,
            Schema::Array(array) => {
                let item = self.shape(&array.items, &format!("{path}[]"), depth + 1)?;
                Shape::Array(Arc::new(item))
            }
            Schema::Union(union) => self.nullable(union.variants(), path, depth)?,
            Schema::Record(record) => {
                let mut fields = Vec::with_capacity(record.fields.len());
                for field in &record.fields {
                    let shape =
                        self.shape(&field.schema, &format!("{path}.{}", field.name), depth + 1)?;
                    let has_default = field.default.is_some();
                    fields.push(Field { name: field.name.clone(), shape, has_default });
                }
                let name = record.name.fullname(None).clone();
                let height = fields.iter().map(|field| height(&field.shape)).max().unwrap_or(0);
                let shape = Shape::Record(Arc::new(Record { name, fields, height }));
                self.defined.insert(record.name.clone(), shape.clone());
                shape
            }
            Schema::Ref { name } => {
                let shape = self.defined.get(name).cloned();
                let shape = shape.ok_or_else(|| ShapeError::Undefined { path: path.to_owned() })?;
                if depth + height(&shape) > DEPTH_MAX {
                    return Err(ShapeError::TooDeep { path: path.to_owned() });
                }
                shape
            }
            other => {
                let kind = apache_avro::schema::SchemaKind::from(other);
                return Err(ShapeError::Unsupported {
                    path: path.to_owned(),
                    kind: format!("{kind:?}"),
                });
            }
        })
    }

    fn nullable(
        &mut self,
        variants: &[Schema],
        path: &str,
        depth: usize,
    ) -> Result<Shape, ShapeError> {
        let (null_branch, value) = match variants {
            [Schema::Null, value] => (0, value),
            [value, Schema::Null] => (1, value),
            _ => return Err(ShapeError::Union { path: path.to_owned() }),
        };
        Ok(Shape::Nullable { null_branch, value: Arc::new(self.shape(value, path, depth)?) })
    }
}

/// Levels below a shape; a record used again counts each time, so that names cannot fold depth.
fn height(shape: &Shape) -> usize {
    match shape {
        Shape::Boolean
        | Shape::Int
        | Shape::Long
        | Shape::Float
        | Shape::Double
        | Shape::Text
        | Shape::Bytes
        | Shape::Date
        | Shape::Timestamp => 0,
        Shape::Nullable { value, .. } => height(value),
        Shape::Array(item) => 1 + height(item),
        Shape::Record(record) => 1 + record.height,
    }
}
