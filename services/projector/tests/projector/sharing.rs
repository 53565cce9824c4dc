//! Domains share one reader of the log; who cannot keep up reads alone for a while.

use std::time::Duration;

use sqlx::Connection as _;
use tokio::time::Instant;

use crate::unit::{registered, result_filed};
use crate::{Network, Unit, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_is_slow_holds_nobody_up_and_loses_nothing() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    unit.say(registered(1)).await;
    network.settle().await;
    // Nobody can write patients now; reads of them go on.
    let mut other = sqlx::PgConnection::connect(&network.postgres_url).await.unwrap();
    let mut held = other.begin().await.unwrap();
    let lock = "lock table patients.patient in share row exclusive mode";
    sqlx::query(lock).execute(&mut *held).await.unwrap();
    let since = Instant::now();
    for n in 2..=200 {
        unit.say(registered(n)).await;
    }
    eventually("the timeline without the patients", || async {
        network.count("select count(*) from timeline.fact").await == 201
    })
    .await;
    assert!(since.elapsed() < Duration::from_secs(25), "the others were held up");
    assert_eq!(network.count("select count(*) from patients.patient").await, 1);
    held.rollback().await.unwrap();
    network.settle().await;
    assert_eq!(network.count("select count(*) from patients.patient").await, 200);
    for n in 0..20 {
        unit.say(result_filed(n)).await;
    }
    network.settle().await;
    assert_eq!(network.count("select max(seq) from patients.applied").await, 221);
    assert_eq!(network.count("select count(*) from patients.held").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn domains_that_stand_apart_come_together() {
    let mut network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    for n in 1..=50 {
        unit.say(registered(n)).await;
    }
    network.settle().await;
    let expected = network.dump().await;
    network.stop().await;
    // One is new, one is far behind, the others stand at the end.
    sqlx::raw_sql(
        "drop schema units cascade;
         update patients.offsets set next_offset = 7 where next_offset > 7",
    )
    .execute(&network.admin)
    .await
    .unwrap();
    network.start(None);
    network.settle().await;
    assert_eq!(network.dump().await, expected);
    network.ready().await;
    for n in 51..=80 {
        unit.say(registered(n)).await;
    }
    network.settle().await;
    assert_eq!(network.count("select count(*) from patients.patient").await, 80);
    assert_eq!(network.count("select count(*) from timeline.fact").await, 81);
    assert_eq!(network.count("select max(seq) from units.applied").await, 81);
}
