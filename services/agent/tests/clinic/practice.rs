//! The practice comes first: its own program, in a process of its own as locks are, fails and waits
//! no more often beside an agent than without one.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::inbox::{Inbox, LastSeq, inbox};
use agent::setup::{Setup, files};
use kit_event::UnitSeq;
use kit_link::{FromEdge, Resume};
use rusqlite::Connection;

use crate::desk::{Folder, PATIENT, PRACTITIONER};
use crate::edge::request;
use crate::walkthrough::booking;

const DATABASE: &str = "ARTERIA_PRACTICE_DATABASE";
const PATTERN: &str = "ARTERIA_PRACTICE_PATTERN";

/// What the practice's program does.
#[derive(Clone, Copy)]
enum Pattern {
    /// Forty times a statement, then a transaction that reads, thinks and writes.
    ReadThenWrite,
    /// Two hundred single statements without a busy timeout, at all distances.
    Single,
    /// One transaction that reads, waits, and writes.
    LongRead,
}

impl Pattern {
    const ALL: [Self; 3] = [Self::ReadThenWrite, Self::Single, Self::LongRead];

    fn word(self) -> &'static str {
        match self {
            Self::ReadThenWrite => "read-then-write",
            Self::Single => "single",
            Self::LongRead => "long-read",
        }
    }
}

/// Starts this file's program below in another process.
fn practice(clinic: &Folder, pattern: Pattern) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["practice::the_practices_program", "--exact", "--ignored", "--nocapture"])
        .env(DATABASE, clinic.path(files::CLINIC))
        .env(PATTERN, pattern.word())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Failures, and the longest statement.
fn outcome(mut child: Child) -> (usize, Duration) {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let told: Vec<String> = lines.filter(|line| line.contains("practice: ")).collect();
    assert!(child.wait().unwrap().success());
    let words: Vec<&str> =
        told.last().unwrap().rsplit("practice: ").next().unwrap().split(' ').collect();
    (words[0].parse().unwrap(), Duration::from_micros(words[1].parse().unwrap()))
}

#[test]
#[ignore = "it is the practice's program, which the tests below start"]
fn the_practices_program() {
    let (Ok(path), Ok(word)) = (std::env::var(DATABASE), std::env::var(PATTERN)) else { return };
    let pattern = Pattern::ALL.into_iter().find(|pattern| pattern.word() == word).unwrap();
    let desk = Connection::open(Path::new(&path)).unwrap();
    let wait = if matches!(pattern, Pattern::Single) { 0 } else { 10_000 };
    desk.busy_timeout(Duration::from_millis(wait)).unwrap();
    let mut failed = 0;
    let mut longest = Duration::ZERO;
    let mut run = |sql: &str| {
        let begun = Instant::now();
        let done = desk.execute_batch(sql);
        longest = longest.max(begun.elapsed());
        done.is_ok()
    };
    match pattern {
        Pattern::ReadThenWrite => {
            for n in 0..40 {
                failed += usize::from(!run(&patient(n)));
                failed += usize::from(!read_then_write(&mut run, n, 20));
                std::thread::sleep(Duration::from_millis(30));
            }
        }
        Pattern::Single => {
            for n in 0..200 {
                failed += usize::from(!run(&patient(n)));
                std::thread::sleep(Duration::from_micros(n as u64 * 7_919 % 20_000));
            }
        }
        Pattern::LongRead => failed += usize::from(!read_then_write(&mut run, 0, 700)),
    }
    println!("practice: {failed} {}", longest.as_micros());
}

fn patient(n: usize) -> String {
    format!("INSERT INTO patients (patient_id, family_name) VALUES ('{}', 'Neu')", uuid(n))
}

fn uuid(n: usize) -> uuid::Uuid {
    uuid::Uuid::from_u128(0xA000 + n as u128)
}

fn read_then_write(run: &mut impl FnMut(&str) -> bool, n: usize, thinks_ms: u64) -> bool {
    let mut good = run("BEGIN; SELECT count(*) FROM appointments;");
    println!("reading");
    std::thread::sleep(Duration::from_millis(thinks_ms));
    let id = uuid(0x1000 + n);
    let day = n + 1;
    good &= run(&format!(
        "INSERT INTO appointments (appointment_id, patient_id, practitioner_id, starts_at, ends_at,
             status) VALUES ('{id}', '{PATIENT}', '{PRACTITIONER}', '2027-01-{day:02}T09:00:00Z',
             '2027-01-{day:02}T09:30:00Z', 'booked')"
    ));
    let ended = run(if good { "COMMIT" } else { "ROLLBACK" });
    good && ended
}

/// A running agent without a network: its clinic thread and its watch.
struct Beside {
    inbox: std::sync::mpsc::SyncSender<Inbox>,
    worker: std::thread::JoinHandle<()>,
    last: LastSeq,
    _stop: tokio::sync::watch::Sender<bool>,
}

impl Beside {
    fn start(clinic: &Folder) -> Self {
        let setup = Arc::new(Setup::new(&clinic.dir(), clinic.unit.clone(), "UTC").unwrap());
        let (sender, messages) = inbox();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let last = LastSeq::default();
        let watched = agent::watch::start(setup.path(files::CLINIC), sender.clone());
        let worker =
            agent::run::start_worker(setup, messages, last.clone(), stopped, watched).unwrap();
        let agent = Self { inbox: sender, worker, last, _stop: stop };
        agent.until(|last| last != UnitSeq::ZERO);
        agent
    }

