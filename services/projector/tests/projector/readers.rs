//! Apps that read all the time while tables change under them; each answer must be right.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kit_event::{UnitId, UnitSeq};
use patients_store::PatientFilter;
use uuid::Uuid;

use crate::Network;

/// Readers that ask all the time, over the statements that their pool has prepared.
pub struct Readers {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Readers {
    /// Each answer must hold every patient of `unit` from the first to the last at its own number,
    /// and no reader may see that number go back.
    pub fn start(network: &Network, unit: &UnitId) -> Self {
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = Vec::new();
        for n in 0..4 {
            let (pool, unit) = (network.reads.clone(), unit.clone());
            let (stop, asked) = (stop.clone(), asked.clone());
            tasks.push(tokio::spawn(async move {
                let mut last = UnitSeq::ZERO;
                while !stop.load(Ordering::SeqCst) {
                    let seq = if n % 2 == 0 {
                        list(&pool, &unit).await
                    } else {
                        timeline(&pool, &unit).await
                    };
                    assert!(seq >= last, "from {last} back to {seq}");
                    last = seq;
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            }));
        }
        Self { stop, asked, tasks }
    }

    /// Readers of requests, which nobody writes meanwhile: every answer is the same.
    pub fn start_quiet(network: &Network) -> Self {
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (pool, unit): (_, UnitId) = (network.reads.clone(), "hcu-0001".parse().unwrap());
        let (stopped, counted) = (stop.clone(), asked.clone());
        let task = tokio::spawn(async move {
            let filter = requests_store::RequestFilter::default();
            let now = kit_event::Timestamp::from_unix_ms(0);
            let ask = || requests_store::requests(&pool, &unit, &filter, now, None, 100);
            let first = ask().await.unwrap();
            assert_eq!(first.value.items.len(), 5);
            while !stopped.load(Ordering::SeqCst) {
                assert_eq!(ask().await.unwrap(), first);
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { stop, asked, tasks: vec![task] }
    }

    pub async fn end(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.asked.load(Ordering::SeqCst)
    }
}

/// Fact `n + 1` of the unit registers patient `n`, or amends an earlier one.
async fn list(pool: &sqlx::PgPool, unit: &UnitId) -> UnitSeq {
    let filter = PatientFilter { name: Some("given".to_owned()), ..PatientFilter::default() };
    let page = patients_store::patients(pool, unit, &filter, None, 500).await.unwrap();
    let seq = page.freshness.unwrap().seq;
    let greatest = page.value.items.iter().map(|row| row.seq).max().unwrap();
    assert!(greatest <= seq, "a row at {greatest}, and the answer says {seq}");
    assert_eq!(page.value.items.len() as u64, (seq.seq - 1).min(400), "at {seq}");
    let one = patients_store::patient(pool, unit, Uuid::from_u128(1)).await.unwrap();
    assert!(one.value.is_some() && one.freshness.unwrap().seq >= seq);
    one.freshness.unwrap().seq
}

async fn timeline(pool: &sqlx::PgPool, unit: &UnitId) -> UnitSeq {
    let filter = kit_timeline::EventFilter::default();
    let events = kit_timeline::events(pool, unit, &filter, 500).await.unwrap();
    let seq = events.freshness.unwrap().seq;
    let numbers: Vec<u64> = events.value.iter().map(|line| line.seq.seq).collect();
    assert_eq!(numbers, (1..=seq.seq.min(500)).collect::<Vec<_>>(), "at {seq}");
    seq
}
