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

use std::process::ExitCode;

use anyhow::{Result, ensure};
use kit_config::Settings;

#[derive(clap::Args)]
pub struct Args {
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Only units that something ails.
    #[arg(long)]
    sick: bool,
    /// The admin address of an edge, host and port, whose metrics tell of spools and paused tables;
    /// may be given several times. Without it the edge of the settings is asked.
    #[arg(long, value_parser = host_and_port)]
    edge: Vec<String>,
}

pub async fn run(args: Args, settings: Settings) -> Result<ExitCode> {
    let edges =
        if args.edge.is_empty() { vec![settings.edge_admin_addr.to_string()] } else { args.edge };
    let found = sources::ask(&settings, &edges).await?;
    for missing in &found.missing {
        eprintln!("arteria: {missing}");
    }
    if !found.is_a_view() {
        return Ok(ExitCode::FAILURE);
    }
    let mut units = health::units(&found);
    if args.json {
        units.retain(|unit| !(args.sick && unit.ails.is_empty()));
        println!("{}", table::json(&units, &found.missing, found.now)?);
    } else {
        print!("{}", table::text(&units, args.sick, found.now));
    }
    Ok(ExitCode::SUCCESS)
}

/// An address as people have it: a name of DNS or of a compose file, or a number, with a port.
fn host_and_port(text: &str) -> Result<String> {
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_whole =
        text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && is_port(port));
    let is_address = is_whole
        && reqwest::Url::parse(&format!("http://{text}/metrics")).is_ok_and(|url| {
            // Nothing of it may be read as a path, a query or a password.
            url.path() == "/metrics"
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none()
        });
    ensure!(is_address, "an edge is a host and a port, as edge-a:8091");
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_a_name_or_a_number_with_a_port() {
        for good in ["10.0.0.7:8091", "localhost:8091", "edge-a.internal:8091", "[::1]:8091"] {
            assert_eq!(host_and_port(good).unwrap(), good);
        }
        for bad in [
            "",
            "edge-a",
            ":8091",
            "edge-a:",
            "edge-a:0",
            "edge-a:99999",
            "::1:8091",
            "http://edge-a:8091",
            "a/b:80",
            "a?b:80",
            "u:p@a:80",
            "a b:80",
        ] {
            assert!(host_and_port(bad).is_err(), "{bad}");
        }
    }
}
