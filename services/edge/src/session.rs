//! What may follow what on one link, after WELCOME.
//!
//! A `Session` is told what the agent sent, what the broker confirmed and what was sent down, and
//! says what is allowed, what to acknowledge, and which end a breach has. It knows no socket, no
//! clock and no log, so that every rule of the protocol is tested without them.

use std::collections::VecDeque;

use kit_event::{Fact, RequestId, Timestamp, UnitId, UnitSeq};
use kit_link::{
    Ack, Answer, CloseCode, Durable, FactFrame, FromAgent, Pong, Reply, Resend, limits,
};

use crate::codec::{self, Read};
use crate::fault::Fault;
use crate::limits::{ASKED_AGAIN_RANGES_MAX, ASKED_MAX};
use crate::numbered;

/// A fact that is on the log, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnLog {
    /// Its number and id.
    pub durable: Durable,
    /// Its offset on `unit.facts`.
    pub offset: i64,
}

/// What an agent's frame asks of the edge.
#[derive(Debug, PartialEq)]
pub enum Received {
    /// A fact, allowed by its number, to be published in the order in which it was received.
    Fact(Box<Fact>),
    /// A fact, allowed by its number, that cannot be carried, and why: it is withheld.
    Uncarriable(Box<Fact>, String),
    /// The unit's cursor moved, or stayed.
    Applied,
    /// An outcome for whoever waits on the partition.
    Reply(i32, Box<Reply>),
    /// A query's answer for whoever waits on the partition.
    Answer(i32, Box<Answer>),
    /// A reply or answer that nobody on this link asked for, or not any more.
    Unasked,
    /// How the unit is: its last number, and what it tells of its spool.
    Pong(Pong),
    /// A frame of a later version, passed over.
    Unknown(String),
}

/// A fact that is on its way to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct UnderWay {
    durable: Durable,
    /// Asked for again: it moves nothing and takes no credit.
    again: bool,
}

/// The state of one link.
#[derive(Debug)]
pub struct Session {
    unit: UnitId,
    reply_partitions: i32,
    last_taken: UnitSeq,
    durable: Option<OnLog>,
    under_way: VecDeque<UnderWay>,
    asked_again: VecDeque<(UnitSeq, UnitSeq)>,
    applied_next: i64,
    told_next: i64,
    unapplied: VecDeque<i64>,
    /// What the unit was asked on this link, and where the asker listens.
    asked: VecDeque<(RequestId, i32)>,
}

impl Session {
    /// A link of `unit` that goes on after the fact `durable` and at the request position `next`.
    #[must_use]
    pub fn new(unit: UnitId, reply_partitions: i32, durable: Option<OnLog>, next: i64) -> Self {
        Self {
            unit,
            reply_partitions,
            last_taken: durable.map_or(UnitSeq::ZERO, |fact| fact.durable.seq),
            durable,
            under_way: VecDeque::new(),
            asked_again: VecDeque::new(),
            applied_next: next,
            told_next: next,
            unapplied: VecDeque::new(),
            asked: VecDeque::new(),
        }
    }

    /// The unit that the credential named.
    #[must_use]
    pub fn unit(&self) -> &UnitId {
        &self.unit
    }

    /// The position below which the unit is done with everything.
    #[must_use]
    pub fn applied_next(&self) -> i64 {
        self.applied_next
    }

    /// The unit's last fact that the broker confirmed.
    #[must_use]
    pub fn durable(&self) -> Option<OnLog> {
        self.durable
    }

    /// Facts that the broker has not confirmed yet.
    #[must_use]
    pub fn facts_under_way(&self) -> usize {
        self.under_way.len()
    }

    /// How many more requests the unit may be sent.
    #[must_use]
    pub fn credits(&self) -> usize {
        (limits::CREDITS as usize).saturating_sub(self.unapplied.len())
    }

    /// Takes one text frame of the agent; `now` is the network's time.
    ///
    /// # Errors
    /// The end of the link that the frame brings.
    pub fn receive(&mut self, text: &str, now: Timestamp) -> Result<Received, Fault> {
        let read = if text.len() > limits::FRAME_BYTES_MAX {
            let detail = format!("a frame is at most {} bytes here", limits::FRAME_BYTES_MAX);
            Err(Fault::new(CloseCode::FrameTooLarge, detail))
        } else {
            codec::read(text)
        };
        match read {
            Ok(read) => self.take(read),
            // The agent would send a fact again, as it is, on every link to come.
            Err(fault) => match numbered::in_part(text, &self.unit, now) {
                Some(frame) => self.take_fact(frame, Some(fault.detail)),
                None => Err(fault),
            },
        }
    }

    fn take(&mut self, read: Read) -> Result<Received, Fault> {
        match read {
            Read::Unknown { name } => Ok(Received::Unknown(name)),
            Read::Known(frame) => match *frame {
                FromAgent::Hello(_) => Err(Fault::protocol("hello comes once, as the first frame")),
                FromAgent::Fact(fact) => self.take_fact(fact, None),
                FromAgent::Applied(applied) => {
                    self.move_cursor(applied.next).map(|()| Received::Applied)
                }
                FromAgent::Pong(pong) => self.move_cursor(pong.next).map(|()| Received::Pong(pong)),
                FromAgent::Reply(reply) => {
                    self.own(&reply.request_id)?;
                    let partition = self.reply_partition(reply.reply_partition)?;
                    let partition = self.awaited(&reply.request_id, partition);
                    Ok(partition.map_or(Received::Unasked, |p| Received::Reply(p, Box::new(reply))))
                }
                FromAgent::Answer(answer) => {
                    self.own(&answer.id)?;
                    let partition = self.reply_partition(answer.reply_partition)?;
                    let partition = self.awaited(&answer.id, partition);
                    Ok(partition
                        .map_or(Received::Unasked, |p| Received::Answer(p, Box::new(answer))))
                }
            },
        }
    }

