//! The supervisor: the one parent of every process of a home.
//!
//! It is a thread with a small runtime of its own, and its methods only talk to it. So a stack
//! outlives the test in whose runtime it was started, and all processes are children of one thread
//! that lives as long as the supervisor. That matters because the kernel ends them when this
//! *thread* is gone: a supervisor that is killed with -9 leaves no process behind.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot, watch};

use crate::claim::Claim;
use crate::error::StackError;
use crate::home::Home;
use crate::process::ProcessSpec;
use crate::watch::{Life, Order, Phase, State};

/// Everything has ended within this, by itself or by SIGKILL; ten seconds are promised, one is left
/// to the caller.
pub const SHUTDOWN_WITHIN: Duration = Duration::from_secs(9);

/// Kept back for the first wave, so that slow roles do not cost the servers their clean end.
const KEPT_FOR_THE_FIRST_WAVE: Duration = Duration::from_secs(4);

/// A process that died this often before it was ready will not be; [`Supervisor::wait_ready`] then
/// says so at once.
const DEATHS_BEFORE_READY: u32 = 5;

/// Lines of its log that an error quotes of a process that did not become ready.
const TAIL_LINES: usize = 25;

/// Runs processes, keeps them alive, and ends them in order. Dropped, it kills them all.
#[derive(Debug)]
pub struct Supervisor {
    home: Home,
    runtime: Handle,
    known: Mutex<Known>,
    closing: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _claim: Claim,
}

#[derive(Debug, Default)]
struct Known {
    wave: u32,
    processes: HashMap<String, Process>,
}

#[derive(Debug)]
struct Process {
    spec: ProcessSpec,
    wave: u32,
    state: watch::Receiver<State>,
    orders: mpsc::UnboundedSender<Order>,
}

impl Supervisor {
    /// Takes a home for itself and ends what an earlier supervisor left running there.
    pub fn open(home: &Path) -> Result<Self, StackError> {
        let home = Home::create(home)?;
        let claim = Claim::take(&home)?;
        let spawned = |source| StackError::Run { act: "the supervisor's thread", source };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(spawned)?;
        let handle = runtime.handle().clone();
        let (closing, closed) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name("supervisor".to_owned())
            .spawn(move || {
                let _ = runtime.block_on(closed);
                // Dropping the runtime drops every life, and each ends its process.
            })
            .map_err(spawned)?;
        Ok(Self {
            home,
            runtime: handle,
            known: Mutex::default(),
            closing: Some(closing),
            thread: Some(thread),
            _claim: claim,
        })
    }

    /// Starts a process and keeps it alive. Returns when it runs, which is before it is ready.
    pub async fn start(&self, spec: ProcessSpec) -> Result<(), StackError> {
        let (first, started) = oneshot::channel();
        {
            let mut known = self.known();
            let name = spec.name.clone();
            if known.processes.get(&name).is_some_and(|process| !process.is_stopped()) {
                return Err(StackError::AlreadyRunning { name });
            }
            let (state, seen) = watch::channel(State::unborn());
            let (orders, received) = mpsc::unbounded_channel();
            let home = self.home.clone();
            let life = Life { spec: spec.clone(), home, state, orders: received };
            self.runtime.spawn(life.run(first));
            let wave = known.wave;
            known.processes.insert(name, Process { spec, wave, state: seen, orders });
        }
        started.await.unwrap_or(Err(StackError::SupervisorGone))
    }

    /// Starts several processes side by side and returns when all are ready. What is started after
    /// it belongs to the next wave, and is stopped before this one.
    pub async fn start_wave(&self, specs: Vec<ProcessSpec>) -> Result<(), StackError> {
        let names: Vec<String> = specs.iter().map(|spec| spec.name.clone()).collect();
        for spec in specs {
            self.start(spec).await?;
        }
        for name in &names {
            self.wait_ready(name).await?;
        }
        self.known().wave += 1;
        Ok(())
    }

    /// Waits until a process is ready; after its `ready_within`, or when it keeps dying, the error
    /// quotes its log.
    pub async fn wait_ready(&self, name: &str) -> Result<(), StackError> {
        let (spec, mut state) =
            self.with(name, |process| (process.spec.clone(), process.state.clone()))?;
        let since = Instant::now();
        let deaths = state.borrow().deaths;
        let settled = state.wait_for(|state| {
            matches!(state.phase, Phase::Ready | Phase::Stopped)
                || state.deaths.saturating_sub(deaths) >= DEATHS_BEFORE_READY
        });
        let reason = match tokio::time::timeout(spec.ready_within, settled).await {
            Ok(Err(_)) => return Err(StackError::SupervisorGone),
            Ok(Ok(state)) => match state.phase {
                Phase::Ready => return Ok(()),
                Phase::Stopped => return Err(StackError::Stopped { name: name.to_owned() }),
                Phase::Starting | Phase::Waiting => {
                    format!("it died {DEATHS_BEFORE_READY} times ({})", state.last_exit)
                }
            },
            Err(_) => "it did not become ready".to_owned(),
        };
        Err(StackError::NotReady {
            name: name.to_owned(),
            reason,
            waited: since.elapsed(),
            log: self.home.log(name),
            tail: self.home.log_tail(name, TAIL_LINES),
        })
    }

