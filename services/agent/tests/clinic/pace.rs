//! How long the agent takes for one booking, beside the two durable commits that nobody can spare.
//! Run with `cargo test -p agent --release -- --ignored --nocapture pace`.

use std::time::{Duration, Instant};

use kit_event::Timestamp;
use kit_link::FromEdge;
use rusqlite::Connection;
use serde_json::json;

use crate::desk::Folder;
use crate::edge::{FakeEdge, Running, request};
use crate::walkthrough::booking;

const BOOKINGS: i64 = 1_000;

fn told(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    println!("{name:24} p50 {:?}  p90 {:?}  p99 {:?}", at(0.5), at(0.9), at(0.99));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures, and says nothing of right or wrong"]
async fn pace_of_one_booking_at_a_time() {
    told("two bare commits", floor());
    let clinic = Folder::staffed();
    clinic.desk().execute_batch("UPDATE working_hours SET starts = '00:00', ends = '24:00'").unwrap();
    let mut edge = FakeEdge::start().await;
    let agent = Running::start(&clinic, &edge);
    let mut link = edge.welcome().await;
    edge.seeded(&mut link).await;
    let first: Timestamp = "2026-03-09T00:00:00Z".parse().unwrap();
    let mut times = Vec::new();
    for n in 0..BOOKINGS {
        // 700 bookings to a Monday of two-minute visits.
        let week = first.plus_ms((n / 700) * 7 * 86_400_000);
        let starts = week.plus_ms((n % 700) * 120_000);
        let mut wish = booking(&starts.to_string(), &starts.plus_ms(120_000).to_string());
        wish["appointment_id"] = json!(uuid::Uuid::from_u128(n as u128 + 1));
        let wish = request(n, &format!("{n}"), "scheduling.book_appointment", wish);
        let asked = Instant::now();
        link.send(&FromEdge::Request(wish)).await;
        let replies = link.replies.len();
        edge.until(&mut link, |_, link| link.replies.len() > replies).await;
        times.push(asked.elapsed());
        assert_eq!(link.replies[replies].outcome["state"], "done");
        edge.until(&mut link, |_, link| link.applied == Some(n + 1)).await;
    }
    agent.stop().await;
    told("a booking at the agent", times);
}

fn floor() -> Vec<Duration> {
    let dir = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        let conn = Connection::open(dir.path().join(name)).unwrap();
        conn.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (x TEXT)",
        )
        .unwrap();
        conn
    };
    let (one, two) = (open("one.db"), open("two.db"));
    let row = "x".repeat(1_000);
    (0..BOOKINGS)
        .map(|_| {
            let begun = Instant::now();
            for conn in [&one, &two] {
                conn.prepare_cached("INSERT INTO t VALUES (?1)").unwrap().execute([&row]).unwrap();
            }
            begun.elapsed()
        })
        .collect()
}
