//! Avro bytes to plain JSON.
//!
//! Nothing is allocated before the bytes that it is made of have been seen, and every value costs
//! from a budget of the body's own length, so a hostile length can neither exhaust memory nor time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kit_event::{Date, Timestamp};
use serde_json::{Map, Number, Value};

use crate::error::{BodyError, Reason};
use crate::shape::{Record, Shape};

/// Values without a byte of their own (records without fields) that a body may hold beyond one for
/// each byte; without a bound an array could claim billions of them in ten bytes.
const BYTELESS_VALUES_MAX: usize = 1_024;

/// Reads `bytes` as `record`, all of them.
pub(crate) fn body(record: &Record, bytes: &[u8]) -> Result<Value, BodyError> {
    let mut input = Input { rest: bytes, budget: bytes.len() + BYTELESS_VALUES_MAX };
    let value = read_record(record, &mut input)?;
    match input.rest.len() {
        0 => Ok(value),
        count => Err(BodyError::here(Reason::Trailing { count })),
    }
}

struct Input<'a> {
    rest: &'a [u8],
    budget: usize,
}

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], BodyError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(cut)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BodyError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or_else(cut)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn long(&mut self) -> Result<i64, BodyError> {
        let mut value = 0_u64;
        for shift in (0..=63).step_by(7) {
            let [byte] = self.array::<1>()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        Err(BodyError::here(Reason::Overlong))
    }

    fn int(&mut self) -> Result<i32, BodyError> {
        let value = self.long()?;
        i32::try_from(value).map_err(|_| BodyError::here(Reason::OutOfRange("a 32-bit integer")))
    }

    fn bytes(&mut self) -> Result<&'a [u8], BodyError> {
        let length = self.long()?;
        let length = usize::try_from(length).map_err(|_| BodyError::here(Reason::BadLength))?;
        self.take(length)
    }

    /// The count of the next block of an array; 0 ends it.
    fn block(&mut self) -> Result<u64, BodyError> {
        let count = self.long()?;
        if count < 0 {
            // A negative count is followed by the block's size, for readers that skip it.
            let size = self.long()?;
            let fits = usize::try_from(size).is_ok_and(|size| size <= self.rest.len());
            if !fits {
                return Err(BodyError::here(Reason::BadLength));
            }
        }
        Ok(count.unsigned_abs())
    }

    fn spend(&mut self) -> Result<(), BodyError> {
        self.budget =
            self.budget.checked_sub(1).ok_or_else(|| BodyError::here(Reason::TooManyValues))?;
        Ok(())
    }
}

fn cut() -> BodyError {
    BodyError::here(Reason::Cut)
}

fn read_record(record: &Record, input: &mut Input<'_>) -> Result<Value, BodyError> {
    let mut fields = Map::new();
    for field in &record.fields {
        let value = match &field.shape {
            Shape::Nullable { null_branch, value } => nullable(*null_branch, value, input),
            shape => read(shape, input).map(Some),
        };
        if let Some(value) = value.map_err(|error| error.under_field(&field.name))? {
            fields.insert(field.name.clone(), value);
        }
    }
    Ok(Value::Object(fields))
}

fn nullable(
    null_branch: u8,
    shape: &Shape,
    input: &mut Input<'_>,
) -> Result<Option<Value>, BodyError> {
    match input.long()? {
        branch if branch == i64::from(null_branch) => Ok(None),
        0 | 1 => read(shape, input).map(Some),
        _ => Err(BodyError::here(Reason::BadBranch)),
    }
}

fn read(shape: &Shape, input: &mut Input<'_>) -> Result<Value, BodyError> {
    input.spend()?;
    Ok(match shape {
        Shape::Boolean => match input.array::<1>()? {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            _ => return Err(BodyError::here(Reason::BadBoolean)),
        },
        Shape::Int => Value::from(input.int()?),
        Shape::Long => Value::from(input.long()?),
        Shape::Float => {
            // Through the shortest decimal text, so that 0.1 reads back as 0.1.
            let number = f32::from_le_bytes(input.array()?);
            finite(number.to_string().parse().unwrap_or(f64::NAN))?
        }
        Shape::Double => finite(f64::from_le_bytes(input.array()?))?,
        Shape::Text => {
            let text = std::str::from_utf8(input.bytes()?);
            Value::String(text.map_err(|_| BodyError::here(Reason::NotUtf8))?.to_owned())
        }
        Shape::Bytes => Value::String(STANDARD.encode(input.bytes()?)),
        Shape::Date => {
            let date = Date::from_unix_days(input.int()?);
            Value::String(date.ok_or_else(|| out_of_range("a date"))?.to_string())
        }
        Shape::Timestamp => {
            let ms = input.long()?;
            let at = Timestamp::from_unix_ms(ms);
            if at.unix_ms() != ms {
                return Err(out_of_range("a time"));
            }
            Value::String(at.to_string())
        }
        Shape::Nullable { null_branch, value } => {
            nullable(*null_branch, value, input)?.unwrap_or(Value::Null)
        }
        Shape::Array(item) => read_array(item, input)?,
        Shape::Record(record) => read_record(record, input)?,
    })
}

fn read_array(item: &Shape, input: &mut Input<'_>) -> Result<Value, BodyError> {
    let mut items = Vec::new();
    loop {
        let count = input.block()?;
        if count == 0 {
            return Ok(Value::Array(items));
        }
        for _ in 0..count {
            let index = items.len();
            items.push(read(item, input).map_err(|error| error.under_item(index))?);
        }
    }
}

fn finite(number: f64) -> Result<Value, BodyError> {
    Number::from_f64(number).map(Value::Number).ok_or_else(|| BodyError::here(Reason::NotFinite))
}

fn out_of_range(wanted: &'static str) -> BodyError {
    BodyError::here(Reason::OutOfRange(wanted))
}
