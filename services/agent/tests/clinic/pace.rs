//! How long the agent takes for one booking, beside the two durable commits that nobody can spare.
//! Run with `cargo test -p agent --release -- --ignored --nocapture pace`.

use std::time::{Duration, Instant};

use kit_event::Timestamp;
use kit_link::{FromEdge, RequestFrame};
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
    let mut edge = FakeEdge::start().await;
    let agent = Running::start(&clinic, &edge);
    let mut link = edge.welcome().await;
    edge.seeded(&mut link).await;
    let mut times = Vec::new();
    for n in 0..BOOKINGS {
        let command = nth_booking(n);
        let asked = Instant::now();
        link.send(&FromEdge::Request(command)).await;
        let replies = link.replies.len();
        edge.until(&mut link, |_, link| link.replies.len() > replies).await;
        times.push(asked.elapsed());
        assert_eq!(link.replies[replies].outcome["state"], "done");
        edge.until(&mut link, |_, link| link.applied == Some(n + 1)).await;
    }
    agent.stop().await;
    told("a booking at the agent", times);
}

/// Twenty half hours to a Monday.
fn nth_booking(n: i64) -> RequestFrame {
    let first: Timestamp = "2026-03-09T08:00:00Z".parse().unwrap();
    let starts = first.plus_ms((n / 20) * 7 * 86_400_000 + (n % 20) * 1_800_000);
    let mut command = booking(&starts.to_string(), &starts.plus_ms(1_800_000).to_string());
    command["appointment_id"] = json!(uuid::Uuid::from_u128(n as u128 + 1));
    request(n, &format!("{n}"), "scheduling.book_appointment", command)
}

/// What the clinic thread alone needs, without sockets and without waiting for the machine's other
/// work: its time on a processor.
#[test]
#[ignore = "it measures, and says nothing of right or wrong"]
fn pace_of_the_clinic_thread() {
    let clinic = Folder::staffed();
    let mut agent = clinic.worker();
    let mut line = agent.connect(None, kit_link::Resume::Exact);
    agent.receive(&mut line, vec![]);
    let (mut on_processor, mut by_the_wall) = (Vec::new(), Vec::new());
    for n in 0..BOOKINGS {
        let frame = FromEdge::Request(nth_booking(n));
        agent.inbox.send(agent::inbox::Inbox::Frame(Box::new(frame))).unwrap();
        let (begun, cpu) = (Instant::now(), cpu_time());
        agent.worker.turn(Duration::ZERO).unwrap();
        on_processor.push(cpu_time().checked_sub(cpu).unwrap());
        by_the_wall.push(begun.elapsed());
        line.take_now(&agent.inbox);
    }
    assert_eq!(line.replies.len(), BOOKINGS as usize);
    told("clinic thread, processor", on_processor);
    told("clinic thread, wall", by_the_wall);
}

fn cpu_time() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(told.split_whitespace().next().unwrap().parse().unwrap())
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
