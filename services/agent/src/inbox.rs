//! What reaches the clinic thread, and what it says of itself.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use kit_event::{Timestamp, UnitSeq};
use kit_link::{Cursor, Durable, FromAgent, FromEdge, Welcome};
use tokio::sync::{mpsc, oneshot};

/// Messages that may wait for the clinic thread; beyond that the socket is not read. Twice the
/// greatest credits, and room for acks and pings.
pub const INBOX_MAX: usize = 256;

/// One message for the clinic thread.
pub enum Inbox {
    /// The link is about to say HELLO.
    Hello(oneshot::Sender<Standing>),
    /// The edge said WELCOME; frames up go into `out`.
    Welcomed {
        /// What the edge said.
        welcome: Box<Welcome>,
        /// The way up.
        out: mpsc::Sender<FromAgent>,
    },
    /// Any other frame of the edge, in order.
    Frame(Box<FromEdge>),
    /// The link is down, or not yet up, and why.
    Down(String),
    /// The clinic database's files were written to.
    Touched,
    /// Leave in good order.
    Stop,
}

/// Where the unit stands, for HELLO.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The epoch in which it numbers.
    pub epoch: u32,
    /// The last fact in the spool.
    pub last: Option<Durable>,
    /// The greatest offset that an ACK told.
    pub facts_offset: Option<i64>,
    /// Its place in the log of requests.
    pub cursor: Option<Cursor>,
}

/// The last number in the spool and what waits there, for pongs: the link answers them whatever the
/// clinic thread does.
#[derive(Clone, Default)]
pub struct LastSeq(Arc<Mutex<Told>>);

/// What the clinic thread last told.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    seq: UnitSeq,
    waits: Option<Waits>,
}

/// What waits in the spool, as it stood at most a second or so ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// Facts that no ACK covers.
    pub facts: u64,
    /// When the oldest of them happened.
    pub oldest: Option<Timestamp>,
    /// Mapped tables whose capture is paused.
    pub paused_tables: u32,
}

impl LastSeq {
    /// The last number.
    #[must_use]
    pub fn get(&self) -> UnitSeq {
        self.told().seq
    }

    /// What waits; none before the clinic thread looked.
    #[must_use]
    pub fn waiting(&self) -> Option<Waits> {
        self.told().waits
    }

    /// Another number was given.
    pub fn set(&self, seq: UnitSeq) {
        self.told().seq = seq;
    }

    /// So much waits now.
    pub fn waits(&self, facts: u64, oldest: Option<Timestamp>, paused_tables: usize) {
        let paused_tables = u32::try_from(paused_tables).unwrap_or(u32::MAX);
        self.told().waits = Some(Waits { facts, oldest, paused_tables });
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A bounded way into the clinic thread.
#[must_use]
pub fn inbox() -> (SyncSender<Inbox>, Receiver<Inbox>) {
    sync_channel(INBOX_MAX)
}
