//! The steps of a day: a desk that works, people who ask, a network that fails.

use std::collections::BTreeMap;

use kit_event::{Delivery, RequestId, Timestamp, command_hash};
use kit_link::{Cancel, NewEpoch, RequestFrame, Resend};
use practice::{Desk, Table, day};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::clinic::{Clinic, MORNING};
use crate::commands::Asking;
use crate::edge::Edge;
use crate::history::Asked;
use crate::log::Letter;
use crate::mischief::mischief;
use crate::reader::Reader;
use crate::verdict::judge;
use crate::weather::{Weather, chance};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// A request waits from some minutes to two days, or was late before it was sent.
const DEADLINES_MS: [i64; 5] = [-HOUR_MS, 20 * MINUTE_MS, 3 * HOUR_MS, 24 * HOUR_MS, 48 * HOUR_MS];
/// A step of the clock; a whole day at most, so that a run of them stays within what a spool keeps.
const PASSING_MS: [i64; 3] = [10 * MINUTE_MS, 2 * HOUR_MS, 7 * HOUR_MS];
/// How far the clock goes in all: spools keep acknowledged facts for four days.
const DAYS_MS_MAX: i64 = 72 * HOUR_MS;
/// Rounds of asking for what is missing: each brings all of it, and loses a part again.
const REPAIRS_MAX: u32 = 100;
/// Of requests that come to the log twice, how recent they are.
const RECENT: usize = 6;

/// What a day came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// How many days.
    pub days: u64,
    /// Types of all facts in order, with whether a request caused them.
    pub facts: Vec<(String, bool)>,
    /// How much was checked, by kind.
    pub checked: BTreeMap<&'static str, u32>,
    /// How often the power went, and a link broke.
    pub cuts: u32,
    /// As above.
    pub breaks: u32,
    /// Requests cancelled before they were handed down.
    pub cancelled_ahead: u32,
}

impl Told {
    /// Adds another day's counts.
    pub fn add(&mut self, other: &Self) {
        for (what, count) in &other.checked {
            *self.checked.entry(what).or_default() += count;
        }
        self.days += other.days;
        self.cuts += other.cuts;
        self.breaks += other.breaks;
        self.cancelled_ahead += other.cancelled_ahead;
    }
}

/// Says which seed failed.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the day of seed {} failed: ARTERIA_FLOW_SEED={}", self.0, self.0);
        }
    }
}

/// A clinic, its network, and what was asked of it.
struct Day {
    edge: Edge,
    reader: Reader,
    desk: Desk,
    /// The plan's chance.
    rng: StdRng,
    asked: BTreeMap<RequestId, Asked>,
    letters: Vec<RequestFrame>,
    told_all: bool,
}

/// Lives through the day of `seed` in `steps` steps, and judges it.
///
/// # Panics
/// Something that must hold does not.
#[must_use]
pub fn live(seed: u64, weather: Weather, steps: u32) -> Told {
    let _named = Named(seed);
    let mut day = Day::begin(seed, weather);
    for _ in 0..steps {
        day.step();
    }
    day.end()
}

impl Day {
    fn begin(seed: u64, weather: Weather) -> Self {
        let clinic = Clinic::open(seed);
        let desk = clinic.desk();
        let now = MORNING.parse().expect("a time");
        Self {
            edge: Edge::new(clinic, !seed, now, weather),
            reader: Reader::default(),
            desk,
            rng: StdRng::seed_from_u64(seed),
            asked: BTreeMap::new(),
            letters: Vec::new(),
            told_all: true,
        }
    }

    fn step(&mut self) {
        if chance(&mut self.rng, self.edge.weather.epochs_turn) {
            self.turn_epoch();
        }
        match self.rng.random_range(0..100) {
            0..16 => self.desk_works(),
            16..26 => mischief(&mut self.desk, &mut self.rng, self.edge.now),
            26..52 => self.ask(),
            52..57 => self.ask_again(),
            57..66 => self.cancel(),
            66..80 => self.serve(),
            80..82 => self.serve_while_locked(),
            82..87 => self.read(),
            87..93 => self.edge.kill(),
            93..95 => self.edge.stop(),
            95..96 => self.edge.lose_link(),
            96..97 => self.rebuild(),
            _ => self.pass_time(),
        }
    }

