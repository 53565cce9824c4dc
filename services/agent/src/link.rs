//! The link: one outbound connection to an edge, again and again.
//!
//! It routes frames between the socket and the clinic's threads and answers pings by itself, so
//! that a busy clinic thread never looks dead. Whatever ends a connection, the next one begins with
//! a fresh token.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use kit_event::Timestamp;
use kit_link::limits::HEARTBEAT_GRACE_MS;
use kit_link::{Applied, FromAgent, FromEdge, Ping, Pong, Resume};
use kit_token::AgentKey;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, sleep_until, timeout};
use tracing::info;

use crate::handshake::{Socket, shake};
use crate::inbox::{Inbox, LastSeq};
use crate::pause::{Ended, Pauses};
use crate::queries::Queries;
use crate::setup::Setup;
use crate::uplink::OUTGOING_FRAMES_MAX;
use crate::wire::{self, Received};

/// The clinic thread takes messages between two pieces of work of some milliseconds.
const INBOX_RETRY: Duration = Duration::from_millis(2);
/// A close is answered in this time, or not at all.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// The edge's silence is measured in fifths more than its heartbeat, because it is jittered.
const SILENCE_FACTOR: f64 = 1.2;

/// What the link needs.
pub struct Link {
    /// Unit and clock.
    pub setup: Arc<Setup>,
    /// The address of the upgrade.
    pub url: String,
    /// Signs HELLO's token.
    pub key: AgentKey,
    /// The way into the clinic thread.
    pub inbox: SyncSender<Inbox>,
    /// The query thread.
    pub queries: Queries,
    /// The last number, for pongs.
    pub last_seq: LastSeq,
    /// True when the agent leaves.
    pub stop: watch::Receiver<bool>,
}

/// Waits until the agent is told to leave.
async fn told(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stop.wait_for(|stop| *stop).await.is_ok();
}

/// The longest heartbeat that is believed: an edge that dies must not keep its units for longer.
const HEARTBEAT_MS_MAX: u64 = 5 * 60 * 1000;

/// The way of one connection through its life.
struct Session<'a> {
    link: &'a mut Link,
    socket: Socket,
    out: mpsc::Receiver<FromAgent>,
    /// For answers to queries. Weak: when the clinic thread lets go of its own, the link closes.
    answers: mpsc::WeakSender<FromAgent>,
    silence_max: Duration,
    /// The cursor as this connection was told, by which pongs never run ahead of `applied`.
    applied_next: Option<i64>,
}

impl Link {
    /// Connects, again and again, until the agent leaves.
    pub async fn run(mut self) {
        let mut pauses = Pauses::default();
        while !*self.stop.borrow() {
            let mut since = None;
            let mut stop = self.stop.clone();
            let ended = tokio::select! {
                ended = self.connect(&mut since) => ended,
                () = told(&mut stop) => break,
            };
            let Err(ended) = ended else { break };
            let pause = pauses.after(&ended, since);
            let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            info!(target: "close", cause = ended.cause, pause_ms, "the link is down");
            let word = format!("down: {}; next try in {pause_ms} ms", ended.cause);
            self.tell(Inbox::Down(word)).await;
            tokio::select! {
                () = sleep(pause) => {}
                () = told(&mut stop) => break,
            }
        }
    }

    /// One connection from its beginning to its end; ends well only when the agent leaves.
    async fn connect(&mut self, since: &mut Option<Instant>) -> Result<(), Ended> {
        info!(target: "connect", url = self.url, "connecting");
        let (socket, welcome, cursor) =
            shake(&self.url, &self.key, &self.setup.clock, &self.inbox).await?;
        *since = Some(Instant::now());
        info!(
            target: "connect",
            conn_epoch = welcome.conn_epoch,
            durable = ?welcome.durable.map(|durable| durable.seq.to_string()),
            resume = ?welcome.resume,
            "welcome"
        );
        let (out, frames) = mpsc::channel(OUTGOING_FRAMES_MAX);
        let answers = out.downgrade();
        let silence = Duration::from_millis(welcome.heartbeat_ms.min(HEARTBEAT_MS_MAX))
            .mul_f64(SILENCE_FACTOR)
            + Duration::from_millis(HEARTBEAT_GRACE_MS);
        let applied_next = match welcome.resume {
            Resume::Gap { to, .. } => Some(to),
            Resume::Exact => cursor.map(|cursor| cursor.next),
        };
        self.tell(Inbox::Welcomed { welcome: Box::new(welcome), out }).await;
        let session = Session {
            link: self,
            socket,
            out: frames,
            answers,
            silence_max: silence,
            applied_next,
        };
        Box::pin(session.live()).await
    }

