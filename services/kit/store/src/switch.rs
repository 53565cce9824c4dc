//! Another copy becomes the live one, without a refused read and without a wrong one.
//!
//! The tables change their schemas, one by one, in one transaction that holds every one of them
//! alone. A read that came before finishes first; one that comes meanwhile waits some milliseconds
//! for its first table's lock, and when it has it, Postgres looks the name up anew: the prepared
//! statements of a pool are planned again, because the tables that they were planned for have
//! changed. Renaming the schemas would take no lock on any table, so that a read might find one of
//! its tables in the old copy and the next in the new.
//!
//! Readers never lose: the switch asks for its locks for a fraction of the time after which
//! Postgres looks for deadlocks, and where it does not get all of them it lets go of all, and asks
//! again a little later. Until it commits nothing has happened; after it everything has.
//!
//! One read is one statement. A reader that put several into one transaction with one snapshot
//! would see an empty copy where the new one was filled after that snapshot; ours do not.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, Transaction};

use crate::StoreError;
use crate::copies::{self, Place, leaving};
use crate::error::Act;
use crate::progress::Offsets;

/// How long the switch waits for the projector's batch at hand, and for an autovacuum to give way;
/// shorter than the time that a projector waits for a lock.
const HOLD_WITHIN_MS: u32 = 8_000;
/// How long one lock is waited for while reads queue up behind it. Postgres looks for deadlocks
/// after a second, and may then end either side; below that the switch always gives way.
const LOCK_WITHIN_MS: u32 = 100;
/// The same for all locks together.
const LOCKS_WITHIN_MS: u32 = 300;
/// How often the locks are asked for while the projector is held: some six seconds at worst, which
/// is less than it waits for a lock.
const TRIES_MAX: u32 = 15;
/// Between two tries, so that reads that waited have gone through.
const BETWEEN_TRIES_MS: u64 = 100;

/// A switch that has begun: the live copy is read on, and written by nobody.
pub struct Switch<'c> {
    transaction: Transaction<'c, Postgres>,
    domain: String,
    candidate: Place,
}

