//! `arteria-agent run`: the birth and the end of the process.
//!
//! Two threads beside the connection: the clinic thread, which owns both files, and the query
//! thread. A file that fails is opened again after a pause; only a second agent on the same folder,
//! or settings that do not read, end the process.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kit_telemetry::{TraceSettings, Traces, chain};
use kit_token::AgentKey;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

use crate::config::Config;
use crate::error::WorkerError;
use crate::handshake::upgrade_url;
use crate::inbox::{self, Inbox, LastSeq};
use crate::link::Link;
use crate::logs;
use crate::mapping::source::MappingFile;
use crate::queries::Queries;
use crate::setup::{AGENT_VERSION, Setup, files};
use crate::spool::Spool;
use crate::status::{self, Status};
use crate::watch::{self, Watched};
use crate::worker::{ClinicWorker, POLL_EVERY, Turn};

/// A stop takes at most this long; what is not done then is done at the next start.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// The clinic thread's part of it.
const THREADS_WITHIN: Duration = Duration::from_secs(4);
/// How long a starting agent waits for the lock.
const LOCK_WITHIN: Duration = Duration::from_millis(300);
/// Between two looks whether the clinic thread still lives.
const DEATH_LOOK_EVERY: Duration = Duration::from_millis(500);
/// The first pause before files that failed are opened again, and the longest.
const REOPEN_AFTER: Duration = Duration::from_millis(200);
const REOPEN_AFTER_MAX: Duration = Duration::from_secs(10);

/// Runs the agent of the folder `dir` until it is told to stop.
///
/// Settings or key do not read, or another agent runs on the folder.
pub fn run(dir: &Path) -> Result<()> {
    let config = Config::load(dir)?;
    let _lock = lock(dir)?;
    let _logs = logs::init(&dir.join(files::LOGS)).context("beginning to log")?;
    let mapping = MappingFile::of(dir, config.mapping.as_deref(), &config.time_zone);
    let setup = Setup::with_mapping(dir, config.unit.clone(), &config.time_zone, mapping);
    let setup =
        Arc::new(setup.context("reading the mapping; `arteria-agent mapping check` tells all")?);
    let key = AgentKey::load(&config.unit, &dir.join(files::KEY))?;
    info!(target: "connect", unit = %config.unit, version = AGENT_VERSION, "the agent starts");
    let _traces = begin_traces(config.traces.as_ref())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(live(setup, upgrade_url(&config.edge), key))?;
    runtime.shutdown_timeout(STOP_WITHIN.checked_sub(THREADS_WITHIN).unwrap());
    info!(target: "close", "the agent ends");
    Ok(())
}

/// Traces as the environment says, else as the settings do; their end sends the last steps.
fn begin_traces(settings: Option<&crate::config::Traces>) -> Result<Traces> {
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let wanted = TraceSettings::read(variable)?.or_endpoint(
        settings.map(|it| it.endpoint.as_str()),
        settings.and_then(super::config::Traces::ratio),
    );
    Ok(Traces::begin("arteria-agent", AGENT_VERSION, &wanted)?)
}

/// One agent to a folder: two would publish the same outbox.
fn lock(dir: &Path) -> Result<File> {
    let path = dir.join(files::LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))?;
    let asked = Instant::now();
    // `status` takes the lock for a moment to see whether anybody holds it.
    while file.try_lock().is_err() {
        if asked.elapsed() > LOCK_WITHIN {
            bail!("another agent runs on {}", dir.display());
        }
        std::thread::sleep(POLL_EVERY);
    }
    Ok(file)
}

async fn live(setup: Arc<Setup>, url: String, key: AgentKey) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for signals")?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let last_seq = LastSeq::default();
    let (inbox, messages) = inbox::inbox();
    let (queries, _query_thread) = Queries::start(setup.clone()).context("starting a thread")?;
    let watched = watch::start(setup.path(files::CLINIC), inbox.clone());
    let worker = start_worker(setup.clone(), messages, last_seq.clone(), stopped.clone(), watched)?;
    let link = Link { setup, url, key, inbox: inbox.clone(), queries, last_seq, stop: stopped };
    let link = tokio::spawn(link.run());
    let died = tokio::select! {
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
        () = ended(&worker) => true,
    };
    stop.send_replace(true);
    leave(inbox, worker).await;
    let _ = tokio::time::timeout(STOP_WITHIN.checked_sub(THREADS_WITHIN).unwrap(), link).await;
    if died {
        bail!("the clinic thread ended by itself");
    }
    Ok(())
}