    fn until(&self, reached: impl Fn(UnitSeq) -> bool) -> Duration {
        let begun = Instant::now();
        while !reached(self.last.get()) {
            assert!(begun.elapsed() < Duration::from_secs(20), "still {}", self.last.get());
            std::thread::sleep(Duration::from_micros(200));
        }
        begun.elapsed()
    }

    fn stop(self) {
        self.inbox.send(Inbox::Stop).unwrap();
        self.worker.join().unwrap();
    }
}

fn beside_an_agent(mode: &str, pattern: Pattern) -> (usize, Duration, Folder) {
    let clinic = Folder::staffed();
    clinic.desk().pragma_update(None, "journal_mode", mode).unwrap();
    let agent = Beside::start(&clinic);
    let (failed, longest) = outcome(practice(&clinic, pattern));
    let last = agent.last.get();
    let wanted = clinic.count("SELECT max(id) FROM arteria_outbox");
    let facts = |last: UnitSeq| last.seq > wanted as u64;
    if !facts(last) {
        agent.until(facts);
    }
    agent.stop();
    (failed, longest, clinic)
}

fn without_an_agent(mode: &str, pattern: Pattern) -> (usize, Duration) {
    let clinic = Folder::staffed();
    clinic.desk().pragma_update(None, "journal_mode", mode).unwrap();
    outcome(practice(&clinic, pattern))
}

#[test]
fn whoever_reads_and_then_writes_fails_no_more_often() {
    for mode in ["wal", "delete"] {
        let (alone, alone_longest) = without_an_agent(mode, Pattern::ReadThenWrite);
        let (failed, longest, clinic) = beside_an_agent(mode, Pattern::ReadThenWrite);
        println!("{mode}: {failed} against {alone}; {longest:?} against {alone_longest:?}");
        assert_eq!((failed, alone), (0, 0), "{mode}");
        assert_eq!(clinic.count("SELECT count(*) FROM appointments"), 40, "{mode}");
        let booked = clinic.said().iter().filter(|said| *said == "appointment_booked").count();
        assert_eq!(booked, 40, "{mode}");
    }
}

#[test]
fn single_statements_without_a_busy_timeout_fail_no_more_often() {
    for mode in ["delete", "truncate", "persist", "wal"] {
        let (failed, longest, clinic) = beside_an_agent(mode, Pattern::Single);
        println!("{mode}: {failed} failed, the longest took {longest:?}");
        assert_eq!(failed, 0, "{mode}");
        let registered = clinic.said().iter().filter(|said| *said == "patient_registered").count();
        assert!(registered >= 200, "{mode}: {registered}");
    }
}

#[test]
fn a_request_waits_for_whoever_reads() {
    for mode in ["wal", "delete"] {
        let clinic = Folder::staffed();
        clinic.desk().pragma_update(None, "journal_mode", mode).unwrap();
        let mut agent = clinic.worker();
        let mut line = agent.connect(None, Resume::Exact);
        agent.receive(&mut line, vec![]);
        let mut child = practice(&clinic, Pattern::LongRead);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.ends_with("reading")));
        let command = booking("2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z");
        let command = FromEdge::Request(request(1, "one", "scheduling.book_appointment", command));
        agent.inbox.send(Inbox::Frame(Box::new(command))).unwrap();
        agent.worker.turn(Duration::ZERO).unwrap();
        line.take_now(&agent.inbox);
        assert_eq!(line.replies.len(), 0, "{mode}: it waits");
        let told = lines.find(|line| line.contains("practice: ")).unwrap();
        assert!(told.contains("practice: 0 "), "{mode}: {told}");
        child.wait().unwrap();
        agent.receive(&mut line, vec![]);
        assert_eq!(line.replies[0].outcome["state"], "done", "{mode}");
        assert_eq!(clinic.count("SELECT count(*) FROM appointments"), 2, "{mode}");
    }
}

#[test]
fn a_commit_wakes_the_agent() {
    for mode in ["wal", "delete"] {
        let clinic = Folder::staffed();
        clinic.desk().pragma_update(None, "journal_mode", mode).unwrap();
        let agent = Beside::start(&clinic);
        let desk = clinic.desk();
        let mut times = Vec::new();
        for n in 0..30 {
            let before = agent.last.get();
            desk.execute_batch(&patient(n)).unwrap();
            times.push(agent.until(|last| last > before));
            std::thread::sleep(Duration::from_millis(7));
        }
        times.sort();
        println!("{mode}: from a commit to its fact {:?}, {:?} at most", times[15], times[29]);
        // Unwoken it looks once a second; how fast it is, the bench measures.
        assert!(times[15] < Duration::from_millis(250), "{mode}: {times:?}");
        agent.stop();
    }
}

#[test]
fn an_agent_writes_nothing_into_the_practices_database_by_itself() {
    let clinic = Folder::staffed();
    let agent = Beside::start(&clinic);
    let desk = clinic.desk();
    let version = || desk.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0)).unwrap();
    let before = version();
    for n in 0..20 {
        let last = agent.last.get();
        desk.execute_batch(&patient(n)).unwrap();
        agent.until(|now| now > last);
    }
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(version(), before);
    agent.stop();
    assert_eq!(version(), before);
}
