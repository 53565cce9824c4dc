use proptest::prelude::*;

use super::*;

/// A log of one partition: whose record each position is, `None` for another unit's.
type Log = Vec<Option<Kind>>;

fn log_record(position: i64, kind: Kind) -> LogRecord<i64> {
    LogRecord { position, kind, received_at: None, content: position }
}

/// Reads the log as the edge's scans do, at most `most` records at a time.
fn scan(log: &Log, order: ScanOrder, most: usize) -> Window<i64> {
    let in_place_to = order.in_place.then_some(order.from);
    let mut window = Window { seen_to: order.from, in_place_to, ahead: vec![], in_place: vec![] };
    let mut collecting = order.in_place;
    for position in order.from..order.to {
        let kind = log[position as usize];
        let place = matches!(kind, Some(Kind::Command | Kind::Control));
        if place && collecting && window.in_place.len() == most {
            collecting = false;
            if !order.ahead {
                break;
            }
        }
        if order.ahead && window.ahead.len() == most {
            break;
        }
        if let Some(kind) = kind {
            if place && collecting {
                window.in_place.push(log_record(position, kind));
            }
            if order.ahead && kind != Kind::Command {
                window.ahead.push(log_record(position, kind));
            }
        }
        window.seen_to = position + 1;
        if collecting {
            window.in_place_to = Some(position + 1);
        }
    }
    window
}

#[test]
fn a_backlog_goes_down_with_its_cancels_first() {
    let log: Log = vec![Some(Kind::Command), None, Some(Kind::Command), Some(Kind::Control)];
    let mut delivery_queue = DeliveryQueue::new(0);
    assert_eq!(delivery_queue.want(16), Some(Want::Subscription));
    assert_eq!(delivery_queue.want(16), None, "asked for once");
    delivery_queue.subscribed(4);
    delivery_queue.live(log_record(4, Kind::Command));
    let Some(Want::Scan(order)) = delivery_queue.want(16) else { panic!("a scan is wanted") };
    delivery_queue.scanned(scan(&log, order, 10));
    let mut order = Vec::new();
    while let Some(out) = delivery_queue.pop(16) {
        order.push((out.log_record.position, out.in_place));
    }
    assert_eq!(order, [(3, false), (0, true), (2, true), (3, true), (4, true)]);
    assert!(delivery_queue.is_settled());
}

#[test]
fn without_credits_only_what_overtakes_goes_down() {
    let mut delivery_queue = DeliveryQueue::new(5);
    delivery_queue.want(16);
    delivery_queue.subscribed(5);
    delivery_queue.live(log_record(5, Kind::Command));
    delivery_queue.live(log_record(6, Kind::Query));
    delivery_queue.live(log_record(7, Kind::Control));
    let overtaking: Vec<i64> =
        std::iter::from_fn(|| delivery_queue.pop(0)).map(|out| out.log_record.position).collect();
    assert_eq!(overtaking, [6, 7]);
    assert!(!delivery_queue.is_settled());
    assert_eq!(delivery_queue.pop(1).unwrap().log_record.position, 5);
    assert_eq!(
        delivery_queue.pop(1).unwrap(),
        Outgoing { log_record: log_record(7, Kind::Control), in_place: true }
    );
}

#[test]
fn a_unit_that_takes_nothing_forgets_and_reads_again() {
    let most = HELD_BACK_RECORDS_MAX as i64;
    let mut delivery_queue = DeliveryQueue::new(0);
    delivery_queue.want(16);
    delivery_queue.subscribed(0);
    for position in 0..most + 5 {
        delivery_queue.live(log_record(position, Kind::Command));
    }
    assert_eq!(delivery_queue.want(0), None, "nothing is read for a unit without credits");
    for position in 0..most {
        assert_eq!(delivery_queue.pop(1).unwrap().log_record.position, position);
    }
    assert!(!delivery_queue.is_settled());
    assert_eq!(delivery_queue.want(1), Some(Want::Subscription));
    delivery_queue.subscribed(most + 5);
    let want = delivery_queue.want(1);
    let order = ScanOrder { from: most, to: most + 5, ahead: true, in_place: true };
    assert_eq!(want, Some(Want::Scan(order)));
}

#[test]
fn a_scan_for_cancels_alone_does_not_pass_over_requests() {
    let mut delivery_queue = DeliveryQueue::new(0);
    delivery_queue.want(16);
    delivery_queue.subscribed(9);
    let in_place = vec![log_record(0, Kind::Command)];
    delivery_queue.want(16);
    delivery_queue.scanned(Window { seen_to: 5, in_place_to: Some(3), ahead: vec![], in_place });
    let ahead_only = ScanOrder { from: 5, to: 9, ahead: true, in_place: false };
    assert_eq!(delivery_queue.want(16), Some(Want::Scan(ahead_only)));
    delivery_queue.scanned(Window {
        seen_to: 9,
        in_place_to: None,
        ahead: vec![],
        in_place: vec![],
    });
    delivery_queue.pop(16);
    let the_rest = ScanOrder { from: 3, to: 9, ahead: false, in_place: true };
    assert_eq!(delivery_queue.want(16), Some(Want::Scan(the_rest)));
}

