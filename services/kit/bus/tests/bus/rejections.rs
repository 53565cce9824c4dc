//! What is refused, what is worth waiting for, and what is not believed.

use std::time::{Duration, Instant};

use kit_bus::{Bus, BusConfig, BusError, OpenError, PublishError, RawRecord, Topic, headers};
use serde_json::json;

use crate::{bus, config, fact, first, note_promise};

async fn good(bus: &Bus) -> RawRecord {
    let placed = bus.publish_fact(&fact("hcu-0001", 1)).await.unwrap();
    first(bus, Topic::Facts, placed.partition).await
}

#[tokio::test]
async fn a_record_cut_in_the_middle_is_an_error_wherever_it_is_cut() {
    let bus = bus(1).await;
    let mut raw = good(&bus).await;
    let whole = raw.payload.clone().unwrap();
    for length in 0..whole.len() {
        raw.payload = Some(whole[..length].to_vec());
        let error = bus.open_fact(&raw).await.unwrap_err();
        assert!(
            matches!(error, OpenError::NotFramed | OpenError::Body { .. }),
            "{length}: {error}"
        );
        assert!(!error.is_worth_waiting());
    }
}

#[tokio::test]
async fn a_cut_record_on_a_topic_is_parked_with_cause_and_origin() {
    let bus = bus(2).await;
    let mut raw = good(&bus).await;
    raw.payload.as_mut().unwrap().truncate(9);
    let error = bus.open(&raw).await.unwrap_err();
    let placed = bus.park(&raw, &error.to_string()).await.unwrap();
    assert_eq!(placed.partition, raw.partition);
    let parked = first(&bus, Topic::Parked, placed.partition).await;
    assert_eq!(parked.payload, raw.payload);
    assert_eq!(parked.key, raw.key);
    let origin = format!("unit.facts/{}/0", raw.partition);
    assert_eq!(parked.header(headers::PARKED_ORIGIN), Some(origin.as_str()));
    assert_eq!(parked.header(headers::PARKED_CAUSE), Some(error.to_string().as_str()));
    assert!(matches!(bus.open(&parked).await, Err(OpenError::Body { .. })));
}

#[tokio::test]
async fn another_fingerprint_behind_an_id_is_the_records_own_fault_where_others_agree() {
    let bus = bus(1).await;
    let mut raw = good(&bus).await;
    for (name, value) in &mut raw.headers {
        if name == headers::DATA_SCHEMA {
            let (front, _) = value.rsplit_once(':').unwrap();
            *value = format!("{front}:0123456789abcdef");
        }
    }
    let error = bus.open(&raw).await.unwrap_err();
    assert!(matches!(error, OpenError::Mismatch { .. }) && !error.is_worth_waiting(), "{error}");
}

#[tokio::test]
async fn a_record_on_a_foreign_partition_is_not_taken() {
    let bus = bus(2).await;
    let mut raw = good(&bus).await;
    raw.partition = 1 - raw.partition;
    let error = bus.open_fact(&raw).await.unwrap_err();
    assert!(matches!(error, OpenError::ForeignPartition { .. }), "{error}");
}

#[tokio::test]
async fn a_record_without_its_clothes_is_not_taken() {
    let bus = bus(1).await;
    let whole = good(&bus).await;
    for name in [headers::TYPE, headers::DATA_SCHEMA, headers::ID, headers::TIME, headers::UNIT_SEQ]
    {
        let mut raw = whole.clone();
        raw.headers.retain(|(key, _)| key != name);
        let error = bus.open_fact(&raw).await.unwrap_err();
        assert!(
            matches!(&error, OpenError::Header { name: missing } if *missing == name),
            "{error}"
        );
    }
    let no_key = RawRecord { key: Some("NOT A UNIT".into()), ..whole.clone() };
    assert!(matches!(bus.open_fact(&no_key).await, Err(OpenError::Key)));
    let no_value = RawRecord { payload: None, ..whole };
    assert!(matches!(bus.open_fact(&no_value).await, Err(OpenError::Empty)));
}

#[tokio::test]
async fn an_unknown_schema_id_is_worth_waiting_for_for_a_while() {
    let bus = bus(1).await;
    let mut raw = good(&bus).await;
    raw.payload.as_mut().unwrap()[1..5].copy_from_slice(&i32::MAX.to_be_bytes()[..]);
    let error = bus.open(&raw).await.unwrap_err();
    assert!(matches!(error, OpenError::Schema { .. }) && error.is_worth_waiting(), "{error}");
    tokio::time::sleep(Duration::from_millis(kit_bus::error::UNKNOWN_ID_MS_MAX)).await;
    let error = bus.open(&raw).await.unwrap_err();
    assert!(matches!(error, OpenError::Schema { .. }) && !error.is_worth_waiting(), "{error}");
}