    /// Gives a message to the clinic thread, which takes them between two pieces of work; meanwhile
    /// the socket is not read.
    async fn tell(&self, message: Inbox) {
        let mut message = message;
        loop {
            match self.inbox.try_send(message) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
                Err(TrySendError::Full(back)) => message = back,
            }
            sleep(INBOX_RETRY).await;
        }
    }
}

impl Session<'_> {
    async fn live(mut self) -> Result<(), Ended> {
        let mut dead_at = tokio::time::Instant::now() + self.silence_max;
        let mut stop = self.link.stop.clone();
        loop {
            tokio::select! {
                message = self.socket.next() => {
                    dead_at = tokio::time::Instant::now() + self.silence_max;
                    let Some(message) = message else {
                        return Err(Ended::lost("the edge hung up"));
                    };
                    self.take(wire::receive(message)?).await?;
                }
                frame = self.out.recv() => match frame {
                    Some(frame) => self.send(frame).await?,
                    None => return Err(Ended::lost("the clinic thread let go of the link")),
                },
                () = sleep_until(dead_at) => return Err(Ended::lost("the edge went silent")),
                () = told(&mut stop) => {
                    let _ = timeout(CLOSE_WITHIN, self.socket.close(None)).await;
                    return Ok(());
                }
            }
        }
    }

    /// Sends a frame and what waits behind it, in one go.
    async fn send(&mut self, frame: FromAgent) -> Result<(), Ended> {
        let mut next = Some(frame);
        while let Some(frame) = next {
            self.note(&frame);
            wire::feed(&mut self.socket, &frame).await?;
            next = self.out.try_recv().ok();
        }
        wire::flush(&mut self.socket).await
    }

    fn note(&mut self, frame: &FromAgent) {
        match frame {
            FromAgent::Applied(Applied { next }) => self.applied_next = Some(*next),
            FromAgent::Reply(reply) => {
                info!(target: "message", request = %reply.request_id, "a reply left");
            }
            FromAgent::Hello(_)
            | FromAgent::Fact(_)
            | FromAgent::Answer(_)
            | FromAgent::Pong(_) => {}
        }
    }

    async fn take(&mut self, received: Received) -> Result<(), Ended> {
        let frame = match received {
            Received::Frame(frame) => frame,
            // Answers to pings of the WebSocket itself wait for a flush.
            Received::Nothing => return wire::flush(&mut self.socket).await,
            Received::Ended(ended) => return Err(ended),
        };
        match *frame {
            FromEdge::Welcome(_) => Err(Ended::lost("the edge said welcome twice")),
            FromEdge::Error(error) => {
                wire::log_error(&error);
                Ok(())
            }
            FromEdge::Query(query) => {
                if let Some(out) = self.answers.upgrade() {
                    self.link.queries.ask(query, out);
                }
                Ok(())
            }
            FromEdge::Ping(ping) => {
                self.pong(ping).await?;
                self.link.tell(Inbox::Frame(Box::new(FromEdge::Ping(ping)))).await;
                Ok(())
            }
            other => {
                self.first_position(&other);
                self.link.tell(Inbox::Frame(Box::new(other))).await;
                Ok(())
            }
        }
    }

    /// A unit that connects for the first time stands where the log begins for it, which the first
    /// position tells.
    fn first_position(&mut self, frame: &FromEdge) {
        let position = match frame {
            FromEdge::Request(request) => Some(request.position),
            FromEdge::Cancel(cancel) => cancel.position,
            FromEdge::Resend(resend) => resend.position,
            FromEdge::NewEpoch(order) => order.position,
            FromEdge::Reemit(order) => order.position,
            FromEdge::Welcome(_)
            | FromEdge::Query(_)
            | FromEdge::Ack(_)
            | FromEdge::Ping(_)
            | FromEdge::Error(_) => None,
        };
        self.applied_next = self.applied_next.or(position);
    }

    async fn pong(&mut self, ping: Ping) -> Result<(), Ended> {
        let next = self.applied_next.unwrap_or(ping.head);
        let last_seq = self.link.last_seq.get();
        let mut pong = Pong { next, last_seq, ..Pong::default() };
        if let Some(waits) = self.link.last_seq.waiting() {
            let now = self.link.setup.clock.now();
            let waited = |since: Timestamp| now.unix_ms().saturating_sub(since.unix_ms());
            let oldest_ms = waits.oldest.map_or(0, waited);
            pong.spool_facts = Some(waits.facts);
            pong.oldest_unsent_ms = Some(u64::try_from(oldest_ms).unwrap_or_default());
            pong.paused_tables = Some(waits.paused_tables);
        }
        wire::send(&mut self.socket, &FromAgent::Pong(pong)).await
    }
}
