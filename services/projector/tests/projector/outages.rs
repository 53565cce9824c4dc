//! Servers that go away, logs that are not there, and a second process.

use kit_lifecycle::{Lifecycle, LifecycleError};
use sqlx::AssertSqlSafe;

use crate::unit::registered;
use crate::{Network, Unit, eventually};

async fn patients(network: &Network) -> i64 {
    network.count("select count(*) from patients.patient").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_to_postgres_is_made_again() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    for n in 1..=100 {
        unit.say(registered(n)).await;
        if n % 20 == 0 {
            sqlx::query(
                "select pg_terminate_backend(pid) from pg_stat_activity
                 where datname = current_database() and application_name like '%projector%'",
            )
            .execute(&network.admin)
            .await
            .unwrap();
        }
    }
    network.settle().await;
    assert_eq!(patients(&network).await, 100);
    assert_eq!(network.count("select count(*) from timeline.fact").await, 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_for_the_same_domain_one_stops_with_an_error() {
    let network = Network::bare(2).await;
    network.start(Some("patients"));
    network.ready().await;
    let second = Lifecycle::without_signals();
    network.start_as(&second, Some("patients"));
    eventually("both", || async { second.readiness().is_ready() }).await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    for n in 1..=50 {
        unit.say(registered(n)).await;
    }
    eventually("all rows, by whichever is left", || async { patients(&network).await == 50 }).await;
    assert_eq!(network.count("select max(seq) from patients.applied").await, 51);
    let (one, two) = (network.life.soft(), second.soft());
    eventually("the end of one", || async { one.is_cancelled() || two.is_cancelled() }).await;
    assert!(one.is_cancelled() != two.is_cancelled(), "and the other goes on");
    let ended = if one.is_cancelled() { network.life.clone() } else { second };
    let fault = ended.drain().await.unwrap_err();
    assert!(matches!(fault, LifecycleError::TaskEnded { task: "patients" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_the_log_does_not_have_halts_its_domain_alone() {
    let mut network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    unit.say(registered(1)).await;
    network.settle().await;
    network.stop().await;
    let sql = "update patients.offsets set next_offset = next_offset + 1000".to_owned();
    sqlx::query(AssertSqlSafe(sql)).execute(&network.admin).await.unwrap();
    network.start(None);
    unit.say(registered(2)).await;
    eventually("the timeline goes on", || async {
        network.count("select count(*) from timeline.fact").await == 3
    })
    .await;
    assert_eq!(patients(&network).await, 1);
    eventually("the others are ready", || async {
        network.life.readiness().waiting_for() == ["patients"]
    })
    .await;
    assert!(!network.life.soft().is_cancelled(), "the process goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_may_migrate_at_once() {
    let network = Network::bare(1).await;
    let mut all = Vec::new();
    for _ in 0..6 {
        for domain in projector::domains::ALL {
            let url = network.postgres_url.clone();
            all.push(tokio::spawn(async move {
                kit_store::migrate(&url, domain.schema(), domain.steps()).await.unwrap();
            }));
        }
    }
    for one in all {
        one.await.unwrap();
    }
    for domain in projector::domains::ALL {
        let sql = format!("select count(*) from {}._sqlx_migrations", domain.schema());
        assert_eq!(network.count(&sql).await, domain.steps().len() as i64 + 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_reads_cannot_write() {
    let network = Network::running().await;
    let refused = sqlx::query("delete from patients.patient").execute(&network.reads).await;
    let code = refused.unwrap_err().into_database_error().unwrap().code().unwrap().into_owned();
    assert_eq!(code, "25006", "read_only_sql_transaction");
    // A cancelled transaction leaves a connection of the pool clean (sqlx #4393).
    for micros in 0..200 {
        let begin = network.reads.begin();
        let short = std::time::Duration::from_micros(micros * 5);
        drop(tokio::time::timeout(short, begin).await);
    }
    let open = "select count(*) from pg_stat_activity where state like 'idle in transaction%'
                and datname = current_database() and application_name = 'test'";
    eventually("clean connections", || async { network.count(open).await == 0 }).await;
}
