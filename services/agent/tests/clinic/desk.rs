//! A clinic in a folder: its desk (plain SQL on a connection of its own) and its agent's worker.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use agent::error::WorkerError;
use agent::failpoints::Failpoints;
use agent::inbox::{Inbox, LastSeq, inbox};
use agent::init::{Init, init};
use agent::setup::{NetworkClock, Setup, files};
use agent::spool::Spool;
use agent::worker::ClinicWorker;
use kit_clock::Clock;
use kit_event::{UnitId, UnitSeq};
use kit_link::{Ack, Durable, FactFrame, FromAgent, FromEdge, LogIdentity, Reply, Resume, Welcome};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::edge::LOG;

/// A Monday morning before the practice opens.
pub const NOW: &str = "2026-03-02T07:00:00Z";
pub const PATIENT: &str = "0b7f4c52-3f43-4b7e-9d7c-0d5f8f6a1b2c";
pub const OTHER_PATIENT: &str = "1c8e5d63-4054-4c8f-8e8d-1e6090172c3d";
pub const PRACTITIONER: &str = "2d9f6e74-5165-4d90-9f9e-2f71a1283d4e";

pub const SECOND_SCHEMA: &str = include_str!("../../../practice/schema/second.sql");
pub const SECOND_MAPPING: &str = include_str!("../../../practice/schema/second.mapping.toml");

pub struct Folder {
    home: TempDir,
    pub unit: UnitId,
    pub clock: Clock,
}

impl Folder {
    /// A folder as `init` makes it, with nobody in it.
    pub fn empty() -> Self {
        let home = tempfile::tempdir().unwrap();
        let unit: UnitId = "hcu-0001".parse().unwrap();
        let folder = Self { home, unit, clock: Clock::fixed(NOW.parse().unwrap()) };
        folder.init("ws://127.0.0.1:1");
        folder
    }

    /// A folder with two patients and a practitioner who works on Mondays.
    pub fn staffed() -> Self {
        let folder = Self::empty();
        folder
            .desk()
            .execute_batch(&format!(
                "INSERT INTO patients (patient_id, family_name, birth_date) VALUES
                ('{PATIENT}', 'Silva', '1980-12-31'), ('{OTHER_PATIENT}', 'Costa', '1975-01-02');
             INSERT INTO practitioners (practitioner_id, family_name)
                VALUES ('{PRACTITIONER}', 'Reis');
             INSERT INTO working_hours VALUES ('{PRACTITIONER}', 1, '08:00', '18:00', 30);"
            ))
            .unwrap();
        folder
    }

    /// A practice with tables of its own, mapped by a file: a patient, a doctor who works on
    /// Mondays, and their hours.
    pub fn foreign() -> Self {
        let folder = Self::empty();
        folder.delete(files::CLINIC);
        folder.desk().execute_batch(SECOND_SCHEMA).unwrap();
        folder.map(SECOND_MAPPING);
        folder
            .desk()
            .execute_batch(
                "INSERT INTO patient (nachname, vorname, geb_datum, geschlecht, akte)
                     VALUES ('Müller', 'Änne', '3.5.1980', 'W', 'A-1');
                 INSERT INTO arzt (nachname) VALUES ('Weiß');
                 INSERT INTO sprechzeit VALUES (1, 'Mo', '08:00', '18:00', 30);",
            )
            .unwrap();
        folder
    }

    /// Puts a mapping file into the folder, whole, as an editor does.
    pub fn map(&self, text: &str) {
        let draft = self.path("mapping.draft");
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(draft, self.path(files::MAPPING)).unwrap();
    }

    pub fn init(&self, edge: &str) {
        init(&Init {
            dir: self.dir(),
            unit: self.unit.clone(),
            edge: edge.to_owned(),
            time_zone: None,
            keys: Some(self.home.path().join("keys")),
        })
        .unwrap();
    }

    pub fn dir(&self) -> std::path::PathBuf {
        self.home.path().join("units").join(self.unit.as_str())
    }

    pub fn path(&self, file: &str) -> std::path::PathBuf {
        self.dir().join(file)
    }

    /// The practice's own software.
    pub fn desk(&self) -> Connection {
        let desk = Connection::open(self.path(files::CLINIC)).unwrap();
        desk.busy_timeout(Duration::from_secs(5)).unwrap();
        desk.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        desk
    }

