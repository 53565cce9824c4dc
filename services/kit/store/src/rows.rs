//! What the tables of things share when they are written: a row is its key, the searched columns,
//! the number of the fact that wrote it, and the thing's state.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::Hash;

use serde_json::Value;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, PgConnection, Postgres};
use uuid::Uuid;

use crate::StoreError;
use crate::error::Act;
use crate::json::storable;
use crate::number::to_columns;
use crate::projection::{Entry, Seeded, Stale};

/// The state of one thing after a fact.
#[derive(Debug)]
pub struct Stated<'a, T> {
    /// The fact.
    pub entry: &'a Entry,
    /// The thing's id.
    pub id: Uuid,
    /// Whether it is gone: its row stays as a tombstone, so that an older fact cannot revive it.
    pub removed: bool,
    /// The thing, for its searched columns.
    pub resource: T,
}

/// The last state of each thing: one statement may not write a row twice. Entries come in the order
/// of each unit's numbers.
#[must_use]
pub fn last_of_each<T>(states: Vec<Stated<'_, T>>) -> Vec<Stated<'_, T>> {
    last_by(states, |state| (state.entry.fact.unit.as_str(), state.id))
}

/// The last item of each key, at the place of the first.
pub fn last_by<T, K: Hash + Eq>(items: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T>
where
    T: Sized,
{
    let places: Vec<usize> = {
        let mut first: HashMap<K, usize> = HashMap::with_capacity(items.len());
        items
            .iter()
            .map(|item| {
                let free = first.len();
                *first.entry(key(item)).or_insert(free)
            })
            .collect()
    };
    let mut last: Vec<Option<T>> = Vec::new();
    for (item, place) in items.into_iter().zip(places) {
        if place == last.len() {
            last.push(Some(item));
        } else {
            last[place] = Some(item);
        }
    }
    last.into_iter().flatten().collect()
}

/// The columns that every table of things has, one array each, ready to bind.
#[derive(Debug)]
pub struct Columns<'a> {
    /// `unit`.
    pub units: Vec<&'a str>,
    /// The key beside the unit.
    pub ids: Vec<Uuid>,
    /// `epoch`.
    pub epochs: Vec<i64>,
    /// `seq`.
    pub seqs: Vec<i64>,
    /// `removed`.
    pub removed: Vec<bool>,
    /// `state`.
    pub states: Vec<Json<Cow<'a, Value>>>,
}

impl<'a> Columns<'a> {
    /// The columns of `states`.
    ///
    /// # Errors
    /// A number is too great to be stored.
    pub fn of<T>(states: &[Stated<'a, T>]) -> Result<Self, StoreError> {
        let mut numbers = Vec::with_capacity(states.len());
        for state in states {
            numbers.push(to_columns(state.entry.fact.seq)?);
        }
        let (epochs, seqs) = numbers.into_iter().unzip();
        Ok(Self {
            units: states.iter().map(|s| s.entry.fact.unit.as_str()).collect(),
            ids: states.iter().map(|s| s.id).collect(),
            epochs,
            seqs,
            removed: states.iter().map(|s| s.removed).collect(),
            states: states.iter().map(|s| Json(storable(&s.entry.fact.body))).collect(),
        })
    }
}

/// A table with a row for each thing of one kind: the columns unit, epoch, seq, removed, withdrawn,
/// `stale_epoch`, `stale_seq` and state, a key beside the unit, and what rows are searched by.
#[derive(Debug, Clone, Copy)]
pub struct ResourceTable {
    /// Its name.
    pub name: &'static str,
    /// The name of the kind, as `appointment`.
    pub resource: &'static str,
    /// The column of the thing's id.
    pub key: &'static str,
    /// The other columns, in the order in which [`upsert`] is given their values.
    pub searched: &'static [Searched],
}

/// A column by which rows are searched: its name and type.
#[derive(Debug, Clone, Copy)]
pub struct Searched(pub &'static str, pub &'static str);

/// A statement that is being given its values.
pub type Bound<'q> = Query<'q, Postgres, PgArguments>;

/// Writes rows, each thing once, in one statement however many. A row yields only to a greater
/// number, so that a fact read twice, late or by a rebuild does no harm; one that was withdrawn or
/// stale is neither any more. `bind` adds an array for each searched column.
///
/// # Errors
/// Postgres does not answer, or refuses a value.
pub async fn upsert<'q>(
    connection: &mut PgConnection,
    table: &ResourceTable,
    columns: &'q Columns<'_>,
    bind: impl FnOnce(Bound<'q>) -> Bound<'q>,
) -> Result<(), StoreError> {
    let query = sqlx::query(AssertSqlSafe(upsert_text(table)))
        .bind(&columns.units)
        .bind(&columns.ids)
        .bind(&columns.epochs)
        .bind(&columns.seqs)
        .bind(&columns.removed)
        .bind(&columns.states);
    bind(query).execute(connection).await.writing(table.name)?;
    Ok(())
}

fn upsert_text(table: &ResourceTable) -> String {
    let ResourceTable { name, key, searched, .. } = table;
    let (mut names, mut arrays, mut set) = (String::new(), String::new(), String::new());
    for (n, Searched(column, kind)) in (7..).zip(*searched) {
        names += &format!(", {column}");
        arrays += &format!(", ${n}::{kind}[]");
        set += &format!(", {column} = excluded.{column}");
    }
    format!(
        "insert into {name} as t (unit, {key}, epoch, seq, removed, state{names})
         select * from unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bool[],
                              $6::jsonb[]{arrays})
         on conflict (unit, {key}) do update set
             epoch = excluded.epoch, seq = excluded.seq, removed = excluded.removed,
             state = excluded.state, withdrawn = false, stale_epoch = null,
             stale_seq = null{set}
         where (t.epoch, t.seq) < (excluded.epoch, excluded.seq)"
    )
}

/// Marks the rows that no fact of the seeded epoch has spoken of, in the tables whose things the
/// epoch's end names.
pub(crate) async fn withdraw(
    connection: &mut PgConnection,
    tables: &[ResourceTable],
    seeded: &[Seeded],
) -> Result<(), StoreError> {
    for ResourceTable { name, resource, .. } in tables {
        let meant = seeded.iter().filter(|one| one.resources.iter().any(|named| named == resource));
        let (units, epochs): (Vec<&str>, Vec<i64>) =
            meant.map(|one| (one.unit.as_str(), i64::from(one.epoch))).unzip();
        if units.is_empty() {
            continue;
        }
        sqlx::query(AssertSqlSafe(format!(
            "update {name} t set withdrawn = true
             from unnest($1::text[], $2::bigint[]) as n(unit, epoch)
             where t.unit = n.unit and t.epoch < n.epoch and not t.withdrawn"
        )))
        .bind(units)
        .bind(epochs)
        .execute(&mut *connection)
        .await
        .writing("withdrawn")?;
    }
    Ok(())
}

/// Marks the rows of these things. A row that is not there has nothing that could mislead, and one
/// that is stale already stays so since its first.
pub(crate) async fn mark_stale(
    connection: &mut PgConnection,
    tables: &[ResourceTable],
    stale: &[Stale],
) -> Result<(), StoreError> {
    for one in stale {
        let Ok(id) = one.id.parse::<Uuid>() else { continue };
        let (epoch, seq) = to_columns(one.since)?;
        for ResourceTable { name, key, .. } in
            tables.iter().filter(|table| table.resource == one.resource)
        {
            sqlx::query(AssertSqlSafe(format!(
                "update {name} set stale_epoch = $3, stale_seq = $4
                 where unit = $1 and {key} = $2 and (epoch, seq) < ($3, $4)
                       and stale_epoch is null"
            )))
            .bind(one.unit.as_str())
            .bind(id)
            .bind(epoch)
            .bind(seq)
            .execute(&mut *connection)
            .await
            .writing("stale")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_key_the_last_stays_at_the_place_of_the_first() {
        let items = vec![("a", 1), ("b", 2), ("a", 3), ("c", 4), ("b", 5)];
        assert_eq!(last_by(items, |item| item.0), vec![("a", 3), ("b", 5), ("c", 4)]);
    }
}