    fn desk_works(&mut self) {
        let operations = self.rng.random_range(1..4);
        day(&mut self.desk, &mut self.rng, self.edge.now, operations).expect("a day at the desk");
    }

    // === Asking ===

    fn ask(&mut self) {
        for _ in 0..self.rng.random_range(1..4) {
            let key = format!("key-{}", self.asked.len());
            let id = RequestId::derive(&self.edge.clinic.unit, "iss", "sub", &key);
            let (desk, facts, now) = (&self.desk, &self.edge.facts, self.edge.now);
            let (type_name, body) = Asking { desk, facts, now, rng: &mut self.rng }.command(&id);
            let request = self.request(id.clone(), type_name, body.clone());
            let command_hash = request.command_hash.clone();
            let type_name = type_name.to_owned();
            self.asked.insert(id, Asked { type_name, body, command_hash, cancelled_ahead: false });
            self.letters.push(request.clone());
            self.edge.write(Letter::Request(Box::new(request)));
        }
    }

    fn request(&mut self, id: RequestId, type_name: &str, body: Value) -> RequestFrame {
        let wait_ms = DEADLINES_MS.choose(&mut self.rng).copied().unwrap_or(HOUR_MS);
        RequestFrame {
            position: 0,
            id,
            type_name: type_name.to_owned(),
            version: 1,
            accepted_at: self.edge.now,
            expires_at: self.edge.now.plus_ms(wait_ms),
            delivery: Delivery::Queue,
            command_hash: command_hash(type_name, &body),
            actor: "staff:9".to_owned(),
            traceparent: None,
            reply_partition: Some(3),
            body,
        }
    }

    fn recent(&mut self) -> Option<RequestFrame> {
        let first = self.letters.len().saturating_sub(RECENT);
        self.letters[first..].choose(&mut self.rng).cloned()
    }

    /// A retry of a gateway, or the same key for something else.
    fn ask_again(&mut self) {
        let Some(mut request) = self.recent() else { return };
        request.accepted_at = self.edge.now;
        if chance(&mut self.rng, 30) {
            let (desk, facts, now) = (&self.desk, &self.edge.facts, self.edge.now);
            let command = Asking { desk, facts, now, rng: &mut self.rng }.command(&request.id);
            request.command_hash = command_hash(command.0, &command.1);
            (request.type_name, request.body) = (command.0.to_owned(), command.1);
        }
        self.edge.write(Letter::Request(Box::new(request)));
    }

    fn cancel(&mut self) {
        let Some(request) = self.recent() else { return };
        let request_id = request.id;
        if !self.edge.has_handed(&request_id)
            && let Some(asked) = self.asked.get_mut(&request_id)
        {
            asked.cancelled_ahead = true;
        }
        let actor = "staff:9".to_owned();
        let reply_partition = Some(3);
        let cancel =
            Cancel { position: None, request_id, actor, traceparent: None, reply_partition };
        self.edge.write(Letter::Cancel(cancel));
    }

    // === The network ===

    /// Everything on the log is handed down; where nothing was granted, no row may change.
    fn serve(&mut self) {
        let (rows, granted) = (self.edge.clinic.rows(), self.granted());
        self.edge.serve();
        if self.granted() == granted {
            assert_eq!(self.edge.clinic.rows(), rows, "a row changed, and nothing was granted");
        }
        if chance(&mut self.rng, 50) {
            self.edge.ping();
            self.edge.rest();
        }
    }

    fn granted(&self) -> usize {
        // The ledger is made at the first start.
        if self.edge.facts.last().is_none() {
            return 0;
        }
        self.edge.clinic.ledger().iter().filter(|(_, state)| state == "done").count()
    }

