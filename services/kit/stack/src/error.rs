//! What can fail here, named by the act that failed. The texts are read by a developer at a
//! terminal, so each says what to do next where that is known.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::ports::PortHolder;

#[derive(Debug, thiserror::Error)]
pub enum StackError {
    #[error("reading {variable}={value:?}: {expected} is expected")]
    ReadVariable { variable: &'static str, value: String, expected: &'static str },

    #[error("preparing {path}")]
    Prepare {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },

    #[error(
        "checking what Maven fetched: {name} is not the file that this version was made with; \
         if the pom changed, make servers.sha256 anew, else do not trust this copy"
    )]
    CheckFetched { name: String },

    #[error("finding {program}: {hint}")]
    FindProgram { program: &'static str, hint: &'static str },

    #[error("running {act}")]
    Run {
        act: &'static str,
        #[source]
        source: std::io::Error,
    },

    #[error("{act} ended with {status}; its last words:\n{last_words}")]
    Ended { act: &'static str, status: String, last_words: String },

    #[error(
        "using {addr} for {server}: {holder} answers there, and it is no {server} ({reason}); \
         stop it, or name another address in {variable}"
    )]
    ForeignServer {
        server: &'static str,
        addr: SocketAddr,
        holder: PortHolder,
        reason: String,
        variable: &'static str,
    },

    #[error("reaching {server} at {addr}: {reason}, and servers are started on loopback only")]
    RemoteServerAway { server: &'static str, addr: SocketAddr, reason: String },

    #[error(
        "opening the Postgres data in {path}: it was made by version {data}, \
         and only {found} is installed here"
    )]
    PostgresVersion { path: PathBuf, data: u32, found: u32 },

    #[error(
        "opening the Postgres data in {path}: it belongs to user {owner}, \
         and this process is user {us}"
    )]
    PostgresOwner { path: PathBuf, owner: u32, us: u32 },

    #[error("taking {home}: process {pid} already runs a stack there")]
    HomeInUse { home: PathBuf, pid: u32 },

    #[error("ending process {pid}, which an earlier run left as {name}")]
    EndLeftover { name: String, pid: u32 },

    #[error("starting {name}")]
    Spawn {
        name: String,
        #[source]
        source: std::io::Error,
    },

    #[error("starting {name}: it is already running")]
    AlreadyRunning { name: String },

    #[error("finding a process named {name}: none was started here")]
    Unknown { name: String },

    #[error("waiting for {name}: it was stopped")]
    Stopped { name: String },

    #[error("waiting for {name}: {reason} within {waited:.1?}; the end of {log}:\n{tail}")]
    NotReady { name: String, reason: String, waited: Duration, log: PathBuf, tail: String },

    #[error("reaching the supervisor's thread, which has ended")]
    SupervisorGone,
}

impl StackError {
    /// Wraps an i/o failure about one path; for use with `map_err`.
    pub(crate) fn prepare(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Prepare { path, source }
    }
}
