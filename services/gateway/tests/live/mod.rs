//! A gateway on real read models, served on a socket, and a clinic whose facts the test commits as
//! the projectors do: rows and position in one transaction.

#![expect(dead_code, reason = "each test file uses its own part")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gateway::streams::{Bounds, Streams};
use gateway::watch::Watcher;
use kit_clock::Clock;
use kit_event::{Timestamp, UnitId, UnitSeq};
use kit_token::Kind;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::desk::{Desk, FakeBook, UNIT};

pub mod reader;

/// What a test waits for at most.
pub const SOON: Duration = Duration::from_mins(1);

/// A gateway, its database, its address.
pub struct Live {
    pub desk: Desk,
    pub pool: PgPool,
    pub url: String,
    pub addr: SocketAddr,
    stop: CancellationToken,
}

/// A fact to be committed.
#[derive(Debug, Clone)]
pub struct Told {
    pub type_name: String,
    pub subject: Option<String>,
    pub patient: Option<Uuid>,
    pub time: Timestamp,
    pub body: Value,
}

impl Told {
    pub fn new(type_name: &str, patient: Option<Uuid>, body: Value) -> Self {
        let time = Clock::system().now();
        Self { type_name: type_name.to_owned(), subject: None, patient, time, body }
    }

    pub fn about(self, subject: String) -> Self {
        Self { subject: Some(subject), ..self }
    }
}

impl Live {
    pub async fn start(bounds: Bounds) -> Self {
        let servers = kit_testkit::servers().await;
        let name = format!("gw{}", Uuid::new_v4().simple());
        let mut maintenance = PgConnection::connect(&servers.postgres).await.unwrap();
        let create = AssertSqlSafe(format!("create database {name}"));
        sqlx::query(create).execute(&mut maintenance).await.unwrap();
        let (server, _) = servers.postgres.rsplit_once('/').unwrap();
        let url = format!("{server}/{name}");
        for store in all_stores::ALL {
            kit_store::migrate(&url, store.schema(), store.steps()).await.unwrap();
        }
        let pool = kit_store::read_pool(&url, "gateway-test", 8).unwrap();
        let streams = Streams::bounded(bounds);
        let read = all_rest::book(&pool);
        let book = Arc::new(FakeBook::default());
        let clock = Clock::system();
        let desk =
            Desk::with(pool.clone(), clock.clone(), streams.clone(), book, read.clone()).await;
        let stop = CancellationToken::new();
        tokio::spawn(Watcher::new(streams, pool, read, clock).run(stop.clone()));
        let listener = kit_http::serve::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (app, soft) = (desk.app.clone(), desk.soft.clone());
        tokio::spawn(kit_http::serve(listener, app, soft, stop.clone()));
        let pool = PgPool::connect(&url).await.unwrap();
        Self { desk, pool, url, addr, stop }
    }

    pub fn unit() -> UnitId {
        UNIT.parse().unwrap()
    }

    /// A clinic that has stated nothing yet.
    pub fn clinic(&self) -> Clinic {
        Clinic { pool: self.pool.clone(), last: AtomicU64::new(0), epoch: 1 }
    }

    /// The patient is registered in [`UNIT`].
    pub async fn home(&self, patient: &str) {
        sqlx::query("insert into patients.home (patient_id, unit) values ($1::uuid, $2)")
            .bind(patient)
            .bind(UNIT)
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// An open request, as the reader of requests writes it.
    pub async fn asked(&self, id: &str, patient: Option<&str>, expires: Timestamp, position: i64) {
        sqlx::query(
            "insert into requests.request (request_id, unit, state, type, accepted_ms, accepted_at,
                 expires_at, delivery, actor, patient_id, log, position)
             values ($1, $2, 'accepted', 'scheduling.book_appointment', 1, now(), $3, 'queue',
                 'patient:ana', $4::uuid, 'cluster/unit.requests/0', $5)",
        )
        .bind(id)
        .bind(UNIT)
        .bind(expires.to_utc())
        .bind(patient)
        .bind(position)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    pub fn staff(&self) -> String {
        self.desk.token(Kind::Staff, UNIT)
    }

    pub fn patient(&self) -> String {
        self.desk.token(Kind::Patient, UNIT)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The unit's end: numbers facts without a gap and commits them in that order.
pub struct Clinic {
    pool: PgPool,
    last: AtomicU64,
    epoch: u32,
}

impl Clinic {
    pub fn last(&self) -> UnitSeq {
        UnitSeq::new(self.epoch, self.last.load(Ordering::SeqCst))
    }

    /// Begins a new epoch.
    pub fn begin_epoch(&mut self) {
        self.epoch += 1;
        self.last.store(0, Ordering::SeqCst);
    }

    /// The timeline and every other read model take these facts.
    pub async fn state(&self, facts: &[Told]) -> Vec<UnitSeq> {
        let numbers = self.state_in_timeline(facts).await;
        self.others_follow().await;
        numbers
    }

    /// Only the timeline takes these facts.
    pub async fn state_in_timeline(&self, facts: &[Told]) -> Vec<UnitSeq> {
        let mut transaction = self.pool.begin().await.unwrap();
        let mut numbers = Vec::new();
        for fact in facts {
            let seq = self.last.fetch_add(1, Ordering::SeqCst) + 1;
            numbers.push(UnitSeq::new(self.epoch, seq));
            sqlx::query(
                "insert into timeline.fact (unit, epoch, seq, id, type, version, time, subject,
                     patient_id, partition, log_offset, body)
                 values ($1, $2, $3, gen_random_uuid(), $4, 1, $5, $6, $7, 0, 0, $8)",
            )
            .bind(UNIT)
            .bind(i64::from(self.epoch))
            .bind(seq.cast_signed())
            .bind(&fact.type_name)
            .bind(fact.time.to_utc())
            .bind(&fact.subject)
            .bind(fact.patient)
            .bind(&fact.body)
            .execute(&mut *transaction)
            .await
            .unwrap();
        }
        self.move_to(&mut transaction, "timeline").await;
        transaction.commit().await.unwrap();
        numbers
    }

    pub async fn others_follow(&self) {
        let mut connection = self.pool.acquire().await.unwrap();
        for store in all_stores::ALL.iter().filter(|store| store.schema() != "timeline") {
            self.move_to(&mut connection, store.schema()).await;
        }
    }

    async fn move_to(&self, connection: &mut PgConnection, schema: &str) {
        let at = self.last();
        let sql = format!(
            "insert into {schema}.applied (unit, epoch, seq, id, time, seen_epoch, seen_seq)
             values ($1, $2, $3, gen_random_uuid(), now(), $2, $3) on conflict (unit) do update
             set epoch = excluded.epoch, seq = excluded.seq, time = excluded.time,
                 seen_epoch = excluded.seen_epoch, seen_seq = excluded.seen_seq"
        );
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(UNIT)
            .bind(i64::from(at.epoch))
            .bind(at.seq.cast_signed());
        connection.execute(query).await.unwrap();
    }
}

/// Looks again until it is so.
pub async fn eventually(mut look: impl FnMut() -> bool) {
    let wait = async {
        while !look() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, wait).await.expect("what must come");
}
