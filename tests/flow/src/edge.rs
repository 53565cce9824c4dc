//! The edge, as far as the agent sees it: one link after the other between the agent and the logs.
//!
//! It obeys `proto-schemas/unit.v1.md` and holds the agent to it: the order of facts, credits, how
//! far `applied` may go. Beside that it is as bad a place as the weather wants: links break in the
//! middle of a batch, facts reach the log whose ACK never leaves, power goes at any step.

use std::collections::{BTreeMap, BTreeSet};

use agent::error::WorkerError;
use agent::failpoints::Failpoints;
use agent::inbox::Inbox;
use agent::uplink::OUTGOING_FRAMES_MAX;
use kit_event::{RequestId, Timestamp, UnitSeq};
use kit_link::{Ack, FactFrame, FromAgent, FromEdge, Ping, Reply, Resume, SUBPROTOCOL, Welcome};
use kit_link::{LogIdentity, limits};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc;

use crate::clinic::{Clinic, Started};
use crate::log::{FactLog, Letter, RequestLog};
use crate::weather::{Weather, chance, power};

/// Turns without any change after which nothing more will happen: the longest silent piece of work
/// is one control that finds nothing to do.
const STILL_TURNS: u32 = 4;
/// Connections under bad weather before it clears, so that every step ends.
const STORMY_TRIES: u32 = 4;
/// Connections after which the agent will never take what is there.
const TRIES_MAX: u32 = 8;
/// Frames after which a link breaks, at most.
const FRAMES_BEFORE_BREAK_MAX: u32 = 30;
/// How far a scan of the log may lag behind its end, and an edge behind a cursor.
const LAG_MAX: usize = 6;

/// The edge, the logs, and the clinic at the far end.
pub struct Edge {
    /// The clinic.
    pub clinic: Clinic,
    /// The log of requests.
    pub requests: RequestLog,
    /// The log of facts.
    pub facts: FactLog,
    /// Every reply that arrived.
    pub replies: Vec<Reply>,
    /// The network's time.
    pub now: Timestamp,
    /// The weather, and the chance behind it.
    pub weather: Weather,
    /// As above.
    pub rng: StdRng,
    /// How often the power went, and a link broke.
    pub cuts: u32,
    /// As above.
    pub breaks: u32,
    agent: Option<Started>,
    line: Option<Line>,
    handed: BTreeSet<RequestId>,
    was_cut: bool,
}

/// One link.
struct Line {
    frames: mpsc::Receiver<FromAgent>,
    controls_to: i64,
    placed_to: i64,
    told: i64,
    applied: i64,
    last: UnitSeq,
    asked: BTreeMap<UnitSeq, UnitSeq>,
    unacked: u32,
    breaks_after: Option<u32>,
}

impl Line {
    /// A fact is the next one, the first of a higher epoch, or one that was asked for again.
    fn check_order(&mut self, seq: UnitSeq) {
        if seq == self.last.next() || (seq.epoch > self.last.epoch && seq.seq == 1) {
            self.last = seq;
            self.unacked += 1;
            assert!(self.unacked <= limits::CREDITS, "{seq} is beyond the credits");
            return;
        }
        let asked = self.asked.range(..=seq).any(|(_, to)| seq <= *to);
        assert!(asked, "{seq} follows {}, and nobody asked for it", self.last);
    }

    fn check_applied(&mut self, next: i64) {
        assert!(next >= self.applied, "applied went back from {} to {next}", self.applied);
        assert!(next <= self.told, "applied {next} is above what was told, {}", self.told);
        self.applied = next;
    }
}

impl Edge {
    /// An edge before anybody called.
    pub fn new(clinic: Clinic, seed: u64, now: Timestamp, weather: Weather) -> Self {
        Self {
            clinic,
            requests: RequestLog::default(),
            facts: FactLog::default(),
            replies: Vec::new(),
            now,
            weather,
            rng: StdRng::seed_from_u64(seed),
            cuts: 0,
            breaks: 0,
            agent: None,
            line: None,
            handed: BTreeSet::new(),
            was_cut: false,
        }
    }

    /// Whether the request has ever been handed to the agent.
    pub fn has_handed(&self, id: &RequestId) -> bool {
        self.handed.contains(id)
    }

    /// Writes a letter for the unit.
    pub fn write(&mut self, letter: Letter) {
        self.requests.write(&mut self.rng, letter);
    }

