//! Keys of rows as they stand in a practice's columns: texts survive as bytes, and a text is never
//! taken for a blob, nor a number for a text that is spelt alike.
//!
//! In an image, and so in the outbox, in the last published state and in ids, a blob is `x:` and
//! its bytes in hex. A text that JSON could not carry, because it is no UTF-8, or that is spelt
//! like a marked value itself, is `xt:` and its bytes in hex. Every other value is itself.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, Value as SqlValue, ValueRef};
use serde_json::Value;

use crate::rows::{lossy_text, sql_value};

/// Marks a blob in an image; JSON has none.
const BLOB_MARK: &str = "x:";
/// Marks a text by its bytes.
const TEXT_MARK: &str = "xt:";

/// A part of a key as it stands in its row, to find it by.
#[derive(Debug, Clone, PartialEq)]
pub enum KeyPart {
    /// Anything that Rust can hold.
    Plain(SqlValue),
    /// A text that is no UTF-8.
    Bytes(Vec<u8>),
}

impl KeyPart {
    fn text(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Plain(SqlValue::Text(text)),
            Err(odd) => Self::Bytes(odd.into_bytes()),
        }
    }

    /// The value, where it is one that a request may name.
    #[must_use]
    pub fn plain(self) -> Option<SqlValue> {
        match self {
            Self::Plain(value) => Some(value),
            Self::Bytes(_) => None,
        }
    }
}

impl ToSql for KeyPart {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Plain(value) => value.to_sql(),
            Self::Bytes(bytes) => Ok(ToSqlOutput::Borrowed(ValueRef::Text(bytes))),
        }
    }
}

/// SQL for one column, quoted, as an image holds it. JSON refuses blobs, and not every JSON reader
/// takes what SQLite prints for the ends of the real numbers.
#[must_use]
pub fn expression(c: &str) -> String {
    let is_marked = |mark: &str| {
        let (chars, rest) = (mark.len(), mark.len() + 1);
        format!(
            "substr({c}, 1, {chars}) = '{mark}' AND substr({c}, {rest}) NOT GLOB '*[^0-9A-Fa-f]*'"
        )
    };
    format!(
        "CASE typeof({c}) WHEN 'blob' THEN '{BLOB_MARK}' || hex({c}) \
         WHEN 'real' THEN CAST({c} AS TEXT) \
         WHEN 'text' THEN CASE WHEN {} OR {} THEN '{TEXT_MARK}' || hex({c}) ELSE {c} END \
         ELSE {c} END",
        is_marked(BLOB_MARK),
        is_marked(TEXT_MARK),
    )
}

/// A text that [`expression`] gave, in an image.
#[must_use]
pub fn text_in_image(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => marked(bytes),
    }
}

/// A value of a row as [`expression`] gives it.
#[must_use]
pub fn in_image(value: &SqlValue) -> Value {
    match value {
        SqlValue::Null => Value::Null,
        SqlValue::Integer(number) => Value::from(*number),
        SqlValue::Real(number) => Value::from(number.to_string()),
        SqlValue::Text(text) => match unmarked(text) {
            Some(_) => Value::from(marked(text.as_bytes())),
            None => Value::from(text.clone()),
        },
        SqlValue::Blob(bytes) => Value::from(format!("{BLOB_MARK}{}", hex::encode_upper(bytes))),
    }
}

/// A text of an image as people read it.
#[must_use]
pub fn shown(text: &str) -> String {
    match text.strip_prefix(TEXT_MARK).and_then(|digits| hex::decode(digits).ok()) {
        Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        None => text.to_owned(),
    }
}

/// A key's value in an image as it stands in the row.
pub fn part(value: &Value) -> KeyPart {
    match value.as_str().and_then(unmarked) {
        Some(Marked::Blob(bytes)) => KeyPart::Plain(SqlValue::Blob(bytes)),
        Some(Marked::Text(bytes)) => KeyPart::text(bytes),
        None => KeyPart::Plain(sql_value(value)),
    }
}

/// JSON that SQLite wrote, in which strings may be no UTF-8: those are marked.
#[must_use]
pub fn json(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let mut json = String::with_capacity(bytes.len() * 2);
    let mut rest = bytes;
    while let Some(start) = rest.iter().position(|byte| *byte == b'"') {
        json.push_str(&String::from_utf8_lossy(&rest[..start]));
        let after = &rest[start + 1..];
        let end = string_end(after);
        json.push_str(&json_string(&after[..end]));
        rest = after.get(end + 1..).unwrap_or_default();
    }
    json.push_str(&String::from_utf8_lossy(rest));
    json
}

/// The same of a cell; of one that SQLite's own JSON did not write, whatever it shows.
#[must_use]
pub fn json_of(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => json(bytes),
        other => lossy_text(other).unwrap_or_default(),
    }
}

/// Where the string ends whose inside begins here: at a quote that no backslash precedes.
fn string_end(inside: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = inside.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    inside.len()
}

fn json_string(inside: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(inside) {
        return format!("\"{text}\"");
    }
    // Each byte as the character of its number lets a JSON reader undo the escapes; SQLite escapes
    // control characters only, so that no character is greater than a byte.
    let quoted: String =
        [b'"'].iter().chain(inside).chain([b'"'].iter()).map(|&byte| char::from(byte)).collect();
    let plain: String = serde_json::from_str(&quoted).unwrap_or_default();
    let bytes: Vec<u8> = plain.chars().filter_map(|c| u8::try_from(u32::from(c)).ok()).collect();
    format!("\"{}\"", marked(&bytes))
}

