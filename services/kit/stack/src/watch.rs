//! The life of one process: started, probed until ready, started again when it dies, ended when
//! told.
//!
//! `Starting -> Ready -> (it dies) Waiting -> Starting`, and from any of them `Stopped`, which is
//! the end.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::claim::PidFile;
use crate::error::StackError;
use crate::home::Home;
use crate::probe::{Answer, Probe};
use crate::process::ProcessSpec;

/// The pause before a dead process is started again: short, because most deaths in a demo or a test
/// are given.
pub const BACKOFF_SHORTEST: Duration = Duration::from_millis(200);

/// Each death soon after a start doubles the pause, up to this: one that cannot live must not eat
/// the machine.
pub const BACKOFF_LONGEST: Duration = Duration::from_secs(5);

/// A process that lived this long was healthy, so its death begins again with the shortest pause.
const STEADY_AFTER: Duration = Duration::from_secs(10);

/// A probe costs the probed process something, and this is what a start is rounded up to.
const PROBE_EVERY: Duration = Duration::from_millis(25);

/// Where a process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It runs, and has not yet shown that it is ready.
    Starting,
    Ready,
    /// It died, and will be started again after a pause.
    Waiting,
    /// It was told to end, and did.
    Stopped,
}

/// What the supervisor's callers may see of a life.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    pub(crate) pid: Option<u32>,
    pub(crate) deaths: u32,
    pub(crate) last_exit: String,
}

impl State {
    pub(crate) fn unborn() -> Self {
        Self { phase: Phase::Starting, pid: None, deaths: 0, last_exit: String::new() }
    }
}

pub(crate) enum Order {
    /// End, and stay so; answers whether it took SIGKILL.
    Stop { within: Duration, done: oneshot::Sender<bool> },
    /// Die as in a crash, and come back; answers when the process is gone.
    Kill { done: oneshot::Sender<()> },
}

#[derive(PartialEq, Eq)]
enum End {
    Died,
    Stopped,
}

/// One process and those who follow it.
pub(crate) struct Life {
    pub(crate) spec: ProcessSpec,
    pub(crate) home: Home,
    pub(crate) state: watch::Sender<State>,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
}

impl Life {
    /// Lives until told to stop. Only the first start is answered with an error, as there is nobody
    /// to tell later.
    pub(crate) async fn run(mut self, first: oneshot::Sender<Result<(), StackError>>) {
        let mut first = Some(first);
        let mut backoff = BACKOFF_SHORTEST;
        loop {
            match Running::start(&self.spec, &self.home) {
                Ok(running) => {
                    let born = Instant::now();
                    self.say(Phase::Starting, Some(running.pid));
                    if let Some(first) = first.take() {
                        let _ = first.send(Ok(()));
                    }
                    if self.accompany(running).await == End::Stopped {
                        return;
                    }
                    if born.elapsed() > STEADY_AFTER {
                        backoff = BACKOFF_SHORTEST;
                    }
                }
                Err(source) => {
                    if let Some(first) = first.take() {
                        self.say(Phase::Stopped, None);
                        let name = self.spec.name.clone();
                        let _ = first.send(Err(StackError::Spawn { name, source }));
                        return;
                    }
                    self.record_death(&format!("could not be started: {source}"));
                }
            }
            if self.pause(backoff).await == End::Stopped {
                return;
            }
            backoff = (backoff * 2).min(BACKOFF_LONGEST);
        }
    }

    /// Stays with a process until it is no more.
    async fn accompany(&mut self, mut running: Running) -> End {
        let probe = self.spec.ready.clone();
        let ready = until_ready(&probe);
        tokio::pin!(ready);
        let mut is_ready = false;
        loop {
            tokio::select! {
                ended = running.child.wait() => {
                    running.bury();
                    self.record_death(&describe(ended));
                    return End::Died;
                }
                () = &mut ready, if !is_ready => {
                    is_ready = true;
                    self.say(Phase::Ready, Some(running.pid));
                }
                order = self.orders.recv() => match order {
                    Some(Order::Kill { done }) => {
                        running.signal_group(Signal::SIGKILL);
                        let ended = running.child.wait().await;
                        running.bury();
                        self.record_death(&describe(ended));
                        let _ = done.send(());
                        return End::Died;
                    }
                    Some(Order::Stop { within, done }) => {
                        let killed = self.end(running, within).await;
                        let _ = done.send(killed);
                        return End::Stopped;
                    }
                    // Nobody is left to give orders; dropping `running` ends it.
                    None => return End::Stopped,
                },
            }
        }
    }

