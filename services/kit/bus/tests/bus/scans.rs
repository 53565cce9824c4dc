//! Scans: exactly the stretch asked for, on readers that are used again.

use kit_bus::{Scan, ScanError, Topic};

use crate::{bus, fact, soon};

async fn offsets(scan: &mut Scan) -> Vec<i64> {
    let mut offsets = Vec::new();
    while let Some(record) = soon("a record", scan.next()).await {
        offsets.push(record.unwrap().offset);
    }
    offsets
}

#[tokio::test]
async fn a_scan_reads_its_stretch_and_ends() {
    let bus = bus(1).await;
    for seq in 1..=10 {
        bus.publish_fact(&fact("hcu-0001", seq)).await.unwrap();
    }
    let scans = bus.scans(2);
    for (from, to, expected) in [(0, 10, 0..10), (3, 5, 3..5), (5, 5, 0..0), (9, 3, 0..0)] {
        let mut scan = scans.scan(Topic::Facts, 0, from, to).await.unwrap();
        assert_eq!(offsets(&mut scan).await, expected.collect::<Vec<_>>(), "{from}..{to}");
        assert!(scan.next().await.is_none());
    }
    let head = bus.scan_head(Topic::Facts, 0).await.unwrap();
    assert_eq!(head, 10);
}

#[tokio::test]
async fn a_log_that_ends_before_the_stretch_does_is_waited_for() {
    let bus = bus(1).await;
    bus.publish_fact(&fact("hcu-0001", 1)).await.unwrap();
    let mut scan = bus.scans(1).scan(Topic::Facts, 0, 0, 2).await.unwrap();
    assert_eq!(scan.next().await.unwrap().unwrap().offset, 0);
    let early = tokio::time::timeout(std::time::Duration::from_millis(500), scan.next()).await;
    assert!(early.is_err(), "the stretch has not ended");
    bus.publish_fact(&fact("hcu-0001", 2)).await.unwrap();
    assert_eq!(offsets(&mut scan).await, [1]);
}

#[tokio::test]
async fn a_scan_from_a_place_that_is_not_there_says_so() {
    let bus = bus(1).await;
    let scans = bus.scans(1);
    let mut scan = scans.scan(Topic::Facts, 0, 7, 9).await.unwrap();
    let error = soon("an answer", scan.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, ScanError::OutOfRange { offset: 7, low: 0, high: 0, .. }), "{error}");
    assert!(scan.next().await.is_none());
    bus.publish_fact(&fact("hcu-0001", 1)).await.unwrap();
    let mut scan = scans.scan(Topic::Facts, 0, 0, 1).await.unwrap();
    assert_eq!(offsets(&mut scan).await, [0], "the reader is of use again");
}

#[tokio::test]
async fn more_scans_than_permits_wait_their_turn_and_an_abandoned_one_gives_its_place_back() {
    let bus = bus(4).await;
    for unit in 0..8 {
        for seq in 1..=20 {
            bus.publish_fact(&fact(&format!("hcu-{unit:04}"), seq)).await.unwrap();
        }
    }
    let scans = bus.scans(2);
    let mut tasks = tokio::task::JoinSet::new();
    for round in 0..24 {
        let (scans, bus) = (scans.clone(), bus.clone());
        tasks.spawn(async move {
            let partition = round % 4;
            let head = bus.scan_head(Topic::Facts, partition).await.unwrap();
            let mut scan = scans.scan(Topic::Facts, partition, 0, head).await.unwrap();
            if round % 3 == 0 {
                // Whoever asked is gone after the first record.
                let _ = soon("a record", scan.next()).await;
                return;
            }
            assert_eq!(offsets(&mut scan).await, (0..head).collect::<Vec<_>>());
        });
    }
    soon("every scan", tasks.join_all()).await;
}