    pub fn setup(&self, failpoints: Failpoints) -> Arc<Setup> {
        let mut setup = Setup::new(&self.dir(), self.unit.clone(), "UTC").unwrap();
        setup.clock = NetworkClock::new(self.clock.clone());
        setup.failpoints = failpoints;
        // Any moment is quiet enough, so that the outbox's clearing is tried too.
        setup.quiet = Duration::ZERO;
        Arc::new(setup)
    }

    /// The agent's clinic thread, driven by hand.
    pub fn worker(&self) -> Driven {
        self.worker_with(Failpoints::none()).unwrap()
    }

    /// One that waits for a quiet that does not come, so that the outbox keeps its rows.
    pub fn worker_quietly(&self) -> Driven {
        let mut setup = Setup::new(&self.dir(), self.unit.clone(), "UTC").unwrap();
        setup.clock = NetworkClock::new(self.clock.clone());
        let (sender, receiver) = inbox();
        let worker = ClinicWorker::open(Arc::new(setup), receiver, LastSeq::default());
        Driven { worker: worker.map_err(|(error, _)| error).unwrap(), inbox: sender }
    }

    pub fn worker_with(&self, failpoints: Failpoints) -> Result<Driven, WorkerError> {
        let (sender, receiver): (SyncSender<Inbox>, Receiver<Inbox>) = inbox();
        ClinicWorker::open(self.setup(failpoints), receiver, LastSeq::default())
            .map(|worker| Driven { worker, inbox: sender })
            .map_err(|(error, _)| error)
    }

    /// Every fact in the spool, in order.
    pub fn facts(&self) -> Vec<FactFrame> {
        let spool = Spool::open(&self.path(files::SPOOL)).unwrap();
        let end = UnitSeq::new(u32::MAX, u64::MAX >> 1);
        spool.facts(UnitSeq::ZERO, end, 1_000_000).unwrap()
    }

    /// Types of facts that are not about the unit itself, without their domains.
    pub fn said(&self) -> Vec<String> {
        self.facts()
            .into_iter()
            .filter(|fact| !fact.type_name.starts_with("units."))
            .map(|fact| fact.type_name.split_once('.').unwrap().1.to_owned())
            .collect()
    }

    /// No number is missing or given twice within an epoch.
    pub fn assert_numbered_without_gaps(&self) {
        let mut last = UnitSeq::ZERO;
        for fact in self.facts() {
            let follows = fact.seq == last.next() || fact.seq == UnitSeq::new(last.epoch + 1, 1);
            assert!(follows, "{} follows {last}", fact.seq);
            last = fact.seq;
        }
    }

    /// Scans the seeding scan to its end, as a connected agent would.
    pub fn seeded(&self) {
        let mut stores = agent::stores::Stores::open(self.setup(Failpoints::none())).unwrap();
        while stores.scan.is_some() {
            stores.scan_on().unwrap();
        }
        while !stores.outbox_is_clear() {
            stores.clear().unwrap();
        }
    }