    /// Requests that come while another program holds the clinic database wait, and none is lost.
    fn serve_while_locked(&mut self) {
        self.edge.bring_up();
        self.edge.send_controls();
        self.edge.rest();
        let lock = self.desk.lock().expect("the lock");
        self.edge.send_in_place();
        self.edge.turn();
        self.edge.turn();
        lock.release().expect("the lock is let go");
        self.serve();
    }

    fn read(&mut self) {
        if chance(&mut self.rng, 30) {
            self.reader.restart();
        }
        let (rng, weather) = (&mut self.edge.rng, self.edge.weather);
        self.reader.read(&self.edge.facts.records, rng, &weather);
        self.ask_for_missing();
    }

    fn ask_for_missing(&mut self) -> bool {
        let Some((from, to)) = self.reader.hole() else { return false };
        self.edge.write(Letter::Resend(Resend { position: None, from, to }));
        true
    }

    /// An upgrade rebuilds a table, and all its triggers are gone until the agent looks.
    fn rebuild(&mut self) {
        self.serve();
        self.desk.rebuild(Table::Appointments).expect("a rebuilt table");
        self.serve();
    }

    fn pass_time(&mut self) {
        let morning: Timestamp = MORNING.parse().expect("a time");
        let by_ms = PASSING_MS.choose(&mut self.rng).copied().unwrap_or(HOUR_MS);
        let later = self.edge.now.plus_ms(by_ms);
        if later.unix_ms() - morning.unix_ms() <= DAYS_MS_MAX {
            self.edge.now = later;
            self.edge.ping();
        }
    }

    /// The unit is told to number anew, or its spool is lost.
    fn turn_epoch(&mut self) {
        self.told_all = false;
        if self.rng.random_bool(0.5) {
            let above = self.edge.facts.last().map_or(0, |last| last.seq.epoch);
            let order = NewEpoch { position: None, above, reason: "fork".to_owned() };
            self.edge.write(Letter::NewEpoch(order));
        } else {
            self.edge.stop();
            self.edge.kill();
            self.edge.clinic.lose_spool();
        }
    }

    // === The end ===

    fn end(mut self) -> Told {
        let mut maintenance = 0;
        loop {
            self.serve();
            if maintenance > REPAIRS_MAX / 2 {
                self.edge.weather = Weather::CALM;
            }
            let (rng, weather) = (&mut self.edge.rng, self.edge.weather);
            self.reader.read(&self.edge.facts.records, rng, &weather);
            if !self.ask_for_missing() {
                break;
            }
            maintenance += 1;
            assert!(maintenance < REPAIRS_MAX, "{:?} stays missing", self.reader.hole());
        }
        self.edge.weather = Weather::CALM;
        self.serve();
        self.edge.ping();
        self.edge.rest();
        let head = self.edge.requests.head();
        assert_eq!(self.edge.applied(), Some(head), "the unit is at the log's head");
        let (rng, weather) = (&mut self.edge.rng, self.edge.weather);
        self.reader.read(&self.edge.facts.records, rng, &weather);
        self.edge.stop();
        let verdict = judge(&self.edge, &self.reader, &self.desk, &self.asked, self.told_all);
        assert!(verdict.problems.is_empty(), "{:#?}", verdict.problems);
        self.told(verdict.checked)
    }

    fn told(&self, checked: BTreeMap<&'static str, u32>) -> Told {
        let facts = self.edge.facts.facts.values();
        let ahead = self.asked.values().filter(|asked| asked.cancelled_ahead);
        Told {
            days: 1,
            facts: facts.map(|it| (it.type_name.clone(), it.causation_id.is_some())).collect(),
            checked,
            cuts: self.edge.cuts,
            breaks: self.edge.breaks,
            cancelled_ahead: u32::try_from(ahead.count()).unwrap_or(u32::MAX),
        }
    }
}
