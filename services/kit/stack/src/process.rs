//! A process to run: what it is, how it shows that it is ready, how it is asked to end.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};

use crate::error::StackError;
use crate::home::{last_lines, without_colours};
use crate::probe::Probe;
use crate::run_as::RunAs;

/// How long a process may take to be ready, unless it says otherwise.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How long a process may take to end by itself, unless it says otherwise.
const GRACE: Duration = Duration::from_secs(5);

/// Lines that an error quotes of a helper that failed.
const LAST_WORDS: usize = 20;

/// One process, as the supervisor is told about it.
#[derive(Debug, Clone)]
pub struct ProcessSpec {
    /// Names its pid file and its log, and is what it is called here.
    pub name: String,
    pub program: PathBuf,
    pub args: Vec<OsString>,
    /// Added to the supervisor's own environment.
    pub env: Vec<(OsString, OsString)>,
    /// The supervisor's own where none is given.
    pub working_dir: Option<PathBuf>,
    pub run_as: Option<RunAs>,
    pub ready: Probe,
    /// [`crate::Supervisor::wait_ready`] gives up after this.
    pub ready_within: Duration,
    /// What asks it to end; SIGTERM for most.
    pub stop_signal: Signal,
    /// From the stop signal to SIGKILL.
    pub grace: Duration,
}

impl ProcessSpec {
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            working_dir: None,
            run_as: None,
            ready: Probe::None,
            ready_within: READY_WITHIN,
            stop_signal: Signal::SIGTERM,
            grace: GRACE,
        }
    }

    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    #[must_use]
    pub fn working_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.working_dir = Some(folder.into());
        self
    }

    #[must_use]
    pub fn run_as(mut self, user: Option<RunAs>) -> Self {
        self.run_as = user;
        self
    }

    #[must_use]
    pub fn ready(mut self, probe: Probe) -> Self {
        self.ready = probe;
        self
    }

    #[must_use]
    pub fn ready_within(mut self, limit: Duration) -> Self {
        self.ready_within = limit;
        self
    }

    #[must_use]
    pub fn stop_signal(mut self, signal: Signal) -> Self {
        self.stop_signal = signal;
        self
    }

    #[must_use]
    pub fn grace(mut self, limit: Duration) -> Self {
        self.grace = limit;
        self
    }

    /// The command, in a process group of its own: Ctrl-C at a terminal reaches us alone, and we
    /// end it in order.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .process_group(0);
        if let Some(folder) = &self.working_dir {
            command.current_dir(folder);
        }
        confine(&mut command, self.run_as.clone());
        command
    }
}

/// Makes a command become its user, and die with the thread that spawned it.
///
/// The kernel sends the signal when the *thread* ends, so a command must be spawned from one that
/// lives as long as the process shall, and it forgets the command when the user changes, so the
/// user comes first.
pub(crate) fn confine(command: &mut Command, user: Option<RunAs>) {
    let parent = Pid::this();
    let before_exec = move || -> io::Result<()> {
        if let Some(user) = &user {
            user.become_now()?;
        }
        set_pdeathsig(Signal::SIGKILL)?;
        if getppid() != parent {
            // The parent died before the kernel knew of the command.
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    };
    #[expect(
        unsafe_code,
        reason = "only a hook between fork and exec can ask for the death signal"
    )]
    // SAFETY: the hook makes system calls only; it takes no memory and no lock.
    unsafe {
        command.pre_exec(before_exec);
    }
}

/// Runs a helper to its end, and keeps its words for the error.
pub(crate) fn run_to_end(act: &'static str, mut command: Command) -> Result<(), StackError> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|source| StackError::Run { act, source })?;
    if output.status.success() {
        return Ok(());
    }
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    let last_words = last_lines(&without_colours(&said), LAST_WORDS);
    Err(StackError::Ended { act, status: output.status.to_string(), last_words })
}
