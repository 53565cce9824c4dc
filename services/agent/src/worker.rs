//! The worker: the one thread that owns both files, and everything that it does in turn.
//!
//! Cancels first, then one command in log order, then what the desk wrote, then a chunk of a scan,
//! then what can wait. A clinic database that another program holds makes each of these come back
//! later and stops none of the others; frames go on up from the spool meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use kit_event::UnitSeq;
use kit_link::{FactFrame, FromAgent, LogIdentity};
use tracing::error;

use crate::command::{Ahead, Command};
use crate::disk::Stamp;
use crate::epoch::CURSOR;
use crate::error::WorkerError;
use crate::inbox::{Inbox, LastSeq, Waits};
use crate::ledger;
use crate::maintenance::Maintenance;
use crate::scan::Purpose;
use crate::setup::Setup;
use crate::spool::{cursor_note, read_cursor_note};
use crate::stores::Stores;
use crate::tries::Tries;
use crate::uplink::{LinkFull, Uplink};
use crate::watch::Watched;

/// How often the clinic database's change counters are looked at where the system does not tell of
/// changes.
pub const POLL_EVERY: Duration = Duration::from_millis(25);
/// How long the thread sleeps where it does; then what is looked after now and then is due.
const SLEEP_MAX: Duration = Duration::from_secs(1);
/// A write to the files is told before its commit shows: the first and the last pause before the
/// next look at the counters. A flush in between takes some milliseconds.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(64));
/// The pause before another try at what another program held up, and the longest.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(25));
/// A snapshot pauses while this many facts wait for their ACK, so that a live fact never waits
/// behind a whole clinic.
const SEED_BACKLOG_FACTS: u64 = 300;
/// Drained rows beyond which a shorter quiet is enough to clear them, and how much shorter.
const DRAINED_MANY: i64 = 20_000;
const QUIET_SHARE: u32 = 20;

/// The clinic thread's state.
pub struct ClinicWorker {
    pub(crate) stores: Stores,
    pub(crate) inbox: Receiver<Inbox>,
    pub(crate) uplink: Option<Uplink>,
    pub(crate) log: Option<LogIdentity>,
    pub(crate) cursor: Option<(LogIdentity, i64)>,
    pub(crate) ahead: VecDeque<Ahead>,
    pub(crate) commands: VecDeque<Command>,
    pub(crate) acked: UnitSeq,
    pub(crate) facts_offset: Option<i64>,
    pub(crate) tries: Tries,
    pub(crate) maintenance: Maintenance,
    pub(crate) link_word: String,
    pub(crate) busy: bool,
    pub(crate) last_seq: LastSeq,
    /// Another program reads, so that what is to be written waits.
    held: bool,
    stamp: Option<Stamp>,
    data_version: Option<i64>,
    outbox_may_hold: bool,
    changed_at: Instant,
    watched: Watched,
    look_again: Option<Duration>,
    try_again: Duration,
}

/// Whether the worker goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It does.
    On,
    /// It was told to stop, or nobody can tell it anything any more.
    Stop,
}

impl ClinicWorker {
    /// Opens both files and stands ready.
    ///
    /// # Errors
    /// A file is missing, busy or damaged.
    pub fn open(
        setup: Arc<Setup>,
        inbox: Receiver<Inbox>,
        last_seq: LastSeq,
    ) -> Result<Self, (WorkerError, Receiver<Inbox>)> {
        match Self::read(setup) {
            Ok((stores, cursor, acked, facts_offset, tries)) => Ok(Self {
                maintenance: Maintenance::new(&stores),
                stores,
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
                last_seq,
                held: false,
                stamp: None,
                data_version: None,
                outbox_may_hold: true,
                changed_at: Instant::now(),
                watched: Watched::default(),
                look_again: None,
                try_again: TRY_AGAIN.0,
            }),
            Err(error) => Err((error, inbox)),
        }
    }

    #[expect(clippy::type_complexity, reason = "taken apart at once by its only caller")]
    fn read(
        setup: Arc<Setup>,
    ) -> Result<(Stores, Option<(LogIdentity, i64)>, UnitSeq, Option<i64>, Tries), WorkerError>
    {
        let stores = Stores::open(setup)?;
        let noted = stores.spool.note(CURSOR)?.and_then(|note| read_cursor_note(&note));
        let entered = stores.clinic.read(ledger::cursor)?;
        let entered = entered.map(|(log, next)| (LogIdentity(log), next));
        let cursor = match (noted, entered) {
            (Some((log, noted)), Some((same, entered))) if log == same => {
                Some((log, noted.max(entered)))
            }
            (Some(noted), _) => Some(noted),
            (None, entered) => entered,
        };
        let read = |name| stores.spool.note(name);
        let acked = read("acked")?.and_then(|note| note.parse().ok()).unwrap_or(UnitSeq::ZERO);
        let facts_offset = read("facts_offset")?.and_then(|note| note.parse().ok());
        let tries = Tries::begin(&stores.spool)?;
        Ok((stores, cursor, acked, facts_offset, tries))
    }

    /// The system tells of changes to the database's files.
    #[must_use]
    pub fn watched(mut self, watched: Watched) -> Self {
        self.watched = watched;
        self
    }

    /// How long the next turn may wait for a message.
    pub fn patience(&self) -> Duration {
        let watching = if self.watched.works() { SLEEP_MAX } else { POLL_EVERY };
        let looking = self.look_again.unwrap_or(watching);
        let trying = if self.busy || self.held { self.try_again } else { watching };
        watching.min(looking).min(trying)
    }