/// Waits for the end of a thread that should not end.
async fn ended(worker: &JoinHandle<()>) {
    while !worker.is_finished() {
        tokio::time::sleep(DEATH_LOOK_EVERY).await;
    }
}

async fn leave(inbox: SyncSender<Inbox>, worker: JoinHandle<()>) {
    let asked = Instant::now();
    while inbox.try_send(Inbox::Stop).is_err() && asked.elapsed() < THREADS_WITHIN {
        tokio::time::sleep(POLL_EVERY).await;
    }
    while !worker.is_finished() && asked.elapsed() < THREADS_WITHIN {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Starts the clinic thread.
///
/// The system gives no thread.
pub fn start_worker(
    setup: Arc<Setup>,
    messages: Receiver<Inbox>,
    last_seq: LastSeq,
    stop: tokio::sync::watch::Receiver<bool>,
    watched: Watched,
) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("clinic".to_owned())
        .spawn(move || keep_open(&setup, messages, &last_seq, &stop, &watched))
        .context("starting a thread")
}

/// Opens the files, works on them, and opens them again when they fail.
fn keep_open(
    setup: &Arc<Setup>,
    messages: Receiver<Inbox>,
    last_seq: &LastSeq,
    stop: &tokio::sync::watch::Receiver<bool>,
    watched: &Watched,
) {
    let mut messages = messages;
    let mut pause = REOPEN_AFTER;
    let mut told = None;
    while !*stop.borrow() {
        let failed = match ClinicWorker::open(setup.clone(), messages, last_seq.clone()) {
            Ok(worker) => {
                let mut worker = worker.watched(watched.clone());
                told = None;
                let opened = Instant::now();
                let ended = work(&mut worker);
                messages = worker.into_inbox();
                if opened.elapsed() > REOPEN_AFTER_MAX {
                    pause = REOPEN_AFTER;
                }
                match ended {
                    Ok(()) => return,
                    Err(failed) => failed,
                }
            }
            Err((failed, back)) => {
                messages = back;
                failed
            }
        };
        let words = chain(&failed);
        if told.as_ref() != Some(&words) {
            error!(target: "error", cause = words, "the clinic's files are opened again");
            tell_fault(setup, &words);
        }
        told = Some(words);
        if !failed.wants_reopening() {
            std::thread::sleep(pause);
            pause = (pause * 2).min(REOPEN_AFTER_MAX);
        }
    }
}

fn work(worker: &mut ClinicWorker) -> Result<(), WorkerError> {
    while worker.turn(worker.patience())? == Turn::On {}
    Ok(())
}

/// Tells `status` why the agent does not work. A spool that fails itself cannot be told.
fn tell_fault(setup: &Setup, words: &str) {
    let tell = || -> Result<(), WorkerError> {
        let spool = Spool::open(&setup.path(files::SPOOL))?;
        let mut status = status::read(spool.conn()).unwrap_or_default();
        status.unit = setup.unit.to_string();
        status.fault = Some(words.to_owned());
        spool.lazily(|tx| status::store(tx, &status))
    };
    if let Err(cause) = tell() {
        error!(target: "error", cause = chain(&cause), "the status could not be written");
    }
}

/// The status as `arteria-agent status` shows it.
///
/// There is no spool, or none that reads.
pub fn read_status(dir: &Path) -> Result<Status> {
    let spool = Spool::open_reader(&dir.join(files::SPOOL))?;
    let mut shown = status::read(&spool).unwrap_or_default();
    if let Ok(config) = Config::load(dir) {
        shown.unit = config.unit.to_string();
    }
    if lock(dir).is_ok() {
        shown.link = format!("the agent does not run; last: {}", shown.link);
    }
    Ok(shown)
}
