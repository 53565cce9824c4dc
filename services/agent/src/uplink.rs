//! Facts on their way up one connection: in order, within the credits, from the spool.

use std::collections::VecDeque;

use kit_event::UnitSeq;
use kit_link::{FactFrame, FromAgent};
use tokio::sync::mpsc;

use crate::error::WorkerError;
use crate::spool::Spool;

/// Frames that may wait between the clinic thread and the socket: every fact and reply in flight by
/// the credits, and some answers.
pub const OUTGOING_FRAMES_MAX: usize = 256;
/// The most credits that we take, whatever an edge offers: they bound the queue above.
const CREDITS_MAX: usize = 64;
/// Facts sent again at once: a part of the queue above.
const RESENT_AT_ONCE: usize = 32;

/// One connection's way up.
pub struct Uplink {
    out: mpsc::Sender<FromAgent>,
    credits: usize,
    in_flight: VecDeque<UnitSeq>,
    sent: UnitSeq,
    resend: Option<(UnitSeq, UnitSeq)>,
}

/// The connection takes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link takes no more frames")]
pub struct LinkFull;

impl Uplink {
    /// A connection that goes on after `sent`.
    #[must_use]
    pub fn new(out: mpsc::Sender<FromAgent>, credits: u32, sent: UnitSeq) -> Self {
        let credits = usize::try_from(credits).unwrap_or(CREDITS_MAX).clamp(1, CREDITS_MAX);
        Self { out, credits, in_flight: VecDeque::new(), sent, resend: None }
    }

    /// The last fact given to the connection.
    #[must_use]
    pub fn sent(&self) -> UnitSeq {
        self.sent
    }

    /// Facts up to `durable` are on the log.
    pub fn acked(&mut self, durable: UnitSeq) {
        while self.in_flight.front().is_some_and(|seq| *seq <= durable) {
            self.in_flight.pop_front();
        }
    }

    /// Sends these facts again, between others.
    pub fn resend(&mut self, from: UnitSeq, to: UnitSeq) {
        let before = UnitSeq::new(from.epoch, from.seq.saturating_sub(1));
        // What was not sent yet needs no second time.
        self.resend = Some((before, to.min(self.sent)));
    }

    /// Facts are numbered anew from `after` on.
    pub fn jump(&mut self, after: UnitSeq) {
        self.sent = after;
        self.resend = None;
    }

    /// Gives facts to the connection, as far as credits reach; `fresh` are the newest ones, which
    /// need not be read back where they follow directly.
    ///
    /// # Errors
    /// The spool refuses, or the connection is stuck.
    pub fn pump(
        &mut self,
        spool: &Spool,
        fresh: &[FactFrame],
    ) -> Result<Result<(), LinkFull>, WorkerError> {
        if self.again(spool)?.is_err() {
            return Ok(Err(LinkFull));
        }
        loop {
            let room = self.credits.saturating_sub(self.in_flight.len());
            if room == 0 || self.sent >= spool.last_seq() {
                return Ok(Ok(()));
            }
            let facts = match self.following(fresh, room) {
                Some(facts) => facts,
                None => spool.facts(self.sent, spool.last_seq(), room)?,
            };
            if facts.is_empty() {
                return Ok(Ok(()));
            }
            for fact in facts {
                let seq = fact.seq;
                if self.give(fact).is_err() {
                    return Ok(Err(LinkFull));
                }
                self.sent = seq;
            }
        }
    }

    /// Facts asked for again take no credit, so they are given some at a time, while there is room
    /// between the thread and the socket for everything else.
    fn again(&mut self, spool: &Spool) -> Result<Result<(), LinkFull>, WorkerError> {
        let Some((after, to)) = self.resend else { return Ok(Ok(())) };
        if self.out.capacity() < OUTGOING_FRAMES_MAX / 2 {
            return Ok(Ok(()));
        }
        let facts = spool.facts(after, to, RESENT_AT_ONCE)?;
        self.resend = facts.last().map(|fact| (fact.seq, to)).filter(|(seq, to)| seq < to);
        for fact in facts {
            if self.send(FromAgent::Fact(fact)).is_err() {
                return Ok(Err(LinkFull));
            }
        }
        Ok(Ok(()))
    }

    /// Whether facts that were asked for again wait.
    #[must_use]
    pub fn is_resending(&self) -> bool {
        self.resend.is_some()
    }

    fn following(&self, fresh: &[FactFrame], room: usize) -> Option<Vec<FactFrame>> {
        let at = fresh.iter().position(|fact| fact.seq == self.sent.next())?;
        Some(fresh[at..].iter().take(room).cloned().collect())
    }

    fn give(&mut self, fact: FactFrame) -> Result<(), LinkFull> {
        self.in_flight.push_back(fact.seq);
        self.send(FromAgent::Fact(fact))
    }

    /// Gives any other frame to the connection.
    ///
    /// # Errors
    /// The connection is stuck or gone.
    pub fn send(&self, frame: FromAgent) -> Result<(), LinkFull> {
        self.out.try_send(frame).map_err(|_| LinkFull)
    }
}
