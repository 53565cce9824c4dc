//! What the clinic thread receives: the link's comings and goings, and the edge's frames.

use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use kit_event::UnitSeq;
use kit_link::{Ack, FromAgent, FromEdge, LogIdentity, Resume, Welcome};
use tracing::{error, info};

use crate::command::Command;
use crate::error::WorkerError;
use crate::inbox::{Inbox, Standing};
use crate::uplink::Uplink;
use crate::worker::{ClinicWorker, Turn};

/// Messages taken between two pieces of work.
const MESSAGES_AT_ONCE: usize = 64;
/// Requests that may wait here; an edge that sends more breaks its credits.
const COMMANDS_MAX: usize = 256;
/// Cancels and controls that may wait here: as many as a unit may have open requests.
const AHEAD_MAX: usize = 10_000;

impl ClinicWorker {
    pub(crate) fn take_messages(&mut self, wait: Duration) -> Result<Turn, WorkerError> {
        let mut wait = wait;
        for _ in 0..MESSAGES_AT_ONCE {
            match self.inbox.recv_timeout(wait) {
                Ok(Inbox::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(Turn::Stop),
                Ok(message) => self.take(message)?,
                Err(RecvTimeoutError::Timeout) => break,
            }
            wait = Duration::ZERO;
        }
        Ok(Turn::On)
    }

    fn take(&mut self, message: Inbox) -> Result<(), WorkerError> {
        match message {
            Inbox::Hello(answer) => {
                // The link may have given up waiting; then it asks again.
                let _ = answer.send(self.standing());
            }
            Inbox::Welcomed { welcome, out } => self.welcomed(&welcome, out)?,
            Inbox::Frame(frame) => self.take_frame(*frame),
            Inbox::Touched => self.files_were_touched(),
            Inbox::Down(word) => {
                self.link_word = word;
                self.drop_link();
            }
            Inbox::Stop => {}
        }
        Ok(())
    }

    fn standing(&self) -> Standing {
        Standing {
            epoch: self.stores.spool.last_seq().epoch,
            last: self.stores.spool.last(),
            facts_offset: self.facts_offset,
            cursor: self
                .cursor
                .as_ref()
                .map(|(log, next)| kit_link::Cursor { log: log.clone(), next: *next }),
        }
    }

    fn welcomed(
        &mut self,
        welcome: &Welcome,
        out: tokio::sync::mpsc::Sender<FromAgent>,
    ) -> Result<(), WorkerError> {
        self.drop_link();
        self.stores.setup.clock.tell(welcome.server_time);
        if let Resume::Gap { from, to } = welcome.resume {
            self.jump_gap(from, to, &welcome.log)?;
        }
        let after = self.stores.resume_after(welcome)?;
        self.stores.epoch_is_sent()?;
        self.acked = welcome.durable.map_or(UnitSeq::ZERO, |durable| durable.seq).min(after);
        if welcome.durable.is_none() {
            // A log without any fact of ours is not the one that the offset was of.
            self.facts_offset = None;
        }
        self.log = Some(welcome.log.clone());
        self.uplink = Some(Uplink::new(out, welcome.credits, after));
        self.link_word = format!("connected since {}", welcome.server_time);
        info!(target: "connect", conn_epoch = welcome.conn_epoch, %after, "facts go on");
        Ok(())
    }

    /// Requests between the cursor and what the log still holds are gone; the unit says so once.
    fn jump_gap(&mut self, from: i64, to: i64, log: &LogIdentity) -> Result<(), WorkerError> {
        error!(target: "error", from, to, log = log.0, "requests are gone from the log");
        match &self.cursor {
            Some((known, next)) if known != log => {
                let known = known.clone();
                self.stores.lapse(*next, i64::MAX, &known)?;
            }
            _ if from < to => self.stores.lapse(from, to, log)?,
            _ => {}
        }
        self.cursor = Some((log.clone(), to));
        self.store_cursor()
    }

    pub(crate) fn drop_link(&mut self) {
        self.uplink = None;
        self.log = None;
        self.ahead.clear();
        self.commands.clear();
    }

    fn take_frame(&mut self, frame: FromEdge) {
        match frame {
            FromEdge::Ack(ack) => self.take_ack(ack),
            FromEdge::Ping(ping) => {
                self.stores.setup.clock.receive(ping.server_time);
                self.commands.push_back(Command::Head(ping.head));
            }
            other => match Command::of(other) {
                Some(Ok(command)) => self.commands.push_back(command),
                Some(Err(ahead)) => self.ahead.push_back(ahead),
                None => {}
            },
        }
        if self.commands.len() > COMMANDS_MAX || self.ahead.len() > AHEAD_MAX {
            error!(target: "error", "the edge sent more than its credits allow");
            self.drop_link();
        }
    }

    fn take_ack(&mut self, ack: Ack) {
        self.acked = self.acked.max(ack.durable);
        self.facts_offset = self.facts_offset.max(Some(ack.facts_offset));
        if let Some(uplink) = &mut self.uplink {
            uplink.acked(ack.durable);
        }
        self.maintenance.acked();
    }
}