#[test]
fn a_tail_that_lags_behind_the_cursor_gives_nothing_twice() {
    let mut delivery_queue = DeliveryQueue::new(9);
    delivery_queue.want(16);
    delivery_queue.subscribed(7);
    for position in 7..10 {
        delivery_queue.live(log_record(position, Kind::Command));
    }
    assert_eq!(delivery_queue.pop(16).unwrap().log_record.position, 9);
    assert_eq!(delivery_queue.pop(16), None);
}

/// One thing that happens, in the order that chance gives.
#[derive(Debug, Clone)]
enum Chance {
    Append(Option<Kind>),
    Dispatch,
    CutOff,
    Serve,
    Pop(usize),
}

fn chance() -> impl Strategy<Value = Chance> {
    let kind = prop_oneof![
        Just(None),
        Just(Some(Kind::Command)),
        Just(Some(Kind::Command)),
        Just(Some(Kind::Control)),
        Just(Some(Kind::Query)),
    ];
    prop_oneof![
        4 => kind.prop_map(Chance::Append),
        4 => Just(Chance::Dispatch),
        1 => Just(Chance::CutOff),
        3 => Just(Chance::Serve),
        4 => (0_usize..3).prop_map(Chance::Pop),
    ]
}

/// The delivery queue between a log that grows and a link that takes what it may.
struct Play {
    log: Log,
    delivery_queue: DeliveryQueue<i64>,
    tail_next: i64,
    subscribed: bool,
    wanted: Option<Want>,
    sent: Vec<i64>,
    overtook: Vec<i64>,
}

impl Play {
    fn dispatch(&mut self) {
        if let Some(kind) = self.log.get(self.tail_next as usize) {
            let position = self.tail_next;
            self.tail_next += 1;
            if let (Some(kind), true) = (kind, self.subscribed) {
                self.delivery_queue.live(log_record(position, *kind));
            }
        }
    }

    fn serve(&mut self, most: usize) {
        match self.wanted.take() {
            Some(Want::Subscription) => {
                self.subscribed = true;
                self.delivery_queue.subscribed(self.tail_next);
            }
            Some(Want::Scan(order)) => self.delivery_queue.scanned(scan(&self.log, order, most)),
            None => {}
        }
    }

    fn pop(&mut self, credits: usize) {
        if let Some(out) = self.delivery_queue.pop(credits) {
            let to = if out.in_place { &mut self.sent } else { &mut self.overtook };
            to.push(out.log_record.position);
        }
    }

    fn step(&mut self, chance: Chance) {
        match chance {
            Chance::Append(kind) => self.log.push(kind),
            Chance::Dispatch => self.dispatch(),
            Chance::CutOff => {
                self.wanted = None;
                self.subscribed = false;
                self.delivery_queue.cut_off();
            }
            Chance::Serve => self.serve(3),
            Chance::Pop(credits) => {
                self.pop(credits);
                self.wanted = self.wanted.or_else(|| self.delivery_queue.want(credits));
            }
        }
    }
}

/// No file of failures: one that is found becomes a test of its own.
fn many_plays() -> ProptestConfig {
    ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(many_plays())]

    #[test]
    fn every_request_goes_down_once_and_in_order(
        begin in prop::collection::vec(chance(), 0..60),
        then in prop::collection::vec(chance(), 0..300),
    ) {
        let mut play = Play {
            log: vec![], delivery_queue: DeliveryQueue::new(0), tail_next: 0,
            subscribed: false, wanted: None, sent: vec![], overtook: vec![],
        };
        for chance in begin {
            if let Chance::Append(kind) = chance {
                play.log.push(kind);
            }
        }
        for chance in then {
            play.step(chance);
        }
        for _ in 0..play.log.len() * 6 + 20 {
            play.step(Chance::Dispatch);
            play.step(Chance::Pop(1));
            play.step(Chance::Serve);
        }
        let placed = |kind: &Option<Kind>| matches!(kind, Some(Kind::Command | Kind::Control));
        let expected: Vec<i64> =
            (0..).zip(&play.log).filter(|(_, kind)| placed(kind)).map(|(at, _)| at).collect();
        prop_assert_eq!(&play.sent, &expected);
        for (at, kind) in (0..).zip(&play.log) {
            if kind.is_some_and(|kind| kind != Kind::Command) {
                prop_assert!(play.overtook.contains(&at), "{} did not overtake", at);
            }
        }
        prop_assert!(play.delivery_queue.is_settled());
    }
}