    pub fn count(&self, sql: &str) -> i64 {
        self.desk().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

/// What a connected worker sends, and the log that it ends on.
pub struct Line {
    frames: tokio::sync::mpsc::Receiver<FromAgent>,
    pub log: Vec<FactFrame>,
    pub replies: Vec<Reply>,
    pub applied: Option<i64>,
}

impl Line {
    /// Takes what the worker sent, and acknowledges its facts.
    fn take(&mut self, inbox: &SyncSender<Inbox>) -> bool {
        let mut took = false;
        while let Ok(frame) = self.frames.try_recv() {
            took = true;
            match frame {
                FromAgent::Fact(fact) => {
                    let durable = fact.seq;
                    self.log.push(fact);
                    let facts_offset = self.log.len() as i64;
                    let ack = FromEdge::Ack(Ack { durable, facts_offset });
                    inbox.send(Inbox::Frame(Box::new(ack))).unwrap();
                }
                FromAgent::Reply(reply) => self.replies.push(reply),
                FromAgent::Applied(applied) => self.applied = Some(applied.next),
                FromAgent::Hello(_) | FromAgent::Answer(_) | FromAgent::Pong(_) => {}
            }
        }
        took
    }

    /// Takes what stands in the queue just now.
    pub fn take_now(&mut self, inbox: &SyncSender<Inbox>) {
        self.take(inbox);
    }

    /// Takes what was sent before the worker died.
    pub fn drain(&mut self) -> usize {
        let mut count = 0;
        while let Ok(frame) = self.frames.try_recv() {
            if let FromAgent::Fact(fact) = frame {
                self.log.push(fact);
                count += 1;
            }
        }
        count
    }

    pub fn durable(&self) -> Option<Durable> {
        self.log.last().map(|fact| Durable { seq: fact.seq, id: fact.id })
    }

    pub fn types(&self) -> Vec<&str> {
        self.log.iter().map(|fact| fact.type_name.as_str()).collect()
    }
}

/// A worker between its turns.
pub struct Driven {
    pub worker: ClinicWorker,
    pub inbox: SyncSender<Inbox>,
}

impl Driven {
    /// Turns until nothing more happens.
    pub fn rest(&mut self) {
        self.try_rest().unwrap();
    }

    pub fn try_rest(&mut self) -> Result<(), WorkerError> {
        let mut still = 0;
        let mut seen = None;
        while still < 5 {
            self.worker.turn(Duration::from_millis(1))?;
            let stores = self.worker.stores();
            let now = (stores.spool.last_seq(), stores.scan.clone());
            still = if seen.as_ref() == Some(&now) { still + 1 } else { 0 };
            seen = Some(now);
        }
        Ok(())
    }

    /// Connects to a log whose last fact is `durable`.
    pub fn connect(&mut self, durable: Option<Durable>, resume: Resume) -> Line {
        self.connect_at(durable, resume, 0)
    }

    /// The same, where the log of requests has its end at `head`.
    pub fn connect_at(&mut self, durable: Option<Durable>, resume: Resume, head: i64) -> Line {
        let (out, frames) = tokio::sync::mpsc::channel(agent::uplink::OUTGOING_FRAMES_MAX);
        let welcome = Welcome {
            version: "unit.v1".to_owned(),
            unit: "hcu-0001".parse().unwrap(),
            conn_epoch: 1,
            credits: kit_link::limits::CREDITS,
            frame_bytes_max: kit_link::limits::FRAME_BYTES_MAX,
            heartbeat_ms: kit_link::limits::HEARTBEAT_MS,
            server_time: self.worker.stores().setup.clock.now(),
            log: LogIdentity(LOG.to_owned()),
            head,
            durable,
            resume,
        };
        self.inbox.send(Inbox::Welcomed { welcome: Box::new(welcome), out }).unwrap();
        Line { frames, log: Vec::new(), replies: Vec::new(), applied: None }
    }

    /// Sends frames down, and turns until everything is told and acknowledged.
    pub fn receive(&mut self, line: &mut Line, frames: Vec<FromEdge>) {
        self.try_receive(line, frames).unwrap();
    }

    pub fn try_receive(
        &mut self,
        line: &mut Line,
        frames: Vec<FromEdge>,
    ) -> Result<(), WorkerError> {
        for frame in frames {
            self.inbox.send(Inbox::Frame(Box::new(frame))).unwrap();
        }
        loop {
            self.try_rest()?;
            if !line.take(&self.inbox) {
                return Ok(());
            }
        }
    }

    /// Leaves as on SIGTERM.
    pub fn stop(mut self) {
        self.inbox.send(Inbox::Stop).unwrap();
        while self.worker.turn(Duration::ZERO).unwrap() == agent::worker::Turn::On {}
    }
}

impl Folder {
    /// Copies the clinic database as a backup would, with all that was committed.
    pub fn back_up(&self, file: &str) -> Backup {
        let from = Connection::open(self.path(file)).unwrap();
        from.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        Backup { file: file.to_owned(), bytes: std::fs::read(self.path(file)).unwrap() }
    }

    /// Puts a backup back in place of the file, as an administrator would.
    pub fn restore(&self, backup: &Backup) {
        self.delete(&backup.file);
        std::fs::write(self.path(&backup.file), &backup.bytes).unwrap();
    }

    pub fn delete(&self, file: &str) {
        for end in ["", "-wal", "-shm"] {
            let path = self.path(&format!("{file}{end}"));
            if Path::new(&path).exists() {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
}

pub struct Backup {
    file: String,
    bytes: Vec<u8>,
}
