//! From the log to one unit: which request goes down next, and where it is to be read.
//!
//! A link that begins, or that fell too far behind, reads the log from its own position up to the
//! tail's (*catching up*), and from there on takes what the tail gives it (*live*). While it
//! catches up the tail's records wait, so the hand-over has neither hole nor double. A unit that
//! takes nothing for long makes its own queue overflow, and nobody else's: what comes after is
//! forgotten here and read from the log again when it takes requests again.
//!
//! Cancels and controls overtake commands: at the beginning all of them up to the head are looked
//! for before the first command goes down, and live ones go at once; in both cases they go down in
//! their place too. Live queries go at once and have no place.
//!
//! The delivery queue knows neither Kafka nor sockets: it says what it wants
//! ([`DeliveryQueue::want`]), is told what came, and gives records in the order in which they go
//! down ([`DeliveryQueue::pop`]).

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::limits::{AHEAD_RECORDS_MAX, HELD_BACK_RECORDS_MAX};

/// What a record on `unit.requests` is to its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A command: goes down in its place.
    Command,
    /// A cancel or control: goes ahead, and in its place.
    Control,
    /// A live question: goes at once or never.
    Query,
}

/// A record of the unit, by position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord<R> {
    /// Its offset on `unit.requests`.
    pub position: i64,
    /// What it is to the unit.
    pub kind: Kind,
    /// When the tail gave it; none for one that was read from the log later.
    pub received_at: Option<Instant>,
    /// The record.
    pub content: R,
}

/// What the delivery queue cannot go on without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// A place at the tail.
    Subscription,
    /// Records below the place where the tail took over.
    Scan(ScanOrder),
}

/// A part of the log to be read for one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanOrder {
    /// The first position.
    pub from: i64,
    /// The position after the last.
    pub to: i64,
    /// Whether controls and queries are wanted ahead.
    pub ahead: bool,
    /// Whether records in their place are wanted.
    pub in_place: bool,
}

/// What a scan brought; it may end early when it brought enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window<R> {
    /// All controls and queries below this are in `ahead`.
    pub seen_to: i64,
    /// Everything with a place below this is in `in_place`; none where it was not asked for.
    pub in_place_to: Option<i64>,
    /// Controls, and queries that are still alive.
    pub ahead: Vec<LogRecord<R>>,
    /// Commands and controls.
    pub in_place: Vec<LogRecord<R>>,
}

/// A record on its way down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing<R> {
    /// The record.
    pub log_record: LogRecord<R>,
    /// Whether it goes in its place, and so moves the cursor and takes a credit.
    pub in_place: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not subscribed to the tail.
    Lost,
    /// Reading what lies below `head`; the tail holds what lies above.
    CatchingUp { head: i64, seen_to: i64 },
    /// Nothing lies below what the tail gives.
    Live,
}

/// The requests of one unit on their way down.
#[derive(Debug)]
pub struct DeliveryQueue<R> {
    stage: Stage,
    waiting: bool,
    /// Everything with a place below this was sent, or waits in `backlog`.
    read_to: i64,
    /// Everything from `read_to` on and below this was given by the tail.
    given_to: i64,
    /// The first position that the tail gave and that was forgotten.
    forgotten_from: Option<i64>,
    ahead: VecDeque<LogRecord<R>>,
    backlog: VecDeque<LogRecord<R>>,
    live: VecDeque<LogRecord<R>>,
}

impl<R: Clone> DeliveryQueue<R> {
    /// A delivery queue for a unit that is done with everything below `next`.
    #[must_use]
    pub fn new(next: i64) -> Self {
        Self {
            stage: Stage::Lost,
            waiting: false,
            read_to: next,
            given_to: next,
            forgotten_from: None,
            ahead: VecDeque::new(),
            backlog: VecDeque::new(),
            live: VecDeque::new(),
        }
    }

    /// What is to be fetched now, if anything; asked for once, until it was given.
    pub fn want(&mut self, credits: usize) -> Option<Want> {
        if self.waiting {
            return None;
        }
        let idle = self.backlog.is_empty() && credits > 0;
        let want = match self.stage {
            Stage::Lost => Want::Subscription,
            Stage::CatchingUp { head, seen_to } if seen_to < head => {
                if !self.ahead.is_empty() {
                    return None;
                }
                let in_place = self.read_to == seen_to;
                Want::Scan(ScanOrder { from: seen_to, to: head, ahead: true, in_place })
            }
            Stage::CatchingUp { head, .. } if idle => {
                Want::Scan(ScanOrder { from: self.read_to, to: head, ahead: false, in_place: true })
            }
            Stage::CatchingUp { .. } => return None,
            Stage::Live => match self.forgotten_from {
                Some(from) if idle && self.live.is_empty() => {
                    self.stage = Stage::Lost;
                    self.read_to = from;
                    Want::Subscription
                }
                Some(_) | None => return None,
            },
        };
        self.waiting = true;
        Some(want)
    }