fn marked(bytes: &[u8]) -> String {
    format!("{TEXT_MARK}{}", hex::encode_upper(bytes))
}

enum Marked {
    Blob(Vec<u8>),
    Text(Vec<u8>),
}

fn unmarked(text: &str) -> Option<Marked> {
    if let Some(digits) = text.strip_prefix(TEXT_MARK) {
        return hex::decode(digits).ok().map(Marked::Text);
    }
    let digits = text.strip_prefix(BLOB_MARK)?;
    hex::decode(digits).ok().map(Marked::Blob)
}

/// A place in the order of a table's keys, exactly: kinds of values are kept apart.
#[must_use]
pub fn place(values: &[ValueRef<'_>]) -> String {
    let parts: Vec<String> = values
        .iter()
        .map(|value| match value {
            ValueRef::Null => "n".to_owned(),
            ValueRef::Integer(number) => format!("i{number}"),
            ValueRef::Real(number) => format!("r{}", number.to_bits()),
            ValueRef::Text(bytes) => format!("t{}", hex::encode(bytes)),
            ValueRef::Blob(bytes) => format!("b{}", hex::encode(bytes)),
        })
        .collect();
    parts.join(",")
}

/// A place as [`place`] wrote it; none for another text.
#[must_use]
pub fn read_place(text: &str) -> Option<Vec<KeyPart>> {
    text.split(',')
        .map(|part| {
            let rest = part.get(1..)?;
            Some(match part.as_bytes().first()? {
                b'n' if rest.is_empty() => KeyPart::Plain(SqlValue::Null),
                b'i' => KeyPart::Plain(SqlValue::Integer(rest.parse().ok()?)),
                b'r' => KeyPart::Plain(SqlValue::Real(f64::from_bits(rest.parse().ok()?))),
                b't' => KeyPart::text(hex::decode(rest).ok()?),
                b'b' => KeyPart::Plain(SqlValue::Blob(hex::decode(rest).ok()?)),
                _ => return None,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rusqlite::Connection;

    use super::*;

    /// What SQLite makes of a value in an outbox, read back, and the row that it finds.
    fn survives(conn: &Connection, value: &KeyPart) -> (String, bool) {
        conn.execute_batch("DROP TABLE IF EXISTS t; CREATE TABLE t (k)").unwrap();
        conn.execute("INSERT INTO t VALUES (?1)", [value]).unwrap();
        let sql = format!("SELECT json_array({}) FROM t", expression("\"k\""));
        let key =
            conn.query_row(&sql, [], |row| Ok(json(row.get_ref(0)?.as_bytes().unwrap()))).unwrap();
        let parts: Vec<Value> = serde_json::from_str(&key).unwrap();
        let found = conn.prepare("SELECT 1 FROM t WHERE k = ?1").unwrap().exists([part(&parts[0])]);
        (key, found.unwrap())
    }

    #[test]
    fn texts_survive_as_bytes_and_are_never_taken_for_blobs() {
        let conn = Connection::open_in_memory().unwrap();
        let text = |bytes: &[u8]| KeyPart::text(bytes.to_vec());
        for (value, key) in [
            (text(b"M\xfc"), r#"["xt:4DFC"]"#),
            (text(b"M\xfd\"\\\n"), r#"["xt:4DFD225C0A"]"#),
            (text("Mü".as_bytes()), r#"["Mü"]"#),
            (text(b"x:12"), r#"["xt:783A3132"]"#),
            (text(b"x:ray"), r#"["x:ray"]"#),
            (text(b"xt:12"), r#"["xt:78743A3132"]"#),
            (KeyPart::Plain(SqlValue::Blob(vec![0x12])), r#"["x:12"]"#),
            (KeyPart::Plain(SqlValue::Integer(12)), "[12]"),
        ] {
            assert_eq!(survives(&conn, &value), (key.to_owned(), true));
        }
        assert_eq!(in_image(&SqlValue::Text("x:12".to_owned())), "xt:783A3132");
        assert_eq!((shown("xt:783A3132"), shown("xt:4DFC")), ("x:12".into(), "M\u{fffd}".into()));
    }

    proptest! {
        #[test]
        fn any_bytes_find_their_row(bytes in proptest::collection::vec(1u8.., 0..12)) {
            let conn = Connection::open_in_memory().unwrap();
            prop_assert!(survives(&conn, &KeyPart::text(bytes.clone())).1);
            prop_assert!(survives(&conn, &KeyPart::Plain(SqlValue::Blob(bytes))).1);
        }

        #[test]
        fn a_place_reads_as_what_it_was(number: i64, real: f64, bytes: Vec<u8>) {
            let (text, blob) = (ValueRef::Text(&bytes), ValueRef::Blob(&bytes));
            let values = [ValueRef::Integer(number), text, blob];
            let read = read_place(&place(&values)).unwrap();
            prop_assert_eq!(&read[0], &KeyPart::Plain(SqlValue::Integer(number)));
            prop_assert_eq!(&read[1], &KeyPart::text(bytes.clone()));
            prop_assert_eq!(&read[2], &KeyPart::Plain(SqlValue::Blob(bytes)));
            let read = read_place(&place(&[ValueRef::Real(real)])).unwrap();
            prop_assert!(matches!(read[0], KeyPart::Plain(SqlValue::Real(_))));
        }
    }
}
