//! Between a clinic's columns and a domain's fields.
//!
//! SQLite keeps whatever a program wrote: a number in a text column, a text in a date column. The
//! image of a row is therefore made of nulls, whole numbers and texts only, and reading it never
//! fails: what does not parse to its type travels as text beside the empty field, or not at all.

use std::fmt::Write as _;

use kit_event::{Date, Timestamp};
use rusqlite::Row as SqlRow;
use rusqlite::types::{Value as SqlValue, ValueRef};
use serde_json::{Map, Value};

use crate::identity::Ids;
use crate::mapping::{Column, Kind, Mapping, Table};

/// A row's mapped columns by name: nulls, whole numbers and texts.
pub type Image = Map<String, Value>;

/// Marks a blob in an image; JSON has none.
const BLOB_MARK: &str = "x:";

/// A name as SQL quotes it.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL quotes it.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// SQL for one column as an image holds it. JSON refuses blobs, and not every JSON reader takes
/// what SQLite prints for the ends of the real numbers.
fn image_value(row: &str, column: &str) -> String {
    let c = format!("{row}{}", quoted(column));
    format!(
        "CASE typeof({c}) WHEN 'blob' THEN '{BLOB_MARK}' || hex({c}) \
         WHEN 'real' THEN CAST({c} AS TEXT) ELSE {c} END"
    )
}

/// SQL for the key of a row; `row` is empty, `NEW.` or `OLD.`.
pub fn key_expression(table: &Table, row: &str) -> String {
    let parts: Vec<String> = table.key.iter().map(|name| image_value(row, name)).collect();
    format!("json_array({})", parts.join(", "))
}

/// SQL for the image of a row: its mapped columns as one JSON object.
pub fn image_expression(table: &Table, row: &str) -> String {
    let mut sql = String::from("json_object(");
    for (n, column) in table.columns.iter().enumerate() {
        let comma = if n == 0 { "" } else { ", " };
        let _ = write!(sql, "{comma}{}, {}", literal(&column.name), image_value(row, &column.name));
    }
    sql.push(')');
    sql
}

/// SQL for the key of a row and each of its mapped columns, as [`selected_row`] reads them.
pub fn selected_expression(table: &Table) -> String {
    let mut sql = key_expression(table, "");
    for column in &table.columns {
        let _ = write!(sql, ", {}", image_value("", &column.name));
    }
    sql
}

/// Reads what [`selected_expression`] asked for: the key, and the same image that a trigger makes.
///
/// # Errors
/// SQLite does not give a column that was asked for.
pub fn selected_row(table: &Table, row: &SqlRow<'_>) -> rusqlite::Result<(String, Image)> {
    let key = lossy_text(row.get_ref(0)?).unwrap_or_default();
    let mut image = Image::new();
    for (n, column) in table.columns.iter().enumerate() {
        let value = match row.get_ref(n + 1)? {
            ValueRef::Null => continue,
            ValueRef::Integer(number) => Value::from(number),
            other => lossy_text(other).map_or(Value::Null, Value::String),
        };
        image.insert(column.name.clone(), value);
    }
    Ok((key, image))
}

/// Text of a clinic as it stands; bytes that are no UTF-8 show as U+FFFD.
pub fn lossy_text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
    }
}

/// Reads images of rows into states.
pub struct RowReader<'a> {
    /// Every mapped table, for ids that name rows of another.
    pub mapping: &'a Mapping,
    /// The unit's ids.
    pub ids: &'a Ids,
}

/// A row as a domain sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its public id.
    pub id: String,
    /// Its state.
    pub state: Value,
}

impl RowReader<'_> {
    /// The row that an image shows. An image that is no JSON object (somebody wrote into our
    /// outbox) shows none.
    pub fn row(&self, table: &Table, key: &str, image: &str) -> Option<Row> {
        self.row_of(table, key, &serde_json::from_str(image).ok()?)
    }

    /// The row that an image shows; none where it has no id.
    pub fn row_of(&self, table: &Table, key: &str, image: &Image) -> Option<Row> {
        let mut state = Map::new();
        for column in &table.columns {
            let value = image.get(&column.name).unwrap_or(&Value::Null);
            self.read(column, value, &mut state);
        }
        let id = match table.column(&table.id) {
            Some(column) => state.get(&column.field)?.as_str()?.to_owned(),
            None => {
                let key: Vec<Value> = serde_json::from_str(key).ok()?;
                let id = self.ids.of_key(&table.name, &key).to_string();
                state.insert(table.id.clone(), Value::String(id.clone()));
                id
            }
        };
        Some(Row { id, state: Value::Object(state) })
    }

    fn read(&self, column: &Column, value: &Value, state: &mut Map<String, Value>) {
        let text = match value {
            Value::Null => return,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if text.trim().is_empty() {
            return;
        }
        let read = match column.kind {
            Kind::Text => Some(Value::String(text.clone())),
            Kind::Date => text.parse::<Date>().ok().map(|d| Value::String(d.to_string())),
            Kind::Timestamp => text.parse::<Timestamp>().ok().map(|t| Value::String(t.to_string())),
            Kind::Bool => read_bool(&text).map(Value::Bool),
            Kind::Integer => read_integer(&text).map(Value::from),
            Kind::Uuid => self.read_id(column, &text).map(Value::String),
        };
        match (read, column.kind) {
            (Some(read), _) => {
                state.insert(column.field.clone(), read);
            }
            (None, Kind::Date | Kind::Timestamp) => {
                state.insert(format!("{}_raw", column.field), Value::String(text));
            }
            (None, Kind::Text | Kind::Bool | Kind::Integer | Kind::Uuid) => {}
        }
    }

    fn read_id(&self, column: &Column, text: &str) -> Option<String> {
        match &column.of {
            Some(thing) => {
                let table = self.mapping.by_thing(thing)?;
                Some(self.ids.of_text(&table.name, text).to_string())
            }
            None => text.parse::<uuid::Uuid>().ok().map(|id| id.to_string()),
        }
    }
}

