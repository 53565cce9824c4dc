//! `arteria projector rebuild`, `rollback`, `drop`, `copies`: an operator's acts on the copies of a
//! domain's read model. What is printed are counts, hashes and opaque ids.

use std::process::ExitCode;

use anyhow::{Context, Result};
use kit_bus::Bus;
use kit_clock::Clock;
use kit_config::Settings;
use kit_store::Place;
use projector::rebuild::{How, Outcome, Rebuild};
use projector::{Host, domains};

use crate::topics::bus_config;

/// Exit status of a rebuild that waits for a decision: both copies stand, and they differ.
const EXIT_DIFFERS: u8 = 3;

#[derive(clap::Subcommand)]
pub enum Act {
    /// Builds a new copy from the log, compares it with the live one, and switches to it.
    Rebuild {
        /// Which domain.
        #[arg(long)]
        domain: String,
        /// Continues with a copy that was left unfinished.
        #[arg(long)]
        resume: bool,
        /// Switches even if rows differ from the live copy.
        #[arg(long)]
        accept_differences: bool,
        /// Deletes the old copy after the switch.
        #[arg(long)]
        drop_previous: bool,
    },
    /// Switches back to the previous copy, after it has caught up with the log.
    Rollback {
        /// Which domain.
        #[arg(long)]
        domain: String,
    },
    /// Deletes the previous copy and an unfinished one.
    Drop {
        /// Which domain.
        #[arg(long)]
        domain: String,
    },
    /// Lists the copies of each domain.
    Copies,
}

pub async fn run(act: Act, settings: Settings) -> Result<ExitCode> {
    let bus = Bus::connect(&bus_config(&settings)).await.context("reaching the log")?;
    let host = Host::new(bus, settings.postgres_url, Clock::system());
    let tell = |told: &projector::rebuild::Told| println!("{told}");
    match act {
        Act::Rebuild { domain, resume, accept_differences, drop_previous } => {
            let how = How { resume, accept_differences, drop_previous };
            let work = Rebuild::claim(&host, one(&domain)?, &tell).await?;
            Ok(told(&domain, work.run(how).await?))
        }
        Act::Rollback { domain } => {
            let work = Rebuild::claim(&host, one(&domain)?, &tell).await?;
            Ok(told(&domain, work.go_back().await?))
        }
        Act::Drop { domain } => {
            let work = Rebuild::claim(&host, one(&domain)?, &tell).await?;
            for place in work.drop_others().await? {
                println!("{domain}: dropped the {} copy", place.as_str());
            }
            Ok(ExitCode::SUCCESS)
        }
        Act::Copies => {
            for domain in domains::ALL {
                for copy in Rebuild::standing(&host, domain).await? {
                    let (name, place, bytes) = (domain.schema(), copy.place, copy.bytes);
                    let id = copy.id.map_or("unfinished".to_owned(), |id| id.to_string());
                    println!("{name:12} {:9} {bytes:>14} bytes  {id}", place.as_str());
                }
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn one(name: &str) -> Result<&'static dyn kit_store::Projection> {
    let chosen = domains::chosen(Some(name))?;
    chosen.into_iter().next().context("no such domain")
}

fn told(domain: &str, outcome: Outcome) -> ExitCode {
    match outcome {
        Outcome::Switched => ExitCode::SUCCESS,
        Outcome::Differs => {
            let next = Place::Next.schema(domain);
            println!(
                "{domain}: not switched, for the copies differ. The fresh one waits as {next}; \
                 `rebuild --resume --accept-differences` switches to it, `drop` drops it"
            );
            ExitCode::from(EXIT_DIFFERS)
        }
    }
}
