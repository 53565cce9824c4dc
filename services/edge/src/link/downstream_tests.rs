use futures_util::FutureExt;
use kit_bus::Topic;
use kit_bus::headers::{DELIVERY, EXPIRY_TIME};
use kit_event::UnitId;
use proptest::prelude::*;

use super::*;
use crate::delivery_queue::{Kind, ScanOrder};
use crate::limits::LIVE_QUEUE_RECORDS;
use crate::tail::Tail;

const PARTITION: i32 = 3;
const CREDITS: usize = 16;

fn own() -> UnitId {
    "hcu-0001".parse().unwrap()
}

fn record(unit: &str, offset: i64, kind: Kind) -> RawRecord {
    let (type_name, delivery) = match kind {
        Kind::Command => ("scheduling.book_appointment", "queue"),
        Kind::Control => ("control.cancel", "queue"),
        Kind::Query => ("scheduling.free_slots", "query"),
    };
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    RawRecord {
        topic: Topic::Requests,
        partition: PARTITION,
        offset,
        key: Some(unit.to_owned()),
        headers: vec![
            header("ce_type", type_name),
            header(DELIVERY, delivery),
            header(EXPIRY_TIME, "2999-01-01T00:00:00Z"),
        ],
        payload: None,
        timestamp_ms: 0,
    }
}

/// One unit's link over a log that is written to by hand.
struct World {
    tail: Tail,
    log: Vec<RawRecord>,
    downstream: Downstream,
    rivals: Vec<Subscription>,
    /// Positions that went down in their place, and the greatest that the unit was told.
    sent: Vec<i64>,
    told: i64,
}

impl World {
    fn new() -> Self {
        Self {
            tail: Tail::default(),
            log: Vec::new(),
            downstream: Downstream::new(0),
            rivals: Vec::new(),
            sent: Vec::new(),
            told: 0,
        }
    }

    fn write(&mut self, unit: &str, kind: Kind, count: usize) {
        for _ in 0..count {
            let record = record(unit, self.log.len() as i64, kind);
            self.log.push(record.clone());
            self.tail.dispatch(record);
        }
    }

    fn subscribe(&self) -> Subscription {
        let end = self.log.len() as i64;
        let there = self.tail.join(&own(), PARTITION, None);
        there.or_else(|| self.tail.join(&own(), PARTITION, Some(end))).unwrap()
    }

    fn scan(&self, order: ScanOrder) -> Window<Arc<RawRecord>> {
        let stretch = &self.log[order.from as usize..order.to as usize];
        let log_records = stretch.iter().filter(|record| record.key.as_deref() == Some("hcu-0001"));
        let log_records: Vec<_> =
            log_records.map(|record| log_record(Arc::new(record.clone()))).collect();
        let of = |kinds: [Kind; 2]| {
            log_records.iter().filter(|one| kinds.contains(&one.kind)).cloned().collect()
        };
        Window {
            seen_to: order.to,
            in_place_to: order.in_place.then_some(order.to),
            ahead: if order.ahead { of([Kind::Control, Kind::Query]) } else { Vec::new() },
            in_place: if order.in_place { of([Kind::Command, Kind::Control]) } else { Vec::new() },
        }
    }

    fn fetch(&mut self) {
        match self.downstream.want(CREDITS) {
            Some((round, Want::Subscription)) => {
                let subscription = self.subscribe();
                self.downstream.subscribed(round, subscription);
            }
            Some((round, Want::Scan(order))) => {
                let window = self.scan(order);
                self.downstream.scanned(round, window);
            }
            None => {}
        }
    }

    /// The loop of the link receives the tail, if it has something to say.
    fn hear_tail(&mut self) {
        if let Some(record) = self.downstream.next_record().now_or_never() {
            self.downstream.take(record).unwrap();
        }
    }

    fn send(&mut self) {
        if let Some(out) = self.downstream.next_to_open(CREDITS) {
            self.downstream.opened();
            if out.in_place {
                self.sent.push(out.log_record.position);
                self.told = self.told.max(out.log_record.position + 1);
            }
        }
    }

    /// A ping goes down: nothing with a place below its head may be unsent.
    fn ping(&mut self) -> i64 {
        self.told = self.downstream.head(self.told);
        let own = self.log.iter().filter(|record| record.key.as_deref() == Some("hcu-0001"));
        for record in
            own.filter(|record| log_record(Arc::new((*record).clone())).kind != Kind::Query)
        {
            let (position, head) = (record.offset, self.told);
            assert!(
                position >= head || self.sent.contains(&position),
                "a ping with head {head} went over {position}, which was never sent"
            );
        }
        self.told
    }
}

#[test]
fn the_head_of_a_ping_never_lies_past_a_command_that_cut_the_link_off() {
    let mut world = World::new();
    world.fetch();
    world.write("hcu-0001", Kind::Query, LIVE_QUEUE_RECORDS);
    world.write("hcu-0001", Kind::Command, 1);
    assert_eq!(world.ping(), 0, "the command was not put into the queue");
}

#[test]
fn a_link_whose_place_a_newer_one_took_does_not_follow_the_tail_any_more() {
    let mut world = World::new();
    world.fetch();
    let rival = world.subscribe();
    world.write("hcu-0001", Kind::Command, 1);
    assert_eq!(world.ping(), 0, "the command went to the newer link");
    drop(rival);
}

#[test]
fn the_head_follows_the_tail_over_what_is_not_the_units() {
    let mut world = World::new();
    world.fetch();
    world.write("hcu-0002", Kind::Command, 9);
    assert_eq!(world.ping(), 9);
    world.write("hcu-0001", Kind::Command, 1);
    assert_eq!(world.ping(), 9);
    world.send();
    assert_eq!(world.ping(), 10);
}

#[derive(Debug, Clone)]
enum Act {
    Write(bool, usize, usize),
    Fetch,
    HearTail,
    Send(usize),
    Ping,
    Rival,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (any::<bool>(), 0..3_usize, 1..90_usize).prop_map(|(o, k, n)| Act::Write(o, k, n)),
        4 => Just(Act::Fetch),
        4 => Just(Act::HearTail),
        4 => (1..90_usize).prop_map(Act::Send),
        4 => Just(Act::Ping),
        1 => Just(Act::Rival),
    ];
    prop::collection::vec(act, 1..60)
}

proptest! {
    /// Whatever order things happen in, a ping never moves a cursor over what was not sent.
    #[test]
    fn no_ping_moves_a_cursor_over_what_was_not_sent(acts in acts()) {
        let mut world = World::new();
        for act in acts {
            match act {
                Act::Write(own, kind, count) => {
                    let unit = if own { "hcu-0001" } else { "hcu-0002" };
                    world.write(unit, [Kind::Command, Kind::Control, Kind::Query][kind], count);
                }
                Act::Fetch => world.fetch(),
                Act::HearTail => world.hear_tail(),
                Act::Send(count) => (0..count).for_each(|_| world.send()),
                Act::Ping => { world.ping(); }
                Act::Rival => { let rival = world.subscribe(); world.rivals.push(rival); }
            }
        }
        world.ping();
    }
}
