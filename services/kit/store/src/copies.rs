//! The copies of a domain's tables, each a schema of its own.
//!
//! Readers and the projector know one name, the domain's: what stands there is the live copy. A
//! copy that is being built stands beside it as `<domain>__next`, the one that was live before as
//! `<domain>__previous`. Each has its own progress, so each can be caught up with the log at any
//! time, and each has an identity, by which a writer notices that another one became live.

use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::StoreError;
use crate::error::Act;

/// Where a copy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// What readers see.
    Live,
    /// Being built.
    Next,
    /// What readers saw before.
    Previous,
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Live, Self::Next, Self::Previous];

    /// The schema of `domain` at this place.
    #[must_use]
    pub fn schema(self, domain: &str) -> String {
        match self {
            Self::Live => domain.to_owned(),
            Self::Next => format!("{domain}__next"),
            Self::Previous => format!("{domain}__previous"),
        }
    }

    /// Its name for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Next => "next",
            Self::Previous => "previous",
        }
    }
}

/// A copy that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Where.
    pub place: Place,
    /// Its identity; none where its first migration never ended.
    pub id: Option<Uuid>,
    /// When it was begun.
    pub made_at: Option<DateTime<Utc>>,
    /// Bytes on disk, indexes and all.
    pub bytes: i64,
}

/// The schema of tables that are on their way out, in the transaction of a switch and until they
/// are dropped.
pub(crate) fn leaving(domain: &str) -> String {
    format!("{domain}__leaving")
}

/// The identity of the copy that this connection's search path shows.
///
/// # Errors
/// Postgres does not answer, or there is none.
pub async fn identity(connection: &mut PgConnection) -> Result<Uuid, StoreError> {
    sqlx::query_scalar("select id from copy").fetch_one(connection).await.reading("copy")
}

/// The identity of a domain's live copy, over a connection made for the question.
///
/// # Errors
/// As [`identity`].
pub async fn live_identity(url: &str, domain: &str) -> Result<Uuid, StoreError> {
    let mut connection = crate::writer(url, domain).await?;
    let id = identity(&mut connection).await;
    drop(connection.close().await);
    id
}

/// The copies of a domain that stand.
///
/// # Errors
/// Postgres does not answer.
pub async fn standing(
    connection: &mut PgConnection,
    domain: &str,
) -> Result<Vec<Copy>, StoreError> {
    let mut found = Vec::new();
    for place in Place::ALL {
        let schema = place.schema(domain);
        if !exists(connection, &schema).await? {
            continue;
        }
        let bytes: i64 = sqlx::query_scalar(
            "select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = $1 and c.relkind = 'r'",
        )
        .bind(&schema)
        .fetch_one(&mut *connection)
        .await
        .reading("copies")?;
        let named = tables(connection, &schema).await?.iter().any(|table| table == "copy");
        let mut told = None;
        if named {
            let sql = format!("select id, made_at from {schema}.copy");
            told = sqlx::query_as::<_, (Uuid, DateTime<Utc>)>(AssertSqlSafe(sql))
                .fetch_optional(&mut *connection)
                .await
                .reading("copies")?;
        }
        let (id, made_at) = told.unzip();
        found.push(Copy { place, id, made_at, bytes });
    }
    Ok(found)
}

/// Drops what an ended switch left behind: the copy before the previous one.
///
/// # Errors
/// Postgres does not answer.
pub async fn drop_leaving(connection: &mut PgConnection, domain: &str) -> Result<(), StoreError> {
    drop_schema(connection, &leaving(domain)).await.map(|_| ())
}

/// Drops a copy that is not live, and what an ended switch left behind. Whether there was one.
///
/// # Errors
/// Postgres does not answer.
pub async fn drop_copy(
    connection: &mut PgConnection,
    domain: &str,
    place: Place,
) -> Result<bool, StoreError> {
    drop_leaving(connection, domain).await?;
    match place {
        Place::Live => Ok(false),
        Place::Next | Place::Previous => drop_schema(connection, &place.schema(domain)).await,
    }
}

/// Takes the right to rebuild or switch `domain` for as long as the connection lives; false where
/// somebody else has it.
///
/// # Errors
/// Postgres does not answer.
pub async fn claim(connection: &mut PgConnection, domain: &str) -> Result<bool, StoreError> {
    sqlx::query_scalar("select pg_try_advisory_lock(hashtextextended('arteria/copies/' || $1, 0))")
        .bind(domain)
        .fetch_one(connection)
        .await
        .reading("the claim on a domain's copies")
}

/// Takes statistics of a copy that was just filled: until somebody does, Postgres plans reads of
/// it as if it were empty.
///
/// # Errors
/// Postgres does not answer.
pub async fn analyze(connection: &mut PgConnection, schema: &str) -> Result<(), StoreError> {
    for table in tables(connection, schema).await? {
        sqlx::query(AssertSqlSafe(format!("vacuum (analyze) {schema}.{table}")))
            .execute(&mut *connection)
            .await
            .writing("statistics")?;
    }
    Ok(())
}

/// Whether a schema is there.
///
/// # Errors
/// Postgres does not answer.
pub async fn exists(connection: &mut PgConnection, schema: &str) -> Result<bool, StoreError> {
    sqlx::query_scalar("select exists (select from pg_namespace where nspname = $1)")
        .bind(schema)
        .fetch_one(connection)
        .await
        .reading("schemas")
}

pub(crate) async fn tables(
    connection: &mut PgConnection,
    schema: &str,
) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar(
        "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = $1 and c.relkind in ('r', 'p') order by c.relname",
    )
    .bind(schema)
    .fetch_all(connection)
    .await
    .reading("tables")
}

async fn drop_schema(connection: &mut PgConnection, schema: &str) -> Result<bool, StoreError> {
    if !exists(connection, schema).await? {
        return Ok(false);
    }
    sqlx::query(AssertSqlSafe(format!("drop schema if exists {schema} cascade")))
        .execute(connection)
        .await
        .writing("a dropped copy")?;
    Ok(true)
}
