//! Two copies of a domain's tables, row by row, without a value on the way.
//!
//! Postgres itself folds each row into a number, and sums these up in some hundreds of buckets by
//! the row's key: tables that are equal are compared in two scans that run side by side and tell
//! almost nothing to anybody. Only buckets that differ are then read as pairs of numbers, in the
//! order of the keys' hashes, so that whatever the tables hold, the memory is that of two lines.

use std::collections::BTreeMap;

use futures_util::{Stream, StreamExt as _};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::error::Act;
use crate::read::get;
use crate::{StoreError, copies};

/// Buckets of a table, a power of two. A single row that differs costs this fraction of the table
/// in the second reading.
const BUCKETS: i64 = 256;
/// Keys shown of rows that differ: enough to begin to look.
const EXAMPLES_MAX: usize = 5;
/// Tables of a reader's progress that say where it began and on which log, and who a copy is.
const APART: [&str; 4] = ["_sqlx_migrations", "offsets", "copy", "log"];

/// What a comparison found in one table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableReport {
    /// Its name.
    pub table: String,
    /// Rows of the live copy.
    pub live_rows: i64,
    /// Rows of the other.
    pub next_rows: i64,
    /// Keys that only the live copy has.
    pub only_live: u64,
    /// Keys that only the other has.
    pub only_next: u64,
    /// Keys whose rows differ.
    pub differing: u64,
    /// A hash of all keys counted in the three above, in any order.
    pub keys_hash: u64,
    /// Some of those keys, as far as they are opaque ids and numbers.
    pub examples: Vec<String>,
    /// Columns that only one copy has; these were left out.
    pub columns_apart: Vec<String>,
}

impl TableReport {
    /// Whether every row is the same in both.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.only_live + self.only_next + self.differing == 0
    }
}

/// One copy, and the connection that sees it.
pub struct Side<'c> {
    /// A connection; for the live copy inside a transaction with one snapshot.
    pub connection: &'c mut PgConnection,
    /// Its schema.
    pub schema: &'c str,
}

/// Compares every table but those of `deeds`.
///
/// # Errors
/// Postgres does not answer.
pub async fn compare(
    mut live: Side<'_>,
    mut next: Side<'_>,
    deeds: &[&str],
) -> Result<Vec<TableReport>, StoreError> {
    let mut names = copies::tables(live.connection, live.schema).await?;
    names.extend(copies::tables(next.connection, next.schema).await?);
    names.sort_unstable();
    names.dedup();
    names.retain(|name| !APART.contains(&name.as_str()) && !deeds.contains(&name.as_str()));
    let mut reports = Vec::with_capacity(names.len());
    for table in names {
        let shape = Shape::common(next.connection, live.schema, next.schema, &table).await?;
        let report = if let Some(shape) = shape {
            compare_table(&mut live, &mut next, &table, &shape).await?
        } else {
            let columns_apart = vec!["the whole table, or its key".to_owned()];
            TableReport { table, differing: 1, columns_apart, ..TableReport::default() }
        };
        reports.push(report);
    }
    Ok(reports)
}

async fn compare_table(
    live: &mut Side<'_>,
    next: &mut Side<'_>,
    table: &str,
    shape: &Shape,
) -> Result<TableReport, StoreError> {
    let (of_live, of_next) = tokio::try_join!(
        digests(live.connection, shape.digest_sql(live.schema, table)),
        digests(next.connection, shape.digest_sql(next.schema, table)),
    )?;
    let mut report = TableReport {
        table: table.to_owned(),
        live_rows: of_live.values().map(|(count, _)| count).sum(),
        next_rows: of_next.values().map(|(count, _)| count).sum(),
        columns_apart: shape.apart.clone(),
        ..TableReport::default()
    };
    let differing: Vec<i64> =
        (0..BUCKETS).filter(|bucket| of_live.get(bucket) != of_next.get(bucket)).collect();
    if !differing.is_empty() {
        let (one, two) = (shape.rows_sql(live.schema, table), shape.rows_sql(next.schema, table));
        let one = rows(live.connection, one, &differing);
        let two = rows(next.connection, two, &differing);
        merge(one, two, &mut report).await?;
    }
    Ok(report)
}

/// Rows and the sum of their hashes, by bucket. The sum is kept as text: it exceeds 64 bits.
async fn digests(
    connection: &mut PgConnection,
    sql: String,
) -> Result<BTreeMap<i64, (i64, String)>, StoreError> {
    let found: Vec<(i64, i64, String)> =
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(connection).await.reading("digests")?;
    Ok(found.into_iter().map(|(bucket, count, sum)| (bucket, (count, sum))).collect())
}

/// A row as a comparison sees it.
struct Folded {
    key: i64,
    row: i64,
    shown: String,
}

fn rows<'c>(
    connection: &'c mut PgConnection,
    sql: String,
    buckets: &[i64],
) -> impl Stream<Item = Result<Folded, StoreError>> + use<'c> {
    let found = sqlx::query(AssertSqlSafe(sql)).bind(buckets.to_vec()).fetch(connection);
    found.map(|row| {
        let row: PgRow = row.reading("rows that differ")?;
        Ok(Folded { key: get(&row, "k")?, row: get(&row, "r")?, shown: get(&row, "shown")? })
    })
}