    /// Asks it to end, and insists after the grace; answers whether that was needed.
    async fn end(&mut self, mut running: Running, within: Duration) -> bool {
        running.signal(self.spec.stop_signal);
        let killed = timeout(within, running.child.wait()).await.is_err();
        if killed {
            running.signal_group(Signal::SIGKILL);
            let _ = running.child.wait().await;
            self.home
                .note(&self.spec.name, &format!("killed, as it did not end within {within:?}"));
        }
        running.bury();
        self.home.note(&self.spec.name, "stopped");
        self.say(Phase::Stopped, None);
        killed
    }

    /// Waits before the next start, open for orders.
    async fn pause(&mut self, backoff: Duration) -> End {
        let over = sleep(backoff);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return End::Died,
                order = self.orders.recv() => match order {
                    // It is dead already, which is what was asked for.
                    Some(Order::Kill { done }) => { let _ = done.send(()); }
                    Some(Order::Stop { done, .. }) => {
                        self.say(Phase::Stopped, None);
                        let _ = done.send(false);
                        return End::Stopped;
                    }
                    None => return End::Stopped,
                },
            }
        }
    }

    fn say(&self, phase: Phase, pid: Option<u32>) {
        self.state.send_modify(|state| {
            state.phase = phase;
            state.pid = pid;
        });
    }

    fn record_death(&self, exit: &str) {
        tracing::warn!(
            name = self.spec.name,
            exit,
            "a process ended by itself and will be started again"
        );
        self.home.note(&self.spec.name, exit);
        self.state.send_modify(|state| {
            state.phase = Phase::Waiting;
            state.pid = None;
            state.deaths += 1;
            exit.clone_into(&mut state.last_exit);
        });
    }
}

async fn until_ready(probe: &Probe) {
    while probe.ask().await != Answer::Ready {
        sleep(PROBE_EVERY).await;
    }
}

fn describe(ended: io::Result<ExitStatus>) -> String {
    match ended {
        Ok(status) => format!("ended with {status}"),
        Err(lost) => format!("was lost: {lost}"),
    }
}

/// A process that runs. Dropped before it was buried, it is killed: no life leaves a process
/// behind.
struct Running {
    child: Child,
    pid: u32,
    file: PidFile,
    buried: bool,
}

impl Running {
    fn start(spec: &ProcessSpec, home: &Home) -> io::Result<Self> {
        let log = home.open_log(&spec.name)?;
        let mut command = spec.command();
        command.stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log));
        let child = Command::from(command).spawn()?;
        let pid = child.id().expect("a child that was not yet waited for has an id");
        let running = Self { child, pid, file: PidFile::of(home, &spec.name), buried: false };
        running.file.write(pid)?;
        home.note(&spec.name, &format!("{} runs as process {pid}", spec.name));
        Ok(running)
    }

    fn target(&self) -> Pid {
        Pid::from_raw(self.pid.cast_signed())
    }

    /// Signals the process alone: how its own children end is its affair.
    fn signal(&self, signal: Signal) {
        let _ = kill(self.target(), signal);
    }

    fn signal_group(&self, signal: Signal) {
        let _ = killpg(self.target(), signal);
        self.signal(signal);
    }

    /// Ends what is left of its group, and its pid file.
    fn bury(&mut self) {
        let _ = killpg(self.target(), Signal::SIGKILL);
        self.file.remove();
        self.buried = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.buried {
            self.signal_group(Signal::SIGKILL);
            let _ = waitpid(self.target(), None);
            self.file.remove();
        }
    }
}
