//! Plain JSON to Avro bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kit_event::{Date, Timestamp};
use serde_json::{Map, Value};

use crate::error::{BodyError, Reason};
use crate::shape::{Record, Shape};

/// Writes `body` as `record`.
pub(crate) fn record(
    record: &Record,
    body: &Map<String, Value>,
    out: &mut Vec<u8>,
) -> Result<(), BodyError> {
    let mut known = 0;
    for field in &record.fields {
        let value = body.get(&field.name);
        known += usize::from(value.is_some());
        match (value, &field.shape) {
            (Some(value), shape) => write(shape, value, out),
            (None, Shape::Nullable { null_branch, .. }) => {
                long(i64::from(*null_branch), out);
                Ok(())
            }
            (None, _) => Err(BodyError::here(Reason::Missing)),
        }
        .map_err(|error| error.under_field(&field.name))?;
    }
    if known == body.len() {
        return Ok(());
    }
    let unknown = body.keys().find(|key| record.fields.iter().all(|field| field.name != **key));
    let name = unknown.map(String::as_str).unwrap_or_default();
    Err(BodyError::here(Reason::UnknownField).under_field(name))
}

fn write(shape: &Shape, value: &Value, out: &mut Vec<u8>) -> Result<(), BodyError> {
    match shape {
        Shape::Boolean => {
            let value = value.as_bool().ok_or_else(|| wrong("a boolean", value))?;
            out.push(u8::from(value));
        }
        Shape::Int => {
            let number = i32::try_from(whole(value)?);
            long(number.map_err(|_| out_of_range("a 32-bit integer"))?.into(), out);
        }
        Shape::Long => long(whole(value)?, out),
        Shape::Float => {
            // The nearest float is what a `float` field means; only what has none is refused.
            #[expect(
                clippy::cast_possible_truncation,
                reason = "what has no float is refused next"
            )]
            let number = number(value)? as f32;
            if !number.is_finite() {
                return Err(out_of_range("a float"));
            }
            out.extend_from_slice(&number.to_le_bytes());
        }
        Shape::Double => out.extend_from_slice(&number(value)?.to_le_bytes()),
        Shape::Text => bytes(text(value)?.as_bytes(), out),
        Shape::Bytes => {
            let raw = STANDARD.decode(text(value)?);
            bytes(&raw.map_err(|_| BodyError::here(Reason::NotBase64))?, out);
        }
        Shape::Date => {
            let date = text(value)?.parse::<Date>();
            long(date.map_err(|_| BodyError::here(Reason::NotADate))?.unix_days().into(), out);
        }
        Shape::Timestamp => {
            let at = text(value)?.parse::<Timestamp>();
            long(at.map_err(|_| BodyError::here(Reason::NotATime))?.unix_ms(), out);
        }
        Shape::Nullable { null_branch, value: inner } => {
            if value.is_null() {
                long(i64::from(*null_branch), out);
            } else {
                long(i64::from(1 - *null_branch), out);
                write(inner, value, out)?;
            }
        }
        Shape::Array(item) => {
            let items = value.as_array().ok_or_else(|| wrong("an array", value))?;
            if !items.is_empty() {
                length(items.len(), out);
            }
            for (index, value) in items.iter().enumerate() {
                write(item, value, out).map_err(|error| error.under_item(index))?;
            }
            long(0, out);
        }
        Shape::Record(inner) => {
            record(inner, value.as_object().ok_or_else(|| wrong("an object", value))?, out)?;
        }
    }
    Ok(())
}

/// A zig-zag variable-length number, as Avro writes every whole number and length.
pub(crate) fn long(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    loop {
        let [low, ..] = (rest & 0x7f).to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// How many items or bytes follow.
fn length(count: usize, out: &mut Vec<u8>) {
    long(i64::try_from(count).expect("no memory holds more"), out);
}

fn bytes(raw: &[u8], out: &mut Vec<u8>) {
    length(raw.len(), out);
    out.extend_from_slice(raw);
}

fn text(value: &Value) -> Result<&str, BodyError> {
    value.as_str().ok_or_else(|| wrong("a string", value))
}

fn whole(value: &Value) -> Result<i64, BodyError> {
    match value {
        Value::Number(number) if number.is_u64() || number.is_i64() => {
            number.as_i64().ok_or_else(|| out_of_range("a 64-bit integer"))
        }
        other => Err(wrong("a whole number", other)),
    }
}

fn number(value: &Value) -> Result<f64, BodyError> {
    value.as_f64().ok_or_else(|| wrong("a number", value))
}

fn out_of_range(wanted: &'static str) -> BodyError {
    BodyError::here(Reason::OutOfRange(wanted))
}

fn wrong(wanted: &'static str, found: &Value) -> BodyError {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    // A number that is not whole is the one case where both words would be the same.
    let found =
        if wanted == "a whole number" && found == "a number" { "a fraction" } else { found };
    BodyError::here(Reason::WrongType { wanted, found })
}
