//! `make bench`: how long a booking takes through the whole path, beside a bare floor.
//!
//! The floor is a program that makes only the steps that no design could leave out: HTTP in, a
//! record on Kafka and back, a WebSocket frame out and back, two SQLite commits with
//! `synchronous=FULL` in a process of its own, a second record on Kafka and back, HTTP out. Both
//! are measured in one run, in rounds that take turns, by the same client on one warm broker, with
//! 1, 8 and 32 requests in flight. What counts is the ratio: the absolute figures belong to this
//! machine and its disk.
//!
//! This program must never share code with the roles it measures: it is an outsider with a token.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "a test says what it expects and goes on, and its numbers are small"
)]

mod booking;
mod clinics;
mod figures;
mod floor;
mod growth;
mod peer;
mod place;
mod practice_first;
mod rounds;
mod spent;
mod visible;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Bookings through REST beside the floor; desks' commits until REST; the practice's own writes
    /// beside an agent.
    Bench {
        #[command(flatten)]
        booking: rounds::Args,
        #[command(flatten)]
        visible: visible::Args,
        #[command(flatten)]
        practice: practice_first::Args,
        /// Leaves out the other parts.
        #[arg(long)]
        only: Option<Part>,
    },
    /// Loads hundreds of clinics through the whole path, in waves.
    Growth(growth::Args),
    /// The floor's other end: a WebSocket client with a SQLite file.
    #[command(hide = true)]
    Peer {
        /// `ws://...` of the floor.
        url: String,
        /// Where its two databases go.
        dir: std::path::PathBuf,
    },
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Part {
    Booking,
    Visible,
    /// What the practice's own program notices of an agent beside it.
    Practice,
}

fn main() -> Result<()> {
    match Cli::parse().act {
        Act::Bench { booking, visible, practice, only } => {
            let wants = |part| only.is_none_or(|only| only == part);
            if wants(Part::Booking) {
                runtime()?.block_on(rounds::run(&booking))?;
                println!();
            }
            if wants(Part::Visible) {
                runtime()?.block_on(visible::run(&visible))?;
                println!();
            }
            if wants(Part::Practice) {
                practice_first::run(&practice)?;
            }
            Ok(())
        }
        Act::Growth(args) => runtime()?.block_on(growth::run(args)),
        Act::Peer { url, dir } => peer::run(&url, &dir),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }
}
