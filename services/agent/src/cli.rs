//! The command line.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use kit_event::UnitId;

use crate::capture::{self, Switch};
use crate::init::{self, Init};
use crate::mapping::REFERENCE;
use crate::{check, run, waiting};

/// The small program beside a clinic's database.
#[derive(Debug, Parser)]
#[command(name = "arteria-agent", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a clinic's folder, or finds it made.
    Init {
        /// The clinic's folder.
        #[arg(long)]
        dir: PathBuf,
        /// The unit's id.
        #[arg(long)]
        unit: UnitId,
        /// The edge, as `wss://edge.example`.
        #[arg(long)]
        edge: String,
        /// The unit's IANA time zone (default UTC, or what the folder has).
        #[arg(long)]
        time_zone: Option<String>,
        /// The folder of the agents' key set.
        #[arg(long)]
        keys: Option<PathBuf>,
    },
    /// Runs the agent until it is told to stop.
    Run {
        /// The clinic's folder.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Shows how the agent stands.
    Status {
        /// The clinic's folder.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Switches capture, for a practice's updater.
    Capture {
        /// What to do.
        switch: Switch,
        /// The clinic's folder.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Looks at the mapping of the practice's tables.
    Mapping {
        #[command(subcommand)]
        act: MappingAct,
    },
    /// Shows what waits and what was refused.
    Requests {
        /// The clinic's folder.
        #[arg(long)]
        dir: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum MappingAct {
    /// Prints the mapping of the reference schema, to begin a file of one's own with.
    Reference,
    /// Explains what would be captured, with three rows of each table, and tells every mistake by
    /// its line; the exit status is 1 where there is one.
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
    }
    Ok(())
}