/// Walks both in the order of the keys' hashes.
async fn merge(
    live: impl Stream<Item = Result<Folded, StoreError>>,
    next: impl Stream<Item = Result<Folded, StoreError>>,
    report: &mut TableReport,
) -> Result<(), StoreError> {
    let (mut live, mut next) = (Box::pin(live), Box::pin(next));
    let mut one = live.next().await.transpose()?;
    let mut two = next.next().await.transpose()?;
    loop {
        let (ahead_live, ahead_next) = match (&one, &two) {
            (None, None) => return Ok(()),
            (Some(a), Some(b)) => (a.key <= b.key, b.key <= a.key),
            (a, b) => (a.is_some(), b.is_some()),
        };
        match (one.as_ref().filter(|_| ahead_live), two.as_ref().filter(|_| ahead_next)) {
            (Some(a), Some(b)) if a.row == b.row => {}
            (Some(a), Some(_)) => note(report, a, |it| &mut it.differing),
            (Some(a), None) => note(report, a, |it| &mut it.only_live),
            (None, Some(b)) => note(report, b, |it| &mut it.only_next),
            (None, None) => return Ok(()),
        }
        if ahead_live {
            one = live.next().await.transpose()?;
        }
        if ahead_next {
            two = next.next().await.transpose()?;
        }
    }
}

fn note(report: &mut TableReport, row: &Folded, count: impl Fn(&mut TableReport) -> &mut u64) {
    *count(report) += 1;
    // Sums do not mind the order, and Postgres' hash has already mixed the key.
    report.keys_hash = report.keys_hash.wrapping_add(row.key.cast_unsigned());
    if report.examples.len() < EXAMPLES_MAX {
        report.examples.push(row.shown.clone());
    }
}

/// What two tables of one name have in common.
pub(crate) struct Shape {
    /// The primary key.
    pub key: Vec<String>,
    /// Every column that both have, in the order of their names.
    pub columns: Vec<String>,
    /// Those that only one has.
    apart: Vec<String>,
    /// Of the key, what may be shown: ids and numbers, no text from outside.
    shown: Vec<String>,
}

/// A column: its name, its type, whether it is of the primary key.
type Column = (String, String, bool);

impl Shape {
    /// None where one copy has no such table, or where their keys differ.
    pub async fn common(
        connection: &mut PgConnection,
        live: &str,
        next: &str,
        table: &str,
    ) -> Result<Option<Self>, StoreError> {
        let one = columns(connection, live, table).await?;
        let two = columns(connection, next, table).await?;
        let key = |of: &[Column]| -> Vec<String> {
            of.iter().filter(|column| column.2).map(|column| column.0.clone()).collect()
        };
        let named = |of: &[Column], name: &str| of.iter().any(|column| column.0 == name);
        let keys = key(&one);
        if keys.is_empty() || keys != key(&two) {
            return Ok(None);
        }
        let apart = one.iter().filter(|column| !named(&two, &column.0));
        let apart = apart.chain(two.iter().filter(|column| !named(&one, &column.0)));
        let apart = apart.map(|column| column.0.clone()).collect();
        let is_opaque = |(name, kind, of_key): &&Column| {
            *of_key
                && (["uuid", "bigint", "integer"].contains(&kind.as_str())
                    || ["unit", "request_id"].contains(&name.as_str()))
        };
        let shown = one.iter().filter(is_opaque).map(|column| column.0.clone()).collect();
        let both = one.iter().filter(|column| named(&two, &column.0));
        let columns = both.map(|column| column.0.clone()).collect();
        Ok(Some(Self { key: keys, columns, apart, shown }))
    }

    fn folded(&self, schema: &str, table: &str) -> String {
        let (key, row) = (self.key.join(", "), self.columns.join(", "));
        let shown: Vec<String> = self.shown.iter().map(|name| format!("{name}::text")).collect();
        let shown = if shown.is_empty() { "''".to_owned() } else { shown.join(" || ' ' || ") };
        format!(
            "select hashtextextended(row({key})::text, 0) as k,
                    hashtextextended(row({row})::text, 0) as r, {shown} as shown
             from {schema}.{table}"
        )
    }

    fn digest_sql(&self, schema: &str, table: &str) -> String {
        let (folded, mask) = (self.folded(schema, table), BUCKETS - 1);
        format!("select k & {mask}, count(*), sum(r)::text from ({folded}) t group by 1")
    }

    fn rows_sql(&self, schema: &str, table: &str) -> String {
        let (folded, mask) = (self.folded(schema, table), BUCKETS - 1);
        format!("select k, r, shown from ({folded}) t where k & {mask} = any($1) order by k, r")
    }
}

async fn columns(
    connection: &mut PgConnection,
    schema: &str,
    table: &str,
) -> Result<Vec<Column>, StoreError> {
    sqlx::query_as(
        "select a.attname::text, format_type(a.atttypid, null),
                coalesce(a.attnum = any(i.indkey), false)
         from pg_attribute a
         join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
         left join pg_index i on i.indrelid = c.oid and i.indisprimary
         where n.nspname = $1 and c.relname = $2 and a.attnum > 0 and not a.attisdropped
         order by a.attname",
    )
    .bind(schema)
    .bind(table)
    .fetch_all(connection)
    .await
    .reading("columns")
}
