//! The local stack: a real Kafka, a real schema registry and a real Postgres on one machine,
//! without Docker, and a supervisor that keeps these and any other process alive.
//!
//! A developer, a test run and a benchmark want the same servers that production has, in seconds,
//! several sets side by side, and want nothing left behind. So the servers are started from their
//! published artefacts, under one home folder, on addresses that the configuration names. Where a
//! fitting server already answers on such an address (Docker Compose, a colleague's cluster), that
//! one is used and nothing is started.
//!
//! The pieces, in the order in which a start meets them:
//!
//! 1. [`StackConfig`] says where everything is: the home folder, the shared cache, three addresses.
//! 2. [`Supervisor::open`] takes the home for itself and ends what a killed predecessor left
//!    running.
//! 3. [`server_processes`] fetches, formats and initialises what is missing, and names the
//!    processes to run.
//! 4. [`Supervisor::start_wave`] runs them, each in its own process group, and restarts each when
//!    it dies.
//!
//! [`Stack::up`] is these four in their right order. Roles are started after it, as
//! [`ProcessSpec`]s of the caller.
//!
//! What this crate must never know: any role, topic, schema or word of the domain. It knows
//! machines: processes, ports, folders, users, signals.

mod claim;
mod config;
mod error;
mod fetch;
mod home;
mod kafka;
mod ports;
mod postgres;
mod probe;
mod process;
mod registry;
mod run_as;
mod servers;
mod sums;
mod supervisor;
mod watch;

pub use claim::running_supervisor;
pub use config::{Addresses, StackConfig};
pub use error::StackError;
pub use fetch::{Artefacts, artefacts};
pub use kafka::kafka_tool;
pub use ports::{PortHolder, free_addr, holder_of};
pub use probe::{Answer, Probe};
pub use process::ProcessSpec;
pub use run_as::RunAs;
pub use servers::{KAFKA, POSTGRES, REGISTRY, Stack, server_processes};
pub use supervisor::{SHUTDOWN_WITHIN, Supervisor};
pub use watch::{BACKOFF_LONGEST, BACKOFF_SHORTEST, Phase};

/// The signals that a [`ProcessSpec`] may name, so that callers need no crate of their own for
/// them.
pub use nix::sys::signal::Signal;
