//! The subcommands, one line each, and what each of them starts.

use std::future::Future;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use kit_config::Settings;

use crate::{demo, roles, schemas, test_network, token, topics, up};

/// The real-time nervous system of a healthcare network.
#[derive(Parser)]
#[command(name = "arteria", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Serves the REST facade.
    Gateway,
    /// Serves the clinics' WebSocket link.
    Edge,
    /// Turns facts into Postgres read models.
    Projector {
        /// Only this domain (patients, scheduling, requests, units or timeline).
        #[arg(long)]
        domain: Option<String>,
    },
    /// Creates what is missing among the topics and says what differs.
    Topics {
        #[command(subcommand)]
        act: topics::Act,
    },
    /// Writes, checks or registers the generated schemas.
    Schemas {
        #[command(subcommand)]
        act: schemas::Act,
    },
    /// Prints a token of the development issuer.
    Token(token::Args),
    /// Brings up the whole local network in the background and returns when it is ready.
    Up,
    /// Stops the local network; its data stays.
    Down,
    /// Stops the local network and deletes its data.
    Reset,
    /// Runs the whole local network in the foreground.
    Dev,
    /// Runs the whole local network as `up` started it.
    #[command(hide = true)]
    Supervise,
    /// Shows the product at work, then stays up.
    Demo {
        /// Ends by itself, with status 0 only if every step was observed.
        #[arg(long)]
        once: bool,
    },
    /// Runs a command against a network of its own on free ports, then stops it.
    WithNetwork {
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
}

impl Command {
    /// A person reads these commands' own lines: only what went wrong is logged beside them.
    pub fn quiet_filter(&self) -> Option<&'static str> {
        match self {
            Self::Gateway | Self::Edge | Self::Projector { .. } | Self::Supervise | Self::Dev => {
                None
            }
            Self::Topics { .. }
            | Self::Schemas { .. }
            | Self::Token(_)
            | Self::Up
            | Self::Down
            | Self::Reset
            | Self::Demo { .. }
            | Self::WithNetwork { .. } => Some("error,librdkafka=off,rdkafka=off"),
        }
    }
}

/// Runs one subcommand to its end.
pub fn run(command: Command, settings: Settings) -> Result<ExitCode> {
    match command {
        Command::Gateway => block_on(roles::gateway(settings)),
        Command::Edge => block_on(roles::edge(settings)),
        Command::Projector { domain } => block_on(roles::projector(settings, domain)),
        Command::Topics { act } => block_on(topics::run(act, settings)),
        Command::Schemas { act } => block_on(schemas::run(act, settings)),
        Command::Token(args) => token::run(&args, &settings).map(|()| ExitCode::SUCCESS),
        Command::Up => block_on(up::up(settings)),
        Command::Down => block_on(up::down(settings)),
        Command::Reset => block_on(up::reset(settings)),
        Command::Dev | Command::Supervise => block_on(up::supervise(settings)),
        Command::Demo { once } => block_on(demo::run(settings, once)),
        Command::WithNetwork { command } => block_on(test_network::run(settings, command)),
    }
}

/// Runs a future to its end on a runtime made for it.
fn block_on<T: Ending>(future: impl Future<Output = Result<T>>) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let outcome = runtime.block_on(future);
    // What still blocks a thread at this point was told to stop and had its deadline.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    outcome.map(Ending::code)
}

/// How an end shows as an exit status.
trait Ending {
    fn code(self) -> ExitCode;
}

impl Ending for () {
    fn code(self) -> ExitCode {
        ExitCode::SUCCESS
    }
}

impl Ending for ExitCode {
    fn code(self) -> ExitCode {
        self
    }
}