    /// The tail gives everything from `head` on.
    pub fn subscribed(&mut self, head: i64) {
        self.waiting = false;
        self.forgotten_from = None;
        self.live.clear();
        // A tail that lags behind what was already read gives some of it again.
        self.given_to = head.max(self.read_to);
        self.stage = if head > self.read_to {
            Stage::CatchingUp { head, seen_to: self.read_to }
        } else {
            Stage::Live
        };
    }

    /// A scan ended.
    pub fn scanned(&mut self, window: Window<R>) {
        self.waiting = false;
        let Stage::CatchingUp { head, seen_to } = self.stage else { return };
        self.ahead.extend(window.ahead);
        self.backlog.extend(window.in_place);
        if let Some(in_place_to) = window.in_place_to {
            self.read_to = self.read_to.max(in_place_to).min(head);
        }
        let seen_to = seen_to.max(window.seen_to).min(head);
        self.stage = if seen_to == head && self.read_to == head {
            Stage::Live
        } else {
            Stage::CatchingUp { head, seen_to }
        };
    }

    /// The tail gives a record.
    pub fn live(&mut self, log_record: LogRecord<R>) {
        if self.stage == Stage::Lost || log_record.position < self.given_to {
            return;
        }
        self.given_to = log_record.position + 1;
        match log_record.kind {
            Kind::Query => {
                self.overtake(log_record);
            }
            Kind::Control => {
                self.overtake(log_record.clone());
                self.hold(log_record);
            }
            Kind::Command => self.hold(log_record),
        }
    }

    /// A record that overtakes. When too many do, a query is lost and a control waits its turn.
    fn overtake(&mut self, log_record: LogRecord<R>) {
        if self.ahead.len() < AHEAD_RECORDS_MAX {
            self.ahead.push_back(log_record);
        } else {
            crate::metrics::OVERTAKING_DROPPED.get().increment(1);
        }
    }

    fn hold(&mut self, log_record: LogRecord<R>) {
        if self.forgotten_from.is_some() {
            return;
        }
        if self.live.len() >= HELD_BACK_RECORDS_MAX {
            self.forgotten_from = Some(log_record.position);
        } else {
            self.live.push_back(log_record);
        }
    }

    /// The tail cut the link off, or a scan failed: the log is read again from what was not sent.
    pub fn cut_off(&mut self) {
        self.waiting = false;
        if self.stage == Stage::Live {
            let given_to = self.forgotten_from.unwrap_or(self.given_to);
            self.read_to = self.live.front().map_or(given_to, |log_record| log_record.position);
        }
        self.live.clear();
        self.forgotten_from = None;
        self.stage = Stage::Lost;
    }

    /// The next record to go down.
    pub fn pop(&mut self, credits: usize) -> Option<Outgoing<R>> {
        if let Some(log_record) = pop_lean(&mut self.ahead) {
            return Some(Outgoing { log_record, in_place: false });
        }
        let looked_ahead = match self.stage {
            // Until every control up to the head was seen, a command might overtake its cancel.
            Stage::CatchingUp { head, seen_to } => seen_to == head,
            Stage::Lost | Stage::Live => true,
        };
        if credits == 0 || !looked_ahead {
            return None;
        }
        let log_record = match pop_lean(&mut self.backlog) {
            Some(log_record) => Some(log_record),
            None if self.stage == Stage::Live => pop_lean(&mut self.live),
            None => None,
        };
        log_record.map(|log_record| Outgoing { log_record, in_place: true })
    }

    /// Whether everything that the tail gave has gone down.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.stage == Stage::Live
            && self.forgotten_from.is_none()
            && self.backlog.is_empty()
            && self.live.is_empty()
    }
}

/// Takes the first; an emptied queue gives its memory back, for most links are idle.
fn pop_lean<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let first = queue.pop_front();
    if queue.is_empty() && queue.capacity() > 0 {
        *queue = VecDeque::new();
    }
    first
}

#[cfg(test)]
#[path = "delivery_queue_tests.rs"]
mod tests;
