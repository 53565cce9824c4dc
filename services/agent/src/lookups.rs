//! Values that stand in another table's row, for images that a trigger made.
//!
//! A trigger writes only what stands in its own row. What a column is mapped `through` is looked up
//! when the image is read, in the same transaction: where it stands now, else as the other row was
//! last published (the other row may be gone already, its removal still ahead in the outbox), else
//! as this row was.

use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;

use crate::error::{Act, WorkerError, is_lasting};
use crate::keys;
use crate::last_published;
use crate::mapping::{Column, Table, Through};
use crate::outbox::{Captured, Change};
use crate::rows::{Image, image_part, lookup_by_value};
use crate::stores::Stores;

impl Stores {
    /// Looks up what a captured row names in other tables, as far as it stands there.
    ///
    /// # Errors
    /// The clinic database is busy.
    pub(crate) fn look_values_up(
        &self,
        conn: &Connection,
        row: &mut Captured,
    ) -> Result<(), WorkerError> {
        let captured = self.installed.tables.iter().find(|captured| captured.name == row.table);
        let Some(table) = captured.filter(|table| table.looked_up().next().is_some()) else {
            return Ok(());
        };
        let (Change::Inserted { image } | Change::Updated { image }) = &row.change else {
            return Ok(());
        };
        let Ok(image) = serde_json::from_str::<Image>(image) else { return Ok(()) };
        for (column, through) in table.looked_up() {
            let named = image.get(&through.column).filter(|named| !named.is_null());
            let Some(named) = named else { continue };
            let value = look_up(conn, through, named)?;
            row.looked_up.extend(value.map(|value| (column.name.clone(), value)));
        }
        Ok(())
    }

    /// The image of a row with everything that is looked up elsewhere; none where it is no JSON
    /// object, because somebody wrote into our outbox.
    ///
    /// # Errors
    /// The spool refuses.
    pub(crate) fn completed(
        &self,
        table: &Table,
        row: &Captured,
        image: &str,
    ) -> Result<Option<Image>, WorkerError> {
        let Ok(mut image) = serde_json::from_str::<Image>(image) else { return Ok(None) };
        let captured = self.installed.tables.iter().find(|captured| captured.name == table.name);
        for (column, through) in captured.unwrap_or(table).looked_up() {
            let named = image.get(&through.column).filter(|named| !named.is_null()).cloned();
            let Some(named) = named else { continue };
            let value = match row.looked_up.get(&column.name) {
                Some(value) => Some(value.clone()),
                None => self.remembered_value(table, &row.key, column, through, &named)?,
            };
            image.extend(value.map(|value| (column.name.clone(), value)));
        }
        Ok(Some(image))
    }

    fn remembered_value(
        &self,
        table: &Table,
        key: &str,
        column: &Column,
        through: &Through,
        named: &Value,
    ) -> Result<Option<Value>, WorkerError> {
        let of = |state: &Value, field: &str| state.get(field).cloned();
        if let Some(other) = self.mapping.by_name(&through.table)
            && other.key == [through.key.clone()]
            && let Some(wanted) =
                other.columns.iter().find(|it| it.parts == [through.value.clone()])
        {
            let other_key = Value::Array(vec![named.clone()]).to_string();
            let said = last_published::get(self.spool.conn(), &other.resource, &other_key)?;
            if let Some(value) = said.and_then(|said| of(&said.state, &wanted.field)) {
                return Ok(Some(value));
            }
        }
        let said = last_published::get(self.spool.conn(), &table.resource, key)?;
        Ok(said.and_then(|said| of(&said.state, &column.field)))
    }
}

fn look_up(
    conn: &Connection,
    through: &Through,
    named: &Value,
) -> Result<Option<Value>, WorkerError> {
    let found = conn.prepare_cached(&lookup_by_value(through)).and_then(|mut statement| {
        statement.query_row([keys::part(named)], |row| Ok(image_part(row.get_ref(0)?))).optional()
    });
    match found {
        // The practice dropped the other table a moment ago, and the next look will tell; or
        // nobody but its own program can read it.
        Err(source) if is_lasting(&source) => Ok(None),
        found => {
            let found = found.clinic("looking a value up in another table")?;
            Ok(found.filter(|value| !value.is_null()))
        }
    }
}
