//! Commands in the order of the log, and what goes ahead of them.

use kit_event::UnitSeq;
use kit_link::{
    Applied, Cancel, FactFrame, FromAgent, FromEdge, LogIdentity, NewEpoch, Reemit, Reply,
    RequestFrame, Resend,
};
use kit_telemetry::Step;
use tracing::{info, warn};

use crate::apply::Verdict;
use crate::error::WorkerError;
use crate::reemit::Restated;
use crate::traced;
use crate::wire::is_possible;
use crate::worker::ClinicWorker;

/// A frame with a place in the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// A request.
    Request(Box<RequestFrame>),
    /// A cancel or control in its place.
    Placed(i64, Ahead),
    /// Nothing below this concerns the unit any more.
    Head(i64),
}

/// A frame that moves no cursor.
#[derive(Debug, Clone, PartialEq)]
pub enum Ahead {
    /// A cancel.
    Cancel(Cancel),
    /// Facts are asked for again.
    Resend(Resend),
    /// A new epoch is ordered.
    NewEpoch(NewEpoch),
    /// The present state of what a fact spoke of is asked for.
    Reemit(Reemit),
}

/// An order whose numbers no unit can come to is done with by doing nothing.
fn passed_over(order: &'static str) {
    warn!(target: "message", order, "an order names numbers that no unit comes to");
}

impl Command {
    /// Where a frame of the edge belongs: in the log's order, ahead of it, or nowhere here.
    #[must_use]
    pub fn of(frame: FromEdge) -> Option<Result<Self, Ahead>> {
        let placed = |position: Option<i64>, ahead| match position {
            Some(position) => Some(Ok(Self::Placed(position, ahead))),
            None => Some(Err(ahead)),
        };
        match frame {
            FromEdge::Request(request) => Some(Ok(Self::Request(Box::new(request)))),
            FromEdge::Cancel(cancel) => placed(cancel.position, Ahead::Cancel(cancel)),
            FromEdge::Resend(resend) => placed(resend.position, Ahead::Resend(resend)),
            FromEdge::NewEpoch(order) => placed(order.position, Ahead::NewEpoch(order)),
            FromEdge::Reemit(order) => placed(order.position, Ahead::Reemit(order)),
            FromEdge::Welcome(_)
            | FromEdge::Query(_)
            | FromEdge::Ack(_)
            | FromEdge::Ping(_)
            | FromEdge::Error(_) => None,
        }
    }
}

impl ClinicWorker {
    /// Obeys every frame that goes ahead.
    pub(crate) fn obey_ahead(&mut self) -> Result<(), WorkerError> {
        // All of them: a request must not be carried out before a cancel that came before it.
        while let Some(ahead) = self.ahead.front().cloned() {
            self.obey(&ahead)?;
            self.ahead.pop_front();
        }
        Ok(())
    }

    /// Obeys the next command; it stays the next one until it is done.
    pub(crate) fn obey_next(&mut self) -> Result<(), WorkerError> {
        let Some(command) = self.commands.front().cloned() else { return Ok(()) };
        match command {
            Command::Request(mut request) => self.obey_request(&mut request)?,
            Command::Placed(position, ahead) => {
                self.obey(&ahead)?;
                if !self.done_with(position + 1)? {
                    self.tell_cursor();
                }
            }
            Command::Head(head) => {
                self.done_with(head)?;
            }
        }
        self.commands.pop_front();
        Ok(())
    }

    fn obey(&mut self, ahead: &Ahead) -> Result<(), WorkerError> {
        match ahead {
            Ahead::Cancel(cancel) => self.obey_cancel(cancel),
            Ahead::Resend(resend) if !(is_possible(resend.from) && is_possible(resend.to)) => {
                passed_over("resend");
                Ok(())
            }
            Ahead::Resend(resend) => {
                let (from, to) = (resend.from, resend.to);
                warn!(target: "message", %from, %to, "facts are asked for again");
                if let Some(uplink) = &mut self.uplink {
                    uplink.resend(resend.from, resend.to);
                }
                Ok(())
            }
            Ahead::NewEpoch(order) => self.obey_new_epoch(order),
            Ahead::Reemit(order) if !is_possible(order.seq) => {
                passed_over("reemit");
                Ok(())
            }
            Ahead::Reemit(order) => self.obey_reemit(order),
        }
    }

    fn obey_new_epoch(&mut self, order: &NewEpoch) -> Result<(), WorkerError> {
        let current = self.stores.spool.last_seq().epoch;
        if current > order.above {
            return Ok(());
        }
        // Readers would not follow, and no order could ever lead further.
        let next = UnitSeq::new(order.above.saturating_add(1), 1);
        if !is_possible(next) || !next.may_follow(self.stores.spool.last_seq()) {
            passed_over("new_epoch");
            return Ok(());
        }
        let next = next.epoch;
        self.stores.open_epoch(next, Some(current), &order.reason)?;
        self.stores.epoch_is_sent()?;
        if let Some(uplink) = &mut self.uplink {
            uplink.jump(UnitSeq::new(next, 0));
        }
        Ok(())
    }