    // === The agent's lives ===

    /// The agent dies without a word.
    pub fn kill(&mut self) {
        self.agent = None;
        self.lose_link();
    }

    /// The agent leaves in good order; its last frames may still arrive.
    pub fn stop(&mut self) {
        let Some(agent) = self.agent.take() else { return };
        if let Err(error) = agent.stop() {
            self.power_cut(&error);
        }
        self.take_frames();
        self.line = None;
    }

    fn power_cut(&mut self, error: &WorkerError) {
        assert!(matches!(error, WorkerError::Stopped(_)), "the agent failed: {error:?}");
        self.cuts += 1;
        self.was_cut = true;
        self.agent = None;
        if let Some(line) = &mut self.line {
            line.breaks_after = Some(self.rng.random_range(0..FRAMES_BEFORE_BREAK_MAX));
        }
        self.take_frames();
        self.line = None;
    }

    /// What is on its way when a link breaks is lost.
    pub fn lose_link(&mut self) {
        self.line = None;
        if let Some(agent) = &self.agent {
            agent.tell(Inbox::Down("the link broke".to_owned()));
        }
    }

    /// Starts the agent where it does not run, and connects it where it is not connected.
    pub fn bring_up(&mut self) {
        while self.line.is_none() {
            if self.agent.is_none() {
                // Two cuts in a row could stop the agent three times at one request.
                let calm = std::mem::take(&mut self.was_cut);
                let power =
                    if calm { Failpoints::none() } else { power(&mut self.rng, &self.weather) };
                match self.clinic.start(self.now, power) {
                    Ok(agent) => self.agent = Some(agent),
                    Err(error) => {
                        self.power_cut(&error);
                        continue;
                    }
                }
            }
            if let Err(error) = self.connect() {
                self.power_cut(&error);
            }
        }
    }

    fn connect(&mut self) -> Result<(), WorkerError> {
        let Some(agent) = &mut self.agent else { return Ok(()) };
        let standing = agent.standing()?;
        let cursor = standing.cursor.filter(|cursor| cursor.log == RequestLog::identity());
        let told = cursor.map_or(0, |cursor| cursor.next);
        let mut from = told;
        if chance(&mut self.rng, self.weather.frames_repeat) {
            from = self.requests.before(from, self.rng.random_range(0..LAG_MAX));
        }
        let lags = chance(&mut self.rng, self.weather.scans_lag);
        let back = if lags { self.rng.random_range(0..LAG_MAX) } else { 0 };
        let durable = self.facts.nth_last(back).or(self.facts.last());
        let (out, frames) = mpsc::channel(OUTGOING_FRAMES_MAX);
        let welcome = Welcome {
            version: SUBPROTOCOL.to_owned(),
            unit: self.clinic.unit.clone(),
            conn_epoch: 1,
            credits: limits::CREDITS,
            frame_bytes_max: limits::FRAME_BYTES_MAX,
            heartbeat_ms: limits::HEARTBEAT_MS,
            server_time: self.now,
            log: LogIdentity(crate::log::LOG.to_owned()),
            head: self.requests.head(),
            durable,
            resume: Resume::Exact,
        };
        agent.tell(Inbox::Welcomed { welcome: Box::new(welcome), out });
        let breaks = chance(&mut self.rng, self.weather.links_break);
        self.line = Some(Line {
            frames,
            controls_to: from,
            placed_to: from,
            told,
            applied: told,
            last: durable.map_or(UnitSeq::ZERO, |durable| durable.seq),
            asked: BTreeMap::new(),
            unacked: 0,
            breaks_after: breaks.then(|| self.rng.random_range(0..FRAMES_BEFORE_BREAK_MAX)),
        });
        Ok(())
    }

    // === What goes down ===

    /// Hands everything on the log to the agent, over as many links as it takes.
    pub fn serve(&mut self) {
        let weather = self.weather;
        for attempt in 0..TRIES_MAX {
            if attempt == STORMY_TRIES {
                self.weather =
                    Weather { controls_at_once: weather.controls_at_once, ..Weather::CALM };
            }
            self.bring_up();
            if self.hand_down() {
                self.weather = weather;
                return;
            }
            self.lose_link();
        }
        panic!("the agent does not take what stands on the log");
    }

