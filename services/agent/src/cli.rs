//! The command line.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use kit_event::UnitId;

use crate::capture::{self, Switch};
use crate::init::{self, Init};
use crate::{run, waiting};

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
    /// Shows what waits and what was refused.
    Requests {
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
        Command::Requests { dir } => print!("{}", waiting::show(&dir)?),
    }
    Ok(())
}
