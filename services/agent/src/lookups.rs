//! Values that stand in another table's row, for images that a trigger made.
//!
//! A trigger writes only what stands in its own row. What a column is mapped `through` is looked up
//! when the image is read: where it stands now, else as the other row was last published (the
//! other row may be gone already, its removal still ahead in the outbox), else as this row was.

use rusqlite::{ErrorCode, OptionalExtension};
use serde_json::Value;

use crate::books::Books;
use crate::error::{Act, StationError};
use crate::mapping::{Column, Table, Through};
use crate::rows::{Image, image_part, key_sql_value, lookup_by_value};
use crate::shadow;

impl Books {
    /// The image of a row with everything that is looked up elsewhere; none where it is no JSON
    /// object, because somebody wrote into our outbox.
    ///
    /// # Errors
    /// A file is busy or refuses.
    pub(crate) fn completed(
        &self,
        table: &Table,
        key: &str,
        image: &str,
    ) -> Result<Option<Image>, StationError> {
        let Ok(mut image) = serde_json::from_str::<Image>(image) else { return Ok(None) };
        let captured = self.installed.tables.iter().find(|captured| captured.name == table.name);
        for (column, through) in captured.unwrap_or(table).looked_up() {
            let named = image.get(&through.column).filter(|named| !named.is_null()).cloned();
            let Some(named) = named else { continue };
            let stands = if captured.is_some() { self.look_up(through, &named)? } else { None };
            let value = match stands {
                Some(value) => Some(value),
                None => self.remembered_value(table, key, column, through, &named)?,
            };
            image.extend(value.map(|value| (column.name.clone(), value)));
        }
        Ok(Some(image))
    }

    fn look_up(&self, through: &Through, named: &Value) -> Result<Option<Value>, StationError> {
        let found =
            self.clinic.conn.prepare_cached(&lookup_by_value(through)).and_then(|mut statement| {
                statement
                    .query_row([key_sql_value(named)], |row| Ok(image_part(row.get_ref(0)?)))
                    .optional()
            });
        match found {
            // The practice dropped the other table a moment ago, and the next look will tell.
            Err(source) if source.sqlite_error_code() == Some(ErrorCode::Unknown) => Ok(None),
            found => {
                let found = found.clinic("looking a value up in another table")?;
                Ok(found.filter(|value| !value.is_null()))
            }
        }
    }

    fn remembered_value(
        &self,
        table: &Table,
        key: &str,
        column: &Column,
        through: &Through,
        named: &Value,
    ) -> Result<Option<Value>, StationError> {
        let of = |state: &Value, field: &str| state.get(field).cloned();
        if let Some(other) = self.mapping.by_name(&through.table)
            && other.key == [through.key.clone()]
            && let Some(wanted) =
                other.columns.iter().find(|it| it.parts == [through.value.clone()])
        {
            let other_key = Value::Array(vec![named.clone()]).to_string();
            let said = shadow::get(self.spool.conn(), &other.thing, &other_key)?;
            if let Some(value) = said.and_then(|said| of(&said.state, &wanted.field)) {
                return Ok(Some(value));
            }
        }
        let said = shadow::get(self.spool.conn(), &table.thing, key)?;
        Ok(said.and_then(|said| of(&said.state, &column.field)))
    }
}