impl<'c> Switch<'c> {
    /// Holds the live copy's progress, so that its writer waits; none where somebody else holds on
    /// to a lock for too long. Dropping it lets go.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn hold(
        connection: &'c mut PgConnection,
        domain: &str,
        candidate: Place,
    ) -> Result<Option<Self>, StoreError> {
        let live = listed(connection, domain).await?;
        let next = listed(connection, &candidate.schema(domain)).await?;
        let mut transaction = connection.begin().await.writing("switch")?;
        // This makes an autovacuum of these tables give way and keeps the next one out. It disturbs
        // neither reads nor writes.
        let quiet = format!(
            "set local lock_timeout = {HOLD_WITHIN_MS};
             lock table {live}, {next} in share update exclusive mode;
             lock table {domain}.offsets in exclusive mode"
        );
        let held = run(&mut transaction, quiet).await;
        match held {
            Ok(()) => {}
            Err(error) if error.is_locked_out() => return Ok(None),
            Err(error) => return Err(error),
        }
        Ok(Some(Self { transaction, domain: domain.to_owned(), candidate }))
    }

    /// Where the live copy stands, and stays.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn live_offsets(&mut self) -> Result<Offsets, StoreError> {
        read_offsets(&mut self.transaction, &self.domain).await
    }

    /// Makes the candidate the live copy and the live one the previous. `deeds` are the tables
    /// whose rows go along. Gives back how long reads may have waited; none where they never left a
    /// gap, and then nothing has happened.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn complete(mut self, deeds: &[&str]) -> Result<Option<Duration>, StoreError> {
        for _ in 0..TRIES_MAX {
            let asked = Instant::now();
            if self.lock_all().await? {
                self.move_tables(deeds).await?;
                self.transaction.commit().await.writing("switch")?;
                return Ok(Some(asked.elapsed()));
            }
            tokio::time::sleep(Duration::from_millis(BETWEEN_TRIES_MS)).await;
        }
        Ok(None)
    }

    /// Takes every table of both copies alone, or none.
    async fn lock_all(&mut self) -> Result<bool, StoreError> {
        let live = listed(&mut self.transaction, &self.domain).await?;
        let next = listed(&mut self.transaction, &self.candidate.schema(&self.domain)).await?;
        let mut savepoint = self.transaction.begin().await.writing("switch")?;
        let locks = format!(
            "set local lock_timeout = {LOCK_WITHIN_MS};
             set local statement_timeout = {LOCKS_WITHIN_MS};
             lock table {live}, {next} in access exclusive mode;
             set local statement_timeout = 0"
        );
        match run(&mut savepoint, locks).await {
            Ok(()) => savepoint.commit().await.writing("switch").map(|()| true),
            Err(error) if error.is_locked_out() => {
                savepoint.rollback().await.writing("switch").map(|()| false)
            }
            Err(error) => Err(error),
        }
    }

    async fn move_tables(&mut self, deeds: &[&str]) -> Result<(), StoreError> {
        let (domain, away) = (self.domain.clone(), leaving(&self.domain));
        let (next, previous) = (self.candidate.schema(&domain), Place::Previous.schema(&domain));
        let connection: &mut PgConnection = &mut self.transaction;
        for table in deeds {
            take_over(connection, &domain, &next, table).await?;
        }
        let going = copies::tables(connection, &domain).await?;
        let coming = copies::tables(connection, &next).await?;
        let has_older =
            self.candidate != Place::Previous && copies::exists(connection, &previous).await?;
        let mut sql = format!("create schema {away};");
        for table in going {
            sql.push_str(&format!("alter table {domain}.{table} set schema {away};"));
        }
        for table in coming {
            sql.push_str(&format!("alter table {next}.{table} set schema {domain};"));
        }
        // Empty by now; where a store made anything but tables, this undoes all of it.
        sql.push_str(&format!("drop schema {next};"));
        if has_older {
            sql.push_str(&format!(
                "alter schema {previous} rename to {away}_older;
                 alter schema {away} rename to {previous};
                 alter schema {away}_older rename to {away}"
            ));
        } else {
            sql.push_str(&format!("alter schema {away} rename to {previous}"));
        }
        run(connection, sql).await
    }
}

/// Where a copy stands, over a connection without its search path.
///
/// # Errors
/// Postgres does not answer.
pub async fn read_offsets(
    connection: &mut PgConnection,
    schema: &str,
) -> Result<Offsets, StoreError> {
    let sql = format!("select topic, partition, next_offset from {schema}.offsets");
    let rows: Vec<(String, i32, i64)> =
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(connection).await.reading("offsets")?;
    Ok(rows.into_iter().map(|(topic, partition, next)| ((topic, partition), next)).collect())
}

/// Gives the rows of one table of deeds to the next copy; where both have a key, the live one's
/// stands.
async fn take_over(
    connection: &mut PgConnection,
    live: &str,
    next: &str,
    table: &str,
) -> Result<(), StoreError> {
    let Some(shape) = crate::compare::Shape::common(connection, live, next, table).await? else {
        return Ok(());
    };
    let same: Vec<String> = shape.key.iter().map(|key| format!("n.{key} = l.{key}")).collect();
    let (same, columns) = (same.join(" and "), shape.columns.join(", "));
    let sql = format!(
        "delete from {next}.{table} n using {live}.{table} l where {same};
         insert into {next}.{table} ({columns}) select {columns} from {live}.{table}"
    );
    run(connection, sql).await
}

async fn listed(connection: &mut PgConnection, schema: &str) -> Result<String, StoreError> {
    let tables = copies::tables(connection, schema).await?;
    let named: Vec<String> = tables.iter().map(|table| format!("{schema}.{table}")).collect();
    Ok(named.join(", "))
}

async fn run(connection: &mut PgConnection, sql: String) -> Result<(), StoreError> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.writing("switch")?;
    Ok(())
}
