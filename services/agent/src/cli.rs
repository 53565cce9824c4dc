//! The command line.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{CommandFactory, Parser, Subcommand};
use kit_event::UnitId;

use crate::capture::{self, Switch};
use crate::init::{self, Init};
use crate::mapping::REFERENCE;
use crate::{check, run, waiting};

/// The program beside a clinic's database that connects it to the network.
#[derive(Debug, Parser)]
#[command(name = "arteria-agent", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Creates a clinic's folder, or checks an existing one.
    Init {
        /// The clinic's folder.
        #[arg(long)]
        dir: PathBuf,
        /// The unit's id.
        #[arg(long)]
        unit: UnitId,
        /// The address of the edge, for example `wss://edge.example`.
        #[arg(long)]
        edge: String,
        /// The unit's IANA time zone; by default the one in the folder, else UTC.
        #[arg(long)]
        time_zone: Option<String>,
        /// The folder with the agents' keys.
        #[arg(long)]
        keys: Option<PathBuf>,
    },
    /// Runs the agent until it is stopped.
    Run {
        /// The clinic's folder.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Shows the agent's state.
    Status {
        /// The clinic's folder.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Turns change capture off and on, for updates of the practice software.
    Capture {
        /// What to do.
        switch: Switch,
        /// The clinic's folder.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Prints or checks the mapping of the practice's tables.
    Mapping {
        #[command(subcommand)]
        act: MappingAct,
    },
    /// Shows requests that wait or were rejected.
    Requests {
        /// The clinic's folder.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Prints the completions of a shell, for example `arteria-agent completions bash`.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
enum MappingAct {
    /// Prints the mapping of the reference schema, as a start for your own.
    Reference,
    /// Shows what would be captured, with three rows of each table, and every mistake with its
    /// line. Ends with status 1 if there is a mistake.
    Check {
        /// The clinic's folder.
        #[arg(long)]
        dir: PathBuf,
    },
}

/// Does what the command line says.
///
/// # Errors
/// What the command could not do.
#[expect(clippy::print_stdout, reason = "a person reads what these commands say")]
pub fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Init { dir, unit, edge, time_zone, keys } => {
            for line in init::init(&Init { dir, unit, edge, time_zone, keys })? {
                println!("{line}");
            }
        }
        Command::Run { dir } => run::run(&dir)?,
        Command::Status { dir } => println!("{}", run::read_status(&dir)?),
        Command::Capture { switch, dir } => println!("{}", capture::switch(&dir, switch)?),
        Command::Mapping { act: MappingAct::Reference } => print!("{REFERENCE}"),
        Command::Mapping { act: MappingAct::Check { dir } } => {
            let checked = check::check(&dir)?;
            print!("{}", checked.report);
            if !checked.mistakes.is_empty() {
                println!();
                for mistake in &checked.mistakes {
                    println!("{mistake}");
                }
                bail!("the mapping has {} mistakes", checked.mistakes.len());
            }
        }
        Command::Requests { dir } => print!("{}", waiting::show(&dir)?),
        Command::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "arteria-agent", &mut out);
            std::io::stdout().write_all(&out).context("printing the completions")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together_and_completes_itself() {
        Cli::command().debug_assert();
        let mut out = Vec::new();
        let shell = clap_complete::Shell::Bash;
        clap_complete::generate(shell, &mut Cli::command(), "arteria-agent", &mut out);
        let text = String::from_utf8(out).unwrap();
        for command in Cli::command().get_subcommands() {
            assert!(text.contains(command.get_name()), "{}", command.get_name());
        }
    }
}
