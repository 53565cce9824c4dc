use super::*;

fn record(unit: &str, offset: i64) -> RawRecord {
    RawRecord {
        topic: Topic::Requests,
        partition: 3,
        offset,
        key: Some(unit.to_owned()),
        headers: vec![],
        payload: None,
        timestamp_ms: 0,
    }
}

fn join(tail: &Tail, unit: &str, begin: i64) -> Subscription {
    tail.join(&unit.parse().unwrap(), 3, Some(begin)).unwrap()
}

fn offsets(subscription: &mut Subscription) -> Vec<i64> {
    std::iter::from_fn(|| subscription.records.try_recv().ok()).map(|r| r.offset).collect()
}

#[test]
fn each_unit_is_given_its_own_records_from_its_head_on() {
    let tail = Tail::default();
    let mut one = join(&tail, "hcu-0001", 10);
    tail.dispatch(record("hcu-0001", 9));
    tail.dispatch(record("hcu-0001", 10));
    let mut two = join(&tail, "hcu-0002", 99);
    assert_eq!(two.head, 11, "the tail's own place, not the log's end");
    tail.dispatch(record("hcu-0002", 11));
    tail.dispatch(record("hcu-0003", 12));
    tail.dispatch(record("hcu-0001", 13));
    assert_eq!(offsets(&mut one), [10, 13]);
    assert_eq!(offsets(&mut two), [11]);
    assert_eq!(one.tail_next(), Some(14));
}

#[test]
fn a_full_queue_cuts_off_its_own_unit_only() {
    let tail = Tail::default();
    let mut slow = join(&tail, "hcu-0001", 0);
    let mut quick = join(&tail, "hcu-0002", 0);
    let most = LIVE_QUEUE_RECORDS as i64;
    for offset in 0..=most {
        tail.dispatch(record("hcu-0001", offset));
    }
    tail.dispatch(record("hcu-0002", most + 1));
    assert_eq!(offsets(&mut slow).len(), LIVE_QUEUE_RECORDS);
    assert!(slow.records.is_closed() && !slow.is_lost());
    assert_eq!(offsets(&mut quick), [most + 1]);
    assert_eq!((slow.tail_next(), quick.tail_next()), (None, Some(most + 2)));
    let again = join(&tail, "hcu-0001", 0);
    drop(slow);
    tail.dispatch(record("hcu-0001", most + 2));
    assert!(!again.records.is_closed(), "the old place's end does not take the new one");
}

#[test]
fn a_lost_place_is_told_to_all_who_listen_there() {
    let tail = Tail::default();
    let one = join(&tail, "hcu-0001", 0);
    tail.lose(3);
    assert!(one.records.is_closed() && one.is_lost());
    assert!(!join(&tail, "hcu-0001", 5).is_lost());
}
