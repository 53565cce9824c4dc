//! A loaded schema: what it is called, what it looks like, and bodies to and from bytes.

use std::sync::Arc;

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use serde_json::Value;

use crate::error::{BodyError, Reason};
use crate::shape::{self, Record, ShapeError};
use crate::{decode, encode};

/// The largest Avro body. The link carries at most 64 KiB of JSON; 1 MiB less some room for headers
/// is also what a broker takes without being told otherwise.
pub const BODY_BYTES_MAX: usize = 1_000_000;

/// The largest schema text that is parsed. Ours are below 8 KiB.
pub const SCHEMA_BYTES_MAX: usize = 256 * 1024;

/// A schema that cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// Not an Avro schema.
    #[error("parsing an Avro schema")]
    Parse(#[source] Box<apache_avro::Error>),
    /// Larger than [`SCHEMA_BYTES_MAX`].
    #[error("an Avro schema of {bytes} bytes is larger than {SCHEMA_BYTES_MAX}")]
    TooLarge {
        /// How large.
        bytes: usize,
    },
    /// Avro, but not of the table.
    #[error("loading an Avro schema")]
    Shape(#[from] ShapeError),
}

/// A schema, ready to read and write bodies.
#[derive(Debug, Clone)]
pub struct BodySchema {
    record: Arc<Record>,
    fingerprint: String,
}

impl BodySchema {
    /// Loads a schema from its text.
    ///
    /// # Errors
    /// The text is no Avro schema, or holds what the table does not take.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        Self::load(&parse(text)?)
    }

    pub(crate) fn load(schema: &Schema) -> Result<Self, SchemaError> {
        // CRC-64-AVRO of the parsing canonical form: what every Avro library can compute again.
        let fingerprint = schema.fingerprint::<Rabin>().to_string();
        Ok(Self { record: shape::load(schema)?, fingerprint })
    }

    /// The record's full name, as `arteria.scheduling.AppointmentBooked`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// 16 hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The fields, in order.
    #[must_use]
    pub fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// Writes a plain JSON body as Avro.
    ///
    /// # Errors
    /// The body does not fit the schema; the same body will never fit.
    pub fn encode(&self, body: &Value) -> Result<Vec<u8>, BodyError> {
        let mut bytes = Vec::with_capacity(256);
        self.encode_into(body, &mut bytes)?;
        Ok(bytes)
    }

    /// As [`BodySchema::encode`], behind what `out` already holds.
    ///
    /// # Errors
    /// As [`BodySchema::encode`]; `out` then holds a part of the body.
    pub fn encode_into(&self, body: &Value, out: &mut Vec<u8>) -> Result<(), BodyError> {
        let start = out.len();
        let object = body.as_object().ok_or_else(|| {
            BodyError::here(Reason::WrongType { wanted: "an object", found: "another value" })
        });
        object
            .and_then(|object| encode::record(&self.record, object, out))
            .and_then(|()| within_bound(out.len() - start))
            .map_err(BodyError::at_root)
    }

    /// Reads an Avro body as plain JSON; null fields are left out.
    ///
    /// # Errors
    /// The bytes are not exactly one body of this schema.
    pub fn decode(&self, bytes: &[u8]) -> Result<Value, BodyError> {
        within_bound(bytes.len())
            .and_then(|()| decode::body(&self.record, bytes))
            .map_err(BodyError::at_root)
    }
}

fn within_bound(bytes: usize) -> Result<(), BodyError> {
    if bytes > BODY_BYTES_MAX {
        return Err(BodyError::here(Reason::TooLarge { max: BODY_BYTES_MAX }));
    }
    Ok(())
}

pub(crate) fn parse(text: &str) -> Result<Schema, SchemaError> {
    if text.len() > SCHEMA_BYTES_MAX {
        return Err(SchemaError::TooLarge { bytes: text.len() });
    }
    Schema::parse_str(text).map_err(|error| SchemaError::Parse(Box::new(error)))
}
