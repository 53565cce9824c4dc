#![allow(missing_docs)]
use std::time::{Duration, Instant};
use kit_bus::*;
use kit_event::*;
use serde_json::json;
fn fact(unit: &str, seq: u64) -> Fact {
    Fact { unit: unit.parse().unwrap(), seq: UnitSeq::new(1, seq), id: uuid::Uuid::new_v4(), type_name: "bustests.note_made".into(), version: 1,
        time: Timestamp::from_unix_ms(1_772_357_400_250), subject: None, patient_id: None, causation_id: None, traceparent: None,
        body: json!({"note_id": seq.to_string()}) }
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outage() {
    let config = BusConfig { brokers: std::env::var("ARTERIA_TEST_KAFKA").unwrap(), registry_url: std::env::var("ARTERIA_TEST_REGISTRY").unwrap(), topic_prefix: format!("m{}.", uuid::Uuid::new_v4().simple()), partitions: 8 };
    topics::apply(&config).await.unwrap();
    let bus = Bus::connect(&config).await.unwrap();
    let p = bus.partition_of("hcu-0001");
    bus.publish_fact(&fact("hcu-0001", 1)).await.unwrap();
    let mut tail = bus.reader("tail", ReaderOptions::default()).unwrap();
    tail.assign(Topic::Facts, vec![(p, 0)]).await.unwrap();
    println!("{:?}", matches!(tail.next().await, Some(Polled::Record(_))));
    std::process::Command::new("sh").args(["-c", &std::env::var("DOWN").unwrap()]).status().unwrap();
    let t = Instant::now();
    for i in 0..2 { let e = bus.publish_fact(&fact("hcu-0001", 2 + i)).await.unwrap_err(); println!("{:?} refused={} fatal={} {e:?}", t.elapsed(), e.is_refused(), e.is_fatal()); }
    let scans = bus.scans(1);
    let t = Instant::now(); let mut s = scans.scan(Topic::Facts, p, 0, 1).await.unwrap(); println!("scan in outage {:?} {:?}", s.next().await.map(|r| r.map(|r| r.offset)), t.elapsed()); drop(s);
    let t = Instant::now(); println!("watermarks in outage {:?} {:?}", bus.watermarks(Topic::Facts, p).await, t.elapsed());
    std::process::Command::new("sh").args(["-c", &std::env::var("UP").unwrap()]).status().unwrap();
    let t = Instant::now(); let mut n = 10;
    loop { match bus.publish_fact(&fact("hcu-0001", n)).await { Ok(p) => { println!("published {p:?} after {:?}", t.elapsed()); break } Err(e) => println!("{e:?} fatal={}", e.is_fatal()) } n += 1; }
    loop { match tokio::time::timeout(Duration::from_secs(15), tail.next()).await { Ok(Some(Polled::Record(r))) => println!("read {} seq {:?} {:?}", r.offset, r.unit_seq(), t.elapsed()), Ok(other) => println!("{other:?}"), Err(_) => break } }
    let t = Instant::now(); let mut s = scans.scan(Topic::Facts, p, 0, 1).await.unwrap(); println!("scan after {:?} {:?}", s.next().await.map(|r| r.map(|r| r.offset)), t.elapsed());
}