    /// True when the agent is done with everything on the log.
    fn hand_down(&mut self) -> bool {
        loop {
            self.send_controls();
            if !self.weather.controls_at_once {
                self.rest();
            }
            let sent = self.send_in_place();
            self.rest();
            let Some(line) = &self.line else { return false };
            if !sent {
                let last = self.requests.before(self.requests.head(), 0);
                return line.applied > last || self.requests.head() == 0;
            }
        }
    }

    /// Sends ahead what goes ahead, up to the log's head.
    pub fn send_controls(&mut self) {
        let (Some(agent), Some(line)) = (&self.agent, &mut self.line) else { return };
        let letters = self.requests.from(line.controls_to);
        for frame in letters.filter_map(|(_, letter)| letter.ahead()) {
            if let FromEdge::Resend(asked) = &frame {
                line.asked.insert(asked.from, asked.to);
            }
            agent.tell(Inbox::Frame(Box::new(frame)));
        }
        line.controls_to = self.requests.head();
    }

    /// Sends letters in their places, within the credits; false when there are none left.
    pub fn send_in_place(&mut self) -> bool {
        let (Some(agent), Some(line)) = (&self.agent, &mut self.line) else { return false };
        let mut credits = limits::CREDITS;
        let from = line.placed_to;
        for (at, letter) in self.requests.from(from) {
            let times = 1 + u32::from(chance(&mut self.rng, self.weather.frames_repeat));
            if credits < times {
                break;
            }
            credits -= times;
            (line.placed_to, line.told) = (at + 1, line.told.max(at + 1));
            if let Letter::Request(request) = letter {
                self.handed.insert(request.id.clone());
            }
            if let Letter::Resend(asked) = letter {
                line.asked.insert(asked.from, asked.to);
            }
            for _ in 0..times {
                agent.tell(Inbox::Frame(Box::new(letter.in_place())));
            }
        }
        credits < limits::CREDITS
    }

    /// Tells the time, and the head of the log, on an idle link.
    pub fn ping(&mut self) {
        let (Some(agent), Some(line)) = (&self.agent, &mut self.line) else { return };
        let head = self.requests.head();
        if line.placed_to == head || self.requests.from(line.placed_to).next().is_none() {
            line.told = line.told.max(head);
            let ping = Ping { head, server_time: self.now };
            agent.tell(Inbox::Frame(Box::new(FromEdge::Ping(ping))));
        }
    }

    /// How far the agent says it is.
    pub fn applied(&self) -> Option<i64> {
        self.line.as_ref().map(|line| line.applied)
    }

    // === What comes up ===

    /// Turns the agent until nothing more happens, or it lost its power.
    pub fn rest(&mut self) {
        let mut still = 0;
        while still < STILL_TURNS {
            still = if self.turn() { 0 } else { still + 1 };
        }
    }

    /// One turn; true when something happened.
    pub fn turn(&mut self) -> bool {
        let Some(agent) = &mut self.agent else { return false };
        let before = agent.progress();
        if let Err(error) = agent.turn() {
            self.power_cut(&error);
            return false;
        }
        let moved = agent.progress() != before;
        self.take_frames() || moved
    }

    /// Takes what the agent sent; true when there was anything.
    fn take_frames(&mut self) -> bool {
        let Some(mut line) = self.line.take() else { return false };
        let mut ack = false;
        let mut took = false;
        while let Ok(frame) = line.frames.try_recv() {
            took = true;
            if let Some(left) = &mut line.breaks_after {
                if *left == 0 {
                    self.breaks += 1;
                    self.lose_link();
                    return true;
                }
                *left -= 1;
            }
            match frame {
                FromAgent::Fact(fact) => {
                    self.publish(&mut line, fact);
                    ack = true;
                }
                FromAgent::Reply(reply) => self.replies.push(reply),
                FromAgent::Applied(applied) => line.check_applied(applied.next),
                FromAgent::Hello(_) | FromAgent::Answer(_) | FromAgent::Pong(_) => {}
            }
        }
        if let (true, Some(agent)) = (ack, &self.agent) {
            line.unacked = 0;
            let facts_offset = i64::try_from(self.facts.records.len()).expect("a log of a test");
            let ack = Ack { durable: line.last, facts_offset };
            agent.tell(Inbox::Frame(Box::new(FromEdge::Ack(ack))));
        }
        self.line = Some(line);
        took
    }

    fn publish(&mut self, line: &mut Line, fact: FactFrame) {
        line.check_order(fact.seq);
        self.facts.write(&self.clinic.unit, fact);
    }
}