#[tokio::test]
async fn an_id_that_no_registry_gives_is_unknown_at_once() {
    let bus = bus(1).await;
    let mut raw = good(&bus).await;
    for id in [u32::MAX, i32::MAX as u32 + 1] {
        raw.payload.as_mut().unwrap()[1..5].copy_from_slice(&id.to_be_bytes()[..]);
        let error = bus.open(&raw).await.unwrap_err();
        assert!(!error.is_registry_away() && !error.is_worth_waiting(), "{error}");
    }
}

#[tokio::test]
async fn a_record_too_large_to_be_copied_is_parked_without_its_value() {
    let bus = bus(1).await;
    let mut raw = good(&bus).await;
    raw.payload.as_mut().unwrap().resize(1_000_000, 7);
    raw.headers.push(("x".to_owned(), "y".repeat(100_000)));
    raw.headers.push((headers::PARKED_CAUSE.to_owned(), "a lie".to_owned()));
    bus.park(&raw, "cause").await.unwrap();
    let parked = first(&bus, Topic::Parked, 0).await;
    assert_eq!(parked.payload, None);
    let cause = parked.header(headers::PARKED_CAUSE).unwrap();
    assert!(cause.starts_with("cause (its 1000000 bytes"), "{cause}");
    assert_eq!((parked.unit_seq(), parked.ce_id()), (raw.unit_seq(), raw.ce_id()));
}

#[tokio::test]
async fn a_body_that_its_schema_refuses_is_refused_for_good() {
    let bus = bus(1).await;
    let mut bad = fact("hcu-0001", 1);
    bad.body = json!({"note_id": "n", "made_at": "yesterday"});
    let error = bus.publish_fact(&bad).await.unwrap_err();
    assert!(error.is_refused() && matches!(error, PublishError::Body { .. }), "{error}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.starts_with("$.made_at "), "{source}");
}

#[tokio::test]
async fn an_unknown_type_is_worth_waiting_for_and_is_found_once_it_is_there() {
    let bus = bus(1).await;
    let mut new = fact("hcu-0001", 1);
    new.type_name = format!("bustests.t{}", uuid::Uuid::new_v4().simple());
    assert!(matches!(bus.enqueue_fact(&new), Err(PublishError::SchemaNotHeld { .. })));
    let error = bus.publish_fact(&new).await.unwrap_err();
    assert!(!error.is_refused() && matches!(error, PublishError::Schema { .. }), "{error}");
    let record = kit_body::name::record_name(&new.type_name).unwrap();
    let mut promise = note_promise();
    promise.text = promise.text.replace("NoteMade", record.rsplit('.').next().unwrap());
    promise.type_name.clone_from(&new.type_name);
    let registry = crate::config(1).await.registry_url;
    kit_bus::schemas::apply(&registry, &[promise]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(kit_body::registry::UNKNOWN_KEPT_MS)).await;
    bus.publish_fact(&new).await.unwrap();
}

#[tokio::test]
async fn an_absent_registry_is_told_within_a_bound_and_then_at_once() {
    let mut config = config(1).await;
    kit_bus::topics::apply(&config).await.unwrap();
    config.registry_url = "http://127.0.0.1:9/apis/ccompat/v7".into();
    let bus = Bus::connect(&config).await.unwrap();
    let asked = Instant::now();
    let error = bus.publish_fact(&fact("hcu-0001", 1)).await.unwrap_err();
    assert!(!error.is_refused() && matches!(error, PublishError::Schema { .. }), "{error}");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let again = Instant::now();
    bus.publish_fact(&fact("hcu-0001", 1)).await.unwrap_err();
    assert!(again.elapsed() < Duration::from_millis(100), "{:?}", again.elapsed());
}

#[tokio::test]
async fn a_partition_that_does_not_exist_is_refused() {
    let bus = bus(2).await;
    let mut raw = good(&bus).await;
    raw.partition = 99;
    let error = bus.park(&raw, "test").await.unwrap_err();
    assert!(error.is_refused(), "{error}");
    let error = bus.watermarks(Topic::Facts, 2).await.unwrap_err();
    assert!(matches!(error, BusError::NoSuchPartition { partition: 2, .. }), "{error}");
}

#[tokio::test]
async fn absent_brokers_are_told_within_the_deadline() {
    let config = BusConfig { brokers: "127.0.0.1:9".into(), ..config(1).await };
    let begun = Instant::now();
    let Err(error) = Bus::connect(&config).await else { panic!("connected to nobody") };
    assert!(matches!(error, BusError::Metadata { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_millis(kit_bus::bus::CONNECT_MS_MAX + 5_000));
}
