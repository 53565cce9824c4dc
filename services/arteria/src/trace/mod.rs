//! `arteria trace`: the whole life of one request, or of one fact, as the log tells it.
//!
//! Every line is a record: when, where, what. Headers are read, bodies only where the answer is a
//! position in them (a unit's cursor, the request that a cancel names), and none is ever printed.
//! The read models are asked for hints alone, so that a scan begins in the right place; without
//! them the search is longer and finds the same.
//!
//! | module | what it holds |
//! |---|---|
//! | [`log`] | stretches of one partition, bounded by time |
//! | [`of_request`], [`of_fact`] | the two lives |
//! | [`story`] | lines in the order of time, printed |

mod log;
mod of_fact;
mod of_request;
mod story;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use kit_bus::Bus;
use kit_clock::Clock;
use kit_config::Settings;
use kit_event::{RequestId, UnitId, UnitSeq};

use self::log::Log;
use crate::topics::bus_config;

/// Requests stay on the log for so many hours; what is older has only its facts left.
const HOURS: u32 = 8 * 24;
/// A hint is one question at a time.
const CONNECTIONS_MAX: u32 = 2;

#[derive(clap::Args)]
pub struct Args {
    /// A request's id, as `hcu-0001.9f86...`, or a fact's number, as `1-42`, with --unit.
    what: What,
    /// The unit whose fact it is.
    #[arg(long)]
    unit: Option<UnitId>,
    /// How far back to look where no read model gives a hint, in hours.
    #[arg(long, default_value_t = HOURS)]
    hours: u32,
    /// Prints JSON instead of lines.
    #[arg(long)]
    json: bool,
}

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Request(RequestId),
    Fact(UnitSeq),
}

impl std::str::FromStr for What {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('.') {
            text.parse().map(Self::Request).map_err(|_| "is no id of a request")
        } else {
            text.parse().map(Self::Fact).map_err(|_| "is no number of a fact, as 1-42")
        }
    }
}

/// Numbers begin anew in each unit.
const NAME_THE_UNIT: &str = "a fact's number is of a unit: name it with --unit";

impl Args {
    /// What can be said before anybody is asked.
    fn check(&self) -> Result<()> {
        match (&self.what, &self.unit) {
            (What::Fact(_), None) => bail!(NAME_THE_UNIT),
            (What::Request(id), Some(unit)) if id.unit() != *unit => {
                bail!("{id} is a request to {}, not to {unit}", id.unit())
            }
            _ => Ok(()),
        }
    }
}

pub async fn run(args: Args, settings: Settings) -> Result<ExitCode> {
    args.check()?;
    let bus = Bus::connect(&bus_config(&settings)).await?;
    let pool = kit_store::read_pool(&settings.postgres_url, "arteria-trace", CONNECTIONS_MAX)?;
    let earliest = Clock::system().now().plus_ms(-i64::from(args.hours) * 3_600_000);
    let log = Log::new(bus);
    let (name, story) = match args.what {
        What::Request(id) => (id.to_string(), of_request::find(&log, &pool, &id, earliest).await?),
        What::Fact(seq) => {
            let unit = args.unit.context(NAME_THE_UNIT)?;
            let name = format!("{unit} {seq}");
            (name, of_fact::find(&log, &pool, &unit, seq, earliest).await?)
        }
    };
    let Some(story) = story else {
        eprintln!("arteria: the log holds nothing of {name} within the last {} h", args.hours);
        return Ok(ExitCode::FAILURE);
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&story)?);
    } else {
        print!("{}", story.text());
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_a_dot_and_a_fact_has_none() {
        let id = "hcu-0001.9f86d081884c7d659a2feaa0c55ad015";
        assert_eq!(id.parse(), Ok(What::Request(id.parse().unwrap())));
        assert_eq!("1-42".parse(), Ok(What::Fact(UnitSeq::new(1, 42))));
        let huge = "9".repeat(100_000);
        for bad in ["", ".", "-", "1-", "hcu-0001", "hcu-0001.zz", "1-42.", "'; drop", &huge] {
            assert!(bad.parse::<What>().is_err(), "{bad}");
        }
    }
}
