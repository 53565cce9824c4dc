//! `arteria fleet`: every unit in one table, the sick first.
//!
//! | module | what it holds |
//! |---|---|
//! | [`sources`] | what is asked: presence, the read models, the edges' metrics |
//! | [`metrics_text`] | gauges out of a page of metrics |
//! | [`health`] | a unit's state and what ails it; pure |
//! | [`table`] | the table for people, the JSON for programs |

mod health;
mod metrics_text;
mod sources;
mod table;

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Result;
use kit_config::Settings;

#[derive(clap::Args)]
pub struct Args {
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Only units that something ails.
    #[arg(long)]
    sick: bool,
    /// The admin address of an edge, whose metrics tell of spools and paused tables; may be given
    /// several times. Without it the edge of the settings is asked.
    #[arg(long)]
    edge: Vec<SocketAddr>,
}

pub async fn run(args: Args, settings: Settings) -> Result<ExitCode> {
    let edges = if args.edge.is_empty() { vec![settings.edge_admin_addr] } else { args.edge };
    let found = sources::ask(&settings, &edges).await?;
    for missing in &found.missing {
        eprintln!("arteria: {missing}");
    }
    let mut units = health::units(&found);
    if args.sick {
        units.retain(|unit| !unit.ails.is_empty());
    }
    if args.json {
        println!("{}", table::json(&units, found.now)?);
    } else {
        print!("{}", table::text(&units, found.now));
    }
    Ok(ExitCode::SUCCESS)
}
