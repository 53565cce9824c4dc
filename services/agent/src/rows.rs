//! Between a clinic's columns and a domain's fields.
//!
//! SQLite keeps whatever a program wrote: a number in a text column, a text in a date column. The
//! image of a row is therefore made of nulls, whole numbers and texts only, and reading it never
//! fails: what does not parse to its type travels as text beside the empty field, or not at all.

use std::fmt::Write as _;

use rusqlite::types::{Value as SqlValue, ValueRef};
use rusqlite::{Connection, Row as SqlRow};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::error::WorkerError;
use crate::generations::{self, Generation};
use crate::identity::Ids;
use crate::keys;
use crate::last_published;
use crate::mapping::{Column, Gone, Kind, Mapping, Table, Through};
use crate::values::{self, Read};

/// A row's mapped columns by name: nulls, whole numbers and texts.
pub type Image = Map<String, Value>;

/// A name as SQL quotes it.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL quotes it.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// SQL for one column as an image holds it ([`keys::expression`]).
#[must_use]
pub fn image_value(row: &str, column: &str) -> String {
    keys::expression(&format!("{row}{}", quoted(column)))
}

/// SQL for the key of a row; `row` is empty, `NEW.` or `OLD.`.
#[must_use]
pub fn key_expression(table: &Table, row: &str) -> String {
    let parts: Vec<String> = table.key.iter().map(|name| image_value(row, name)).collect();
    format!("json_array({})", parts.join(", "))
}

/// SQL for the image of a row: its mapped columns as one JSON object.
#[must_use]
pub fn image_expression(table: &Table, row: &str) -> String {
    let mut sql = String::from("json_object(");
    for (n, name) in table.images.iter().enumerate() {
        let comma = if n == 0 { "" } else { ", " };
        let _ = write!(sql, "{comma}{}, {}", literal(name), image_value(row, name));
    }
    sql.push(')');
    sql
}

/// SQL for the key of a row and each of its mapped columns, as [`selected_row`] reads them.
#[must_use]
pub fn selected_expression(table: &Table) -> String {
    let mut sql = key_expression(table, "");
    for name in &table.images {
        let _ = write!(sql, ", {}", image_value("", name));
    }
    for (_, through) in table.looked_up() {
        let _ = write!(sql, ", ({})", lookup(through, &format!("{}.", quoted(&table.name))));
    }
    sql
}

/// SQL that looks a value up in another table, for the row in which `own` names it.
fn lookup(through: &Through, own: &str) -> String {
    format!(
        "SELECT {} FROM {} AS arteria_other WHERE arteria_other.{} = {own}{} LIMIT 1",
        image_value("arteria_other.", &through.value),
        quoted(&through.table),
        quoted(&through.key),
        quoted(&through.column),
    )
}

/// SQL that looks a value up in another table as it stands there, for comparing.
#[must_use]
pub fn lookup_plain(through: &Through, own_table: &str) -> String {
    format!(
        "SELECT arteria_other.{} FROM {} AS arteria_other WHERE arteria_other.{} = {own_table}.{} \
         LIMIT 1",
        quoted(&through.value),
        quoted(&through.table),
        quoted(&through.key),
        quoted(&through.column),
    )
}

/// SQL that looks a value up in another table by its parameter, the naming column's value.
#[must_use]
pub fn lookup_by_value(through: &Through) -> String {
    format!(
        "SELECT {} FROM {} AS arteria_other WHERE arteria_other.{} = ?1 LIMIT 1",
        image_value("arteria_other.", &through.value),
        quoted(&through.table),
        quoted(&through.key),
    )
}

/// Reads what [`selected_expression`] asked for: the key, and the same image that a trigger makes.
///
/// # Errors
/// SQLite does not give a column that was asked for.
pub fn selected_row(table: &Table, row: &SqlRow<'_>) -> rusqlite::Result<(String, Image)> {
    let key = keys::json_of(row.get_ref(0)?);
    let mut image = Image::new();
    let names = table.images.iter().chain(table.looked_up().map(|(column, _)| &column.name));
    for (n, name) in names.enumerate() {
        let value = image_part(row.get_ref(n + 1)?);
        if !value.is_null() {
            image.insert(name.clone(), value);
        }
    }
    Ok((key, image))
}

/// One selected value as an image holds it.
pub fn image_part(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::from(number),
        ValueRef::Text(bytes) => Value::String(keys::text_in_image(bytes)),
        other => lossy_text(other).map_or(Value::Null, Value::String),
    }
}

