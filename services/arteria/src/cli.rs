//! The subcommands, one line each, and what each of them starts.

use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{CommandFactory, Parser, Subcommand};
use kit_config::Settings;

use crate::{
    copies, demo, fleet, import, parked, roles, schemas, settle, test_network, token, topics,
    trace, up,
};

/// The real-time nervous system of a healthcare network.
#[derive(Parser)]
#[command(name = "arteria", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Serves the REST API.
    Gateway,
    /// Serves the WebSocket connections of the clinics' agents.
    Edge,
    /// Writes the read models in Postgres from the facts; subcommands rebuild them.
    #[command(args_conflicts_with_subcommands = true)]
    Projector {
        /// Only this domain, for example `patients` or `timeline`.
        #[arg(long)]
        domain: Option<String>,
        #[command(subcommand)]
        act: Option<copies::Act>,
    },
    /// Publishes the facts, without personal details, on the public topics.
    Publisher,
    /// Creates missing topics and reports topics that differ.
    Topics {
        #[command(subcommand)]
        act: topics::Act,
    },
    /// Writes, checks or registers the generated schemas.
    Schemas {
        #[command(subcommand)]
        act: schemas::Act,
    },
    /// Shows the state of every unit, units with problems first.
    Fleet(fleet::Args),
    /// Shows the history of a request or a fact on the log, without its body.
    Trace(trace::Args),
    /// Lists parked records, without their bodies; processes one again, or drops it.
    Parked(parked::Parked),
    /// Asks a unit to send the current state of a record whose fact was withheld.
    Reemit(parked::Again),
    /// Acts as a clinic's own software.
    Practice {
        #[command(subcommand)]
        act: import::Act,
    },
    /// Prints a token from the development issuer.
    Token(token::Args),
    /// Starts the whole local network in the background; returns when it is ready.
    Up,
    /// Stops the local network and keeps its data.
    Down,
    /// Stops the local network and deletes its data.
    Reset,
    /// Runs the whole local network in the foreground.
    Dev,
    /// Runs the whole local network as `up` started it.
    #[command(hide = true)]
    Supervise,
    /// Shows the product at work, step by step, and keeps running.
    Demo {
        /// Ends by itself, with status 0 only if every step succeeded.
        #[arg(long)]
        once: bool,
    },
    /// Runs a command with a network of its own on free ports, then stops the network.
    WithNetwork {
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
    /// Prints the completions of a shell, for example `arteria completions bash`.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// The name under which a role's steps of traces are found; other commands leave none.
    pub fn service(&self) -> Option<&'static str> {
        match self {
            Self::Gateway => Some("arteria-gateway"),
            Self::Edge => Some("arteria-edge"),
            Self::Projector { act: None, .. } => Some("arteria-projector"),
            Self::Publisher => Some("arteria-publisher"),
            _ => None,
        }
    }

    /// A person reads these commands' own lines: only what went wrong is logged beside them.
    pub fn quiet_filter(&self) -> Option<&'static str> {
        match self {
            Self::Gateway
            | Self::Edge
            | Self::Projector { act: None, .. }
            | Self::Publisher
            | Self::Supervise
            | Self::Dev => None,
            Self::Projector { act: Some(_), .. }
            | Self::Topics { .. }
            | Self::Schemas { .. }
            | Self::Fleet(_)
            | Self::Trace(_)
            | Self::Parked(_)
            | Self::Reemit(_)
            | Self::Practice { .. }
            | Self::Token(_)
            | Self::Up
            | Self::Down
            | Self::Reset
            | Self::Demo { .. }
            | Self::WithNetwork { .. }
            | Self::Completions { .. } => {
                Some("error,librdkafka=off,rdkafka=off,kit_bus::client=off")
            }
        }
    }
}

/// Runs one subcommand to its end.
pub fn run(command: Command, settings: Settings) -> Result<ExitCode> {
    match command {
        Command::Gateway => block_on(roles::gateway(settings)),
        Command::Edge => block_on(roles::edge(settings)),
        Command::Projector { act: Some(act), .. } => block_on(copies::run(act, settings)),
        Command::Projector { domain, .. } => block_on(roles::projector(settings, domain)),
        Command::Publisher => block_on(roles::publisher(settings)),
        Command::Topics { act } => block_on(topics::run(act, settings)),
        Command::Schemas { act } => block_on(schemas::run(act, settings)),
        Command::Fleet(args) => block_on(fleet::run(args, settings)),
        Command::Trace(args) => block_on(trace::run(args, settings)),
        Command::Parked(args) => block_on(async move {
            match &args.act {
                None => parked::list(args.unit.as_ref(), &settings).await,
                Some(act) => settle::settle(act, args.unit.as_ref(), &settings).await,
            }
        }),
        Command::Reemit(args) => block_on(async move {
            println!("{}", parked::reemit(&args, &settings).await?);
            anyhow::Ok(())
        }),
        Command::Practice { act } => import::run(&act),
        Command::Token(args) => token::run(&args, &settings).map(|()| ExitCode::SUCCESS),
        Command::Up => block_on(up::up(settings)),
        Command::Down => block_on(up::down(settings)),
        Command::Reset => block_on(up::reset(settings)),
        Command::Dev | Command::Supervise => block_on(up::supervise(settings)),
        Command::Demo { once } => block_on(demo::run(settings, once)),
        Command::WithNetwork { command } => block_on(test_network::run(settings, command)),
        Command::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "arteria", &mut out);
            std::io::stdout().write_all(&out).context("printing the completions")?;
            Ok(ExitCode::SUCCESS)
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_shell_is_told_every_command_that_is_not_hidden() {
        use clap::ValueEnum;
        for shell in clap_complete::Shell::value_variants() {
            let mut out = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "arteria", &mut out);
            let text = String::from_utf8(out).unwrap();
            for command in Cli::command().get_subcommands().filter(|it| !it.is_hide_set()) {
                assert!(text.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }

    #[test]
    fn every_command_and_argument_says_what_it_is() {
        let mut commands = vec![Cli::command()];
        while let Some(command) = commands.pop() {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name} says nothing");
            for argument in command.get_arguments().filter(|it| !it.is_hide_set()) {
                assert!(argument.get_help().is_some(), "{name} {} says nothing", argument.get_id());
            }
            commands.extend(command.get_subcommands().cloned());
        }
    }
}
