//! Connections: a pool for those who only read, one connection for the one that writes.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::StoreError;

/// A connection must stand within this time; a Postgres that takes longer is as good as away.
const CONNECT_WITHIN_S: u64 = 5;
/// The longest statement of a reader at REST. Every read is a few index entries; one that takes
/// this long would only keep the connection from others.
const READ_STATEMENT_MS: u32 = 5_000;
/// The longest statement of a projector: a withdrawal may touch every row of the largest unit, a
/// million of them in half a minute.
const WRITE_STATEMENT_MS: u32 = 120_000;
/// A projector waits this long for a lock; nobody but an operator takes one against it.
const WRITE_LOCK_MS: u32 = 10_000;
/// A transaction left open this long belongs to a process that is stuck; Postgres ends it, so that
/// its locks and its snapshot hold up nobody.
const IDLE_IN_TRANSACTION_MS: u32 = 30_000;
/// A request that cannot have a connection within this time is better refused.
const ACQUIRE_WITHIN_MS: u64 = 2_000;
/// A read is planned once for each connection, not each time. Every combination of conditions is a
/// statement of its own and finds its rows by an index whatever the values are, so a plan made for
/// the values at hand is no better. Left to itself Postgres believes that it is, because it guesses
/// fewer rows where it knows a range's ends, and spends as long planning a page of names as reading
/// it (0.2 to 0.4 ms of 0.5 to 0.7).
const READ_PLANS: &str = "force_generic_plan";
/// Connections of a pool that only reads: about four for each of two cores.
pub const READ_CONNECTIONS_MAX: u32 = 8;

/// Connections that such a pool keeps, so that the first read after a quiet night need not connect.
const READ_CONNECTIONS_MIN: u32 = 2;
/// A connection that was idle for this long is asked whether it is still there. One that was used a
/// moment ago is not: the question would be a second round trip of every read.
const PING_AFTER_IDLE_MS: u64 = 1_000;

/// What a pool does with a connection that comes back: sqlx 0.9.0 may return one whose `BEGIN` was
/// cancelled half-way, and the next write on it would vanish (sqlx #4393). The `BEGIN` is there
/// because Postgres logs a warning for each `ROLLBACK` outside a transaction: one for each read.
const CLEAN: &str = "BEGIN; ROLLBACK; RESET ALL";

/// A pool for reading, which connects when it is first used. Writing through it is refused by
/// Postgres itself.
///
/// # Errors
/// The URL is no Postgres URL.
pub fn read_pool(url: &str, application: &str, connections_max: u32) -> Result<PgPool, StoreError> {
    let options = options(url, application)?.options([
        ("default_transaction_read_only", "on".to_owned()),
        ("statement_timeout", READ_STATEMENT_MS.to_string()),
        ("plan_cache_mode", READ_PLANS.to_owned()),
    ]);
    let pool = PgPoolOptions::new()
        .max_connections(connections_max)
        .min_connections(READ_CONNECTIONS_MIN.min(connections_max))
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            let is_fresh = meta.idle_for < Duration::from_millis(PING_AFTER_IDLE_MS);
            Box::pin(async move {
                if !is_fresh {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .acquire_timeout(Duration::from_millis(ACQUIRE_WITHIN_MS))
        .after_release(|connection, _| {
            Box::pin(async move { sqlx::raw_sql(CLEAN).execute(connection).await.map(|_| true) })
        })
        .connect_lazy_with(options);
    Ok(pool)
}

/// The one connection that writes the tables of `schema`, which it finds without naming it.
///
/// Its commits do not wait for the disk: offsets travel in the same transaction as the rows, so a
/// crash of Postgres takes both back together and the log gives both again.
///
/// # Errors
/// The URL is no Postgres URL, or Postgres does not answer in time.
pub async fn writer(url: &str, schema: &str) -> Result<PgConnection, StoreError> {
    let application = format!("arteria-projector-{schema}");
    let options = options(url, &application)?.options([
        ("search_path", schema.to_owned()),
        ("synchronous_commit", "off".to_owned()),
        ("statement_timeout", WRITE_STATEMENT_MS.to_string()),
        ("lock_timeout", WRITE_LOCK_MS.to_string()),
        ("jit", "off".to_owned()),
    ]);
    connect(&options, &application).await
}

/// A connection whose unqualified names are those of `schema`, without a limit on statements: an
/// index on a large table takes its time.
pub(crate) async fn migrator(url: &str, schema: &str) -> Result<PgConnection, StoreError> {
    let application = format!("arteria-migrate-{schema}");
    let options = options(url, &application)?.options([("search_path", schema)]);
    connect(&options, &application).await
}

/// A connection for an operator's acts on whole copies: no statement of it is cut short, and its
/// snapshot may stay open while something else catches up.
///
/// # Errors
/// The URL is no Postgres URL, or Postgres does not answer in time.
pub async fn operator(url: &str, application: &str) -> Result<PgConnection, StoreError> {
    let options = options(url, application)?
        .options([("idle_in_transaction_session_timeout", "0"), ("jit", "off")]);
    connect(&options, application).await
}

fn options(url: &str, application: &str) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(StoreError::Url)?;
    let options = options.application_name(application).options([
        ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_MS.to_string()),
        // BEGIN within a transaction is a warning when such a connection comes back.
        ("client_min_messages", "error".to_owned()),
        ("timezone", "UTC".to_owned()),
    ]);
    // Statements and their time are logged by nobody: a slow one shows in the read's own time.
    Ok(options.disable_statement_logging())
}

async fn connect(
    options: &PgConnectOptions,
    application: &str,
) -> Result<PgConnection, StoreError> {
    let within = Duration::from_secs(CONNECT_WITHIN_S);
    match tokio::time::timeout(within, PgConnection::connect_with(options)).await {
        Ok(connected) => connected
            .map_err(|source| StoreError::Connect { application: application.to_owned(), source }),
        Err(_) => Err(StoreError::ConnectTimeout {
            application: application.to_owned(),
            within_s: CONNECT_WITHIN_S,
        }),
    }
}
