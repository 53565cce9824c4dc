//! The station: the one thread that owns both files, and everything that it does in turn.
//!
//! Cancels first, then one command in log order, then what the desk wrote, then a chunk of a walk,
//! then what can wait. A clinic database that another program holds makes each of these come back
//! later and stops none of the others; frames go on up from the spool meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use kit_event::UnitSeq;
use kit_link::{FactFrame, FromAgent, LogIdentity};
use tracing::error;

use crate::books::Books;
use crate::command::{Ahead, Command};
use crate::epoch::CURSOR;
use crate::error::StationError;
use crate::inbox::{Inbox, LastSeq, Waits};
use crate::ledger;
use crate::rounds::Rounds;
use crate::setup::Setup;
use crate::spool::{cursor_note, read_cursor_note};
use crate::tries::Tries;
use crate::uplink::{LinkFull, Uplink};
use crate::walk::Purpose;

/// How often the clinic database is looked at for changes of others.
pub const POLL_EVERY: Duration = Duration::from_millis(25);
/// A snapshot pauses while this many facts wait for their ACK, so that a live fact never waits
/// behind a whole clinic.
const SEED_BACKLOG_FACTS: u64 = 300;
/// After a command the outbox is cleared only when nothing came for this long: the next command's
/// own commit clears it for nothing.
const SETTLE_AFTER: Duration = Duration::from_millis(100);
/// Rows that are cleared even while commands come.
const SETTLE_ROWS: usize = 1_000;

/// The clinic thread's state.
pub struct Station {
    pub(crate) books: Books,
    pub(crate) inbox: Receiver<Inbox>,
    pub(crate) uplink: Option<Uplink>,
    pub(crate) log: Option<LogIdentity>,
    pub(crate) cursor: Option<(LogIdentity, i64)>,
    pub(crate) ahead: VecDeque<Ahead>,
    pub(crate) commands: VecDeque<Command>,
    pub(crate) acked: UnitSeq,
    pub(crate) facts_offset: Option<i64>,
    pub(crate) tries: Tries,
    pub(crate) rounds: Rounds,
    pub(crate) link_word: String,
    pub(crate) busy: bool,
    data_version: Option<i64>,
    outbox_may_hold: bool,
    commanded_at: Option<Instant>,
    pub(crate) last_seq: LastSeq,
}

/// Whether the station goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It does.
    On,
    /// It was told to stop, or nobody can tell it anything any more.
    Stop,
}

impl Station {
    /// Opens both files and stands ready.
    ///
    /// # Errors
    /// A file is missing, busy or damaged.
    pub fn open(
        setup: Arc<Setup>,
        inbox: Receiver<Inbox>,
        last_seq: LastSeq,
    ) -> Result<Self, (StationError, Receiver<Inbox>)> {
        match Self::read(setup) {
            Ok((books, cursor, acked, facts_offset, tries)) => Ok(Self {
                rounds: Rounds::new(&books),
                books,
                inbox,
                uplink: None,
                log: None,
                cursor,
                ahead: VecDeque::new(),
                commands: VecDeque::new(),
                acked,
                facts_offset,
                tries,
                link_word: "not connected yet".to_owned(),
                busy: false,
                data_version: None,
                outbox_may_hold: true,
                commanded_at: None,
                last_seq,
            }),
            Err(error) => Err((error, inbox)),
        }
    }

    #[expect(clippy::type_complexity, reason = "taken apart at once by its only caller")]
    fn read(
        setup: Arc<Setup>,
    ) -> Result<(Books, Option<(LogIdentity, i64)>, UnitSeq, Option<i64>, Tries), StationError>
    {
        let books = Books::open(setup)?;
        let noted = books.spool.note(CURSOR)?.and_then(|note| read_cursor_note(&note));
        let entered = ledger::cursor(&books.clinic.conn)?;
        let entered = entered.map(|(log, next)| (LogIdentity(log), next));
        let cursor = match (noted, entered) {
            (Some((log, noted)), Some((same, entered))) if log == same => {
                Some((log, noted.max(entered)))
            }
            (Some(noted), _) => Some(noted),
            (None, entered) => entered,
        };
        let read = |name| books.spool.note(name);
        let acked = read("acked")?.and_then(|note| note.parse().ok()).unwrap_or(UnitSeq::ZERO);
        let facts_offset = read("facts_offset")?.and_then(|note| note.parse().ok());
        let tries = Tries::begin(&books.spool)?;
        Ok((books, cursor, acked, facts_offset, tries))
    }

    /// One turn: takes messages, waiting up to `wait` for the first where nothing is to be done,
    /// then does one piece of each kind of work.
    ///
    /// # Errors
    /// A file failed in a way that only opening it again can heal.
    pub fn turn(&mut self, wait: Duration) -> Result<Turn, StationError> {
        if self.take_messages(if self.has_work() { Duration::ZERO } else { wait })? == Turn::Stop {
            self.leave()?;
            return Ok(Turn::Stop);
        }
        self.busy = false;
        self.unless_busy(Self::obey_ahead)?;
        self.unless_busy(Self::obey_next)?;
        self.unless_busy(Self::capture)?;
        self.unless_busy(Self::walk)?;
        self.unless_busy(Self::settle)?;
        self.unless_busy(Self::go_round)?;
        if self.busy {
            self.tell_busy()?;
        }
        self.pump(&[])?;
        self.last_seq.set(self.books.spool.last_seq());
        Ok(Turn::On)
    }

