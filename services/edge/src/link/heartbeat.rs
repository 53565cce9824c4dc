//! What a link does by the clock: presence, pings, and giving up on an agent that is silent.

use std::time::Duration;

use kit_link::{CloseCode, FromEdge, Ping};
use tokio::time::Instant;

use super::{End, Link};
use crate::fault::Fault;
use crate::heartbeat::Due;
use crate::limits::WRITE_STALL_MS;

impl Link {
    pub(super) fn heartbeat(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let stall = Duration::from_millis(WRITE_STALL_MS);
        if self.wire.stalled_since().is_some_and(|since| now - since >= stall) {
            let detail = format!("the agent took nothing for {WRITE_STALL_MS} ms");
            return Err(Fault::new(CloseCode::Silent, detail).into());
        }
        if self.book.due_at().is_some_and(|at| at <= now) {
            self.write_presence();
        }
        if !self.may_read() {
            // An agent that is not listened to is not silent.
            self.heartbeat.received(now);
        }
        match self.heartbeat.heartbeat(now) {
            Due::Rest => Ok(()),
            Due::Dead => Err(Fault::new(CloseCode::Silent, "no answer to a ping in time").into()),
            Due::Ping => {
                let head = self.downstream.head(self.session.told_next());
                self.session.tells_head(head);
                self.heartbeat.pinged(now);
                let server_time = self.edge.clock.now();
                self.wire.send(&FromEdge::Ping(Ping { head, server_time }));
                Ok(())
            }
        }
    }
}