fn read_bool(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" => Some(true),
        "false" | "f" | "no" | "n" => Some(false),
        number => number.parse::<f64>().ok().map(|number| number != 0.0),
    }
}

/// Whole numbers of 64 bits, as schemas have them; `30.0` is one.
fn read_integer(text: &str) -> Option<i64> {
    let text = text.trim();
    text.strip_suffix(".0").unwrap_or(text).parse().ok()
}

/// A domain's value as a column holds it; ids that name rows are looked up before.
pub fn sql_value(value: &Value) -> SqlValue {
    match value {
        Value::Null => SqlValue::Null,
        Value::Bool(yes) => SqlValue::Integer(i64::from(*yes)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => SqlValue::Integer(whole),
            (None, Some(real)) => SqlValue::Real(real),
            (None, None) => SqlValue::Text(number.to_string()),
        },
        Value::String(text) => SqlValue::Text(text.clone()),
        Value::Array(_) | Value::Object(_) => SqlValue::Text(value.to_string()),
    }
}

/// A key value as it stood in an image, for finding its row again.
pub fn key_sql_value(value: &Value) -> SqlValue {
    let blob = value
        .as_str()
        .and_then(|text| text.strip_prefix(BLOB_MARK))
        .and_then(|digits| hex::decode(digits).ok());
    match blob {
        Some(bytes) => SqlValue::Blob(bytes),
        None => sql_value(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(thing: &str, key: &str, image: &Value) -> Row {
        let mapping = Mapping::reference().unwrap();
        let ids = Ids::new("hcu-0001".parse().unwrap(), [1; 32]);
        let reader = RowReader { mapping: &mapping, ids: &ids };
        reader.row(mapping.by_thing(thing).unwrap(), key, &image.to_string()).unwrap()
    }

    #[test]
    fn what_people_type_travels_beside_the_empty_field() {
        let row = read(
            "patient",
            r#"["17"]"#,
            &json!({"patient_id": 17, "mrn": 12345, "birth_date": "31/12/1980",
                "deceased_on": "  ", "active": "yes", "phone": "", "city": null}),
        );
        let expected = json!({"patient_id": row.id, "mrn": "12345",
            "birth_date_raw": "31/12/1980", "active": true});
        assert_eq!(row.state, expected);
    }

    #[test]
    fn the_same_id_reads_the_same_wherever_it_stands() {
        let patient = read("patient", "[17]", &json!({"patient_id": 17}));
        let appointment = read(
            "appointment",
            r#"["a"]"#,
            &json!({"appointment_id": "a", "patient_id": "17",
                "starts_at": "2026-03-01T10:30:00+01:00",
                "ends_at": "tomorrow"}),
        );
        assert_eq!(appointment.state["patient_id"], json!(patient.id));
        assert_eq!(appointment.state["starts_at"], "2026-03-01T09:30:00Z");
        assert_eq!(appointment.state["ends_at_raw"], "tomorrow");
    }

    #[test]
    fn a_row_without_an_id_column_gets_one_from_its_key() {
        let image = json!({"practitioner_id": "p", "weekday": "1", "starts": "08:00",
            "ends": "12:00", "slot_min": "30.0"});
        let row = read("working_hours", r#"["p",1,"08:00"]"#, &image);
        assert_eq!(row.state["working_hours_id"], json!(row.id));
        assert_eq!((&row.state["weekday"], &row.state["slot_min"]), (&json!(1), &json!(30)));
    }

    #[test]
    fn what_is_no_whole_number_is_left_out() {
        let image = json!({"practitioner_id": "p", "weekday": "1e3", "starts": "x",
            "slot_min": "often"});
        let row = read("working_hours", r#"["p",1,"x"]"#, &image);
        assert_eq!(row.state.get("weekday"), None);
        assert_eq!(row.state.get("slot_min"), None);
    }
}