    /// Another program holds the clinic database: what was to be done comes back at the next turn.
    pub(crate) fn unless_busy(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), StationError>,
    ) -> Result<(), StationError> {
        if self.busy {
            return Ok(());
        }
        match work(self) {
            Err(error) if error.is_busy() => {
                self.busy = true;
                Ok(())
            }
            other => other,
        }
    }

    fn has_work(&self) -> bool {
        if self.busy {
            return false;
        }
        !self.ahead.is_empty()
            || !self.commands.is_empty()
            || self.outbox_may_hold
            || self.may_walk()
            || self.uplink.as_ref().is_some_and(Uplink::is_resending)
    }

    /// Gives facts to the link; one that takes no more is dropped, and connects again.
    pub(crate) fn pump(&mut self, fresh: &[FactFrame]) -> Result<(), StationError> {
        let Some(uplink) = &mut self.uplink else { return Ok(()) };
        if uplink.pump(&self.books.spool, self.books.released, fresh)?.is_err() {
            self.stuck();
        }
        Ok(())
    }

    pub(crate) fn send(&mut self, frame: FromAgent) {
        let Some(uplink) = &self.uplink else { return };
        if let Err(LinkFull) = uplink.send(frame) {
            self.stuck();
        }
    }

    fn stuck(&mut self) {
        error!(target: "error", "the link takes no more frames");
        self.drop_link();
    }

    /// Publishes what others wrote, and lets it go once it is durable in the clinic.
    fn capture(&mut self) -> Result<(), StationError> {
        let version = self.books.clinic.data_version()?;
        if self.data_version != Some(version) {
            self.data_version = Some(version);
            self.outbox_may_hold = true;
            self.rounds.clinic_changed();
        }
        if !self.outbox_may_hold {
            return Ok(());
        }
        let drained = self.books.drain(i64::MAX)?;
        if !drained.facts.is_empty() {
            self.books.settle()?;
            self.pump(&drained.facts)?;
        }
        self.outbox_may_hold = drained.more;
        Ok(())
    }

    /// The outbox got rows from our own connection, which the version of its data does not tell.
    pub(crate) fn outbox_may_hold(&mut self) {
        self.outbox_may_hold = true;
    }

    pub(crate) fn commanded(&mut self) {
        self.commanded_at = Some(Instant::now());
    }

    fn may_walk(&self) -> bool {
        let Some(walk) = &self.books.walk else { return false };
        match walk.purpose {
            Purpose::Compare => true,
            Purpose::Seed => {
                let last = self.books.spool.last_seq();
                let acked = if self.acked.epoch == last.epoch { self.acked.seq } else { 0 };
                self.uplink.is_some() && last.seq - acked < SEED_BACKLOG_FACTS
            }
        }
    }

    fn walk(&mut self) -> Result<(), StationError> {
        if !self.may_walk() || !self.commands.is_empty() {
            return Ok(());
        }
        let facts = self.books.walk_on()?;
        if !facts.is_empty() {
            self.books.settle()?;
            self.pump(&facts)?;
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), StationError> {
        let calm = self.commanded_at.is_none_or(|at| at.elapsed() >= SETTLE_AFTER);
        if self.books.wants_settling() && (calm || self.books.drained.len() >= SETTLE_ROWS) {
            self.books.settle()?;
        }
        if calm {
            self.books.tidy()?;
            self.books.checkpoint()?;
        }
        Ok(())
    }

    /// The unit is done with every position below `next`.
    pub(crate) fn move_cursor(&mut self, next: i64) -> bool {
        let Some(log) = self.log.clone() else { return false };
        match &mut self.cursor {
            Some((known, at)) if *known == log => {
                let moves = next > *at;
                *at = next.max(*at);
                moves
            }
            cursor => {
                *cursor = Some((log, next));
                true
            }
        }
    }

    pub(crate) fn store_cursor(&self) -> Result<(), StationError> {
        let Some((log, next)) = &self.cursor else { return Ok(()) };
        self.books.spool.lazily(|tx| tx.set_note(CURSOR, &cursor_note(log, *next)))
    }

    /// Leaves in good order; what cannot be done now is done at the next start.
    fn leave(&mut self) -> Result<(), StationError> {
        self.drop_link();
        "stopped".clone_into(&mut self.link_word);
        self.unless_busy(|station| station.books.settle())?;
        self.unless_busy(Self::capture)?;
        self.books.tidy()?;
        self.store_cursor()?;
        self.write_notes()?;
        self.tries.end(&self.books.spool)
    }

    /// Gives the inbox back, for the station that is opened next.
    pub fn into_inbox(self) -> Receiver<Inbox> {
        self.inbox
    }

    /// What waits in the spool, as pongs tell it.
    pub fn waits(&self) -> Option<Waits> {
        self.last_seq.waiting()
    }

    /// The two files.
    pub fn books(&self) -> &Books {
        &self.books
    }
}