/// Text of a clinic as it stands; bytes that are no UTF-8 show as U+FFFD.
#[must_use]
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
    /// The spool, which knows the generations of keys; none where only a mapping is looked at.
    pub spool: Option<&'a Connection>,
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
    /// The row that an image shows; none where it has no key or no id, or where the practice says
    /// by a word that it is gone. SQLite lets many rows have the same empty key, so it names none.
    ///
    /// # Errors
    /// The spool refuses.
    pub fn row_of(
        &self,
        table: &Table,
        key: &str,
        image: &Image,
    ) -> Result<Option<Row>, WorkerError> {
        if table.key.iter().any(|name| image.get(name).is_none_or(Value::is_null)) {
            return Ok(None);
        }
        if table.gone.as_ref().is_some_and(|gone| is_gone(gone, image)) {
            return Ok(None);
        }
        let mut state = Map::new();
        for constant in &table.constants {
            state.insert(constant.name.clone(), constant.value.clone());
        }
        for column in &table.columns {
            if column.kind == Kind::Uuid {
                let of = (column.field != table.id).then_some((table, key));
                let id = self.read_id(column, image, of)?;
                state.extend(id.map(|id| (column.field.clone(), Value::String(id))));
            } else {
                read(table, column, image, &mut state);
            }
        }
        let id = match table.column(&table.id) {
            Some(column) => state.get(&column.field).and_then(Value::as_str).map(str::to_owned),
            None => match serde_json::from_str::<Vec<Value>>(key) {
                Ok(key) => {
                    let id = self.id_under(table, &key)?.to_string();
                    state.insert(table.id.clone(), Value::String(id.clone()));
                    Some(id)
                }
                Err(_) => None,
            },
        };
        Ok(id.map(|id| Row { id, state: Value::Object(state) }))
    }

    /// The public id of the row that stands under a key, or would stand there next.
    ///
    /// # Errors
    /// The spool refuses.
    pub fn id_under(&self, table: &Table, key: &[Value]) -> Result<Uuid, WorkerError> {
        self.named(table, key, None)
    }

    /// The public id of what a key names in a field of a row, or that stands under it. What a row
    /// once said of another stays true when that one is gone and its key names the next.
    fn named(
        &self,
        named: &Table,
        key: &[Value],
        by: Option<(&Table, &str, &str)>,
    ) -> Result<Uuid, WorkerError> {
        let (Some(spool), Some(text)) = (self.spool, named.reusable(key)) else {
            return Ok(named.public_id(self.ids, key));
        };
        let known = generations::of(spool, &named.ids_of, &text)?;
        if known.is_empty() {
            return Ok(named.public_id(self.ids, key));
        }
        let id = |it: &Generation| self.ids.of_generation(&named.ids_of, &text, it);
        if let Some((table, key, field)) = by
            && let Some(said) = last_published::get(spool, &table.resource, key)?
            && let Some(said) = said.state.get(field).and_then(Value::as_str)
            && let Some(kept) = known.iter().map(id).find(|id| id.to_string() == said)
        {
            return Ok(kept);
        }
        match known.iter().find(|it| it.living) {
            Some(living) => Ok(id(living)),
            None => Ok(id(&generations::next(spool, &known)?)),
        }
    }

    /// The id that a column names; `of` is the row in which it names another.
    fn read_id(
        &self,
        column: &Column,
        image: &Image,
        of: Option<(&Table, &str)>,
    ) -> Result<Option<String>, WorkerError> {
        let parts: Option<Vec<Value>> = column
            .parts
            .iter()
            .map(|name| image.get(name).filter(|it| !it.is_null()).cloned())
            .collect();
        let parts = match (parts, column.parts.as_slice()) {
            (Some(parts), [_, _, ..]) => parts,
            (None, [_, _, ..]) => return Ok(None),
            // A column that is looked up in another table has its value under its own name.
            (_, [] | [_]) => match image.get(&column.name) {
                Some(value) if values::text_of(value).is_some() => vec![value.clone()],
                Some(_) | None => return Ok(None),
            },
        };
        let Some(resource) = &column.of else {
            let text = parts.first().and_then(values::text_of);
            let id = text.and_then(|text| text.parse::<Uuid>().ok());
            return Ok(id.map(|id| id.to_string()));
        };
        let Some(table) = self.mapping.by_resource(resource) else { return Ok(None) };
        let by = of.map(|(own, key)| (own, key, column.field.as_str()));
        self.named(table, &parts, by).map(|id| Some(id.to_string()))
    }
}

/// Reads a column that is no id.
fn read(table: &Table, column: &Column, image: &Image, state: &mut Map<String, Value>) {
    let (value, raw) = match values::read(column, image) {
        Read::Value(value) => (Some(value), None),
        Read::Raw(text) => (values::open_word(column, table, &text), Some(text)),
        Read::Nothing => return,
    };
    state.extend(value.map(|value| (column.field.clone(), value)));
    state.extend(raw.map(|text| (column.raw_field(), Value::String(text))));
}

fn is_gone(gone: &Gone, image: &Image) -> bool {
    let text = image.get(&gone.column).and_then(values::text_of).unwrap_or_default();
    let text = text.trim().to_lowercase();
    gone.words.iter().any(|word| word.trim().to_lowercase() == text)
}

/// A domain's value as a column holds it; ids that name rows are looked up before.
#[must_use]
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(resource: &str, key: &str, image: &Value) -> Row {
        let mapping = Mapping::reference().unwrap();
        let ids = Ids::new("hcu-0001".parse().unwrap(), [1; 32]);
        let reader = RowReader { mapping: &mapping, ids: &ids, spool: None };
        reader
            .row_of(mapping.by_resource(resource).unwrap(), key, image.as_object().unwrap())
            .unwrap()
            .unwrap()
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
    fn a_row_with_an_empty_part_of_its_key_is_none() {
        let mapping = Mapping::reference().unwrap();
        let ids = Ids::new("hcu-0001".parse().unwrap(), [1; 32]);
        let reader = RowReader { mapping: &mapping, ids: &ids, spool: None };
        let hours = mapping.by_resource("working_hours").unwrap();
        for image in [
            json!({"practitioner_id": "p", "weekday": null, "starts": "08:00"}),
            json!({"practitioner_id": "p", "starts": "08:00"}),
        ] {
            let key = r#"["p",null,"08:00"]"#;
            assert_eq!(reader.row_of(hours, key, image.as_object().unwrap()).unwrap(), None);
        }
    }

    #[test]
    fn what_is_no_whole_number_travels_as_text_beside_the_empty_field() {
        let image = json!({"payment_id": "p", "amount_minor": "12,50"});
        let row = read("payment", r#"["p"]"#, &image);
        let expected = json!({"payment_id": row.id, "amount_minor_raw": "12,50"});
        assert_eq!(row.state, expected);
    }
}