    /// One turn: takes messages, waiting up to `wait` for the first where nothing is to be done,
    /// then does one piece of each kind of work.
    ///
    /// # Errors
    /// A file failed in a way that only opening it again can heal.
    pub fn turn(&mut self, wait: Duration) -> Result<Turn, WorkerError> {
        if self.take_messages(if self.has_work() { Duration::ZERO } else { wait })? == Turn::Stop {
            self.leave()?;
            return Ok(Turn::Stop);
        }
        (self.busy, self.held) = (false, false);
        self.unless_busy(Self::obey_ahead)?;
        self.unless_busy(Self::obey_next)?;
        self.unless_busy(Self::capture)?;
        self.unless_busy(Self::scan)?;
        self.unless_busy(Self::clear)?;
        self.unless_busy(Self::go_round)?;
        if self.busy {
            self.tell_busy()?;
        }
        let hindered = self.busy || self.held;
        self.try_again = if hindered { (self.try_again * 2).min(TRY_AGAIN.1) } else { TRY_AGAIN.0 };
        self.pump(&[])?;
        self.last_seq.set(self.stores.spool.last_seq());
        Ok(Turn::On)
    }

    /// Another program holds the clinic database: what was to be done comes back at the next turn.
    pub(crate) fn unless_busy(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), WorkerError>,
    ) -> Result<(), WorkerError> {
        if self.busy {
            return Ok(());
        }
        match work(self) {
            Err(error) if error.is_held() => {
                self.held = true;
                Ok(())
            }
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
        let commanded = !self.ahead.is_empty() || !self.commands.is_empty();
        (commanded && !self.held)
            || self.outbox_may_hold
            || self.may_scan()
            || self.uplink.as_ref().is_some_and(Uplink::is_resending)
    }

    /// Gives facts to the link; one that takes no more is dropped, and connects again.
    pub(crate) fn pump(&mut self, fresh: &[FactFrame]) -> Result<(), WorkerError> {
        let Some(uplink) = &mut self.uplink else { return Ok(()) };
        if uplink.pump(&self.stores.spool, fresh)?.is_err() {
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

    /// Publishes what others wrote.
    fn capture(&mut self) -> Result<(), WorkerError> {
        self.look_at_counters()?;
        if !self.outbox_may_hold {
            return Ok(());
        }
        let drained = self.stores.drain()?;
        self.pump(&drained.facts)?;
        self.outbox_may_hold = drained.more;
        Ok(())
    }

    fn look_at_counters(&mut self) -> Result<(), WorkerError> {
        let stamp = self.stores.clinic.stamp();
        if self.stamp.as_ref() == Some(&stamp) {
            let next = self.look_again.map(|pause| pause * 2);
            self.look_again = next.filter(|pause| *pause <= LOOK_AGAIN.1);
            return Ok(());
        }
        // Our own commits count too; this number leaves them out.
        let version = self.stores.clinic.data_version()?;
        self.stamp = Some(stamp);
        self.changed_at = Instant::now();
        self.look_again = None;
        if version.is_none() || self.data_version != version {
            self.data_version = version;
            self.outbox_may_hold = true;
            self.maintenance.clinic_changed();
        }
        Ok(())
    }

    pub(crate) fn files_were_touched(&mut self) {
        self.watched.received();
        self.look_again = Some(LOOK_AGAIN.0);
    }

    /// The outbox got rows from our own connection, which the version of its data does not tell.
    pub(crate) fn outbox_may_hold(&mut self) {
        self.outbox_may_hold = true;
    }

    fn may_scan(&self) -> bool {
        let Some(scan) = &self.stores.scan else { return false };
        match scan.purpose {
            Purpose::Compare => true,
            Purpose::Seed => {
                let last = self.stores.spool.last_seq();
                let acked = if self.acked.epoch == last.epoch { self.acked.seq } else { 0 };
                self.uplink.is_some() && last.seq - acked < SEED_BACKLOG_FACTS
            }
        }
    }

    fn scan(&mut self) -> Result<(), WorkerError> {
        if !self.may_scan() || !self.commands.is_empty() {
            return Ok(());
        }
        let facts = self.stores.scan_on()?;
        self.pump(&facts)
    }

    /// Clears the outbox and moves write-ahead logs in a quiet moment.
    fn clear(&mut self) -> Result<(), WorkerError> {
        let drained = self.stores.drained.len();
        let quiet = self.stores.setup.quiet;
        let wanted = if drained > DRAINED_MANY { quiet / QUIET_SHARE } else { quiet };
        if self.commands.is_empty() && self.changed_at.elapsed() >= wanted {
            if drained > 0 {
                self.stores.clear()?;
                // Our own commit is no end of the quiet.
                self.stamp = Some(self.stores.clinic.stamp());
            }
            self.stores.checkpoint()?;
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

    pub(crate) fn store_cursor(&self) -> Result<(), WorkerError> {
        let Some((log, next)) = &self.cursor else { return Ok(()) };
        self.stores.spool.lazily(|tx| tx.set_note(CURSOR, &cursor_note(log, *next)))
    }

    /// Leaves in good order; what cannot be done now is done at the next start.
    fn leave(&mut self) -> Result<(), WorkerError> {
        self.drop_link();
        "stopped".clone_into(&mut self.link_word);
        self.unless_busy(Self::capture)?;
        self.store_cursor()?;
        self.write_notes()?;
        self.tries.end(&self.stores.spool)
    }

    /// Gives the inbox back, for the worker that is opened next.
    pub fn into_inbox(self) -> Receiver<Inbox> {
        self.inbox
    }

    /// What waits in the spool, as pongs tell it.
    pub fn waits(&self) -> Option<Waits> {
        self.last_seq.waiting()
    }

    /// The two files.
    pub fn stores(&self) -> &Stores {
        &self.stores
    }
}
