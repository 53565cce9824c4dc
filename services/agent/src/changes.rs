//! Row changes that a domain decided, as SQL on the practice's tables and in its own words.

use kit_event::{RowChange, RowOperation};
use requests::RequestRejection;
use rusqlite::params_from_iter;
use rusqlite::types::Value as SqlValue;
use serde_json::Value;
use uuid::Uuid;

use crate::error::WorkerError;
use crate::keys;
use crate::mapping::{Column, Currency, NewKey, Table};
use crate::records::{ClinicRecords, Fresh};
use crate::rows::quoted;
use crate::values;

/// Why a decided change was not written.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The unit refuses it, in words for who asked.
    #[error("the practice's software holds no such thing")]
    Refused(#[source] RequestRejection),
    /// The row to update is not there, or several are.
    #[error("{rows} rows of {table} were updated, not one")]
    NotOneRow {
        /// Which table.
        table: String,
        /// How many.
        rows: usize,
    },
    /// The practice's own schema refused: a constraint, a trigger of its own.
    #[error("writing {table}")]
    Write {
        /// Which table.
        table: String,
        /// Why; it may quote a row, so it is never shown.
        #[source]
        source: rusqlite::Error,
    },
    /// The key could not be looked up.
    #[error("looking up the row")]
    LookUp(#[from] WorkerError),
}

/// Columns and what is to stand in them.
type Values = Vec<(String, SqlValue)>;

/// Writes one change; the public id of the row, which is not the command's where the practice's
/// database gives rows their keys.
///
/// # Errors
/// What the practice's database refused; the caller rolls back.
pub fn write(records: &ClinicRecords<'_>, change: &RowChange) -> Result<Uuid, ChangeError> {
    let resource = change.record.resource;
    let Some(table) = records.table(resource) else {
        return Err(ChangeError::Refused(records.absence(resource)));
    };
    if table.read_only {
        let why = "its practice software keeps these records to itself";
        return Err(ChangeError::Refused(not_writable(resource, "", why)));
    }
    let mut named = Vec::new();
    for (field, value) in &change.fields {
        named.extend(field_values(records, table, change, field, value)?);
    }
    match change.operation {
        RowOperation::Insert => insert(records, table, change, named),
        RowOperation::Update if named.is_empty() => Ok(change.record.id),
        RowOperation::Update => update(records, table, change, named),
    }
}

fn not_writable(resource: &str, field: &str, why: &'static str) -> RequestRejection {
    RequestRejection::NotWritable { resource: resource.to_owned(), field: field.to_owned(), why }
}

/// What a field is in columns; nothing for one that every row has alike.
fn field_values(
    records: &ClinicRecords<'_>,
    table: &Table,
    change: &RowChange,
    field: &str,
    value: &Value,
) -> Result<Values, ChangeError> {
    let refuse = |why| Err(ChangeError::Refused(not_writable(change.record.resource, field, why)));
    let Some(column) = table.column(field) else {
        let constant = table.constants.iter().find(|constant| constant.name == field);
        return match constant {
            Some(constant) if constant.value == *value => Ok(Vec::new()),
            Some(_) => refuse("it is the same in all records of the practice"),
            // Empty is what it is without a column.
            None if value.is_null() => Ok(Vec::new()),
            None => refuse("the practice's software has no place for it"),
        };
    };
    if column.read_only {
        return refuse("the practice's software keeps it to itself");
    }
    let written = match (&column.of, id_of(value)) {
        (Some(of), Some(id)) => match records.known_key(of, &id)? {
            Some(key) => key,
            None if records.keys_are_public(of) => vec![SqlValue::Text(id.to_string())],
            None => return refuse("the practice knows no record of this id"),
        },
        _ => match values::written(column, value, currency(table, column, change)) {
            Ok(written) => written,
            Err(values::Unwritable(why)) => return refuse(why),
        },
    };
    if written.len() != column.parts.len() {
        return refuse("its key has another form at the practice");
    }
    Ok(column.parts.iter().cloned().zip(written).collect())
}

fn id_of(value: &Value) -> Option<Uuid> {
    value.as_str()?.parse().ok()
}

/// The currency that a change names, for an amount whose currency stands in another column.
fn currency<'c>(table: &Table, column: &Column, change: &'c RowChange) -> Option<&'c str> {
    let Currency::Column(name) = &column.amount.as_ref()?.currency else { return None };
    let holder = table.columns.iter().find(|other| other.parts == [name.clone()])?;
    change.fields.get(&holder.field)?.as_str()
}

