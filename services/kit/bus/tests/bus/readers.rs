//! Readers: where they begin, what they tell, and that none holds up another.

use std::time::Duration;

use kit_bus::{Bus, BusError, Polled, Reader, ReaderOptions, Topic};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::{bus, fact, record, soon, tail};

/// A unit for each partition, and `count` facts of each.
async fn filled(bus: &Bus, count: u64) -> Vec<String> {
    let mut units = Vec::new();
    for partition in 0..bus.partitions() {
        let mut names = (0..).map(|number| format!("hcu-{number:04}"));
        units.push(names.find(|unit| bus.partition_of(unit) == partition).unwrap());
    }
    bus.seal_fact(&fact("hcu-0001", 1)).await.unwrap();
    let mut deliveries = Vec::new();
    for unit in &units {
        deliveries.extend((1..=count).map(|seq| bus.enqueue_fact(&fact(unit, seq)).unwrap()));
    }
    for delivery in deliveries {
        soon("a delivery", delivery).await.unwrap();
    }
    units
}

fn telling_ends(bus: &Bus) -> Reader {
    let options =
        ReaderOptions { fetch_wait_ms: 10, end_of_partition: true, ..ReaderOptions::default() };
    bus.reader("ends", options).unwrap()
}

#[tokio::test]
async fn a_reader_begins_where_it_is_told_and_tells_the_end() {
    let bus = bus(2).await;
    filled(&bus, 10).await;
    let mut reader = telling_ends(&bus);
    reader.assign(Topic::Facts, vec![(0, 4), (1, 10)]).await.unwrap();
    let (mut offsets, mut ends) = (Vec::new(), Vec::new());
    while ends.len() < 2 {
        match soon("a record or an end", reader.next()).await.unwrap() {
            Polled::Record(record) => offsets.push((record.partition, record.offset)),
            Polled::EndOfPartition { partition, next_offset, .. } => {
                ends.push((partition, next_offset));
            }
            other => panic!("{other:?}"),
        }
    }
    ends.sort_unstable();
    assert_eq!(ends, [(0, 10), (1, 10)]);
    assert_eq!(offsets, (4..10).map(|offset| (0, offset)).collect::<Vec<_>>());
    let refused = reader.assign(Topic::Replies, vec![(0, 0)]).await.unwrap_err();
    assert!(matches!(refused, BusError::MixedTopics { .. }));
}

#[tokio::test]
async fn a_live_tail_hears_of_new_records_and_of_added_partitions() {
    let bus = bus(2).await;
    let units = filled(&bus, 1).await;
    let mut reader = tail(&bus);
    reader.assign(Topic::Facts, vec![(0, 1)]).await.unwrap();
    bus.publish_fact(&fact(&units[0], 2)).await.unwrap();
    assert_eq!(record(&mut reader).await.offset, 1);
    reader.assign(Topic::Facts, vec![(1, 0)]).await.unwrap();
    let raw = record(&mut reader).await;
    assert_eq!((raw.partition, raw.offset), (1, 0));
    reader.assign(Topic::Requests, vec![(0, 0)]).await.unwrap();
    bus.publish_fact(&fact(&units[0], 3)).await.unwrap();
    assert_eq!(record(&mut reader).await.offset, 2);
}

#[tokio::test]
async fn a_partition_moved_or_taken_away_never_shows_its_past() {
    let bus = bus(1).await;
    filled(&bus, 400).await;
    let mut reader = tail(&bus);
    for start in [0, 300, 7, 399, 50, 0, 200] {
        reader.assign(Topic::Facts, vec![(0, start)]).await.unwrap();
        for expected in start..(start + 20).min(400) {
            assert_eq!(record(&mut reader).await.offset, expected, "from {start}");
        }
    }
    reader.unassign(Topic::Facts, vec![0]).await;
    let silence = tokio::time::timeout(Duration::from_millis(300), reader.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    reader.assign(Topic::Facts, vec![(0, 398)]).await.unwrap();
    assert_eq!(record(&mut reader).await.offset, 398);
}

#[tokio::test]
async fn a_reader_that_rests_holds_up_neither_others_nor_its_own_assignments() {
    let bus = bus(2).await;
    filled(&bus, 500).await;
    let options = ReaderOptions { channel_records: 1, ..ReaderOptions::default() };
    let mut slow = bus.reader("slow", options).unwrap();
    slow.assign(Topic::Facts, vec![(0, 0)]).await.unwrap();
    assert_eq!(record(&mut slow).await.offset, 0);
    let mut quick = tail(&bus);
    quick.assign(Topic::Facts, vec![(0, 0)]).await.unwrap();
    for offset in 0..500 {
        assert_eq!(record(&mut quick).await.offset, offset);
    }
    // Its channel is full and its thread waits; it is given a partition all the same.
    soon("an assignment", slow.assign(Topic::Facts, vec![(1, 499)])).await.unwrap();
    let mut next = [1, 499];
    while next != [500, 500] {
        let raw = record(&mut slow).await;
        let next = &mut next[usize::try_from(raw.partition).unwrap()];
        assert_eq!(raw.offset, *next);
        *next += 1;
    }
}

#[tokio::test]
async fn a_place_that_is_not_there_is_told_and_nothing_is_skipped() {
    let bus = bus(3).await;
    filled(&bus, 10).await;
    forget_below(&bus, 0, 5).await;
    let mut reader = tail(&bus);
    let starts = vec![(0, 2), (1, 11), (2, 9)];
    reader.assign(Topic::Facts, starts).await.unwrap();
    let (mut told, mut read) = (Vec::new(), Vec::new());
    while told.len() < 2 || read.is_empty() {
        match soon("a record or a complaint", reader.next()).await.unwrap() {
            Polled::OutOfRange { partition, offset, low, high, .. } => {
                told.push((partition, offset, low, high));
            }
            Polled::Record(record) => read.push((record.partition, record.offset)),
            other => panic!("{other:?}"),
        }
    }
    told.sort_unstable();
    assert_eq!(told, [(0, 2, 5, 10), (1, 11, 0, 10)]);
    assert_eq!(read, [(2, 9)]);
    reader.assign(Topic::Facts, vec![(0, 5)]).await.unwrap();
    assert_eq!(record(&mut reader).await.offset, 5);
}

async fn forget_below(bus: &Bus, partition: i32, offset: i64) {
    let identity = bus.log_identity(Topic::Facts, partition);
    let topic = identity.split('/').nth(1).unwrap();
    let servers = kit_testkit::servers().await;
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &servers.kafka).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
    admin.delete_records(&list, &AdminOptions::new()).await.unwrap();
}

#[tokio::test]
async fn a_dropped_reader_ends_its_thread() {
    let bus = bus(1).await;
    let name = format!("r{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
    let reader = bus.reader(&name, ReaderOptions::default()).unwrap();
    reader.warm().await;
    let thread = format!("read-{name}");
    assert!(threads().contains(&thread), "{:?}", threads());
    drop(reader);
    let gone = async {
        while threads().contains(&thread) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the end of the thread", gone).await;
}

fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
    };
    tasks.filter_map(name).map(|name| name.trim().to_owned()).collect()
}