    /// Ahead of commands nothing is stated: the order comes in its place too, and would be obeyed
    /// twice.
    fn obey_reemit(&mut self, order: &Reemit) -> Result<(), WorkerError> {
        let (Some(position), Some(log)) = (order.position, self.log.clone()) else {
            return Ok(());
        };
        if self.is_done_with(&log, position) {
            return Ok(());
        }
        self.drain_all()?;
        let restated = self.stores.reemit(order.seq, order.subject.as_deref())?;
        let seq = order.seq;
        match restated {
            Restated::Facts(facts) => {
                info!(target: "message", %seq, facts = facts.len(), "a thing was stated anew");
                self.pump(&facts)
            }
            Restated::Unknown => {
                warn!(target: "message", %seq, "nothing here knows what a withheld fact spoke of");
                Ok(())
            }
        }
    }

    fn obey_cancel(&mut self, cancel: &Cancel) -> Result<(), WorkerError> {
        let Some(log) = self.log.clone() else { return Ok(()) };
        let mut cancel = cancel.clone();
        let step = traced::cancelling(&mut cancel);
        let verdict = self.stores.cancel(&cancel, &log)?;
        let facts = self.after_verdict(&verdict)?;
        info!(target: "message", request = %cancel.request_id, "a cancel was obeyed");
        let reply =
            self.stores.reply(&cancel.request_id, cancel.reply_partition, &verdict, &facts)?;
        self.send_reply(reply, &facts, step)
    }

    fn obey_request(&mut self, request: &mut RequestFrame) -> Result<(), WorkerError> {
        let Some(log) = self.log.clone() else { return Ok(()) };
        let step = traced::applying(request);
        let verdict = if self.is_done_with(&log, request.position) {
            Verdict::Repeated
        } else {
            let tries = self.tries.count(&self.stores.spool, &request.id)?;
            self.stores.apply(request, &log, tries)?
        };
        let facts = self.after_verdict(&verdict)?;
        let reply =
            match self.stores.reply(&request.id, request.reply_partition, &verdict, &facts)? {
                // Committed at an earlier try that another program then kept from being drained.
                None if verdict == Verdict::Repeated => {
                    self.drain_all()?;
                    self.stores.reply(&request.id, request.reply_partition, &verdict, &[])?
                }
                reply => reply,
            };
        let position = request.position;
        info!(target: "message", request = %request.id, position, "a request was obeyed");
        self.send_reply(reply, &facts, step)?;
        // A fresh ledger row holds the position already.
        if self.move_cursor(request.position + 1) && !matches!(verdict, Verdict::Spoken { .. }) {
            self.store_cursor()?;
        }
        self.tell_cursor();
        self.tries.passed(&self.stores.spool)
    }

    /// A position below the cursor was done with before: nothing there is carried out again.
    fn is_done_with(&self, log: &LogIdentity, position: i64) -> bool {
        self.cursor.as_ref().is_some_and(|(known, next)| known == log && position < *next)
    }

    /// Numbers what a verdict wrote, behind everything that the outbox held before.
    fn after_verdict(&mut self, verdict: &Verdict) -> Result<Vec<FactFrame>, WorkerError> {
        let Verdict::Spoken { captured } = verdict else { return Ok(Vec::new()) };
        let mut drained = self.stores.drain_batch(captured)?;
        while drained.more {
            self.pump(&drained.facts)?;
            drained = self.stores.drain()?;
        }
        Ok(drained.facts)
    }

    fn drain_all(&mut self) -> Result<(), WorkerError> {
        while self.stores.drain()?.more {}
        Ok(())
    }

    fn send_reply(
        &mut self,
        reply: Option<Reply>,
        facts: &[FactFrame],
        mut step: Step,
    ) -> Result<(), WorkerError> {
        if let Some(mut reply) = reply {
            traced::spoken(&mut step, &mut reply);
            self.send(FromAgent::Reply(reply));
        }
        self.pump(facts)
    }

    fn done_with(&mut self, next: i64) -> Result<bool, WorkerError> {
        let moves = self.move_cursor(next);
        if moves {
            self.store_cursor()?;
            self.tell_cursor();
        }
        Ok(moves)
    }

    /// Gives credits back, also for what came again and moved nothing.
    fn tell_cursor(&mut self) {
        if let Some((_, next)) = self.cursor {
            self.send(FromAgent::Applied(Applied { next }));
        }
    }
}
