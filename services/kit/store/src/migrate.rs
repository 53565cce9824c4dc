//! Migrations: each domain owns a schema, and its history lives in it.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqlSafeStr};

use crate::{StoreError, connect};

/// One migration, embedded in the binary. A released one never changes.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Its place in the order. Those of a domain begin at 1001: what is below is kit-store's.
    pub version: i64,
    /// One intent, in a few words.
    pub name: &'static str,
    /// The statements; they name no schema.
    pub sql: &'static str,
}

/// The tables of a reader's progress, which every schema has.
const PROGRESS: &[Step] = &[
    Step { version: 1, name: "progress", sql: include_str!("../migrations/0001_progress.sql") },
    Step { version: 2, name: "copy", sql: include_str!("../migrations/0002_copy.sql") },
    Step { version: 3, name: "log", sql: include_str!("../migrations/0003_log.sql") },
];

/// Brings `schema` to its newest form: creates it, then runs what is missing of kit-store's steps
/// and of `steps`. Several processes may start at once: a lock lets them through one by one.
///
/// # Errors
/// Postgres does not answer, or a step fails.
pub async fn migrate(url: &str, schema: &str, steps: &[Step]) -> Result<(), StoreError> {
    let mut connection = connect::migrator(url, schema).await?;
    create_schema(&mut connection, schema)
        .await
        .map_err(|source| StoreError::CreateSchema { schema: schema.to_owned(), source })?;
    let migrations = PROGRESS.iter().chain(steps).map(migration).collect();
    // sqlx takes a lock of its own for the whole database; the connection's end lets go of it.
    // `run` would do, were its future `Send` for every lifetime (rust-lang/rust#96865).
    Migrator::with_migrations(migrations)
        .run_direct(None, &mut connection, false)
        .await
        .map_err(|source| StoreError::Migrate { schema: schema.to_owned(), source })?;
    // Nothing is lost where the goodbye fails: the work is committed.
    drop(connection.close().await);
    Ok(())
}

/// `create schema if not exists` may still fail when two do it at once, hence the lock.
async fn create_schema(connection: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('arteria/schema', 0))")
        .execute(&mut *transaction)
        .await?;
    sqlx::query(AssertSqlSafe(format!("create schema if not exists {schema}")))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

fn migration(step: &Step) -> Migration {
    let sql = step.sql.into_sql_str();
    Migration::new(step.version, step.name.into(), MigrationType::Simple, sql, false)
}
