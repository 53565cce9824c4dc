//! Why a body does not fit its schema: where, and the reason, never what stood there.

use std::fmt;

/// The longest piece of a path that is shown; an unknown field's name is whatever somebody sent.
const PATH_PIECE_CHARS_MAX: usize = 64;

/// A body that does not fit its schema, in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyError {
    /// Where, as `$.items[2].starts_at`.
    pub path: String,
    /// Why.
    pub reason: Reason,
}

/// Why a value does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A field that may not be null is absent.
    #[error("is missing")]
    Missing,
    /// The schema has no such field.
    #[error("is not a field of the schema")]
    UnknownField,
    /// Another kind of JSON value.
    #[error("must be {wanted}, not {found}")]
    WrongType {
        /// What the schema asks for.
        wanted: &'static str,
        /// What was there.
        found: &'static str,
    },
    /// A whole number that the Avro type cannot hold.
    #[error("is outside the range of {0}")]
    OutOfRange(&'static str),
    /// Text that is not an RFC 3339 instant.
    #[error("must be an RFC 3339 time, as 2026-03-01T09:30:00Z")]
    NotATime,
    /// Text that is not a calendar date.
    #[error("must be a date, as 1980-12-31")]
    NotADate,
    /// Text that is not base64.
    #[error("must be base64")]
    NotBase64,
    /// A number that JSON has no form for.
    #[error("is not a finite number")]
    NotFinite,
    /// The whole body is above [`crate::schema::BODY_BYTES_MAX`].
    #[error("is larger than {max} bytes")]
    TooLarge {
        /// The bound.
        max: usize,
    },
    /// The bytes end in the middle.
    #[error("the bytes end in the middle")]
    Cut,
    /// Bytes remain after the body.
    #[error("{count} bytes remain after the body")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// A number of more than 64 bits.
    #[error("holds a number of more than 64 bits")]
    Overlong,
    /// A negative or impossible length.
    #[error("holds an impossible length")]
    BadLength,
    /// A union branch other than 0 and 1.
    #[error("names a union branch that does not exist")]
    BadBranch,
    /// A boolean other than 0 and 1.
    #[error("holds a boolean other than 0 and 1")]
    BadBoolean,
    /// Text that is not UTF-8.
    #[error("holds text that is not UTF-8")]
    NotUtf8,
    /// More values than the bytes can hold.
    #[error("holds more values than its bytes can carry")]
    TooManyValues,
}

impl BodyError {
    pub(crate) fn here(reason: Reason) -> Self {
        Self { path: String::new(), reason }
    }

    /// The same error, seen from the record that holds `field`.
    pub(crate) fn under_field(mut self, field: &str) -> Self {
        let shown: String = field.chars().take(PATH_PIECE_CHARS_MAX).collect();
        self.path.insert_str(0, &format!(".{}", shown.escape_debug()));
        self
    }

    /// The same error, seen from the array that holds item `index`.
    pub(crate) fn under_item(mut self, index: usize) -> Self {
        self.path.insert_str(0, &format!("[{index}]"));
        self
    }

    /// The same error, seen from the whole body.
    pub(crate) fn at_root(mut self) -> Self {
        self.path.insert(0, '$');
        self
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.reason)
    }
}

impl std::error::Error for BodyError {}