    /// Only its number decides whether a fact is allowed; `unread` says what of its frame does not
    /// read.
    fn take_fact(
        &mut self,
        mut frame: FactFrame,
        unread: Option<String>,
    ) -> Result<Received, Fault> {
        let seq = frame.seq;
        // What was asked for again may be of an epoch that is over: a hole in it is mended too.
        let again = seq <= self.last_taken && self.was_asked_again(seq);
        if seq.epoch < self.last_taken.epoch && !again {
            let epoch = self.last_taken.epoch;
            let detail = format!("fact {seq} is of an epoch that is over; the unit is in {epoch}");
            return Err(Fault::new(CloseCode::StaleEpoch, detail));
        }
        let expected = if seq.epoch > self.last_taken.epoch {
            UnitSeq::new(seq.epoch, 1)
        } else {
            self.last_taken.next()
        };
        if !again && !seq.may_follow(self.last_taken) {
            let detail = format!("no unit comes from fact {} to {seq}", self.last_taken);
            return Err(Fault::protocol(detail));
        }
        if seq != expected && !again {
            return Err(Fault::protocol(format!("expected fact {expected}, got {seq}")));
        }
        if !again {
            let new = self.under_way.iter().filter(|fact| !fact.again).count();
            if new >= limits::CREDITS as usize {
                let detail = format!("fact {seq} came with {new} facts unacknowledged");
                return Err(Fault::new(CloseCode::CreditsExceeded, detail));
            }
            self.last_taken = seq;
        }
        let durable = Durable { seq, id: frame.id };
        self.under_way.push_back(UnderWay { durable, again });
        let cause = unread.or_else(|| numbered::uncarriable(&frame, &self.unit));
        if cause.is_some() {
            numbered::made_carriable(&mut frame, &self.unit);
        }
        let fact = Box::new(frame.into_fact(self.unit.clone()));
        Ok(match cause {
            Some(cause) => Received::Uncarriable(fact, cause),
            None => Received::Fact(fact),
        })
    }

    /// The broker confirmed the oldest fact under way, at `offset`: what to acknowledge. A fact
    /// that was asked for again repeats the last ACK.
    pub fn confirmed(&mut self, offset: i64) -> Option<Ack> {
        let fact = self.under_way.pop_front()?;
        if self.under_way.is_empty() {
            self.under_way = VecDeque::new();
        }
        if !fact.again {
            self.durable = Some(OnLog { durable: fact.durable, offset });
        }
        self.durable.map(|on| Ack { durable: on.durable.seq, facts_offset: on.offset })
    }

    /// The unit is asked for a range of facts again; they may come out of order from now on.
    pub fn asks_again(&mut self, resend: &Resend) {
        if self.asked_again.len() == ASKED_AGAIN_RANGES_MAX {
            self.asked_again.pop_front();
        }
        self.asked_again.push_back((resend.from, resend.to));
    }

    fn was_asked_again(&self, seq: UnitSeq) -> bool {
        self.asked_again.iter().any(|(from, to)| *from <= seq && seq <= *to)
    }

    /// A request (or a control in its place) goes down at `position`; it takes one credit.
    pub fn sends(&mut self, position: i64) {
        self.unapplied.push_back(position);
        self.told_next = self.told_next.max(position + 1);
    }

    /// The unit is asked for an outcome or an answer, for whoever listens on `partition`.
    pub fn asks(&mut self, request: RequestId, partition: Option<i32>) {
        let Some(partition) = partition else { return };
        if self.asked.len() == ASKED_MAX {
            self.asked.pop_front();
        }
        self.asked.push_back((request, partition));
    }

    /// Where an outcome or answer goes: to who asked for it on this link, once for each time.
    fn awaited(&mut self, request: &RequestId, partition: Option<i32>) -> Option<i32> {
        let partition = partition?;
        let asked = |(id, at): &(RequestId, i32)| id == request && *at == partition;
        let index = self.asked.iter().position(asked)?;
        self.asked.remove(index);
        if self.asked.is_empty() {
            self.asked = VecDeque::new();
        }
        Some(partition)
    }

    /// The unit is told that nothing below `head` concerns it any more.
    pub fn tells_head(&mut self, head: i64) {
        self.told_next = self.told_next.max(head);
    }

    /// The position that a ping may carry when nothing newer is known.
    #[must_use]
    pub fn told_next(&self) -> i64 {
        self.told_next
    }

    fn move_cursor(&mut self, next: i64) -> Result<(), Fault> {
        if next < self.applied_next {
            let detail = format!("the cursor went back from {} to {next}", self.applied_next);
            return Err(Fault::protocol(detail));
        }
        if next > self.told_next {
            let detail =
                format!("the cursor is at {next}; nothing above {} was sent", self.told_next);
            return Err(Fault::protocol(detail));
        }
        self.applied_next = next;
        while self.unapplied.front().is_some_and(|position| *position < next) {
            self.unapplied.pop_front();
        }
        Ok(())
    }

    /// An agent speaks of its own unit's requests only.
    fn own(&self, request: &RequestId) -> Result<(), Fault> {
        if request.unit() == self.unit {
            Ok(())
        } else {
            Err(Fault::protocol(format!("the request is not of unit {}", self.unit)))
        }
    }

    fn reply_partition(&self, partition: Option<i32>) -> Result<Option<i32>, Fault> {
        match partition {
            Some(p) if p < 0 || p >= self.reply_partitions => {
                let last = self.reply_partitions - 1;
                Err(Fault::protocol(format!("reply_partition {p} is not within 0 to {last}")))
            }
            other => Ok(other),
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