    /// Ends a process, gently first, and does not start it again.
    pub async fn stop(&self, name: &str) -> Result<(), StackError> {
        let (orders, within) =
            self.with(name, |process| (process.orders.clone(), process.spec.grace))?;
        let (done, stopped) = oneshot::channel();
        // A life that takes no orders has ended before.
        if orders.send(Order::Stop { within, done }).is_ok() {
            let _ = stopped.await;
        }
        Ok(())
    }

    /// Ends a process as a crash would, and returns when it is gone. It is started again like after
    /// any death.
    pub async fn kill9(&self, name: &str) -> Result<(), StackError> {
        let orders = self.with(name, |process| process.orders.clone())?;
        let (done, killed) = oneshot::channel();
        let stopped = |()| StackError::Stopped { name: name.to_owned() };
        orders.send(Order::Kill { done }).map_err(|_| stopped(()))?;
        killed.await.map_err(|_| stopped(()))
    }

    /// Stops a process and starts it again as it was given; returns when it runs, which is before
    /// it is ready.
    pub async fn restart(&self, name: &str) -> Result<(), StackError> {
        let (spec, wave) = self.with(name, |process| (process.spec.clone(), process.wave))?;
        self.stop(name).await?;
        self.start(spec).await?;
        if let Some(process) = self.known().processes.get_mut(name) {
            process.wave = wave;
        }
        Ok(())
    }

    /// The id of a process that runs now.
    pub fn pid(&self, name: &str) -> Option<u32> {
        self.with(name, |process| process.state.borrow().pid).ok().flatten()
    }

    /// Where a process is in its life; none for one that was never started here.
    pub fn phase(&self, name: &str) -> Option<Phase> {
        self.with(name, |process| process.state.borrow().phase).ok()
    }

    /// How often a process ended by itself, or by [`Self::kill9`].
    pub fn deaths(&self, name: &str) -> u32 {
        self.with(name, |process| process.state.borrow().deaths).unwrap_or(0)
    }

    /// All processes that were started here, in no order.
    pub fn names(&self) -> Vec<String> {
        self.known().processes.keys().cloned().collect()
    }

    /// The last lines of a process's log.
    pub fn log_tail(&self, name: &str, lines: usize) -> String {
        self.home.log_tail(name, lines)
    }

    /// The file that a process's output is appended to.
    pub fn log_file(&self, name: &str) -> PathBuf {
        self.home.log(name)
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Ends everything, last wave first, within [`SHUTDOWN_WITHIN`]; names those that had to be
    /// killed.
    pub async fn shutdown(&self) -> Vec<String> {
        let deadline = Instant::now() + SHUTDOWN_WITHIN;
        let mut killed = Vec::new();
        let newest = self.known().wave;
        for wave in (0..=newest).rev() {
            let left = deadline.saturating_duration_since(Instant::now());
            let allowed = match wave {
                0 => left,
                // What is not kept for the first wave, the others share.
                _ => left.saturating_sub(KEPT_FOR_THE_FIRST_WAVE) / wave,
            };
            for (name, stopped) in self.stop_wave(wave, allowed) {
                if stopped.await.unwrap_or(false) {
                    killed.push(name);
                }
            }
        }
        killed
    }

    /// Tells a whole wave to stop at once, so that its processes end side by side.
    fn stop_wave(&self, wave: u32, allowed: Duration) -> Vec<(String, oneshot::Receiver<bool>)> {
        let known = self.known();
        let in_wave = known.processes.iter().filter(|(_, process)| process.wave == wave);
        in_wave
            .filter_map(|(name, process)| {
                let (done, stopped) = oneshot::channel();
                let within = process.spec.grace.min(allowed);
                process.orders.send(Order::Stop { within, done }).ok()?;
                Some((name.clone(), stopped))
            })
            .collect()
    }

    fn with<T>(&self, name: &str, look: impl FnOnce(&Process) -> T) -> Result<T, StackError> {
        let known = self.known();
        let process = known.processes.get(name);
        process.map(look).ok_or_else(|| StackError::Unknown { name: name.to_owned() })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("nobody panics while holding this")
    }
}

impl Process {
    fn is_stopped(&self) -> bool {
        self.orders.is_closed() || self.state.borrow().phase == Phase::Stopped
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.closing.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