fn insert(
    records: &ClinicRecords<'_>,
    table: &Table,
    change: &RowChange,
    mut named: Values,
) -> Result<Uuid, ChangeError> {
    let id = SqlValue::Text(change.record.id.to_string());
    if table.has_id_beside_key()
        && let Some(column) = table.column(&table.id).and_then(|column| column.parts.first())
        && !named.iter().any(|(name, _)| name == column)
    {
        named.push((column.clone(), id.clone()));
    }
    for given in &table.defaults {
        if !named.iter().any(|(name, _)| *name == given.name) {
            named.push((given.name.clone(), crate::rows::sql_value(&given.value)));
        }
    }
    give_key(records, table, change, id, &mut named)?;
    let (names, values): (Vec<String>, Vec<SqlValue>) = named.iter().cloned().unzip();
    let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    let marks = vec!["?"; names.len()].join(", ");
    let into = quoted(&table.name);
    let sql = format!("INSERT INTO {into} ({}) VALUES ({marks})", names.join(", "));
    run(records, table, &sql, values)?;
    let assigned = records.clinic.last_insert_rowid();
    let key = key_of_new(table, &named, assigned);
    Ok(remember(records, table, change, key)?)
}

/// Gives a new row what its key still lacks. Of several columns one may be left open, as the number
/// within a tenant that is always the same; two would be a guess.
fn give_key(
    records: &ClinicRecords<'_>,
    table: &Table,
    change: &RowChange,
    id: SqlValue,
    named: &mut Values,
) -> Result<(), ChangeError> {
    let new_key = table.new_key.unwrap_or(NewKey::PublicId);
    if new_key == NewKey::Next && table.key.len() == 1 && !table.has_id_beside_key() {
        named.retain(|(name, _)| *name != table.key[0]);
    }
    let is_open = |column: &&String| !named.iter().any(|(name, _)| name == *column);
    let open: Vec<&String> = table.key.iter().filter(is_open).collect();
    match (new_key, open.as_slice()) {
        (_, []) | (NewKey::Assigned, [_]) => {}
        (NewKey::Next, [only]) => {
            let next = SqlValue::Integer(next_key(records, table, only)?);
            named.push(((*only).clone(), next));
        }
        (NewKey::PublicId, [only]) => named.push(((*only).clone(), id)),
        (_, [_, _, ..]) => {
            let why = "its key has several parts, which only the practice's software gives";
            return Err(ChangeError::Refused(not_writable(change.record.resource, "", why)));
        }
    }
    Ok(())
}

/// One more than the greatest key; the database is ours until the transaction ends.
fn next_key(records: &ClinicRecords<'_>, table: &Table, column: &str) -> Result<i64, ChangeError> {
    let sql = format!(
        "SELECT coalesce(max(CAST({} AS INTEGER)), 0) + 1 FROM {}",
        quoted(column),
        quoted(&table.name)
    );
    records
        .clinic
        .query_row(&sql, [], |row| row.get(0))
        .map_err(|source| ChangeError::Write { table: table.name.clone(), source })
}

/// The key of a row just made; what the row was not given is what the database assigned.
fn key_of_new(table: &Table, named: &Values, assigned: i64) -> Vec<SqlValue> {
    let part = |column: &String| {
        let given = named.iter().find(|(name, _)| name == column);
        given.map_or(SqlValue::Integer(assigned), |(_, value)| value.clone())
    };
    table.key.iter().map(part).collect()
}

/// Lets the rest of the transaction find the row, by the command's id and by its own.
fn remember(
    records: &ClinicRecords<'_>,
    table: &Table,
    change: &RowChange,
    key: Vec<SqlValue>,
) -> Result<Uuid, WorkerError> {
    let texts: Vec<Value> = key.iter().map(keys::in_image).collect();
    let own = if table.has_id_beside_key() {
        change.record.id
    } else {
        records.reader().id_under(table, &texts)?
    };
    let resource = table.resource.clone();
    let mut fresh = records.fresh.borrow_mut();
    fresh.push(Fresh { resource: resource.clone(), id: change.record.id, key: key.clone() });
    fresh.push(Fresh { resource, id: own, key });
    Ok(own)
}

fn update(
    records: &ClinicRecords<'_>,
    table: &Table,
    change: &RowChange,
    named: Values,
) -> Result<Uuid, ChangeError> {
    let (names, mut values): (Vec<String>, Vec<SqlValue>) = named.into_iter().unzip();
    let assignments: Vec<String> =
        names.iter().map(|name| format!("{} = ?", quoted(name))).collect();
    let conditions: Vec<String> =
        table.key.iter().map(|name| format!("{} = ?", quoted(name))).collect();
    values.extend(records.key_of(change.record.resource, &change.record.id)?);
    let sql = format!(
        "UPDATE {} SET {} WHERE {}",
        quoted(&table.name),
        assignments.join(", "),
        conditions.join(" AND ")
    );
    match run(records, table, &sql, values)? {
        1 => Ok(change.record.id),
        rows => Err(ChangeError::NotOneRow { table: table.name.clone(), rows }),
    }
}

fn run(
    records: &ClinicRecords<'_>,
    table: &Table,
    sql: &str,
    values: Vec<SqlValue>,
) -> Result<usize, ChangeError> {
    records
        .clinic
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(params_from_iter(values)))
        .map_err(|source| ChangeError::Write { table: table.name.clone(), source })
}
