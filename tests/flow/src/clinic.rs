//! A clinic in a folder: its desk, and its agent's clinic thread, turned by hand.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use agent::error::WorkerError;
use agent::failpoints::Failpoints;
use agent::inbox::{Inbox, LastSeq, Standing, inbox};
use agent::init::{Init, init};
use agent::setup::{NetworkClock, Setup, files};
use agent::spool::Spool;
use agent::worker::{ClinicWorker, Turn};
use kit_clock::Clock;
use kit_event::{Timestamp, UnitId, UnitSeq};
use kit_link::FactFrame;
use practice::{Desk, Population, Table, seed_clinic};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A Friday morning; clocks in Europe change on the Sunday.
pub const MORNING: &str = "2026-03-27T09:07:00Z";
/// Where the clinics stand.
const ZONES: [&str; 3] = ["UTC", "Europe/Lisbon", "Europe/Berlin"];
/// Small enough to be read whole after each step, large enough that people meet.
const PATIENTS: u32 = 18;
const PRACTITIONERS: usize = 2;

/// The folder of a clinic.
pub struct Clinic {
    home: TempDir,
    /// The unit.
    pub unit: UnitId,
    time_zone: &'static str,
    looks: Connection,
}

impl Clinic {
    /// A clinic as `init` and a seed make it.
    #[must_use]
    pub fn open(seed: u64) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let unit: UnitId = "hcu-0001".parse().expect("a unit's name");
        let time_zone = ZONES[usize::try_from(seed).expect("64 bits") % ZONES.len()];
        let dir = home.path().join("units").join(unit.as_str());
        init(&Init {
            dir: dir.clone(),
            unit: unit.clone(),
            edge: "ws://127.0.0.1:1".to_owned(),
            time_zone: Some(time_zone.to_owned()),
            keys: Some(home.path().join("keys")),
        })
        .expect("a clinic's folder");
        let population = Population {
            patients: PATIENTS,
            practitioners: Some(PRACTITIONERS),
            time_zone: time_zone.parse().expect("a zone"),
            past_days: 1,
            coming_days: 2,
        };
        let now = MORNING.parse().expect("a time");
        seed_clinic(&dir, &unit, &population, now).expect("a population");
        let looks = Connection::open(dir.join(files::CLINIC)).expect("the clinic database");
        Self { home, unit, time_zone, looks }
    }

    fn dir(&self) -> std::path::PathBuf {
        self.home.path().join("units").join(self.unit.as_str())
    }

    /// The practice's own software.
    pub fn desk(&self) -> Desk {
        let desk = Desk::open(&self.dir().join(files::CLINIC)).expect("the desk");
        desk.in_zone(self.time_zone.parse().expect("a zone"))
    }

    /// Every row of the practice's tables as one text.
    pub fn rows(&self) -> String {
        let mut text = String::new();
        for table in Table::ALL {
            let columns: Vec<_> = table.columns().iter().map(|c| format!("quote({c})")).collect();
            let row = columns.join(" || ',' || ");
            let sql =
                format!("SELECT coalesce(group_concat({row}, ';'), '') FROM {}", table.name());
            let rows: String = self.looks.query_row(&sql, [], |row| row.get(0)).expect("rows");
            text.push_str(&rows);
            text.push('\n');
        }
        text
    }

    /// What the ledger says of each request: its id and state.
    pub fn ledger(&self) -> Vec<(String, String)> {
        let sql = "SELECT request_id, state FROM arteria_applied ORDER BY rowid";
        let mut statement = self.looks.prepare_cached(sql).expect("the ledger");
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.and_then(Iterator::collect).expect("the ledger's rows")
    }

    /// Every fact in the spool, in order.
    pub fn spooled(&self) -> Vec<FactFrame> {
        let spool = Spool::open(&self.dir().join(files::SPOOL)).expect("the spool");
        let end = UnitSeq::new(u32::MAX, u64::MAX >> 1);
        spool.facts(UnitSeq::ZERO, end, usize::MAX >> 1).expect("facts")
    }

    /// Loses the spool, as a broken disk does.
    pub fn lose_spool(&self) {
        for end in ["", "-wal", "-shm"] {
            let path = self.dir().join(format!("{}{end}", files::SPOOL));
            if path.exists() {
                std::fs::remove_file(path).expect("removing the spool");
            }
        }
    }

    /// Starts the agent's clinic thread.
    ///
    /// # Errors
    /// The power went at an armed step.
    pub fn start(
        &self,
        now: Timestamp,
        failpoints: Failpoints,
    ) -> Result<Started, Box<WorkerError>> {
        let (inbox, messages) = inbox();
        let setup = Setup::new(&self.dir(), self.unit.clone(), self.time_zone);
        let mut setup = setup.expect("the set-up");
        setup.clock = NetworkClock::new(Clock::fixed(now));
        setup.failpoints = failpoints;
        // A day is short: so that the outbox is cleared in it, and power goes there too.
        setup.quiet = Duration::from_millis(100);
        ClinicWorker::open(Arc::new(setup), messages, LastSeq::default())
            .map(|worker| Started { worker, inbox })
            .map_err(|(error, _)| Box::new(error))
    }
}

/// An agent between two turns of its clinic thread.
pub struct Started {
    worker: ClinicWorker,
    inbox: SyncSender<Inbox>,
}

impl Started {
    /// One turn.
    ///
    /// # Errors
    /// The power went at an armed step.
    pub fn turn(&mut self) -> Result<(), WorkerError> {
        self.worker.turn(Duration::ZERO).map(drop)
    }

    /// Lays a message into the inbox.
    pub fn tell(&self, message: Inbox) {
        self.inbox.send(message).expect("the clinic thread lives");
    }

    /// What it would say in HELLO.
    ///
    /// # Errors
    /// The power went at an armed step.
    pub fn standing(&mut self) -> Result<Standing, WorkerError> {
        let (ask, mut answer) = oneshot::channel();
        self.tell(Inbox::Hello(ask));
        self.turn()?;
        Ok(answer.try_recv().expect("an answer within the turn"))
    }

    /// What changes while there is something to do.
    pub fn progress(&self) -> (UnitSeq, Option<agent::scan::TableScan>) {
        let stores = self.worker.stores();
        (stores.spool.last_seq(), stores.scan.clone())
    }

    /// Leaves as on SIGTERM.
    ///
    /// # Errors
    /// The power went at an armed step.
    pub fn stop(mut self) -> Result<(), WorkerError> {
        self.tell(Inbox::Stop);
        while self.worker.turn(Duration::ZERO)? == Turn::On {}
        Ok(())
    }
}
